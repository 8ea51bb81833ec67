//! What is wrong with an upload, as HTTP says it. (tus 1.0; draft-ietf-httpbis-resumable-upload, Problem Types)

use super::problem::Problem;
use crate::store::UploadError;
use crate::upload::{Dialect, Refusal, SIZE_BYTES_MAX, versions};

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

/// When to ask again after something that passes, in seconds.
const RETRY_AFTER_S: u32 = 5;

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
            Refusal::OffsetConflict { expected, provided } => {
                of_kind(Self::conflict(detail), MISMATCHING_OFFSET)
                    .with_member("expected-offset", expected)
                    .with_member("provided-offset", provided)
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
            UploadError::NotWritable(_) | UploadError::Uncertain(_) => {
                Self::unavailable(detail, RETRY_AFTER_S)
            }
        }
    }
}

/// Why it cannot be told how far an upload is. tus 1.0 knows no answer to `HEAD` for what passes, and its clients take
/// every status but 423 for the word that there is no such upload: tus-js-client begins the whole file anew even after
/// 503. So they are told that it is locked, and ask again. The drafts' clients know 503.
pub(super) fn not_inspected(error: UploadError, dialect: Dialect) -> Problem {
    match (error, dialect) {
        (
            error @ (UploadError::NotWritable(_)
            | UploadError::Uncertain(_)
            | UploadError::DiskFull(_)),
            Dialect::Tus,
        ) => {
            Problem::locked(error.to_string()).with_line("retry-after", &RETRY_AFTER_S.to_string())
        }
        (error, _) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::upload::Interop;

    #[test]
    fn a_client_of_tus_does_not_take_what_passes_for_the_loss_of_its_upload() {
        let disk = || "the disk is slow".to_owned();
        let draft = Dialect::Draft(Interop::NEWEST);
        for (error, dialect, expected) in [
            (
                UploadError::NotWritable(disk()),
                Dialect::Tus,
                (423, Some("5")),
            ),
            (
                UploadError::Uncertain(disk()),
                Dialect::Tus,
                (423, Some("5")),
            ),
            (
                UploadError::DiskFull(disk()),
                Dialect::Tus,
                (423, Some("5")),
            ),
            (UploadError::Busy, Dialect::Tus, (423, None)),
            // What does not pass.
            (UploadError::Unknown, Dialect::Tus, (404, None)),
            (UploadError::Ended(disk()), Dialect::Tus, (410, None)),
            (UploadError::NotWritable(disk()), draft, (503, Some("5"))),
            (UploadError::Uncertain(disk()), draft, (503, Some("5"))),
        ] {
            let case = format!("{error:?}, {dialect:?}");
            let response = not_inspected(error, dialect).into_response();
            let after = response.headers().get("retry-after");
            let after = after.map(|value| value.to_str().expect("digits"));
            assert_eq!((response.status().as_u16(), after), expected, "{case}");
        }
    }
}
