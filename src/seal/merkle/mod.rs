//! An append-only Merkle tree as in RFC 9162 §2.1, with BLAKE2b-256 for SHA-256: the house digests everything with
//! BLAKE2b, on a small board it is the faster of the two in software, and no other log has to accept these proofs.
//! Knows hashes of leaves, not what they record.

mod cover;
mod frontier;
mod path;
mod tile;
mod tree;

pub use cover::root_of_cover;
pub use frontier::Frontier;
pub use path::{ProofError, verify_consistency, verify_inclusion};
pub use tile::{TILE_HASHES, TileEntry, TileId, TileSource, TreeError, tile_root};
pub use tree::Tree;

use std::fmt;

use crate::base::blake2b_256;

/// The largest tree: a box with four cameras and five renditions each fills it in 800 000 years.
pub const LEAVES_MAX: u64 = 1 << 48;

/// The hash of a leaf or of a node above leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeHash(pub [u8; NodeHash::BYTES]);

impl NodeHash {
    /// Size of a hash in bytes.
    pub const BYTES: usize = 32;

    /// The root of a tree without leaves. (RFC 9162 §2.1.1)
    pub fn of_nothing() -> Self {
        Self(blake2b_256([]))
    }

    /// The node above two others. (RFC 9162 §2.1.1)
    pub(super) fn above(left: &Self, right: &Self) -> Self {
        let mut bytes = [0x01; 1 + 2 * Self::BYTES];
        bytes[1..=Self::BYTES].copy_from_slice(&left.0);
        bytes[1 + Self::BYTES..].copy_from_slice(&right.0);
        Self(blake2b_256([&bytes[..]]))
    }

    /// Reads hashes that lie one behind the other. `None` if the last is cut.
    pub(super) fn list(bytes: &[u8]) -> Option<Vec<Self>> {
        let (hashes, rest) = bytes.as_chunks();
        rest.is_empty()
            .then(|| hashes.iter().map(|hash| Self(*hash)).collect())
    }
}

/// The hash of a leaf with the given record. (RFC 9162 §2.1.1)
pub fn leaf_hash(record: &[u8]) -> NodeHash {
    NodeHash(blake2b_256([&[0x00], record]))
}

/// Where a tree of `count` leaves, at least two, is split: the largest power of two below `count`. (RFC 9162 §2.1.1)
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}
