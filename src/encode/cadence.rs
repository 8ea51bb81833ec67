//! Makes an unsteady source steady: gives each picture that arrives its place on a constant grid, says which
//! ones are too many and how often one must be shown again. Pure arithmetic; zero is the first picture.

use crate::base::Monotonic;
use crate::media::{FrameRate, PART_TARGET_MS, SEGMENT_DURATION_MS, TrackParameters};

/// A picture may lie this far (in periods) from its place before one is left out or repeated. Above a half,
/// or a source whose phase has drifted to a half would flap between leaving out and repeating.
const SLACK_PERIODS: f64 = 0.75;
/// A gap up to this long is filled at every place.
const FILL_MAX_SECONDS: f64 = 1.0;
/// A longer one, up to this, is filled once a part: what is encoded late must not hold up what is captured now.
/// In a still longer one only the segment in which it ends is filled, for it has to begin on the grid.
const FREEZE_MAX_SECONDS: f64 = 3.0;

/// The grid of pictures of one run: converts between its places, ticks and nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    rate: FrameRate,
}

impl Grid {
    pub(super) fn new(rate: FrameRate) -> Self {
        Self { rate }
    }

    /// Presentation time of place `slot` in 90 kHz ticks.
    pub(super) fn ticks(self, slot: u64) -> u64 {
        self.scale(slot, u64::from(TrackParameters::VIDEO_TIMESCALE))
    }

    /// Presentation time of place `slot` in nanoseconds.
    pub(super) fn nanoseconds(self, slot: u64) -> u64 {
        self.scale(slot, 1_000_000_000)
    }

    /// The place nearest to `ns` nanoseconds after the first picture.
    pub(super) fn slot_at(self, ns: u64) -> u64 {
        let period = u128::from(self.rate.denominator) * 1_000_000_000;
        ((u128::from(ns) * u128::from(self.rate.numerator) + period / 2) / period) as u64
    }

    /// Number of the 2 s segment that place `slot` falls into.
    pub(super) fn segment(self, slot: u64) -> u64 {
        let segment_ticks = TrackParameters::VIDEO_TIMESCALE / 1_000 * SEGMENT_DURATION_MS;
        self.ticks(slot) / u64::from(segment_ticks)
    }

    /// Whether place `slot` is the first of a segment.
    pub(super) fn opens_segment(self, slot: u64) -> bool {
        slot == 0 || self.segment(slot) != self.segment(slot - 1)
    }

    /// How many whole places fit into a part, at least one.
    pub(super) fn places_in_part(self) -> u64 {
        ((self.rate.as_f64() * f64::from(PART_TARGET_MS) * 1e-3) as u64).max(1)
    }

    /// How many places `ns` nanoseconds are, from one up to a part's.
    pub(super) fn places_in(self, ns: u64) -> u64 {
        self.slot_at(ns).clamp(1, self.places_in_part())
    }

    /// The first place of the segment that place `slot` falls into.
    fn segment_start(self, slot: u64) -> u64 {
        let segment_ms = u128::from(self.segment(slot)) * u128::from(SEGMENT_DURATION_MS);
        let period_ms = u128::from(self.rate.denominator) * 1_000;
        (segment_ms * u128::from(self.rate.numerator)).div_ceil(period_ms) as u64
    }

    fn scale(self, slot: u64, units_per_second: u64) -> u64 {
        let numerator =
            u128::from(slot) * u128::from(self.rate.denominator) * u128::from(units_per_second);
        (numerator / u128::from(self.rate.numerator)) as u64
    }

    /// Where `ns` lies on the grid, in periods.
    fn position(self, ns: u64) -> f64 {
        ns as f64 * 1e-9 * self.rate.as_f64()
    }
}

/// What is to be done with a picture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Placement {
    /// It comes too soon after the one before: leave it out.
    LeaveOut,
    /// Show the picture before it again where it is missing, then it at `slot`.
    Show {
        /// Where the picture before is to be shown again.
        repeats: Repeats,
        /// Its own place.
        slot: u64,
    },
}

/// The places from `next` up to `end`, at most `step` apart and one at each beginning of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    grid: Grid,
    next: u64,
    end: u64,
    step: u64,
}

impl Iterator for Repeats {
    /// A place, and how many from it on are covered.
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let slot = self.next;
        if slot >= self.end {
            return None;
        }
        let limit = self.end.min(slot + self.step);
        self.next = match self.grid.segment_start(limit) {
            start if start > slot => start,
            _ => limit,
        };
        Some((slot, self.next - slot))
    }
}

/// Assigns places to the pictures of one run, in order.
#[derive(Debug)]
pub(super) struct Cadence {
    grid: Grid,
    zero: Option<Monotonic>,
    next_slot: u64,
}

impl Cadence {
    pub(super) fn new(rate: FrameRate) -> Self {
        Self {
            grid: Grid::new(rate),
            zero: None,
            next_slot: 0,
        }
    }

