//! Chunks whose bytes are not what they were: their rows say so, nobody is given them, and nothing new refers to them.
//! The same bytes, imported again, take their place, and whatever refers to the chunk is whole again.
//!
//! A chunk is marked in one transaction. From then on no list comes to name it, so that the items that it hits can be
//! looked for without a hurry; they are noted in a second one, and a crash in between leaves the chunk as one whose
//! items are to be looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::rows::{PlacedAt, count_live, decode_list, note_dead, prefix};
use super::verify::PacksReport;
use crate::chunk::{ChunkRef, ItemId, ItemName, PackId};
use crate::store::error::ReadError;
use crate::store::marks::Mark;
use crate::store::reader::Reader;

/// The pack of a chunk that lies in none: a rebuild found it named and nowhere stored.
pub(super) const NOWHERE: i64 = 0;

/// Lists looked through at a time. No look into the index lasts longer, or its log could not be cut back meanwhile.
const LISTS_AT_A_TIME: i64 = 256;

/// What is known to be damaged at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Recorded segments that are not played any more.
    pub segments: u64,
    /// Chunks of imports that are not given out any more.
    pub chunks: u64,
    /// Their bytes.
    pub chunk_bytes: u64,
    /// Imported files that lack some of them.
    pub items: u64,
}

/// An imported file and what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedItem {
    /// Its name for people.
    pub name: ItemName,
    /// Bytes of it that cannot be read.
    pub bytes: u64,
}

/// What became of the findings of a scrub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Marked {
    /// Chunks that are not given out any more.
    pub(in crate::store) damaged: u64,
    /// Chunks that are given out again.
    pub(in crate::store) recovered: u64,
}

/// Counts what is damaged.
pub(in crate::store) fn count_damage(connection: &Connection) -> rusqlite::Result<Damage> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM damaged),
                (SELECT count(*) FROM chunk WHERE damaged > 0),
                (SELECT coalesce(sum(bytes), 0) FROM chunk WHERE damaged > 0),
                (SELECT count(DISTINCT item) FROM item_damage)",
        (),
        |row| {
            Ok(Damage {
                segments: row.get(0)?,
                chunks: row.get(1)?,
                chunk_bytes: row.get(2)?,
                items: row.get(3)?,
            })
        },
    )
}

/// Takes damaged chunks out of what is given out, and gives those back that read well again. What was stored elsewhere
/// meanwhile, or removed, is left alone. Returns what the journal is to tell, too.
pub(in crate::store) fn mark_damage(
    transaction: &Transaction<'_>,
    report: &PacksReport,
) -> rusqlite::Result<(Marked, Vec<Mark>)> {
    let mut marked = Marked::default();
    let mut places: BTreeMap<PackId, Vec<i64>> = BTreeMap::new();
    for chunk in &report.damaged {
        let changed = transaction
            .prepare_cached(
                "UPDATE chunk SET damaged = 1 WHERE id = ? AND pack = ? AND offset = ? AND damaged = 0",
            )?
            .execute(params![chunk.key, chunk.pack.0, chunk.offset])?;
        if changed > 0 {
            marked.damaged += 1;
            let offset = i64::try_from(chunk.offset).expect("SQLite's integers are no larger");
            places.entry(chunk.pack.1).or_default().push(offset);
        }
    }
    for chunk in &report.recovered {
        let changed = transaction
            .prepare_cached(
                "UPDATE chunk SET damaged = 0 WHERE id = ? AND pack = ? AND offset = ? AND damaged > 0",
            )?
            .execute(params![chunk.key, chunk.pack.0, chunk.offset])?;
        if changed > 0 {
            marked.recovered += 1;
            forget_damage(transaction, chunk.key)?;
        }
    }
    Ok((marked, marks_of(places)))
}

fn marks_of(places: BTreeMap<PackId, Vec<i64>>) -> Vec<Mark> {
    places
        .into_iter()
        .map(|(pack, offsets)| Mark::DamagedChunks { pack, offsets })
        .collect()
}

/// Marks what the journal says of a pack, in an index that is made again.
pub(in crate::store) fn replay_damage(
    transaction: &Transaction<'_>,
    pack: PackId,
    offsets: &[i64],
) -> rusqlite::Result<()> {
    for offset in offsets {
        transaction
            .prepare_cached(
                "UPDATE chunk SET damaged = 1 WHERE pack = (SELECT id FROM pack WHERE name = ?) AND offset = ?",
            )?
            .execute(params![pack.0, offset])?;
    }
    Ok(())
}

