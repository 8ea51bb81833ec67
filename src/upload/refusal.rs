//! What can be wrong with a request, told apart by what the client is answered.

use super::delivery::SIZE_BYTES_MAX;
use super::id::UploadId;

/// Why a request is not granted. Nothing that is stored changes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field that this request needs is not there.
    #[error("{0}: is missing")]
    Missing(&'static str),
    /// A field's value cannot be understood.
    #[error("{name}: {why}")]
    Field {
        /// Which field.
        name: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The client speaks a version that is not spoken here, or does not say which.
    #[error("{0}: names no version that is spoken here; tus 1.0.0 and interop versions 3 to 8 are")]
    Version(&'static str),
    /// The body is of another kind than the protocol sends.
    #[error("Content-Type: send {0}")]
    MediaType(&'static str),
    /// The data is not what the client says it is.
    #[error("Upload-Checksum: the data has another checksum; it was not stored, send it again")]
    ChecksumMismatch,
    /// The data does not go on where the upload ends.
    #[error("Upload-Offset: is {provided}, but the upload goes on at {expected}")]
    OffsetConflict {
        /// Where the upload ends.
        expected: u64,
        /// What the client said.
        provided: u64,
    },
    /// Two things that the client said of the length do not agree.
    #[error("Upload-Length: is {said}, but the upload was to have {known} bytes")]
    LengthChanged {
        /// What it said first.
        known: u64,
        /// What it says now.
        said: u64,
    },
    /// More data comes than was announced.
    #[error("the data goes on beyond the {length} bytes that the upload was to have")]
    BeyondLength {
        /// The length of the upload.
        length: u64,
    },
    /// The last request of an upload ends before the upload does.
    #[error("the upload was to have {length} bytes, but would be complete at {offset}")]
    EndsEarly {
        /// The length of the upload.
        length: u64,
        /// Where it would end.
        offset: u64,
    },
    /// The upload is larger than any that is taken.
    #[error("an upload has at most {SIZE_BYTES_MAX} bytes")]
    TooLarge,
    /// The upload has everything already.
    #[error("the upload is complete; nothing can be added to it")]
    Complete,
    /// It is made of other uploads.
    #[error("the upload is joined from others; add to those before they are joined")]
    Joined,
    /// An address to be joined leads to none of our uploads.
    #[error("Upload-Concat: `{0}` is no address of an upload here")]
    ForeignPart(String),
    /// An upload to be joined does not exist.
    #[error("Upload-Concat: there is no upload {0}")]
    UnknownPart(UploadId),
    /// An upload to be joined was not begun as a part.
    #[error("Upload-Concat: upload {0} was not begun as `partial`")]
    NoPart(UploadId),
    /// An upload to be joined is not complete.
    #[error("Upload-Concat: upload {0} is not complete yet")]
    UnfinishedPart(UploadId),
}

impl Refusal {
    /// A field whose value cannot be understood.
    pub(super) fn field(name: &'static str, why: impl Into<String>) -> Self {
        Self::Field {
            name,
            why: why.into(),
        }
    }
}
