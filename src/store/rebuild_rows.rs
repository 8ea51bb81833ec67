//! Rows of an index that is made again: those of a reel from what it says of itself, and those that the journal tells.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::clips::{hold, remove_clip};
use super::import::replay_damage;
use super::index::forget_gaps;
use super::marks::{ClipMark, Mark};
use super::numbers::numbers_above;
use super::parameters::encode_parameters;
use super::recovery::wall_end;
use super::reel::{FoundSegment, ReelHead};
use super::reel_rows::close_reel;
use super::rows::{REEL_SEGMENTS_MAX, reel_of, segment_key, segment_keys};
use super::scrub_rows::{forget_loss, put_back, quarantine};
use super::status::{GapMark, GapReason};
use crate::base::CameraId;

/// A reel as it was read. Never without a segment.
pub(super) struct ReadReel {
    pub(super) id: i64,
    pub(super) day: String,
    pub(super) head: ReelHead,
    pub(super) init: Vec<u8>,
    /// Size of the file.
    pub(super) bytes: u64,
    pub(super) segments: Vec<FoundSegment>,
    /// What between its head and its end is no segment.
    pub(super) damaged: Vec<Range<u64>>,
}

impl ReadReel {
    /// Whether damage hides the first segment of the reel, from which the keys of all others were counted.
    pub(super) fn has_lost_its_first(&self) -> bool {
        let first = self.segments[0].offset;
        self.damaged.iter().any(|stretch| stretch.start < first)
    }
}

/// Writes the rows of a reel. Returns false, having written none, if its numbers contradict each other or those of
/// another reel.
pub(super) fn insert_reel(
    transaction: &Transaction<'_>,
    reel: &ReadReel,
) -> rusqlite::Result<bool> {
    let origin = &reel.segments[0].trailer;
    let in_order = reel
        .segments
        .windows(2)
        .all(|pair| pair[0].trailer.msn < pair[1].trailer.msn);
    let fits = |found: &FoundSegment| {
        let trailer = &found.trailer;
        trailer.run == reel.head.run
            && trailer.msn - origin.msn < REEL_SEGMENTS_MAX
            && trailer.start_ticks >= origin.start_ticks
    };
    if !in_order || !reel.segments.iter().all(fits) {
        return Ok(false);
    }
    let camera = ensure_camera(transaction, &reel.head.camera)?;
    let track = ensure_track(transaction, camera, reel.head.rendition.name())?;
    transaction
        .prepare_cached("INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?)")?
        .execute(params![
            track,
            reel.head.run,
            encode_parameters(&reel.head.parameters),
            reel.init
        ])?;
    let inserted = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO reel (id, track, run, day, first_msn, wall_ms, start_ticks)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            reel.id,
            track,
            reel.head.run,
            reel.day,
            origin.msn,
            origin.wall_start.0,
            origin.start_ticks
        ])?;
    if inserted == 0 {
        return Ok(false);
    }
    for found in &reel.segments {
        let trailer = &found.trailer;
        transaction
            .prepare_cached("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)")?
            .execute(params![
                segment_key(reel.id, origin.msn, trailer.msn),
                found.offset,
                trailer.segment_bytes,
                trailer.wall_start - origin.wall_start,
                trailer.start_ticks - origin.start_ticks,
                trailer.duration_ticks
            ])?;
    }
    close_reel(transaction, reel.id, reel.bytes)?;
    let last = &reel.segments[reel.segments.len() - 1].trailer;
    let (next_run, next_msn) = numbers_above(last.run, last.msn);
    transaction
        .prepare_cached(
            "UPDATE camera SET next_run = max(next_run, ?), next_msn = max(next_msn, ?) WHERE id = ?",
        )?
        .execute(params![next_run, next_msn, camera])?;
    mark_losses(transaction, camera, reel)?;
    Ok(true)
}

/// Between two segments with damage between them, something was recorded that is lost.
fn mark_losses(
    transaction: &Transaction<'_>,
    camera: i64,
    reel: &ReadReel,
) -> rusqlite::Result<()> {
    for pair in reel.segments.windows(2) {
        if pair[0].end == pair[1].offset {
            continue;
        }
        let before = &pair[0].trailer;
        let timescale = reel.head.parameters.timescale();
        let from = wall_end(before.wall_start, before.duration_ticks, timescale);
        transaction
            .prepare_cached(
                "INSERT INTO gap (camera, rendition, from_ms, to_ms, reason)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?3 < ?4",
            )?
            .execute(params![
                camera,
                reel.head.rendition.name(),
                from.0,
                pair[1].trailer.wall_start.0,
                GapReason::Lost.number()
            ])?;
    }
    Ok(())
}

/// Notes the file of a reel that was over, to be removed at the next start.
pub(super) fn note_forgotten(transaction: &Transaction<'_>, path: &Path) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO garbage (path) VALUES (?)")?
        .execute([path.to_str()])?;
    Ok(())
}

