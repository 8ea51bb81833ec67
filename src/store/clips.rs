//! Clips: stretches of a camera's recording that stay whatever retention says. A clip holds reels, and copies nothing.
//! The writer makes and removes them, since it alone changes rows.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::ClipError;
use super::journal::CommitError;
use super::list_place::ListPlace;
use super::marks::{ClipMark, Mark};
use super::reader::{LABEL_AFTER_MS, LABEL_BEFORE_MS};
use super::reel_rows::extent;
use super::rows::reel_of;
use crate::base::{CameraId, Wall};

/// The longest stretch of a recording that is kept, played or saved at once, in ms.
pub const RANGE_MS_MAX: i64 = 24 * 3_600_000;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What somebody wants to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipWish {
    /// Whose recording.
    pub camera: CameraId,
    /// What people call it, at most 200 characters; may be empty.
    pub name: String,
    /// Civil time at which it starts.
    pub from: Wall,
    /// Civil time at which it ends; not in the future, and at most a day after it starts: the writer looks at all reels
    /// in between, and those who wait to record wait for it.
    pub to: Wall,
}

/// A stretch that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    /// Its number, never used again while a later clip exists.
    pub id: i64,
    /// Whose recording.
    pub camera: CameraId,
    /// What people call it.
    pub name: String,
    /// Civil time at which it starts.
    pub from: Wall,
    /// Civil time at which it ends.
    pub to: Wall,
    /// When it was made.
    pub made: Wall,
    /// Bytes of the reels that it holds, which other clips may hold, too.
    pub bytes_held: u64,
}

/// A piece of the list of clips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipPage {
    /// Those of the newest recordings first.
    pub clips: Vec<Clip>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<ListPlace>,
}

/// Why clips were not changed.
#[derive(Debug)]
pub(super) enum ClipFailure {
    /// What is wished cannot be.
    Refused(ClipError),
    /// The index cannot be read, or takes no change.
    Index(rusqlite::Error),
    /// The change could not be made durable.
    Commit(CommitError),
}

