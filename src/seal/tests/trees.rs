//! Trees against the recursive definitions of RFC 9162 §2.1, written down once more without any cleverness.

use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

/// Past the third level of tiles.
const LARGE: u64 = 65_536 + 256 * 3 + 5;

static LARGE_LOG: LazyLock<MemoryLog> = LazyLock::new(|| MemoryLog::of_numbers(LARGE));

/// MTH, PATH and SUBPROOF over the numbered leaves.
#[derive(Default)]
struct Reference(HashMap<(u64, u64), NodeHash>);

impl Reference {
    fn split(count: u64) -> u64 {
        (0..64).map(|bit| 1 << bit).rfind(|k| *k < count).unwrap()
    }

    fn root(&mut self, start: u64, end: u64) -> NodeHash {
        if let Some(known) = self.0.get(&(start, end)) {
            return *known;
        }
        let root = match end - start {
            0 => NodeHash::of_nothing(),
            1 => numbered_leaf(start),
            count => {
                let middle = start + Self::split(count);
                let (left, right) = (self.root(start, middle), self.root(middle, end));
                NodeHash::above(&left, &right)
            }
        };
        self.0.insert((start, end), root);
        root
    }

    fn path(&mut self, index: u64, start: u64, end: u64) -> Vec<NodeHash> {
        if end - start == 1 {
            return Vec::new();
        }
        let middle = start + Self::split(end - start);
        let (mut path, sibling) = if index < middle {
            (self.path(index, start, middle), self.root(middle, end))
        } else {
            (self.path(index, middle, end), self.root(start, middle))
        };
        path.push(sibling);
        path
    }

    fn subproof(&mut self, old: u64, start: u64, end: u64, complete: bool) -> Vec<NodeHash> {
        if old == end {
            let unknown = (!complete).then(|| self.root(start, end));
            return unknown.into_iter().collect();
        }
        let middle = start + Self::split(end - start);
        let (mut path, sibling) = if old <= middle {
            let path = self.subproof(old, start, middle, complete);
            (path, self.root(middle, end))
        } else {
            let path = self.subproof(old, middle, end, false);
            (path, self.root(start, middle))
        };
        path.push(sibling);
        path
    }
}

#[test]
fn roots_and_edges_of_all_sizes_are_those_of_the_definition() {
    let mut reference = Reference::default();
    let mut all = MemoryLog::of_numbers(300);
    let mut growing = MemoryLog::default();
    for size in 0..=300 {
        let root = reference.root(0, size);
        assert_eq!(growing.frontier.size(), size);
        assert_eq!(growing.frontier.root(), root, "{size}");
        // The tiles have grown on; the older tree is still in them.
        assert_eq!(all.tree(size).root(), Ok(root), "{size}");
        assert_eq!(all.tree(size).frontier().as_ref(), Ok(&growing.frontier));
        growing.append(numbered_leaf(size));
    }
}

#[test]
fn inclusion_paths_of_all_sizes_are_those_of_the_definition_and_hold() {
    let mut reference = Reference::default();
    let mut log = MemoryLog::of_numbers(300);
    for size in 1..=300 {
        let root = reference.root(0, size);
        let mut tree = log.tree(size);
        for index in 0..size {
            let path = tree.inclusion(index).unwrap();
            assert_eq!(path, reference.path(index, 0, size), "{index} of {size}");
            let leaf = tree.leaf(index).unwrap();
            assert_eq!(leaf, numbered_leaf(index));
            assert_eq!(
                verify_inclusion((size, &root), index, &leaf, &path),
                Ok(()),
                "{index} of {size}"
            );
        }
    }
}

#[test]
fn consistency_proofs_of_all_sizes_are_those_of_the_definition_and_hold() {
    let mut reference = Reference::default();
    let mut log = MemoryLog::of_numbers(300);
    for size in 1..=300 {
        let root = reference.root(0, size);
        let mut tree = log.tree(size);
        for old in 1..=size {
            let path = tree.consistency(old).unwrap();
            assert_eq!(
                path,
                reference.subproof(old, 0, size, true),
                "{old} to {size}"
            );
            let old_root = reference.root(0, old);
            assert_eq!(
                verify_consistency((old, &old_root), (size, &root), &path),
                Ok(()),
                "{old} to {size}"
            );
        }
    }
}

