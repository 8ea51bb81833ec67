//! The bounded queue between those who record and the writer thread. Handing over never blocks:
//! a full queue gives up the segment of the highest bitrate and what belongs to it, counts it and marks the gap.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::status::{Appended, Gap, GapMark, GapReason};
use crate::base::{CameraId, Wall};
use crate::media::{RenditionId, Rung, Segment, ticks_to_seconds};

/// Bytes that may wait, of all cameras together: a quarter of a minute of four cameras with every rung recorded.
/// SD cards stall for seconds.
pub(super) const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Segments that may wait, however small.
pub(super) const QUEUE_SEGMENTS_MAX: usize = 512;

/// A segment on its way to disk.
#[derive(Clone, Debug)]
pub(super) struct QueuedSegment {
    pub(super) camera: CameraId,
    pub(super) rendition: RenditionId,
    pub(super) segment: Arc<Segment>,
}

impl QueuedSegment {
    /// Picture and sound of one rung of a camera.
    fn source(&self) -> (CameraId, Rung) {
        (self.camera.clone(), self.rendition.rung)
    }

    /// Whether one is the picture and the other the sound of the same two seconds.
    fn belongs_to(&self, other: &Self) -> bool {
        self.segment.msn == other.segment.msn
            && self.rendition.rung == other.rendition.rung
            && self.camera == other.camera
    }

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
    segments: VecDeque<QueuedSegment>,
    bytes: usize,
    pub(super) gaps: Vec<GapMark>,
    pub(super) segments_shed: u64,
    /// The number last given up of each rung of each camera: what comes later of it goes, too.
    shed: BTreeMap<(CameraId, Rung), u64>,
}

impl Queue {
    /// Takes a segment in. A full queue gives up the newest of those with the highest bitrate, and with it what else
    /// there is of its rung and number: a picture without its sound, or sound alone, is of little use.
    pub(super) fn push(&mut self, incoming: QueuedSegment) -> Appended {
        if self.shed.get(&incoming.source()) == Some(&incoming.segment.msn) {
            self.give_up(&incoming);
            return Appended::Shed;
        }
        self.bytes += incoming.segment.bytes_count();
        self.segments.push_back(incoming.clone());
        let mut appended = Appended::Queued;
        while self.is_overfull() {
            let costliest = self
                .segments
                .iter()
                .enumerate()
                .max_by_key(|(position, queued)| (queued.bitrate_bps(), *position));
            let (_, costliest) = costliest.expect("an overfull queue is not empty");
            let costliest = costliest.clone();
            if costliest.belongs_to(&incoming) {
                appended = Appended::Shed;
            }
            self.shed.insert(costliest.source(), costliest.segment.msn);
            let (gone, kept): (VecDeque<_>, _) = std::mem::take(&mut self.segments)
                .into_iter()
                .partition(|queued| queued.belongs_to(&costliest));
            self.segments = kept;
            for queued in &gone {
                self.bytes -= queued.segment.bytes_count();
                self.give_up(queued);
            }
        }
        appended
    }

    /// The segment that has waited longest.
    pub(super) fn pop(&mut self) -> Option<QueuedSegment> {
        let queued = self.segments.pop_front()?;
        self.bytes -= queued.segment.bytes_count();
        Some(queued)
    }

    /// How many wait.
    pub(super) fn segments_count(&self) -> usize {
        self.segments.len()
    }

    /// A segment alone is never too much.
    fn is_overfull(&self) -> bool {
        self.segments.len() > QUEUE_SEGMENTS_MAX
            || self.bytes > QUEUE_BYTES_MAX && self.segments.len() > 1
    }

