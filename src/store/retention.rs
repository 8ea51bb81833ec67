//! How long recordings are kept: which of them are over, from what is known of the disk and the cameras. The oldest
//! that no clip holds goes first, a whole reel at a time. Chooses; `recorder` carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::file_system::DiskSpace;
use crate::base::{CameraId, Monotonic, Wall};

/// Reels in one plan: it is one transaction, and those who wait to record wait for it.
const PLAN_REELS_MAX: usize = 64;

/// A leap of the wall clock ahead is believed at this many times the pace of time: a day an hour. A clock that is
/// wrong for an hour costs a day of the oldest recordings at most, and a box that was off for a week has put its
/// recordings in order before the next day.
const PACE_MAX: u32 = 25;

/// Free space that is kept by default: a twentieth of the disk, between these, but never more than a quarter of it.
const FREE_BYTES_USUAL: (u64, u64) = (512 << 20, 4 << 30);

/// The share of the disk that uploads and imports may take by default.
const OTHERS_SHARE: u64 = 4;

/// How long recordings are kept. The default keeps them as long as the disk has room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of the disk that are kept free; `None` takes a twentieth of it, 512 MiB to 4 GiB.
    pub free_bytes: Option<u64>,
    /// Bytes that uploads and imports may take at the cost of old recordings; `None` takes a quarter of the disk.
    pub others_bytes: Option<u64>,
    /// Bytes that all recordings together may take.
    pub bytes_max: Option<u64>,
    /// What holds for a camera that is not named below.
    pub usual: CameraRetention,
    /// What holds for cameras with settings of their own.
    pub cameras: BTreeMap<CameraId, CameraRetention>,
}

/// How long one camera's recordings are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CameraRetention {
    /// Recordings that are older go.
    pub age_max: Option<Duration>,
    /// Bytes that they may take.
    pub bytes_max: Option<u64>,
}

impl Retention {
    /// What holds for a camera.
    pub fn of(&self, camera: &CameraId) -> CameraRetention {
        self.cameras.get(camera).copied().unwrap_or(self.usual)
    }

    /// Bytes that uploads and imports may take on a disk of `total` bytes though recordings make way for them.
    pub fn others_bytes_on(&self, total: u64) -> u64 {
        self.others_bytes.unwrap_or(total / OTHERS_SHARE)
    }

    /// Bytes to be kept free on a disk of `total` bytes.
    pub fn free_bytes_on(&self, total: u64) -> u64 {
        let (least, most) = FREE_BYTES_USUAL;
        self.free_bytes
            .unwrap_or((total / 20).clamp(least, most).min(total / 4))
    }
}

/// Civil time as far as it is believed when something is deleted because of its age.
#[derive(Clone, Copy, Debug)]
pub(super) struct BelievedTime {
    /// The latest time that can be true. Never goes back: a clock that is wrong until the network sets it right would
    /// be believed years later otherwise.
    latest: Wall,
    at: Monotonic,
}

impl BelievedTime {
    /// Starts from the label of the newest recording. Without one there is nothing to lose, and the clock is believed.
    pub(super) fn new(newest: Option<Wall>, at: Monotonic) -> Self {
        Self {
            latest: newest.unwrap_or(Wall(i64::MAX)),
            at,
        }
    }

    /// Goes on to `at`, when the clock says `wall`.
    pub(super) fn advance(&mut self, wall: Wall, at: Monotonic) -> Wall {
        let elapsed_ms = at.since(self.at).as_millis() as i64;
        let reachable = self.latest.plus_ms(elapsed_ms * i64::from(PACE_MAX));
        (self.latest, self.at) = (self.latest.max(wall.min(reachable)), at);
        self.latest.min(wall)
    }
}

/// A closed reel that nothing holds.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: i64,
    camera: usize,
    /// It is the last of its track that was recorded.
    is_newest: bool,
    bytes: u64,
    from_ms: i64,
    to_ms: i64,
}

/// What is known when reels are chosen.
pub(super) struct Situation<'a> {
    pub(super) retention: &'a Retention,
    pub(super) now: Wall,
    pub(super) space: DiskSpace,
}

/// A camera's share of the recordings.
struct Share {
    limits: CameraRetention,
    tracks: Vec<i64>,
    bytes: u64,
}

