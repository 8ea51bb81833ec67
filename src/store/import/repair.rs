//! Records of packs that only a rebuild of the index needs, written again at their places from what the index knows, so
//! that losing the index later loses nothing either. Bytes of chunks cannot be made up, nor lists of what was deleted.
//!
//! What is written is what stood there. So a crash in the middle leaves nothing worse than was found, and a record that
//! came to count no longer meanwhile stays one whose tombstone holds.

use std::io::{self, IoSlice};

use rusqlite::{Connection, OptionalExtension, params};

use super::DIGEST_KIND;
use super::items::{COLUMNS, entry};
use super::rows::{decode_list, digest_at};
use super::verify::{DamagedRecord, PacksReport, RecordOf};
use crate::chunk::{ChunkRef, Item, ItemChunks, ItemId, PackHeader, RecordHeader, RecordKind};
use crate::store::error::ReadError;
use crate::store::file_system::{FileSystem, write_all_at};
use crate::store::reader::Reader;

/// Writes what can be made up for of the damaged records of a report. Returns how many. What the disk does not take is
/// left as it was found, and found again by the next pass.
pub(in crate::store) fn repair_records(
    files: &dyn FileSystem,
    reader: &Reader,
    report: &PacksReport,
) -> Result<u64, ReadError> {
    let mut repaired = 0;
    for record in &report.records_damaged {
        let content = reader.read(|connection| Ok(content_of(connection, record)?))?;
        let Some(content) = content else {
            continue;
        };
        match write(files, record, &content) {
            Ok(()) => repaired += 1,
            Err(error) => tracing::warn!(
                path = %record.path.display(), offset = record.offset, %error,
                "a damaged record of a pack cannot be written again; check the disk"
            ),
        }
    }
    Ok(repaired)
}

fn write(files: &dyn FileSystem, record: &DamagedRecord, content: &[u8]) -> io::Result<()> {
    let mut file = files.open_file(&record.path)?;
    write_all_at(&mut *file, &mut [IoSlice::new(content)], record.offset)?;
    file.sync()
}

/// What stood at a record's place, as far as it is damaged; `None` if the index does not know, or knows of no such
/// record any more.
fn content_of(
    connection: &Connection,
    record: &DamagedRecord,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let (pack, id) = record.pack;
    let placed = |kind, payload: Vec<u8>, bytes: u32| {
        let header = RecordHeader::of_payload(kind, DIGEST_KIND, &payload);
        let encoded = header.encode(id, record.offset);
        let content = [&encoded[..], &payload, header.padding()].concat();
        (header.payload_bytes == bytes).then_some(content)
    };
    match record.of {
        RecordOf::Tombstones => Ok(None),
        RecordOf::Header => {
            let header = PackHeader {
                id,
                digest_kind: DIGEST_KIND,
            };
            Ok(Some(header.encode().to_vec()))
        }
        RecordOf::Chunk(key) => {
            let header = connection
                .prepare_cached(
                    "SELECT bytes, digest FROM chunk WHERE id = ? AND pack = ? AND offset = ?",
                )?
                .query_row(params![key, pack, record.offset], |row| {
                    let payload_bytes = row.get(0)?;
                    let digest = digest_at(row, 1)?;
                    Ok(digest.map(|digest| RecordHeader {
                        kind: RecordKind::Chunk,
                        payload_bytes,
                        digest,
                    }))
                })
                .optional()?;
            Ok(header
                .flatten()
                .map(|header| header.encode(id, record.offset)))
        }
        RecordOf::List(row) => {
            let list = connection
                .prepare_cached(
                    "SELECT item.key, part, chunks, item_list.record_bytes
                     FROM item_list JOIN item ON item.id = item_list.item
                     WHERE item_list.id = ? AND item_list.pack = ? AND item_list.offset = ?",
                )?
                .query_row(params![row, pack, record.offset], |row| {
                    let list: Vec<u8> = row.get(2)?;
                    Ok((ItemId(row.get(0)?), row.get(1)?, list, row.get(3)?))
                })
                .optional()?;
            let Some((item, index, list, bytes)) = list else {
                return Ok(None);
            };
            let chunks = chunks_of(connection, &list)?;
            Ok(chunks.and_then(|chunks| {
                let list = ItemChunks {
                    item,
                    index,
                    chunks,
                };
                placed(RecordKind::ItemChunks, list.encode(), bytes)
            }))
        }
        RecordOf::Item(row) => {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, record_bytes, (SELECT count(*) FROM item_list WHERE item_list.item = item.id)
                     FROM item WHERE id = ? AND pack = ? AND offset = ? AND digest IS NOT NULL"
                ))?
                .query_row(params![row, pack, record.offset], |row| {
                    Ok((entry(row)?, row.get(12)?, row.get(13)?))
                })
                .optional()?;
            let Some((Some((_, item)), bytes, lists_count)) = found else {
                return Ok(None);
            };
            let item = Item {
                id: item.id,
                name: item.name,
                media: item.media,
                source: item.source,
                made: item.made,
                camera: item.camera,
                wall_start: item.at,
                bytes_count: item.bytes,
                digest: item.digest,
                lists_count,
            };
            Ok(placed(RecordKind::Item, item.encode(), bytes))
        }
    }
}

/// The chunks of a list; `None` if one of them is not known any more.
fn chunks_of(connection: &Connection, list: &[u8]) -> rusqlite::Result<Option<Vec<ChunkRef>>> {
    let mut chunk = connection.prepare_cached("SELECT digest FROM chunk WHERE id = ?")?;
    let mut chunks = Vec::new();
    for listed in decode_list(list) {
        let digest = chunk.query_row([listed.chunk], |row| digest_at(row, 0));
        let Some(digest) = digest.optional()?.flatten() else {
            return Ok(None);
        };
        chunks.push(ChunkRef {
            digest,
            bytes_count: listed.bytes,
        });
    }
    Ok(Some(chunks))
}
