//! The packs that are open, and who writes to which: each is written by one import at a time, and lent to the next
//! one afterwards, so that small imports share packs.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::IMPORTS_MAX;
use super::error::ImportError;
use super::pack_writer::PackWriter;

/// Lends open packs.
#[derive(Debug, Default)]
pub(in crate::store) struct Packs {
    state: Mutex<State>,
    changed: Condvar,
    /// The pack that tombstones go to. Held while the dead are buried, so that one does it at a time.
    pub(super) graves: Mutex<Option<PackWriter>>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<PackWriter>,
    /// What is being imported.
    origins: BTreeSet<String>,
}

/// The right to import one file. Given back when dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    packs: &'a Packs,
    origin: String,
}

impl Packs {
    /// Packs that an earlier process left open.
    pub(super) fn new(idle: Vec<PackWriter>, graves: Option<PackWriter>) -> Self {
        Self {
            state: Mutex::new(State {
                idle,
                origins: BTreeSet::new(),
            }),
            changed: Condvar::new(),
            graves: Mutex::new(graves),
        }
    }

    /// Waits for a turn to import what `origin` names; refuses what is being imported.
    pub(super) fn wait_turn(&self, origin: &str) -> Result<Turn<'_>, ImportError> {
        let mut state = self.lock();
        loop {
            if state.origins.contains(origin) {
                return Err(ImportError::Busy);
            }
            if state.origins.len() < IMPORTS_MAX {
                break;
            }
            let woken = self.changed.wait(state);
            state = woken.expect("nothing panics with this lock held");
        }
        state.origins.insert(origin.to_owned());
        Ok(Turn {
            packs: self,
            origin: origin.to_owned(),
        })
    }

    /// Whether something is being imported from there.
    pub(super) fn is_importing(&self, origin: &str) -> bool {
        self.lock().origins.contains(origin)
    }

    /// An open pack that nobody writes to.
    pub(super) fn take(&self) -> Option<PackWriter> {
        self.lock().idle.pop()
    }

    /// Lends a pack to the next one who needs it. It has rows for all that it holds.
    pub(super) fn park(&self, pack: PackWriter) {
        self.lock().idle.push(pack);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with this lock held")
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.packs.lock().origins.remove(&self.origin);
        self.packs.changed.notify_all();
    }
}
