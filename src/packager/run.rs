//! One run of an encoder on its camera's timeline: where it starts, and the civil time of each of its segments.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{Clock, Monotonic, Wall};
use crate::cmaf::TrackOrigin;
use crate::media::SEGMENT_DURATION_MS;

/// Labels kept: renditions are never further apart than this many segments.
const LABELS_MAX: usize = 16;

/// A wall clock that moves by more than this between two segments was set, not slewed.
const JUMP_MS: i64 = 500;

/// A run of one camera.
#[derive(Debug)]
pub(super) struct Run {
    number: u64,
    origin_msn: u64,
    first_picture_at: Monotonic,
    timeline_zero: Monotonic,
    labels: VecDeque<(u64, Wall)>,
}

impl Run {
    /// A run whose first picture was captured at `first_picture_at` and opens segment `origin_msn`.
    /// The camera's timeline goes on from `earlier`, so that decode times never go back within a process.
    pub(super) fn new(
        number: u64,
        origin_msn: u64,
        first_picture_at: Monotonic,
        earlier: Option<&Self>,
    ) -> Self {
        let timeline_zero = earlier.map_or(first_picture_at, |run| run.timeline_zero);
        Self {
            number,
            origin_msn,
            first_picture_at,
            timeline_zero,
            labels: VecDeque::new(),
        }
    }

    /// The run's number, unique for the camera.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where a track of `timescale` ticks a second begins.
    pub(super) fn origin(&self, timescale: u32) -> TrackOrigin {
        let since_zero = self.first_picture_at.since(self.timeline_zero).as_nanos();
        let start_ticks = since_zero * u128::from(timescale) / 1_000_000_000;
        TrackOrigin {
            msn: self.origin_msn,
            start_ticks: start_ticks as u64,
        }
    }

    /// Civil time of the first picture of segment `msn`. Read from the clock once for all renditions, so that each
    /// gives the same; a clock that was set in between shows from the next segment on.
    pub(super) fn label(&mut self, msn: u64, clock: &dyn Clock) -> Wall {
        if let Some((_, wall)) = self.labels.iter().find(|(labelled, _)| *labelled == msn) {
            return *wall;
        }
        let offset_ms = msn.saturating_sub(self.origin_msn) * u64::from(SEGMENT_DURATION_MS);
        let wall = clock.wall_at(
            self.first_picture_at
                .after(Duration::from_millis(offset_ms)),
        );
        if let Some((before, label)) = self.labels.back() {
            let expected =
                label.plus_ms((msn as i64 - *before as i64) * i64::from(SEGMENT_DURATION_MS));
            if (wall - expected).abs() > JUMP_MS {
                tracing::warn!(%expected, found = %wall, msn, "the wall clock was set; labels follow it from here");
            }
        }
        if self.labels.len() == LABELS_MAX {
            self.labels.pop_front();
        }
        self.labels.push_back((msn, wall));
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimulatedClock;

    #[test]
    fn decode_times_go_on_over_runs() {
        let first = Run::new(0, 0, Monotonic(5_000_000_000), None);
        assert_eq!(
            first.origin(90_000),
            TrackOrigin {
                msn: 0,
                start_ticks: 0
            }
        );
        let second = Run::new(1, 4, Monotonic(14_500_000_000), Some(&first));
        assert_eq!(
            second.origin(90_000),
            TrackOrigin {
                msn: 4,
                start_ticks: 855_000
            }
        );
        assert_eq!(second.origin(48_000).start_ticks, 456_000);
    }

    #[test]
    fn every_rendition_gets_the_same_label_even_if_the_clock_is_set_in_between() {
        let clock = SimulatedClock::new(Wall(1_000_000));
        let mut run = Run::new(0, 7, Monotonic(0), None);
        assert_eq!(run.label(8, &clock), Wall(1_002_000));
        clock.set_wall(Wall(9_000_000));
        assert_eq!(run.label(8, &clock), Wall(1_002_000));
        assert_eq!(run.label(9, &clock), Wall(9_004_000));
    }
}