impl From<ClipError> for ClipFailure {
    fn from(error: ClipError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for ClipFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

impl From<CommitError> for ClipFailure {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl ClipWish {
    /// Refuses what cannot be kept, whatever is recorded.
    pub(super) fn check(&self, now: Wall) -> Result<(), ClipError> {
        if self.to <= self.from {
            return Err(ClipError::RangeBackwards);
        }
        if self.to > now {
            return Err(ClipError::InTheFuture);
        }
        if self.to - self.from > RANGE_MS_MAX {
            return Err(ClipError::TooLong(RANGE_MS_MAX / 3_600_000));
        }
        let name_fits =
            self.name.chars().count() <= NAME_CHARS_MAX && !self.name.chars().any(char::is_control);
        if !name_fits {
            return Err(ClipError::InvalidName);
        }
        Ok(())
    }
}

/// Makes a clip, which holds what is committed within it. What comes later is for [`hold_what_came_later`].
pub(super) fn make_clip(
    transaction: &Transaction<'_>,
    wish: &ClipWish,
    now: Wall,
) -> Result<Clip, ClipFailure> {
    wish.check(now)?;
    let camera: Option<i64> = transaction
        .prepare_cached("SELECT id FROM camera WHERE name = ?")?
        .query_row([wish.camera.as_str()], |row| row.get(0))
        .optional()?;
    let reels = match camera {
        Some(camera) => reels_within(transaction, camera, wish.from, wish.to)?,
        None => Vec::new(),
    };
    let (Some(camera), false) = (camera, reels.is_empty()) else {
        return Err(ClipError::NothingRecorded.into());
    };
    transaction.execute(
        "INSERT INTO clip (camera, name, from_ms, to_ms, made_ms) VALUES (?, ?, ?, ?, ?)",
        params![camera, wish.name, wish.from.0, wish.to.0, now.0],
    )?;
    let id = transaction.last_insert_rowid();
    for reel in reels {
        hold(transaction, id, reel)?;
    }
    let clip = clips(transaction, "WHERE clip.id = ?1", params![id])?.pop();
    clip.ok_or(ClipFailure::Refused(ClipError::NothingRecorded))
}

/// Lets a clip hold a reel, if there is such a reel and the clip does not hold it already.
pub(super) fn hold(transaction: &Transaction<'_>, clip: i64, reel: i64) -> rusqlite::Result<()> {
    let held = transaction
        .prepare_cached("INSERT OR IGNORE INTO clip_reel SELECT ?, id FROM reel WHERE id = ?")?
        .execute([clip, reel])?;
    if held > 0 {
        transaction
            .prepare_cached("UPDATE reel SET refs = refs + 1 WHERE id = ?")?
            .execute([reel])?;
    }
    Ok(())
}

/// Lets clips hold the reels of segments that came to be within them: the last of a clip that ended when it was made are
/// committed after that, and a clock that is set back comes by again. Returns what the journal must tell of that: for
/// each clip only the reels that it did not hold before.
pub(super) fn hold_what_came_later(
    transaction: &Transaction<'_>,
    segments: impl Iterator<Item = i64>,
) -> rusqlite::Result<Vec<Mark>> {
    let reels: BTreeSet<i64> = segments.map(reel_of).collect();
    let mut near = transaction.prepare_cached(
        "SELECT reel.wall_ms, clip.id, camera.name, clip.name, clip.from_ms, clip.to_ms, clip.made_ms
         FROM reel JOIN track ON track.id = reel.track JOIN camera ON camera.id = track.camera
         JOIN clip ON clip.camera = camera.id
         WHERE reel.id = ?1 AND clip.to_ms > reel.wall_ms - ?2 AND clip.from_ms < reel.wall_ms + ?3
         AND NOT EXISTS (SELECT 1 FROM clip_reel WHERE clip_reel.clip = clip.id AND clip_reel.reel = reel.id)",
    )?;
    let mut grown = BTreeMap::new();
    for reel in reels {
        let mut known_span = None;
        let mut rows = near.query([reel, LABEL_BEFORE_MS, LABEL_AFTER_MS])?;
        while let Some(row) = rows.next()? {
            let camera: String = row.get(2)?;
            let Ok(camera) = camera.parse() else { continue };
            let clip = ClipMark {
                id: row.get(1)?,
                camera,
                name: row.get(3)?,
                from: Wall(row.get(4)?),
                to: Wall(row.get(5)?),
                made: Wall(row.get(6)?),
                reels: Vec::new(),
            };
            let span = match known_span {
                Some(span) => span,
                None => *known_span.insert(span_of(transaction, reel, row.get(0)?)?),
            };
            if overlaps(span, clip.from, clip.to) {
                hold(transaction, clip.id, reel)?;
                let clip = grown.entry(clip.id).or_insert(clip);
                clip.reels.push(reel);
            }
        }
    }
    Ok(grown.into_values().map(Mark::Clip).collect())
}

/// Lets a clip's reels go. Returns whether there was such a clip.
pub(super) fn remove_clip(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<bool> {
    transaction.execute(
        "UPDATE reel SET refs = refs - 1 WHERE id IN (SELECT reel FROM clip_reel WHERE clip = ?)",
        [id],
    )?;
    transaction.execute("DELETE FROM clip_reel WHERE clip = ?", [id])?;
    Ok(transaction.execute("DELETE FROM clip WHERE id = ?", [id])? > 0)
}

/// Reels of all renditions with a segment between two labels.
fn reels_within(
    connection: &Connection,
    camera: i64,
    from: Wall,
    to: Wall,
) -> rusqlite::Result<Vec<i64>> {
    let mut near = connection.prepare_cached(
        "SELECT reel.id, reel.wall_ms FROM track JOIN reel ON reel.track = track.id
         WHERE track.camera = ?1 AND reel.wall_ms > ?2 AND reel.wall_ms < ?3 ORDER BY reel.id",
    )?;
    let earliest = from.plus_ms(-LABEL_AFTER_MS).0;
    let latest = to.plus_ms(LABEL_BEFORE_MS).0;
    let mut rows = near.query(params![camera, earliest, latest])?;
    let mut within = Vec::new();
    while let Some(row) = rows.next()? {
        let (reel, wall_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        if overlaps(span_of(connection, reel, wall_ms)?, from, to) {
            within.push(reel);
        }
    }
    Ok(within)
}

/// From when until when the segments of a reel last that starts at the label `wall_ms`; `None` if it has none.
fn span_of(
    connection: &Connection,
    reel: i64,
    wall_ms: i64,
) -> rusqlite::Result<Option<(Wall, Wall)>> {
    let start = Wall(wall_ms);
    let extent = extent(connection, reel)?;
    Ok(extent.map(|extent| (start.plus_ms(extent.first_ms), start.plus_ms(extent.end_ms))))
}

/// Whether something of a span lies between two labels.
fn overlaps(span: Option<(Wall, Wall)>, from: Wall, to: Wall) -> bool {
    span.is_some_and(|(start, end)| start < to && end > from)
}

/// The clips that a condition on the table `clip` leaves, by their start.
fn clips(
    connection: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Clip>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT clip.id, camera.name, clip.name, clip.from_ms, clip.to_ms, clip.made_ms,
                (SELECT coalesce(sum(reel.bytes), 0) FROM clip_reel JOIN reel ON reel.id = clip_reel.reel
                 WHERE clip_reel.clip = clip.id)
         FROM clip JOIN camera ON camera.id = clip.camera {condition} ORDER BY clip.from_ms, clip.id"
    ))?;
    let mut rows = statement.query(values)?;
    let mut clips = Vec::new();
    while let Some(row) = rows.next()? {
        let camera: String = row.get(1)?;
        let Ok(camera) = camera.parse() else { continue };
        clips.push(Clip {
            id: row.get(0)?,
            camera,
            name: row.get(2)?,
            from: Wall(row.get(3)?),
            to: Wall(row.get(4)?),
            made: Wall(row.get(5)?),
            bytes_held: row.get(6)?,
        });
    }
    Ok(clips)
}

/// The clips of a camera with something between two labels, by their start; the first thousand, if there are more.
pub(super) fn clips_within(
    connection: &Connection,
    camera: &CameraId,
    from: Wall,
    to: Wall,
) -> rusqlite::Result<Vec<Clip>> {
    clips(
        connection,
        "WHERE clip.id IN (SELECT clip.id FROM clip JOIN camera ON camera.id = clip.camera
         WHERE camera.name = ?1 AND clip.to_ms > ?2 AND clip.from_ms < ?3
         ORDER BY clip.from_ms, clip.id LIMIT 1000)",
        params![camera.as_str(), from.0, to.0],
    )
}

/// A clip by its number.
pub(super) fn clip_of(connection: &Connection, id: i64) -> rusqlite::Result<Option<Clip>> {
    Ok(clips(connection, "WHERE clip.id = ?1", [id])?.pop())
}

/// The clips of a camera, or of all, those of the newest recordings first, at most `limit` of those behind `place`.
pub(super) fn clip_page(
    connection: &Connection,
    camera: Option<&CameraId>,
    place: ListPlace,
    limit: usize,
) -> rusqlite::Result<ClipPage> {
    let mut places = connection
        .prepare_cached(
            "SELECT clip.from_ms, clip.id FROM clip JOIN camera ON camera.id = clip.camera
             WHERE (?1 IS NULL OR camera.name = ?1) AND (clip.from_ms, clip.id) < (?2, ?3)
             ORDER BY clip.from_ms DESC, clip.id DESC LIMIT ?4",
        )?
        .query_map(
            params![
                camera.map(CameraId::as_str),
                place.at.0,
                place.row,
                limit + 1
            ],
            |row| {
                let (at, row) = (Wall(row.get(0)?), row.get(1)?);
                Ok(ListPlace { at, row })
            },
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_end = places.len() <= limit;
    places.truncate(limit);
    let next = places.last().copied().filter(|_| !is_end);
    let mut page = Vec::with_capacity(places.len());
    for place in places {
        page.extend(clip_of(connection, place.row)?);
    }
    Ok(ClipPage { clips: page, next })
}
