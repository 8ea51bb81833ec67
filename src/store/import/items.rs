//! Items as those see them who read: lists of them, and their bytes, each chunk compared with its digest.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::DIGEST_KIND;
use super::damage::first_damage;
use super::pack_path;
use super::rows::{Listed, decode_list, digest_at};
use crate::base::{CameraId, Digest, Wall};
use crate::chunk::{
    ItemId, ItemName, ItemSource, MediaKind, PROBE_BYTES, PackId, RecordHeader, probe_media,
};
use crate::store::error::ReadError;
use crate::store::list_place::ListPlace;
use crate::store::reader::Reader;
use crate::store::statistics::Source;

/// An imported file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemEntry {
    /// Its name for programs.
    pub id: ItemId,
    /// Its name for people.
    pub name: ItemName,
    /// What it can be shown as.
    pub media: MediaKind,
    /// How it came.
    pub source: ItemSource,
    /// The camera on whose timeline it lies, if it lies on one.
    pub camera: Option<CameraId>,
    /// Civil time of its first picture, if somebody said.
    pub at: Option<Wall>,
    /// When its import began.
    pub made: Wall,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes, those that were not stored before.
    pub new_bytes: u64,
    /// What an [`crate::chunk::ItemHasher`] makes of its chunks.
    pub digest: Digest,
    /// Of its bytes, those that the disk has damaged; the same file imported again mends them.
    pub damaged_bytes: u64,
}

/// A piece of the list of all items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPage {
    /// Newest first.
    pub items: Vec<ItemEntry>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<ListPlace>,
}

/// The columns that [`entry`] reads.
pub(super) const COLUMNS: &str =
    "id, key, name, media, source, camera, at_ms, made_ms, bytes, new_bytes, digest,
     (SELECT coalesce(sum(bytes), 0) FROM item_damage WHERE item_damage.item = item.id)";

/// Reads a row of [`COLUMNS`]; `None` for what a newer version may have written.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Option<(i64, ItemEntry)>> {
    let (name, camera): (String, Option<String>) = (row.get(2)?, row.get(5)?);
    let (Ok(name), Some(media), Some(source), Some(digest)) = (
        name.parse(),
        MediaKind::from_code(row.get(3)?),
        ItemSource::from_code(row.get(4)?),
        digest_at(row, 10)?,
    ) else {
        return Ok(None);
    };
    let at: Option<i64> = row.get(6)?;
    let item = ItemEntry {
        id: ItemId(row.get(1)?),
        name,
        media,
        source,
        camera: camera.and_then(|camera| camera.parse().ok()),
        at: at.map(Wall),
        made: Wall(row.get(7)?),
        bytes: row.get(8)?,
        new_bytes: row.get(9)?,
        digest,
        damaged_bytes: row.get(11)?,
    };
    Ok(Some((row.get(0)?, item)))
}

/// The items of a camera's timeline that start between two labels, by their start.
pub(in crate::store) fn imports_within(
    connection: &Connection,
    camera: &CameraId,
    from: Wall,
    to: Wall,
) -> rusqlite::Result<Vec<ItemEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM item WHERE camera = ? AND at_ms >= ? AND at_ms < ? AND digest IS NOT NULL
         ORDER BY at_ms, id LIMIT 1000"
    ))?;
    let mut rows = statement.query(params![camera.as_str(), from.0, to.0])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.extend(entry(row)?.map(|(_, item)| item));
    }
    Ok(items)
}

/// How imports and uploads add up. What both have is counted for the one that brought it first.
pub(in crate::store) fn import_sources(connection: &Connection) -> rusqlite::Result<[Source; 2]> {
    let source = |source: ItemSource, name| {
        connection
            .prepare_cached("SELECT logical_bytes, unique_bytes FROM source WHERE id = ?")?
            .query_row([source.code()], |row| {
                Ok(Source {
                    name,
                    logical_bytes: row.get(0)?,
                    unique_bytes: row.get(1)?,
                })
            })
    };
    Ok([
        source(ItemSource::Import, "imports")?,
        source(ItemSource::Upload, "uploads")?,
    ])
}

