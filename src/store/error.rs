//! What can go wrong with a data directory, told apart by what the person or caller does next.

use std::io;
use std::path::{Path, PathBuf};

use super::journal::CommitError;
use crate::base::CameraId;
use crate::chunk::ItemName;
use crate::media::RenditionId;

/// The data directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process records there.
    #[error(
        "data directory {0}: another perch process is using it; stop that one or choose another with --data"
    )]
    InUse(PathBuf),
    /// This process may not write there.
    #[error(
        "data directory {path}: not writable ({cause}); mount it read-write and give perch's user the right \
         to write, or choose another with --data"
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// No space for even the index.
    #[error(
        "data directory {0}: the disk is full; free some space or choose another disk with --data"
    )]
    DiskFull(PathBuf),
    /// A newer perch wrote it.
    #[error(
        "data directory {path}: written by a newer perch (index version {found}, this one knows {known}); \
         install that version again, or choose another directory with --data"
    )]
    NewerVersion {
        /// The directory.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// Nothing was ever recorded there.
    #[error("data directory {0}: nothing is recorded there; name the right one with --data")]
    NothingRecorded(PathBuf),
    /// An older perch wrote it, and reading alone does not change it.
    #[error(
        "data directory {0}: written by an older perch; `perch run` brings it up to date when it starts there"
    )]
    OlderVersion(PathBuf),
    /// There are recordings but no index of them.
    #[error(
        "data directory {0}: there are recordings in reel/ or imports in pack/ but db/index.db is missing; `perch store \
         rebuild` makes it again, or choose another directory with --data"
    )]
    IndexMissing(PathBuf),
    /// The recordings go on beyond what the index knows, further than a crash can explain.
    #[error(
        "data directory {path}: reel/ holds {segments} segments of camera {camera} ({rendition}) that db/index.db does \
         not know, as if the index were from an older backup; put the newest index back, let `perch store rebuild` make \
         it again, or choose another directory with --data; nothing was removed"
    )]
    IndexOutdated {
        /// The directory.
        path: PathBuf,
        /// Whose recordings they are.
        camera: CameraId,
        /// Which rendition.
        rendition: RenditionId,
        /// How many whole segments have no row.
        segments: usize,
    },
    /// There are imports that the index does not know, which no crash leaves.
    #[error(
        "data directory {path}: pack/ holds {packs} packs with imports that db/index.db does not know, as if the index \
         were from an older backup; put the newest index back, let `perch store rebuild` make it again, or choose \
         another directory with --data; nothing was removed"
    )]
    ImportsUnknown {
        /// The directory.
        path: PathBuf,
        /// How many packs hold them.
        packs: usize,
    },
    /// There is a newer journal than the index knows.
    #[error(
        "data directory {path}: {journal} goes on where db/index.db does not know of it, as if the index were from an \
         older backup; put the newest index back, let `perch store rebuild` make it again, or choose another directory \
         with --data; nothing was removed"
    )]
    JournalUnknown {
        /// The directory.
        path: PathBuf,
        /// The journal.
        journal: PathBuf,
    },
    /// The index is some other file, or damaged.
    #[error(
        "data directory {path}: db/index.db is damaged or not perch's ({cause}); `perch store rebuild` makes it \
         again, or choose another directory with --data; the recordings in reel/ are untouched"
    )]
    IndexDamaged {
        /// The directory.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// Anything else that the operating system refuses.
    #[error(
        "data directory {path}: {cause}; check the path and the disk, or choose another with --data"
    )]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

impl OpenError {
    /// Sorts an operating system's error by what there is to do.
    pub(super) fn from_io(path: &Path, cause: io::Error) -> Self {
        let path = path.to_owned();
        match cause.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::NotWritable { path, cause }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(path),
            _ => Self::Io { path, cause },
        }
    }

    /// Sorts what kept a change of the index from coming about.
    pub(super) fn from_commit(path: &Path, cause: CommitError) -> Self {
        match cause {
            CommitError::Index(error) => Self::from_sqlite(path, &error),
            CommitError::Journal(error) => Self::from_io(path, error.into()),
        }
    }

    /// Sorts an error of the index by what there is to do.
    pub(super) fn from_sqlite(path: &Path, cause: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let owned = path.to_owned();
        match cause.sqlite_error_code() {
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::NotWritable {
                path: owned,
                cause: io::Error::other(cause.to_string()),
            },
            _ if is_disk_full(cause) => Self::DiskFull(owned),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::IndexDamaged {
                path: owned,
                cause: cause.to_string(),
            },
            _ => Self::Io {
                path: owned,
                cause: io::Error::other(cause.to_string()),
            },
        }
    }
}

