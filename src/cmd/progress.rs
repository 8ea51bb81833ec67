//! How far a long command is, on a terminal; nothing where nobody watches.

use std::io::{IsTerminal, Write, stderr};

use super::store::megabytes;

/// One line on the terminal that is written over.
pub(super) struct Progress {
    shows: bool,
    shown: u64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            shows: stderr().is_terminal(),
            shown: u64::MAX,
        }
    }

    /// Shows bytes done and in all, when the percentage has changed.
    pub(super) fn show(&mut self, done: u64, total: u64) {
        let percent = done * 100 / total.max(1);
        if self.shows && percent != self.shown {
            self.shown = percent;
            let (done, total) = (megabytes(done), megabytes(total));
            // A terminal that does not take it is no reason to stop.
            let _ = write!(stderr(), "\r{percent:3} %  {done} of {total} ");
        }
    }

    /// Goes on below.
    pub(super) fn end(self) {
        if self.shows {
            eprintln!();
        }
    }
}
