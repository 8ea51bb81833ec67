//! Keeps room on the disk: looks every few seconds which recordings are over, forgets them, removes their files.
//! Runs between the recorder's writes, on its thread, a bounded piece at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ballast::Ballast;
use super::failure::{Failure, commit_failed, index_failed, write_failed};
use super::file_system::{DiskSpace, FileSystem};
use super::garbage::sweep;
use super::index::Index;
use super::retention::{BelievedTime, Situation, expired_reels};
use super::spool::{self, Active};
use super::status::{GapReason, StoreOptions};
use crate::base::{Clock, Monotonic};

/// So long may a file system take to tell of the room that a removal made; some tell only with their next commit, and
/// a file that somebody reads takes its room until then.
const SETTLING: Duration = Duration::from_secs(60);

/// What one look brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) free_bytes: u64,
    pub(super) reels: u64,
    pub(super) bytes: u64,
}

pub(super) struct Keeper {
    dir: PathBuf,
    options: StoreOptions,
    believed: BelievedTime,
    ballast: Ballast,
    due: Monotonic,
    /// The room that removals have made or are about to, until when it counts though the disk does not tell yet:
    /// otherwise the same shortage would be met again and again.
    promised: Option<(Monotonic, u64)>,
    /// A file that cannot be removed was told of already.
    has_warned: bool,
    /// The uploads that somebody adds to.
    pub(super) uploads: Arc<Active>,
}

impl Keeper {
    pub(super) fn new(
        dir: &Path,
        options: &StoreOptions,
        clock: &dyn Clock,
        index: &Index,
    ) -> rusqlite::Result<Self> {
        let now = clock.monotonic();
        Ok(Self {
            dir: dir.to_owned(),
            believed: BelievedTime::new(index.newest_label()?, now),
            ballast: Ballast::new(dir, options.ballast_bytes),
            options: options.clone(),
            due: now,
            promised: None,
            has_warned: false,
            uploads: Arc::default(),
        })
    }

    /// Whether it is time to look again.
    pub(super) fn is_due(&self, now: Monotonic) -> bool {
        now >= self.due
    }

    /// Forgets what is over and removes its files; the next look comes at once if there may be more.
    pub(super) fn keep_room(
        &mut self,
        files: &dyn FileSystem,
        index: &mut Index,
        clock: &dyn Clock,
    ) -> Result<Kept, Failure> {
        let now = clock.monotonic();
        self.due = now.after(self.options.retention_interval);
        let mut space = self.space(files)?;
        let mut kept = Kept {
            free_bytes: space.free,
            reels: 0,
            bytes: 0,
        };
        self.promised = self.promised.filter(|(until, _)| now < *until);
        if let Some((_, promised)) = self.promised {
            space.free = space.free.max(promised);
        }
        let believed = self.believed.advance(clock.wall(), now);
        let situation = Situation {
            retention: &self.options.retention,
            now: believed,
            space,
        };
        let over = if self.options.deletes {
            expired_reels(index.connection(), &situation).map_err(|e| index_failed(&e))?
        } else {
            Vec::new()
        };
        if !over.is_empty() {
            (kept.reels, kept.bytes) = self.forget(files, index, &over)?;
            let promised = space.free.saturating_add(kept.bytes);
            self.promised = Some((now.after(SETTLING), promised));
            self.due = now;
        }
        spool::forget_expired(index, believed, &self.uploads).map_err(|e| index_failed(&e))?;
        self.remove_files(files, index)?;
        if kept.free_bytes >= 4 * self.options.ballast_bytes {
            self.ballast.take_on(files);
        }
        Ok(kept)
    }

    fn space(&self, files: &dyn FileSystem) -> Result<DiskSpace, Failure> {
        files
            .space(&self.dir)
            .map_err(|error| write_failed(&self.dir, &error))
    }

    fn forget(
        &mut self,
        files: &dyn FileSystem,
        index: &mut Index,
        reels: &[i64],
    ) -> Result<(u64, u64), Failure> {
        match index.forget_reels(reels).map_err(|e| commit_failed(&e)) {
            Err(Failure::Pause(GapReason::DiskFull, _)) if self.give_up_ballast(files) => {
                index.forget_reels(reels).map_err(|e| commit_failed(&e))
            }
            outcome => outcome,
        }
    }

    /// Gives the ballast up, for whatever is to be removed. Returns whether there was any.
    pub(super) fn give_up_ballast(&mut self, files: &dyn FileSystem) -> bool {
        let is_given_up = self.ballast.give_up(files);
        if is_given_up {
            tracing::info!("the disk is full: giving up the ballast to delete what is to go");
        }
        is_given_up
    }

    fn remove_files(&mut self, files: &dyn FileSystem, index: &mut Index) -> Result<(), Failure> {
        match sweep(&self.dir, files, index).map_err(|e| index_failed(&e))? {
            Some((path, error)) if !self.has_warned => {
                self.has_warned = true;
                tracing::warn!(path = %path.display(), %error, "a recording that is over cannot be removed; it is tried again");
            }
            Some(_) => {}
            None => self.has_warned = false,
        }
        Ok(())
    }
}
