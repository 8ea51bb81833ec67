//! Imports cut into chunks that are stored once: where a file is cut, what a chunk is called, how chunks and what
//! they belong to are laid out in packs. Pure: bytes and tables in, places and records out; what is kept, and for how
//! long, is decided above.

mod mp4;
mod pack;
mod probe;
mod read_at;
mod splitter;

#[cfg(test)]
mod tests;

pub use mp4::mp4_cuts;
pub use pack::{
    ChunkRef, Found, InvalidItemName, Item, ItemChunks, ItemHasher, ItemId, ItemName, ItemSource,
    MediaKind, PACK_BYTES_MAX, PAYLOAD_BYTES_MAX, PackError, PackHeader, PackId, PackScan,
    PlacedRecord, RecordHeader, RecordKind, TOMBSTONES_MAX, Tombstone, decode_tombstones,
    encode_tombstones, join_chunks, read_pack_header,
};
pub use probe::{MediaType, PROBE_BYTES, probe_media};
pub use read_at::ReadAt;
pub use splitter::{ChunkSizes, Splitter};
