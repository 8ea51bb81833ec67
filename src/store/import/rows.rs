//! The rows of imports, and the transactions that change them. Each runs on the writer's thread and is short: it knows
//! of at most one list of chunks. Counts change with the lists that refer, in the same transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::DIGEST_KIND;
use super::damage::{NOWHERE, forget_damage, heal_chunk};
use super::engine::ImportMeta;
use crate::base::{CameraId, Digest, Wall};
use crate::chunk::{ChunkRef, ItemId, ItemSource, MediaKind, PackId};

/// The key of a chunk's digest: its first 8 bytes, as SQLite keeps integers.
pub(super) fn prefix(digest: &Digest) -> i64 {
    let first = digest.as_bytes().first_chunk();
    i64::from_be_bytes(*first.expect("a digest is longer than 8 bytes"))
}

/// The key of a chunk that is stored, and not known to be damaged.
pub(super) fn find_chunk(
    connection: &Connection,
    chunk: &ChunkRef,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached(
            "SELECT id FROM chunk WHERE prefix = ? AND digest = ? AND bytes = ? AND damaged = 0",
        )?
        .query_row(
            params![
                prefix(&chunk.digest),
                chunk.digest.as_bytes(),
                chunk.bytes_count
            ],
            |row| row.get(0),
        )
        .optional()
}

/// One entry of a list in the index: a chunk's key and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) chunk: i64,
    pub(super) bytes: u32,
}

const LISTED_BYTES: usize = 12;

/// Lays a list out as its row keeps it.
pub(super) fn encode_list(list: &[Listed]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(list.len() * LISTED_BYTES);
    for listed in list {
        blob.extend(listed.chunk.to_be_bytes());
        blob.extend(listed.bytes.to_be_bytes());
    }
    blob
}

/// Reads a list back. What is left over of a damaged one is none.
pub(super) fn decode_list(blob: &[u8]) -> impl Iterator<Item = Listed> {
    let (entries, _) = blob.as_chunks::<LISTED_BYTES>();
    entries.iter().map(|entry| {
        let (chunk, bytes) = entry.split_at(8);
        Listed {
            chunk: i64::from_be_bytes(chunk.try_into().expect("split at 8")),
            bytes: u32::from_be_bytes(bytes.try_into().expect("12 less 8")),
        }
    })
}

/// How often a list names each chunk.
pub(super) fn count_refs(list: impl Iterator<Item = Listed>) -> BTreeMap<i64, i64> {
    let mut counts = BTreeMap::new();
    for listed in list {
        *counts.entry(listed.chunk).or_default() += 1;
    }
    counts
}

/// An item that is not whole yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) row: i64,
    pub(super) id: ItemId,
    pub(super) made: Wall,
    /// How much of it has lists.
    pub(super) progress: u64,
    pub(super) new_bytes: u64,
    /// How many lists.
    pub(super) lists: u32,
}

/// The item that an earlier import of the same file has begun, if the file is still the same.
pub(super) fn find_pending(
    connection: &Connection,
    origin: &str,
    (bytes, changed_ns): (u64, i64),
) -> rusqlite::Result<Option<Pending>> {
    connection
        .prepare_cached(
            "SELECT id, key, made_ms, progress, new_bytes,
                    (SELECT count(*) FROM item_list WHERE item_list.item = item.id)
             FROM item WHERE origin = ? AND digest IS NULL AND bytes = ? AND origin_changed = ?
             -- What it has may be damaged by now: then it is begun anew, which mends that.
             AND NOT EXISTS (SELECT 1 FROM item_damage WHERE item_damage.item = item.id)",
        )?
        .query_row(params![origin, bytes, changed_ns], |row| {
            Ok(Pending {
                row: row.get(0)?,
                id: ItemId(row.get(1)?),
                made: Wall(row.get(2)?),
                progress: row.get(3)?,
                new_bytes: row.get(4)?,
                lists: row.get(5)?,
            })
        })
        .optional()
}

/// Gives up what an import that was interrupted has left. What it refers to follows with the next upkeep.
pub(in crate::store) fn abandon_import(
    transaction: &Transaction<'_>,
    origin: &str,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE item SET origin = '' WHERE origin = ? AND digest IS NULL")?
        .execute([origin])?;
    Ok(())
}

