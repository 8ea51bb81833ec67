//! What an imported file was, and of which chunks it consists.

use std::fmt;
use std::str::FromStr;

use super::PAYLOAD_BYTES_MAX;
use super::record::{kind_code, kind_from_code};
use crate::base::{CameraId, Digest, DigestKind, Hasher, Wall};
use crate::base::{FieldReader, FieldWriter, bytes_from_hex, write_hex};

/// The random name of an item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub [u8; 16]);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for ItemId {
    type Err = ();

    /// Reads 32 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = bytes_from_hex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(())
    }
}

impl fmt::Debug for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What people call an item: a file's name without folders. 1 to 255 bytes of UTF-8 without `/`, `\` and control
/// characters, and not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ItemName(String);

/// The text is no name of an item.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no file name: use 1 to 255 bytes without / and \\, control characters, and not . or .."
)]
pub struct InvalidItemName(pub String);

impl ItemName {
    /// The longest name, in bytes; Linux allows no longer one either.
    pub const BYTES_MAX: usize = 255;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemName {
    type Err = InvalidItemName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sized = !text.is_empty() && text.len() <= Self::BYTES_MAX;
        let plain = !text.contains(|c: char| c.is_control() || c == '/' || c == '\\');
        if sized && plain && text != "." && text != ".." {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidItemName(text.to_owned()))
        }
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an item can be shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Moving pictures, with or without sound.
    Video,
    /// Sound alone.
    Sound,
    /// One picture.
    Still,
    /// None of these; kept as a file.
    Other,
}

impl MediaKind {
    const ALL: [Self; 4] = [Self::Video, Self::Sound, Self::Still, Self::Other];

    /// The number that stands for it in packs and in the index. Numbers are never used again.
    pub fn code(self) -> u8 {
        match self {
            Self::Video => 1,
            Self::Sound => 2,
            Self::Still => 3,
            Self::Other => 4,
        }
    }

    /// Reads the number back.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// How an item came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemSource {
    /// From a file of this machine.
    Import,
    /// Over the network.
    Upload,
}

impl ItemSource {
    const ALL: [Self; 2] = [Self::Import, Self::Upload];

    /// The number that stands for it in packs and in the index. Numbers are never used again.
    pub fn code(self) -> u8 {
        match self {
            Self::Import => 1,
            Self::Upload => 2,
        }
    }

    /// Reads the number back.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.code() == code)
    }
}

/// An imported file, whole once this is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name for programs.
    pub id: ItemId,
    /// Its name for people.
    pub name: ItemName,
    /// What it can be shown as.
    pub media: MediaKind,
    /// How it came.
    pub source: ItemSource,
    /// Civil time at which it came.
    pub made: Wall,
    /// The camera on whose timeline it lies, if it lies on one.
    pub camera: Option<CameraId>,
    /// Civil time of its first picture, if somebody said.
    pub wall_start: Option<Wall>,
    /// Its size.
    pub bytes_count: u64,
    /// What an [`ItemHasher`] makes of its chunks.
    pub digest: Digest,
    /// How many [`ItemChunks`] list its chunks.
    pub lists_count: u32,
}

impl Item {
    /// Lays the item out as the payload of a record.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.raw(&self.id.0);
        fields.u64(self.bytes_count);
        fields.u32(self.lists_count);
        fields.u8(self.media.code());
        fields.u8(self.source.code());
        fields.i64(self.made.0);
        write_digest(&mut fields, &self.digest);
        fields.counted(self.name.as_str().as_bytes());
        let camera = self.camera.as_ref().map_or("", CameraId::as_str);
        fields.counted(camera.as_bytes());
        match self.wall_start {
            None => fields.u8(0),
            Some(wall) => {
                fields.u8(1);
                fields.i64(wall.0);
            }
        }
        fields.0
    }

    /// Reads the payload of a record back; `None` if it is no item.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = FieldReader(payload);
        let id = ItemId(fields.array()?);
        let bytes_count = fields.u64()?;
        let lists_count = fields.u32()?;
        let media = MediaKind::from_code(fields.u8()?)?;
        let source = ItemSource::from_code(fields.u8()?)?;
        let made = Wall(fields.i64()?);
        let digest = read_digest(&mut fields)?;
        let name = std::str::from_utf8(&fields.counted()?).ok()?.parse().ok()?;
        let camera = fields.counted()?;
        let camera = match std::str::from_utf8(&camera).ok()? {
            "" => None,
            camera => Some(camera.parse().ok()?),
        };
        let wall_start = match fields.u8()? {
            0 => None,
            1 => Some(Wall(fields.i64()?)),
            _ => return None,
        };
        fields.0.is_empty().then_some(Self {
            id,
            name,
            media,
            source,
            made,
            camera,
            wall_start,
            bytes_count,
            digest,
            lists_count,
        })
    }
}

