//! Where the boxes of one movie are not those of another, said in their names.

use std::fmt;

use crate::cmaf::box_walk::BoxWalk;

/// Boxes that hold boxes and nothing else, as far as perch writes them.
const CONTAINERS: [&[u8; 4]; 7] = [
    b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl",
];

/// The first thing in a movie that is not as perch writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The boxes around it, from the outermost on; none at the top level.
    pub within: String,
    /// The kind of box that is there; `None` where there is none.
    pub found: Option<String>,
    /// The kind of box that perch writes there; `None` where it writes none.
    pub expected: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = match self.within.as_str() {
            "" => "the file",
            within => within,
        };
        match (&self.found, &self.expected) {
            (Some(found), Some(expected)) if found == expected => {
                write!(f, "the `{found}` box in {within} is not what perch writes")
            }
            (Some(found), Some(expected)) => {
                write!(
                    f,
                    "{within} has a `{found}` box where perch writes `{expected}`"
                )
            }
            (Some(found), None) => {
                write!(
                    f,
                    "{within} has a `{found}` box, which perch does not write there"
                )
            }
            (None, expected) => {
                let expected = expected.as_deref().unwrap_or_default();
                write!(f, "{within} has no `{expected}` box where perch writes one")
            }
        }
    }
}

impl std::error::Error for Difference {}

/// The first difference of what was found and what perch writes, `None` if they are the same: a box that one of them does
/// not have before one that differs, since where media begins hangs on all boxes. The last box of both may go on behind
/// them.
pub(super) fn difference(found: &[u8], own: &[u8]) -> Option<Difference> {
    if found == own {
        return None;
    }
    let told = [Look::Kinds, Look::Contents]
        .into_iter()
        .find_map(|look| differs_within(found, own, String::new(), look));
    Some(told.unwrap_or(Difference {
        within: String::new(),
        found: Some("mdat".to_owned()),
        expected: Some("mdat".to_owned()),
    }))
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Which boxes there are.
    Kinds,
    /// What they hold, too.
    Contents,
}

fn differs_within(found: &[u8], own: &[u8], within: String, look: Look) -> Option<Difference> {
    let mut found = BoxWalk::new(found);
    for own in BoxWalk::new(own) {
        // What goes on behind the head is compared with it as a whole.
        let own = own.ok()?;
        let of = match found.next() {
            Some(Ok(of)) => Some(of),
            _ => None,
        };
        let found_kind = of.as_ref().map(|of| name(of.kind));
        let Some(of) = of.filter(|of| of.kind == own.kind) else {
            return Some(Difference {
                within,
                found: found_kind,
                expected: Some(name(own.kind)),
            });
        };
        if of.whole == own.whole {
            continue;
        }
        if CONTAINERS.contains(&&own.kind) {
            let deeper = match within.as_str() {
                "" => name(own.kind),
                within => format!("{within}/{}", name(own.kind)),
            };
            if let Some(told) = differs_within(of.body, own.body, deeper, look) {
                return Some(told);
            }
        }
        if look == Look::Kinds {
            continue;
        }
        return Some(Difference {
            within,
            found: Some(name(of.kind)),
            expected: Some(name(own.kind)),
        });
    }
    found.next().and_then(Result::ok).map(|of| Difference {
        within,
        found: Some(name(of.kind)),
        expected: None,
    })
}

/// A kind of box as text.
fn name(kind: [u8; 4]) -> String {
    kind.escape_ascii().to_string()
}