impl Reader {
    /// Whole items, newest first, at most `limit` of those that came before `before`; none if there is no such item.
    pub(in crate::store) fn items(
        &self,
        before: Option<ItemId>,
        limit: usize,
    ) -> Result<Vec<ItemEntry>, ReadError> {
        let place = match before {
            None => None,
            Some(before) => match self.item_place(before)? {
                None => return Ok(Vec::new()),
                place => place,
            },
        };
        Ok(self.item_page(place, limit)?.items)
    }

    /// Whole items, newest first, at most `limit` of those behind a place of the list, or from its beginning on.
    pub(in crate::store) fn item_page(
        &self,
        place: Option<ListPlace>,
        limit: usize,
    ) -> Result<ItemPage, ReadError> {
        let place = place.unwrap_or(ListPlace::START);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM item WHERE digest IS NOT NULL AND (made_ms, id) < (?, ?)
                 ORDER BY made_ms DESC, id DESC LIMIT ?"
            ))?;
            let mut rows = statement.query(params![place.at.0, place.row, limit])?;
            let (mut items, mut count, mut last) = (Vec::new(), 0, None);
            while let Some(row) = rows.next()? {
                items.extend(entry(row)?.map(|(_, item)| item));
                count += 1;
                last = Some(ListPlace {
                    at: Wall(row.get(7)?),
                    row: row.get(0)?,
                });
            }
            let next = last.filter(|_| count == limit);
            Ok(ItemPage { items, next })
        })
    }

    /// The place right behind an item; `None` if there is no such item.
    pub(in crate::store) fn item_place(&self, id: ItemId) -> Result<Option<ListPlace>, ReadError> {
        self.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT made_ms, id FROM item WHERE key = ? AND digest IS NOT NULL",
                )?
                .query_row([id.0], |row| {
                    Ok(ListPlace {
                        at: Wall(row.get(0)?),
                        row: row.get(1)?,
                    })
                })
                .optional()?;
            Ok(found)
        })
    }

    /// Opens an item; `None` if there is no such item.
    pub(in crate::store) fn open_item(&self, id: ItemId) -> Result<Option<ItemContent>, ReadError> {
        let found = self.read(|connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM item WHERE key = ? AND digest IS NOT NULL"
                ))?
                .query_row([id.0], entry)
                .optional()?;
            Ok(found.flatten())
        })?;
        Ok(found.map(|(row, item)| ItemContent {
            item,
            row,
            reader: self.clone(),
            list: Vec::new(),
            list_start: 0,
            pack: None,
        }))
    }
}

/// An item's bytes, to be read at any place. Keeps one list of its chunks and one open file.
#[derive(Debug)]
pub struct ItemContent {
    item: ItemEntry,
    row: i64,
    reader: Reader,
    list: Vec<Listed>,
    list_start: u64,
    pack: Option<(PackId, File)>,
}

/// Where a chunk lies.
struct Place {
    /// None where that is not known, or known to be damaged.
    pack: Option<PackId>,
    offset: u64,
    digest: Option<Digest>,
}

impl ItemContent {
    /// What is known of the item.
    pub fn item(&self) -> &ItemEntry {
        &self.item
    }

