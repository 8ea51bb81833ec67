//! CMAF on its way to viewers and to disk: one copy of the bytes, shared by both.

use std::sync::Arc;

use bytes::Bytes;

use super::TrackParameters;
use crate::base::Wall;

/// Every segment but the last of a run lasts exactly this long.
pub const SEGMENT_DURATION_MS: u32 = 2_000;

/// No part lasts longer. A part of ten frames at 30 a second is 333.33 ms, which 333 would not hold;
/// players compare against the printed value.
pub const PART_TARGET_MS: u32 = 334;

/// Seconds of a count of ticks.
pub fn ticks_to_seconds(ticks: u64, timescale: u32) -> f64 {
    ticks as f64 / f64::from(timescale)
}

/// The CMAF header of a rendition: `ftyp` + `moov` (ISO/IEC 23000-19 §7.3.1). Changes only between runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitSegment {
    /// What the header says.
    pub parameters: TrackParameters,
    /// The header.
    pub bytes: Bytes,
}

/// One fragment, `moof` + `mdat`: what LL-HLS calls a partial segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Media sequence number of the segment it belongs to. The same in every rendition.
    pub msn: u64,
    /// Position in its segment, from 0, without gaps.
    pub index: u32,
    /// Decode time on the camera's timeline, in ticks of the track's timescale; as written in `tfdt`.
    pub start_ticks: u64,
    /// Sum of the sample durations, in ticks.
    pub duration_ticks: u32,
    /// Starts with a keyframe and opens its segment.
    pub independent: bool,
    /// It ends its segment.
    pub last: bool,
    /// `moof` + `mdat`.
    pub bytes: Bytes,
}

/// A finished segment of one rendition. Its bytes are its parts' bytes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Media sequence number: grows by 1 within a run, never goes back, the same in every rendition.
    pub msn: u64,
    /// The run it belongs to. Another run means another encoder: a discontinuity and a new header.
    pub run: u64,
    /// Civil time of its first picture, the same in every rendition.
    pub wall_start: Wall,
    /// The header to decode it with.
    pub init: Arc<InitSegment>,
    /// Its parts; never empty.
    pub parts: Vec<Part>,
}

impl Segment {
    /// Decode time of the first sample, in ticks of the track's timescale.
    pub fn start_ticks(&self) -> u64 {
        self.parts.first().map_or(0, |part| part.start_ticks)
    }

    /// Sum of the parts' durations, in ticks of the track's timescale.
    pub fn duration_ticks(&self) -> u64 {
        self.parts
            .iter()
            .map(|part| u64::from(part.duration_ticks))
            .sum()
    }

    /// Size in bytes.
    pub fn bytes_count(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }
}
