//! Cuts one rendition's access units into parts and segments, each part closed with its last access unit.
//! Knows the 2.000 s grid and the part target; leaves storing and publishing to the packager, which drives it.

use super::fragment::{Sample, write_fragment};
use super::header::write_header;
use crate::media::{
    AccessUnit, InitSegment, PART_TARGET_MS, Part, SEGMENT_DURATION_MS, TrackParameters,
};

/// The largest access unit that is accepted, in bytes.
pub const UNIT_BYTES_MAX: usize = 16 << 20;

/// A part is closed before its payload would grow past this, in bytes.
pub const PART_BYTES_MAX: usize = 64 << 20;

/// Timestamps come from nanoseconds, so a unit that falls short of the grid by less than this lies on it.
const GRID_SLACK_MS: u64 = 1;

/// Where a run lies on the camera's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackOrigin {
    /// Media sequence number of the segment that starts at pts 0.
    pub msn: u64,
    /// Decode time of pts 0, in ticks of the track's timescale.
    pub start_ticks: u64,
}

/// Why parameters or a unit were refused. The writer is left as it was.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum WriteError {
    /// The header cannot be written.
    #[error("{0} cannot be written to a CMAF header; start the encoder again with other settings")]
    InvalidParameters(&'static str),
    /// A unit starts before its predecessor ends by more than rounding.
    #[error("access unit at {pts_ticks} ticks starts before {expected_ticks}; it is dropped")]
    TimestampWentBackwards {
        /// Where the unit starts.
        pts_ticks: u64,
        /// Where its predecessor ended.
        expected_ticks: u64,
    },
    /// A time that leaves no room for the track's origin in 64 bits.
    #[error("access unit at {pts_ticks} ticks lies beyond the timeline; it is dropped")]
    TimestampBeyondTimeline {
        /// Where the unit starts.
        pts_ticks: u64,
    },
    /// A unit longer than a part may be, or of no duration at all.
    #[error(
        "access unit lasts {duration_ticks} ticks, a part holds 1 to {ticks_max}; it is dropped"
    )]
    DurationOutOfRange {
        /// How long it lasts.
        duration_ticks: u32,
        /// How long a part may last.
        ticks_max: u64,
    },
    /// A unit of no bytes or of more than [`UNIT_BYTES_MAX`].
    #[error("access unit of {bytes} bytes, 1 to {UNIT_BYTES_MAX} are accepted; it is dropped")]
    SizeOutOfRange {
        /// Its size.
        bytes: usize,
    },
}

/// The part that is being filled.
#[derive(Debug)]
struct OpenPart {
    msn: u64,
    index: u32,
    start_pts: u64,
    bytes: usize,
    samples: Vec<Sample>,
}

/// Writes the track of one rendition for one run.
#[derive(Debug)]
pub struct TrackWriter {
    init: InitSegment,
    origin: TrackOrigin,
    /// Length of a segment, in ticks.
    grid_ticks: u64,
    part_ticks_max: u64,
    slack_ticks: u64,
    is_video: bool,
    /// Where the last unit ended, in ticks since the run's first picture.
    end_pts: Option<u64>,
    /// The segment being written and the index of its next part; `None` until a keyframe on the grid.
    segment: Option<(u64, u32)>,
    open: Option<OpenPart>,
    sequence: u32,
    dropped_units: u64,
    scratch: Vec<u8>,
}

impl TrackWriter {
    /// Starts a track. Fails with `InvalidParameters`.
    pub fn new(parameters: TrackParameters, origin: TrackOrigin) -> Result<Self, WriteError> {
        let init = write_header(&parameters)?;
        let timescale = u64::from(parameters.timescale());
        Ok(Self {
            init,
            origin,
            grid_ticks: timescale * u64::from(SEGMENT_DURATION_MS) / 1000,
            part_ticks_max: timescale * u64::from(PART_TARGET_MS) / 1000,
            slack_ticks: timescale * GRID_SLACK_MS / 1000,
            is_video: matches!(parameters, TrackParameters::Video(_)),
            end_pts: None,
            segment: None,
            open: None,
            sequence: 0,
            dropped_units: 0,
            scratch: Vec::new(),
        })
    }

    /// The header of everything this writes. Cheap to clone.
    pub fn init_segment(&self) -> InitSegment {
        self.init.clone()
    }

    /// How many units were dropped because no keyframe on the grid had opened their segment.
    pub fn dropped_units(&self) -> u64 {
        self.dropped_units
    }

