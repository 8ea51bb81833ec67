//! Where a list goes on that is told in pieces.

use std::fmt;
use std::str::FromStr;

use crate::base::Wall;

/// A place in a list that is ordered by a time, newest first: behind an entry that is there, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPlace {
    /// The time by which the entry has its place.
    pub(super) at: Wall,
    /// Its row, which orders entries of the same time.
    pub(super) row: i64,
}

impl ListPlace {
    /// Before all entries.
    pub(super) const START: Self = Self {
        at: Wall(i64::MAX),
        row: i64::MAX,
    };
}

/// As programs hand it back; nothing that they need to understand.
impl fmt::Display for ListPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.0, self.row)
    }
}

impl FromStr for ListPlace {
    type Err = ();

    /// Reads what [`fmt::Display`] writes; the first number may be negative.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, row) = text.rsplit_once('-').ok_or(())?;
        match (at.parse(), row.parse()) {
            (Ok(at), Ok(row)) => Ok(Self { at: Wall(at), row }),
            _ => Err(()),
        }
    }
}
