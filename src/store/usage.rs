//! How much room recordings take, how fast that grows, and when it ends: what people want to know before a disk is
//! full. Reads the index's summaries.

use rusqlite::{Connection, params};

use super::error::ReadError;
use super::file_system::DiskSpace;
use super::import::{Damage, count_damage};
use super::reader::{Reader, earlier, track_end, track_start, tracks};
use super::reel_rows::HOUR_MS;
use super::retention::{CameraRetention, Retention};
use super::rows::REEL_SEGMENTS_MAX;
use crate::base::{CameraId, Wall};

const DAY_MS: i64 = 24 * HOUR_MS;

/// A rate is told once so much is recorded, in ms.
const RATE_MS_MIN: i64 = 10 * 60_000;

/// A camera of which nothing came for so long, in ms, is not taken to go on as before.
const STOPPED_MS: i64 = HOUR_MS;

/// Room for less than this part of a day's recordings is as good as none: retention works in steps.
const FULL_DAYS: f64 = 0.05;

/// The recordings' share of the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// Bytes of the disk in all.
    pub disk_bytes: u64,
    /// Bytes of it that are free.
    pub free_bytes: u64,
    /// Bytes of it that retention keeps free.
    pub keep_free_bytes: u64,
    /// Bytes that all recordings together may take.
    pub bytes_max: Option<u64>,
    /// Each camera that was ever recorded, by name.
    pub cameras: Vec<CameraUsage>,
    /// What the disk has damaged, of recordings and of imports.
    pub damage: Damage,
}

/// One camera's recordings.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraUsage {
    /// Whose.
    pub camera: CameraId,
    /// Bytes of its reels.
    pub bytes: u64,
    /// What holds for it.
    pub limits: CameraRetention,
    /// Its first label.
    pub oldest: Option<Wall>,
    /// Where its newest segment ends.
    pub newest: Option<Wall>,
    /// Bytes a day: while it records, at the rate of its last day, `None` until ten minutes are recorded; once nothing
    /// came for an hour, what came within the last day, and so nothing after a day.
    pub bytes_per_day: Option<f64>,
}

/// What becomes of the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forecast {
    /// Too little was recorded within the last day to tell.
    Unknown,
    /// There is room for so many days at the present rate.
    Filling {
        /// Days until the oldest recordings begin to go.
        days_left: f64,
        /// Days that recordings will reach back then.
        reach_days: f64,
    },
    /// What comes takes the place of the oldest, for there is no more room.
    Full {
        /// Days that recordings reach back at the present rate.
        reach_days: f64,
    },
    /// What comes takes the place of the oldest, as each camera's own limit wants it; there would be room for more.
    Steady {
        /// Days that recordings reach back.
        reach_days: f64,
    },
}

impl Usage {
    /// Bytes of all recordings.
    pub fn bytes(&self) -> u64 {
        self.cameras.iter().map(|camera| camera.bytes).sum()
    }

    /// Bytes a day of all cameras.
    pub fn bytes_per_day(&self) -> f64 {
        let rates = self
            .cameras
            .iter()
            .filter_map(|camera| camera.bytes_per_day);
        // A sum of nothing would be minus zero.
        rates.fold(0.0, |sum, rate| sum + rate)
    }

    /// What becomes of the disk if all goes on as on the last day. A camera at a limit of its own grows no more.
    pub fn forecast(&self) -> Forecast {
        let rate = self.bytes_per_day();
        if rate < 1.0 {
            return Forecast::Unknown;
        }
        let bytes = self.bytes();
        let room_on_disk = (bytes + self.free_bytes).saturating_sub(self.keep_free_bytes);
        let capacity = room_on_disk.min(self.bytes_max.unwrap_or(u64::MAX));
        let left = capacity.saturating_sub(bytes) as f64;
        let is_full = left < rate * FULL_DAYS;
        let growing = || {
            self.cameras
                .iter()
                .filter(|camera| !camera.is_at_its_limit())
        };
        let growth: f64 = growing().filter_map(|camera| camera.bytes_per_day).sum();
        if growth < 1.0 {
            let recorded_ms = self.cameras.iter().map(CameraUsage::recorded_ms).max();
            let reach_days = recorded_ms.unwrap_or_default() as f64 / DAY_MS as f64;
            return match is_full {
                true => Forecast::Full { reach_days },
                false => Forecast::Steady { reach_days },
            };
        }
        // What the others hold already stays theirs.
        let of_growing: u64 = growing().map(|camera| camera.bytes).sum();
        let reach_days = capacity.saturating_sub(bytes - of_growing) as f64 / growth;
        if is_full {
            return Forecast::Full { reach_days };
        }
        Forecast::Filling {
            days_left: left / growth,
            reach_days,
        }
    }
}

impl CameraUsage {
    fn is_at_its_limit(&self) -> bool {
        let a_step = self.bytes_per_day.unwrap_or_default() * FULL_DAYS;
        let by_bytes = self
            .limits
            .bytes_max
            .is_some_and(|max| self.bytes as f64 + a_step >= max as f64);
        let recorded_ms = self.recorded_ms();
        let by_age = self.limits.age_max.is_some_and(|max| {
            recorded_ms as f64 + DAY_MS as f64 * FULL_DAYS >= max.as_millis() as f64
        });
        by_bytes || by_age
    }