/// Begins an item. What an earlier import from there has left, of a file that is another one now, is given up.
pub(super) fn begin_item(
    transaction: &Transaction<'_>,
    meta: &ImportMeta,
    (id, media, made): (ItemId, MediaKind, Wall),
    (origin, bytes, changed_ns): (&str, u64, i64),
) -> rusqlite::Result<Pending> {
    abandon_import(transaction, origin)?;
    transaction.execute(
        "INSERT INTO item (key, name, media, source, bytes, camera, at_ms, made_ms, progress, new_bytes, origin,
                           origin_changed)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)",
        params![
            id.0,
            meta.name.as_str(),
            media.code(),
            meta.source.code(),
            bytes,
            meta.camera.as_ref().map(CameraId::as_str),
            meta.at.map(|at| at.0),
            made.0,
            origin,
            changed_ns
        ],
    )?;
    Ok(Pending {
        row: transaction.last_insert_rowid(),
        id,
        made,
        progress: 0,
        new_bytes: 0,
        lists: 0,
    })
}

/// What is known of an item besides its bytes may change until it is whole.
pub(super) fn describe_item(
    transaction: &Transaction<'_>,
    row: i64,
    meta: &ImportMeta,
) -> rusqlite::Result<()> {
    transaction.execute(
        "UPDATE item SET name = ?, camera = ?, at_ms = ? WHERE id = ?",
        params![
            meta.name.as_str(),
            meta.camera.as_ref().map(CameraId::as_str),
            meta.at.map(|at| at.0),
            row
        ],
    )?;
    Ok(())
}

/// Where a record lies in a pack, and the size of its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedAt {
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

/// A pack as its row is to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackState {
    pub(super) row: Option<i64>,
    pub(super) id: PackId,
    pub(super) end: u64,
    pub(super) open: bool,
    pub(super) graves: bool,
}

/// One chunk of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// It was stored when it was looked up.
    Known(i64),
    /// It lies in the batch's pack, at this offset. The same chunk may come again.
    Written(u64),
    /// The batch before has brought it, whose transaction comes before this one.
    Before,
}

/// What one transaction adds to an item. All of it lies in one pack, durable.
#[derive(Clone, Debug)]
pub(super) struct BatchRows {
    pub(super) item: i64,
    pub(super) source: ItemSource,
    pub(super) part: u32,
    /// Where it starts in the item: as far as the item's rows must reach.
    pub(super) start: u64,
    pub(super) pack: PackState,
    pub(super) chunks: Vec<(ChunkRef, Named)>,
    /// The record of the list; none for no chunks.
    pub(super) list: Option<PlacedAt>,
    /// The item's digest and record, with which it is whole.
    pub(super) whole: Option<(Digest, PlacedAt)>,
}

/// What a batch has become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committed {
    /// The pack's row.
    pub(super) pack: i64,
    /// Bytes of chunks that were not stored before.
    pub(super) new_bytes: u64,
}

/// Writes a pack's row. Returns its key.
pub(super) fn write_pack(transaction: &Transaction<'_>, pack: &PackState) -> rusqlite::Result<i64> {
    if let Some(row) = pack.row {
        transaction
            .prepare_cached("UPDATE pack SET bytes = ?, open = ? WHERE id = ?")?
            .execute(params![pack.end, pack.open, row])?;
        return Ok(row);
    }
    transaction
        .prepare_cached(
            "INSERT INTO pack (name, bytes, live, graves, open) VALUES (?, ?, 0, ?, ?)",
        )?
        .execute(params![pack.id.0, pack.end, pack.graves, pack.open])?;
    Ok(transaction.last_insert_rowid())
}

