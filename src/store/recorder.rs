//! The heart of the writer: takes segments, keeps the order of durability (file, folder, then rows), and decides
//! what a disk error means. Driven by the writer thread, and by tests, with no thread of its own.

mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Transaction;

use super::clips::{Clip, ClipFailure, ClipWish};
use super::error::ClipError;
use super::failure::{
    Failure, commit_failed, create_failed, folder_sync_failed, index_failed, sync_failed,
    write_failed,
};
use super::file_system::FileSystem;
use super::garbage::sweep;
use super::import::ImportError;
use super::index::{ChangeError, Index};
use super::keeper::Keeper;
use super::numbers::Numbers;
use super::parameters::encode_parameters;
use super::queue::QueuedSegment;
use super::reel::ReelHead;
use super::reel_writer::ReelWriter;
use super::rows::{Batch, ReelRow, RunRow, SegmentRow, segment_key};
use super::segment_log::{SegmentLog, duration_ms};
use super::status::{GapMark, GapReason, RecordingState, StoreOptions, StoreStatus};
use crate::base::{CameraId, Clock, Monotonic};
use crate::media::{RenditionId, Segment, ticks_to_seconds};
use crate::seal::Leaf;

/// Whole segments of a track that a crash may leave without rows: so many are committed at once, however soon they
/// came.
pub(super) const UNCOMMITTED_SEGMENTS_MAX: usize = 16;

/// Longer segments are not recorded, in seconds: a reel's labels must lie near its first.
const SEGMENT_SECONDS_MAX: f64 = 60.0;

type TrackKey = (CameraId, RenditionId);

/// Writes segments of all cameras into reels and commits them to the index.
pub(super) struct Recorder {
    dir: PathBuf,
    options: StoreOptions,
    clock: Arc<dyn Clock>,
    files: Arc<dyn FileSystem>,
    index: Index,
    status: StoreStatus,
    reels: BTreeMap<TrackKey, ReelWriter>,
    /// Reels that take nothing more and wait for the commit that closes them.
    closing: Vec<ReelWriter>,
    /// Folders with names that are not durable yet.
    unsynced_folders: BTreeSet<PathBuf>,
    /// Files that could not be begun, to be removed.
    unnamed: Vec<PathBuf>,
    /// The day's folder of each camera, once it and those above it are durable.
    folders: BTreeMap<CameraId, PathBuf>,
    batch: Batch,
    batch_bytes: u64,
    /// Segments in the batch, by track.
    uncommitted: BTreeMap<TrackKey, usize>,
    log: SegmentLog,
    /// The last number written to each track since the start, committed or not, and when.
    last_written: BTreeMap<TrackKey, (u64, Monotonic)>,
    uncommitted_since: Option<Monotonic>,
    numbers: Arc<Numbers>,
    next_reel: i64,
    retry_at: Monotonic,
    pause_reason: GapReason,
    keeper: Keeper,
}

impl Recorder {
    /// Takes over an index that recovery has brought in order.
    pub(super) fn new(
        dir: &Path,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        files: Arc<dyn FileSystem>,
        index: Index,
        log: SegmentLog,
        numbers: Arc<Numbers>,
    ) -> rusqlite::Result<Self> {
        let keeper = Keeper::new(dir, &options, &*clock, &index)?;
        Ok(Self {
            dir: dir.to_owned(),
            keeper,
            numbers,
            next_reel: index.last_reel()? + 1,
            options,
            clock,
            files,
            index,
            status: StoreStatus::default(),
            reels: BTreeMap::new(),
            closing: Vec::new(),
            unsynced_folders: BTreeSet::new(),
            unnamed: Vec::new(),
            folders: BTreeMap::new(),
            batch: Batch::default(),
            batch_bytes: 0,
            uncommitted: BTreeMap::new(),
            log,
            last_written: BTreeMap::new(),
            uncommitted_since: None,
            retry_at: Monotonic::default(),
            pause_reason: GapReason::DiskFailed,
        })
    }

