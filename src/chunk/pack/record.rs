//! The two headers of a pack: that of the file, and that before each payload.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::{PACK_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::base::{Digest, DigestKind, bytes_from_hex, write_hex};
use crate::base::{FieldReader, FieldWriter};

/// The format that this program writes, and the newest that it reads.
const FORMAT_VERSION: u8 = 1;
const PACK_MAGIC: &[u8; 8] = b"perchpak";
pub(super) const RECORD_MAGIC: &[u8; 4] = b"rec:";
/// Records start at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;
const CHECK_BYTES: usize = 8;

/// The random name of a pack, also that of its file: 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(pub [u8; 16]);

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PackId {
    type Err = PackError;

    fn from_str(text: &str) -> Result<Self, PackError> {
        let bytes = bytes_from_hex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(PackError::NotAPack)
    }
}

/// Why a pack is not read.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It does not start as one, or its name is not that of one.
    #[error("no pack")]
    NotAPack,
    /// It starts as one, but the header does not hold. Its records may: the file's name tells the id.
    #[error("pack with a damaged header")]
    Damaged,
    /// A newer program wrote it.
    #[error("pack of format {0}, newer than this program reads; update perch")]
    Newer(u8),
    /// The disk fails.
    #[error("pack cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// What a pack says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHeader {
    /// Its name.
    pub id: PackId,
    /// How its payloads are digested.
    pub digest_kind: DigestKind,
}

impl PackHeader {
    /// Size of the header, with which a pack starts.
    pub const BYTES: usize = 40;

    /// Lays the header out.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut fields = FieldWriter(Vec::with_capacity(Self::BYTES));
        fields.raw(PACK_MAGIC);
        fields.u8(FORMAT_VERSION);
        fields.u8(kind_code(self.digest_kind));
        fields.raw(&[0; 6]);
        fields.raw(&self.id.0);
        let check = check_of([&fields.0]);
        fields.raw(&check);
        fields.0.try_into().expect("the fields add up to the size")
    }

    /// Reads what [`Self::encode`] wrote, and nothing that it would write otherwise.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, PackError> {
        let (sealed, check) = bytes.split_at(Self::BYTES - CHECK_BYTES);
        let Some(fields) = sealed.strip_prefix(PACK_MAGIC) else {
            return Err(PackError::NotAPack);
        };
        if check_of([sealed]) != *check {
            return Err(PackError::Damaged);
        }
        if fields[0] > FORMAT_VERSION {
            return Err(PackError::Newer(fields[0]));
        }
        let mut fields = FieldReader(fields);
        let mut decode = || {
            let [FORMAT_VERSION, kind, 0, 0, 0, 0, 0, 0] = fields.array()? else {
                return None;
            };
            let digest_kind = kind_from_code(kind)?;
            let id = PackId(fields.array()?);
            Some(Self { id, digest_kind })
        };
        decode().ok_or(PackError::Damaged)
    }

    /// Whether a record with a payload of this size, appended at `end`, leaves the pack within its bound.
    pub fn has_room(&self, end: u64, payload_bytes: u32) -> bool {
        let record = record_bytes(self.digest_kind, payload_bytes);
        end.checked_add(record)
            .is_some_and(|end| end <= PACK_BYTES_MAX)
    }
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// The bytes of one chunk.
    Chunk,
    /// A run of an item's list of chunks.
    ItemChunks,
    /// An item, whole with this.
    Item,
    /// Records that were deleted.
    Tombstones,
}

impl RecordKind {
    const ALL: [Self; 4] = [Self::Chunk, Self::ItemChunks, Self::Item, Self::Tombstones];

