//! Shows of recorded segments that the log holds them, under the last checkpoint that the box signed. Reads reels, the
//! log's files and the public keys; writes nothing, and works beside a running appliance.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::box_keys::{BoxKeysError, load_public_keys, public_keys_path};
use super::error::ReadError;
use super::log_files::{TileFiles, last_checkpoint};
use super::parameters::decode_parameters;
use super::reader::Reader;
use super::recorder::reel_path;
use super::reel::{Trailer, bytes_with_trailer, check_segment};
use super::reel_writer::Place;
use super::rows::REEL_SEGMENTS_MAX;
use super::segment_log::leaf_of;
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
        let mut files = ReelFiles::default();
        let mut leaves = Vec::with_capacity(segments.len());
        for &(rendition, msn) in segments {
            let evidence = self.evidence(dir, camera, (rendition, msn), &mut files)?;
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

    /// Reads a segment and what its reel says of it.
    pub(super) fn evidence(
        &self,
        dir: &Path,
        camera: &CameraId,
        (rendition, msn): (RenditionId, u64),
        files: &mut ReelFiles,
    ) -> Result<Evidence, ProveError> {
        let found = self.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT reel.id, reel.day, reel.run, segment.offset, segment.bytes, run.parameters
                     FROM camera JOIN track ON track.camera = camera.id AND track.rendition = ?2
                     JOIN reel ON reel.id = (
                         SELECT id FROM reel WHERE track = track.id AND first_msn <= ?3
                         ORDER BY first_msn DESC LIMIT 1
                     )
                     JOIN run ON run.track = reel.track AND run.run = reel.run
                     JOIN segment ON segment.id = reel.id * ?4 + ?3 - reel.first_msn
                     WHERE camera.name = ?1 AND ?3 < reel.first_msn + ?4",
                )?
                .query_row(
                    params![camera.as_str(), rendition.name(), msn as i64, REEL_SEGMENTS_MAX],
                    |row| {
                        let day: String = row.get(1)?;
                        let place = Place {
                            offset: row.get(3)?,
                            bytes: row.get(4)?,
                        };
                        let path = reel_path(dir, camera, &day, row.get(0)?);
                        Ok((path, row.get::<_, u64>(2)?, place, row.get::<_, Vec<u8>>(5)?))
                    },
                )
                .optional()?;
            Ok(found)
        })?;
        let (path, run, place, parameters) = found.ok_or(ProveError::NotRecorded(msn))?;
        let damaged = |what| ReadError::Damaged {
            path: path.clone(),
            offset: place.offset,
            what,
        };
        let timescale = decode_parameters(&parameters)
            .ok_or_else(|| damaged("its parameters cannot be read"))?
            .timescale();
        let trailer = files.read(&path, place, (msn, run))?;
        Ok(Evidence {
            leaf: leaf_of(camera, rendition, timescale, &trailer),
        })
    }
}

/// The reels that are read, the last one kept open.
#[derive(Debug, Default)]
pub(super) struct ReelFiles {
    open: Option<(PathBuf, File, u64)>,
    buffer: Vec<u8>,
}

impl ReelFiles {
    /// The trailer of a segment whose bytes are what they were.
    fn read(
        &mut self,
        path: &Path,
        place: Place,
        (msn, run): (u64, u64),
    ) -> Result<Trailer, ReadError> {
        let damaged = |what| ReadError::Damaged {
            path: path.to_owned(),
            offset: place.offset,
            what,
        };
        let io = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => damaged("the file is gone"),
            io::ErrorKind::UnexpectedEof => damaged("the file ends early"),
            _ => ReadError::Io {
                path: path.to_owned(),
                cause,
            },
        };
        if self.open.as_ref().is_none_or(|(of, ..)| of != path) {
            let file = File::open(path).map_err(io)?;
            let size = file.metadata().map_err(io)?.len();
            self.open = Some((path.to_owned(), file, size));
        }
        let (_, file, size) = self.open.as_ref().expect("the file was just opened");
        let count =
            bytes_with_trailer(place, *size).ok_or_else(|| damaged("the file ends early"))?;
        self.buffer.resize(count, 0);
        file.read_exact_at(&mut self.buffer, place.offset)
            .map_err(io)?;
        let checked = check_segment(&self.buffer, place.bytes, (msn, run));
        checked.map(|(trailer, _)| trailer).map_err(damaged)
    }
}
