//! The log of recorded segments: each committed one is a leaf of a Merkle tree, in the order in which they were
//! written. Each minute the box signs what the log holds.
//!
//! A leaf becomes durable with its segment: the trailer behind the segment in its reel tells index and predecessor, and
//! all else that the leaf's record holds, so that a commit writes not a byte more for the log. Before a checkpoint is
//! signed, the hashes of its leaves are appended to the log's own files, where they stay when retention removes the
//! reels. What a crash finds beyond these is computed again out of the reels of the last minute; a leaf of which nothing
//! is left gets a hash of its own kind, so that those behind it keep their place.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::params;

use super::box_keys::load_or_make_keys;
use super::error::OpenError;
use super::file_system::FileSystem;
use super::index::Index;
use super::log_files::{
    AppendError, CheckpointWriter, TileFiles, TileWriter, last_checkpoint, log_folder,
};
use super::parameters::decode_parameters;
use super::recorder::reel_path;
use super::reel::{LogLink, Trailer, read_trailer};
use super::reel_writer::Place;
use super::rows::REEL_SEGMENTS_MAX;
use crate::base::{CameraId, Clock, Monotonic};
use crate::media::{RenditionId, ticks_to_seconds};
use crate::seal::{Frontier, Leaf, NodeHash, SigningKeys, Tree, TreeError, leaf_hash};

/// How often a log that has grown is signed.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// How often the room of leaves is given back whose segments are gone.
const THINNING_INTERVAL: Duration = Duration::from_secs(3600);

/// Opens what stands for a leaf of which nothing is left; its index follows.
const LOST_LEAF: &[u8] = b"perch lost segment\0";

type TrackKey = (CameraId, RenditionId);

/// The writer's side of the log.
pub(super) struct SegmentLog {
    dir: PathBuf,
    files: Arc<dyn FileSystem>,
    /// None if they are damaged; then nothing is signed, and recording goes on.
    keys: Option<SigningKeys>,
    /// Of what is committed.
    frontier: Frontier,
    /// Leaves of what is written and not committed.
    written: Vec<NodeHash>,
    /// The last leaf of each track.
    last: BTreeMap<TrackKey, NodeHash>,
    tiles: TileWriter,
    checkpoints: CheckpointWriter,
    /// Leaves in the files, and the first reel with one that is not.
    flushed: u64,
    first_reel: i64,
    signed: u64,
    due: Monotonic,
    thinning_due: Monotonic,
    bytes_written: u64,
    has_warned: bool,
}

/// What the index keeps of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogRow {
    /// Leaves in the log's files.
    pub(super) size: u64,
    /// Leaves beyond are of this reel or later ones.
    pub(super) first_reel: i64,
}

/// The record of a segment, from what its reel says of it. `None` if it was recorded before there was a log.
pub(super) fn leaf_of(
    camera: &CameraId,
    rendition: RenditionId,
    timescale: u32,
    trailer: &Trailer,
) -> Option<(u64, Leaf)> {
    let link = trailer.link?;
    let leaf = Leaf {
        camera: camera.clone(),
        rendition,
        run: trailer.run,
        msn: trailer.msn,
        wall_start: trailer.wall_start,
        duration_ms: duration_ms(trailer.duration_ticks, timescale),
        digest: trailer.digest,
        previous: link.previous,
    };
    Some((link.index, leaf))
}

/// How long a segment lasts, as its leaf says it.
pub(super) fn duration_ms(ticks: u64, timescale: u32) -> u32 {
    (ticks_to_seconds(ticks, timescale) * 1000.0).round() as u32
}

