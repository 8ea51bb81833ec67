//! What is done now and then, on a thread of its own that never holds the writer up for long: items on their way out
//! are let go, dead records buried, and once a week all references counted again.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::import::{Buried, ImportError, Imports, RecountReport};
use super::last_words::LastWords;
use crate::base::{Clock, Wall};

/// After a start, what a crash has left to do waits for cameras to start.
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// How often there is a look at what is to be done.
const INTERVAL: Duration = Duration::from_secs(3600);

/// References are counted again after a week, in ms.
const RECOUNT_AFTER_MS: i64 = 7 * 24 * 3_600_000;

/// Between two slices of the count others have the disk.
const SLICE_PAUSE: Duration = Duration::from_secs(1);

/// What a collection of garbage has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// What counting all references again has shown.
    pub recount: RecountReport,
    /// Interrupted imports that were given up.
    pub abandoned_items: u64,
    /// Packs that were removed.
    pub packs_removed: u64,
    /// Payloads that were punched out of packs that stay.
    pub records_punched: u64,
    /// Bytes of both.
    pub bytes_freed: u64,
}

/// The thread and its work.
pub(super) struct Upkeep {
    imports: Arc<Imports>,
    clock: Arc<dyn Clock>,
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upkeep")
    }
}

impl Upkeep {
    /// Starts the thread.
    pub(super) fn spawn_upkeep(
        imports: Arc<Imports>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let thread = std::thread::Builder::new().name("store-upkeep".to_owned());
        let thread = thread.spawn({
            let (imports, clock, stop) =
                (Arc::clone(&imports), Arc::clone(&clock), Arc::clone(&stop));
            move || {
                let _last_words = LastWords(
                    "the store's upkeep panicked; what nothing needs is not given back, and references are not counted \
                     again, until perch starts again",
                );
                let mut wait = FIRST_WAIT;
                while !is_stopped_within(&stop, wait) {
                    wait = INTERVAL;
                    if let Err(error) = look(&imports, &*clock, &stop) {
                        tracing::warn!(%error, "the upkeep of imports is tried again in an hour");
                    }
                }
            }
        })?;
        Ok(Self {
            imports,
            clock,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Does all of it now.
    pub(super) fn collect_garbage(&self, abandoned: bool) -> Result<GcReport, ImportError> {
        let recount = self.imports.recount(self.clock.wall(), || false)?;
        let abandoned_items = if abandoned {
            self.imports.drop_abandoned()?
        } else {
            0
        };
        self.imports.release_doomed()?;
        let buried = self.imports.bury()?;
        self.imports.sweep()?;
        let Buried {
            packs,
            records,
            bytes,
        } = buried;
        Ok(GcReport {
            recount,
            abandoned_items,
            packs_removed: packs,
            records_punched: records,
            bytes_freed: bytes,
        })
    }

    /// Ends the thread. One in the middle of a slice only reads by then, and is not waited for.
    pub(super) fn stop(&self) {
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        if let Some(thread) = lock(&self.thread).take_if(|thread| thread.is_finished()) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics with this lock held")
}

fn is_stopped_within(stop: &(Mutex<bool>, Condvar), wait: Duration) -> bool {
    let waited = stop
        .1
        .wait_timeout_while(lock(&stop.0), wait, |stopped| !*stopped);
    *waited.expect("nothing panics with this lock held").0
}

fn look(
    imports: &Imports,
    clock: &dyn Clock,
    stop: &(Mutex<bool>, Condvar),
) -> Result<(), ImportError> {
    imports.release_doomed()?;
    imports.bury()?;
    if is_recount_due(imports.recounted_at()?, clock.wall()) {
        let report = imports.recount(clock.wall(), || is_stopped_within(stop, SLICE_PAUSE))?;
        if report.is_clean() {
            tracing::info!(chunks = report.chunks, "all references were counted again");
        } else {
            tracing::error!(
                miscounted = report.miscounted.len(),
                missing = report.missing,
                packs = report.packs_miscounted,
                reels = report.reels_miscounted,
                "references were miscounted; the counts are corrected"
            );
        }
        imports.bury()?;
    }
    Ok(())
}

/// A clock that was set back must not put the count off for years.
fn is_recount_due(last: Option<Wall>, now: Wall) -> bool {
    last.is_none_or(|last| now - last >= RECOUNT_AFTER_MS || now < last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_counted_weekly_and_after_the_clock_was_set_back() {
        let last = Some(Wall(1_795_255_200_000));
        let at = |ms| Wall(1_795_255_200_000 + ms);
        assert!(is_recount_due(None, at(0)));
        assert!(!is_recount_due(last, at(RECOUNT_AFTER_MS - 1)));
        assert!(is_recount_due(last, at(RECOUNT_AFTER_MS)));
        assert!(is_recount_due(last, at(-1)));
    }
}
