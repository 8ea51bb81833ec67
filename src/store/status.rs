//! What the recorder tells about itself, and the few settings it takes.

use std::time::Duration;

use super::reader::REEL_DURATION_MAX;
use super::retention::Retention;
use crate::base::{CameraId, DigestKind, Monotonic, Wall};
use crate::media::{Fault, RenditionId};

/// How recordings are written. The default suits a board with an SD card.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What arrives within this time after a segment is committed together with it.
    /// At most 2 s: longer would lose more than a segment to a power cut.
    pub commit_interval: Duration,
    /// How long recording rests after the disk refused a write, before it tries again.
    pub retry_interval: Duration,
    /// A reel is closed once it holds media of this length, or has got none for twice as long. At most 5 min.
    pub reel_duration: Duration,
    /// Recording pauses while less of the disk is free, so that the index can still be written.
    pub free_bytes_min: u64,
    /// How long `close` waits for the disk.
    pub close_timeout: Duration,
    /// How long recordings are kept.
    pub retention: Retention,
    /// Whether recordings that are over are deleted, or only counted with.
    pub deletes: bool,
    /// How often recordings that are over are looked for.
    pub retention_interval: Duration,
    /// Bytes set aside in the index's folder, given up when the disk is so full that nothing could be deleted.
    pub ballast_bytes: u64,
    /// How what is written from now on is digested; what was digested otherwise is read as well.
    pub digest: DigestKind,
    /// What is imported or uploaded must be a picture, film or sound.
    pub media_only: bool,
    /// Whether complete uploads become items, or wait for a process that knows what is taken.
    pub imports_uploads: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_millis(500),
            retry_interval: Duration::from_secs(2),
            reel_duration: Duration::from_secs(60),
            free_bytes_min: 32 << 20,
            close_timeout: Duration::from_millis(1500),
            retention: Retention::default(),
            deletes: true,
            retention_interval: Duration::from_secs(5),
            ballast_bytes: 8 << 20,
            digest: DigestKind::default(),
            media_only: false,
            imports_uploads: true,
        }
    }
}

impl StoreOptions {
    /// The nearest options that keep what the store promises.
    pub(super) fn within_bounds(self) -> Self {
        Self {
            commit_interval: self.commit_interval.min(Duration::from_secs(2)),
            reel_duration: self.reel_duration.min(REEL_DURATION_MAX),
            ..self
        }
    }
}

/// What became of a segment that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It waits to be written. Another may have been shed for it, which the status counts.
    Queued,
    /// The disk is too slow: this one was given up, and a gap marked.
    Shed,
    /// The store is poisoned or closed and takes nothing more.
    Refused,
}

/// Whether recording goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordingState {
    /// Segments are written and committed.
    #[default]
    Recording,
    /// Segments are dropped, gaps marked, until the disk takes writes again.
    Paused {
        /// Why, as a person would read it.
        reason: String,
        /// Since when.
        since: Wall,
    },
    /// A flush to the disk failed: what it holds is uncertain, so nothing more is written until
    /// the process starts again and recovers. What was committed stays readable.
    Poisoned {
        /// Why, as a person would read it.
        reason: String,
    },
}

/// Counters since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Whether recording goes on.
    pub state: RecordingState,
    /// Bytes of committed segments.
    pub bytes_recorded: u64,
    /// Bytes handed to the disk for them: reels, their heads and trailers, the index and its log.
    pub bytes_written: u64,
    /// The part of `bytes_written` that went into the index and its log.
    pub index_bytes_written: u64,
    /// Committed segments.
    pub segments_committed: u64,
    /// Transactions.
    pub commits: u64,
    /// Segments waiting to be written.
    pub segments_queued: usize,
    /// Segments given up because the queue was full.
    pub segments_shed: u64,
    /// Segments dropped while recording was paused, or when a write failed.
    pub segments_dropped: u64,
    /// Segments refused because their order, length or header breaks the recording's rules.
    pub segments_refused: u64,
    /// Free bytes of the disk, as of the last write or look.
    pub free_bytes: u64,
    /// Reels deleted because they were over.
    pub reels_expired: u64,
    /// Their bytes.
    pub bytes_expired: u64,
    /// Bytes that were read again and are what they were.
    pub bytes_scrubbed: u64,
    /// Segments that were found damaged.
    pub segments_damaged: u64,
    /// Chunks of imports that were found damaged.
    pub chunks_damaged: u64,
    /// Records of packs that only a rebuild of the index needs and that were found damaged.
    pub pack_records_damaged: u64,
    /// When the last commit ended.
    pub last_commit: Option<Monotonic>,
}

