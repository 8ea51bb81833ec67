//! The one door through which a run's events leave, so that nothing follows its `RunEnded`.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::options::Culprit;
use crate::base::{Clock, Monotonic};
use crate::media::{Fault, RunFailure, StreamEvent};

/// Where a run's events go. Called on the pipeline's threads, one call at a time; it must not block for
/// long and must not call the encoder.
pub type EventSink = Arc<dyn Fn(StreamEvent) + Send + Sync>;

/// The door, and what both sides must know about the run.
pub(super) struct Outlet {
    sink: EventSink,
    state: Mutex<State>,
    changed: Condvar,
    zero: OnceLock<Monotonic>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    drained: bool,
    ended: bool,
    failure: Option<String>,
    culprit: Option<Culprit>,
}

impl Outlet {
    pub(super) fn new(sink: EventSink, clock: Arc<dyn Clock>) -> Self {
        Self {
            sink,
            state: Mutex::default(),
            changed: Condvar::new(),
            zero: OnceLock::new(),
            clock,
        }
    }

    /// Passes an event on, unless the run has ended.
    pub(super) fn emit(&self, event: StreamEvent) {
        let state = self.lock();
        if !state.ended {
            (self.sink)(event);
        }
    }

    /// Says when the first picture was captured, once. Sound, which waits for that on threads of its own, learns it
    /// only after the sink: a track that started before its run would be dropped.
    pub(super) fn begin(&self, first_picture_at: Monotonic) {
        if self.zero.get().is_some() {
            return;
        }
        let state = self.lock();
        if self.zero.get().is_none() {
            if !state.ended {
                (self.sink)(StreamEvent::RunStarted { first_picture_at });
            }
            // It is empty: only this function fills it, under the lock.
            let _ = self.zero.set(first_picture_at);
            self.changed.notify_all();
        }
    }

    /// When the first picture was captured; `None` before.
    pub(super) fn zero(&self) -> Option<Monotonic> {
        self.zero.get().copied()
    }

    /// Waits for the first picture. `None` once `given_up` holds; looked at a few times a second.
    pub(super) fn wait_zero(&self, given_up: impl Fn() -> bool) -> Option<Monotonic> {
        let mut state = self.lock();
        loop {
            if let Some(zero) = self.zero() {
                return Some(zero);
            }
            if given_up() || state.ended {
                return None;
            }
            state = self
                .changed
                .wait_timeout(state, Duration::from_millis(100))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Now, on the clock that stamps pictures.
    pub(super) fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    /// Every sink of the pipeline has seen its end.
    pub(super) fn drained(&self) {
        self.lock().drained = true;
        self.changed.notify_all();
    }

    /// Waits until the pipeline is drained or has failed; false if that took longer than `limit`.
    pub(super) fn wait_drained(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !state.drained && !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Ends the run in peace, unless it has ended already.
    pub(super) fn end(&self) {
        self.finish(None, None);
    }

    /// Ends the run with a failure and whom to blame for it, unless it has ended already.
    pub(super) fn fail(&self, reason: String, culprit: Option<Culprit>) {
        self.finish(Some(reason), culprit);
    }

    /// Says the run's last word. Only the first call counts.
    fn finish(&self, failure: Option<String>, culprit: Option<Culprit>) {
        let mut state = self.lock();
        if !state.ended {
            state.ended = true;
            state.failure.clone_from(&failure);
            let fault = culprit.as_ref().map_or(Fault::Encoder, Culprit::fault);
            state.culprit = culprit;
            let failure = failure.map(|reason| RunFailure { fault, reason });
            (self.sink)(StreamEvent::RunEnded { failure });
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Why the run failed, if it did, and whom to blame.
    pub(super) fn failure(&self) -> (Option<String>, Option<Culprit>) {
        let state = self.lock();
        (state.failure.clone(), state.culprit.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::base::SystemClock;

    #[test]
    fn sound_learns_of_the_first_picture_after_the_sink_did() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let outlet = Arc::new_cyclic(|outlet: &Weak<Outlet>| {
            let outlet = Weak::clone(outlet);
            let hear = move |event| {
                let known = outlet.upgrade().and_then(|outlet| outlet.zero());
                let entry = (matches!(event, StreamEvent::RunStarted { .. }), known);
                sink.lock().expect("no test panics here").push(entry);
            };
            Outlet::new(Arc::new(hear), Arc::new(SystemClock))
        });
        outlet.begin(Monotonic(7));
        outlet.begin(Monotonic(8));
        assert_eq!(outlet.zero(), Some(Monotonic(7)));
        assert_eq!(outlet.wait_zero(|| false), Some(Monotonic(7)));
        assert_eq!(*said.lock().expect("unpoisoned"), [(true, None)]);
    }

    #[test]
    fn a_run_that_has_ended_starts_no_more() {
        let count = Arc::new(Mutex::new(0));
        let heard = Arc::clone(&count);
        let sink: EventSink = Arc::new(move |_| *heard.lock().expect("no test panics here") += 1);
        let outlet = Outlet::new(sink, Arc::new(SystemClock));
        outlet.end();
        outlet.begin(Monotonic(7));
        assert_eq!(*count.lock().expect("unpoisoned"), 1);
    }

    /// Whom the event of a run that ended because of `culprit` blames.
    fn check_fault(culprit: Option<Culprit>, fault: Fault) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let sink: EventSink =
            Arc::new(move |event| heard.lock().expect("no test panics here").push(event));
        Outlet::new(sink, Arc::new(SystemClock)).fail("it broke".to_owned(), culprit);
        let said = said.lock().expect("unpoisoned");
        let [StreamEvent::RunEnded { failure }] = &said[..] else {
            panic!("{said:?}");
        };
        let reason = "it broke".to_owned();
        assert_eq!(*failure, Some(RunFailure { fault, reason }));
    }

    #[test]
    fn a_camera_that_fails_or_drifts_is_no_failure_of_the_encoder() {
        check_fault(Some(Culprit::Camera), Fault::Source);
        check_fault(Some(Culprit::Drift), Fault::Source);
        check_fault(Some(Culprit::OwnH264), Fault::Source);
        let factory = "v4l2h264enc".to_owned();
        check_fault(Some(Culprit::Encoder { factory }), Fault::Encoder);
        check_fault(None, Fault::Encoder);
    }
}
