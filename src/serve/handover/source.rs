//! A file that is handed over: told from others, read in pieces, and watched for changes meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use axum::body::Bytes;

use super::error::HandOverError;
use crate::base::blake2b_256;
use crate::store::ImportError;

/// Bytes of a request: what the appliance makes durable in two steps, and still reads after a refusal.
const PIECE_BYTES: u64 = 8 << 20;
/// How much of a file's beginning and of its end tell it from others.
const MARKED_BYTES: u64 = 64 << 10;

/// The file, which is not to change meanwhile.
pub(super) struct Source {
    file: File,
    pub(super) bytes: u64,
    /// When it was changed last in any way, in seconds and nanoseconds, which nobody can set.
    changed: (i64, i64),
    /// When its bytes were.
    written: (i64, i64),
}

impl Source {
    pub(super) fn new(file: File) -> Result<Self, HandOverError> {
        let found = file.metadata().map_err(unreadable)?;
        Ok(Self {
            bytes: found.len(),
            changed: (found.ctime(), found.ctime_nsec()),
            written: (found.mtime(), found.mtime_nsec()),
            file,
        })
    }

    /// Tells this file, as it is now, from others: 64 hexadecimal digits of its size, its time of change, its beginning
    /// and its end.
    pub(super) fn mark(&self) -> Result<String, HandOverError> {
        let edge = MARKED_BYTES.min(self.bytes);
        let (start, end) = (self.read(0, edge)?, self.read(self.bytes - edge, edge)?);
        let (seconds, nanoseconds) = self.changed;
        let digest = blake2b_256([
            &self.bytes.to_le_bytes()[..],
            &seconds.to_le_bytes(),
            &nanoseconds.to_le_bytes(),
            &start,
            &end,
        ]);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The bytes from `at` on, at most [`PIECE_BYTES`].
    pub(super) fn piece(&self, at: u64) -> Result<Bytes, HandOverError> {
        let piece = self.read(at, PIECE_BYTES.min(self.bytes - at))?;
        let found = self.file.metadata().map_err(unreadable)?;
        let written = (found.mtime(), found.mtime_nsec());
        // Who only links or moves it meanwhile has not changed it.
        if (found.len(), written) != (self.bytes, self.written) {
            return Err(HandOverError::Changed(ImportError::Changed));
        }
        Ok(piece.into())
    }

    fn read(&self, at: u64, count: u64) -> Result<Vec<u8>, HandOverError> {
        let mut bytes = vec![0; count as usize];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(HandOverError::Changed(ImportError::Changed))
            }
            Err(error) => Err(unreadable(error)),
        }
    }
}

fn unreadable(error: io::Error) -> HandOverError {
    HandOverError::Source(ImportError::Source(error))
}
