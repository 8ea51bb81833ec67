//! What a thread of the store says when it panics. Recording goes on without those that only look after what is stored,
//! but not without a word.

/// Says in the log what is not done any more, if the thread that it is dropped on panics.
pub(super) struct LastWords(pub(super) &'static str);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("{}", self.0);
        }
    }
}
