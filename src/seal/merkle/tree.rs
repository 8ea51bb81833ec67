//! A tree of a given size over tiles that may have grown since: its root, and the proofs about it.
//! Keeps one tile of each level open, so that reading from left to right reads each tile about once.

use super::tile::OpenTile;
use super::{Frontier, LEAVES_MAX, NodeHash, TileId, TileSource, TreeError, split};

/// Tile levels of a tree of [`LEAVES_MAX`] leaves.
const TILE_LEVELS: usize = 7;

/// The first `size` leaves of a log.
#[derive(Debug)]
pub struct Tree<S> {
    source: S,
    size: u64,
    open: [Option<OpenTile>; TILE_LEVELS],
}

impl<S: TileSource> Tree<S> {
    /// The tree of the first `size` leaves, which the source must hold.
    pub fn new(source: S, size: u64) -> Result<Self, TreeError<S::Error>> {
        if size > LEAVES_MAX {
            return Err(TreeError::OutOfRange { index: size, size });
        }
        let open = [const { None }; TILE_LEVELS];
        Ok(Self { source, size, open })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of a leaf.
    pub fn leaf(&mut self, index: u64) -> Result<NodeHash, TreeError<S::Error>> {
        self.check_index(index)?;
        self.perfect(index, 1)
    }

    /// The root. (RFC 9162 §2.1.1)
    pub fn root(&mut self) -> Result<NodeHash, TreeError<S::Error>> {
        match self.size {
            0 => Ok(NodeHash::of_nothing()),
            size => self.range(0, size),
        }
    }

    /// The right edge, to append to: what a lost [`Frontier`] was.
    pub fn frontier(&mut self) -> Result<Frontier, TreeError<S::Error>> {
        let mut roots = Vec::new();
        let mut start = 0;
        while start < self.size {
            let count = 1 << (self.size - start).ilog2();
            roots.push(self.perfect(start, count)?);
            start += count;
        }
        Ok(Frontier::of_roots(self.size, roots))
    }

    /// The hashes that lead from a leaf to the root, the leaf's sibling first. (RFC 9162 §2.1.3.1)
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<NodeHash>, TreeError<S::Error>> {
        self.check_index(index)?;
        let (mut start, mut end) = (0, self.size);
        let mut path = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The hashes that show that the tree of `old_size` leaves, from 1, became this one by appending.
    /// (RFC 9162 §2.1.4.1)
    pub fn consistency(&mut self, old_size: u64) -> Result<Vec<NodeHash>, TreeError<S::Error>> {
        if old_size == 0 || old_size > self.size {
            let (index, size) = (old_size, self.size);
            return Err(TreeError::OutOfRange { index, size });
        }
        let (mut start, mut end) = (0, self.size);
        let mut path = Vec::new();
        while end != old_size {
            let middle = start + split(end - start);
            if old_size <= middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(start, middle)?);
                start = middle;
            }
        }
        // Whoever knows the old root knows this one, if it is all of the old tree.
        if start > 0 {
            path.push(self.range(start, end)?);
        }
        path.reverse();
        Ok(path)
    }

    /// The hashes that together with the given leaves give the root, see [`super::root_of_cover`].
    /// `indices` must grow.
    pub fn cover(&mut self, indices: &[u64]) -> Result<Vec<NodeHash>, TreeError<S::Error>> {
        let size = self.size;
        if let Some(pair) = indices.windows(2).find(|pair| pair[0] >= pair[1]) {
            let index = pair[1];
            return Err(TreeError::OutOfRange { index, size });
        }
        if let Some(&last) = indices.last() {
            self.check_index(last)?;
        }
        let mut cover = Vec::new();
        if size > 0 {
            self.cover_range(0, size, indices, &mut cover)?;
        }
        Ok(cover)
    }

    fn cover_range(
        &mut self,
        start: u64,
        end: u64,
        indices: &[u64],
        cover: &mut Vec<NodeHash>,
    ) -> Result<(), TreeError<S::Error>> {
        if indices.is_empty() {
            cover.push(self.range(start, end)?);
        } else if end - start > 1 {
            let middle = start + split(end - start);
            let (left, right) = indices.split_at(indices.partition_point(|i| *i < middle));
            self.cover_range(start, middle, left, cover)?;
            self.cover_range(middle, end, right, cover)?;
        }
        Ok(())
    }

    fn check_index(&self, index: u64) -> Result<(), TreeError<S::Error>> {
        let size = self.size;
        if index < size {
            Ok(())
        } else {
            Err(TreeError::OutOfRange { index, size })
        }
    }

    /// The root above the leaves from `start` to before `end`, a range that splitting the tree leads to.
    fn range(&mut self, start: u64, end: u64) -> Result<NodeHash, TreeError<S::Error>> {
        let count = end - start;
        if count.is_power_of_two() {
            return self.perfect(start, count);
        }
        let middle = start + split(count);
        let left = self.range(start, middle)?;
        let right = self.range(middle, end)?;
        Ok(NodeHash::above(&left, &right))
    }

    /// The root above `count` leaves, a power of two, `start` being a multiple of it.
    fn perfect(&mut self, start: u64, count: u64) -> Result<NodeHash, TreeError<S::Error>> {
        let height = count.ilog2();
        let level = (height / 8) as usize;
        // Counted in hashes of that tile level.
        let first = start >> (8 * level);
        let index = first / super::TILE_HASHES as u64;
        let position = (first % super::TILE_HASHES as u64) as usize;

        let id = TileId {
            level: level as u8,
            index,
        };
        let damaged = || TreeError::Damaged {
            level: id.level,
            index,
        };
        let open = match &mut self.open[level] {
            Some(open) if open.index == index => open,
            slot => {
                let bytes = self.source.tile(id).map_err(TreeError::Source)?;
                slot.insert(OpenTile::new(index, &bytes).ok_or_else(damaged)?)
            }
        };
        let within = (height % 8) as usize;
        open.root(within, position >> within).ok_or_else(damaged)
    }
}
