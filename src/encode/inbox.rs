//! A bounded queue between a source's thread and the pipeline's. Full means that the pipeline is behind:
//! the oldest item goes, counted, for the newest is what viewers want.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue. One side pushes, the other waits.
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    bound: usize,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    accepted: u64,
    dropped: u64,
}

/// What has gone through an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct InboxCounters {
    /// Items pushed while it was open.
    pub(super) accepted: u64,
    /// Of these, the ones that were dropped because it was full.
    pub(super) dropped: u64,
    /// Items that wait now.
    pub(super) waiting: usize,
}

impl<T> Inbox<T> {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::with_capacity(bound),
                closed: false,
                accepted: 0,
                dropped: 0,
            }),
            changed: Condvar::new(),
            bound,
        }
    }

    /// Adds an item; never blocks. After [`Self::close`] the item is dropped without being counted.
    pub(super) fn push(&self, item: T) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let oldest = (state.items.len() == self.bound).then(|| state.items.pop_front());
        state.items.push_back(item);
        state.accepted += 1;
        state.dropped += u64::from(oldest.is_some());
        drop(state);
        self.changed.notify_one();
        // `oldest` goes here, outside the lock: giving a driver its buffer back is a system call.
    }

    /// Waits for the next item. `None` once the inbox is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Refuses further items; those that wait are still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Refuses further items and drops those that wait.
    pub(super) fn abandon(&self) {
        let items = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.items)
        };
        self.changed.notify_all();
        drop(items);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn counters(&self) -> InboxCounters {
        let state = self.lock();
        InboxCounters {
            accepted: state.accepted,
            dropped: state.dropped,
            waiting: state.items.len(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_drops_its_oldest_and_counts_it() {
        let inbox = Inbox::new(2);
        for item in 1..=5 {
            inbox.push(item);
        }
        let counters = inbox.counters();
        assert_eq!(
            (counters.accepted, counters.dropped, counters.waiting),
            (5, 3, 2)
        );
        inbox.close();
        inbox.push(6);
        assert_eq!(
            (inbox.pop(), inbox.pop(), inbox.pop()),
            (Some(4), Some(5), None)
        );
    }

    #[test]
    fn an_abandoned_inbox_hands_out_nothing() {
        let inbox = Inbox::new(2);
        inbox.push(1);
        inbox.abandon();
        assert_eq!(inbox.pop(), None);
        assert_eq!(inbox.counters().dropped, 0);
    }
}
