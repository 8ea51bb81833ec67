//! What the index keeps, row by row, and a batch of rows that become durable together.

use std::collections::BTreeMap;
use std::ops::Range;

use super::reel_writer::Place;
use super::scrub::ScrubPosition;
use super::segment_log::LogRow;
use super::status::GapMark;
use crate::base::CameraId;

/// Segments that the key of a segment leaves room for in a reel.
pub(super) const REEL_SEGMENTS_MAX: u64 = 256;

/// The key of a segment.
pub(super) fn segment_key(reel: i64, first_msn: u64, msn: u64) -> i64 {
    debug_assert!((first_msn..first_msn + REEL_SEGMENTS_MAX).contains(&msn));
    segment_keys(reel).start + (msn - first_msn) as i64
}

/// The keys that a reel's segments may have.
pub(super) fn segment_keys(reel: i64) -> Range<i64> {
    let count = REEL_SEGMENTS_MAX as i64;
    reel * count..(reel + 1) * count
}

/// The reel of a segment's key.
pub(super) fn reel_of(segment: i64) -> i64 {
    segment / REEL_SEGMENTS_MAX as i64
}

/// What the index keeps of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CameraRow {
    pub(super) id: i64,
    pub(super) day: Option<String>,
    pub(super) next_run: u64,
    pub(super) next_msn: u64,
}

/// What the index keeps of one rendition of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackRow {
    pub(super) id: i64,
    pub(super) last_msn: Option<u64>,
}

/// A header of one rendition in one run.
#[derive(Clone, Debug)]
pub(super) struct RunRow {
    pub(super) track: i64,
    pub(super) run: u64,
    pub(super) parameters: Vec<u8>,
    pub(super) init: bytes::Bytes,
}

/// A recording file with its first segment's numbers.
#[derive(Clone, Debug)]
pub(super) struct ReelRow {
    pub(super) id: i64,
    pub(super) track: i64,
    pub(super) run: u64,
    pub(super) day: String,
    pub(super) first_msn: u64,
    pub(super) wall_ms: i64,
    pub(super) start_ticks: u64,
}

/// A segment, its times relative to its reel.
#[derive(Clone, Debug)]
pub(super) struct SegmentRow {
    pub(super) key: i64,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) wall_ms: i64,
    pub(super) start_ticks: u64,
    pub(super) duration_ticks: u64,
}

/// What becomes durable together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) runs: Vec<RunRow>,
    pub(super) reels: Vec<ReelRow>,
    pub(super) segments: Vec<SegmentRow>,
    /// Reels that take nothing more, and their size in bytes.
    pub(super) closed: Vec<(i64, u64)>,
    /// Keys of segments, then of reels, whose bytes recovery found gone.
    pub(super) lost_segments: Vec<i64>,
    pub(super) lost_reels: Vec<i64>,
    /// Keys of segments of reels that are closed, whose bytes recovery found to be others.
    pub(super) damaged_segments: Vec<i64>,
    /// Keys of segments that recovery found elsewhere in their reels than their rows said.
    pub(super) moved_segments: Vec<(i64, Place)>,
    pub(super) gaps: Vec<GapMark>,
    /// The numbers above all used ones, by camera.
    pub(super) ceilings: BTreeMap<CameraId, (u64, u64)>,
    /// Where the log of segments stands, if that has changed; not worth a transaction of its own.
    pub(super) log: Option<LogRow>,
    /// How far scrubbing has come, if it has; neither is this.
    pub(super) scrub: Option<ScrubPosition>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
            && self.closed.is_empty()
            && self.lost_segments.is_empty()
            && self.lost_reels.is_empty()
            && self.damaged_segments.is_empty()
            && self.moved_segments.is_empty()
            && self.gaps.is_empty()
            && self.ceilings.is_empty()
            && self.scrub.is_none()
    }
}
