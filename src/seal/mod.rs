//! Tamper evidence: a Merkle log of recorded segments.
//! Pure: where leaves and tiles lie and what time it is are the store's business.

mod leaf;
mod merkle;

#[cfg(test)]
mod tests;

pub use leaf::{Leaf, LeafError, SegmentDigest};
pub use merkle::{
    Frontier, FrontierError, LEAVES_MAX, NodeHash, ProofError, TILE_HASHES, TileEntry, TileId,
    TileSource, Tree, TreeError, leaf_hash, root_of_cover, verify_consistency, verify_inclusion,
};
