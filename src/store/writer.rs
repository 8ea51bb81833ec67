//! The one thread that writes: takes from the queue, drives the recorder. Ends when told to, or
//! by a panic, which poisons the store.

use std::fmt;
use std::fs::File;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::queue::{Queue, QueuedSegment};
use super::recorder::Recorder;
use super::status::{Appended, GapMark, RecordingState, StoreStatus};
use crate::base::Clock;

/// The longest that the thread sleeps without looking at the clock.
const NAP_MAX: Duration = Duration::from_secs(1);

/// While segments wait all the time, for the disk is too slow, all else gets its turn this long after its last.
const TURN_INTERVAL: Duration = Duration::from_secs(1);

/// What is asked of the recorder by those who wait for its answer.
type Request = Box<dyn FnOnce(&mut Recorder) + Send>;

/// Requests of one kind of asker that wait; each has a thread that waits with it.
const REQUESTS_MAX: usize = 64;

/// Whose request it is. Each kind has places of its own, so that a flood of one keeps no other out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Somebody behind the network. Who finds no place is refused at once.
    Visitor,
    /// An import or the upkeep, which are few. Waits for a place.
    Own,
}

/// Why nothing was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The request was not begun, and never will be.
    NotTaken,
    /// It was begun, and nobody knows what comes of it.
    Unknown,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTaken => {
                "too much is asked of the disk, or the appliance is stopping; nothing was changed, try again"
            }
            Self::Unknown => "the disk does not answer in time; look later what became of it",
        })
    }
}

/// How far a request is.
const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

#[derive(Default)]
struct Shared {
    queue: Queue,
    requests: Vec<(Asker, Request)>,
    flushes: Vec<Flush>,
    status: StoreStatus,
    closing: bool,
    ended: bool,
}

/// Somebody who waits until what was handed over before is committed.
struct Flush {
    /// Segments that waited then, less those taken since. Some may have been given up: then it waits for others instead.
    ahead: usize,
    done: SyncSender<()>,
}

/// The data directory's lock. Let go in so many words: a child that is being started holds a copy of every file of
/// ours until its program is executed, and with it the lock.
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // The system lets go of it at the latest when the process ends.
        let _ = self.0.unlock();
    }
}

/// The caller's end of the writer thread.
#[derive(Clone, Default)]
pub(super) struct Writer(Arc<(Mutex<Shared>, Condvar)>);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Starts the thread. It holds `lock` until nothing can write any more.
    pub(super) fn spawn_writer(
        recorder: Recorder,
        lock: File,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let writer = Self::default();
        writer.lock().status = recorder.status().clone();
        let other_end = writer.clone();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                // Dropped in this order: recorder, lock, and then it is said.
                let _ended = Ended(&other_end);
                let _lock = Locked(lock);
                run(&other_end, recorder, &*clock);
            })?;
        Ok(writer)
    }

    /// Hands a segment over without waiting.
    pub(super) fn append(&self, queued: QueuedSegment) -> Appended {
        let mut shared = self.lock();
        if shared.refuses() {
            return Appended::Refused;
        }
        let appended = shared.queue.push(queued);
        self.0.1.notify_all();
        appended
    }

    /// Hands a gap over without waiting.
    pub(super) fn mark_gap(&self, mark: GapMark) {
        let mut shared = self.lock();
        if !shared.refuses() {
            mark.add_to(&mut shared.queue.gaps);
            self.0.1.notify_all();
        }
    }

    /// Has something done on the writer's thread, and waits for the answer: after all that was handed over before, unless
    /// segments come faster than the disk takes them; then in its turn. Fails if the writer takes nothing more, is asked
    /// too much, or does not answer within `timeout`, which for [`Asker::Own`] begins again once there is a place.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        asker: Asker,
        timeout: Duration,
        request: impl FnOnce(&mut Recorder) -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (answer, wait) = sync_channel(1);
        let stage = Arc::new(AtomicU8::new(WAITING));
        let begin = |stage: &AtomicU8, next| {
            let (set, get) = (Ordering::AcqRel, Ordering::Acquire);
            stage.compare_exchange(WAITING, next, set, get).is_ok()
        };
        {
            let mut shared = self.lock();
            if asker == Asker::Own {
                let full = |shared: &mut Shared| !shared.ends() && shared.is_full(asker);
                let waited = self.0.1.wait_timeout_while(shared, timeout, full);
                shared = waited.expect("nothing panics with this lock held").0;
            }
            if shared.ends() || shared.is_full(asker) {
                return Err(NoAnswer::NotTaken);
            }
            let stage = Arc::clone(&stage);
            let request = move |recorder: &mut Recorder| {
                if begin(&stage, BEGUN) {
                    // Whoever asked may have given up waiting.
                    let _ = answer.send(request(recorder));
                }
            };
            shared.requests.push((asker, Box::new(request)));
            self.0.1.notify_all();
        }
        match wait.recv_timeout(timeout) {
            Ok(answer) => Ok(answer),
            Err(_) if begin(&stage, GIVEN_UP) => Err(NoAnswer::NotTaken),
            // It may just have come.
            Err(_) => wait.try_recv().map_err(|_| NoAnswer::Unknown),
        }
    }

    /// Waits until all that was handed over before is committed or given up, `timeout` at the longest.
    pub(super) fn flush(&self, timeout: Duration) {
        let (done, wait) = sync_channel(1);
        {
            let mut shared = self.lock();
            if shared.closing || shared.ended {
                return;
            }
            let ahead = shared.queue.segments_count();
            shared.flushes.push(Flush { ahead, done });
            self.0.1.notify_all();
        }
        // Neither a timeout nor a thread that ended meanwhile changes what there is to do.
        let _ = wait.recv_timeout(timeout);
    }

    /// What the recorder said last, and what waits now.
    pub(super) fn status(&self) -> StoreStatus {
        let shared = self.lock();
        StoreStatus {
            segments_queued: shared.queue.segments_count(),
            segments_shed: shared.queue.segments_shed,
            ..shared.status.clone()
        }
    }

    /// Lets the thread write and commit what waits, then end. Returns whether it did within `timeout`.
    pub(super) fn close(&self, timeout: Duration) -> bool {
        let mut shared = self.lock();
        shared.closing = true;
        self.0.1.notify_all();
        let waited = self
            .0
            .1
            .wait_timeout_while(shared, timeout, |shared| !shared.ended);
        waited.is_ok_and(|(shared, _)| shared.ended)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.0.lock().expect("nothing panics with this lock held")
    }
}

