//! The root of a tree from some of its leaves and the fewest hashes that stand for all others: one proof for a whole
//! clip, in which what two paths would share is there once.

use super::{LEAVES_MAX, NodeHash, ProofError, split};

/// The root of the tree of `size` leaves that holds the given leaves, by growing index, when `cover` stands for the
/// rest: from left to right the roots of the largest subtrees, as RFC 9162 §2.1.1 splits, that hold none of them.
///
/// Fails if indices do not grow or lie outside of the tree, and if the cover is too short or too long.
pub fn root_of_cover(
    size: u64,
    leaves: &[(u64, NodeHash)],
    cover: &[NodeHash],
) -> Result<NodeHash, ProofError> {
    let in_order = leaves.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let inside = leaves.last().is_none_or(|(index, _)| *index < size);
    if !in_order || !inside || size == 0 || size > LEAVES_MAX {
        return Err(ProofError::Malformed);
    }
    let mut rest = cover.iter();
    let root = fold(0, size, leaves, &mut rest).ok_or(ProofError::Malformed)?;
    if rest.len() > 0 {
        return Err(ProofError::Malformed);
    }
    Ok(root)
}

fn fold<'a>(
    start: u64,
    end: u64,
    leaves: &[(u64, NodeHash)],
    cover: &mut impl Iterator<Item = &'a NodeHash>,
) -> Option<NodeHash> {
    if leaves.is_empty() {
        return cover.next().copied();
    }
    if end - start == 1 {
        return Some(leaves[0].1);
    }
    let middle = start + split(end - start);
    let (left, right) = leaves.split_at(leaves.partition_point(|(index, _)| *index < middle));
    let left = fold(start, middle, left, cover)?;
    let right = fold(middle, end, right, cover)?;
    Some(NodeHash::above(&left, &right))
}