/// The closed reels that are over now, oldest first, at most [`PLAN_REELS_MAX`]. The newest reel of a track goes only
/// because of its age: however short room is, what was recorded last stays. And it goes last, for the log tells of each
/// segment which one came before it.
pub(super) fn expired_reels(
    connection: &Connection,
    situation: &Situation<'_>,
) -> rusqlite::Result<Vec<i64>> {
    let shares = shares(connection, situation.retention)?;
    let mut candidates = Vec::new();
    for (camera, share) in shares.iter().enumerate() {
        for track in &share.tracks {
            oldest_of(connection, camera, *track, &mut candidates)?;
        }
    }
    candidates.sort_by_key(|reel| (reel.from_ms, reel.id));
    let mut chosen = choose(situation, &shares, &candidates);
    chosen.truncate(PLAN_REELS_MAX);
    Ok(chosen)
}

fn choose(situation: &Situation<'_>, shares: &[Share], candidates: &[Candidate]) -> Vec<i64> {
    let Situation {
        retention,
        now,
        space,
    } = situation;
    let mut kept: Vec<u64> = shares.iter().map(|share| share.bytes).collect();
    let mut chosen = BTreeSet::new();
    let is_over = |reel: &Candidate, bytes: u64| {
        let limits = &shares[reel.camera].limits;
        let age_ms = *now - Wall(reel.to_ms);
        let too_old = |max: Duration| age_ms as i128 > max.as_millis() as i128;
        let too_many = |max: u64| bytes > max && !reel.is_newest;
        limits.age_max.is_some_and(too_old) || limits.bytes_max.is_some_and(too_many)
    };
    for reel in candidates {
        if is_over(reel, kept[reel.camera]) {
            chosen.insert(reel.id);
            kept[reel.camera] -= reel.bytes.min(kept[reel.camera]);
        }
    }
    let freed: u64 = shares.iter().map(|share| share.bytes).sum::<u64>() - kept.iter().sum::<u64>();
    let mut total: u64 = kept.iter().sum();
    let mut free = space.free.saturating_add(freed);
    let total_max = retention.bytes_max.unwrap_or(u64::MAX);
    let free_min = retention.free_bytes_on(space.total);
    for reel in candidates {
        if total <= total_max && free >= free_min {
            break;
        }
        if !reel.is_newest && chosen.insert(reel.id) {
            total -= reel.bytes.min(total);
            free = free.saturating_add(reel.bytes);
        }
    }
    let mut oldest_first = candidates.iter().map(|reel| reel.id).collect::<Vec<_>>();
    oldest_first.retain(|id| chosen.contains(id));
    oldest_first
}

fn shares(connection: &Connection, retention: &Retention) -> rusqlite::Result<Vec<Share>> {
    let mut cameras = connection.prepare_cached("SELECT id, name, reel_bytes FROM camera")?;
    let mut tracks = connection.prepare_cached("SELECT id FROM track WHERE camera = ?")?;
    let mut rows = cameras.query(())?;
    let mut shares = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
        let Ok(camera) = name.parse() else { continue };
        shares.push(Share {
            limits: retention.of(&camera),
            tracks: tracks
                .query_map([id], |row| row.get(0))?
                .collect::<Result<_, _>>()?,
            bytes: row.get(2)?,
        });
    }
    Ok(shares)
}

