//! The file that is imported, read at any place, and whether it is still the one that it was.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::error::ImportError;
use crate::chunk::{MediaType, PROBE_BYTES, ReadAt, probe_media};

/// An open file, as it was when it was opened.
#[derive(Debug)]
pub(super) struct SourceFile {
    file: File,
    pub(super) bytes: u64,
    /// When it was changed last, in ns since 1970 by the file system's clock: only ever compared.
    pub(super) changed_ns: i64,
}

fn changed_ns(metadata: &Metadata) -> i64 {
    let seconds = metadata.mtime().wrapping_mul(1_000_000_000);
    seconds.wrapping_add(metadata.mtime_nsec())
}

impl SourceFile {
    /// Takes a regular file; anything else may have no end.
    pub(super) fn new(file: File) -> Result<Self, ImportError> {
        let metadata = file.metadata().map_err(ImportError::Source)?;
        if !metadata.is_file() {
            return Err(ImportError::NotAFile);
        }
        Ok(Self {
            bytes: metadata.len(),
            changed_ns: changed_ns(&metadata),
            file,
        })
    }

    /// What its first bytes say that it is.
    pub(super) fn media(&self) -> Result<Option<MediaType>, ImportError> {
        let count = self.bytes.min(PROBE_BYTES as u64) as usize;
        let mut first = [0; PROBE_BYTES];
        self.read_exact_at(&mut first[..count], 0)
            .map_err(ImportError::from_source)?;
        Ok(probe_media(&first[..count]))
    }

    /// Fails if somebody wrote to it since it was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), ImportError> {
        let now = self.file.metadata().map_err(ImportError::Source)?;
        if (now.len(), changed_ns(&now)) == (self.bytes, self.changed_ns) {
            Ok(())
        } else {
            Err(ImportError::Changed)
        }
    }
}

impl ImportError {
    /// The file could not be read.
    pub(super) fn from_source(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Changed
        } else {
            Self::Source(error)
        }
    }
}

impl ReadAt for SourceFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}