    /// Appends one access unit and returns the parts that this closed, in order: none or one in a steady
    /// flow, two when a unit after a gap also ends the segment.
    ///
    /// A part closes with the unit after which another of its duration would cross `PART_TARGET_MS`, or
    /// with which the 2.000 s grid is reached. A unit that jumps ahead closes the open part first. A segment
    /// opens only with a keyframe on the grid; units before that are dropped and counted. A segment that a
    /// gap cut off has no part marked `last`: the next part's higher `msn` ends it.
    /// Times within half a unit of the expected one are rounding: the unit then starts where its
    /// predecessor ended and still ends where it should, so that nothing drifts.
    /// Any error leaves the writer as it was.
    pub fn push(&mut self, unit: AccessUnit) -> Result<Vec<Part>, WriteError> {
        let (start, end) = self.place(&unit)?;
        let mut closed = Vec::new();
        let msn = self.msn_at(start);
        let is_gap = self.end_pts.is_some_and(|expected| start > expected);
        let is_full = self.open.as_ref().is_some_and(|open| {
            open.bytes + unit.data.len() > PART_BYTES_MAX
                || end - open.start_pts > self.part_ticks_max
        });
        let is_next_segment = self.open.as_ref().is_some_and(|open| open.msn != msn);
        if is_gap || is_full || is_next_segment {
            closed.extend(self.close(is_next_segment));
        }
        self.end_pts = Some(end);

        let index = match self.segment {
            Some((current, index)) if current == msn => index,
            _ if self.opens_segment(&unit, start) => {
                self.segment = Some((msn, 0));
                0
            }
            _ => {
                self.segment = None;
                self.dropped_units += 1;
                return Ok(closed);
            }
        };
        let open = self.open.get_or_insert_with(|| OpenPart {
            msn,
            index,
            start_pts: start,
            bytes: 0,
            samples: Vec::with_capacity(24),
        });
        open.bytes += unit.data.len();
        open.samples.push(Sample {
            duration_ticks: (end - start) as u32,
            sync: unit.keyframe,
            data: unit.data,
        });

        let crosses_next =
            end + u64::from(unit.duration_ticks) - open.start_pts > self.part_ticks_max;
        let ends_segment = self.msn_at(end) != msn;
        if crosses_next || ends_segment {
            closed.extend(self.close(ends_segment));
        }
        Ok(closed)
    }

    /// Closes whatever is open as the end of its segment. The writer then goes on with the next keyframe
    /// on the grid.
    pub fn finish(&mut self) -> Option<Part> {
        let part = self.close(true);
        self.segment = None;
        part
    }

    /// Where a unit starts and ends in ticks since the run's first picture, or why it is refused.
    fn place(&self, unit: &AccessUnit) -> Result<(u64, u64), WriteError> {
        let pts_ticks = unit.pts_ticks;
        let duration = u64::from(unit.duration_ticks);
        if duration == 0 || duration > self.part_ticks_max {
            return Err(WriteError::DurationOutOfRange {
                duration_ticks: unit.duration_ticks,
                ticks_max: self.part_ticks_max,
            });
        }
        if unit.data.is_empty() || unit.data.len() > UNIT_BYTES_MAX {
            return Err(WriteError::SizeOutOfRange {
                bytes: unit.data.len(),
            });
        }
        // Room for the origin and for the sums below.
        let room = u64::MAX / 2;
        if pts_ticks > room || self.origin.start_ticks > room {
            return Err(WriteError::TimestampBeyondTimeline { pts_ticks });
        }
        let end = pts_ticks + duration;
        match self.end_pts {
            Some(expected)
                if pts_ticks.abs_diff(expected) <= duration / 2
                    && end - expected <= self.part_ticks_max =>
            {
                Ok((expected, end))
            }
            Some(expected) if pts_ticks < expected => Err(WriteError::TimestampWentBackwards {
                pts_ticks,
                expected_ticks: expected,
            }),
            _ => Ok((pts_ticks, end)),
        }
    }

    fn msn_at(&self, pts_ticks: u64) -> u64 {
        self.origin.msn + (pts_ticks + self.slack_ticks) / self.grid_ticks
    }

    /// A picture opens a segment only as the first one after the grid. Sound may come up to a part late:
    /// a microphone starts after the camera, and every frame of it decodes alone.
    fn opens_segment(&self, unit: &AccessUnit, start: u64) -> bool {
        let into_segment = (start + self.slack_ticks) % self.grid_ticks;
        let late_max = if self.is_video {
            u64::from(unit.duration_ticks)
        } else {
            self.part_ticks_max
        };
        unit.keyframe && into_segment < late_max + self.slack_ticks
    }

    fn close(&mut self, last: bool) -> Option<Part> {
        let open = self.open.take()?;
        self.sequence = self.sequence.wrapping_add(1);
        self.segment = (!last).then_some((open.msn, open.index + 1));
        let start_ticks = self.origin.start_ticks + open.start_pts;
        let duration_ticks = open.samples.iter().map(|s| s.duration_ticks).sum();
        Some(Part {
            msn: open.msn,
            index: open.index,
            start_ticks,
            duration_ticks,
            independent: open.index == 0 && open.samples[0].sync,
            last,
            bytes: write_fragment(
                self.sequence,
                start_ticks,
                &open.samples,
                !self.is_video,
                &mut self.scratch,
            ),
        })
    }
}