    /// From its first label to where its newest segment ends.
    fn recorded_ms(&self) -> i64 {
        match (self.oldest, self.newest) {
            (Some(oldest), Some(newest)) => newest - oldest,
            _ => 0,
        }
    }
}

impl Reader {
    /// How much room recordings take on a disk with this much, when the clock says `now`.
    pub(super) fn usage(
        &self,
        retention: &Retention,
        space: DiskSpace,
        now: Wall,
    ) -> Result<Usage, ReadError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT name, reel_bytes FROM camera ORDER BY name")?;
            let mut rows = statement.query(())?;
            let mut cameras = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let Ok(camera) = name.parse::<CameraId>() else {
                    continue;
                };
                let mut usage = CameraUsage {
                    bytes: row.get(1)?,
                    limits: retention.of(&camera),
                    oldest: None,
                    newest: None,
                    bytes_per_day: None,
                    camera,
                };
                let tracks = tracks(connection, &usage.camera)?;
                for (_, track) in &tracks {
                    usage.bytes += open_bytes(connection, *track)?;
                    usage.newest = usage.newest.max(track_end(connection, *track)?);
                    usage.oldest = earlier(usage.oldest, track_start(connection, *track)?);
                }
                if let Some(newest) = usage.newest {
                    let has_stopped = now - newest > STOPPED_MS;
                    let until = if has_stopped { now } else { newest };
                    let (mut bytes, mut from) = (0, newest);
                    for (_, track) in &tracks {
                        let (of_track, start): (u64, Option<i64>) = connection
                            .prepare_cached(
                                "SELECT coalesce(sum(bytes), 0), min(wall_ms) FROM reel
                                 WHERE track = ? AND wall_ms > ? AND bytes IS NOT NULL",
                            )?
                            .query_row(params![track, until.plus_ms(-DAY_MS).0], |row| {
                                Ok((row.get(0)?, row.get(1)?))
                            })?;
                        bytes += of_track;
                        from = from.min(start.map_or(from, Wall));
                    }
                    let of_ms = if has_stopped { DAY_MS } else { newest - from };
                    usage.bytes_per_day = rate(bytes, of_ms);
                }
                cameras.push(usage);
            }
            Ok(Usage {
                disk_bytes: space.total,
                free_bytes: space.free,
                keep_free_bytes: retention.free_bytes_on(space.total),
                bytes_max: retention.bytes_max,
                cameras,
                damage: count_damage(connection)?,
            })
        })
    }
}

/// Bytes of a track's reels that still grow.
pub(super) fn open_bytes(connection: &Connection, track: i64) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum((SELECT max(offset + bytes) FROM segment
                                  WHERE id >= reel.id * ?2 AND id < (reel.id + 1) * ?2)), 0)
             FROM reel INDEXED BY reel_open WHERE track = ?1 AND bytes IS NULL",
        )?
        .query_row(params![track, REEL_SEGMENTS_MAX as i64], |row| row.get(0))
}

fn rate(bytes: u64, ms: i64) -> Option<f64> {
    (ms >= RATE_MS_MIN).then(|| bytes as f64 * DAY_MS as f64 / ms as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GB: u64 = 1_000_000_000;

    fn usage(bytes: u64, free: u64, limits: CameraRetention) -> Usage {
        Usage {
            disk_bytes: 1000 * GB,
            free_bytes: free,
            keep_free_bytes: 4 * GB,
            bytes_max: None,
            cameras: vec![CameraUsage {
                camera: CameraId::from_description("a"),
                bytes,
                limits,
                oldest: Some(Wall(0)),
                newest: Some(Wall(2 * DAY_MS)),
                bytes_per_day: Some(40.0 * GB as f64),
            }],
            damage: Damage::default(),
        }
    }

    #[test]
    fn the_forecast_says_when_room_ends_and_how_far_back_it_reaches() {
        let none = CameraRetention::default();
        let filling = Forecast::Filling {
            days_left: 3.0,
            reach_days: 5.0,
        };
        assert_eq!(usage(80 * GB, 124 * GB, none).forecast(), filling);
        let full = Forecast::Full { reach_days: 2.0 };
        assert_eq!(usage(80 * GB, 4 * GB, none).forecast(), full);
        assert_eq!(
            usage(80 * GB, 3 * GB, none).forecast(),
            Forecast::Full { reach_days: 1.975 }
        );
    }

    #[test]
    fn a_camera_at_its_own_limit_grows_no_more() {
        let two_days = CameraRetention {
            age_max: Some(Duration::from_secs(2 * 86_400)),
            bytes_max: None,
        };
        let steady = Forecast::Steady { reach_days: 2.0 };
        assert_eq!(usage(80 * GB, 800 * GB, two_days).forecast(), steady);
        let full = Forecast::Full { reach_days: 2.0 };
        assert_eq!(usage(80 * GB, 4 * GB, two_days).forecast(), full);
        // Another that has no limit gets the rest of the room.
        let mut both = usage(80 * GB, 164 * GB, two_days);
        let unlimited = usage(40 * GB, 0, CameraRetention::default());
        both.cameras.extend(unlimited.cameras);
        let filling = Forecast::Filling {
            days_left: 4.0,
            reach_days: 5.0,
        };
        assert_eq!(both.forecast(), filling);
        let mut unknown = usage(0, 800 * GB, two_days);
        unknown.cameras[0].bytes_per_day = rate(5, RATE_MS_MIN - 1);
        assert_eq!(unknown.forecast(), Forecast::Unknown);
    }
}