/// Does again what the journal tells, in its order. Returns how many gaps and clips there are then. Which segments of
/// the reels `without_first` were damaged is not known, since their keys are others now: scrubbing finds them again.
pub(super) fn replay(
    transaction: &Transaction<'_>,
    marks: &[Mark],
    without_first: &BTreeSet<i64>,
) -> rusqlite::Result<(u64, u64)> {
    // Those that reels told of get their numbers behind those that the journal names.
    transaction.execute_batch(
        "CREATE TEMP TABLE found_gap AS SELECT camera, rendition, from_ms, to_ms, reason FROM gap;
         DELETE FROM gap;",
    )?;
    let (mut still_damaged, mut put_back_of) = (BTreeSet::new(), BTreeSet::new());
    for mark in marks {
        match mark {
            Mark::Gap { row, mark } => put_gap(transaction, *row, mark)?,
            Mark::GapsOver { camera, until } => {
                let camera = ensure_camera(transaction, camera)?;
                forget_gaps(transaction, camera, *until)?;
            }
            Mark::Ceiling {
                camera,
                next_run,
                next_msn,
            } => {
                let camera = ensure_camera(transaction, camera)?;
                transaction
                    .prepare_cached(
                        "UPDATE camera SET next_run = max(next_run, ?), next_msn = max(next_msn, ?)
                         WHERE id = ?",
                    )?
                    .execute(params![next_run, next_msn, camera])?;
            }
            Mark::Clip(clip) => put_clip(transaction, clip)?,
            Mark::ClipRemoved { id } => {
                remove_clip(transaction, *id)?;
            }
            Mark::Damaged { segments } => {
                for &segment in segments {
                    if without_first.contains(&reel_of(segment)) {
                        still_damaged.insert(segment);
                    } else {
                        quarantine(transaction, segment)?;
                    }
                }
            }
            Mark::Recovered { segments } => {
                for &segment in segments {
                    if without_first.contains(&reel_of(segment)) {
                        still_damaged.remove(&segment);
                        put_back_of.insert(reel_of(segment));
                    } else {
                        put_back(transaction, segment)?;
                    }
                }
            }
            Mark::DamagedChunks { pack, offsets } => replay_damage(transaction, *pack, offsets)?,
            Mark::Forgotten { .. } | Mark::Whole => {}
        }
    }
    for reel in put_back_of {
        let keys = segment_keys(reel);
        // All that were damaged read well again, but for the first, which is not there: nothing that is there is lost.
        if still_damaged
            .range(keys.start + 1..keys.end)
            .next()
            .is_none()
        {
            forget_losses(transaction, keys)?;
        }
    }
    transaction.execute_batch(
        "INSERT INTO gap (camera, rendition, from_ms, to_ms, reason)
         SELECT camera, rendition, from_ms, to_ms, reason FROM found_gap WHERE NOT EXISTS (
             SELECT 1 FROM gap WHERE gap.camera = found_gap.camera AND gap.rendition IS found_gap.rendition
             AND gap.from_ms <= found_gap.from_ms AND gap.to_ms >= found_gap.to_ms);
         DROP TABLE found_gap;",
    )?;
    let count = |table: &str| {
        let query = format!("SELECT count(*) FROM {table}");
        transaction.query_row(&query, (), |row| row.get(0))
    };
    Ok((count("gap")?, count("clip")?))
}

/// Takes the time of the segments with these keys, those that there are, out of what is lost.
fn forget_losses(transaction: &Transaction<'_>, keys: Range<i64>) -> rusqlite::Result<()> {
    let mut segments =
        transaction.prepare_cached("SELECT id FROM segment WHERE id >= ? AND id < ?")?;
    let mut rows = segments.query([keys.start, keys.end])?;
    while let Some(row) = rows.next()? {
        forget_loss(transaction, row.get(0)?)?;
    }
    Ok(())
}

fn put_gap(transaction: &Transaction<'_>, row: i64, mark: &GapMark) -> rusqlite::Result<()> {
    let camera = ensure_camera(transaction, &mark.camera)?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO gap (id, camera, rendition, from_ms, to_ms, reason)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            row,
            camera,
            mark.gap.rendition.map(|rendition| rendition.name()),
            mark.gap.from.0,
            mark.gap.to.0,
            mark.gap.reason.number()
        ])?;
    Ok(())
}

fn put_clip(transaction: &Transaction<'_>, clip: &ClipMark) -> rusqlite::Result<()> {
    let camera = ensure_camera(transaction, &clip.camera)?;
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO clip (id, camera, name, from_ms, to_ms, made_ms) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            clip.id,
            camera,
            clip.name,
            clip.from.0,
            clip.to.0,
            clip.made.0
        ])?;
    for reel in &clip.reels {
        // One that cannot be read has no row.
        hold(transaction, clip.id, *reel)?;
    }
    Ok(())
}

fn ensure_camera(connection: &Connection, camera: &CameraId) -> rusqlite::Result<i64> {
    let known = connection
        .prepare_cached("SELECT id FROM camera WHERE name = ?")?
        .query_row([camera.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    connection
        .prepare_cached("INSERT INTO camera (name, next_run, next_msn) VALUES (?, 0, 0)")?
        .execute([camera.as_str()])?;
    Ok(connection.last_insert_rowid())
}

fn ensure_track(connection: &Connection, camera: i64, rendition: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO track (camera, rendition) VALUES (?, ?)")?
        .execute(params![camera, rendition])?;
    connection
        .prepare_cached("SELECT id FROM track WHERE camera = ? AND rendition = ?")?
        .query_row(params![camera, rendition], |row| row.get(0))
}
