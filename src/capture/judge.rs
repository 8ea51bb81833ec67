//! Decides what a filled buffer is worth: a frame and its time, or nothing. Pure: buffers and the time in, verdicts out.

use std::time::Duration;

use v4l::v4l_sys as sys;

use super::ioctl::Dequeued;
use crate::base::Monotonic;

/// A stamp older than this is of a clock that was set or is broken, not of a slow reader.
const STAMP_AGE_MAX: Duration = Duration::from_secs(10);

/// Judges the buffers of one run, in the order of their dequeuing.
#[derive(Debug)]
pub(super) struct Judge {
    /// Bytes of a whole raw picture; 0 when compressed.
    picture_bytes: usize,
    last_sequence: Option<u32>,
    last_stamp: Option<Monotonic>,
}

/// What a buffer holds, and how many pictures were lost before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) lost: u32,
    pub(super) content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Picture {
        /// Never later than now, always later than the picture before.
        captured_at: Monotonic,
        /// Bytes that belong to the picture.
        byte_count: usize,
        /// Whether the driver's own stamp could not be used.
        restamped: bool,
    },
    Damaged,
    Empty,
}

impl Judge {
    pub(super) fn new(picture_bytes: usize) -> Self {
        Self {
            picture_bytes,
            last_sequence: None,
            last_stamp: None,
        }
    }

    pub(super) fn judge(&mut self, buffer: &Dequeued, now: Monotonic) -> Verdict {
        let lost = self.count_lost(buffer.sequence);
        let byte_count = buffer.bytes_used as usize;
        let content = if byte_count == 0 {
            Content::Empty
        } else if buffer.flags & sys::V4L2_BUF_FLAG_ERROR != 0 || byte_count < self.picture_bytes {
            Content::Damaged
        } else {
            let (captured_at, restamped) = self.stamp(buffer, now);
            Content::Picture {
                captured_at,
                byte_count: match self.picture_bytes {
                    0 => byte_count,
                    picture => picture,
                },
                restamped,
            }
        };
        Verdict { lost, content }
    }

    /// A step back is a driver that started counting anew, and says nothing of losses.
    fn count_lost(&mut self, sequence: u32) -> u32 {
        let step = match self.last_sequence.replace(sequence) {
            Some(last) => sequence.wrapping_sub(last),
            None => 1,
        };
        if (1..=u32::MAX / 2).contains(&step) {
            step - 1
        } else {
            0
        }
    }

    fn stamp(&mut self, buffer: &Dequeued, now: Monotonic) -> (Monotonic, bool) {
        let clock = buffer.flags & sys::V4L2_BUF_FLAG_TIMESTAMP_MASK;
        let driver = Monotonic(buffer.timestamp_ns);
        let is_usable =
            clock == sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC && now.since(driver) <= STAMP_AGE_MAX;
        // A driver that stamps the end of the exposure in advance is a few ms ahead: not a fault worth counting.
        let wished = if is_usable { driver.min(now) } else { now };
        let stamp = match self.last_stamp {
            Some(last) if wished <= last => last.after(Duration::from_nanos(1)),
            _ => wished,
        };
        self.last_stamp = Some(stamp);
        (stamp, !is_usable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Monotonic = Monotonic(100_000_000_000);
    const MONOTONIC: u32 = sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;

    fn buffer(sequence: u32, bytes_used: u32, flags: u32, age_ms: i64) -> Dequeued {
        Dequeued {
            index: 0,
            bytes_used,
            flags,
            sequence,
            timestamp_ns: (NOW.0 as i64 - age_ms * 1_000_000) as u64,
        }
    }

    fn check_lost(sequences: &[u32], expected: &[u32]) {
        let mut judge = Judge::new(0);
        let lost: Vec<_> = sequences
            .iter()
            .map(|&sequence| judge.judge(&buffer(sequence, 1, MONOTONIC, 0), NOW).lost)
            .collect();
        assert_eq!(lost, expected, "{sequences:?}");
    }

    #[test]
    fn steps_of_the_sequence_over_one_are_lost_pictures() {
        check_lost(&[0, 1, 2], &[0, 0, 0]);
        check_lost(&[7, 8, 11, 12], &[0, 0, 2, 0]);
        check_lost(&[u32::MAX - 1, u32::MAX, 0, 2], &[0, 0, 0, 1]);
        check_lost(&[100, 0, 1, 3], &[0, 0, 0, 1]);
        check_lost(&[5, 5, 6], &[0, 0, 0]);
    }

    #[test]
    fn damaged_and_empty_buffers_are_no_pictures_but_were_not_lost() {
        let mut judge = Judge::new(10);
        let mut content = |sequence, bytes, flags| {
            let verdict = judge.judge(&buffer(sequence, bytes, flags, 0), NOW);
            assert_eq!(verdict.lost, 0);
            verdict.content
        };
        let is_picture = |content| matches!(content, Content::Picture { byte_count: 10, .. });
        assert!(is_picture(content(0, 10, MONOTONIC)));
        assert_eq!(
            content(1, 10, MONOTONIC | sys::V4L2_BUF_FLAG_ERROR),
            Content::Damaged
        );
        assert_eq!(content(2, 9, MONOTONIC), Content::Damaged);
        assert_eq!(content(3, 0, MONOTONIC), Content::Empty);
        assert!(is_picture(content(4, 12, MONOTONIC)));
    }

    fn check_stamp(flags: u32, age_ms: i64, expected_age_ms: u64, restamped: bool) {
        let mut judge = Judge::new(0);
        let verdict = judge.judge(&buffer(0, 1, flags, age_ms), NOW);
        assert_eq!(
            verdict.content,
            Content::Picture {
                captured_at: Monotonic(NOW.0 - expected_age_ms * 1_000_000),
                byte_count: 1,
                restamped
            },
            "{age_ms} ms"
        );
    }

    #[test]
    fn stamps_of_the_monotonic_clock_are_kept_and_others_replaced() {
        check_stamp(MONOTONIC, 40, 40, false);
        check_stamp(MONOTONIC, -20, 0, false);
        check_stamp(MONOTONIC, 60_000, 0, true);
        check_stamp(sys::V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN, 40, 0, true);
        check_stamp(sys::V4L2_BUF_FLAG_TIMESTAMP_COPY, 40, 0, true);
    }

    #[test]
    fn stamps_always_grow() {
        let mut judge = Judge::new(0);
        let stamps: Vec<_> = [50, 50, 60, 10, -5, -9]
            .into_iter()
            .map(
                |age| match judge.judge(&buffer(0, 1, MONOTONIC, age), NOW).content {
                    Content::Picture { captured_at, .. } => captured_at,
                    other => panic!("{other:?}"),
                },
            )
            .collect();
        assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    }
}
