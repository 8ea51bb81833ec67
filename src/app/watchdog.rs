//! Feeds the service manager's watchdog only while frames advance, and says in `/healthz` whether they do, so that an
//! appliance that serves nothing but old pictures is started again. A camera that is unplugged is no reason: then there
//! is nothing to advance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fleet::{Fleet, PROGRESS_PATIENCE};
use super::thread::Lifeline;
use crate::board::ServiceManager;

/// How long the first pictures may take: GStreamer reads all its plugins at the very first start, and then encoders are
/// tried, 5 s each. A small board that is stopped in the midst of that begins anew for ever.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(500);

/// Starts the thread that looks and feeds. It ends within [`TICK`] of the appliance's stop.
pub(super) fn spawn(manager: ServiceManager, lifeline: &Lifeline, fleet: &Arc<Fleet>) {
    let (fleet, token) = (Arc::clone(fleet), lifeline.token().clone());
    lifeline.spawn("watchdog", move || {
        let mut feeder = Feeder::new(manager.watchdog_interval(), Instant::now());
        while !token.is_cancelled() {
            let (count, expected) = (fleet.progress(), fleet.expects_progress());
            let feed = || manager.feed_watchdog();
            fleet.set_advances(feeder.look(count, expected, Instant::now(), feed));
            std::thread::sleep(TICK);
        }
    });
}

/// Decides when the watchdog is fed.
struct Feeder {
    progress: Progress,
    /// How often the watchdog wants to be fed at least; `None` if there is none.
    interval: Option<Duration>,
    fed: Option<Instant>,
}

impl Feeder {
    fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self {
            progress: Progress::new(now),
            interval,
            fed: None,
        }
    }

    /// Takes what [`Progress::observe`] takes; calls `feed` if frames advance and it is time to. Returns whether they
    /// advance.
    fn look(&mut self, count: u64, expected: bool, now: Instant, feed: impl FnOnce()) -> bool {
        let advances = self.progress.observe(count, expected, now);
        if let Some(interval) = self.interval
            && advances
            && self
                .fed
                .is_none_or(|fed| now.duration_since(fed) >= interval / 2)
        {
            feed();
            self.fed = Some(now);
        }
        advances
    }
}

/// Whether frames advance.
struct Progress {
    count: u64,
    advanced_at: Instant,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self {
            count: 0,
            advanced_at: now,
        }
    }

    /// True while the count grew within the last [`PROGRESS_PATIENCE`], at the start [`START_PATIENCE`], or need not
    /// grow.
    fn observe(&mut self, count: u64, expected: bool, now: Instant) -> bool {
        if count != self.count || !expected {
            self.count = count;
            self.advanced_at = now;
        }
        let patience = if self.count == 0 {
            START_PATIENCE
        } else {
            PROGRESS_PATIENCE
        };
        now.duration_since(self.advanced_at) < patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_stand_still_leave_the_watchdog_hungry() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut progress = Progress::new(start);
        assert!(progress.observe(0, true, at(89)), "the start takes longer");
        assert!(!progress.observe(0, true, at(90)));
        let mut progress = Progress::new(start);
        assert!(progress.observe(1, true, at(5)));
        assert!(progress.observe(1, true, at(14)));
        assert!(!progress.observe(1, true, at(15)));
        assert!(progress.observe(2, true, at(16)));
        assert!(
            progress.observe(2, false, at(100)),
            "an unplugged camera need not advance"
        );
    }

    #[test]
    fn a_watchdog_is_fed_while_frames_advance_and_only_then() {
        let start = Instant::now();
        let mut feeder = Feeder::new(Some(Duration::from_secs(4)), start);
        let mut fed_at = Vec::new();
        for tick in 0..120_u32 {
            // They stand still from the 20th second to the 40th.
            let stands_still = (40..80).contains(&tick);
            let count = if stands_still { 40 } else { tick + 1 };
            let now = start + TICK * tick;
            feeder.look(count.into(), true, now, || fed_at.push(tick / 2));
        }
        // Ten seconds of patience, then hunger.
        let expected: Vec<u32> = (0..30).chain(40..60).step_by(2).collect();
        assert_eq!(fed_at, expected);
    }

    #[test]
    fn where_there_is_no_watchdog_progress_is_told_all_the_same() {
        let start = Instant::now();
        let mut feeder = Feeder::new(None, start);
        let mut fed = false;
        assert!(feeder.look(1, true, start, || fed = true));
        assert!(!feeder.look(1, true, start + PROGRESS_PATIENCE, || fed = true));
        assert!(!fed);
    }
}
