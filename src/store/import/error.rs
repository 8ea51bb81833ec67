//! Why a file is not imported, told apart by what the person does next.

use std::io;
use std::path::Path;

use crate::store::ReadError;
use crate::store::failure::{Failure, index_failed};
use crate::store::file_system::FolderSyncError;
use crate::store::reel_writer::is_full;
use crate::store::status::GapReason;
use crate::store::writer::NoAnswer;

/// A file is not imported. What was imported of it so far is kept, and the next try goes on from there, except after
/// [`Self::NotAFile`], [`Self::NotMedia`] and [`Self::Changed`].
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is a folder, a device, a pipe.
    #[error("it is no regular file; name one that has an end")]
    NotAFile,
    /// Only media is taken, and it is none.
    #[error("it is no picture, film or sound that is known, and storage.accept is \"media\"")]
    NotMedia,
    /// It was written to, or cut short, while it was read.
    #[error("it changed while it was read; import it again once nothing writes to it")]
    Changed,
    /// Somebody else imports it right now.
    #[error("it is being imported already")]
    Busy,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Source(#[source] io::Error),
    /// The disk has no room for it.
    #[error("{0}")]
    DiskFull(String),
    /// The disk or the index takes no change.
    #[error("{0}")]
    NotWritable(String),
    /// Nobody knows what became of the last change; the next try goes on from whatever holds.
    #[error("the disk does not answer in time")]
    Unanswered,
    /// The index or a pack cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ImportError {
    /// A pack could not be written, or made durable.
    pub(in crate::store) fn from_disk(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        if is_full(error) {
            Self::DiskFull(format!("disk full: {text}; free some space"))
        } else {
            Self::NotWritable(format!("{text}; check the disk"))
        }
    }

    /// The names in a folder are not durable.
    pub(super) fn from_folder(path: &Path, error: FolderSyncError) -> Self {
        Self::from_disk(path, &error.into())
    }

    /// A transaction failed.
    pub(in crate::store) fn from_index(error: &rusqlite::Error) -> Self {
        match index_failed(error) {
            Failure::Pause(GapReason::DiskFull, reason) => Self::DiskFull(reason),
            Failure::Pause(_, reason) | Failure::Poison(reason) => Self::NotWritable(reason),
            Failure::Refused(reason) => Self::NotWritable(reason.to_owned()),
        }
    }
}

impl From<NoAnswer> for ImportError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::NotTaken => Self::NotWritable(no_answer.to_string()),
            NoAnswer::Unknown => Self::Unanswered,
        }
    }
}

impl From<rusqlite::Error> for ImportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.into())
    }
}
