//! Shows of recorded segments that the log holds them, under the last checkpoint that the box signed. Reads reels, the
//! log's files and the public keys; writes nothing, and works beside a running appliance.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::box_keys::{BoxKeysError, load_public_keys, public_keys_path};
use super::error::ReadError;
use super::log_files::{TileFiles, last_checkpoint};
use super::reader::Reader;
use super::segment_log::leaf_of;
use super::segment_source::SegmentSource;
use crate::base::CameraId;
use crate::media::RenditionId;
use crate::seal::{
    Checkpoint, ClipProof, Leaf, MakeProofError, PublicKeys, SignedCheckpoint, Tree, TreeError,
};

/// Why a recording is not proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// It cannot be read, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The public keys of the box are not there.
    #[error("the box's public keys cannot be read: {0}; start perch there once, or put them back")]
    Keys(#[from] BoxKeysError),
    /// Nothing was signed yet.
    #[error("nothing is signed yet; the box signs each minute while it records")]
    NothingSigned,
    /// A segment is younger than the last checkpoint.
    #[error("segment {0} is not signed yet; the box signs each minute, ask again then")]
    NotYetSigned(u64),
    /// A segment was recorded before there was a log.
    #[error("segment {0} was recorded before this box kept a log, and cannot be proven")]
    BeforeTheLog(u64),
    /// Nothing of that number is recorded.
    #[error("segment {0} is not recorded")]
    NotRecorded(u64),
    /// Keyframes are taken out of segments, and these alone are signed.
    #[error("a time-lapse is made of single pictures, and carries no proof")]
    Timelapse,
    /// Something that was recorded between two segments is not there any more, or not played.
    #[error("not all that was recorded is in it: {0}")]
    Incomplete(String),
    /// Log and reels do not agree: one of them was altered.
    #[error("the log does not bear this recording out: {0}")]
    Log(String),
}

impl ProveError {
    /// Whether the same recording may be proven later: once it is signed, or once what cannot be read can be again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read(_)
            | Self::Keys(_)
            | Self::NothingSigned
            | Self::NotYetSigned(_)
            | Self::Log(_) => true,
            Self::BeforeTheLog(_)
            | Self::NotRecorded(_)
            | Self::Timelapse
            | Self::Incomplete(_) => false,
        }
    }
}

/// A segment that was read and is what its reel says.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// Index and record; `None` if it was recorded before there was a log.
    pub(super) leaf: Option<(u64, Leaf)>,
}

/// What the box signed last, and the log under it.
pub(super) struct SignedLog {
    pub(super) note: SignedCheckpoint,
    pub(super) checkpoint: Checkpoint,
}

impl SignedLog {
    /// The last checkpoint below `dir` whose both signatures hold under the given public keys, or without any under
    /// those that lie below `dir` themselves.
    pub(super) fn open(dir: &Path, keys: Option<&PublicKeys>) -> Result<Self, ProveError> {
        let own;
        let keys = match keys {
            Some(keys) => keys,
            None => {
                own = load_public_keys(&public_keys_path(dir))?;
                &own
            }
        };
        let note = last_checkpoint(dir, keys).map_err(|cause| ReadError::Io {
            path: dir.join("log"),
            cause,
        })?;
        let note = note.ok_or(ProveError::NothingSigned)?;
        let checkpoint = note.verify(keys);
        let checkpoint = checkpoint.map_err(|error| ProveError::Log(error.to_string()))?;
        Ok(Self {
            checkpoint: checkpoint.clone(),
            note,
        })
    }

    /// The tree of the leaves that are signed.
    pub(super) fn tree(&self, dir: &Path) -> Result<Tree<TileFiles>, ProveError> {
        let tree = Tree::new(TileFiles::new(dir), self.checkpoint.size);
        tree.map_err(|error| log_unreadable(&error))
    }
}

pub(super) fn log_unreadable(error: &TreeError<io::Error>) -> ProveError {
    ProveError::Log(error.to_string())
}

impl Reader {
    /// The proof of the given segments of a camera, by their media sequence numbers, in this order.
    pub(super) fn clip_proof(
        &self,
        dir: &Path,
        camera: &CameraId,
        segments: &[(RenditionId, u64)],
    ) -> Result<ClipProof, ProveError> {
        let signed = SignedLog::open(dir, None)?;
        let reader = Arc::new(self.clone());
        let source = |rendition| SegmentSource::new(Arc::clone(&reader), camera.clone(), rendition);
        let mut sources = BTreeMap::new();
        let mut leaves = Vec::with_capacity(segments.len());
        for &(rendition, msn) in segments {
            let source = sources
                .entry(rendition)
                .or_insert_with(|| source(rendition));
            let evidence = evidence(source, msn)?;
            let (index, leaf) = evidence.leaf.ok_or(ProveError::BeforeTheLog(msn))?;
            if index >= signed.checkpoint.size {
                return Err(ProveError::NotYetSigned(msn));
            }
            leaves.push((index, leaf));
        }
        let mut tree = signed.tree(dir)?;
        ClipProof::make(&signed.note, &mut tree, leaves).map_err(|error| match error {
            MakeProofError::Tree(error) => log_unreadable(&error),
            other => ProveError::Log(other.to_string()),
        })
    }
}

/// Reads a segment and what its reel says of it.
pub(super) fn evidence(source: &mut SegmentSource, msn: u64) -> Result<Evidence, ProveError> {
    let found = source.check(msn)?;
    let (trailer, timescale) = found.ok_or(ProveError::NotRecorded(msn))?;
    let leaf = leaf_of(source.camera(), source.rendition(), timescale, &trailer);
    Ok(Evidence { leaf })
}
