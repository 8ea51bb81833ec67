//! Delivery directives and what to do about them: answer now, wait, or refuse
//! (draft-pantos-hls-rfc8216bis §6.2.5). Asked again after each change of the window.

use super::Edge;
use crate::media::{PART_TARGET_MS, SEGMENT_DURATION_MS};

/// A reload may name a segment at most this far past the newest one.
pub const MSN_ADVANCE_MAX: u64 = 2;
/// A reload may name a part at most this far past the newest one: three seconds' worth.
pub const ADVANCE_PARTS_MAX: u64 = 3_000_u32.div_ceil(PART_TARGET_MS) as u64;
/// Parts that a whole segment has at least.
const PARTS_PER_SEGMENT: u64 = SEGMENT_DURATION_MS.div_ceil(PART_TARGET_MS) as u64;

/// The part, or the whole segment, that a reload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReloadPosition {
    /// `_HLS_msn`.
    pub msn: u64,
    /// `_HLS_part`; `None` asks for the whole segment.
    pub part: Option<u32>,
}

/// The directives of one playlist request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Directives {
    /// Answer only once the playlist has this.
    pub position: Option<ReloadPosition>,
    /// A delta update will do.
    pub skip: bool,
}

/// Why a request is refused for good; asking the same again does not help.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReloadError {
    /// A directive's value is not what the protocol allows.
    #[error("{0} has a malformed value; send a decimal number, or YES for _HLS_skip")]
    Malformed(&'static str),
    /// A directive stands twice.
    #[error("{0} is given twice; send it once")]
    Repeated(&'static str),
    /// `_HLS_part` alone.
    #[error("_HLS_part without _HLS_msn; send both")]
    PartWithoutMsn,
    /// Too far in the future.
    #[error(
        "_HLS_msn={msn} is more than {MSN_ADVANCE_MAX} past the newest segment {newest}; reload first"
    )]
    MsnTooFarAhead {
        /// What was asked for.
        msn: u64,
        /// What there is.
        newest: u64,
    },
    /// Too far in the future, in parts.
    #[error(
        "_HLS_part={part} is more than {ADVANCE_PARTS_MAX} parts past the newest; reload first"
    )]
    PartTooFarAhead {
        /// What was asked for.
        part: u32,
    },
}

impl Directives {
    /// Reads the directives of a query string such as `_HLS_msn=7&_HLS_part=2`; other keys are ignored.
    pub fn parse(query: &str) -> Result<Self, ReloadError> {
        let (mut msn, mut part, mut skip) = (None, None, None);
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "_HLS_msn" => set(&mut msn, "_HLS_msn", parse_decimal(value))?,
                "_HLS_part" => set(
                    &mut part,
                    "_HLS_part",
                    parse_decimal(value).and_then(|part| u32::try_from(part).ok()),
                )?,
                "_HLS_skip" => set(
                    &mut skip,
                    "_HLS_skip",
                    // v2 also allows skipping date ranges, of which there are none.
                    matches!(value, "YES" | "v2").then_some(()),
                )?,
                _ => {}
            }
        }
        let position = match (msn, part) {
            (Some(msn), part) => Some(ReloadPosition { msn, part }),
            (None, None) => None,
            (None, Some(_)) => return Err(ReloadError::PartWithoutMsn),
        };
        Ok(Self {
            position,
            skip: skip.is_some(),
        })
    }
}

fn set<T>(slot: &mut Option<T>, key: &'static str, value: Option<T>) -> Result<(), ReloadError> {
    let value = value.ok_or(ReloadError::Malformed(key))?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ReloadError::Repeated(key)),
    }
}

/// A decimal-integer of the protocol: digits alone, no sign.
fn parse_decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// What to do about a playlist request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadDecision {
    /// The playlist has what was asked for, or nothing was.
    RespondNow,
    /// Hold the request until the window changes, then decide again.
    WaitFor(ReloadPosition),
    /// Refuse it.
    BadRequest(ReloadError),
}

/// Decides about a request. `edge` is the newest part, `None` while there is none; `ended` says that
/// nothing more will come, after which directives are ignored.
pub fn decide_reload(directives: Directives, edge: Option<Edge>, ended: bool) -> ReloadDecision {
    let Some(position) = directives.position else {
        return ReloadDecision::RespondNow;
    };
    if ended {
        return ReloadDecision::RespondNow;
    }
    let Some(edge) = edge else {
        return ReloadDecision::WaitFor(position);
    };
    if has_reached(edge, position) {
        return ReloadDecision::RespondNow;
    }
    if position.msn > edge.msn.saturating_add(MSN_ADVANCE_MAX) {
        return ReloadDecision::BadRequest(ReloadError::MsnTooFarAhead {
            msn: position.msn,
            newest: edge.msn,
        });
    }
    if let Some(part) = position.part {
        let newest = u64::from(edge.part);
        let asked = (position.msn - edge.msn) * PARTS_PER_SEGMENT + u64::from(part);
        if asked > newest + ADVANCE_PARTS_MAX {
            return ReloadDecision::BadRequest(ReloadError::PartTooFarAhead { part });
        }
    }
    ReloadDecision::WaitFor(position)
}

/// A part past the end of its segment is the first of the next one, so whatever lies in an older segment
/// than the newest has been reached.
fn has_reached(edge: Edge, position: ReloadPosition) -> bool {
    edge.msn > position.msn
        || (edge.msn == position.msn
            && match position.part {
                None => edge.complete,
                Some(part) => part <= edge.part,
            })
}
