//! The log of recorded segments: each committed one is a leaf of a Merkle tree, in the order in which they were
//! written. Each minute the box signs what the log holds, and sooner if somebody needs it.
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

use super::archive::OpenedReel;
use super::box_keys::{BoxKeysError, load_or_make_keys};
use super::error::OpenError;
use super::file_system::{FileSystem, RealFileSystem, is_damage};
use super::index::Index;
use super::log_files::{
    AppendError, CheckpointWriter, TileFiles, TileWriter, last_checkpoint, log_folder, set_aside,
};
use super::log_leaves::{ReadLeaves, TrackKey, leaves_of_reels, oldest_leaf};
use super::log_scrub::{LogReport, renew_end, repair_log};
use super::reel::{LogLink, Trailer};
use super::rows::{Batch, REEL_SEGMENTS_MAX};
use crate::base::{CameraId, Clock, Monotonic};
use crate::media::{RenditionId, ticks_to_seconds};
use crate::seal::{Frontier, Leaf, NodeHash, SigningKeys, Tree, TreeError, leaf_hash};

/// How often a log that has grown is signed.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// Nobody has it signed sooner than this after the last time: a checkpoint takes some kB and two syncs.
const ON_DEMAND_INTERVAL: Duration = Duration::from_secs(1);

/// Nor oftener in a minute: those who ask again and again would have the disk wear, and checkpoints thinned early.
const ON_DEMAND_MAX: u32 = 10;

/// How often the room of leaves is given back whose segments are gone.
const THINNING_INTERVAL: Duration = Duration::from_secs(3600);

/// No more leaves are uncommitted or lost than a few minutes bring; a larger step is damage.
const STEP_MAX: u64 = 1 << 20;

