//! The bounded queue between those who record and the writer thread. Handing over never blocks:
//! a full queue gives up the segment of the highest bitrate, counts it and marks the gap.

use std::sync::Arc;

use super::status::{Appended, Gap, GapMark, GapReason};
use crate::base::{CameraId, Wall};
use crate::media::{RenditionId, Segment, ticks_to_seconds};

/// Segments that may wait.
pub(super) const QUEUE_SEGMENTS_MAX: usize = 8;

/// A segment on its way to disk.
#[derive(Clone, Debug)]
pub(super) struct QueuedSegment {
    pub(super) camera: CameraId,
    pub(super) rendition: RenditionId,
    pub(super) segment: Arc<Segment>,
}

impl QueuedSegment {
    fn bitrate_bps(&self) -> u32 {
        self.segment.init.parameters.bitrate_bps()
    }

    /// Civil time at which the segment ends, by its own label.
    pub(super) fn wall_end(&self) -> Wall {
        let timescale = self.segment.init.parameters.timescale().max(1);
        let seconds = ticks_to_seconds(self.segment.duration_ticks(), timescale);
        self.segment
            .wall_start
            .plus_ms((seconds * 1000.0).round() as i64)
    }

    /// The gap that not recording this segment leaves.
    pub(super) fn gap(&self, reason: GapReason) -> GapMark {
        GapMark {
            camera: self.camera.clone(),
            gap: Gap {
                rendition: Some(self.rendition),
                from: self.segment.wall_start,
                to: self.wall_end(),
                reason,
            },
        }
    }
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) segments: Vec<QueuedSegment>,
    pub(super) gaps: Vec<GapMark>,
    pub(super) segments_shed: u64,
}

impl Queue {
    /// Takes a segment in, or, when full, gives up the newest of those with the highest bitrate.
    pub(super) fn push(&mut self, incoming: QueuedSegment) -> Appended {
        self.segments.push(incoming);
        if self.segments.len() <= QUEUE_SEGMENTS_MAX {
            return Appended::Queued;
        }
        let (costliest, _) = self
            .segments
            .iter()
            .enumerate()
            .max_by_key(|(position, queued)| (queued.bitrate_bps(), *position))
            .expect("the queue holds the segment just pushed");
        let shed = self.segments.remove(costliest);
        self.segments_shed += 1;
        shed.gap(GapReason::DiskSlow).add_to(&mut self.gaps);
        if costliest == QUEUE_SEGMENTS_MAX {
            Appended::Shed
        } else {
            Appended::Queued
        }
    }
}