    /// Counters and state.
    pub(super) fn status(&self) -> &StoreStatus {
        &self.status
    }

    /// When the next commit is due; `None` if there is nothing to commit.
    pub(super) fn commit_due(&self) -> Option<Monotonic> {
        let since = self.uncommitted_since?;
        let most = self.uncommitted.values().max();
        let due = if most.is_none_or(|count| *count < UNCOMMITTED_SEGMENTS_MAX) {
            since.after(self.options.commit_interval)
        } else {
            since
        };
        match self.status.state {
            RecordingState::Recording => Some(due),
            RecordingState::Paused { .. } => Some(due.max(self.retry_at)),
            RecordingState::Poisoned { .. } => None,
        }
    }

    /// Writes a segment down, to be committed later. One that cannot be written leaves a gap.
    pub(super) fn accept(&mut self, queued: &QueuedSegment) {
        if matches!(self.status.state, RecordingState::Poisoned { .. }) {
            self.status.segments_dropped += 1;
            return;
        }
        self.numbers
            .note_used(&queued.camera, queued.segment.run, queued.segment.msn);
        let outcome = self.may_write().and_then(|()| self.write(queued));
        let reason = match outcome {
            Ok(()) => {
                self.note_uncommitted();
                self.resume();
                return;
            }
            Err(Failure::Refused(why)) => {
                let (camera, rendition, msn) =
                    (&queued.camera, queued.rendition, queued.segment.msn);
                tracing::warn!(%camera, %rendition, msn, "segment not recorded: {why}");
                self.status.segments_refused += 1;
                GapReason::Refused
            }
            Err(failure) => {
                self.status.segments_dropped += 1;
                // Tried again before the next reel.
                let _ = self.remove_unnamed();
                self.fail(failure)
            }
        };
        self.mark_gap(queued.gap(reason));
    }

    /// Notes a gap, to be committed with the next batch.
    pub(super) fn mark_gap(&mut self, mark: GapMark) {
        if !matches!(self.status.state, RecordingState::Poisoned { .. }) {
            mark.add_to(&mut self.batch.gaps);
            self.note_uncommitted();
        }
    }

    /// Makes everything written durable and visible. What a failure leaves uncommitted is tried again later,
    /// or, after a failed sync, never.
    pub(super) fn commit(&mut self) {
        if matches!(self.status.state, RecordingState::Poisoned { .. }) {
            return;
        }
        match self.sync_and_commit() {
            // After a pause, the next segment is worth a try.
            Ok(()) => self.retry_at = self.retry_at.min(self.clock.monotonic()),
            Err(failure) => {
                self.fail(failure);
            }
        }
    }

    /// Makes a clip of what was handed over before.
    pub(super) fn make_clip(&mut self, wish: &ClipWish) -> Result<Clip, ClipError> {
        self.commit();
        self.may_change()?;
        let made = self.index.make_clip(wish, self.clock.wall());
        made.map_err(|failure| self.clip_failed(failure))
    }

    /// Removes a clip. Returns whether there was one.
    pub(super) fn remove_clip(&mut self, id: i64) -> Result<bool, ClipError> {
        self.may_change()?;
        let mut removed = self.index.remove_clip(id);
        if removed.as_ref().is_err_and(met_full_disk) && self.give_up_ballast() {
            removed = self.index.remove_clip(id);
        }
        removed.map_err(|failure| self.clip_failed(failure))
    }

    /// What a change of clips that failed means for the recording and for whoever asked for it.
    fn clip_failed(&mut self, failure: ClipFailure) -> ClipError {
        match failure {
            ClipFailure::Refused(error) => error,
            ClipFailure::Index(error) => {
                self.note_index_error(&error);
                error.into()
            }
            ClipFailure::Commit(error) => {
                // What the disk only refuses for now may be asked for again.
                if let failure @ Failure::Poison(_) = commit_failed(&error) {
                    self.fail(failure);
                }
                error.into()
            }
        }
    }

