//! What can go wrong with an upload, told apart by what its client does next.

use std::io;

use crate::store::error::{is_disk_full, is_failed_sync};
use crate::store::reel_writer::is_full;
use crate::upload::Refusal;

/// An upload cannot be begun, added to or removed. What was acknowledged of it before stays, unless this says
/// otherwise.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// No upload has this name, or it was removed meanwhile.
    #[error("there is no such upload; it expired, was removed or never was")]
    Unknown,
    /// The client asks for what the protocol does not allow.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk has no room for it.
    #[error("the disk has no room for this upload: {0}")]
    DiskFull(String),
    /// Too many uploads are under way.
    #[error("{0} uploads are under way already; finish or remove some")]
    TooMany(u64),
    /// Another request adds to this upload and does not end.
    #[error("another request adds to this upload and does not end; try again")]
    Busy,
    /// A newer request took the upload over.
    #[error("another request goes on with this upload")]
    TakenOver,
    /// It is a part of a file that is being made.
    #[error("the upload is part of a file that is being made, or being imported")]
    InUse,
    /// Nobody knows what the disk kept of it, so it was given up.
    #[error("the disk failed ({0}); the upload was given up, begin it again")]
    GivenUp(String),
    /// It was not taken, or given up earlier.
    #[error("the upload was not taken: {0}; begin another one")]
    Ended(String),
    /// A sync of the index failed: nobody knows what it holds until the next start.
    #[error("nothing can be uploaded: {0}")]
    Uncertain(String),
    /// The disk takes no change at the moment.
    #[error("nothing can be uploaded at the moment: {0}")]
    NotWritable(String),
}

impl UploadError {
    /// Sorts an error of the disk.
    pub(super) fn from_io(error: &io::Error) -> Self {
        if is_full(error) {
            Self::DiskFull("free some space".to_owned())
        } else {
            Self::NotWritable(format!("{error}; check the disk"))
        }
    }
}

impl From<rusqlite::Error> for UploadError {
    fn from(error: rusqlite::Error) -> Self {
        if is_disk_full(&error) {
            Self::DiskFull("free some space".to_owned())
        } else if is_failed_sync(&error) {
            Self::Uncertain(format!(
                "index: {error}; check the disk, then start perch again"
            ))
        } else {
            Self::NotWritable(error.to_string())
        }
    }
}