impl SegmentLog {
    /// Goes on where the last process stopped, once recovery has brought reels and index in order.
    pub(super) fn open(
        dir: &Path,
        files: Arc<dyn FileSystem>,
        index: &Index,
        now: Monotonic,
    ) -> Result<Self, OpenError> {
        let io = |cause| OpenError::from_io(dir, cause);
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
        let folder = log_folder(dir);
        let keys = match load_or_make_keys(dir) {
            Ok(keys) => Some(keys),
            Err(super::box_keys::BoxKeysError::Io(_, cause)) => return Err(io(cause)),
            Err(error) => {
                tracing::error!("recordings are not signed: {error}");
                None
            }
        };
        let row = index.log_row().map_err(sqlite)?;
        let signed = match &keys {
            Some(keys) => last_checkpoint(dir, keys.public_keys()).map_err(io)?,
            None => None,
        };
        let signed = signed.and_then(|checkpoint| {
            let keys = keys.as_ref()?;
            checkpoint.verify(keys.public_keys()).ok().cloned()
        });
        let promised = signed
            .as_ref()
            .map_or(row.size, |signed| row.size.max(signed.size));
        let held = TileFiles::new(dir).leaves().map_err(io)?;
        if held < promised {
            tracing::error!(
                "{}: the log of segments has lost its last {} leaves, which were signed: somebody or the disk has \
                 altered it; `perch verify` tells which recordings cannot be proven any more",
                folder.display(),
                promised - held
            );
        }
        let flushed = promised.min(held);
        let frontier = frontier_of(dir, flushed).map_err(io)?;
        if let Some(signed) = signed.as_ref().filter(|signed| signed.size == flushed)
            && frontier.root() != signed.root
        {
            tracing::error!(
                "{}: the log of segments is not the one that was signed: somebody or the disk has altered it",
                folder.display()
            );
        }
        let mut log = Self {
            dir: dir.to_owned(),
            files,
            keys,
            frontier,
            written: Vec::new(),
            last: BTreeMap::new(),
            tiles: TileWriter::new(dir, flushed),
            checkpoints: CheckpointWriter::new(dir).map_err(io)?,
            flushed,
            first_reel: row.first_reel,
            signed: signed.map_or(0, |signed| signed.size),
            due: now.after(CHECKPOINT_INTERVAL),
            thinning_due: now.after(THINNING_INTERVAL),
            bytes_written: 0,
            has_warned: false,
        };
        log.append_tail(index).map_err(sqlite)?;
        log.read_last(index).map_err(sqlite)?;
        Ok(log)
    }

    /// Appends what was committed and not yet in the files.
    fn append_tail(&mut self, index: &Index) -> rusqlite::Result<()> {
        let tail = self.leaves_of_reels(index, "reel.id >= ?1", self.first_reel)?;
        let tail: BTreeMap<u64, NodeHash> = tail
            .into_iter()
            .filter(|(_, index, _)| *index >= self.flushed)
            .map(|(_, index, leaf)| (index, leaf.hash()))
            .collect();
        let Some((&newest, _)) = tail.last_key_value() else {
            return Ok(());
        };
        // No more are uncommitted or lost than a few minutes bring; a larger step is damage.
        const STEP_MAX: u64 = 1 << 20;
        let end = if newest - self.flushed < STEP_MAX {
            newest + 1
        } else {
            tracing::error!("a reel names leaf {newest} of a log of {}", self.flushed);
            self.flushed
        };
        for index in self.flushed..end {
            let hash = tail
                .get(&index)
                .copied()
                .unwrap_or_else(|| lost_leaf(index));
            self.append(hash);
        }
        Ok(())
    }