/// Adds a batch to its item. `None` if what it relies on does not hold any more: then nothing may be committed.
pub(super) fn add_batch(
    transaction: &Transaction<'_>,
    batch: &BatchRows,
) -> rusqlite::Result<Option<Committed>> {
    let progress: Option<u64> = transaction
        .prepare_cached(
            "SELECT progress FROM item WHERE id = ? AND digest IS NULL AND origin <> ''",
        )?
        .query_row([batch.item], |row| row.get(0))
        .optional()?;
    if progress != Some(batch.start) {
        return Ok(None);
    }
    let pack = write_pack(transaction, &batch.pack)?;
    let mut written = BTreeMap::new();
    let (mut live, mut new_bytes) = (0, 0);
    for (chunk, named) in &batch.chunks {
        if let Named::Written(offset) = named
            && !written.contains_key(offset)
        {
            // Another import may have brought the same bytes meanwhile.
            let known = find_chunk(transaction, chunk)?;
            let id = match known {
                Some(id) => {
                    let place = PlacedAt {
                        offset: *offset,
                        bytes: chunk.bytes_count,
                    };
                    note_dead(transaction, pack, place)?;
                    id
                }
                None => {
                    live += 1;
                    new_bytes += u64::from(chunk.bytes_count);
                    match heal_chunk(transaction, chunk, (pack, *offset))? {
                        Some(id) => id,
                        None => insert_chunk(transaction, chunk, (pack, *offset), batch.source)?,
                    }
                }
            };
            written.insert(*offset, id);
        }
    }
    let mut list = Vec::with_capacity(batch.chunks.len());
    for (chunk, named) in &batch.chunks {
        let id = match named {
            Named::Known(id) => Some(*id),
            Named::Written(offset) => written.get(offset).copied(),
            Named::Before => find_chunk(transaction, chunk)?,
        };
        let Some(id) = id else {
            return Ok(None);
        };
        list.push(Listed {
            chunk: id,
            bytes: chunk.bytes_count,
        });
    }
    for (chunk, count) in count_refs(list.iter().copied()) {
        let changed = transaction
            .prepare_cached("UPDATE chunk SET refs = refs + ? WHERE id = ?")?
            .execute([count, chunk])?;
        if changed == 0 {
            return Ok(None);
        }
    }
    for (chunk, named) in &batch.chunks {
        // A key that was free for a moment may be another chunk's by now, and what was sound may be found damaged.
        if let Named::Known(id) = named
            && !is_chunk(transaction, *id, chunk)?
        {
            return Ok(None);
        }
    }
    let bytes: u64 = list.iter().map(|listed| u64::from(listed.bytes)).sum();
    if let Some(place) = batch.list {
        live += 1;
        transaction
            .prepare_cached(
                "INSERT INTO item_list (item, part, start, chunks, pack, offset, record_bytes)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                batch.item,
                batch.part,
                batch.start,
                encode_list(&list),
                pack,
                place.offset,
                place.bytes
            ])?;
    }
    transaction
        .prepare_cached(
            "UPDATE item SET progress = progress + ?, new_bytes = new_bytes + ? WHERE id = ?",
        )?
        .execute(params![bytes, new_bytes, batch.item])?;
    if let Some((digest, place)) = &batch.whole {
        live += 1;
        transaction
            .prepare_cached(
                "UPDATE item SET digest = ?, pack = ?, offset = ?, record_bytes = ? WHERE id = ?",
            )?
            .execute(params![
                digest.as_bytes(),
                pack,
                place.offset,
                place.bytes,
                batch.item
            ])?;
    }
    count_live(transaction, pack, live)?;
    Ok(Some(Committed { pack, new_bytes }))
}

fn is_chunk(transaction: &Transaction<'_>, id: i64, chunk: &ChunkRef) -> rusqlite::Result<bool> {
    transaction
        .prepare_cached("SELECT digest = ? AND damaged = 0 FROM chunk WHERE id = ?")?
        .query_row(params![chunk.digest.as_bytes(), id], |row| row.get(0))
}

/// A chunk that nothing refers to yet.
pub(super) fn insert_chunk(
    transaction: &Transaction<'_>,
    chunk: &ChunkRef,
    (pack, offset): (i64, u64),
    source: ItemSource,
) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached(
            "INSERT INTO chunk (pack, offset, bytes, prefix, digest, refs, source) VALUES (?, ?, ?, ?, ?, 0, ?)",
        )?
        .execute(params![
            pack,
            offset,
            chunk.bytes_count,
            prefix(&chunk.digest),
            chunk.digest.as_bytes(),
            source.code()
        ])?;
    Ok(transaction.last_insert_rowid())
}

/// Notes a record that counts no longer.
pub(super) fn note_dead(
    transaction: &Transaction<'_>,
    pack: i64,
    place: PlacedAt,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("INSERT INTO dead (pack, offset, bytes, buried) VALUES (?, ?, ?, 0)")?
        .execute(params![pack, place.offset, place.bytes])?;
    Ok(())
}

/// More or fewer records of a pack count.
pub(super) fn count_live(
    transaction: &Transaction<'_>,
    pack: i64,
    more: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE pack SET live = live + ? WHERE id = ?")?
        .execute([more, pack])?;
    Ok(())
}

/// A chunk's record is not needed any more, nor its row.
pub(super) fn drop_chunk(transaction: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    let place = transaction
        .prepare_cached("DELETE FROM chunk WHERE id = ? RETURNING pack, offset, bytes")?
        .query_row([id], |row| {
            let place = PlacedAt {
                offset: row.get(1)?,
                bytes: row.get(2)?,
            };
            Ok((row.get(0)?, place))
        })
        .optional()?;
    forget_damage(transaction, id)?;
    if let Some((pack, place)) = place
        && pack != NOWHERE
    {
        note_dead(transaction, pack, place)?;
        count_live(transaction, pack, -1)?;
    }
    Ok(())
}

/// A digest as a row keeps it.
pub(super) fn digest_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Digest>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    Ok(bytes.and_then(|bytes| Digest::from_bytes(DIGEST_KIND, &bytes)))
}
