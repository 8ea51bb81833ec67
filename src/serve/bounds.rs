//! What all requests together may hold of the machine. What goes beyond is refused at once, to be asked again.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Stills that are being made, or that wait for the one of their camera. Each holds a thread.
const STILLS_MAX: usize = 16;
/// Requests that bring data of uploads. Each holds a thread, and up to 1 MiB of memory.
const UPLOADS_MAX: usize = 32;
/// Recorded segments in memory, in KiB: read from disk and not yet taken by their viewers.
const RECORDED_KIB_MAX: usize = 64 * 1024;
/// Strips that are being made. Each holds a thread for longer than a still.
const STRIPS_MAX: usize = 2;
/// Clips that are planned or sent as files. Each holds a thread or a segment in memory.
const CLIP_FILES_MAX: usize = 8;
/// When to ask again, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// What is left of it.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    stills: Arc<Semaphore>,
    strips: Arc<Semaphore>,
    recorded_kib: Arc<Semaphore>,
    clip_files: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl Bounds {
    pub(super) fn new() -> Self {
        Self {
            stills: Arc::new(Semaphore::new(STILLS_MAX)),
            strips: Arc::new(Semaphore::new(STRIPS_MAX)),
            recorded_kib: Arc::new(Semaphore::new(RECORDED_KIB_MAX)),
            clip_files: Arc::new(Semaphore::new(CLIP_FILES_MAX)),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
        }
    }

    /// A place for making one still.
    pub(super) fn still(&self) -> Result<OwnedSemaphorePermit, Problem> {
        take(&self.stills, 1).ok_or_else(|| {
            let detail = format!("{STILLS_MAX} stills are being made already");
            Problem::unavailable(detail, RETRY_AFTER_S)
        })
    }

    /// A place for planning and sending one file.
    pub(super) fn clip_file(&self) -> Result<OwnedSemaphorePermit, Problem> {
        take(&self.clip_files, 1).ok_or_else(|| {
            let detail = format!("{CLIP_FILES_MAX} clips are being sent already");
            Problem::unavailable(detail, RETRY_AFTER_S)
        })
    }

    /// A place for making one strip.
    pub(super) fn strip(&self) -> Result<OwnedSemaphorePermit, Problem> {
        take(&self.strips, 1).ok_or_else(|| {
            let detail = format!("{STRIPS_MAX} strips are being made already");
            Problem::unavailable(detail, RETRY_AFTER_S)
        })
    }

    /// A place for a request that brings data.
    pub(super) fn upload(&self) -> Result<OwnedSemaphorePermit, Problem> {
        take(&self.uploads, 1).ok_or_else(|| {
            let detail = format!("{UPLOADS_MAX} uploads are being received already");
            Problem::unavailable(detail, RETRY_AFTER_S)
        })
    }

    /// Room for `bytes_count` bytes of a recording.
    pub(super) fn recorded(&self, bytes_count: u64) -> Result<Room, Problem> {
        let kib = u32::try_from(bytes_count.div_ceil(1024)).unwrap_or(u32::MAX);
        take(&self.recorded_kib, kib).map(Room).ok_or_else(|| {
            let detail = "viewers have yet to take what was read of recordings for them";
            Problem::unavailable(detail, RETRY_AFTER_S)
        })
    }
}

fn take(semaphore: &Arc<Semaphore>, count: u32) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).try_acquire_many_owned(count).ok()
}

/// Room in memory.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

impl Room {
    /// Bytes that hold this room until the last of their clones goes, wherever a connection keeps them: HTTP/2 takes
    /// a body's bytes out of it long before the viewer has them.
    pub(super) fn fill(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Filled {
            bytes,
            _permit: self.0,
        })
    }
}

struct Filled {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_viewers_do_not_take_is_bounded_and_comes_back_when_they_go() {
        let bounds = Bounds::new();
        let fill = || {
            let room = bounds.recorded(1024 * 1024).ok()?;
            Some(room.fill(Bytes::from_static(b"segment")))
        };
        let mut held: Vec<_> = std::iter::from_fn(fill).collect();
        assert_eq!(held.len(), 64);
        let slice = held.pop().expect("one").slice(3..);
        assert_eq!(slice, &b"ment"[..]);
        assert!(fill().is_none(), "a slice of it is still to be sent");
        drop(slice);
        assert!(fill().is_some());
    }
}
