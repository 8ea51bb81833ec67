//! Rows that follow from closed reels: their summaries, spans without a break, hours, the size of a camera's
//! recordings. Kept within the transaction that closes or forgets a reel, so that they never disagree with it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::parameters::decode_parameters;
use super::rows::segment_keys;
use super::scrub_rows::forget_damaged;
use crate::media::ticks_to_seconds;

/// Reels whose labels are at most this far apart, in ms, have no break between them: labels are rounded, and follow
/// a clock that is being slewed.
const BREAK_MS: i64 = 500;

/// A bucket of the table `hour`, in ms.
pub(super) const HOUR_MS: i64 = 3_600_000;

/// A bucket of the table `quarter`, in ms: a quarter of a day.
pub(super) const QUARTER_MS: i64 = 6 * HOUR_MS;

/// The tables of sums and their buckets. The column that counts buckets has the name of its table.
const SUMS: [(&str, i64); 2] = [("hour", HOUR_MS), ("quarter", QUARTER_MS)];

/// A closed reel, as far as others depend on it.
struct ClosedReel {
    camera: i64,
    track: i64,
    run: i64,
    first_msn: i64,
    wall_ms: i64,
    end_ms: i64,
    media_ms: i64,
    bytes: i64,
}

/// Closes a reel of `bytes`: nothing more is appended. One without segments has no row to close.
pub(super) fn close_reel(
    transaction: &Transaction<'_>,
    id: i64,
    bytes: u64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE reel SET bytes = ? WHERE id = ?")?
        .execute(params![bytes, id])?;
    summarize(transaction, id)
}

/// For an index that was made before there were summaries.
pub(super) fn summarize_closed_reels(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut closed =
        transaction.prepare("SELECT id FROM reel WHERE bytes IS NOT NULL ORDER BY id")?;
    let ids: Vec<i64> = closed
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    ids.into_iter()
        .try_for_each(|id| summarize(transaction, id))
}

fn summarize(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    let Some(extent) = extent(transaction, id)? else {
        return Ok(());
    };
    transaction
        .prepare_cached("UPDATE reel SET end_ms = ?, media_ms = ? WHERE id = ?")?
        .execute(params![extent.end_ms, extent.media_ms, id])?;
    let Some(reel) = closed_reel(transaction, id)? else {
        return Ok(());
    };
    transaction
        .prepare_cached("UPDATE camera SET reel_bytes = reel_bytes + ? WHERE id = ?")?
        .execute(params![reel.bytes, reel.camera])?;
    for (table, bucket_ms) in SUMS {
        let bucket = reel.wall_ms.div_euclid(bucket_ms);
        transaction
            .prepare_cached(&format!(
                "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET media_ms = media_ms + ?3, bytes = bytes + ?4"
            ))?
            .execute(params![reel.track, bucket, reel.media_ms, reel.bytes])?;
    }
    extend_span(transaction, &reel)
}

/// What the segments of a reel cover, in ms since the reel's own label.
pub(super) struct Extent {
    /// The earliest label among them; not always the first's, for clocks are set back a little.
    pub(super) first_ms: i64,
    /// Where the last one ends.
    pub(super) end_ms: i64,
    /// How long they last together.
    media_ms: i64,
}

