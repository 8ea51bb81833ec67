//! Checks of inclusion and of consistency, step by step as RFC 9162 writes them down.

use super::NodeHash;

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// Too short, too long, or about something outside of the tree.
    #[error("the proof does not fit the size of the log")]
    Malformed,
    /// It leads to another root: of another log, or of one that was rewritten.
    #[error("the proof leads to another log")]
    OtherRoot,
}

fn same(one: &NodeHash, other: &NodeHash) -> Result<(), ProofError> {
    if one == other {
        Ok(())
    } else {
        Err(ProofError::OtherRoot)
    }
}

/// Shows that the tree of `size` leaves with this root holds `leaf` at `index`. (RFC 9162 §2.1.3.2)
pub fn verify_inclusion(
    (size, root): (u64, &NodeHash),
    index: u64,
    leaf: &NodeHash,
    path: &[NodeHash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Malformed);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for step in path {
        if last == 0 {
            return Err(ProofError::Malformed);
        }
        if node & 1 == 1 || node == last {
            hash = NodeHash::above(step, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = NodeHash::above(&hash, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Malformed);
    }
    same(&hash, root)
}

/// Shows that the second tree, given by size and root, became out of the first, of at least one leaf, by appending.
/// (RFC 9162 §2.1.4.2)
pub fn verify_consistency(
    (old_size, old_root): (u64, &NodeHash),
    (size, root): (u64, &NodeHash),
    path: &[NodeHash],
) -> Result<(), ProofError> {
    if old_size == 0 || old_size > size || path.is_empty() != (old_size == size) {
        return Err(ProofError::Malformed);
    }
    if old_size == size {
        return same(old_root, root);
    }
    let mut steps = path.iter();
    let first = match old_size.is_power_of_two() {
        true => old_root,
        false => steps.next().ok_or(ProofError::Malformed)?,
    };
    let shift = (old_size - 1).trailing_ones();
    let (mut node, mut last) = ((old_size - 1) >> shift, (size - 1) >> shift);
    let (mut old, mut new) = (*first, *first);
    for step in steps {
        if last == 0 {
            return Err(ProofError::Malformed);
        }
        if node & 1 == 1 || node == last {
            old = NodeHash::above(step, &old);
            new = NodeHash::above(step, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = NodeHash::above(&new, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(ProofError::Malformed);
    }
    same(&old, old_root)?;
    same(&new, root)
}
