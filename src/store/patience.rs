//! How long a start waits for what it cannot read. A disk takes seconds to refuse a bad place, some tens of seconds, and
//! a start has to be over before systemd ends it. Driven by `recovery`.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use super::file_system::is_damage;
use crate::base::Clock;
use crate::chunk::ReadAt;

/// The longest that refused places may take, all together. Of the 120 s of `systemd/perch.service` that leaves enough for
/// the one that uses it up, and for all else.
pub(super) const REFUSALS_MAX: Duration = Duration::from_secs(30);

/// What is left of the time of one start.
pub(super) struct Patience<'a> {
    clock: &'a dyn Clock,
    left: Cell<Duration>,
}

impl<'a> Patience<'a> {
    pub(super) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            left: Cell::new(REFUSALS_MAX),
        }
    }
}

/// A file that is read while patience lasts, and not at all afterwards: nobody knows beforehand which place is bad.
pub(super) struct Sparing<'a> {
    file: &'a dyn ReadAt,
    patience: &'a Patience<'a>,
    was_spent: Cell<bool>,
}

impl<'a> Sparing<'a> {
    pub(super) fn new(file: &'a dyn ReadAt, patience: &'a Patience<'a>) -> Self {
        Self {
            file,
            patience,
            was_spent: Cell::new(false),
        }
    }

    /// Fails if any place was not even tried: what was found says nothing of what is not there, then.
    pub(super) fn check_tried(&self) -> io::Result<()> {
        match self.was_spent.get() {
            true => Err(spent()),
            false => Ok(()),
        }
    }
}

fn spent() -> io::Error {
    let cause = "the disk takes too long to refuse what it cannot read";
    io::Error::new(io::ErrorKind::TimedOut, cause)
}

impl ReadAt for Sparing<'_> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let Patience { clock, left } = self.patience;
        if left.get().is_zero() {
            self.was_spent.set(true);
            return Err(spent());
        }
        let begun = clock.monotonic();
        let read = self.file.read_exact_at(buffer, offset);
        if read.as_ref().is_err_and(is_damage) {
            let took = clock.monotonic().since(begun);
            left.set(left.get().saturating_sub(took));
        }
        read
    }
}
