//! The rows of imports, made again from the packs alone. What tombstones name does not come back, and what no item
//! refers to is noted as dead, so that the next upkeep gives it back to the disk. Payloads of chunks are not read,
//! except where the same chunk was stored twice: then one of them may have been cut off.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::DIGEST_KIND;
use super::damage::NOWHERE;
use super::rows::{Listed, count_refs, encode_list, insert_chunk, prefix};
use super::{PACK_FOLDER, pack_of_name, pack_path};
use crate::base::{CameraId, Digest};
use crate::chunk::{
    ChunkRef, Found, Item, ItemChunks, ItemHasher, ItemId, ItemName, ItemSource, PackError,
    PackHeader, PackId, PackScan, PlacedRecord, RecordHeader, RecordKind, decode_tombstones,
    read_pack_header,
};
use crate::store::bad_sectors::WithoutBadSectors;
use crate::store::error::ReadError;
use crate::store::file_system::{ReadFile, is_damage};

/// What was found in the packs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuiltImports {
    /// Packs read.
    pub packs: u64,
    /// Items that are back.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Items of which a list is missing, so that nobody knows what they were made of. They are not back; the rest of them
    /// is kept as of an import that was interrupted, until the same file is imported again.
    pub lost: Vec<ItemName>,
    /// Bytes of items that are back which no pack holds.
    pub missing_bytes: u64,
}

/// What is found on the way, by its place. Gone with the connection.
const FOUND: &str = "
CREATE TEMP TABLE found_tombstone (
    pack BLOB NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (pack, offset)
) WITHOUT ROWID;
CREATE TEMP TABLE found_grave (pack INTEGER NOT NULL, about BLOB NOT NULL, PRIMARY KEY (pack, about)) WITHOUT ROWID;
CREATE TEMP TABLE found_list (
    key BLOB NOT NULL, part INTEGER NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX temp.found_list_by_key ON found_list (key, part);
CREATE TEMP TABLE found_item (
    key BLOB NOT NULL, made_ms INTEGER NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0
);
";

/// What remains is what no tombstone names.
const WITHOUT_TOMBSTONES: &str = "
DELETE FROM chunk WHERE EXISTS (
    SELECT 1 FROM pack JOIN found_tombstone ON found_tombstone.pack = pack.name
    WHERE pack.id = chunk.pack AND found_tombstone.offset = chunk.offset
);
DELETE FROM found_list WHERE EXISTS (
    SELECT 1 FROM pack JOIN found_tombstone ON found_tombstone.pack = pack.name
    WHERE pack.id = found_list.pack AND found_tombstone.offset = found_list.offset
);
DELETE FROM found_item WHERE EXISTS (
    SELECT 1 FROM pack JOIN found_tombstone ON found_tombstone.pack = pack.name
    WHERE pack.id = found_item.pack AND found_tombstone.offset = found_item.offset
);
INSERT INTO grave SELECT found_grave.pack, pack.id FROM found_grave JOIN pack ON pack.name = found_grave.about;
";

/// What nothing refers to is dead, and packs count what is not.
const COUNTED: &str = "
INSERT INTO dead (pack, offset, bytes, buried) SELECT pack, offset, bytes, 0 FROM chunk WHERE refs = 0;
DELETE FROM chunk WHERE refs = 0;
INSERT INTO dead (pack, offset, bytes, buried) SELECT pack, offset, bytes, 0 FROM found_list WHERE used = 0;
INSERT INTO dead (pack, offset, bytes, buried) SELECT pack, offset, bytes, 0 FROM found_item WHERE used = 0;
CREATE TEMP TABLE found_live (pack INTEGER PRIMARY KEY, live INTEGER NOT NULL);
INSERT INTO found_live SELECT pack, count(*) FROM (
    SELECT pack FROM chunk UNION ALL SELECT pack FROM item_list UNION ALL
    SELECT pack FROM item WHERE pack IS NOT NULL
) GROUP BY pack;
UPDATE pack SET live = coalesce((SELECT live FROM found_live WHERE found_live.pack = pack.id), 0);
DROP TABLE found_live;
DROP TABLE found_item;
DROP TABLE found_list;
DROP TABLE found_grave;
DROP TABLE found_tombstone;
";

/// Fills the empty tables of imports from the packs below `dir`. Damage within packs is told. Fails if the index does,
/// or if a pack cannot be opened: what only it holds would be taken for gone.
pub fn rebuild_imports(
    dir: &Path,
    transaction: &Transaction<'_>,
) -> Result<RebuiltImports, ReadError> {
    let mut rebuilt = RebuiltImports::default();
    transaction.execute_batch(FOUND)?;
    for id in packs(dir).map_err(|cause| ReadError::Io {
        path: dir.join(PACK_FOLDER),
        cause,
    })? {
        read_pack(dir, id, transaction)?.map_err(|error| ReadError::Io {
            path: pack_path(dir, id),
            cause: io::Error::other(error.to_string()),
        })?;
        rebuilt.packs += 1;
    }
    transaction.execute_batch(WITHOUT_TOMBSTONES)?;
    let items: Vec<(i64, i64, PlacedFound)> = transaction
        .prepare(
            "SELECT found_item.rowid, pack.id, pack.name, found_item.offset, found_item.bytes FROM found_item
             JOIN pack ON pack.id = found_item.pack ORDER BY found_item.made_ms, found_item.key",
        )?
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?, placed(row, 2)?)))?
        .collect::<Result<_, _>>()?;
    for (found, pack, place) in items {
        let Some(item) = place.load(dir)?.and_then(|payload| Item::decode(&payload)) else {
            continue;
        };
        restore(dir, transaction, (found, pack, &place), &item, &mut rebuilt)?;
    }
    transaction.execute_batch(COUNTED)?;
    Ok(rebuilt)
}