/// Opens what stands for a leaf of which nothing is left; its index follows.
const LOST_LEAF: &[u8] = b"perch lost segment\0";

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
    /// When it was to be signed last, whatever came of it.
    last_tried: Option<Monotonic>,
    /// How often it was signed since the minute began, and because of it.
    signed_this_minute: u32,
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
        index: &mut Index,
        now: Monotonic,
    ) -> Result<Self, OpenError> {
        let io = |cause| OpenError::from_io(dir, cause);
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
        let keys = match load_or_make_keys(dir) {
            Ok(keys) => Some(keys),
            Err(BoxKeysError::Io(_, cause)) if !is_damage(&cause) => return Err(io(cause)),
            Err(error) => {
                tracing::error!("recordings are not signed: {error}");
                None
            }
        };
        let mut row = index.log_row().map_err(sqlite)?;
        let held = match Held::read(dir, keys.as_ref(), row) {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(what)) => Err(what.to_owned()),
            Err(error) if is_damage(&error) => Err(error.to_string()),
            Err(error) => return Err(io(error)),
        };
        let held = match held {
            Ok(held) => held,
            Err(what) => {
                let kept = set_aside(dir).map_err(io)?;
                tracing::error!(
                    "{}: the log of segments cannot be gone on with: {what}; it is kept in {}, and another begins: what \
                     was recorded before cannot be proven any more, unless its files come back from a copy",
                    log_folder(dir).display(),
                    kept.display()
                );
                row = LogRow {
                    size: 0,
                    first_reel: index.last_reel().map_err(sqlite)? + 1,
                };
                // At once: leaves of the other log are none of this one's.
                let begun = Batch {
                    log: Some(row),
                    ..Batch::default()
                };
                index
                    .commit(&begun)
                    .map_err(|error| OpenError::from_commit(dir, error))?;
                Held::none(dir).map_err(io)?
            }
        };
        let mut log = Self {
            dir: dir.to_owned(),
            files,
            keys,
            frontier: held.frontier,
            written: Vec::new(),
            last: BTreeMap::new(),
            tiles: TileWriter::new(dir, held.flushed),
            checkpoints: held.checkpoints,
            flushed: held.flushed,
            first_reel: row.first_reel,
            signed: held.signed,
            due: now.after(CHECKPOINT_INTERVAL),
            last_tried: None,
            signed_this_minute: 0,
            thinning_due: now.after(THINNING_INTERVAL),
            bytes_written: 0,
            has_warned: false,
        };
        log.append_tail(index, held.promised).map_err(sqlite)?;
        log.read_last(index).map_err(sqlite)?;
        Ok(log)
    }

    /// Appends what was committed and not yet in the files. The log gets at least as long as it was `promised` to be, and
    /// as it was if each segment whose trailer cannot be read is behind all others: no leaf's place is given out twice,
    /// but for those that reels name further beyond the files than any crash explains.
    fn append_tail(&mut self, index: &Index, promised: u64) -> rusqlite::Result<()> {
        let since = "reel.id >= ?1";
        let read = self.leaves_of_reels(index, since, self.first_reel, self.flushed)?;
        let unread = segments_from(index, self.first_reel)?.saturating_sub(read.trailers);
        let mut tail: BTreeMap<u64, NodeHash> = read
            .leaves
            .into_iter()
            .map(|(_, index, leaf)| (index, leaf.hash()))
            .collect();
        let beyond = tail.split_off(&(self.flushed + STEP_MAX));
        if let Some((newest, _)) = beyond.last_key_value() {
            tracing::error!("a reel names leaf {newest} of a log of {}", self.flushed);
        }
        let newest = tail.last_key_value();
        let known = newest.map_or(promised, |(newest, _)| promised.max(newest + 1));
        // Places beyond were given out in turn, so these segments have no others.
        let end = known + unread.min(STEP_MAX);
        if end > known {
            tracing::warn!(
                "the log of segments goes on at leaf {end}: which of those from {} on {unread} segments have cannot be \
                 read in their reels",
                self.flushed
            );
        }
        for index in self.flushed..end {
            let hash = tail
                .get(&index)
                .copied()
                .unwrap_or_else(|| lost_leaf(index));
            self.append(hash);
        }
        Ok(())
    }

    /// What reels say of the log.
    fn leaves_of_reels(
        &self,
        index: &Index,
        condition: &str,
        value: i64,
        first_leaf: u64,
    ) -> rusqlite::Result<ReadLeaves> {
        let open = |path: &Path| self.open_reel(path);
        let reels = (condition, value);
        leaves_of_reels(&self.dir, &open, index.connection(), reels, first_leaf)
    }

    fn open_reel(&self, path: &Path) -> io::Result<OpenedReel> {
        let file = self.files.open_file(path)?;
        Ok(OpenedReel {
            bytes: file.size()?,
            file,
        })
    }

    /// The last leaf of each track: what the next one's `previous` is.
    fn read_last(&mut self, index: &Index) -> rusqlite::Result<()> {
        let newest = "reel.id IN (SELECT (SELECT id FROM reel WHERE track = track.id ORDER BY first_msn DESC LIMIT 1)
                      FROM track) AND ?1 = 0";
        for (track, _, leaf) in self.leaves_of_reels(index, newest, 0, 0)?.leaves {
            self.last.insert(track, leaf.hash());
        }
        Ok(())
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

    /// How long to wait before the log is signed for somebody who needs a checkpoint that covers a leaf. `None` if one
    /// does already, or none would: the leaf is not committed.
    pub(super) fn rest_before_covering(&self, leaf: u64, now: Monotonic) -> Option<Duration> {
        if !(self.signed..self.frontier.size()).contains(&leaf)
            || self.signed_this_minute > ON_DEMAND_MAX
        {
            return None;
        }
        let since = self.last_tried.map(|last| now.since(last));
        Some(since.map_or(Duration::ZERO, |since| {
            ON_DEMAND_INTERVAL.saturating_sub(since)
        }))
    }

    /// Appends the hashes of what is committed to the log's files. `open_reel` is the first reel that takes more.
    pub(super) fn flush(&mut self, open_reel: i64) -> Result<(), AppendError> {
        self.bytes_written += self.tiles.flush(&*self.files)?;
        self.flushed = self.frontier.size();
        self.first_reel = open_reel;
        Ok(())
    }

    /// Signs what is committed. Whatever refuses is tried again in a minute; a failed sync is for the caller to judge.
    pub(super) fn sign(&mut self, open_reel: i64, clock: &dyn Clock) -> Result<(), AppendError> {
        let now = clock.monotonic();
        if self.due <= now {
            self.signed_this_minute = 0;
            self.due = now.after(CHECKPOINT_INTERVAL);
        }
        self.signed_this_minute += 1;
        self.last_tried = Some(now);
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

    /// Gives back the room of leaves before the oldest that is recorded, once in a while. What does not succeed now is no
    /// harm.
    pub(super) fn thin(&mut self, index: &Index, now: Monotonic) -> rusqlite::Result<()> {
        if now < self.thinning_due {
            return Ok(());
        }
        self.thinning_due = now.after(THINNING_INTERVAL);
        let open = |path: &Path| self.open_reel(path);
        let oldest = oldest_leaf(&self.dir, &open, index.connection())?;
        // Where the first of a reel cannot be read any more, it was at most a reel of each track before one that can.
        let unread = self.last.len() as u64 * REEL_SEGMENTS_MAX;
        if let Some(first) = oldest
            && let Err(error) = self
                .tiles
                .thin(first.min(self.flushed).saturating_sub(unread))
        {
            tracing::debug!(%error, "the log of segments keeps room that it does not need");
        }
        Ok(())
    }

    /// Writes again what of the log's files was found damaged, as far as it is certain what it was. Returns in how many
    /// places. A failed sync costs nothing: what was certain is so still.
    pub(super) fn renew(&mut self, found: &LogReport) -> u64 {
        let repaired = repair_log(&*self.files, found);
        // A file that is open here would be told of that failure by its own next sync.
        self.tiles.close_above_leaves();
        repaired
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

/// How many segments the index knows in a reel and all later ones, played or damaged.
fn segments_from(index: &Index, reel: i64) -> rusqlite::Result<u64> {
    let count = "SELECT (SELECT count(*) FROM segment WHERE id >= ?1) + (SELECT count(*) FROM damaged WHERE id >= ?1)";
    let first_key = reel.saturating_mul(REEL_SEGMENTS_MAX as i64);
    index
        .connection()
        .query_row(count, [first_key], |row| row.get(0))
}

/// What the log's files hold, as far as it can be gone on with.
struct Held {
    frontier: Frontier,
    checkpoints: CheckpointWriter,
    /// Leaves in the files that count.
    flushed: u64,
    /// Leaves that the log had.
    promised: u64,
    /// Leaves that are signed.
    signed: u64,
}

impl Held {
    /// Reads it; or says why another log must begin.
    fn read(
        dir: &Path,
        keys: Option<&SigningKeys>,
        row: LogRow,
    ) -> io::Result<Result<Self, &'static str>> {
        const HASHES_MISSING: &str = "hashes are missing that nothing is left to make again";
        let folder = log_folder(dir);
        let note = match keys {
            Some(keys) => last_checkpoint(dir, keys.public_keys())?,
            None => None,
        };
        let checkpoint = keys.zip(note.as_ref()).and_then(|(keys, note)| {
            let verified = note.verify(keys.public_keys());
            verified.ok()
        });
        let signed = checkpoint.map_or(0, |checkpoint| checkpoint.size);
        let promised = row.size.max(signed);
        let held = TileFiles::new(dir).leaves()?;
        if held < promised {
            tracing::error!(
                "{}: the log of segments has lost its last {} leaves: somebody or the disk has altered it; \
                 `perch verify` tells which recordings cannot be proven any more",
                folder.display(),
                promised - held
            );
            if promised - held > STEP_MAX {
                return Ok(Err(HASHES_MISSING));
            }
        }
        // What is beyond would be cut off, and the places of most of it given out again.
        if held > promised + STEP_MAX {
            return Ok(Err(
                "neither index nor checkpoints tell how many of its leaves count",
            ));
        }
        let flushed = promised.min(held);
        if let Some(signed) = checkpoint {
            renew_end(dir, flushed, signed)?;
        }
        let Some(frontier) = frontier_of(dir, flushed)? else {
            return Ok(Err(HASHES_MISSING));
        };
        if checkpoint.is_some_and(|signed| signed.size == flushed && signed.root != frontier.root())
        {
            tracing::error!(
                "{}: the log of segments is not the one that was signed: somebody or the disk has altered it",
                folder.display()
            );
        }
        Ok(Ok(Self {
            frontier,
            checkpoints: CheckpointWriter::new(dir)?,
            flushed,
            promised,
            signed,
        }))
    }

    /// Of a log that begins.
    fn none(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            frontier: Frontier::default(),
            checkpoints: CheckpointWriter::new(dir)?,
            flushed: 0,
            promised: 0,
            signed: 0,
        })
    }
}

