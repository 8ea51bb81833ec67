//! The right edge of a growing tree: all that is needed to append leaves and to tell the root, 32 bytes for each bit
//! that is set in the number of leaves. Says what belongs into the tiles, and is read out of them again after a start.

use super::{LEAVES_MAX, NodeHash, TileEntry};

/// The roots of the perfect subtrees that a tree consists of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Largest subtree first, one for each bit set in `size`.
    roots: Vec<NodeHash>,
}

impl Frontier {
    /// The frontier with the given subtrees, largest first: as many as bits are set in `size`.
    pub(super) fn of_roots(size: u64, roots: Vec<NodeHash>) -> Self {
        debug_assert_eq!(size.count_ones() as usize, roots.len());
        Self { size, roots }
    }

    /// Number of leaves appended so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf, which gets the index that [`Self::size`] told before. What it completes is added to `entries`:
    /// the leaf itself, and each 256 leaves, 65 536 leaves and so on the root above them. Each belongs behind what its
    /// tile holds already.
    ///
    /// Panics when the tree holds [`LEAVES_MAX`].
    pub fn append(&mut self, leaf: NodeHash, entries: &mut Vec<TileEntry>) {
        assert!(self.size < LEAVES_MAX, "no box records for that long");
        let index = self.size;
        entries.push(TileEntry::at(0, index, leaf));
        let mut root = leaf;
        for level in 1..=index.trailing_ones() {
            let left = self.roots.pop().expect("a root for each bit of the size");
            root = NodeHash::above(&left, &root);
            if level % 8 == 0 {
                entries.push(TileEntry::at((level / 8) as u8, index >> level, root));
            }
        }
        self.roots.push(root);
        self.size += 1;
    }

    /// The root of the tree. (RFC 9162 §2.1.1)
    pub fn root(&self) -> NodeHash {
        let mut smallest_first = self.roots.iter().rev();
        let Some(smallest) = smallest_first.next() else {
            return NodeHash::of_nothing();
        };
        smallest_first.fold(*smallest, |right, left| NodeHash::above(left, &right))
    }
}
