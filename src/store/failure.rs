//! What an error of the disk or the index means for the recording.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use super::error::is_disk_full;
use super::file_system::FolderSyncError;
use super::journal::CommitError;
use super::log_files::AppendError;
use super::reel_writer::is_full;
use super::status::GapReason;

/// What a failure means for the recording.
#[derive(Debug)]
pub(super) enum Failure {
    /// This segment breaks the recording's rules.
    Refused(&'static str),
    /// The disk refuses for now.
    Pause(GapReason, String),
    /// Nobody knows what the disk holds.
    Poison(String),
}

/// A file or folder could not be written.
pub(super) fn write_failed(path: &Path, error: &io::Error) -> Failure {
    if is_full(error) {
        let reason = format!("disk full: {}: {error}; free some space", path.display());
        Failure::Pause(GapReason::DiskFull, reason)
    } else {
        let reason = format!("{}: {error}; check the disk", path.display());
        Failure::Pause(GapReason::DiskFailed, reason)
    }
}

/// What a file or folder holds is uncertain.
pub(super) fn sync_failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Poison(format!(
        "{}: sync failed: {error}; check the disk, then start perch again",
        path.display()
    ))
}

/// The names in a folder are not durable.
pub(super) fn folder_sync_failed(path: &Path, error: &FolderSyncError) -> Failure {
    match error {
        FolderSyncError::NotOpened(cause) => write_failed(path, cause),
        FolderSyncError::NotSynced(cause) => sync_failed(path, cause),
    }
}

/// A file that is only appended to could not be.
pub(super) fn append_failed(error: &AppendError) -> Failure {
    match error {
        AppendError::Write(path, cause) => write_failed(path, cause),
        AppendError::Sync(path, cause) => sync_failed(path, cause),
    }
}

/// A new reel could not be made.
pub(super) fn create_failed(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        Failure::Poison(format!(
            "{}: a reel is there that the index does not know, as if the index were from an older backup; \
             put the newest index back or move the reel away, then start perch again",
            path.display()
        ))
    } else {
        write_failed(path, error)
    }
}

/// A change of the index did not come about.
pub(super) fn commit_failed(error: &CommitError) -> Failure {
    match error {
        CommitError::Index(error) => index_failed(error),
        CommitError::Journal(error) => append_failed(error),
    }
}

/// A transaction failed.
pub(super) fn index_failed(error: &rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        _ if is_disk_full(error) => Failure::Pause(
            GapReason::DiskFull,
            format!("disk full: index: {error}; free some space"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Pause(
            GapReason::DiskFailed,
            format!("index: {error}; another program holds db/index.db, close it"),
        ),
        _ => Failure::Poison(format!(
            "index: {error}; check the disk, then start perch again"
        )),
    }
}
