//! Which rungs of one camera run. The recorded rungs always do; of the others the costliest is shed first
//! when the encoders fall behind, and the cheapest comes back first when there is room again.

use std::time::Duration;

use crate::base::Monotonic;
use crate::media::{Rung, RungSpec};

/// An encoder whose median picture is this late is falling behind: its queue is full all the time.
const LATE: Duration = Duration::from_millis(250);
/// An encoder under this is keeping up.
const PUNCTUAL: Duration = Duration::from_millis(150);
/// A queue this full loses frames soon.
const QUEUE_FULL: f32 = 0.75;
/// The processors must be idler than this before a rung is tried again.
const BUSY_MAX: f32 = 0.75;
/// After a change the queues need this long to show its effect.
const SETTLE: Duration = Duration::from_millis(1500);
/// How long things must be bad before anything is shed. The queues hold 0.23 s of pictures: who lacks up to a third of
/// the time that the ladder needs loses none until then, and a hiccup shorter than this takes no quality away.
const BAD_MAX: Duration = Duration::from_millis(500);
/// How long all must be well before the first rung comes back.
const CALM_FIRST: Duration = Duration::from_secs(5);
/// The same after rungs came back in vain again and again.
const CALM_MAX: Duration = Duration::from_secs(600);
/// A rung that is shed again this soon came back in vain.
const VAIN: Duration = Duration::from_secs(60);

/// What was seen of one rung since the last sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RungLoad {
    /// Which one.
    pub rung: Rung,
    /// Median time from a picture's capture to its access unit.
    pub lateness: Duration,
}

/// What was seen of one camera since the last sample; taken several times within half a second.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSample {
    /// Raw pictures that the encoders could not take in time.
    pub frames_dropped: u64,
    /// Raw pictures that the driver never delivered, maybe because the encoders held all its memory.
    pub frames_lost: u64,
    /// Fill of the queue of raw pictures, 0 to 1.
    pub queue_fill: f32,
    /// Share of all processors in use, 0 to 1.
    pub cpu_busy: f32,
    /// The running rungs.
    pub rungs: Vec<RungLoad>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedDecision {
    /// Stop this rung.
    Shed(Rung),
    /// Start this rung again.
    Restore(Rung),
}

/// Plans for one camera.
#[derive(Debug)]
pub struct ShedPlanner {
    /// The rungs that may be shed, costliest first.
    sheddable: Vec<Rung>,
    /// How many of `sheddable`, from the front, are shed.
    shed_count: usize,
    bad_since: Option<Monotonic>,
    calm_since: Option<Monotonic>,
    calm_needed: Duration,
    changed_at: Option<Monotonic>,
    /// When a rung came back, if none was shed since.
    restored_at: Option<Monotonic>,
}

impl ShedPlanner {
    /// Plans for a camera's ladder of which `kept` must run whatever comes.
    pub fn new(ladder: &[RungSpec], kept: &[Rung]) -> Self {
        let mut sheddable: Vec<_> = ladder
            .iter()
            .filter(|spec| !kept.contains(&spec.rung))
            .collect();
        // One rung must be left to look at where nothing is recorded: the cheapest.
        sheddable.sort_by_key(|spec| std::cmp::Reverse(spec.width * spec.height));
        if sheddable.len() == ladder.len() {
            sheddable.pop();
        }
        Self {
            sheddable: sheddable.iter().map(|spec| spec.rung).collect(),
            shed_count: 0,
            bad_since: None,
            calm_since: None,
            calm_needed: CALM_FIRST,
            changed_at: None,
            restored_at: None,
        }
    }

    /// Takes a sample and says what to change, one rung at a time.
    pub fn observe(&mut self, sample: &LoadSample, now: Monotonic) -> Option<ShedDecision> {
        // Encoders that have just started are late at first.
        let changed_at = *self.changed_at.get_or_insert(now);
        if now.since(changed_at) < SETTLE {
            return None;
        }
        if sample.frames_dropped > 0 || Self::is_behind(sample) {
            return self.observe_bad(now);
        }
        self.bad_since = None;
        self.observe_good(sample, now)
    }

