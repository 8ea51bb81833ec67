//! A fixed set of picture buffers, lent out and given back as a V4L2 driver does with its own.
//! Allocates only when it is made.

use std::sync::{Arc, Mutex, PoisonError};

/// The buffers that nobody borrows. Cheap to clone.
#[derive(Clone)]
pub(super) struct FramePool {
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

/// A buffer on loan; dropping it gives it back.
pub(super) struct LentBuffer {
    bytes: Box<[u8]>,
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

impl FramePool {
    /// Makes `count` buffers of `size_bytes` each.
    pub(super) fn new(count: usize, size_bytes: usize) -> Self {
        let buffers = (0..count).map(|_| vec![0; size_bytes].into()).collect();
        Self {
            free: Arc::new(Mutex::new(buffers)),
        }
    }

    /// Lends a buffer; `None` while all are out.
    pub(super) fn lend(&self) -> Option<LentBuffer> {
        let bytes = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()?;
        Some(LentBuffer {
            bytes,
            free: Arc::clone(&self.free),
        })
    }
}

impl LentBuffer {
    /// The bytes, to be painted before the buffer is passed on.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for LentBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for LentBuffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_lent_again_and_never_one_more() {
        let pool = FramePool::new(2, 16);
        let (first, second) = (pool.lend(), pool.lend());
        assert!(first.is_some() && second.is_some());
        assert!(pool.lend().is_none());
        drop(first);
        assert_eq!(pool.lend().expect("one came back").as_ref().len(), 16);
        assert!(pool.lend().is_some(), "the loan above ended at once");
    }
}
