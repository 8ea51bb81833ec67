//! Whether a run without sound is to start again with it: the microphone's driver may have come after the camera's, and
//! another program may have let go of it. Knows no microphone; its supervisor looks for it.

use std::time::{Duration, Instant};

/// How often a microphone that a run lacks is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Watches one run.
#[derive(Debug)]
pub(super) struct SoundWatch {
    next_look: Instant,
}

impl SoundWatch {
    /// A run that begins `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next_look: now + LOOK_INTERVAL,
        }
    }

    /// Whether the run, which `has_sound` or not, is to end `now` for one with sound. `is_ready` looks for the
    /// microphone.
    pub(super) fn observe(
        &mut self,
        has_sound: bool,
        now: Instant,
        is_ready: impl FnOnce() -> bool,
    ) -> bool {
        if has_sound || now < self.next_look {
            return false;
        }
        self.next_look = now + LOOK_INTERVAL;
        is_ready()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which seconds of five minutes, looked at each quarter of one, a run would start again whose microphone is
    /// there from `ready_at` on.
    fn check(has_sound: bool, ready_at: u64, expected: &[u64]) {
        let start = Instant::now();
        let mut watch = SoundWatch::new(start);
        let mut restarts = Vec::new();
        for quarter in 1..1_200u64 {
            let now = start + Duration::from_millis(250 * quarter);
            if watch.observe(has_sound, now, || quarter / 4 >= ready_at) {
                restarts.push(quarter / 4);
            }
        }
        assert_eq!(restarts, expected);
    }

    #[test]
    fn a_run_without_sound_looks_for_its_microphone_each_minute() {
        check(false, 0, &[60, 120, 180, 240]);
        check(false, 130, &[180, 240]);
        check(false, 1_000, &[]);
    }

    #[test]
    fn a_run_with_sound_looks_for_none() {
        check(true, 0, &[]);
    }
}
