//! The audit of all counts: how often chunks are named, what counts in each pack, which clips hold a reel, all counted
//! again from those who refer. Counts in one state of the index while others go on changing it, and then corrects by
//! the difference, which is right whatever they did meanwhile.
//!
//! A count that is too high keeps bytes that nobody needs. One that is too low would lose bytes that somebody needs.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::engine::Imports;
use super::error::ImportError;
use super::rows::{count_live, decode_list, drop_chunk};
use crate::base::Wall;

/// Chunks that are counted at a time, a slice of their keys: 8 MB of memory, whatever is stored.
const SLICE_CHUNKS: i64 = 2 << 20;

/// So many differences of a kind are corrected at a time; more are found the next time.
const FOUND_MAX: usize = 10_000;

/// A chunk whose count was wrong. It is right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiscountedChunk {
    /// Its key in the index.
    pub chunk: i64,
    /// What its row said.
    pub refs: i64,
    /// How often lists name it.
    pub counted: i64,
}

/// What an audit has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecountReport {
    /// Chunks that were counted.
    pub chunks: u64,
    /// Those whose count was wrong. Too low is the dangerous way.
    pub miscounted: Vec<MiscountedChunk>,
    /// Chunks that lists name and that are not in the index: those pieces of their items are lost.
    pub missing: u64,
    /// Packs whose count of records was wrong.
    pub packs_miscounted: u64,
    /// Reels whose count of clips was wrong.
    pub reels_miscounted: u64,
}

impl RecountReport {
    /// Whether every count was right.
    pub fn is_clean(&self) -> bool {
        self.miscounted.is_empty()
            && self.missing == 0
            && self.packs_miscounted == 0
            && self.reels_miscounted == 0
    }
}

/// A row whose count is off by so much.
#[derive(Clone, Copy, Debug)]
struct Off {
    id: i64,
    /// What tells it from a later row with the same key.
    place: (i64, i64),
    by: i64,
}

impl Imports {
    /// Counts everything again and corrects what is wrong. `pause` is called between slices; the audit ends early,
    /// unrecorded, if it says so.
    pub(in crate::store) fn recount(
        &self,
        now: Wall,
        mut pause: impl FnMut() -> bool,
    ) -> Result<RecountReport, ImportError> {
        let mut report = RecountReport::default();
        let last: i64 = self.reader.read(|connection| {
            let last = "SELECT max(coalesce((SELECT max(id) FROM chunk), 0), 0)";
            Ok(connection.query_row(last, (), |row| row.get(0))?)
        })?;
        let mut first = 0;
        while first <= last {
            let off = self
                .reader
                .read(|connection| Ok(count_slice(connection, first, &mut report)?))?;
            self.change(move |transaction| correct_chunks(transaction, &off).map(Some))?;
            first += SLICE_CHUNKS;
            if pause() {
                return Ok(report);
            }
        }
        let packs = self
            .reader
            .read(|connection| Ok(count_packs(connection)?))?;
        report.packs_miscounted = packs.len() as u64;
        let reels = self
            .reader
            .read(|connection| Ok(count_reels(connection)?))?;
        report.reels_miscounted = reels.len() as u64;
        self.change(move |transaction| {
            for off in packs {
                count_live(transaction, off.id, off.by)?;
            }
            for off in reels {
                transaction
                    .prepare_cached("UPDATE reel SET refs = refs + ? WHERE id = ?")?
                    .execute([off.by, off.id])?;
            }
            transaction.execute(
                "INSERT INTO upkeep VALUES ('recount', ?1) ON CONFLICT DO UPDATE SET done_ms = ?1",
                [now.0],
            )?;
            Ok(Some(()))
        })?;
        for chunk in report.miscounted.iter().filter(|c| c.refs < c.counted) {
            tracing::error!(
                chunk = chunk.chunk,
                refs = chunk.refs,
                counted = chunk.counted,
                "a chunk was counted too low; the count is corrected"
            );
        }
        Ok(report)
    }

    /// When everything was counted last; `None` if never.
    pub(in crate::store) fn recounted_at(&self) -> Result<Option<Wall>, ImportError> {
        let at: Option<i64> = self.reader.read(|connection| {
            let done = "SELECT done_ms FROM upkeep WHERE task = 'recount'";
            Ok(connection
                .query_row(done, (), |row| row.get(0))
                .optional()?)
        })?;
        Ok(at.map(Wall))
    }
}