#[test]
fn trees_are_those_that_an_independent_program_computed() {
    let mut log = MemoryLog::of_numbers(1000);
    let text = std::fs::read_to_string(golden("merkle.txt")).unwrap();
    let mut checked = 0;
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        let hashes = |from: usize| words[from..].iter().map(|word| unhex_hash(word));
        match words[0] {
            "root" => {
                let root = log.tree(number(1)).root();
                assert_eq!(root, Ok(unhex_hash(words[2])), "{line}");
            }
            "inclusion" => {
                let path = log.tree(number(1)).inclusion(number(2));
                assert_eq!(path, Ok(hashes(3).collect()), "{line}");
            }
            "consistency" => {
                let path = log.tree(number(2)).consistency(number(1));
                assert_eq!(path, Ok(hashes(3).collect()), "{line}");
            }
            _ => continue,
        }
        checked += 1;
    }
    assert_eq!(checked, 38);
}

#[test]
fn a_proof_out_of_a_large_log_reads_at_most_two_tiles_a_level() {
    let mut log = LARGE_LOG.clone();
    for index in [0, 255, 256, 40_000, 65_535, 65_536, LARGE - 1] {
        log.reads = 0;
        let path = log.tree(LARGE).inclusion(index).unwrap();
        assert!(log.reads <= 6, "{} tiles for {index}", log.reads);
        let root = log.frontier.root();
        let leaf = numbered_leaf(index);
        assert_eq!(
            verify_inclusion((LARGE, &root), index, &leaf, &path),
            Ok(())
        );
    }
    assert_eq!(log.tree(LARGE).frontier(), Ok(log.frontier.clone()));
}

#[test]
fn the_cover_of_a_run_of_leaves_is_no_longer_than_two_paths() {
    let mut log = LARGE_LOG.clone();
    let indices: Vec<_> = (30_000..33_600).collect();
    let cover = log.tree(LARGE).cover(&indices).unwrap();
    assert!(cover.len() <= 2 * 17, "{}", cover.len());
}

#[test]
fn what_is_not_in_the_tree_is_refused() {
    let mut log = MemoryLog::of_numbers(10);
    let outside = |index, size| TreeError::OutOfRange { index, size };
    assert_eq!(log.tree(7).leaf(7), Err(outside(7, 7)));
    assert_eq!(log.tree(7).inclusion(9), Err(outside(9, 7)));
    assert_eq!(log.tree(7).consistency(0), Err(outside(0, 7)));
    assert_eq!(log.tree(7).consistency(8), Err(outside(8, 7)));
    assert_eq!(log.tree(7).cover(&[3, 7]), Err(outside(7, 7)));
    assert_eq!(log.tree(7).cover(&[3, 3]), Err(outside(3, 7)));
    assert_eq!(log.tree(0).cover(&[]), Ok(vec![]));
    assert!(Tree::new(&mut log, LEAVES_MAX + 1).is_err());

    let root = log.frontier.root();
    let (leaf, path) = (numbered_leaf(0), log.tree(10).inclusion(0).unwrap());
    for size in [0, 1, u64::MAX] {
        assert!(verify_inclusion((size, &root), 0, &leaf, &path).is_err());
        assert!(verify_consistency((1, &leaf), (size, &root), &path).is_err());
        assert!(verify_consistency((0, &leaf), (size, &root), &path).is_err());
        assert!(root_of_cover(size, &[(0, leaf)], &path).is_err() || size == 1);
    }
}

#[test]
fn a_tile_that_is_damaged_is_named() {
    let mut log = LARGE_LOG.clone();
    let id = TileId {
        level: 0,
        index: 100,
    };
    let damaged = TreeError::Damaged {
        level: 0,
        index: 100,
    };
    log.tiles.get_mut(&id).unwrap().truncate(32 * 200);
    assert_eq!(log.tree(LARGE).leaf(25_600 + 230), Err(damaged));
    assert_eq!(
        log.tree(LARGE).leaf(25_600 + 130),
        Ok(numbered_leaf(25_600 + 130))
    );
    for bytes in [vec![], vec![0; 31], vec![0; 32 * 257]] {
        log.tiles.insert(id, bytes);
        let damaged = TreeError::Damaged {
            level: 0,
            index: 100,
        };
        assert_eq!(log.tree(LARGE).inclusion(25_600), Err(damaged));
    }
    // Nothing but the root above it is needed of the tile for leaves that lie elsewhere.
    assert!(log.tree(LARGE).inclusion(0).is_ok());
}