    /// Places the picture captured at `captured_at`. The first one is always shown at 0.
    pub(super) fn place(&mut self, captured_at: Monotonic) -> Placement {
        let zero = *self.zero.get_or_insert(captured_at);
        let position = self
            .grid
            .position(captured_at.since(zero).as_nanos() as u64);
        let expected = self.next_slot;
        let off = position - expected as f64;
        if off < -SLACK_PERIODS {
            return Placement::LeaveOut;
        }
        let slot = if off > SLACK_PERIODS {
            position.round() as u64
        } else {
            expected
        };
        let repeats = self.repeats(expected, slot);
        self.next_slot = slot + 1;
        Placement::Show { repeats, slot }
    }

    fn repeats(&self, expected: u64, slot: u64) -> Repeats {
        let per_second = self.grid.rate.as_f64();
        let gap = (slot - expected) as f64;
        let (next, step) = if gap <= per_second * FILL_MAX_SECONDS {
            (expected, 1)
        } else {
            let per_part = self.grid.places_in_part();
            let from = if gap <= per_second * FREEZE_MAX_SECONDS {
                expected
            } else {
                expected.max(self.grid.segment_start(slot))
            };
            (from, per_part)
        };
        Repeats {
            grid: self.grid,
            next,
            end: slot,
            step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn check(rate: FrameRate, arrivals_ns: &[u64], expected: &[Option<(u64, u64)>]) {
        let mut cadence = Cadence::new(rate);
        for (&at, expected) in arrivals_ns.iter().zip(expected) {
            let placed = match cadence.place(Monotonic(5_000 * MS + at)) {
                Placement::LeaveOut => None,
                Placement::Show { repeats, slot } => Some((repeats.next, slot)),
            };
            assert_eq!(placed, *expected, "at {at} ns");
        }
    }

    #[test]
    fn jitter_below_the_slack_moves_nothing() {
        check(
            FrameRate::whole(25),
            &[0, 60 * MS, 70 * MS, 145 * MS, 160 * MS],
            &[
                Some((0, 0)),
                Some((1, 1)),
                Some((2, 2)),
                Some((3, 3)),
                Some((4, 4)),
            ],
        );
    }

    #[test]
    fn lost_pictures_are_filled_and_surplus_left_out() {
        check(
            FrameRate::whole(25),
            &[0, 160 * MS, 165 * MS, 200 * MS],
            &[Some((0, 0)), Some((1, 4)), None, Some((5, 5))],
        );
    }

    /// Where the picture before is shown again after a gap of `gap_ms` at 30 a second, and for how many places.
    fn shown_again(gap_ms: u64) -> Vec<(u64, u64)> {
        let mut cadence = Cadence::new(FrameRate::whole(30));
        cadence.place(Monotonic(0));
        match cadence.place(Monotonic(gap_ms * MS)) {
            Placement::Show { repeats, .. } => repeats.collect(),
            Placement::LeaveOut => panic!("late, not early"),
        }
    }

    #[test]
    fn a_pause_of_seconds_is_bridged_with_one_picture_a_part() {
        assert_eq!(shown_again(1_000).len(), 29);
        assert_eq!(
            shown_again(1_500),
            [(1, 10), (11, 10), (21, 10), (31, 10), (41, 4)]
        );
        let longest: Vec<u64> = shown_again(3_000).iter().map(|(slot, _)| *slot).collect();
        assert_eq!(longest, [1, 11, 21, 31, 41, 51, 60, 70, 80]);
    }

    #[test]
    fn after_a_longer_gap_the_segment_begins_on_the_grid() {
        assert_eq!(shown_again(5_000), [(120, 10), (130, 10), (140, 10)]);
        assert_eq!(shown_again(6_000), []);
        let ntsc = Grid::new(FrameRate {
            numerator: 30_000,
            denominator: 1_001,
        });
        for slot in 0..1_000 {
            let start = ntsc.segment_start(slot);
            assert!(ntsc.opens_segment(start) && ntsc.segment(start) == ntsc.segment(slot));
        }
    }

    #[test]
    fn a_source_that_drifts_never_flaps() {
        // 29.97 pictures a second on a grid of 30, with 5 ms of jitter: one repetition in 33 s, none left out.
        let mut cadence = Cadence::new(FrameRate::whole(30));
        let (mut left_out, mut repeated) = (0, 0);
        for n in 0..3_000u64 {
            let at = n * 1_001_000_000 / 30 + n * 7_919 % 5 * MS;
            match cadence.place(Monotonic(at)) {
                Placement::LeaveOut => left_out += 1,
                Placement::Show { repeats, .. } => repeated += repeats.count(),
            }
        }
        assert_eq!((left_out, repeated), (0, 3));
    }

    #[test]
    fn ticks_are_exact_and_segments_open_on_the_grid() {
        let grid = Grid::new(FrameRate::whole(30));
        assert_eq!((grid.ticks(1), grid.ticks(60)), (3_000, 180_000));
        let opening: Vec<u64> = (0..200).filter(|&slot| grid.opens_segment(slot)).collect();
        assert_eq!(opening, [0, 60, 120, 180]);
        let ntsc = Grid::new(FrameRate {
            numerator: 30_000,
            denominator: 1_001,
        });
        assert_eq!(ntsc.ticks(7), 7 * 3_003);
        for slot in [0, 1, 2, 59, 60, 1_000_003] {
            assert_eq!(grid.slot_at(grid.nanoseconds(slot)), slot);
            assert_eq!(ntsc.slot_at(ntsc.nanoseconds(slot)), slot);
        }
    }
}
