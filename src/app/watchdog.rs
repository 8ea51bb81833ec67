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
        let interval = manager.watchdog_interval();
        let mut progress = Progress::new(Instant::now());
        let mut fed = None::<Instant>;
        while !token.is_cancelled() {
            let now = Instant::now();
            let advances = progress.observe(fleet.progress(), fleet.expects_progress(), now);
            fleet.set_advances(advances);
            if let Some(interval) = interval
                && advances
                && fed.is_none_or(|fed| now.duration_since(fed) >= interval / 2)
            {
                manager.feed_watchdog();
                fed = Some(now);
            }
            std::thread::sleep(TICK);
        }
    });
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
}
