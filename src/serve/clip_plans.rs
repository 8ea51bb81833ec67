//! Files that were planned lately: a browser that plays one asks for it again and again, a piece at a time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Wall;
use crate::store::{ClipFile, ClipFileWish};

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

    /// Remembers a file that was planned at `now`, and forgets what was not used for longest.
    pub(super) fn put(&self, wish: ClipFileWish, file: &Arc<ClipFile>, now: Wall) {
        if now - wish.to < SETTLED_MS {
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
