//! Which protocol a request speaks.

use super::fields::Fields;
use super::refusal::Refusal;

/// The media type of data in tus.
pub(super) const TUS_DATA: &str = "application/offset+octet-stream";
/// The media type of data in the drafts.
pub(super) const DRAFT_DATA: &str = "application/partial-upload";

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// tus 1.0.0.
    Tus,
    /// A draft of the IETF.
    Draft(Interop),
}

/// The interop version of a draft, 3 to 8: what its implementations tell each other by, until it is an RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interop(u8);

impl Interop {
    /// The versions that are spoken: 3 is draft -01, 5 is -03, 6 is -04 and -05, 8 is -09 and later.
    const SPOKEN: std::ops::RangeInclusive<u8> = 3..=8;
    /// What is spoken with clients that name no version, as the RFC will have it.
    pub const NEWEST: Self = Self(*Self::SPOKEN.end());

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether the upload's completeness has the name that it had up to draft -01, with the opposite sense.
    pub(super) fn says_incomplete(self) -> bool {
        self.0 == 3
    }

    /// Whether data has a media type of its own. (Since draft -04)
    pub(super) fn has_media_type(self) -> bool {
        self.0 >= 6
    }

    /// What the remaining lifetime is called in `Upload-Limit`, if that exists. (Since draft -04; renamed in -06)
    pub(super) fn lifetime_name(self) -> Option<&'static str> {
        match self.0 {
            ..6 => None,
            6 => Some("expires"),
            _ => Some("max-age"),
        }
    }
}

impl Dialect {
    /// Whether an upload is complete as soon as it has the length that was told for it. So it is in tus. In the drafts
    /// the client says when it is; but tus-js-client, in its versions 5 and 6, ends files and streams of Node.js with
    /// `?0`, begins an empty one with it, and takes either for complete, as its own server does.
    pub fn ends_at_length(self) -> bool {
        match self {
            Self::Tus => true,
            Self::Draft(interop) => matches!(interop.0, 5 | 6),
        }
    }

    /// Reads what a request says of itself. One that says nothing speaks as the RFC will; one that looks like tus and
    /// does not say so is refused, as tus demands.
    pub fn of(fields: &Fields<'_>) -> Result<Self, Refusal> {
        const TUS: &str = "Tus-Resumable";
        const DRAFT: &str = "Upload-Draft-Interop-Version";
        if let Some(version) = fields.text(TUS)? {
            return match version {
                "1.0.0" => Ok(Self::Tus),
                _ => Err(Refusal::Version(TUS)),
            };
        }
        let of_tus = ["Upload-Defer-Length", "Upload-Concat", "Upload-Checksum"];
        let looks_like_tus = of_tus.iter().any(|name| fields.has(name));
        if let Some(number) = fields.item_number(DRAFT)? {
            return u8::try_from(number)
                .ok()
                .filter(|number| Interop::SPOKEN.contains(number))
                .map(|number| Self::Draft(Interop(number)))
                .ok_or(Refusal::Version(DRAFT));
        }
        if looks_like_tus || fields.media_type()?.as_deref() == Some(TUS_DATA) {
            return Err(Refusal::Version(TUS));
        }
        let says_incomplete = fields.has("Upload-Incomplete") && !fields.has("Upload-Complete");
        Ok(Self::Draft(if says_incomplete {
            Interop(3)
        } else {
            Interop::NEWEST
        }))
    }
}
