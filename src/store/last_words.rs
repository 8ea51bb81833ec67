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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_told_and_a_quiet_end_is_not() {
        for panics in [false, true] {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
            let subscriber = subscriber.finish();
            let thread = std::thread::spawn(move || {
                tracing::subscriber::with_default(subscriber, || {
                    let _last_words = LastWords("nothing is looked after any more");
                    assert!(!panics, "on purpose");
                });
            });
            assert_eq!(thread.join().is_err(), panics);
            let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert_eq!(told.contains("nothing is looked after"), panics, "{told}");
        }
    }
}