    /// The last leaf of each track: what the next one's `previous` is.
    fn read_last(&mut self, index: &Index) -> rusqlite::Result<()> {
        let newest = "reel.id IN (SELECT (SELECT id FROM reel WHERE track = track.id ORDER BY first_msn DESC LIMIT 1)
                      FROM track) AND ?1 = 0";
        for (track, _, leaf) in self.leaves_of_reels(index, newest, 0)? {
            self.last.insert(track, leaf.hash());
        }
        Ok(())
    }

    /// The leaves of the reels of which `condition` holds, as far as their trailers can be read; those of a track in
    /// their order.
    fn leaves_of_reels(
        &self,
        index: &Index,
        condition: &str,
        value: i64,
    ) -> rusqlite::Result<Vec<(TrackKey, u64, Leaf)>> {
        let mut reels = index.connection().prepare(&format!(
            "SELECT reel.id, camera.name, track.rendition, reel.day, run.parameters
             FROM reel JOIN track ON track.id = reel.track JOIN camera ON camera.id = track.camera
             JOIN run ON run.track = reel.track AND run.run = reel.run
             WHERE {condition} ORDER BY reel.id"
        ))?;
        let mut places = index
            .connection()
            .prepare("SELECT offset, bytes FROM segment WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
        let mut rows = reels.query([value])?;
        let mut leaves = Vec::new();
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let (camera, rendition): (String, String) = (row.get(1)?, row.get(2)?);
            let (day, parameters): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
            let (Ok(camera), Ok(rendition), Some(parameters)) = (
                camera.parse::<CameraId>(),
                rendition.parse::<RenditionId>(),
                decode_parameters(&parameters),
            ) else {
                continue;
            };
            let path = reel_path(&self.dir, &camera, &day, id);
            let opened = self.files.open_file(&path).and_then(|f| Ok((f.size()?, f)));
            let Ok((size, file)) = opened else {
                continue;
            };
            let first_key = id * REEL_SEGMENTS_MAX as i64;
            let places = places.query_map(
                params![first_key, first_key + REEL_SEGMENTS_MAX as i64],
                |row| {
                    // A damaged row may say anything; what is impossible is not found in the file.
                    Ok(Place {
                        offset: row.get::<_, i64>(0)? as u64,
                        bytes: row.get::<_, i64>(1)? as u64,
                    })
                },
            )?;
            for place in places {
                let trailer = read_trailer(&*file, place?, size);
                let leaf = trailer.and_then(|(trailer, _)| {
                    leaf_of(&camera, rendition, parameters.timescale(), &trailer)
                });
                if let Some((index, leaf)) = leaf {
                    leaves.push(((camera.clone(), rendition), index, leaf));
                }
            }
        }
        Ok(leaves)
    }

    /// The place of the segment that is written next.
    pub(super) fn next_link(&self, track: &TrackKey) -> LogLink {
        LogLink {
            index: self.frontier.size() + self.written.len() as u64,
            previous: self.last.get(track).copied(),
        }
    }

    /// A segment was written at the place that was told last.
    pub(super) fn note_written(&mut self, track: &TrackKey, leaf: &Leaf) {
        let hash = leaf.hash();
        self.written.push(hash);
        self.last.insert(track.clone(), hash);
    }

    /// Everything written is committed.
    pub(super) fn commit(&mut self) {
        for hash in std::mem::take(&mut self.written) {
            self.append(hash);
        }
    }

    fn append(&mut self, hash: NodeHash) {
        let mut entries = Vec::with_capacity(1);
        self.frontier.append(hash, &mut entries);
        self.tiles.push(&entries);
    }

    /// Whether the log has grown and it is time to sign it.
    pub(super) fn is_due(&self, now: Monotonic) -> bool {
        now >= self.due && self.frontier.size() > self.signed
    }

    /// The first reel with leaves that the log's files do not hold yet.
    pub(super) fn first_reel(&self) -> i64 {
        self.first_reel
    }

    /// Appends the hashes of what is committed to the log's files. `open_reel` is the first reel that takes more.
    pub(super) fn flush(&mut self, open_reel: i64) -> Result<(), AppendError> {
        self.bytes_written += self.tiles.flush(&*self.files)?;
        self.flushed = self.frontier.size();
        self.first_reel = open_reel;
        Ok(())
    }

    /// The same ahead of time, because reels go. On a full disk they go all the same: there, room is worth more than
    /// the proof of what is over.
    pub(super) fn flush_early(&mut self) -> Result<(), AppendError> {
        match self.tiles.flush(&*self.files) {
            Ok(written) => {
                self.bytes_written += written;
                self.flushed = self.frontier.size();
                Ok(())
            }
            Err(AppendError::Write(..)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Signs what is committed. Whatever refuses is tried again in a minute; a failed sync is for the caller to judge.
    pub(super) fn sign(&mut self, open_reel: i64, clock: &dyn Clock) -> Result<(), AppendError> {
        self.due = clock.monotonic().after(CHECKPOINT_INTERVAL);
        let outcome = self
            .flush(open_reel)
            .and_then(|()| self.sign_flushed(clock));
        match outcome {
            Err(AppendError::Write(path, error)) => {
                if !self.has_warned {
                    self.has_warned = true;
                    tracing::warn!(path = %path.display(), %error, "the log of segments is not signed; it is tried again");
                }
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                self.has_warned = false;
                Ok(())
            }
        }
    }

    fn sign_flushed(&mut self, clock: &dyn Clock) -> Result<(), AppendError> {
        let Some(keys) = self.keys.as_ref().filter(|_| self.signed < self.flushed) else {
            return Ok(());
        };
        let now = clock.wall();
        let signed = keys.sign(self.flushed, self.frontier.root(), now);
        let checkpoint = signed.map_err(|error| {
            AppendError::Write(log_folder(&self.dir), io::Error::other(error.to_string()))
        })?;
        self.bytes_written += self.checkpoints.append(&*self.files, &checkpoint, now)?;
        self.signed = self.flushed;
        Ok(())
    }

    /// Gives back the room of leaves before the oldest that is recorded, once in a while. Reels are begun in the order of
    /// their leaves, so that the oldest reel has the oldest. What does not succeed now is no harm.
    pub(super) fn thin(&mut self, index: &Index, now: Monotonic) -> rusqlite::Result<()> {
        if now < self.thinning_due {
            return Ok(());
        }
        self.thinning_due = now.after(THINNING_INTERVAL);
        let oldest = "reel.id = (SELECT min(id) FROM reel) AND ?1 = 0";
        let oldest = self.leaves_of_reels(index, oldest, 0)?;
        if let Some(first) = oldest.into_iter().map(|(_, index, _)| index).min()
            && let Err(error) = self.tiles.thin(first.min(self.flushed))
        {
            tracing::debug!(%error, "the log of segments keeps room that it does not need");
        }
        Ok(())
    }

    /// What the index is to keep.
    pub(super) fn row(&self) -> LogRow {
        LogRow {
            size: self.flushed,
            first_reel: self.first_reel,
        }
    }

    /// Bytes written since this was asked last.
    pub(super) fn take_bytes_written(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_written)
    }
}

/// What stands for a leaf of which nothing is left.
pub(super) fn lost_leaf(index: u64) -> NodeHash {
    leaf_hash(&[LOST_LEAF, &index.to_be_bytes()].concat())
}

/// The right edge of the log in the files. Hashes above leaves that are missing are computed again, out of leaves that
/// are there: where room was given back, only those above tell of them, and nothing may be written over these.
fn frontier_of(dir: &Path, size: u64) -> io::Result<Frontier> {
    let damaged = |error: TreeError<io::Error>| match error {
        TreeError::Source(error) => error,
        other => io::Error::other(other.to_string()),
    };
    let mut tree = Tree::new(TileFiles::new(dir), size).map_err(damaged)?;
    match tree.frontier() {
        Ok(frontier) => Ok(frontier),
        Err(TreeError::Source(error)) => Err(error),
        Err(_) => {
            let mut frontier = Frontier::default();
            let mut writer = TileWriter::above_leaves(dir);
            for index in 0..size {
                let mut entries = Vec::with_capacity(1);
                let leaf = tree.leaf(index).map_err(damaged)?;
                if leaf == NodeHash([0; NodeHash::BYTES]) {
                    return Err(io::Error::other(format!(
                        "{}: hashes above leaf {index} are missing, and its own was given back; put the files \
                         `tiles-…` back from a copy, or move the folder away to begin a new log",
                        log_folder(dir).display()
                    )));
                }
                frontier.append(leaf, &mut entries);
                writer.push(&entries[1..]);
            }
            writer
                .flush(&super::file_system::RealFileSystem)
                .map_err(io::Error::from)?;
            Ok(frontier)
        }
    }
}
