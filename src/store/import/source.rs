//! What is imported, read at any place, and whether it is still what it was: a file, or several one behind the other as
//! if they were one.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::error::ImportError;
use crate::chunk::{MediaType, PROBE_BYTES, ReadAt, probe_media};

/// Open files, as they were when they were opened.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Each with where it ends in the whole.
    files: Vec<(File, u64)>,
    pub(super) bytes: u64,
    /// When it was changed last, in ns since 1970 by the file system's clock, or what several such times make: only
    /// ever compared.
    pub(super) changed_ns: i64,
}

/// The time of a file's last change of any kind. That of its bytes can be set, and copies are given their original's.
fn changed_ns(metadata: &Metadata) -> i64 {
    let seconds = metadata.ctime().wrapping_mul(1_000_000_000);
    seconds.wrapping_add(metadata.ctime_nsec())
}

/// The size of files one behind the other, and when they were changed.
fn measure<'a>(files: impl Iterator<Item = &'a File>) -> Result<(u64, i64), ImportError> {
    let (mut bytes, mut changed) = (0, 0i64);
    for file in files {
        let metadata = file.metadata().map_err(ImportError::Source)?;
        if !metadata.is_file() {
            return Err(ImportError::NotAFile);
        }
        bytes += metadata.len();
        // Of one file its own time.
        changed = changed.wrapping_mul(31).wrapping_add(changed_ns(&metadata));
    }
    Ok((bytes, changed))
}

impl SourceFile {
    /// Takes regular files, in their order; anything else may have no end.
    pub(super) fn new(files: Vec<File>) -> Result<Self, ImportError> {
        let (bytes, changed_ns) = measure(files.iter())?;
        let mut end = 0;
        let mut placed = Vec::with_capacity(files.len());
        for file in files {
            end += file.metadata().map_err(ImportError::Source)?.len();
            placed.push((file, end));
        }
        Ok(Self {
            files: placed,
            bytes,
            changed_ns,
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

    /// Fails if somebody wrote to it since it was opened, or changed what is known of it: its links, owner, rights.
    pub(super) fn check_unchanged(&self) -> Result<(), ImportError> {
        let now = measure(self.files.iter().map(|(file, _)| file))?;
        if now == (self.bytes, self.changed_ns) {
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
        let (mut buffer, mut offset) = (buffer, offset);
        let mut start = 0;
        for (file, end) in &self.files {
            if offset < *end && !buffer.is_empty() {
                let count = buffer
                    .len()
                    .min(usize::try_from(end - offset).unwrap_or(usize::MAX));
                let (here, rest) = std::mem::take(&mut buffer).split_at_mut(count);
                file.read_exact_at(here, offset - start)?;
                (buffer, offset) = (rest, *end);
            }
            start = *end;
        }
        if buffer.is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
