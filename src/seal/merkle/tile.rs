//! How the hashes of a tree are kept: in tiles of 256, of which every eighth level of the tree has its own, as in
//! C2SP tlog-tiles. What lies between is computed, so that a proof out of 63 million leaves reads a few tiles.

use super::NodeHash;

/// Hashes in a full tile.
pub const TILE_HASHES: usize = 256;

/// Which tile. Its hash `slot` is the root above the leaves from `(index * 256 + slot) * 256^level` on,
/// `256^level` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for tiles of leaves, 1 for tiles of roots above 256 leaves, up to 6.
    pub level: u8,
    /// Position in its level, from 0.
    pub index: u64,
}

/// One hash and its place in a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileEntry {
    /// The tile.
    pub tile: TileId,
    /// The place in it: how many hashes the tile holds before.
    pub slot: u8,
    /// The hash.
    pub hash: NodeHash,
}

impl TileEntry {
    /// The entry for a node of a tile level, counted over all tiles of that level.
    pub(super) fn at(level: u8, node: u64, hash: NodeHash) -> Self {
        let (index, slot) = (node / TILE_HASHES as u64, (node % TILE_HASHES as u64) as u8);
        let tile = TileId { level, index };
        Self { tile, slot, hash }
    }
}

/// The root above the hashes of a full tile, as the level above it has it.
pub fn tile_root(hashes: &[NodeHash; TILE_HASHES]) -> NodeHash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        let (pairs, _) = level.as_chunks();
        level = pairs.iter().map(|[l, r]| NodeHash::above(l, r)).collect();
    }
    level[0]
}

/// Where tiles lie.
pub trait TileSource {
    /// Why one cannot be read.
    type Error;

    /// The hashes of a tile one behind the other, 32 bytes each, as many as it holds by now; none for a tile that
    /// nothing was written to.
    fn tile(&mut self, id: TileId) -> Result<Vec<u8>, Self::Error>;
}

/// Why something of a tree cannot be told.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError<E> {
    /// The source cannot read a tile.
    #[error("{0}")]
    Source(E),
    /// A tile holds fewer hashes than the size of the tree says, more than 256, or a cut one.
    #[error("tile {index} of level {level} of the log is damaged; check the store")]
    Damaged {
        /// Level of the tile.
        level: u8,
        /// Index of the tile.
        index: u64,
    },
    /// An index or an older size lies outside of the tree, or indices do not grow.
    #[error("leaf {index} is not among the {size} of the log, or out of order")]
    OutOfRange {
        /// The index, or the size.
        index: u64,
        /// Size of the tree.
        size: u64,
    },
}

/// A tile with everything that can be computed from it: the hashes it holds, and level by level the roots above them.
#[derive(Debug)]
pub(super) struct OpenTile {
    pub(super) index: u64,
    levels: Vec<Vec<NodeHash>>,
}

impl OpenTile {
    /// `None` if the bytes are no tile.
    pub(super) fn new(index: u64, bytes: &[u8]) -> Option<Self> {
        let hashes = NodeHash::list(bytes).filter(|hashes| hashes.len() <= TILE_HASHES)?;
        let mut levels = vec![hashes];
        while let [.., below] = levels.as_slice()
            && below.len() >= 2
        {
            let (pairs, _) = below.as_chunks();
            let above = pairs.iter().map(|[l, r]| NodeHash::above(l, r)).collect();
            levels.push(above);
        }
        Some(Self { index, levels })
    }

    /// The root above `2^height` hashes of the tile, the `position`th such. `None` if it does not hold them.
    pub(super) fn root(&self, height: usize, position: usize) -> Option<NodeHash> {
        self.levels.get(height)?.get(position).copied()
    }
}
