//! What the recorder does between writes, a bounded piece at a time: signing the log, deleting what is over, marking
//! what was found damaged.

use std::sync::Arc;
use std::time::Duration;

use super::Recorder;
use crate::store::archive::VerifyReport;
use crate::store::error::is_failed_sync;
use crate::store::failure::{Failure, append_failed, commit_failed, index_failed};
use crate::store::import::PacksReport;
use crate::store::journal::CommitError;
use crate::store::log_files::AppendError;
use crate::store::log_scrub::LogReport;
use crate::store::rows::reel_of;
use crate::store::scrub::Scrubbed;
use crate::store::spool::Active;
use crate::store::status::RecordingState;

impl Recorder {
    /// Lets no upload expire that is in there.
    pub(in crate::store) fn watch_uploads(&mut self, active: Arc<Active>) {
        self.keeper.uploads = active;
    }

    /// Gives the ballast up where a removal has found the disk full: it is worth another try if this returns true.
    pub(in crate::store) fn give_up_ballast(&mut self) -> bool {
        self.keeper.give_up_ballast(&*self.files)
    }

    /// Ends all writing if a change of the index, whoever made it, leaves nobody sure of what the disk holds.
    pub(in crate::store) fn note_index_error(&mut self, error: &rusqlite::Error) {
        if is_failed_sync(error) {
            self.poison(format!(
                "index: {error}; check the disk, then start perch again"
            ));
        }
    }

    /// Ends all writing until the next start.
    pub(in crate::store) fn poison(&mut self, reason: String) {
        self.fail(Failure::Poison(reason));
    }

    /// Deletes recordings that are over, when it is time to look, a few at a time.
    pub(in crate::store) fn keep_room(&mut self) {
        if self.log.is_due(self.clock.monotonic()) {
            self.sign_log();
        }
        if matches!(self.status.state, RecordingState::Poisoned { .. })
            || !self.keeper.is_due(self.clock.monotonic())
        {
            return;
        }
        // Where nothing is recorded any more, nothing else has them committed; and what is open never gets too old.
        self.end_idle_reels();
        if !self.closing.is_empty() {
            self.note_uncommitted();
        }
        let before = self.index.bytes_written();
        let kept = self
            .keeper
            .keep_room(&*self.files, &mut self.index, &*self.clock);
        let added = self.index.bytes_written() - before;
        self.status.bytes_written += added;
        self.status.index_bytes_written += added;
        match kept {
            Ok(kept) => {
                self.status.free_bytes = kept.free_bytes;
                self.status.reels_expired += kept.reels;
                self.status.bytes_expired += kept.bytes;
                if kept.reels > 0 {
                    // What the disk had no room for may have some now.
                    self.retry_at = self.retry_at.min(self.clock.monotonic());
                }
            }
            Err(failure) => {
                self.fail(failure);
            }
        }
    }

    /// Lets reels take nothing more that have got nothing for as long as two of them last. After a crash, the end of the
    /// log of segments is read out of all reels from the first open one on: that of a camera which is gone for days would
    /// make it all of those days.
    pub(super) fn end_idle_reels(&mut self) {
        let (now, idle) = (self.clock.monotonic(), 2 * self.options.reel_duration);
        let written = &self.last_written;
        let over = self.reels.extract_if(.., |key, _| {
            let last = written.get(key);
            last.is_some_and(|(_, at)| now.since(*at) > idle)
        });
        self.closing.extend(over.map(|(_, reel)| reel));
    }

    /// Signs what the log of segments holds, if it has grown.
    pub(in crate::store) fn sign_log(&mut self) {
        if matches!(self.status.state, RecordingState::Poisoned { .. }) {
            return;
        }
        let open = self.reels.values().map(|reel| reel.id);
        // Of those that take nothing more, some segments may wait for a commit that was refused.
        let uncommitted = self.batch.segments.iter().map(|row| reel_of(row.key));
        let open_reel = open.chain(uncommitted).min().unwrap_or(self.next_reel);
        let outcome = self.log.sign(open_reel, &*self.clock);
        self.status.bytes_written += self.log.take_bytes_written();
        match outcome {
            Ok(()) => self.batch.log = Some(self.log.row()),
            Err(error) => {
                self.fail(append_failed(&error));
                return;
            }
        }
        if let Err(error) = self.log.thin(&self.index, self.clock.monotonic()) {
            self.fail(index_failed(&error));
        }
    }

    /// Signs the log now if that makes a checkpoint cover a leaf that none does yet. Returns how long to wait before asking
    /// again if that is too soon after the last one.
    pub(in crate::store) fn sign_log_for(&mut self, leaf: u64) -> Option<Duration> {
        let now = self.clock.monotonic();
        let rest = self.log.rest_before_covering(leaf, now)?;
        if rest.is_zero() {
            self.sign_log();
            return None;
        }
        Some(rest)
    }

    /// A reel or a pack was read again: what of it is damaged is not given out any more. The position goes with the
    /// next commit. Returns whether all that is damaged is marked; otherwise it has to be read again.
    pub(in crate::store) fn note_scrubbed(&mut self, scrubbed: &Scrubbed) -> bool {
        if matches!(self.status.state, RecordingState::Poisoned { .. }) {
            return false;
        }
        let (segments, packs) = (&scrubbed.segments, &scrubbed.packs);
        if let Err(error) = self.mark_found(segments, packs) {
            self.fail(commit_failed(&error));
            return false;
        }
        self.status.bytes_scrubbed += segments.bytes_sound + packs.bytes_sound;
        self.status.pack_records_damaged += packs.records_damaged.len() as u64;
        self.batch.scrub = Some(scrubbed.position);
        true
    }

    /// The journal with this number was found damaged: what it told is written again.
    pub(in crate::store) fn renew_journal(&mut self, number: u64) {
        if matches!(self.status.state, RecordingState::Poisoned { .. }) {
            return;
        }
        match self.index.renew_journal(number) {
            Ok(()) => {}
            // It is as damaged as before, and found again by the next pass.
            Err(CommitError::Journal(AppendError::Write(path, error))) => {
                tracing::warn!(path = %path.display(), %error, "the journal cannot be written again; check the disk");
            }
            Err(error) => {
                self.fail(commit_failed(&error));
            }
        }
    }

    /// Files of the log of segments were found damaged: what is certain of them is written again. Returns in how many
    /// places.
    pub(in crate::store) fn renew_log(&mut self, found: &LogReport) -> u64 {
        match self.status.state {
            RecordingState::Poisoned { .. } => 0,
            _ => self.log.renew(found),
        }
    }

    fn mark_found(
        &mut self,
        segments: &VerifyReport,
        packs: &PacksReport,
    ) -> Result<(), CommitError> {
        if !segments.is_as_noted() {
            self.status.segments_damaged += self.index.mark_segments(segments)?.0;
        }
        if !packs.damaged.is_empty() || !packs.recovered.is_empty() {
            self.status.chunks_damaged += self.index.mark_damage(packs)?.damaged;
        }
        Ok(())
    }
}
