//! The format of a pack: chunks of imports and what they belong to, appended and never changed, up to 32 MiB.
//! Lays records out and reads them back; who writes them, and when they are durable, is the caller's affair.
//!
//! ```text
//! pack     header, record, record, …
//! header   "perchpak", version u8, digest kind u8, 6 zero bytes, pack id (16 bytes), check
//! record   "rec:", kind u8, 3 zero bytes, size of the payload u32, 4 zero bytes, digest of the payload, check;
//!          payload; zero bytes up to a multiple of 8
//! ```
//! All integers are big-endian. Digests in record headers are of the kind that the pack's header names. A check is
//! the first 8 bytes of a BLAKE2b-512: of what is before it in the header, and for a record of the pack's id and the
//! record's offset (u64) before that. So a record is taken only where it was written: bytes that look like one, in
//! the payload of an imported pack for instance, or what an older file left on the disk, are none.
//!
//! A pack needs no index: [`PackScan`] finds every record whose header is whole, also behind damage, and names what
//! it could not read. A header can reach the disk before its payload: whoever trusts a scan of a file that was not
//! closed loads the payloads, which compares their digests.
//!
//! An item (a file that was imported) is the list of its chunks in any number of [`ItemChunks`], and then one
//! [`Item`], with which it begins to exist. What is deleted is named by a [`Tombstone`] in a later record, by place:
//! a record counts unless a tombstone names it. A freed payload may be punched out of the file, its header stays.
//! A tombstone must last as long as the pack it speaks of: before a pack is removed, its tombstones about other
//! packs that remain are written again elsewhere.

mod item;
mod record;
mod scan;
mod tombstone;

pub use item::{
    ChunkRef, InvalidItemName, Item, ItemChunks, ItemHasher, ItemId, ItemName, ItemSource,
    MediaKind, join_chunks,
};
pub use record::{PackError, PackHeader, PackId, RecordHeader, RecordKind};
pub use scan::{Found, PackScan, PlacedRecord, read_pack_header};
pub use tombstone::{TOMBSTONES_MAX, Tombstone, decode_tombstones, encode_tombstones};

/// A pack grows no larger.
pub const PACK_BYTES_MAX: u64 = 32 << 20;

/// No payload is larger; a larger claim is damage.
pub const PAYLOAD_BYTES_MAX: u32 = 1 << 20;
