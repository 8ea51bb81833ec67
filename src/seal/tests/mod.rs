//! The promises of the log, its checkpoints and its proofs, and what they are made with here.

mod clip;
mod clip_faults;
mod evidence;
mod keys;
mod notes;
mod records;
mod sound;
mod tracks;
mod trees;
mod vectors;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::*;
use crate::base::{Digest, DigestKind, Wall};

/// A log in memory: the frontier that appends, and the tiles that it fills.
#[derive(Clone, Default)]
struct MemoryLog {
    frontier: Frontier,
    tiles: BTreeMap<TileId, Vec<u8>>,
    /// Tiles read so far.
    reads: usize,
}

impl MemoryLog {
    fn append(&mut self, leaf: NodeHash) {
        let mut entries = Vec::new();
        self.frontier.append(leaf, &mut entries);
        for entry in entries {
            let tile = self.tiles.entry(entry.tile).or_default();
            assert_eq!(tile.len(), usize::from(entry.slot) * NodeHash::BYTES);
            tile.extend(entry.hash.0);
        }
    }

    /// Leaf `i` is `leaf i`, as in the goldens.
    fn of_numbers(count: u64) -> Self {
        let mut log = Self::default();
        for i in 0..count {
            log.append(numbered_leaf(i));
        }
        log
    }

    fn tree(&mut self, size: u64) -> Tree<&mut Self> {
        Tree::new(self, size).unwrap()
    }
}

impl TileSource for &mut MemoryLog {
    type Error = Infallible;

    fn tile(&mut self, id: TileId) -> Result<Vec<u8>, Infallible> {
        self.reads += 1;
        Ok(self.tiles.get(&id).cloned().unwrap_or_default())
    }
}

fn numbered_leaf(i: u64) -> NodeHash {
    leaf_hash(format!("leaf {i}").as_bytes())
}

/// The same keys each time.
fn keys(box_name: &str, seed: u8) -> SigningKeys {
    let origin = Origin::of_box(box_name).unwrap();
    let seeds = [seed, seed ^ 0xFF].map(|byte| Zeroizing::new([byte; 32]));
    SigningKeys::from_seeds(origin, seeds).unwrap()
}

const NOON: Wall = Wall(1_795_262_400_123);

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/seal", name]
        .iter()
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |d: u8| (d as char).to_digit(16).unwrap() as u8;
    let (pairs, rest) = text.as_bytes().as_chunks();
    assert!(rest.is_empty(), "{text}");
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

fn unhex_hash(text: &str) -> NodeHash {
    NodeHash(unhex(text).try_into().unwrap())
}