    fn is_behind(sample: &LoadSample) -> bool {
        let is_later_than = |limit| sample.rungs.iter().any(|rung| rung.lateness > limit);
        // A driver that loses pictures while all encoders are punctual has reasons of its own.
        sample.queue_fill >= QUEUE_FULL
            || is_later_than(LATE)
            || (sample.frames_lost > 0 && is_later_than(PUNCTUAL))
    }

    fn observe_bad(&mut self, now: Monotonic) -> Option<ShedDecision> {
        self.calm_since = None;
        let since = *self.bad_since.get_or_insert(now);
        if now.since(since) < BAD_MAX {
            return None;
        }
        let rung = *self.sheddable.get(self.shed_count)?;
        if let Some(at) = self.restored_at.take() {
            self.calm_needed = if now.since(at) < VAIN {
                (self.calm_needed * 2).min(CALM_MAX)
            } else {
                CALM_FIRST
            };
        }
        self.shed_count += 1;
        self.change(now);
        Some(ShedDecision::Shed(rung))
    }

    fn observe_good(&mut self, sample: &LoadSample, now: Monotonic) -> Option<ShedDecision> {
        let punctual = sample.rungs.iter().all(|rung| rung.lateness < PUNCTUAL);
        if self.shed_count == 0 || !punctual || sample.cpu_busy > BUSY_MAX {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.since(since) < self.calm_needed {
            return None;
        }
        self.shed_count -= 1;
        self.restored_at = Some(now);
        self.change(now);
        Some(ShedDecision::Restore(self.sheddable[self.shed_count]))
    }

    fn change(&mut self, now: Monotonic) {
        self.changed_at = Some(now);
        self.bad_since = None;
        self.calm_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::LADDER;

    fn sample(late_ms: u64, dropped: u64, busy: f32) -> LoadSample {
        let rungs = vec![RungLoad {
            rung: Rung::High,
            lateness: Duration::from_millis(late_ms),
        }];
        LoadSample {
            frames_dropped: dropped,
            frames_lost: 0,
            queue_fill: 0.0,
            cpu_busy: busy,
            rungs,
        }
    }

    /// Feeds samples a quarter of a second apart and returns what was decided, with the millisecond.
    fn run(
        planner: &mut ShedPlanner,
        from_ms: u64,
        samples: &[LoadSample],
    ) -> Vec<(u64, ShedDecision)> {
        let mut decisions = Vec::new();
        for (i, sample) in samples.iter().enumerate() {
            let ms = from_ms + 250 * i as u64;
            let now = Monotonic(ms * 1_000_000);
            decisions.extend(planner.observe(sample, now).map(|decision| (ms, decision)));
        }
        decisions
    }

    #[test]
    fn a_machine_that_keeps_up_sheds_nothing() {
        let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
        assert_eq!(run(&mut planner, 0, &vec![sample(60, 0, 0.95); 400]), []);
    }

    #[test]
    fn less_than_half_a_bad_second_is_no_overload() {
        let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
        run(&mut planner, 0, &vec![sample(60, 0, 0.9); 8]);
        let (bad, good) = (sample(900, 2, 1.0), sample(60, 0, 0.9));
        let samples = [&bad, &bad, &good, &bad, &bad, &good].map(Clone::clone);
        assert_eq!(run(&mut planner, 2_000, &samples), []);
    }

    #[test]
    fn a_queue_that_stays_full_sheds_before_a_picture_is_lost() {
        let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
        run(&mut planner, 0, &vec![sample(60, 0, 0.9); 8]);
        let full = LoadSample {
            queue_fill: 0.75,
            ..sample(60, 0, 1.0)
        };
        assert_eq!(
            run(&mut planner, 2_000, &vec![full; 3]),
            [(2_500, ShedDecision::Shed(Rung::Medium))]
        );
    }

    #[test]
    fn pictures_that_a_driver_loses_shed_only_where_the_encoders_are_late_too() {
        let losing = |late_ms| LoadSample {
            frames_lost: 1,
            ..sample(late_ms, 0, 1.0)
        };
        for (late_ms, expected) in [
            (100, vec![]),
            (200, vec![(2_500, ShedDecision::Shed(Rung::Medium))]),
        ] {
            let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
            run(&mut planner, 0, &vec![sample(60, 0, 0.9); 8]);
            assert_eq!(
                run(&mut planner, 2_000, &vec![losing(late_ms); 3]),
                expected
            );
        }
    }

    #[test]
    fn the_costliest_goes_first_and_the_recorded_rung_stays() {
        let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
        let decisions = run(&mut planner, 0, &vec![sample(900, 0, 1.0); 60]);
        let shed: Vec<_> = decisions.iter().map(|(_, decision)| *decision).collect();
        assert_eq!(
            shed,
            [Rung::Medium, Rung::Low, Rung::VeryLow].map(ShedDecision::Shed)
        );
    }

    /// A planner that has just shed one rung, at 2.5 s.
    fn after_one_loss() -> ShedPlanner {
        let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
        run(&mut planner, 0, &vec![sample(60, 0, 0.4); 8]);
        let shed = run(&mut planner, 2_000, &vec![sample(60, 1, 1.0); 3]);
        assert_eq!(shed, [(2_500, ShedDecision::Shed(Rung::Medium))]);
        planner
    }

    #[test]
    fn rungs_come_back_when_there_is_room_and_more_slowly_after_each_vain_try() {
        let mut planner = after_one_loss();
        // Calm begins once the change has settled.
        let back = run(&mut planner, 2_750, &vec![sample(60, 0, 0.4); 40]);
        assert_eq!(back, [(9_000, ShedDecision::Restore(Rung::Medium))]);
        // It was too much again: the next try waits twice as long.
        let shed = run(&mut planner, 13_000, &vec![sample(60, 1, 1.0); 3]);
        assert_eq!(shed, [(13_500, ShedDecision::Shed(Rung::Medium))]);
        let back = run(&mut planner, 13_750, &vec![sample(60, 0, 0.4); 60]);
        assert_eq!(back, [(25_000, ShedDecision::Restore(Rung::Medium))]);
    }

    #[test]
    fn a_rung_that_stayed_for_a_minute_comes_back_as_soon_as_the_first_time() {
        let mut planner = after_one_loss();
        let calm = |count| vec![sample(60, 0, 0.4); count];
        let back = [(9_000, ShedDecision::Restore(Rung::Medium))];
        assert_eq!(run(&mut planner, 2_750, &calm(40)), back);
        run(&mut planner, 13_000, &vec![sample(60, 1, 1.0); 3]);
        // Ten seconds this time, and then a good minute.
        let back = [(25_000, ShedDecision::Restore(Rung::Medium))];
        assert_eq!(run(&mut planner, 13_750, &calm(300)), back);
        let shed = run(&mut planner, 88_750, &vec![sample(60, 1, 1.0); 3]);
        assert_eq!(shed, [(89_250, ShedDecision::Shed(Rung::Medium))]);
        let back = run(&mut planner, 89_500, &calm(40));
        assert_eq!(back, [(95_750, ShedDecision::Restore(Rung::Medium))]);
    }

    #[test]
    fn busy_processors_bring_nothing_back() {
        let mut planner = after_one_loss();
        assert_eq!(run(&mut planner, 2_750, &vec![sample(60, 0, 0.9); 400]), []);
    }

    #[test]
    fn where_nothing_is_recorded_the_lowest_rung_stays() {
        let mut planner = ShedPlanner::new(&LADDER, &[]);
        let decisions = run(&mut planner, 0, &vec![sample(900, 0, 1.0); 60]);
        let shed: Vec<_> = decisions.iter().map(|(_, decision)| *decision).collect();
        assert_eq!(
            shed,
            [Rung::High, Rung::Medium, Rung::Low].map(ShedDecision::Shed)
        );
    }
}
