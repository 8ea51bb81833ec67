//! Who works on which upload: one request at a time. A newer one ends the older, which may be a connection that died
//! unnoticed, and waits until it has put away what it had. (draft-ietf-httpbis-resumable-upload, Concurrency)

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::UploadError;
use crate::upload::UploadId;

/// The uploads that are worked on, each with what ends that.
#[derive(Debug, Default)]
pub(in crate::store) struct Active {
    held: Mutex<HashMap<UploadId, CancellationToken>>,
    released: Condvar,
}

/// The right to work on an upload, until it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    active: Arc<Active>,
    id: UploadId,
    taken_over: CancellationToken,
}

impl Active {
    /// Ends whoever works on an upload and takes its place, if that can be had within `wait`.
    pub(super) fn take(
        self: &Arc<Self>,
        id: UploadId,
        wait: Duration,
    ) -> Result<Hold, UploadError> {
        let held = self.lock();
        let in_the_way = |held: &mut HashMap<UploadId, CancellationToken>| {
            held.get(&id).inspect(|other| other.cancel()).is_some()
        };
        let waited = self.released.wait_timeout_while(held, wait, in_the_way);
        let (mut held, timeout) = waited.expect("nothing panics with this lock held");
        if timeout.timed_out() {
            return Err(UploadError::Busy);
        }
        let taken_over = CancellationToken::new();
        held.insert(id, taken_over.clone());
        Ok(Hold {
            active: Arc::clone(self),
            id,
            taken_over,
        })
    }

    /// Whether somebody works on an upload. On the writer's thread whoever begins later finds what is written now.
    pub(super) fn holds(&self, id: UploadId) -> bool {
        self.lock().contains_key(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, CancellationToken>> {
        self.held
            .lock()
            .expect("nothing panics with this lock held")
    }
}

impl Hold {
    /// Cancelled when a newer request wants the upload.
    pub(super) fn taken_over(&self) -> &CancellationToken {
        &self.taken_over
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.active.lock().remove(&self.id);
        self.active.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_request_ends_the_older_and_waits_for_it() {
        let active = Arc::new(Active::default());
        let id = UploadId([1; 16]);
        let older = active.take(id, Duration::ZERO).unwrap();
        let refused = active.take(id, Duration::from_millis(1));
        assert!(matches!(refused, Err(UploadError::Busy)));
        assert!(older.taken_over().is_cancelled());
        assert!(active.take(UploadId([2; 16]), Duration::ZERO).is_ok());
        let other_end = Arc::clone(&active);
        let newer = std::thread::spawn(move || other_end.take(id, Duration::from_secs(60)));
        drop(older);
        let newer = newer.join().unwrap().unwrap();
        assert!(!newer.taken_over().is_cancelled());
    }
}
