//! Files that were planned lately: a browser that plays one asks for it again and again, a piece at a time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Wall;
use crate::store::{ClipFile, ClipFileWish, ProveError};

/// Files that are remembered.
const PLANS_MAX: usize = 16;
/// Bytes that their tables take together, of which a day of pictures and sound has about 50 MB.
const PLANS_BYTES_MAX: usize = 64 << 20;
/// What ends later than this before now may still grow, in milliseconds.
const SETTLED_MS: i64 = 60_000;

/// A wish and its file.
type Plan = (ClipFileWish, Arc<ClipFile>);

/// What is remembered, the latest used last.
#[derive(Clone, Debug, Default)]
pub(super) struct ClipPlans(Arc<Mutex<Vec<Plan>>>);

impl ClipPlans {
    /// The file of a wish, if it is remembered.
    pub(super) fn get(&self, wish: &ClipFileWish) -> Option<Arc<ClipFile>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = plans.iter().position(|(known, _)| known == wish)?;
        let used = plans.remove(found);
        let file = Arc::clone(&used.1);
        plans.push(used);
        Some(file)
    }

    /// Remembers a file that was planned at `now`, and forgets what was not used for longest. One that would be another
    /// a little later, as it grows or as its proof comes, is planned again each time.
    pub(super) fn put(&self, wish: ClipFileWish, file: &Arc<ClipFile>, now: Wall) {
        let may_grow = now - wish.to < SETTLED_MS;
        if may_grow || file.unproven().is_some_and(ProveError::may_pass) {
            return;
        }
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.push((wish, Arc::clone(file)));
        let held =
            |plans: &[Plan]| -> usize { plans.iter().map(|(_, file)| file.bytes_held()).sum() };
        while plans.len() > PLANS_MAX || held(&plans) > PLANS_BYTES_MAX {
            plans.remove(0);
        }
    }

    /// Forgets a file whose recording has gone.
    pub(super) fn forget(&self, wish: &ClipFileWish) {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|(known, _)| known != wish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SimulatedClock;
    use crate::store::tests::fragments::{HIGH, NOON, patient, record, wish};
    use crate::store::{Archive, ClipLength, Store, Timelapse};

    #[test]
    fn what_may_grow_or_come_to_be_proven_is_planned_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(SimulatedClock::new(NOON));
        let (store, _) = Store::open(dir.path(), patient(), clock).expect("it opens");
        record(&store, HIGH, 0, 1280, [0, 0, 3], NOON);
        let plans = ClipPlans::default();
        let settled = NOON.plus_ms(6_000 + SETTLED_MS);
        let keeps = |file: ClipFile, wish: &ClipFileWish, now: Wall| {
            plans.put(wish.clone(), &Arc::new(file), now);
            plans.get(wish).is_some()
        };
        let is_kept = |wish: &ClipFileWish, now: Wall| {
            let file = store.clip_file(wish).expect("it is recorded");
            keeps(file, wish, now)
        };
        let whole = wish(0, 6_000);
        // Which has nothing signed.
        let archive = Archive::open(dir.path()).expect("it opens");
        let young = archive.clip_file(&whole).expect("it is recorded");
        assert!(!keeps(young, &whole, settled), "it is not signed yet");
        // Which never will be.
        let fast = ClipFileWish {
            length: ClipLength::Timelapse(Timelapse::Speed(2)),
            ..whole.clone()
        };
        assert!(is_kept(&fast, settled));
        assert!(!is_kept(&whole, settled.plus_ms(-1)));
        assert!(is_kept(&whole, settled));
        plans.forget(&whole);
        assert!(plans.get(&whole).is_none() && plans.get(&fast).is_some());
    }
}
