//! Raw sound on its way from a source to the encoders.

use bytes::Bytes;

use crate::base::Monotonic;

/// Interleaved signed 16-bit little-endian samples.
#[derive(Clone, Debug)]
pub struct AudioBlock {
    /// When the first sample was heard.
    pub captured_at: Monotonic,
    /// The samples; a whole number of sample groups of all channels.
    pub samples: Bytes,
}

/// What a sound source promised to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AudioFormat {
    /// Samples a second of each channel.
    pub sample_rate: u32,
    /// Number of channels, 1 or 2.
    pub channels: u8,
}