/// Whether the index has no room to grow. A log's shared memory that cannot grow is reported as an I/O error of its
/// own (SQLITE_IOERR_SHMSIZE), though nothing is damaged.
pub(super) fn is_disk_full(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return false;
    };
    failure.code == rusqlite::ErrorCode::DiskFull
        || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
}

/// Whether the index's file or folder could not be synced: nobody knows what the disk holds of it.
pub(super) fn is_failed_sync(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return false;
    };
    matches!(
        failure.extended_code,
        SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC
    )
}

/// A recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The range ends before it begins, or where it begins.
    #[error("the range ends at or before its start; ask for `to` later than `from`")]
    RangeBackwards,
    /// The range holds more than one answer should.
    #[error("the range holds more than {0} segments of one rendition; ask for a shorter one")]
    RangeTooLong(usize),
    /// A committed segment's bytes are not what they were.
    #[error("{path}: {what} at byte {offset}; the disk may be failing, check it and its cable")]
    Damaged {
        /// The reel.
        path: PathBuf,
        /// Where the segment starts.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Bytes of an imported file are known not to be what they were.
    #[error(
        "{name}: bytes {from} to {to} are damaged on the disk; import the same file again to mend it, and check the disk"
    )]
    ItemDamaged {
        /// What people call it.
        name: ItemName,
        /// The first byte of the chunk.
        from: u64,
        /// The first byte behind it.
        to: u64,
    },
    /// The operating system refuses to read a reel.
    #[error("{path}: {cause}; check the disk")]
    Io {
        /// The reel.
        path: PathBuf,
        /// What it said.
        cause: io::Error,
    },
    /// The index cannot be read.
    #[error("index of recordings: {0}; check the disk")]
    Index(#[from] rusqlite::Error),
}

/// A clip cannot be made or removed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// It would end before it starts, or where it starts.
    #[error("the clip ends at or before its start; ask for `to` later than `from`")]
    RangeBackwards,
    /// It would hold what is not recorded yet.
    #[error("the clip ends in the future; what is not recorded yet cannot be kept")]
    InTheFuture,
    /// It would be longer than what can be played or saved at once, in hours.
    #[error("a clip is at most {0} hours long; keep a longer stretch as several clips")]
    TooLong(i64),
    /// The name is too long or no line of text.
    #[error("`name` is one line of at most 200 characters")]
    InvalidName,
    /// Nothing is there to be kept.
    #[error("nothing of this camera is recorded in this range")]
    NothingRecorded,
    /// The disk takes no change at the moment.
    #[error("the recordings' index takes no change at the moment: {0}")]
    NotWritable(String),
}

impl From<rusqlite::Error> for ClipError {
    fn from(error: rusqlite::Error) -> Self {
        Self::NotWritable(error.to_string())
    }
}

impl From<CommitError> for ClipError {
    fn from(error: CommitError) -> Self {
        Self::NotWritable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_disk_tells_what_to_do() {
        let path = Path::new("/data");
        for (errno, hint) in [
            (nix::errno::Errno::EROFS, "mount it read-write"),
            (nix::errno::Errno::EACCES, "the right"),
            (nix::errno::Errno::EPERM, "the right"),
            (nix::errno::Errno::ENOSPC, "free some space"),
            (nix::errno::Errno::EDQUOT, "free some space"),
            (nix::errno::Errno::EIO, "check the path and the disk"),
        ] {
            let message = OpenError::from_io(path, errno.into()).to_string();
            assert!(message.starts_with("data directory /data: "), "{message}");
            assert!(message.contains(hint), "{message}");
        }
    }
}