    fn code(self) -> u8 {
        match self {
            Self::Chunk => 1,
            Self::ItemChunks => 2,
            Self::Item => 3,
            Self::Tombstones => 4,
        }
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the payload is.
    pub kind: RecordKind,
    /// Its size, at most [`PAYLOAD_BYTES_MAX`].
    pub payload_bytes: u32,
    /// Its digest, of the pack's kind.
    pub digest: Digest,
}

impl RecordHeader {
    /// The header for a payload. Computes its digest.
    pub fn of_payload(kind: RecordKind, digest_kind: DigestKind, payload: &[u8]) -> Self {
        Self {
            kind,
            payload_bytes: u32::try_from(payload.len()).expect("payloads are at most 1 MiB"),
            digest: digest_kind.digest(payload),
        }
    }

    /// Size of a record's header in a pack: 56 or 88 bytes.
    pub const fn bytes_count(digest_kind: DigestKind) -> usize {
        16 + digest_kind.bytes_count() + CHECK_BYTES
    }

    /// Size of the whole record: header, payload and padding.
    pub fn record_bytes(&self) -> u64 {
        record_bytes(self.digest.kind(), self.payload_bytes)
    }

    /// The zero bytes behind the payload.
    pub fn padding(&self) -> &'static [u8] {
        let over = u64::from(self.payload_bytes) % ALIGNMENT;
        &[0; ALIGNMENT as usize][..((ALIGNMENT - over) % ALIGNMENT) as usize]
    }

    /// Lays the header out for its place in a pack.
    pub fn encode(&self, pack: PackId, offset: u64) -> Vec<u8> {
        let mut fields = FieldWriter(Vec::with_capacity(Self::bytes_count(self.digest.kind())));
        fields.raw(RECORD_MAGIC);
        fields.u8(self.kind.code());
        fields.raw(&[0; 3]);
        fields.u32(self.payload_bytes);
        fields.raw(&[0; 4]);
        fields.raw(self.digest.as_bytes());
        let check = check_of([&pack.0, &offset.to_be_bytes(), &fields.0]);
        fields.raw(&check);
        fields.0
    }

    /// Reads the header back from exactly its bytes; `None` if it is damaged, or was not written to this place of
    /// this pack.
    pub fn decode(bytes: &[u8], pack: &PackHeader, offset: u64) -> Option<Self> {
        let (sealed, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
        let mut fields = FieldReader(sealed);
        if fields.raw(4)? != RECORD_MAGIC
            || check_of([&pack.id.0, &offset.to_be_bytes(), sealed]) != *check
        {
            return None;
        }
        let [code, 0, 0, 0] = fields.array()? else {
            return None;
        };
        let kind = RecordKind::ALL.into_iter().find(|k| k.code() == code)?;
        let payload_bytes = fields.u32()?;
        let [0, 0, 0, 0] = fields.array()? else {
            return None;
        };
        let digest = Digest::from_bytes(pack.digest_kind, fields.0)?;
        (payload_bytes <= PAYLOAD_BYTES_MAX).then_some(Self {
            kind,
            payload_bytes,
            digest,
        })
    }
}

fn record_bytes(digest_kind: DigestKind, payload_bytes: u32) -> u64 {
    let header = RecordHeader::bytes_count(digest_kind) as u64;
    (header + u64::from(payload_bytes)).next_multiple_of(ALIGNMENT)
}

/// How a kind of digest is written in files.
pub(super) fn kind_code(kind: DigestKind) -> u8 {
    match kind {
        DigestKind::Blake2b256 => 1,
        DigestKind::Blake2b512 => 2,
    }
}

pub(super) fn kind_from_code(code: u8) -> Option<DigestKind> {
    let kinds = [DigestKind::Blake2b256, DigestKind::Blake2b512];
    kinds.into_iter().find(|kind| kind_code(*kind) == code)
}

fn check_of<const N: usize>(pieces: [&[u8]; N]) -> [u8; CHECK_BYTES] {
    let digest = DigestKind::Blake2b512.digest_pieces(pieces);
    let check = digest.as_bytes().first_chunk();
    *check.expect("a digest is longer than a check")
}
