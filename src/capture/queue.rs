//! The driver's buffers, lent out one by one without copying. A [`Loan`] is a filled buffer: as long as it lives
//! the driver does not write to its memory, and dropping it, on any thread, hands the buffer back.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ioctl::{Dequeued, VideoNode};
use super::mapping::Mapping;
use super::report::{Counters, add};

/// Buffers that the driver must keep to fill, so that it never has to drop a picture while the consumer is slow.
const DRIVER_SHARE: usize = 3;

/// The buffers of one run. The memory stays mapped until the last loan is gone.
#[derive(Debug)]
pub(super) struct BufferQueue {
    // Before the node: unmapped first, closed afterwards.
    buffers: Vec<Mapping>,
    video: VideoNode,
    /// Cleared before the stream is turned off: later returns stay away from the driver.
    alive: AtomicBool,
    counters: Arc<Counters>,
}

impl BufferQueue {
    /// Requests `count` buffers and hands all of them to the driver. It may give fewer or more.
    pub(super) fn new(video: VideoNode, count: u32, counters: Arc<Counters>) -> io::Result<Self> {
        let given = video.request_buffers(count)?;
        let buffers = (0..given)
            .map(|index| video.map_buffer(index))
            .collect::<io::Result<Vec<_>>>()?;
        if buffers.len() < 2 {
            return Err(io::Error::from_raw_os_error(nix::libc::ENOMEM));
        }
        for index in 0..given {
            video.queue(index)?;
        }
        Ok(Self {
            buffers,
            video,
            alive: AtomicBool::new(true),
            counters,
        })
    }

    /// How many buffers there are.
    pub(super) fn buffer_count(&self) -> usize {
        self.buffers.len()
    }

    pub(super) fn start(&self) -> io::Result<()> {
        self.video.stream_on()
    }

    /// Turns the stream off and gives the driver its buffers back, as far as nobody holds them; those that are held
    /// stay readable. A camera that is gone refuses both, which changes nothing.
    pub(super) fn stop(&self) {
        self.alive.store(false, Ordering::SeqCst);
        // The kernel frees memory that is still mapped only once it is unmapped (V4L2_BUF_CAP_SUPPORTS_ORPHANED_BUFS);
        // older ones refuse, and the device stays busy until the last loan ends.
        let freed = self
            .video
            .stream_off()
            .and_then(|()| self.video.request_buffers(0));
        if let Err(error) = freed {
            tracing::debug!(%error, "the driver kept its buffers until the last frame is gone");
        }
    }

    /// Takes a filled buffer on loan; `None` if there is none yet.
    pub(super) fn dequeue(self: &Arc<Self>) -> io::Result<Option<(Dequeued, Loan)>> {
        let filled = match self.video.dequeue() {
            Ok(filled) => filled,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        if filled.index as usize >= self.buffers.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let lent = self.counters.lent.fetch_add(1, Ordering::Relaxed) + 1;
        self.counters.lent_max.fetch_max(lent, Ordering::Relaxed);
        let loan = Loan {
            queue: Arc::clone(self),
            index: filled.index,
            byte_count: filled.bytes_used as usize,
        };
        Ok(Some((filled, loan)))
    }

    /// Whether so many buffers are on loan that the newest one should be copied and handed back.
    pub(super) fn is_nearly_empty(&self) -> bool {
        let lent = self.counters.lent.load(Ordering::Relaxed) as usize;
        lent + DRIVER_SHARE.min(self.buffers.len() - 1) > self.buffers.len()
    }

    fn give_back(&self, index: u32) {
        self.counters.lent.fetch_sub(1, Ordering::Relaxed);
        // The stream may be turned off between this check and the call; the kernel then refuses the buffer, as it has
        // none of that number any more, or keeps it until the node is closed. Neither touches memory.
        if self.alive.load(Ordering::SeqCst) {
            match self.video.queue(index) {
                Ok(()) => add(&self.counters.requeued, 1),
                Err(error) => tracing::debug!(index, %error, "a buffer was not taken back"),
            }
        }
    }
}

impl AsFd for BufferQueue {
    /// Readable when a buffer is filled.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.video.as_fd()
    }
}

/// A filled buffer, on loan from the driver. Only [`BufferQueue::dequeue`] makes one, one for each buffer.
#[derive(Debug)]
pub(super) struct Loan {
    queue: Arc<BufferQueue>,
    index: u32,
    byte_count: usize,
}

impl Loan {
    /// Leaves out what follows the first `byte_count` bytes.
    pub(super) fn truncate(&mut self, byte_count: usize) {
        self.byte_count = self.byte_count.min(byte_count);
    }
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        let buffer = &self.queue.buffers[self.index as usize];
        // SAFETY: the driver writes only to buffers that are queued. This one was dequeued when the loan was made, is
        // queued again only when the loan is dropped, and no other loan of it exists, as the driver delivers a buffer
        // once for each time that it was queued. Turning the stream off does not queue anything.
        unsafe { buffer.bytes(self.byte_count) }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.queue.give_back(self.index);
    }
}
