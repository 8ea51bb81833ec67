//! Whose log it is: the name that a checkpoint opens with and that the box's keys bear.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What every origin opens with.
const PREFIX: &str = "perch/";

/// `perch/` and the name of a box: 1 to 64 of `a-z 0-9 -`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Arc<str>);

/// The text is no origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no name of a box's log: use perch/ and 1 to 64 of a-z, 0-9 and -")]
pub struct BadOrigin(pub String);

impl Origin {
    /// The longest name of a box, in bytes.
    pub const BOX_BYTES_MAX: usize = 64;

    /// The origin of a box's log.
    pub fn of_box(name: &str) -> Result<Self, BadOrigin> {
        format!("{PREFIX}{name}").parse()
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let fits = text.strip_prefix(PREFIX).is_some_and(|name| {
            (1..=Self::BOX_BYTES_MAX).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(BadOrigin(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
