//! Threads that the process cannot live without: one that panics takes everything down in order. Each can be waited
//! for with a limit, since a driver may hold a thread for as long as it likes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The one token that stops the appliance, and whether a fault of ours used it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lifeline {
    token: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Lifeline {
    /// Cancelled when the appliance stops.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether a thread died.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Stops the appliance because of a fault of ours.
    pub(crate) fn fail(&self, what: &str) {
        tracing::error!(
            what,
            "cannot go on; stopping so that the service manager starts afresh"
        );
        self.failed.store(true, Ordering::SeqCst);
        self.token.cancel();
    }

    /// Starts a named thread that the appliance depends on.
    pub(crate) fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Task {
        let lifeline = self.clone();
        let name_owned = name.to_owned();
        let (running, done) = mpsc::channel();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _running: mpsc::Sender<()> = running;
                if catch_unwind(AssertUnwindSafe(body)).is_err() {
                    lifeline.fail(&format!("thread {name_owned} panicked"));
                }
            })
            .expect("the system has a thread left at start");
        Task { done }
    }
}

/// A thread that was started, to be waited for no longer than it deserves.
#[derive(Debug)]
pub(crate) struct Task {
    /// Nothing is ever sent; the thread holds the other end while it runs.
    done: Receiver<()>,
}

impl Task {
    /// Waits for the thread's end; false if it has not ended within `limit`.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        self.done.recv_timeout(limit) == Err(RecvTimeoutError::Disconnected)
    }
}

/// Tells somebody when the thread that it is dropped on panics. Belongs into what a thread of another module owns.
pub(crate) struct PanicGuard<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> PanicGuard<F> {
    pub(crate) fn new(on_panic: F) -> Self {
        Self(Some(on_panic))
    }
}

impl<F: FnOnce()> Drop for PanicGuard<F> {
    fn drop(&mut self) {
        if let Some(on_panic) = self.0.take()
            && thread::panicking()
        {
            on_panic();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_thread_that_panics_stops_the_appliance() {
        let lifeline = Lifeline::default();
        assert!(lifeline.spawn("quiet", || {}).ends_within(LONG));
        assert!(!lifeline.token().is_cancelled());
        let loud = lifeline.spawn("loud", || panic!("on purpose"));
        assert!(loud.ends_within(LONG));
        assert!(lifeline.token().is_cancelled() && lifeline.has_failed());
    }

    #[test]
    fn a_thread_that_hangs_is_waited_for_no_longer_than_said() {
        let (release, held) = mpsc::channel::<()>();
        let task = Lifeline::default().spawn("stuck", move || assert!(held.recv().is_err()));
        assert!(!task.ends_within(Duration::ZERO));
        drop(release);
        assert!(task.ends_within(LONG));
        assert!(task.ends_within(Duration::ZERO), "asked again");
    }

    #[test]
    fn a_panic_within_a_sink_is_told_and_a_quiet_end_is_not() {
        for panics in [false, true] {
            let lifeline = Lifeline::default();
            let told = lifeline.clone();
            let guard = PanicGuard::new(move || told.fail("the sink panicked"));
            let sink = move || {
                let _kept = &guard;
                assert!(!panics, "on purpose");
            };
            // The other module's thread, which nobody of ours watches.
            let _ = thread::spawn(sink).join();
            assert_eq!(lifeline.has_failed(), panics);
        }
    }
}
