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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{AudioParameters, InitSegment, Part, Rung, TrackParameters};

    fn queued(rung: Rung, bitrate_bps: u32, msn: u64) -> QueuedSegment {
        let parameters = TrackParameters::Audio(AudioParameters {
            asc: bytes::Bytes::new(),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps,
        });
        let part = Part {
            msn,
            index: 0,
            start_ticks: msn * 96_000,
            duration_ticks: 96_000,
            independent: true,
            last: true,
            bytes: bytes::Bytes::from_static(b"part"),
        };
        QueuedSegment {
            camera: CameraId::from_description("a"),
            rendition: RenditionId::audio(rung),
            segment: Arc::new(Segment {
                msn,
                run: 0,
                wall_start: Wall(msn as i64 * 2000),
                init: Arc::new(InitSegment {
                    parameters,
                    bytes: bytes::Bytes::new(),
                }),
                parts: vec![part],
            }),
        }
    }

    #[test]
    fn a_full_queue_gives_up_the_newest_of_the_highest_bitrate_and_marks_the_gap() {
        let mut queue = Queue::default();
        for msn in 0..4 {
            assert_eq!(
                queue.push(queued(Rung::High, 4_000_000, msn)),
                Appended::Queued
            );
            assert_eq!(
                queue.push(queued(Rung::Low, 1_000_000, msn)),
                Appended::Queued
            );
        }
        assert_eq!(
            queue.push(queued(Rung::Low, 1_000_000, 4)),
            Appended::Queued
        );
        assert_eq!(queue.push(queued(Rung::High, 4_000_000, 4)), Appended::Shed);
        assert_eq!(
            (queue.segments.len(), queue.segments_shed),
            (QUEUE_SEGMENTS_MAX, 2)
        );
        let high = queue
            .segments
            .iter()
            .filter(|q| q.rendition.rung == Rung::High);
        assert_eq!(high.map(|q| q.segment.msn).collect::<Vec<_>>(), [0, 1, 2]);
        let gaps: Vec<_> = queue.gaps.iter().map(|mark| mark.gap.clone()).collect();
        let expected = Gap {
            rendition: Some(RenditionId::audio(Rung::High)),
            from: Wall(6000),
            to: Wall(10_000),
            reason: GapReason::DiskSlow,
        };
        assert_eq!(gaps, [expected]);
    }
}