/// Why nothing was recorded for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapReason {
    /// The camera was unplugged, stopped delivering, or was opened anew because of what it delivered.
    CameraGone,
    /// The encoder failed or was started again.
    EncoderFailed,
    /// The machine was too slow to encode this rendition.
    RungShed,
    /// The disk was too slow.
    DiskSlow,
    /// The disk was full.
    DiskFull,
    /// The disk refused writes.
    DiskFailed,
    /// Handed over in a way that cannot be recorded: out of order or with another header.
    Refused,
    /// Written, but gone when the store was opened again.
    Lost,
    /// Nothing ran that could have recorded: a stop, a crash or a power cut, until the next start.
    Stopped,
}

impl GapReason {
    /// Every reason with the number that stands for it in the index. Numbers are never used again.
    const NUMBERS: [(Self, u8); 9] = [
        (Self::CameraGone, 1),
        (Self::EncoderFailed, 2),
        (Self::RungShed, 3),
        (Self::DiskSlow, 4),
        (Self::DiskFull, 5),
        (Self::DiskFailed, 6),
        (Self::Refused, 7),
        (Self::Lost, 8),
        (Self::Stopped, 9),
    ];

    pub(super) fn number(self) -> u8 {
        let found = Self::NUMBERS.iter().find(|(reason, _)| *reason == self);
        found.expect("every reason has a number").1
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        let found = Self::NUMBERS.iter().find(|(_, known)| *known == number)?;
        Some(found.0)
    }

    /// The name in the API and on the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::CameraGone => "camera_gone",
            Self::EncoderFailed => "encoder_failed",
            Self::RungShed => "rung_shed",
            Self::DiskSlow => "disk_slow",
            Self::DiskFull => "disk_full",
            Self::DiskFailed => "disk_failed",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Stopped => "stopped",
        }
    }
}

impl From<Fault> for GapReason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Source => Self::CameraGone,
            Fault::Encoder => Self::EncoderFailed,
        }
    }
}

/// A stretch of time that was not recorded, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The rendition that has it; `None` if the whole camera has.
    pub rendition: Option<RenditionId>,
    /// Civil time at which it starts.
    pub from: Wall,
    /// Civil time at which it ends.
    pub to: Wall,
    /// Why.
    pub reason: GapReason,
}

/// A gap that is yet to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GapMark {
    pub(super) camera: CameraId,
    pub(super) gap: Gap,
}

/// Marks closer than this, in ms, are one gap: labels of neighbouring segments are rounded.
pub(super) const GAP_TOUCHES_MS: i64 = 100;

/// More separate gaps than this are not kept in memory; later ones lengthen the last of their kind.
const GAP_MARKS_MAX: usize = 256;

impl GapMark {
    /// Whether `later` goes on where this one ends.
    pub(super) fn is_continued_by(&self, later: &Self) -> bool {
        self.is_of_kind(later) && (later.gap.from - self.gap.to).abs() <= GAP_TOUCHES_MS
    }

    fn is_of_kind(&self, other: &Self) -> bool {
        self.camera == other.camera
            && self.gap.rendition == other.gap.rendition
            && self.gap.reason == other.gap.reason
    }

    /// Adds a mark to a list, lengthening one that it continues. The list stays bounded.
    pub(super) fn add_to(self, marks: &mut Vec<Self>) {
        let full = marks.len() >= GAP_MARKS_MAX;
        let last = marks
            .iter_mut()
            .rev()
            .find(|mark| mark.is_continued_by(&self) || (full && mark.is_of_kind(&self)));
        match last {
            Some(mark) => mark.gap.to = mark.gap.to.max(self.gap.to),
            None if full => {}
            None => marks.push(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gap_reason_reads_back() {
        for (reason, number) in GapReason::NUMBERS {
            assert_eq!(reason.number(), number);
            assert_eq!(GapReason::from_number(number), Some(reason));
        }
        assert_eq!(GapReason::from_number(0), None);
    }

    #[test]
    fn neighbouring_marks_become_one_gap_and_the_list_stays_bounded() {
        let mark = |from, to, reason| GapMark {
            camera: CameraId::from_description("a"),
            gap: Gap {
                rendition: None,
                from: Wall(from),
                to: Wall(to),
                reason,
            },
        };
        let mut marks = Vec::new();
        mark(0, 2000, GapReason::DiskFull).add_to(&mut marks);
        mark(2001, 4001, GapReason::DiskFull).add_to(&mut marks);
        mark(4001, 6001, GapReason::DiskSlow).add_to(&mut marks);
        mark(9000, 9500, GapReason::DiskFull).add_to(&mut marks);
        assert_eq!(
            marks,
            [
                mark(0, 4001, GapReason::DiskFull),
                mark(4001, 6001, GapReason::DiskSlow),
                mark(9000, 9500, GapReason::DiskFull),
            ]
        );
        for i in 1..1000 {
            mark(i * 10_000, i * 10_000 + 1, GapReason::DiskFull).add_to(&mut marks);
        }
        assert_eq!(marks.len(), GAP_MARKS_MAX);
        assert_eq!(marks.last().map(|mark| mark.gap.to), Some(Wall(9_990_001)));
    }
}
