//! How far something is, on one line of a terminal; nothing where there is none.

use std::io::{IsTerminal, Write, stderr};

use super::table::megabytes;

/// A line that is written over and over.
pub(super) struct Progress {
    /// What it is about.
    what: String,
    shows: bool,
    percent: u64,
}

impl Progress {
    /// Begins a line about `what`, which may be empty.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            shows: stderr().is_terminal(),
            percent: u64::MAX,
        }
    }

    /// Shows that `done` bytes of `total` are dealt with.
    pub(super) fn show(&mut self, done: u64, total: u64) {
        let percent = done.saturating_mul(100) / total.max(1);
        if self.shows && percent != self.percent {
            self.percent = percent;
            let (done, total) = (megabytes(done), megabytes(total));
            // A terminal that does not take it is no reason to stop.
            let _ = write!(stderr(), "\r{}{percent:3} %  {done} of {total} ", self.what);
        }
    }

    /// Says something on a line of its own, terminal or not.
    pub(super) fn say(&mut self, text: &str) {
        if self.shows && self.percent != u64::MAX {
            eprintln!();
            self.percent = u64::MAX;
        }
        eprintln!("perch: {text}");
    }

    /// Ends the line, if one was begun.
    pub(super) fn end(self) {
        if self.shows && self.percent != u64::MAX {
            eprintln!();
        }
    }
}