fn packs(dir: &Path) -> io::Result<Vec<PackId>> {
    let entries = match fs::read_dir(dir.join(PACK_FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut packs = Vec::new();
    for entry in entries {
        packs.extend(entry?.file_name().to_str().and_then(pack_of_name));
    }
    packs.sort_unstable();
    Ok(packs)
}

/// Notes what lies in a pack.
fn read_pack(
    dir: &Path,
    id: PackId,
    transaction: &Transaction<'_>,
) -> Result<Result<(), PackError>, ReadError> {
    let opened = File::open(pack_path(dir, id)).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = match opened {
        Ok((size, file)) => (size, WithoutBadSectors::new(ReadFile(file))),
        Err(error) => return Ok(Err(error.into())),
    };
    let header = match read_pack_header(&file, size) {
        Ok(header) if header.id == id && header.digest_kind == DIGEST_KIND => header,
        // Its records may be whole.
        Ok(_) | Err(PackError::Damaged | PackError::NotAPack) => PackHeader {
            id,
            digest_kind: DIGEST_KIND,
        },
        Err(error) => return Ok(Err(error)),
    };
    transaction.execute(
        "INSERT INTO pack (name, bytes, live, graves, open) VALUES (?, ?, 0, 0, 0)",
        params![id.0, size],
    )?;
    let pack = transaction.last_insert_rowid();
    let mut has_tombstones = false;
    let mut has_others = false;
    for found in PackScan::new(&file, size, header) {
        let record = match found {
            Ok(Found::Record(record)) => record,
            Ok(Found::Unreadable(_)) => continue,
            Err(error) => return Ok(Err(error.into())),
        };
        if record.header.kind == RecordKind::Tombstones {
            has_tombstones = true;
        } else {
            has_others = true;
        }
        if let Err(error) = note_record(transaction, pack, &file, &record)? {
            return Ok(Err(error.into()));
        }
    }
    transaction.execute(
        "UPDATE pack SET graves = ? WHERE id = ?",
        params![has_tombstones && !has_others, pack],
    )?;
    Ok(Ok(()))
}

fn note_record(
    transaction: &Transaction<'_>,
    pack: i64,
    file: &WithoutBadSectors<ReadFile>,
    record: &PlacedRecord,
) -> rusqlite::Result<io::Result<()>> {
    let (offset, header) = (record.offset, &record.header);
    if header.kind == RecordKind::Chunk {
        let chunk = ChunkRef {
            digest: header.digest,
            bytes_count: header.payload_bytes,
        };
        insert_chunk(transaction, &chunk, (pack, offset), ItemSource::Import)?;
        return Ok(Ok(()));
    }
    let payload = match record.load_payload(file) {
        Ok(Some(payload)) => payload,
        // Punched out, or cut off: either way it counts no longer.
        Ok(None) => return Ok(Ok(())),
        Err(error) => return Ok(Err(error)),
    };
    match header.kind {
        RecordKind::Chunk => {}
        RecordKind::ItemChunks => {
            if let Some(list) = ItemChunks::decode(&payload) {
                transaction
                    .prepare_cached(
                        "INSERT INTO found_list (key, part, pack, offset, bytes) VALUES (?, ?, ?, ?, ?)",
                    )?
                    .execute(params![
                        list.item.0,
                        list.index,
                        pack,
                        offset,
                        header.payload_bytes
                    ])?;
            }
        }
        RecordKind::Item => {
            if let Some(item) = Item::decode(&payload) {
                transaction
                    .prepare_cached(
                        "INSERT INTO found_item (key, made_ms, pack, offset, bytes) VALUES (?, ?, ?, ?, ?)",
                    )?
                    .execute(params![
                        item.id.0,
                        item.made.0,
                        pack,
                        offset,
                        header.payload_bytes
                    ])?;
            }
        }
        RecordKind::Tombstones => {
            for tombstone in decode_tombstones(&payload).unwrap_or_default() {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO found_tombstone VALUES (?, ?)")?
                    .execute(params![tombstone.pack.0, tombstone.offset as i64])?;
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO found_grave VALUES (?, ?)")?
                    .execute(params![pack, tombstone.pack.0])?;
            }
        }
    }
    Ok(Ok(()))
}

/// A record by its place.
struct PlacedFound {
    pack: PackId,
    offset: u64,
    bytes: u32,
}

fn placed(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<PlacedFound> {
    Ok(PlacedFound {
        pack: PackId(row.get(first)?),
        offset: row.get(first + 1)?,
        bytes: row.get(first + 2)?,
    })
}

impl PlacedFound {
    /// Its payload, as it was found sound before.
    fn load(&self, dir: &Path) -> Result<Option<Vec<u8>>, ReadError> {
        let path = pack_path(dir, self.pack);
        let mut payload = vec![0; self.bytes as usize];
        let start = self.offset + RecordHeader::bytes_count(DIGEST_KIND) as u64;
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut payload, start));
        match read {
            Ok(()) => Ok(Some(payload)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof || is_damage(&error) => {
                Ok(None)
            }
            Err(cause) => Err(ReadError::Io { path, cause }),
        }
    }

    fn holds(&self, dir: &Path, digest: &Digest) -> Result<bool, ReadError> {
        let payload = self.load(dir)?;
        Ok(payload.is_some_and(|payload| digest.kind().digest(&payload) == *digest))
    }
}

/// A list of an item, found and read.
struct FoundList {
    row: i64,
    pack: i64,
    place: PlacedFound,
    chunks: Vec<ChunkRef>,
}

/// The first list of an item's with this number that can be read.
fn find_list(
    dir: &Path,
    connection: &Connection,
    id: ItemId,
    part: u32,
) -> Result<Option<FoundList>, ReadError> {
    let mut statement = connection.prepare_cached(
        "SELECT found_list.rowid, pack.id, pack.name, found_list.offset, found_list.bytes FROM found_list
         JOIN pack ON pack.id = found_list.pack WHERE key = ? AND part = ?",
    )?;
    let mut rows = statement.query(params![id.0, part])?;
    while let Some(row) = rows.next()? {
        let place = placed(row, 2)?;
        let list = place
            .load(dir)?
            .and_then(|bytes| ItemChunks::decode(&bytes));
        if let Some(list) = list {
            return Ok(Some(FoundList {
                row: row.get(0)?,
                pack: row.get(1)?,
                place,
                chunks: list.chunks,
            }));
        }
    }
    Ok(None)
}

/// The key of a chunk that some pack holds.
fn find_stored(
    dir: &Path,
    connection: &Connection,
    chunk: &ChunkRef,
) -> Result<Option<i64>, ReadError> {
    let candidates: Vec<(i64, PlacedFound)> = connection
        .prepare_cached(
            "SELECT chunk.id, pack.name, chunk.offset, chunk.bytes FROM chunk JOIN pack ON pack.id = chunk.pack
             WHERE prefix = ? AND digest = ? AND chunk.bytes = ? ORDER BY refs DESC, chunk.id",
        )?
        .query_map(
            params![
                prefix(&chunk.digest),
                chunk.digest.as_bytes(),
                chunk.bytes_count
            ],
            |row| Ok((row.get(0)?, placed(row, 1)?)),
        )?
        .collect::<Result<_, _>>()?;
    if let [(only, _)] = &candidates[..] {
        return Ok(Some(*only));
    }
    for (id, place) in &candidates {
        if place.holds(dir, &chunk.digest)? {
            return Ok(Some(*id));
        }
    }
    Ok(None)
}

/// The key of a chunk that no pack holds: it counts as damaged, so that it is stored again as soon as it comes again.
fn missing_chunk(
    transaction: &Transaction<'_>,
    chunk: &ChunkRef,
    source: ItemSource,
) -> rusqlite::Result<i64> {
    let known: Option<i64> = transaction
        .prepare_cached("SELECT id FROM chunk WHERE pack = ? AND digest = ? AND bytes = ?")?
        .query_row(
            params![NOWHERE, chunk.digest.as_bytes(), chunk.bytes_count],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let id = insert_chunk(transaction, chunk, (NOWHERE, 0), source)?;
    transaction
        .prepare_cached("UPDATE chunk SET damaged = 1 WHERE id = ?")?
        .execute([id])?;
    Ok(id)
}

/// Brings one item back, with its lists and what they refer to; or what is left of one that is not whole.
fn restore(
    dir: &Path,
    transaction: &Transaction<'_>,
    (found, pack, place): (i64, i64, &PlacedFound),
    item: &Item,
    rebuilt: &mut RebuiltImports,
) -> Result<(), ReadError> {
    let is_known: Option<i64> = transaction
        .prepare_cached("SELECT id FROM item WHERE key = ?")?
        .query_row([item.id.0], |row| row.get(0))
        .optional()?;
    if is_known.is_some() {
        // An earlier try that was taken back and not written over.
        return Ok(());
    }
    let parts = 0..item.lists_count;
    let lists: Vec<Option<FoundList>> = parts
        .map(|part| find_list(dir, transaction, item.id, part))
        .collect::<Result<_, _>>()?;
    let is_whole = is_whole(item, &lists);
    if !is_whole {
        rebuilt.lost.push(item.name.clone());
    }
    let chunks = lists.iter().flatten().flat_map(|list| &list.chunks);
    let bytes: u64 = chunks.map(|chunk| u64::from(chunk.bytes_count)).sum();
    let origin = match is_whole {
        true => "rebuilt".to_owned(),
        // What is left of it, found by nobody, until interrupted imports are given up.
        false => format!("lost:{}", item.id),
    };
    transaction.execute(
        "INSERT INTO item (key, name, media, source, bytes, digest, camera, at_ms, made_ms, progress, new_bytes,
                           origin, origin_changed, pack, offset, record_bytes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, ?, ?, ?)",
        params![
            item.id.0,
            item.name.as_str(),
            item.media.code(),
            item.source.code(),
            item.bytes_count,
            is_whole.then(|| item.digest.as_bytes()),
            item.camera.as_ref().map(CameraId::as_str),
            item.wall_start.map(|at| at.0),
            item.made.0,
            bytes,
            origin,
            is_whole.then_some(pack),
            is_whole.then_some(place.offset),
            is_whole.then_some(place.bytes)
        ],
    )?;
    let row = transaction.last_insert_rowid();
    let (mut start, mut new_bytes) = (0u64, 0u64);
    for (part, list) in lists.iter().enumerate() {
        let Some(list) = list else {
            continue;
        };
        let mut listed = Vec::with_capacity(list.chunks.len());
        for chunk in &list.chunks {
            let stored = find_stored(dir, transaction, chunk)?;
            if stored.is_none() {
                rebuilt.missing_bytes += u64::from(chunk.bytes_count);
            }
            listed.push(Listed {
                chunk: match stored {
                    Some(stored) => stored,
                    None => missing_chunk(transaction, chunk, item.source)?,
                },
                bytes: chunk.bytes_count,
            });
        }
        for (chunk, count) in count_refs(listed.iter().copied()) {
            let first: Option<u64> = transaction
                .prepare_cached(
                    "UPDATE chunk SET source = ? WHERE id = ? AND refs = 0 RETURNING bytes",
                )?
                .query_row(params![item.source.code(), chunk], |row| row.get(0))
                .optional()?;
            new_bytes += first.unwrap_or(0);
            transaction
                .prepare_cached("UPDATE chunk SET refs = refs + ? WHERE id = ?")?
                .execute([count, chunk])?;
        }
        transaction
            .prepare_cached(
                "INSERT INTO item_list (item, part, start, chunks, pack, offset, record_bytes)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                row,
                part,
                start,
                encode_list(&listed),
                list.pack,
                list.place.offset,
                list.place.bytes
            ])?;
        transaction
            .prepare_cached("UPDATE found_list SET used = 1 WHERE rowid = ?")?
            .execute([list.row])?;
        start += list
            .chunks
            .iter()
            .map(|chunk| u64::from(chunk.bytes_count))
            .sum::<u64>();
    }
    transaction.execute(
        "UPDATE item SET new_bytes = ? WHERE id = ?",
        params![new_bytes, row],
    )?;
    if is_whole {
        transaction.execute("UPDATE found_item SET used = 1 WHERE rowid = ?", [found])?;
        rebuilt.items += 1;
        rebuilt.bytes += item.bytes_count;
    }
    Ok(())
}

/// Whether these are all lists of the item.
fn is_whole(item: &Item, lists: &[Option<FoundList>]) -> bool {
    let mut hasher = ItemHasher::new(DIGEST_KIND);
    let mut bytes = 0;
    for chunk in lists.iter().flatten().flat_map(|list| &list.chunks) {
        hasher.push(chunk);
        bytes += u64::from(chunk.bytes_count);
    }
    lists.iter().all(Option::is_some) && hasher.finish() == item.digest && bytes == item.bytes_count
}