/// A size, some of its leaves in order.
fn some_leaves() -> impl Strategy<Value = (u64, Vec<u64>)> {
    (1..300u64).prop_flat_map(|size| {
        let all: Vec<_> = (0..size).collect();
        (Just(size), subsequence(all, 0..=size as usize))
    })
}

proptest! {
    #[test]
    fn a_cover_and_its_leaves_give_the_root_and_nothing_else_does(
        (size, indices) in some_leaves(),
        pick in any::<prop::sample::Index>(),
        bit in 0..256usize,
    ) {
        let mut log = MemoryLog::of_numbers(300);
        let mut tree = log.tree(size);
        let cover = tree.cover(&indices).unwrap();
        let root = tree.root().unwrap();
        let leaves: Vec<_> = indices.iter().map(|i| (*i, numbered_leaf(*i))).collect();
        prop_assert_eq!(root_of_cover(size, &leaves, &cover), Ok(root));

        if let [only] = indices.as_slice() {
            let mut path = tree.inclusion(*only).unwrap();
            let mut sorted = cover.clone();
            path.sort_by_key(|hash| hash.0);
            sorted.sort_by_key(|hash| hash.0);
            prop_assert_eq!(sorted, path);
        }
        let longer = [cover.as_slice(), &[root]].concat();
        prop_assert_eq!(root_of_cover(size, &leaves, &longer), Err(ProofError::Malformed));
        if !cover.is_empty() {
            let shorter = &cover[..cover.len() - 1];
            prop_assert_eq!(root_of_cover(size, &leaves, shorter), Err(ProofError::Malformed));
            let mut altered = cover.clone();
            altered[pick.index(cover.len())].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_cover(size, &leaves, &altered), Ok(root));
        }
        if !leaves.is_empty() {
            let mut altered = leaves.clone();
            altered[pick.index(leaves.len())].1.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_cover(size, &altered, &cover), Ok(root));
            let doubled = [leaves.as_slice(), &leaves[leaves.len() - 1..]].concat();
            prop_assert!(root_of_cover(size, &doubled, &cover).is_err());
        }
    }
}

proptest! {
    // Each case copies the large log.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn altered_paths_prove_nothing(
        size in 2..LARGE,
        index in any::<prop::sample::Index>(),
        bit in 0..256usize,
    ) {
        let mut log = LARGE_LOG.clone();
        let at = index.index(size as usize) as u64;
        let mut tree = log.tree(size);
        let (root, leaf) = (tree.root().unwrap(), tree.leaf(at).unwrap());
        let path = tree.inclusion(at).unwrap();
        let old = at + 1;
        let steps = tree.consistency(old).unwrap();
        let old_root = log.tree(old).root().unwrap();
        let included = |index, leaf: &NodeHash, path: &[NodeHash]| {
            verify_inclusion((size, &root), index, leaf, path)
        };
        let consistent = |old_root: &NodeHash, path: &[NodeHash]| {
            verify_consistency((old, old_root), (size, &root), path)
        };
        let flip = |hash: &NodeHash| {
            let mut flipped = *hash;
            flipped.0[bit / 8] ^= 1 << (bit % 8);
            flipped
        };

        prop_assert_eq!(included(at, &leaf, &path), Ok(()));
        prop_assert_eq!(included(at, &flip(&leaf), &path), Err(ProofError::OtherRoot));
        prop_assert!(included((at + 1) % size, &leaf, &path).is_err());
        prop_assert_eq!(included(size, &leaf, &path), Err(ProofError::Malformed));
        prop_assert_eq!(consistent(&old_root, &steps), Ok(()));
        prop_assert_eq!(consistent(&flip(&old_root), &steps), Err(ProofError::OtherRoot));
        for place in 0..path.len() {
            let mut altered = path.clone();
            altered[place] = flip(&altered[place]);
            prop_assert_eq!(included(at, &leaf, &altered), Err(ProofError::OtherRoot));
            prop_assert!(included(at, &leaf, &path[..place]).is_err());
        }
        for place in 0..steps.len() {
            let mut altered = steps.clone();
            altered[place] = flip(&altered[place]);
            prop_assert_eq!(consistent(&old_root, &altered), Err(ProofError::OtherRoot));
            prop_assert!(consistent(&old_root, &steps[..place]).is_err());
        }
        prop_assert!(included(at, &leaf, &[path.as_slice(), &[root]].concat()).is_err());
        prop_assert!(consistent(&old_root, &[steps.as_slice(), &[root]].concat()).is_err());
    }
}
