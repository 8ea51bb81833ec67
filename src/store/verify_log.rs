//! Whether the log goes on from checkpoints that were kept elsewhere. Who holds a box and its keys can write another log
//! and sign it; but not one that goes on from what was signed before.

use std::path::Path;

use super::archive::Archive;
use super::error::ReadError;
use super::log_files::{TileFiles, notes_in};
use super::proof::{ProveError, SignedLog, log_unreadable};
use crate::base::Wall;
use crate::seal::{Checkpoint, NodeHash, PublicKeys, TILE_HASHES, Tree, verify_consistency};

/// A checkpoint comes at most so long after the last leaf under it, in ms, however busy the box is.
const SIGNED_AFTER_MS: i64 = 5 * 60_000;

/// What checkpoints say of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointsReport {
    /// Checkpoints that the log goes on from.
    pub held: u64,
    /// Checkpoints whose last leaves were given back, as the recordings are gone: nobody can tell any more.
    pub too_old: u64,
    /// Checkpoints that are damaged or that other keys have signed.
    pub not_signed: u64,
    /// Checkpoints of another log, or of one that was longer: when they were signed, and over how many segments.
    pub contradicted: Vec<(Wall, u64)>,
}

/// What is to be said of one of them.
enum Verdict {
    Held,
    TooOld,
    Contradicted,
}

impl Archive {
    /// Compares the log with the checkpoints in the file `kept`: notes with an empty line behind each, such as a copy of
    /// `log/checkpoints-hourly`. What is between them is passed over.
    pub fn verify_checkpoints(
        &self,
        kept: &Path,
        keys: &PublicKeys,
    ) -> Result<CheckpointsReport, ProveError> {
        let notes = std::fs::read(kept).map_err(|cause| ReadError::Io {
            path: kept.to_owned(),
            cause,
        })?;
        // Read behind them: the log of a box that records may only be longer by now.
        let signed = SignedLog::open(self.dir(), Some(keys))?;
        let mut tree = signed.tree(self.dir())?;
        let oldest: Option<i64> = self.reader().read(|connection| {
            let oldest = "SELECT min((SELECT min(wall_ms) FROM reel WHERE reel.track = track.id)) FROM track";
            Ok(connection.query_row(oldest, (), |row| row.get(0))?)
        })?;
        let mut report = CheckpointsReport::default();
        for note in notes_in(&String::from_utf8_lossy(&notes)) {
            let Ok(old) = note.verify(keys) else {
                report.not_signed += 1;
                continue;
            };
            // Signed within a minute after its last leaf; zeros in place of leaves anybody can write.
            let is_over = oldest.is_none_or(|oldest| old.signed_at.0 < oldest + SIGNED_AFTER_MS);
            match compare(&mut tree, &signed.checkpoint, old, is_over)? {
                Verdict::Held => report.held += 1,
                Verdict::TooOld => report.too_old += 1,
                Verdict::Contradicted => report.contradicted.push((old.signed_at, old.size)),
            }
        }
        Ok(report)
    }
}

/// Whether the log under `now` became out of the one under `old` by appending. (RFC 9162 §2.1.4)
/// `is_over` says that what is recorded still was recorded later.
fn compare(
    tree: &mut Tree<TileFiles>,
    now: &Checkpoint,
    old: &Checkpoint,
    is_over: bool,
) -> Result<Verdict, ProveError> {
    if old.size == 0 {
        return Ok(Verdict::Held);
    }
    if old.size > now.size {
        return Ok(Verdict::Contradicted);
    }
    let path = match tree.consistency(old.size) {
        Ok(path) => path,
        Err(error) => return Err(log_unreadable(&error)),
    };
    let (old_tree, new_tree) = ((old.size, &old.root), (now.size, &now.root));
    if verify_consistency(old_tree, new_tree, &path).is_ok() {
        return Ok(Verdict::Held);
    }
    // Room is given back by whole tiles of leaves, and the end of the old tree may need single ones of its last.
    let first = old.size - old.size % TILE_HASHES as u64;
    let given_back = first < old.size
        && tree.leaf(first).map_err(|error| log_unreadable(&error))?
            == NodeHash([0; NodeHash::BYTES]);
    Ok(match given_back && is_over {
        true => Verdict::TooOld,
        false => Verdict::Contradicted,
    })
}
