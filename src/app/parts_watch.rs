//! Whether a run delivers: looks at how many parts of pictures the camera has published, the one count that only
//! grows when source, encoder and packager all work.

use std::time::{Duration, Instant};

/// What a run has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Nothing yet, and not for too long.
    Awaited,
    /// Parts of this run were published; none is overdue.
    Flows,
    /// No part for longer than is bearable.
    Silent,
}

/// Watches one run.
#[derive(Debug)]
pub(super) struct PartsWatch {
    first: u64,
    count: u64,
    grew_at: Instant,
    patience: Duration,
}

impl PartsWatch {
    /// A run that begins `now` with `count` parts published by the runs before it.
    pub(super) fn new(count: u64, now: Instant, patience: Duration) -> Self {
        Self {
            first: count,
            count,
            grew_at: now,
            patience,
        }
    }

    /// Takes the count as it is `now`.
    pub(super) fn observe(&mut self, count: u64, now: Instant) -> Flow {
        if count != self.count {
            self.count = count;
            self.grew_at = now;
        }
        if now.duration_since(self.grew_at) >= self.patience {
            Flow::Silent
        } else if self.count == self.first {
            Flow::Awaited
        } else {
            Flow::Flows
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &[(u64, u64)], expected: Flow) {
        let start = Instant::now();
        let mut watch = PartsWatch::new(7, start, Duration::from_secs(8));
        let flows = counts
            .iter()
            .map(|&(s, count)| watch.observe(count, start + Duration::from_secs(s)));
        assert_eq!(flows.last(), Some(expected), "{counts:?}");
    }

    #[test]
    fn a_run_that_never_delivers_is_silent_in_the_end() {
        check(&[(1, 7), (7, 7)], Flow::Awaited);
        check(&[(1, 7), (8, 7)], Flow::Silent);
    }

    #[test]
    fn an_encoder_that_hangs_after_it_delivered_is_noticed() {
        check(&[(1, 8)], Flow::Flows);
        check(&[(1, 8), (5, 9), (12, 9)], Flow::Flows);
        check(&[(1, 8), (5, 9), (13, 9)], Flow::Silent);
    }

    #[test]
    fn parts_of_an_earlier_run_are_no_life_sign() {
        check(&[(0, 7)], Flow::Awaited);
    }
}
