//! Segments whose bytes are not what they were: their rows move to a table of their own, so that nobody finds them who
//! looks for something to play. The bytes stay.

use rusqlite::{Connection, params};

use super::parameters::decode_parameters;
use super::recovery::wall_end;
use super::rows::{REEL_SEGMENTS_MAX, segment_keys};
use super::status::{GAP_TOUCHES_MS, GapReason};
use crate::base::Wall;

/// Takes a segment of a closed reel out of what can be played. Returns whether it was there.
pub(super) fn quarantine(connection: &Connection, segment: i64) -> rusqlite::Result<bool> {
    let moved = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO damaged SELECT segment.* FROM segment WHERE segment.id = ?1
             AND EXISTS (SELECT 1 FROM reel WHERE reel.id = ?1 / ?2 AND reel.bytes IS NOT NULL)",
        )?
        .execute(params![segment, REEL_SEGMENTS_MAX])?;
    if moved > 0 {
        connection
            .prepare_cached("DELETE FROM segment WHERE id = ?")?
            .execute([segment])?;
    }
    Ok(moved > 0)
}

/// Gives a segment back to what can be played, and takes its time out of what is lost. Returns whether it was damaged.
pub(super) fn put_back(connection: &Connection, segment: i64) -> rusqlite::Result<bool> {
    let moved = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO segment SELECT damaged.* FROM damaged WHERE damaged.id = ?1
             AND EXISTS (SELECT 1 FROM reel WHERE reel.id = ?1 / ?2)",
        )?
        .execute(params![segment, REEL_SEGMENTS_MAX])?;
    if moved == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached("DELETE FROM damaged WHERE id = ?")?
        .execute([segment])?;
    forget_loss(connection, segment)?;
    Ok(true)
}

/// Takes a segment's time out of what is lost.
pub(super) fn forget_loss(connection: &Connection, segment: i64) -> rusqlite::Result<()> {
    let mut losses = connection.prepare_cached(
        "SELECT gap.id, gap.from_ms, gap.to_ms, reel.wall_ms + segment.wall_ms, segment.duration_ticks, run.parameters
         FROM segment JOIN reel ON reel.id = segment.id / ?2 JOIN track ON track.id = reel.track
         JOIN run ON run.track = reel.track AND run.run = reel.run
         JOIN gap ON gap.camera = track.camera AND gap.rendition = track.rendition
         WHERE segment.id = ?1 AND gap.reason = ?3 AND gap.to_ms > reel.wall_ms + segment.wall_ms",
    )?;
    let lost = GapReason::Lost.number();
    let mut rows = losses.query(params![segment, REEL_SEGMENTS_MAX, lost])?;
    let mut cuts = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, from, to): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (start, parameters): (i64, Vec<u8>) = (row.get(3)?, row.get(5)?);
        let Some(parameters) = decode_parameters(&parameters) else {
            continue;
        };
        let end = wall_end(Wall(start), row.get(4)?, parameters.timescale()).0;
        if from < end {
            cuts.push(((id, from, to), start, end));
        }
    }
    for (gap, start, end) in cuts {
        cut_gap(connection, gap, (start, end))?;
    }
    Ok(())
}

/// Takes a time out of a gap, of which one at either side may be left.
fn cut_gap(
    connection: &Connection,
    (row, from, to): (i64, i64, i64),
    (start, end): (i64, i64),
) -> rusqlite::Result<()> {
    // Labels of neighbouring segments are rounded.
    for (from, to) in [(from, start), (end, to)] {
        if to - from > GAP_TOUCHES_MS {
            connection
                .prepare_cached(
                    "INSERT INTO gap (camera, rendition, from_ms, to_ms, reason)
                     SELECT camera, rendition, ?2, ?3, reason FROM gap WHERE id = ?1",
                )?
                .execute([row, from, to])?;
        }
    }
    connection
        .prepare_cached("DELETE FROM gap WHERE id = ?")?
        .execute([row])?;
    Ok(())
}

/// Forgets what is known of a reel's damaged segments.
pub(super) fn forget_damaged(connection: &Connection, reel: i64) -> rusqlite::Result<()> {
    let keys = segment_keys(reel);
    connection
        .prepare_cached("DELETE FROM damaged WHERE id >= ? AND id < ?")?
        .execute([keys.start, keys.end])?;
    Ok(())
}
