//! What is wrong with an upload, as HTTP says it. (tus 1.0; draft-ietf-httpbis-resumable-upload, Problem Types)

use super::problem::Problem;
use crate::store::UploadError;
use crate::upload::{Refusal, SIZE_BYTES_MAX, versions};

/// The address of a kind of problem, and its title.
type Kind = (&'static str, &'static str);
const MISMATCHING_OFFSET: Kind = (
    "https://iana.org/assignments/http-problem-types#mismatching-upload-offset",
    "Mismatching Upload Offset",
);
const COMPLETED: Kind = (
    "https://iana.org/assignments/http-problem-types#completed-upload",
    "Upload Is Completed",
);
const INCONSISTENT_LENGTH: Kind = (
    "https://iana.org/assignments/http-problem-types#inconsistent-upload-length",
    "Inconsistent Upload Length Values",
);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let of_kind = |problem: Self, (address, title): Kind| problem.of_kind(address, title);
        match refusal {
            Refusal::Version(_) => {
                let problem = Self::precondition_failed(detail);
                versions().iter().fold(problem, |problem, (name, value)| {
                    problem.with_line(name, value)
                })
            }
            Refusal::MediaType(_) => Self::unsupported_media_type(detail),
            Refusal::ChecksumMismatch => Self::checksum_mismatch(detail),
            Refusal::OffsetConflict { expected, .. } => {
                of_kind(Self::conflict(detail), MISMATCHING_OFFSET)
                    .with_line("upload-offset", &expected.to_string())
            }
            Refusal::BeyondLength { .. } | Refusal::TooLarge => Self::content_too_large(detail)
                .with_line("upload-limit", &format!("max-size={SIZE_BYTES_MAX}")),
            Refusal::LengthChanged { .. } | Refusal::EndsEarly { .. } => {
                of_kind(Self::bad_request(detail), INCONSISTENT_LENGTH)
            }
            Refusal::Complete => {
                of_kind(Self::bad_request(detail), COMPLETED).with_line("upload-complete", "?1")
            }
            Refusal::Joined => Self::forbidden(detail),
            Refusal::Missing(_)
            | Refusal::Field { .. }
            | Refusal::ForeignPart(_)
            | Refusal::UnknownPart(_)
            | Refusal::NoPart(_)
            | Refusal::UnfinishedPart(_) => Self::bad_request(detail),
        }
    }
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        let detail = error.to_string();
        match error {
            UploadError::Refused(refusal) => refusal.into(),
            UploadError::Unknown => Self::not_found(detail),
            UploadError::DiskFull(_) => Self::insufficient_storage(detail),
            UploadError::TooMany(_) => Self::unavailable(detail, 60),
            UploadError::Busy => Self::locked(detail),
            UploadError::TakenOver | UploadError::InUse => Self::conflict(detail),
            UploadError::GivenUp(_) | UploadError::Ended(_) => Self::gone(detail),
            UploadError::NotWritable(_) | UploadError::Uncertain(_) => Self::unavailable(detail, 5),
        }
    }
}