fn oldest_of(
    connection: &Connection,
    camera: usize,
    track: i64,
    candidates: &mut Vec<Candidate>,
) -> rusqlite::Result<()> {
    let mut oldest = connection.prepare_cached(
        "SELECT id, bytes, wall_ms, wall_ms + end_ms,
                first_msn = (SELECT max(first_msn) FROM reel WHERE track = ?1)
         FROM reel INDEXED BY reel_by_age
         WHERE track = ?1 AND refs = 0 AND bytes IS NOT NULL AND end_ms IS NOT NULL
         AND (first_msn <> (SELECT max(first_msn) FROM reel WHERE track = ?1)
              OR NOT EXISTS (SELECT 1 FROM reel AS other WHERE other.track = ?1 AND other.id <> reel.id))
         ORDER BY wall_ms LIMIT ?2",
    )?;
    let mut rows = oldest.query(params![track, PLAN_REELS_MAX])?;
    while let Some(row) = rows.next()? {
        candidates.push(Candidate {
            id: row.get(0)?,
            camera,
            bytes: row.get(1)?,
            from_ms: row.get(2)?,
            to_ms: row.get(3)?,
            is_newest: row.get(4)?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn chosen(retention: &Retention, free: u64, now: Wall) -> Vec<i64> {
        let limits = |name: &str| retention.of(&CameraId::from_description(name));
        let shares = ["a", "b"].map(|name| Share {
            limits: limits(name),
            tracks: Vec::new(),
            bytes: 3 * GIB,
        });
        // Six reels of a GiB and a minute each, taken in turn by two cameras.
        let candidates: Vec<_> = (0..6)
            .map(|n| Candidate {
                id: n,
                camera: n as usize % 2,
                is_newest: n >= 4,
                bytes: GIB,
                from_ms: n * 60_000,
                to_ms: (n + 1) * 60_000,
            })
            .collect();
        let situation = Situation {
            retention,
            now,
            space: DiskSpace {
                free,
                total: 100 * GIB,
            },
        };
        choose(&situation, &shares, &candidates)
    }

    #[test]
    fn nothing_goes_while_there_is_room() {
        assert!(chosen(&Retention::default(), 50 * GIB, Wall(1 << 40)).is_empty());
    }

    #[test]
    fn the_oldest_of_all_goes_when_the_disk_is_short() {
        let retention = Retention::default();
        assert_eq!(chosen(&retention, 2 * GIB, Wall(0)), [0, 1]);
        assert_eq!(chosen(&retention, 0, Wall(0)), [0, 1, 2, 3]);
    }

    #[test]
    fn each_camera_has_its_own_limits_and_all_have_theirs() {
        let mut retention = Retention {
            usual: CameraRetention {
                bytes_max: Some(2 * GIB),
                age_max: None,
            },
            ..Retention::default()
        };
        let own = CameraRetention {
            bytes_max: None,
            age_max: Some(Duration::from_secs(120)),
        };
        retention
            .cameras
            .insert(CameraId::from_description("b"), own);
        // Of a, one reel is too much. Of b, those that ended over two minutes before the sixth minute's end.
        assert_eq!(chosen(&retention, 50 * GIB, Wall(360_000)), [0, 1]);
        retention.bytes_max = Some(3 * GIB);
        assert_eq!(chosen(&retention, 50 * GIB, Wall(360_000)), [0, 1, 2]);
    }

    #[test]
    fn what_is_kept_free_suits_the_disk() {
        let usual = Retention::default();
        for (total, free) in [
            (GIB, GIB / 4),
            (32 * GIB, 32 * GIB / 20),
            (4096 * GIB, 4 * GIB),
        ] {
            assert_eq!(usual.free_bytes_on(total), free);
        }
    }

    #[test]
    fn a_clock_that_leaps_ahead_is_believed_slowly_and_one_set_back_at_once() {
        const HOUR: i64 = 3_600_000;
        let at = |hours: u64| Monotonic(hours * 3_600_000_000_000);
        let mut believed = BelievedTime::new(Some(Wall(0)), at(0));
        assert_eq!(believed.advance(Wall(1_001 * HOUR), at(1)), Wall(25 * HOUR));
        assert_eq!(believed.advance(Wall(3 * HOUR), at(2)), Wall(3 * HOUR));
        assert_eq!(believed.advance(Wall(4 * HOUR), at(3)), Wall(4 * HOUR));
    }

    #[test]
    fn a_clock_that_begins_in_1970_is_believed_once_it_is_set() {
        let (newest, minute) = (Wall(1_795_255_200_000), Monotonic(60_000_000_000));
        let mut believed = BelievedTime::new(Some(newest), Monotonic(0));
        assert_eq!(believed.advance(Wall(5), Monotonic(1)), Wall(5));
        let now = newest.plus_ms(60_000);
        assert_eq!(believed.advance(now, minute), now);
        let mut first = BelievedTime::new(None, Monotonic(0));
        assert_eq!(first.advance(Wall(5), Monotonic(1)), Wall(5));
        assert_eq!(first.advance(now, minute), now);
    }
}