    fn give_up(&mut self, queued: &QueuedSegment) {
        self.segments_shed += 1;
        queued.gap(GapReason::DiskSlow).add_to(&mut self.gaps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{AudioParameters, InitSegment, Part, TrackParameters};

    /// One segment of `bytes`. What it holds does not matter to the queue, so that all have a track of sound.
    fn queued(rendition: RenditionId, bitrate_bps: u32, msn: u64, bytes: usize) -> QueuedSegment {
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
            bytes: vec![0; bytes].into(),
        };
        QueuedSegment {
            camera: CameraId::from_description("a"),
            rendition,
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

    const HIGH: RenditionId = RenditionId::video(Rung::High);
    const HIGH_SOUND: RenditionId = RenditionId::audio(Rung::High);
    const LOW: RenditionId = RenditionId::video(Rung::Low);

    fn push(queue: &mut Queue, rendition: RenditionId, msn: u64, bytes: usize) -> Appended {
        let bitrate_bps = match rendition {
            HIGH => 4_000_000,
            HIGH_SOUND => 320_000,
            _ => 1_000_000,
        };
        queue.push(queued(rendition, bitrate_bps, msn, bytes))
    }

    fn numbers(queue: &Queue, rendition: RenditionId) -> Vec<u64> {
        let of = queue.segments.iter().filter(|q| q.rendition == rendition);
        of.map(|q| q.segment.msn).collect()
    }

    #[test]
    fn a_full_queue_gives_up_the_newest_of_the_highest_bitrate_with_its_sound_and_marks_the_gaps() {
        let mut queue = Queue::default();
        // Three of these fill it, but for what the small ones need.
        let large = QUEUE_BYTES_MAX / 3 - 1000;
        for msn in 0..3 {
            for (rendition, bytes) in [(HIGH, large), (HIGH_SOUND, 300), (LOW, 300)] {
                assert_eq!(push(&mut queue, rendition, msn, bytes), Appended::Queued);
            }
        }
        // Another of the same number of the low rung makes room at the cost of the high one, which itself goes later.
        assert_eq!(push(&mut queue, LOW, 3, 2000), Appended::Queued);
        assert_eq!(numbers(&queue, HIGH), [0, 1]);
        assert_eq!(numbers(&queue, HIGH_SOUND), [0, 1]);
        assert_eq!(push(&mut queue, HIGH, 3, 2 * large), Appended::Shed);
        // Its sound comes after it, and finds room.
        assert_eq!(push(&mut queue, HIGH_SOUND, 3, 300), Appended::Shed);
        assert_eq!(push(&mut queue, HIGH, 4, 300), Appended::Queued);
        assert_eq!(push(&mut queue, HIGH_SOUND, 4, 300), Appended::Queued);
        assert_eq!(numbers(&queue, HIGH), [0, 1, 4]);
        assert_eq!(numbers(&queue, HIGH_SOUND), [0, 1, 4]);
        assert_eq!(numbers(&queue, LOW), [0, 1, 2, 3]);
        assert_eq!(queue.segments_shed, 4);

        let mut gaps: Vec<_> = queue.gaps.iter().map(|mark| mark.gap.clone()).collect();
        gaps.sort_by_key(|gap| gap.rendition);
        let gap = |rendition| Gap {
            rendition: Some(rendition),
            from: Wall(4000),
            to: Wall(8000),
            reason: GapReason::DiskSlow,
        };
        assert_eq!(gaps, [gap(HIGH), gap(HIGH_SOUND)]);
        let mut bytes = queue.bytes;
        while let Some(queued) = queue.pop() {
            bytes -= queued.segment.bytes_count();
            assert_eq!(bytes, queue.bytes);
        }
        assert_eq!((queue.bytes, queue.segments_count()), (0, 0));
    }

    #[test]
    fn four_cameras_with_every_rung_wait_out_a_stall_of_several_seconds() {
        let mut queue = Queue::default();
        let rates = [500_000, 1_000_000, 2_000_000, 4_000_000];
        for msn in 0..5 {
            for _camera in 0..4 {
                for (rung, rate) in Rung::ALL.into_iter().zip(rates) {
                    let id = RenditionId::video(rung);
                    let picture = queued(id, rate, msn, rate as usize / 4);
                    assert_eq!(queue.push(picture), Appended::Queued);
                    let sound = queued(RenditionId::audio(rung), 64_000, msn, 16_000);
                    assert_eq!(queue.push(sound), Appended::Queued);
                }
            }
        }
    }

    #[test]
    fn small_segments_are_bounded_by_their_count() {
        let mut queue = Queue::default();
        for msn in 0..QUEUE_SEGMENTS_MAX as u64 {
            assert_eq!(push(&mut queue, LOW, msn, 1), Appended::Queued);
        }
        assert_eq!(push(&mut queue, LOW, 1000, 1), Appended::Shed);
        assert_eq!(queue.segments_count(), QUEUE_SEGMENTS_MAX);
    }
}
