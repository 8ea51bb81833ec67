//! Makes an unsteady source steady: gives each picture that arrives its place on a constant grid, says which
//! ones are too many and how often one must be shown again. Pure arithmetic; zero is the first picture.

use crate::base::Monotonic;
use crate::media::{FrameRate, SEGMENT_DURATION_MS, TrackParameters};

/// A picture may lie this far (in periods) from its place before one is left out or repeated. Above a half,
/// or a source whose phase has drifted to a half would flap between leaving out and repeating.
const SLACK_PERIODS: f64 = 0.75;
/// A gap is filled with repetitions up to this long; a longer one stays a gap.
const FILL_MAX_SECONDS: f64 = 1.0;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It comes too soon after the one before: leave it out.
    LeaveOut,
    /// Show the picture before it again at each place from `repeat_from` up to `slot`, then it at `slot`.
    Show {
        /// First place to be filled with the picture before; equals `slot` when there is none to fill.
        repeat_from: u64,
        /// Its own place.
        slot: u64,
    },
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
        let fill_max = (self.grid.rate.as_f64() * FILL_MAX_SECONDS) as u64;
        let repeat_from = if slot - expected > fill_max {
            slot
        } else {
            expected
        };
        self.next_slot = slot + 1;
        Placement::Show { repeat_from, slot }
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
                Placement::Show { repeat_from, slot } => Some((repeat_from, slot)),
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

    #[test]
    fn a_long_gap_stays_a_gap() {
        check(
            FrameRate::whole(30),
            &[0, 5_000 * MS],
            &[Some((0, 0)), Some((150, 150))],
        );
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
                Placement::Show { repeat_from, slot } => repeated += slot - repeat_from,
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
