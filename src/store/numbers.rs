//! Numbers of runs and segments that a camera may use next, so that none repeats over a restart. They are set
//! aside far ahead, so that a camera that is only watched and never recorded needs no commit to keep the promise.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::CameraId;

/// Runs set aside at a time.
const RUNS_AHEAD: u64 = 1 << 10;

/// Segments set aside at a time: 24 days of 2 s. A restart skips what is left of them, which 64 bits can afford.
const MSNS_AHEAD: u64 = 1 << 20;

/// Numbers that a camera's next run may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CameraPosition {
    /// Above every run that was used before.
    pub next_run: u64,
    /// Above every media sequence number that was recorded or served before.
    pub next_msn: u64,
}

/// The ceilings of all cameras. Shared by those who ask and the recorder that makes them durable.
#[derive(Debug)]
pub(super) struct Numbers(Mutex<Ceilings>);

#[derive(Debug)]
struct Ceilings {
    /// Above all numbers set aside.
    of: BTreeMap<CameraId, CameraPosition>,
    /// Those that the index does not know yet.
    raised: BTreeMap<CameraId, CameraPosition>,
}

impl Numbers {
    /// Goes on from what the index says.
    pub(super) fn new(ceilings: BTreeMap<CameraId, CameraPosition>) -> Self {
        Self(Mutex::new(Ceilings {
            of: ceilings,
            raised: BTreeMap::new(),
        }))
    }

    /// Sets numbers aside for a camera. Returns the first of them.
    pub(super) fn set_aside(&self, camera: &CameraId) -> CameraPosition {
        let mut ceilings = self.lock();
        let first = ceilings.of.get(camera).copied().unwrap_or_default();
        ceilings.raise(camera, first);
        first
    }

    /// Numbers of a camera are in use: sets more aside when half of them are gone.
    pub(super) fn note_used(&self, camera: &CameraId, run: u64, msn: u64) {
        let mut ceilings = self.lock();
        let ceiling = ceilings.of.get(camera).copied().unwrap_or_default();
        let runs_end = run.saturating_add(RUNS_AHEAD / 2) >= ceiling.next_run;
        if runs_end || msn.saturating_add(MSNS_AHEAD / 2) >= ceiling.next_msn {
            let used = CameraPosition {
                next_run: run,
                next_msn: msn,
            };
            ceilings.raise(camera, used);
        }
    }

    /// Ceilings that are yet to be made durable, to be given to the index.
    pub(super) fn take_raised(&self) -> BTreeMap<CameraId, CameraPosition> {
        std::mem::take(&mut self.lock().raised)
    }

    fn lock(&self) -> MutexGuard<'_, Ceilings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ceilings {
    /// Sets numbers aside from `used` on. A ceiling never sinks.
    fn raise(&mut self, camera: &CameraId, used: CameraPosition) {
        let ceiling = self.of.entry(camera.clone()).or_default();
        // The index keeps signed integers.
        let above = |used: u64, ahead: u64| used.saturating_add(ahead).min(i64::MAX as u64);
        ceiling.next_run = ceiling.next_run.max(above(used.next_run, RUNS_AHEAD));
        ceiling.next_msn = ceiling.next_msn.max(above(used.next_msn, MSNS_AHEAD));
        self.raised.insert(camera.clone(), *ceiling);
    }
}

/// The ceilings of a camera of which nothing but these used numbers is known: as far above as it may have set aside.
pub(super) fn numbers_above(run: u64, msn: u64) -> (u64, u64) {
    let above = |used: u64, ahead: u64| used.saturating_add(2 * ahead).min(i64::MAX as u64);
    (above(run, RUNS_AHEAD), above(msn, MSNS_AHEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_use_stay_below_the_ceiling_and_rarely_move_it() {
        let camera = CameraId::from_description("a");
        let numbers = Numbers::new(BTreeMap::new());
        assert_eq!(numbers.set_aside(&camera), CameraPosition::default());
        let first = numbers.take_raised()[&camera];
        let mut raises = 0;
        for msn in 0..2 * MSNS_AHEAD {
            numbers.note_used(&camera, 0, msn);
            for (_, ceiling) in numbers.take_raised() {
                assert!(ceiling.next_msn > msn && ceiling.next_run >= first.next_run);
                raises += 1;
            }
        }
        assert!((2..=5).contains(&raises), "{raises}");
        assert!(numbers.set_aside(&camera).next_msn > 2 * MSNS_AHEAD - 1);
    }
}