    /// The index, for those who change rows that are not recording's; or why it takes no change.
    pub(super) fn writable_index(&mut self) -> Result<&mut Index, String> {
        match &self.status.state {
            RecordingState::Poisoned { reason } => Err(reason.clone()),
            _ => Ok(&mut self.index),
        }
    }

    /// Changes rows that have nothing to do with recording, in one transaction that holds if `change` gives something.
    /// Recording goes on whatever comes of it.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>, ImportError> {
        if let RecordingState::Poisoned { reason } = &self.status.state {
            return Err(ImportError::NotWritable(reason.clone()));
        }
        let changed = self.index.change(change).map_err(|error| match error {
            ChangeError::Refused(error) => {
                self.note_index_error(&error);
                ImportError::from_index(&error)
            }
            ChangeError::Commit(error) => self.commit_uncertain(&error),
        })?;
        // It holds, whatever becomes of the log.
        self.checkpoint();
        Ok(changed)
    }

    /// What a commit that failed means for the recording and for whoever asked for it.
    fn commit_uncertain(&mut self, error: &rusqlite::Error) -> ImportError {
        match index_failed(error) {
            failure @ Failure::Poison(_) => {
                self.fail(failure);
                ImportError::Unanswered
            }
            _ => ImportError::from_index(error),
        }
    }

    /// Puts the index's log into it once it is long. That may wait where there is no room: what was committed is safe
    /// in the log.
    pub(super) fn checkpoint(&mut self) {
        let Err(error) = self.index.checkpoint_if_long() else {
            return;
        };
        match index_failed(&error) {
            failure @ Failure::Poison(_) => {
                self.fail(failure);
            }
            _ => {
                tracing::warn!(%error, "the index's log could not be put into it; it is tried again");
            }
        }
    }

    /// Removes files that no row names any more.
    pub(super) fn sweep(&mut self) -> Result<(), ImportError> {
        let swept = sweep(&self.dir, &*self.files, &mut self.index);
        match swept.map_err(|error| ImportError::from_index(&error))? {
            None => Ok(()),
            Some((path, error)) => Err(ImportError::from_disk(&path, &error)),
        }
    }

    /// Nobody knows what a poisoned store's disk holds.
    fn may_change(&self) -> Result<(), ClipError> {
        match &self.status.state {
            RecordingState::Poisoned { reason } => Err(ClipError::NotWritable(reason.clone())),
            _ => Ok(()),
        }
    }

    /// Closes every reel and commits.
    pub(super) fn close(&mut self) {
        self.closing
            .extend(std::mem::take(&mut self.reels).into_values());
        self.commit();
        self.sign_log();
    }

    /// The index, to be looked at before the recorder goes to its thread.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// The index, to be changed behind the recorder's back.
    #[cfg(test)]
    pub(super) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// Lets the index grow no further than `pages`, as if the disk were full.
    #[cfg(test)]
    pub(super) fn limit_index_pages(&self, pages: u32) {
        let limited =
            self.index
                .connection()
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
        limited.expect("SQLite takes a limit");
    }

    fn may_write(&mut self) -> Result<(), Failure> {
        if let RecordingState::Paused { reason, .. } = &self.status.state {
            if self.clock.monotonic() < self.retry_at {
                return Err(Failure::Pause(self.pause_reason, reason.clone()));
            }
            // What waits from before goes first, so that it cannot pile up.
            self.sync_and_commit()?;
        }
        let space = self.files.space(&self.dir);
        let free = space.map_err(|error| write_failed(&self.dir, &error))?.free;
        self.status.free_bytes = free;
        if free < self.options.free_bytes_min {
            let reason = format!(
                "disk full: {} MiB are free, {} MiB are kept for the index; free some space",
                free >> 20,
                self.options.free_bytes_min >> 20
            );
            return Err(Failure::Pause(GapReason::DiskFull, reason));
        }
        Ok(())
    }

    fn write(&mut self, queued: &QueuedSegment) -> Result<(), Failure> {
        let segment = &queued.segment;
        let key = (queued.camera.clone(), queued.rendition);
        self.check(&key, segment)?;
        let reel_ms = self.options.reel_duration.as_millis() as u64;
        if let Some(reel) = self.reels.get(&key)
            && !reel.takes(segment, reel_ms)
        {
            self.closing.extend(self.reels.remove(&key));
        }
        if !self.reels.contains_key(&key) {
            let reel = self.begin_reel(queued)?;
            self.reels.insert(key.clone(), reel);
        }
        let reel = self.reels.get_mut(&key).expect("the reel was just begun");
        let (id, origin, before) = (reel.id, reel.origin, reel.end());
        let is_first = origin.msn == segment.msn;
        let link = self.log.next_link(&key);
        let (place, digest) = match reel.append(segment, self.options.digest, link) {
            Ok(written) => written,
            Err(error) => {
                let failure = write_failed(reel.path(), &error);
                if is_first && let Some(reel) = self.reels.remove(&key) {
                    // Without a segment it would never get a row.
                    self.unnamed.push(reel.path().to_owned());
                }
                return Err(failure);
            }
        };
        self.status.bytes_written += reel.end() - before;
        if is_first {
            self.announce_reel(&key, segment, id);
        }
        self.batch.segments.push(SegmentRow {
            key: segment_key(id, origin.msn, segment.msn),
            offset: place.offset,
            bytes: place.bytes,
            wall_ms: segment.wall_start - origin.wall_start,
            start_ticks: segment.start_ticks() - origin.start_ticks,
            duration_ticks: segment.duration_ticks(),
        });
        self.batch_bytes += place.bytes;
        let leaf = Leaf {
            camera: queued.camera.clone(),
            rendition: queued.rendition,
            run: segment.run,
            msn: segment.msn,
            wall_start: segment.wall_start,
            duration_ms: duration_ms(
                segment.duration_ticks(),
                segment.init.parameters.timescale(),
            ),
            digest,
            previous: link.previous,
        };
        self.log.note_written(&key, &leaf);
        *self.uncommitted.entry(key.clone()).or_default() += 1;
        let written = (segment.msn, self.clock.monotonic());
        self.last_written.insert(key, written);
        Ok(())
    }

    fn check(&self, key: &TrackKey, segment: &Segment) -> Result<(), Failure> {
        let timescale = segment.init.parameters.timescale();
        if timescale == 0 || segment.bytes_count() == 0 {
            return Err(Failure::Refused("it is empty or has no timescale"));
        }
        let seconds = ticks_to_seconds(segment.duration_ticks(), timescale);
        if seconds > SEGMENT_SECONDS_MAX {
            return Err(Failure::Refused("it is longer than a minute"));
        }
        let committed = self
            .index
            .track(&key.0, key.1)
            .and_then(|track| track.last_msn);
        let written = self.last_written.get(key).map(|(msn, _)| *msn);
        let last = written.or(committed);
        if last.is_some_and(|last| segment.msn <= last) {
            return Err(Failure::Refused(
                "its media sequence number is not above the last one",
            ));
        }
        Ok(())
    }

    /// Makes a new reel's file. It gets its row with its first segment.
    fn begin_reel(&mut self, queued: &QueuedSegment) -> Result<ReelWriter, Failure> {
        self.remove_unnamed()?;
        let (camera, segment) = (&queued.camera, &queued.segment);
        let day = segment.wall_start.date();
        let known_day = self
            .index
            .cameras()
            .get(camera)
            .and_then(|row| row.day.as_deref());
        if known_day != Some(&day) {
            // Reels without rows may lie in the day's folder that the camera's row names, and nowhere else.
            self.sync_and_commit()?;
        }
        self.index
            .prepare_track(camera, queued.rendition, &day)
            .map_err(|error| index_failed(&error))?;
        self.announce_run(&(camera.clone(), queued.rendition), segment)?;

        let folder = self.dir.join("reel").join(camera.as_str()).join(&day);
        if self.folders.get(camera) != Some(&folder) {
            self.files
                .create_folder(&folder)
                .map_err(|error| write_failed(&folder, &error))?;
            for above in folder.ancestors().skip(1).take(3) {
                self.files
                    .sync_folder(above)
                    .map_err(|error| folder_sync_failed(above, &error))?;
            }
            self.folders.insert(camera.clone(), folder.clone());
        }
        let head = ReelHead {
            camera: camera.clone(),
            rendition: queued.rendition,
            run: segment.run,
            parameters: segment.init.parameters.clone(),
            init_bytes: segment.init.bytes.len() as u32,
        };
        let id = self.next_reel;
        self.next_reel += 1;
        let path = reel_path(&self.dir, camera, &day, id);
        let reel = match ReelWriter::create(&*self.files, &path, id, &head, segment) {
            Ok(reel) => reel,
            Err(error) => {
                // The folder has gone with the last of its reels, and the clock was set back since.
                if error.kind() == io::ErrorKind::NotFound {
                    self.folders.remove(camera);
                }
                // One that is there already was made by somebody else, and is nobody's to remove.
                if error.kind() != io::ErrorKind::AlreadyExists {
                    self.unnamed.push(path.clone());
                }
                return Err(create_failed(&path, &error));
            }
        };
        self.status.bytes_written += reel.end();
        self.unsynced_folders.insert(folder);
        Ok(reel)
    }

    /// Removes files that will never get a row, before more are made or another day's folder is named.
    fn remove_unnamed(&mut self) -> Result<(), Failure> {
        while let Some(path) = self.unnamed.last() {
            match self.files.remove_file(path) {
                Ok(()) => self
                    .unsynced_folders
                    .extend(path.parent().map(Path::to_owned)),
                // It was never made, and its folder may be gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(write_failed(path, &error)),
            }
            self.unnamed.pop();
        }
        Ok(())
    }

    /// Queues the row of a reel, to go before those of its segments.
    fn announce_reel(&mut self, key: &TrackKey, segment: &Segment, id: i64) {
        self.batch.reels.push(ReelRow {
            id,
            track: self.track(key),
            run: segment.run,
            day: segment.wall_start.date(),
            first_msn: segment.msn,
            wall_ms: segment.wall_start.0,
            start_ticks: segment.start_ticks(),
        });
    }

    /// Queues the row of a run. A run has one header: playlists address it by the run alone.
    fn announce_run(&mut self, key: &TrackKey, segment: &Segment) -> Result<(), Failure> {
        let (track, run, init) = (self.track(key), segment.run, &segment.init.bytes);
        let waiting = self.batch.runs.iter();
        let mut waiting = waiting.filter(|row| (row.track, row.run) == (track, run));
        let same = match waiting.next() {
            Some(row) => row.init == *init,
            None => {
                let known = self.index.run_init(track, run);
                let known = known.map_err(|error| index_failed(&error))?;
                let same = known.is_none_or(|known| known == *init);
                if same {
                    // Also one that the index knows: it may go with the run's last reel before this reel has a row.
                    self.batch.runs.push(RunRow {
                        track,
                        run,
                        parameters: encode_parameters(&segment.init.parameters),
                        init: init.clone(),
                    });
                }
                same
            }
        };
        if same {
            Ok(())
        } else {
            Err(Failure::Refused("its run was recorded with another header"))
        }
    }

    fn track(&self, key: &TrackKey) -> i64 {
        let track = self.index.track(&key.0, key.1);
        track.expect("a reel is begun after its track's row").id
    }

    /// Files, then folders, then rows.
    fn sync_and_commit(&mut self) -> Result<(), Failure> {
        for (camera, position) in self.numbers.take_raised() {
            self.batch
                .ceilings
                .insert(camera, (position.next_run, position.next_msn));
        }
        self.end_idle_reels();
        for mut reel in std::mem::take(&mut self.closing) {
            let trimmed = reel.trim();
            reel.sync()
                .map_err(|error| sync_failed(reel.path(), &error))?;
            match trimmed {
                Ok(()) => self.batch.closed.push((reel.id, reel.end())),
                // It stays open in the index: the next start cuts it.
                Err(error) => tracing::warn!("{}: not trimmed: {error}", reel.path().display()),
            }
        }
        for reel in self.reels.values_mut() {
            reel.sync()
                .map_err(|error| sync_failed(reel.path(), &error))?;
        }
        while let Some(folder) = self.unsynced_folders.first() {
            self.files
                .sync_folder(folder)
                .map_err(|error| folder_sync_failed(folder, &error))?;
            self.unsynced_folders.pop_first();
        }
        if !self.batch.is_empty() {
            let before = self.index.bytes_written();
            self.index
                .commit(&self.batch)
                .map_err(|error| commit_failed(&error))?;
            let batch = std::mem::take(&mut self.batch);
            self.uncommitted.clear();
            self.log.commit();
            self.status.segments_committed += batch.segments.len() as u64;
            self.status.bytes_recorded += std::mem::take(&mut self.batch_bytes);
            self.status.commits += 1;
            self.status.last_commit = Some(self.clock.monotonic());
            // Putting the log into the index may wait; what was committed is safe in the log.
            if let Err(failure @ Failure::Poison(_)) = self
                .index
                .checkpoint_if_long()
                .map_err(|error| index_failed(&error))
            {
                return Err(failure);
            }
            let added = self.index.bytes_written() - before;
            self.status.bytes_written += added;
            self.status.index_bytes_written += added;
        }
        self.uncommitted_since = None;
        Ok(())
    }

    /// Ends a pause once a segment was written, by committing it.
    fn resume(&mut self) {
        if !matches!(self.status.state, RecordingState::Paused { .. }) {
            return;
        }
        match self.sync_and_commit() {
            Ok(()) => {
                self.status.state = RecordingState::Recording;
                tracing::info!("recording goes on");
            }
            Err(failure) => {
                self.fail(failure);
            }
        }
    }

    /// Takes the consequence of a failure. Returns the reason for the gap that it leaves.
    fn fail(&mut self, failure: Failure) -> GapReason {
        match failure {
            Failure::Refused(_) => GapReason::Refused,
            Failure::Pause(gap_reason, reason) => {
                let since = match &self.status.state {
                    RecordingState::Paused { since, .. } => *since,
                    _ => {
                        tracing::warn!("recording pauses: {reason}");
                        self.clock.wall()
                    }
                };
                self.status.state = RecordingState::Paused { reason, since };
                self.pause_reason = gap_reason;
                let now = self.clock.monotonic();
                if now >= self.retry_at {
                    self.retry_at = now.after(self.options.retry_interval);
                }
                gap_reason
            }
            Failure::Poison(reason) => {
                tracing::error!("recording ends until the next start: {reason}");
                self.status.state = RecordingState::Poisoned { reason };
                self.batch = Batch::default();
                self.uncommitted.clear();
                self.uncommitted_since = None;
                GapReason::DiskFailed
            }
        }
    }

    fn note_uncommitted(&mut self) {
        let now = self.clock.monotonic();
        self.uncommitted_since.get_or_insert(now);
    }
}

/// Whether there was no room to change clips.
fn met_full_disk(failure: &ClipFailure) -> bool {
    let failure = match failure {
        ClipFailure::Refused(_) => return false,
        ClipFailure::Index(error) => index_failed(error),
        ClipFailure::Commit(error) => commit_failed(error),
    };
    matches!(failure, Failure::Pause(GapReason::DiskFull, _))
}

/// Where a reel lies.
pub(super) fn reel_path(dir: &Path, camera: &CameraId, day: &str, id: i64) -> PathBuf {
    let folder = dir.join("reel").join(camera.as_str()).join(day);
    folder.join(format!("{id:010}.reel"))
}
