//! What may be added to an upload, and what it is afterwards.

use super::checksum::Checksum;
use super::id::UploadId;
use super::refusal::Refusal;

/// The largest upload, in bytes: 1 TiB.
pub const SIZE_BYTES_MAX: u64 = 1 << 40;

/// What an upload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadKind {
    /// A file of its own.
    Single,
    /// A part of a file, to be joined with others.
    Partial,
    /// A file joined from parts.
    Final,
}

/// What is known of an upload when something is to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadState {
    /// What it is for.
    pub kind: UploadKind,
    /// Its size in bytes, once that is known.
    pub length: Option<u64>,
    /// Bytes that are there, and stay.
    pub offset: u64,
    /// It has everything.
    pub is_complete: bool,
}

/// The data of a request, as its fields announce it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it is to go.
    pub(super) offset: u64,
    /// The upload's length, if the request tells it.
    pub(super) length: Option<u64>,
    /// How many bytes it has, if the request tells that.
    pub(super) bytes_count: Option<u64>,
    /// Whether the upload is complete with it, as the drafts have it.
    pub(super) completes: Option<bool>,
    /// Whether the upload is complete at its length, whatever else is said.
    pub(super) ends_at_length: bool,
    /// What the data is to have.
    pub(super) checksum: Option<Checksum>,
}

/// Data that may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Where it goes.
    pub offset: u64,
    /// What it is to have. Nothing of it counts before it is all there.
    pub checksum: Option<Checksum>,
    /// The length of the upload, if it is known by now.
    pub length: Option<u64>,
    completes: Option<bool>,
    ends_at_length: bool,
}

/// What an upload is once a request's data is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// Its size, if it is known.
    pub length: Option<u64>,
    /// It has everything.
    pub is_complete: bool,
}

impl Delivery {
    /// Whether nothing would change: no data, and the upload is not complete with it.
    pub fn is_empty(&self) -> bool {
        self.bytes_count == Some(0) && self.completes != Some(true)
    }

    /// Decides before any byte of it is read. An empty request that repeats the end of an upload that was complete at
    /// its length is granted, as the client may have missed the answer to the first one, or have meant to end it so.
    pub fn admit(&self, state: &UploadState) -> Result<Admitted, Refusal> {
        if state.kind == UploadKind::Final {
            return Err(Refusal::Joined);
        }
        let repeats_end = self.ends_at_length
            && self.completes == Some(true)
            && self.bytes_count.is_none_or(|count| count == 0);
        if state.is_complete && self.completes.is_some() && !repeats_end {
            return Err(Refusal::Complete);
        }
        if self.offset != state.offset {
            return Err(Refusal::OffsetConflict {
                expected: state.offset,
                provided: self.offset,
            });
        }
        let length = self.known_length(state)?;
        let end = self.offset.saturating_add(self.bytes_count.unwrap_or(0));
        if end > SIZE_BYTES_MAX || length.is_some_and(|length| length > SIZE_BYTES_MAX) {
            return Err(Refusal::TooLarge);
        }
        match length {
            Some(length) if end > length => Err(Refusal::BeyondLength { length }),
            Some(length)
                if self.completes == Some(true) && self.bytes_count.is_some() && end < length =>
            {
                Err(Refusal::EndsEarly {
                    length,
                    offset: end,
                })
            }
            _ => Ok(Admitted {
                offset: self.offset,
                checksum: self.checksum,
                length,
                completes: self.completes,
                ends_at_length: self.ends_at_length,
            }),
        }
    }

    fn known_length(&self, state: &UploadState) -> Result<Option<u64>, Refusal> {
        match (state.length, self.length) {
            (Some(known), Some(said)) if known != said => {
                Err(Refusal::LengthChanged { known, said })
            }
            // It would end before what is there already.
            (None, Some(said)) if said < state.offset => {
                Err(Refusal::BeyondLength { length: said })
            }
            (known, said) => Ok(known.or(said)),
        }
    }
}

impl Admitted {
    /// Whether so much data may come that the upload ends at `end`.
    pub fn allows(&self, end: u64) -> Result<(), Refusal> {
        match self.length {
            Some(length) if end > length => Err(Refusal::BeyondLength { length }),
            _ if end > SIZE_BYTES_MAX => Err(Refusal::TooLarge),
            _ => Ok(()),
        }
    }

    /// What the upload is when all of the request came and it ends at `end`. (`whole`: the client meant to send no
    /// more with it)
    pub fn conclude(&self, end: u64, whole: bool) -> Result<Concluded, Refusal> {
        let is_ended = whole && self.completes == Some(true);
        match self.length {
            Some(length) if is_ended && end < length => Err(Refusal::EndsEarly {
                length,
                offset: end,
            }),
            length => {
                let is_complete = is_ended || (self.ends_at_length && length == Some(end));
                Ok(Concluded {
                    length: if is_complete { Some(end) } else { length },
                    is_complete,
                })
            }
        }
    }
}

/// The length of the file that parts make together, in the order in which they are listed; each with what is known of
/// it, if there is such an upload.
pub fn join(
    parts: impl IntoIterator<Item = (UploadId, Option<UploadState>)>,
) -> Result<u64, Refusal> {
    let mut length = 0u64;
    for (id, state) in parts {
        let state = state.ok_or(Refusal::UnknownPart(id))?;
        if state.kind != UploadKind::Partial {
            return Err(Refusal::NoPart(id));
        }
        if !state.is_complete {
            return Err(Refusal::UnfinishedPart(id));
        }
        length = length.saturating_add(state.offset);
        if length > SIZE_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
    }
    Ok(length)
}
