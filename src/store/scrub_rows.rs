//! Segments whose bytes are not what they were: their rows move to a table of their own, so that nobody finds them who
//! looks for something to play. The bytes stay.

use rusqlite::{Connection, params};

use super::rows::REEL_SEGMENTS_MAX;

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

/// Forgets what is known of a reel's damaged segments.
pub(super) fn forget_damaged(connection: &Connection, reel: i64) -> rusqlite::Result<()> {
    let first_key = reel * REEL_SEGMENTS_MAX as i64;
    connection
        .prepare_cached("DELETE FROM damaged WHERE id >= ? AND id < ?")?
        .execute(params![first_key, first_key + REEL_SEGMENTS_MAX as i64])?;
    Ok(())
}
