//! What happened to the pictures of one run, counted. Written by the dequeue thread and by whoever gives frames back.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since a run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureReport {
    /// Frames given to the sink.
    pub frames: u64,
    /// Pictures that the driver counted and never delivered (steps of the sequence over 1).
    pub lost: u64,
    /// Pictures that the driver marked as damaged, or that were too short; not given to the sink.
    pub damaged: u64,
    /// Buffers without a byte in them; not given to the sink.
    pub empty: u64,
    /// Frames that were copied, because the consumer held nearly all buffers.
    pub copied: u64,
    /// Buffers given back to the driver.
    pub requeued: u64,
    /// Frames whose time was not the driver's, as that was of another clock or far off.
    pub restamped: u64,
    /// Buffers that the consumer holds now.
    pub lent: u64,
    /// The most that it held at once.
    pub lent_max: u64,
}

macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// The same, shared by threads.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counters {
            /// All counts now; each is true, together they may be a frame apart.
            pub(super) fn report(&self) -> CaptureReport {
                CaptureReport { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters!(
    frames, lost, damaged, empty, copied, requeued, restamped, lent, lent_max
);

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, by: u64) {
    count.fetch_add(by, Ordering::Relaxed);
}