/// One chunk of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRef {
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many they are.
    pub bytes_count: u32,
}

/// Names the bytes of a file by its chunks, one after the other: the BLAKE2b digest of their list (u32 size and digest
/// of each, as [`ItemChunks`] lays them out). Files with the same bytes have the same digest, since they are cut at the
/// same places, and no byte of the file is digested twice.
#[derive(Clone, Debug)]
pub struct ItemHasher(Hasher);

impl ItemHasher {
    /// Begins with no chunk.
    pub fn new(kind: DigestKind) -> Self {
        Self(kind.hasher())
    }

    /// Adds the next chunk.
    pub fn push(&mut self, chunk: &ChunkRef) {
        let mut fields = FieldWriter::default();
        write_chunk(&mut fields, chunk);
        self.0.update(&fields.0);
    }

    /// The digest of all.
    pub fn finish(self) -> Digest {
        self.0.finish()
    }
}

/// A run of an item's chunks, in the order of the file. Written as the import goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemChunks {
    /// Whose chunks.
    pub item: ItemId,
    /// Which run, counted from 0.
    pub index: u32,
    /// At most [`Self::CHUNKS_MAX`].
    pub chunks: Vec<ChunkRef>,
}

impl ItemChunks {
    /// So many fit into a payload, whichever their digests.
    pub const CHUNKS_MAX: usize = 15_000;

    /// Lays the run out as the payload of a record.
    pub fn encode(&self) -> Vec<u8> {
        assert!(
            self.chunks.len() <= Self::CHUNKS_MAX,
            "a longer list is split by whoever makes it"
        );
        let mut fields = FieldWriter::default();
        fields.raw(&self.item.0);
        fields.u32(self.index);
        for chunk in &self.chunks {
            write_chunk(&mut fields, chunk);
        }
        debug_assert!(fields.0.len() <= PAYLOAD_BYTES_MAX as usize);
        fields.0
    }

    /// Reads the payload of a record back; `None` if it is no such run.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = FieldReader(payload);
        let item = ItemId(fields.array()?);
        let index = fields.u32()?;
        let mut chunks = Vec::new();
        while !fields.0.is_empty() {
            if chunks.len() == Self::CHUNKS_MAX {
                return None;
            }
            chunks.push(ChunkRef {
                bytes_count: fields.u32()?,
                digest: read_digest(&mut fields)?,
            });
        }
        Some(Self {
            item,
            index,
            chunks,
        })
    }
}

/// All chunks of an item, from the runs found anywhere in any order, those of other items among them. `None` unless
/// every run is there and their chunks add up to the item's size; a run that was recorded twice counts once.
pub fn join_chunks(item: &Item, lists: &[ItemChunks]) -> Option<Vec<ChunkRef>> {
    let mut lists: Vec<&ItemChunks> = lists.iter().filter(|list| list.item == item.id).collect();
    lists.sort_by_key(|list| list.index);
    lists.dedup();
    let complete = lists.iter().map(|list| list.index).eq(0..item.lists_count);
    let chunks: Vec<ChunkRef> = lists
        .iter()
        .flat_map(|list| &list.chunks)
        .copied()
        .collect();
    let bytes_count: u64 = chunks.iter().map(|c| u64::from(c.bytes_count)).sum();
    (complete && bytes_count == item.bytes_count).then_some(chunks)
}

fn write_chunk(fields: &mut FieldWriter, chunk: &ChunkRef) {
    fields.u32(chunk.bytes_count);
    write_digest(fields, &chunk.digest);
}

fn write_digest(fields: &mut FieldWriter, digest: &Digest) {
    fields.u8(kind_code(digest.kind()));
    fields.raw(digest.as_bytes());
}

fn read_digest(fields: &mut FieldReader<'_>) -> Option<Digest> {
    let kind = kind_from_code(fields.u8()?)?;
    Digest::from_bytes(kind, fields.raw(kind.bytes_count())?)
}