/// What a reel's segments cover; `None` if it has none. Those of which nobody can tell how they are decoded count with
/// their labels alone, so that they go some day as all others do.
pub(super) fn extent(connection: &Connection, id: i64) -> rusqlite::Result<Option<Extent>> {
    let parameters: Option<Option<Vec<u8>>> = connection
        .prepare_cached(
            "SELECT run.parameters FROM reel LEFT JOIN run ON run.track = reel.track AND run.run = reel.run
             WHERE reel.id = ?",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let timescale = timescale_of(parameters.flatten().as_deref());
    let keys = segment_keys(id);
    let mut segments = connection.prepare_cached(
        "SELECT wall_ms, duration_ticks FROM segment WHERE id >= ? AND id < ? ORDER BY id",
    )?;
    let mut rows = segments.query([keys.start, keys.end])?;
    let (mut extent, mut ticks) = (None::<Extent>, 0u64);
    while let Some(row) = rows.next()? {
        let (wall_ms, duration_ticks): (i64, u64) = (row.get(0)?, row.get(1)?);
        ticks += duration_ticks;
        extent = Some(Extent {
            first_ms: extent.map_or(wall_ms, |extent| extent.first_ms.min(wall_ms)),
            end_ms: wall_ms + ticks_to_ms(duration_ticks, timescale),
            media_ms: ticks_to_ms(ticks, timescale),
        });
    }
    Ok(extent)
}

/// Ticks a second of a track with these parameters; if nobody can read them, so many that nothing lasts any time.
fn timescale_of(parameters: Option<&[u8]>) -> u32 {
    let decoded = parameters.and_then(decode_parameters);
    decoded.map_or(u32::MAX, |parameters| parameters.timescale())
}

fn ticks_to_ms(ticks: u64, timescale: u32) -> i64 {
    (ticks_to_seconds(ticks, timescale) * 1000.0).round() as i64
}

fn closed_reel(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<ClosedReel>> {
    transaction
        .prepare_cached(
            "SELECT track.camera, reel.track, reel.run, reel.first_msn, reel.wall_ms, reel.end_ms, reel.media_ms, reel.bytes
             FROM reel JOIN track ON track.id = reel.track
             WHERE reel.id = ? AND reel.bytes IS NOT NULL AND reel.end_ms IS NOT NULL",
        )?
        .query_row([id], |row| {
            Ok(ClosedReel {
                camera: row.get(0)?,
                track: row.get(1)?,
                run: row.get(2)?,
                first_msn: row.get(3)?,
                wall_ms: row.get(4)?,
                end_ms: row.get(5)?,
                media_ms: row.get(6)?,
                bytes: row.get(7)?,
            })
        })
        .optional()
}

impl ClosedReel {
    fn to_ms(&self) -> i64 {
        self.wall_ms + self.end_ms
    }
}

/// Adds a reel to the span before it, or after it, or both, which makes one of two; or begins another. Reels are not
/// always closed in their order: one whose end could not be cut is closed at the next start.
fn extend_span(transaction: &Transaction<'_>, reel: &ClosedReel) -> rusqlite::Result<()> {
    let before = span_beside(transaction, reel, "<", "DESC")?;
    let after = span_beside(transaction, reel, ">", "ASC")?
        .filter(|after| (after.from_ms - reel.to_ms()).abs() <= BREAK_MS);
    let before = before.filter(|before| (reel.wall_ms - before.to_ms).abs() <= BREAK_MS);
    for span in [&before, &after].into_iter().flatten() {
        transaction
            .prepare_cached("DELETE FROM span WHERE id = ?")?
            .execute([span.id])?;
    }
    let (first_msn, from_ms) = before.map_or((reel.first_msn, reel.wall_ms), |span| {
        (span.first_msn, span.from_ms)
    });
    let (last_msn, to_ms) = after.map_or((reel.first_msn, reel.to_ms()), |span| {
        (span.last_msn, span.to_ms)
    });
    transaction
        .prepare_cached("INSERT INTO span VALUES (NULL, ?, ?, ?, ?, ?)")?
        .execute(params![reel.track, first_msn, last_msn, from_ms, to_ms])?;
    Ok(())
}

struct Span {
    id: i64,
    first_msn: i64,
    last_msn: i64,
    from_ms: i64,
    to_ms: i64,
}

/// The nearest span of the reel's track on one side of it, in the order of recording.
fn span_beside(
    transaction: &Transaction<'_>,
    reel: &ClosedReel,
    side: &str,
    order: &str,
) -> rusqlite::Result<Option<Span>> {
    transaction
        .prepare_cached(&format!(
            "SELECT id, first_msn, last_msn, from_ms, to_ms FROM span
             WHERE track = ? AND first_msn {side} ? ORDER BY first_msn {order} LIMIT 1"
        ))?
        .query_row(params![reel.track, reel.first_msn], |row| {
            Ok(Span {
                id: row.get(0)?,
                first_msn: row.get(1)?,
                last_msn: row.get(2)?,
                from_ms: row.get(3)?,
                to_ms: row.get(4)?,
            })
        })
        .optional()
}

/// What is left to know of a reel whose rows are gone.
pub(super) struct ForgottenReel {
    /// Its camera's key.
    pub(super) camera: i64,
    /// The day whose folder it lies in.
    pub(super) day: String,
    pub(super) bytes: u64,
}

/// Removes every row of a closed reel that no clip holds. `None`, and nothing changes, if there is no such reel.
pub(super) fn forget_reel(
    transaction: &Transaction<'_>,
    id: i64,
) -> rusqlite::Result<Option<ForgottenReel>> {
    let Some(reel) = closed_reel(transaction, id)? else {
        return Ok(None);
    };
    let day: Option<String> = transaction
        .prepare_cached("DELETE FROM reel WHERE id = ? AND refs = 0 RETURNING day")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(day) = day else {
        return Ok(None);
    };
    let keys = segment_keys(id);
    transaction
        .prepare_cached("DELETE FROM segment WHERE id >= ? AND id < ?")?
        .execute([keys.start, keys.end])?;
    forget_damaged(transaction, id)?;
    transaction
        .prepare_cached("UPDATE camera SET reel_bytes = reel_bytes - ? WHERE id = ?")?
        .execute(params![reel.bytes, reel.camera])?;
    for (table, bucket_ms) in SUMS {
        let bucket = reel.wall_ms.div_euclid(bucket_ms);
        transaction
            .prepare_cached(&format!(
                "UPDATE {table} SET media_ms = media_ms - ?, bytes = bytes - ? WHERE track = ? AND {table} = ?"
            ))?
            .execute(params![reel.media_ms, reel.bytes, reel.track, bucket])?;
        transaction
            .prepare_cached(&format!(
                "DELETE FROM {table} WHERE track = ? AND {table} = ? AND media_ms <= 0"
            ))?
            .execute(params![reel.track, bucket])?;
    }
    forget_run(transaction, &reel)?;
    cut_span(transaction, &reel)?;
    Ok(Some(ForgottenReel {
        camera: reel.camera,
        day,
        bytes: reel.bytes.unsigned_abs(),
    }))
}

/// Removes the header of a reel's run with its last reel. A run's reels are neighbours: numbers of segments only grow.
fn forget_run(transaction: &Transaction<'_>, reel: &ClosedReel) -> rusqlite::Result<()> {
    for (side, order) in [("<", "DESC"), (">", "ASC")] {
        let beside: Option<i64> = transaction
            .prepare_cached(&format!(
                "SELECT run FROM reel WHERE track = ? AND first_msn {side} ?
                 ORDER BY first_msn {order} LIMIT 1"
            ))?
            .query_row(params![reel.track, reel.first_msn], |row| row.get(0))
            .optional()?;
        if beside == Some(reel.run) {
            return Ok(());
        }
    }
    transaction
        .prepare_cached("DELETE FROM run WHERE track = ? AND run = ?")?
        .execute([reel.track, reel.run])?;
    Ok(())
}

/// Takes a reel, whose row is gone already, out of its span: an end moves, or a middle makes two of one.
fn cut_span(transaction: &Transaction<'_>, reel: &ClosedReel) -> rusqlite::Result<()> {
    let span: Option<(i64, i64, i64, i64)> = transaction
        .prepare_cached(
            "SELECT id, first_msn, last_msn, to_ms FROM span WHERE track = ? AND first_msn <= ?
             ORDER BY first_msn DESC LIMIT 1",
        )?
        .query_row(params![reel.track, reel.first_msn], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((span, first_msn, last_msn, to_ms)) = span else {
        return Ok(());
    };
    let neighbour =
        |comparison: &str, order: &str, bound: i64| -> rusqlite::Result<Option<(i64, i64, i64)>> {
            transaction
                .prepare_cached(&format!(
                    "SELECT first_msn, wall_ms, end_ms FROM reel
                 WHERE track = ?1 AND first_msn {comparison} ?2 AND end_ms IS NOT NULL
                 ORDER BY first_msn {order} LIMIT 1"
                ))?
                .query_row(params![reel.track, bound], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        };
    let before = neighbour("<", "DESC", reel.first_msn)?.filter(|(msn, ..)| *msn >= first_msn);
    let after = neighbour(">", "ASC", reel.first_msn)?.filter(|(msn, ..)| *msn <= last_msn);
    match before {
        Some((msn, wall_ms, end_ms)) => transaction
            .prepare_cached("UPDATE span SET last_msn = ?, to_ms = ? WHERE id = ?")?
            .execute(params![msn, wall_ms + end_ms, span])?,
        None => transaction
            .prepare_cached("DELETE FROM span WHERE id = ?")?
            .execute([span])?,
    };
    if let Some((msn, wall_ms, _)) = after {
        transaction
            .prepare_cached("INSERT INTO span VALUES (NULL, ?, ?, ?, ?, ?)")?
            .execute(params![reel.track, msn, last_msn, wall_ms, to_ms])?;
    }
    Ok(())
}