/// What stands for a leaf of which nothing is left.
pub(super) fn lost_leaf(index: u64) -> NodeHash {
    leaf_hash(&[LOST_LEAF, &index.to_be_bytes()].concat())
}

/// The right edge of the log in the files. Hashes above leaves that are missing are computed again, out of leaves that
/// are there: where room was given back, only those above tell of them, and nothing may be written over these. `None` if
/// neither is there.
fn frontier_of(dir: &Path, size: u64) -> io::Result<Option<Frontier>> {
    let unreadable = |error: TreeError<io::Error>| match error {
        TreeError::Source(error) => Err(error),
        _ => Ok(None),
    };
    let mut tree = match Tree::new(TileFiles::new(dir), size) {
        Ok(tree) => tree,
        Err(error) => return unreadable(error),
    };
    match tree.frontier() {
        Ok(frontier) => return Ok(Some(frontier)),
        Err(TreeError::Source(error)) => return Err(error),
        Err(_) => {}
    }
    let mut frontier = Frontier::default();
    let mut writer = TileWriter::above_leaves(dir);
    for index in 0..size {
        let mut entries = Vec::with_capacity(1);
        let leaf = match tree.leaf(index) {
            Ok(leaf) => leaf,
            Err(error) => return unreadable(error),
        };
        if leaf == NodeHash([0; NodeHash::BYTES]) {
            return Ok(None);
        }
        frontier.append(leaf, &mut entries);
        writer.push(&entries[1..]);
    }
    writer.flush(&RealFileSystem).map_err(io::Error::from)?;
    Ok(Some(frontier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimulatedClock;
    use crate::store::Store;
    use crate::store::tests::fragments::{NOON, patient, recorded};

    #[test]
    fn of_the_reels_from_the_first_open_one_on_only_leaves_that_are_wanted_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimulatedClock::new(NOON));
        let (store, _) = Store::open(dir.path(), patient(), clock).unwrap();
        recorded(&store);
        store.close();
        let files: Arc<dyn FileSystem> = Arc::new(RealFileSystem);
        let mut index = Index::open(dir.path(), Arc::clone(&files)).unwrap();
        let log = SegmentLog::open(dir.path(), files, &mut index, Monotonic::default()).unwrap();
        let count = log.flushed;
        for first in [0, count - 3, count] {
            let read = log.leaves_of_reels(&index, "reel.id >= ?1", 0, first);
            let read = read.unwrap();
            assert_eq!(read.trailers, count);
            let mut kept: Vec<u64> = read.leaves.iter().map(|(_, index, _)| *index).collect();
            kept.sort_unstable();
            assert_eq!(kept, (first..count).collect::<Vec<_>>());
        }
    }
}
