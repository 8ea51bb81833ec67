//! Imports cut into chunks that are stored once: where a file is cut, and what a chunk is called. Pure: bytes and tables in, places out; what is kept, and for how
//! long, is decided above.

mod digest;
mod mp4;
mod read_at;
mod splitter;

#[cfg(test)]
mod tests;

pub use digest::{Digest, DigestKind, Hasher, InvalidDigest};
pub use mp4::mp4_cuts;
pub use read_at::ReadAt;
pub use splitter::{ChunkSizes, Splitter};
