//! Threads that the process cannot live without: one that panics takes everything down in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

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
    pub(crate) fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        let lifeline = self.clone();
        let name_owned = name.to_owned();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(body)).is_err() {
                    lifeline.fail(&format!("thread {name_owned} panicked"));
                }
            })
            .expect("the system has a thread left at start")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_stops_the_appliance() {
        let lifeline = Lifeline::default();
        lifeline.spawn("quiet", || {}).join().expect("joined");
        assert!(!lifeline.token().is_cancelled());
        lifeline
            .spawn("loud", || panic!("on purpose"))
            .join()
            .expect("caught");
        assert!(lifeline.token().is_cancelled() && lifeline.has_failed());
    }
}