impl Shared {
    fn ends(&self) -> bool {
        self.closing || self.ended
    }

    fn is_full(&self, asker: Asker) -> bool {
        let waiting = self.requests.iter();
        waiting.filter(|(of, _)| *of == asker).count() >= REQUESTS_MAX
    }

    /// Takes those who waited for no more than the segment that was just taken, or all if there is none.
    fn take_flushes(&mut self, settled: bool) -> Vec<SyncSender<()>> {
        let over = self.flushes.extract_if(.., |flush| {
            flush.ahead = flush.ahead.saturating_sub(1);
            settled || flush.ahead == 0
        });
        over.map(|flush| flush.done).collect()
    }

    fn refuses(&self) -> bool {
        self.closing || self.ended || matches!(self.status.state, RecordingState::Poisoned { .. })
    }

    fn has_work(&self) -> bool {
        self.queue.segments_count() > 0
            || !self.queue.gaps.is_empty()
            || !self.flushes.is_empty()
            || !self.requests.is_empty()
            || self.closing
    }
}

/// Says that the thread has ended, however it did.
struct Ended<'a>(&'a Writer);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut shared = self.0.lock();
        shared.ended = true;
        shared.flushes.clear();
        shared.requests.clear();
        if std::thread::panicking() {
            shared.status.state = RecordingState::Poisoned {
                reason: "the store's writer panicked; start perch again".to_owned(),
            };
        }
        self.0.0.1.notify_all();
    }
}

fn run(writer: &Writer, mut recorder: Recorder, clock: &dyn Clock) {
    let mut turn_due = clock.monotonic().after(TURN_INTERVAL);
    loop {
        let mut shared = writer.lock();
        while !shared.has_work() {
            let nap = match recorder.commit_due() {
                Some(due) => due.since(clock.monotonic()).min(NAP_MAX),
                None => NAP_MAX,
            };
            if nap.is_zero() {
                break;
            }
            let woken = writer.0.1.wait_timeout(shared, nap);
            let (locked, waited) = woken.expect("nothing panics with this lock held");
            shared = locked;
            // Recordings grow too old also while no camera gives new ones.
            if waited.timed_out() {
                break;
            }
        }
        let queued = shared.queue.pop();
        let gaps = std::mem::take(&mut shared.queue.gaps);
        let settled = queued.is_none();
        let flushes = shared.take_flushes(settled);
        // Where the disk is too slow all the time, the queue is never empty.
        let is_turn = settled || !flushes.is_empty() || turn_due <= clock.monotonic();
        let requests = if is_turn {
            std::mem::take(&mut shared.requests)
        } else {
            Vec::new()
        };
        let closing = settled && shared.closing;
        drop(shared);
        if !requests.is_empty() {
            // There are places again.
            writer.0.1.notify_all();
        }

        if let Some(queued) = queued {
            recorder.accept(&queued);
        }
        for mark in gaps {
            recorder.mark_gap(mark);
        }
        let begun = clock.monotonic();
        for (_, request) in requests {
            request(&mut recorder);
        }
        let mut turn = clock.monotonic().since(begun);
        let due = recorder
            .commit_due()
            .is_some_and(|due| due <= clock.monotonic());
        if closing {
            recorder.close();
        } else if due || !flushes.is_empty() {
            recorder.commit();
        }
        if is_turn {
            let begun = clock.monotonic();
            recorder.keep_room();
            let now = clock.monotonic();
            turn += now.since(begun);
            // Recording gets at least half of the time.
            turn_due = now.after(turn.max(TURN_INTERVAL));
        }
        writer.lock().status = recorder.status().clone();
        // Whoever waits sees the status that belongs to the answer, or has given up waiting.
        for done in flushes {
            let _ = done.send(());
        }
        if closing {
            return;
        }
    }
}