/// Stores a damaged chunk at another place, where its bytes lie again. Returns its key; `None` if no such chunk is
/// damaged.
pub(super) fn heal_chunk(
    transaction: &Transaction<'_>,
    chunk: &ChunkRef,
    (pack, offset): (i64, u64),
) -> rusqlite::Result<Option<i64>> {
    let damaged: Option<(i64, i64, u64)> = transaction
        .prepare_cached(
            "SELECT id, pack, offset FROM chunk WHERE prefix = ? AND digest = ? AND bytes = ? AND damaged > 0",
        )?
        .query_row(
            params![prefix(&chunk.digest), chunk.digest.as_bytes(), chunk.bytes_count],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((id, old_pack, old_offset)) = damaged else {
        return Ok(None);
    };
    if old_pack != NOWHERE {
        let place = PlacedAt {
            offset: old_offset,
            bytes: chunk.bytes_count,
        };
        note_dead(transaction, old_pack, place)?;
        count_live(transaction, old_pack, -1)?;
    }
    transaction
        .prepare_cached("UPDATE chunk SET pack = ?, offset = ?, damaged = 0 WHERE id = ?")?
        .execute(params![pack, offset, id])?;
    forget_damage(transaction, id)?;
    Ok(Some(id))
}

/// No item lacks this chunk any more.
pub(super) fn forget_damage(transaction: &Transaction<'_>, chunk: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM item_damage WHERE chunk = ?")?
        .execute([chunk])?;
    Ok(())
}

/// What each item lacks of each chunk, in bytes. Items by their ids, for their rows' keys are used again.
type Lacks = BTreeMap<(ItemId, i64), u64>;

/// What items lack because of some chunks.
#[derive(Debug)]
pub(in crate::store) struct Traced {
    chunks: BTreeSet<i64>,
    lacks: Lacks,
}

/// Chunks that are marked and whose items are not noted yet.
fn untraced(reader: &Reader) -> Result<BTreeSet<i64>, ReadError> {
    reader.read(|connection| {
        // In so many words, or the small index is not used.
        let mut chunks =
            connection.prepare_cached("SELECT id FROM chunk WHERE damaged > 0 AND damaged = 1")?;
        let rows = chunks.query_map((), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}

/// Looks for the items that damaged chunks hit. `None` if all are noted.
pub(in crate::store) fn trace_damage(reader: &Reader) -> Result<Option<Traced>, ReadError> {
    let chunks = untraced(reader)?;
    if chunks.is_empty() {
        return Ok(None);
    }
    let lacks = find_lacks(reader, &chunks)?;
    Ok(Some(Traced { chunks, lacks }))
}

/// What each item lacks without these chunks.
fn find_lacks(reader: &Reader, chunks: &BTreeSet<i64>) -> Result<Lacks, ReadError> {
    let mut lacks = Lacks::new();
    let mut after = 0;
    loop {
        let last = reader.read(|connection| {
            let mut lists = connection.prepare_cached(
                "SELECT item_list.id, item.key, item_list.chunks FROM item_list JOIN item ON item.id = item_list.item
                 WHERE item_list.id > ? ORDER BY item_list.id LIMIT ?",
            )?;
            let mut rows = lists.query([after, LISTS_AT_A_TIME])?;
            let mut last = None;
            while let Some(row) = rows.next()? {
                last = Some(row.get(0)?);
                let item = ItemId(row.get(1)?);
                let list = decode_list(row.get_ref(2)?.as_blob().unwrap_or_default());
                for listed in list.filter(|listed| chunks.contains(&listed.chunk)) {
                    *lacks.entry((item, listed.chunk)).or_default() += u64::from(listed.bytes);
                }
            }
            Ok(last)
        })?;
        match last {
            Some(last) => after = last,
            None => return Ok(lacks),
        }
    }
}

/// The first bytes of an item, between two of its offsets, that are noted as damaged, as far as they hang together.
pub(super) fn first_damage(
    reader: &Reader,
    item: i64,
    within: Range<u64>,
) -> Result<Option<Range<u64>>, ReadError> {
    reader.read(|connection| {
        let chunks: BTreeSet<i64> = connection
            .prepare_cached("SELECT chunk FROM item_damage WHERE item = ?")?
            .query_map([item], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut found: Option<Range<u64>> = None;
        if chunks.is_empty() {
            return Ok(found);
        }
        let mut lists = connection.prepare_cached(
            "SELECT start, chunks FROM item_list WHERE item = ?1 AND start < ?3
             AND start >= coalesce((SELECT max(start) FROM item_list WHERE item = ?1 AND start <= ?2), 0)
             ORDER BY start",
        )?;
        let bound = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        let mut rows = lists.query(params![item, bound(within.start), bound(within.end)])?;
        while let Some(row) = rows.next()? {
            let mut start: u64 = row.get(0)?;
            for listed in decode_list(row.get_ref(1)?.as_blob().unwrap_or_default()) {
                let end = start + u64::from(listed.bytes);
                let is_damaged = chunks.contains(&listed.chunk)
                    && start < within.end
                    && end > within.start;
                match &mut found {
                    Some(found) if is_damaged => found.end = end,
                    Some(_) => return Ok(found),
                    None if is_damaged => found = Some(start..end),
                    None => {}
                }
                start = end;
            }
        }
        Ok(found)
    })
}

/// Whole items that lack some of these chunks.
pub(super) fn items_without(
    reader: &Reader,
    chunks: &BTreeSet<i64>,
) -> Result<Vec<DamagedItem>, ReadError> {
    if chunks.is_empty() {
        return Ok(Vec::new());
    }
    let mut items: BTreeMap<ItemId, u64> = BTreeMap::new();
    for ((item, _), bytes) in find_lacks(reader, chunks)? {
        *items.entry(item).or_default() += bytes;
    }
    reader.read(|connection| {
        let mut named = Vec::new();
        for (item, bytes) in &items {
            named.extend(name_of(connection, *item)?.map(|name| DamagedItem {
                name,
                bytes: *bytes,
            }));
        }
        Ok(named)
    })
}

/// What a whole item is called.
fn name_of(connection: &Connection, item: ItemId) -> rusqlite::Result<Option<ItemName>> {
    let name: Option<String> = connection
        .prepare_cached("SELECT name FROM item WHERE key = ? AND digest IS NOT NULL")?
        .query_row([item.0], |row| row.get(0))
        .optional()?;
    Ok(name.and_then(|name| name.parse().ok()))
}

/// Notes what items lack. Returns those that were found so, except what was healed or removed meanwhile.
pub(in crate::store) fn note_traced(
    transaction: &Transaction<'_>,
    traced: &Traced,
) -> rusqlite::Result<Vec<DamagedItem>> {
    for chunk in &traced.chunks {
        transaction
            .prepare_cached("UPDATE chunk SET damaged = 2 WHERE id = ? AND damaged = 1")?
            .execute([chunk])?;
    }
    let mut items: BTreeMap<ItemId, u64> = BTreeMap::new();
    for ((item, chunk), bytes) in &traced.lacks {
        let noted = transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO item_damage
                 SELECT item.id, chunk.id, ?3 FROM item JOIN chunk ON chunk.id = ?2
                 WHERE item.key = ?1 AND NOT (item.digest IS NULL AND item.origin = '') AND chunk.damaged = 2",
            )?
            .execute(params![item.0, chunk, bytes])?;
        if noted > 0 {
            *items.entry(*item).or_default() += bytes;
        }
    }
    let mut named = Vec::new();
    for (item, bytes) in items {
        named.extend(name_of(transaction, item)?.map(|name| DamagedItem { name, bytes }));
    }
    Ok(named)
}

/// Says in the log what was found.
pub(in crate::store) fn tell_damage(items: &[DamagedItem]) {
    for DamagedItem { name, bytes } in items {
        tracing::error!(
            item = %name, bytes,
            "part of an imported file is damaged and is not given out any more; import the same file again to mend it, \
             and check the disk"
        );
    }
}

/// What a journal that is begun anew tells of damaged chunks.
pub(in crate::store) fn damage_marks(connection: &Connection) -> rusqlite::Result<Vec<Mark>> {
    let mut damaged = connection.prepare(
        "SELECT pack.name, chunk.offset FROM chunk JOIN pack ON pack.id = chunk.pack WHERE chunk.damaged > 0
         ORDER BY pack.id, chunk.offset",
    )?;
    let mut rows = damaged.query(())?;
    let mut places: BTreeMap<PackId, Vec<i64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let pack = PackId(row.get(0)?);
        places.entry(pack).or_default().push(row.get(1)?);
    }
    Ok(marks_of(places))
}