/// Counts how often lists name the chunks of a slice.
fn count_slice(
    connection: &Connection,
    first: i64,
    report: &mut RecountReport,
) -> rusqlite::Result<Vec<Off>> {
    let end = first + SLICE_CHUNKS;
    let highest: i64 =
        connection.query_row("SELECT coalesce(max(id), 0) FROM chunk", (), |row| {
            row.get(0)
        })?;
    let is_last = highest < end;
    let mut counts = vec![0u32; (highest.min(end - 1) - first + 1).max(0) as usize];
    let mut lists = connection.prepare_cached("SELECT chunks FROM item_list")?;
    let mut rows = lists.query(())?;
    while let Some(row) = rows.next()? {
        for listed in decode_list(row.get_ref(0)?.as_blob()?) {
            let index = usize::try_from(listed.chunk - first).ok();
            match index.and_then(|index| counts.get_mut(index)) {
                Some(count) => *count += 1,
                None => {
                    let beyond = is_last && listed.chunk > highest;
                    report.missing += u64::from(beyond || (first == 0 && listed.chunk < 0));
                }
            }
        }
    }
    let mut off = Vec::new();
    let mut chunks = connection.prepare_cached(
        "SELECT id, refs, pack, offset FROM chunk WHERE id >= ? AND id < ? ORDER BY id",
    )?;
    let mut rows = chunks.query([first, end])?;
    while let Some(row) = rows.next()? {
        let (id, refs): (i64, i64) = (row.get(0)?, row.get(1)?);
        let counted = i64::from(std::mem::take(&mut counts[(id - first) as usize]));
        report.chunks += 1;
        if refs != counted && off.len() < FOUND_MAX {
            report.miscounted.push(MiscountedChunk {
                chunk: id,
                refs,
                counted,
            });
            off.push(Off {
                id,
                place: (row.get(2)?, row.get(3)?),
                by: counted - refs,
            });
        }
    }
    // What is left was named, and has no row.
    report.missing += counts.iter().filter(|count| **count > 0).count() as u64;
    Ok(off)
}

fn correct_chunks(transaction: &Transaction<'_>, off: &[Off]) -> rusqlite::Result<()> {
    for Off { id, place, by } in off {
        let refs: Option<i64> = transaction
            .prepare_cached(
                "UPDATE chunk SET refs = refs + ? WHERE id = ? AND pack = ? AND offset = ? RETURNING refs",
            )?
            .query_row([*by, *id, place.0, place.1], |row| row.get(0))
            .optional()?;
        if refs.is_some_and(|refs| refs <= 0) {
            drop_chunk(transaction, *id)?;
        }
    }
    Ok(())
}

/// Packs whose count of records is not that of the rows that lie in them.
fn count_packs(connection: &Connection) -> rusqlite::Result<Vec<Off>> {
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for table in ["chunk", "item_list", "item"] {
        let mut rows = connection.prepare(&format!(
            "SELECT pack, count(*) FROM {table} WHERE pack IS NOT NULL GROUP BY pack"
        ))?;
        let mut rows = rows.query(())?;
        while let Some(row) = rows.next()? {
            *counts.entry(row.get(0)?).or_default() += row.get::<_, i64>(1)?;
        }
    }
    let mut packs = connection.prepare("SELECT id, live FROM pack")?;
    let mut rows = packs.query(())?;
    let mut off = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, live): (i64, i64) = (row.get(0)?, row.get(1)?);
        let by = counts.get(&id).copied().unwrap_or(0) - live;
        if by != 0 && off.len() < FOUND_MAX {
            off.push(Off {
                id,
                place: (0, 0),
                by,
            });
        }
    }
    Ok(off)
}

/// Reels whose count is not that of the clips that hold them.
fn count_reels(connection: &Connection) -> rusqlite::Result<Vec<Off>> {
    let mut reels = connection.prepare(
        "SELECT id, clips - refs FROM (
             SELECT id, refs, (SELECT count(*) FROM clip_reel WHERE clip_reel.reel = reel.id) AS clips FROM reel
         ) WHERE clips <> refs LIMIT ?",
    )?;
    let rows = reels.query_map(params![FOUND_MAX], |row| {
        Ok(Off {
            id: row.get(0)?,
            place: (0, 0),
            by: row.get(1)?,
        })
    })?;
    rows.collect()
}