    /// How HTTP calls what the first bytes say that it is; `None` for no media. Reads disk.
    pub fn content_type(&mut self) -> Result<Option<&'static str>, ReadError> {
        let mut first = Vec::new();
        while first.len() < PROBE_BYTES {
            match self.load_from(first.len() as u64)? {
                Some(bytes) => first.extend_from_slice(&bytes),
                None => break,
            }
        }
        first.truncate(PROBE_BYTES);
        Ok(probe_media(&first).map(|media| media.content_type))
    }

    /// The first bytes from `from` to `to` that are known to be damaged, as far as they hang together; they may reach
    /// beyond both. Reads disk if the item is damaged at all.
    pub fn damage_within(&self, from: u64, to: u64) -> Result<Option<Range<u64>>, ReadError> {
        if self.item.damaged_bytes == 0 {
            return Ok(None);
        }
        first_damage(&self.reader, self.row, from..to)
    }

    /// The bytes from `offset` up to the end of the chunk in which it lies (at most 256 KiB), compared with their
    /// digest; `None` from the item's end on. Fails, too, if the item is removed meanwhile. Reads disk.
    pub fn load_from(&mut self, offset: u64) -> Result<Option<Bytes>, ReadError> {
        if offset >= self.item.bytes {
            return Ok(None);
        }
        let Some((listed, start)) = self.find(offset)? else {
            return Err(self.damaged(offset, "the list of its chunks is not in the index"));
        };
        let (row, id) = (self.row, self.item.id);
        let place = self.reader.read(|connection| {
            // Keys are used again: only as long as the item is there do its lists name what they named.
            let place = connection
                .prepare_cached(
                    "SELECT pack.name, chunk.offset, chunk.digest FROM item JOIN chunk ON chunk.id = ?
                     LEFT JOIN pack ON pack.id = chunk.pack AND chunk.damaged = 0
                     WHERE item.id = ? AND item.key = ? AND item.digest IS NOT NULL",
                )?
                .query_row(params![listed.chunk, row, id.0], |row| {
                    Ok(Place {
                        pack: row.get::<_, Option<_>>(0)?.map(PackId),
                        offset: row.get(1)?,
                        digest: digest_at(row, 2)?,
                    })
                })
                .optional()?;
            Ok(place)
        })?;
        let Some(place) = place else {
            return Err(self.damaged(
                offset,
                "the item was removed meanwhile, or the chunk is lost",
            ));
        };
        let Some(pack) = place.pack else {
            return Err(ReadError::ItemDamaged {
                name: self.item.name.clone(),
                from: start,
                to: start + u64::from(listed.bytes),
            });
        };
        let bytes = self.load(pack, &place, listed.bytes)?;
        Ok(Some(bytes.slice((offset - start) as usize..)))
    }

    /// The chunk in which `offset` lies, and where that starts.
    fn find(&mut self, offset: u64) -> Result<Option<(Listed, u64)>, ReadError> {
        if let Some(found) = self.find_listed(offset) {
            return Ok(Some(found));
        }
        let row = self.row;
        let list: Option<(u64, Vec<u8>)> = self.reader.read(|connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT start, chunks FROM item_list WHERE item = ? AND start <= ? ORDER BY start DESC LIMIT 1",
                )?
                .query_row(params![row, offset], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?)
        })?;
        let Some((start, chunks)) = list else {
            return Ok(None);
        };
        self.list_start = start;
        self.list = decode_list(&chunks).collect();
        Ok(self.find_listed(offset))
    }

    fn find_listed(&self, offset: u64) -> Option<(Listed, u64)> {
        let mut start = self.list_start;
        if offset < start {
            return None;
        }
        for listed in &self.list {
            let end = start + u64::from(listed.bytes);
            if offset < end {
                return Some((*listed, start));
            }
            start = end;
        }
        None
    }

    fn load(&mut self, pack: PackId, place: &Place, bytes: u32) -> Result<Bytes, ReadError> {
        let path = pack_path(self.reader.dir(), pack);
        let mut buffer = vec![0; bytes as usize];
        let read = self.pack_file(pack, &path).and_then(|file| {
            let start = place.offset + RecordHeader::bytes_count(DIGEST_KIND) as u64;
            file.read_exact_at(&mut buffer, start)
        });
        let what = match read {
            Ok(()) if place.digest == Some(DIGEST_KIND.digest(&buffer)) => {
                return Ok(buffer.into());
            }
            Ok(()) => "digest mismatch",
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => "the file ends early",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "the file is gone",
            Err(cause) => return Err(ReadError::Io { path, cause }),
        };
        Err(ReadError::Damaged {
            path,
            offset: place.offset,
            what,
        })
    }

    fn pack_file(&mut self, id: PackId, path: &std::path::Path) -> io::Result<&File> {
        if self.pack.as_ref().is_none_or(|(open, _)| *open != id) {
            self.pack = Some((id, File::open(path)?));
        }
        let (_, file) = self.pack.as_ref().expect("it was just opened");
        Ok(file)
    }

    fn damaged(&self, offset: u64, what: &'static str) -> ReadError {
        ReadError::Damaged {
            path: PathBuf::from(format!("item {}", self.item.id)),
            offset,
            what,
        }
    }
}
