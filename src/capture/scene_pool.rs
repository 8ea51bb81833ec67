//! Picture buffers, lent out and given back as a V4L2 driver does with its own: at most a fixed number, and no more of
//! them in memory than were out at once of late.

use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

/// Loans after which the buffers that none of them needed go back to the system: ten seconds at 30 a second.
const TRIM_AFTER_LOANS: u32 = 300;

/// The buffers that nobody borrows. Cheap to clone.
#[derive(Clone)]
pub(super) struct FramePool {
    shared: Arc<Mutex<Shared>>,
    size_bytes: usize,
    count_max: usize,
}

/// A buffer on loan; dropping it gives it back.
pub(super) struct LentBuffer {
    /// Taken on drop only.
    bytes: Option<MmapMut>,
    shared: Arc<Mutex<Shared>>,
}

/// Each buffer is a mapping of its own: what the allocator gets back it may keep.
#[derive(Default)]
struct Shared {
    free: Vec<MmapMut>,
    out: usize,
    out_max: usize,
    loans: u32,
}

impl FramePool {
    /// Up to `count_max` buffers of `size_bytes` each, made when they are needed.
    pub(super) fn new(count_max: usize, size_bytes: usize) -> Self {
        Self {
            shared: Arc::default(),
            size_bytes,
            count_max,
        }
    }

    /// Lends a buffer; `None` while all are out. Fails when the system has no memory left.
    pub(super) fn lend(&self) -> io::Result<Option<LentBuffer>> {
        let mut shared = lock(&self.shared);
        if shared.out == self.count_max {
            return Ok(None);
        }
        let bytes = match shared.free.pop() {
            Some(bytes) => bytes,
            None => MmapMut::map_anon(self.size_bytes)?,
        };
        shared.out += 1;
        shared.out_max = shared.out_max.max(shared.out);
        shared.loans += 1;
        if shared.loans == TRIM_AFTER_LOANS {
            let keep = shared.out_max - shared.out;
            shared.free.truncate(keep);
            (shared.loans, shared.out_max) = (0, shared.out);
        }
        Ok(Some(LentBuffer {
            bytes: Some(bytes),
            shared: Arc::clone(&self.shared),
        }))
    }
}

impl LentBuffer {
    /// The bytes, to be painted before the buffer is passed on.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.as_deref_mut().unwrap_or_default()
    }
}

impl AsRef<[u8]> for LentBuffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.out -= 1;
        shared.free.extend(mem::take(&mut self.bytes));
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lend(pool: &FramePool) -> Option<LentBuffer> {
        pool.lend().expect("memory for a few bytes")
    }

    #[test]
    fn a_dropped_buffer_is_lent_again_and_never_one_more() {
        let pool = FramePool::new(2, 16);
        let (first, second) = (lend(&pool), lend(&pool));
        assert!(first.is_some() && second.is_some());
        assert!(lend(&pool).is_none());
        drop(first);
        assert_eq!(lend(&pool).expect("one came back").as_ref().len(), 16);
        assert!(lend(&pool).is_some(), "the loan above ended at once");
    }

    #[test]
    fn what_a_jam_needed_goes_back_to_the_system_when_it_is_over() {
        let pool = FramePool::new(8, 16);
        let jam: Vec<_> = (0..8).map(|_| lend(&pool)).collect();
        drop(jam);
        assert_eq!(lock(&pool.shared).free.len(), 8);
        for _ in 0..2 * TRIM_AFTER_LOANS {
            let pair = (lend(&pool), lend(&pool));
            assert!(pair.0.is_some() && pair.1.is_some());
        }
        assert_eq!(lock(&pool.shared).free.len(), 2);
    }
}
