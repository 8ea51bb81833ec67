//! One encoded picture or one block of sound.

use bytes::Bytes;

/// An access unit of one rendition: a whole coded picture (H.264 NAL units, each behind a 4-byte length,
/// ISO/IEC 14496-15 §5.3.2) or one AAC frame without ADTS. Decode order equals presentation order: no B-frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// Presentation time since the run's first picture, in ticks of the track's timescale.
    pub pts_ticks: u64,
    /// How long it is shown or heard, in ticks of the track's timescale; at least 1.
    pub duration_ticks: u32,
    /// An IDR picture; always true for sound.
    pub keyframe: bool,
    /// The coded bytes, shared with whoever else sends them.
    pub data: Bytes,
}
