//! What is imported, read at any place, and whether it is still what it was: a file, or several one behind the other as
//! if they were one.

use std::fs::File;
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
    /// When it was changed last in any way, in ns since 1970 by the file system's clock, or what several such times
    /// make: only ever compared. Tells it from others: nobody can set it, while copies are given the time of their
    /// original's bytes.
    pub(super) changed_ns: i64,
    /// The same of its bytes: who only links or moves the open file has not changed it.
    written_ns: i64,
}

/// The size of files one behind the other, when they were changed in any way, and when their bytes were.
fn measure<'a>(files: impl Iterator<Item = &'a File>) -> Result<(u64, i64, i64), ImportError> {
    // Of one file its own time.
    let add = |times: i64, (seconds, nanoseconds): (i64, i64)| {
        let time = seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(nanoseconds);
        times.wrapping_mul(31).wrapping_add(time)
    };
    let (mut bytes, mut changed, mut written) = (0, 0, 0);
    for file in files {
        let metadata = file.metadata().map_err(ImportError::Source)?;
        if !metadata.is_file() {
            return Err(ImportError::NotAFile);
        }
        bytes += metadata.len();
        changed = add(changed, (metadata.ctime(), metadata.ctime_nsec()));
        written = add(written, (metadata.mtime(), metadata.mtime_nsec()));
    }
    Ok((bytes, changed, written))
}

impl SourceFile {
    /// Takes regular files, in their order; anything else may have no end.
    pub(super) fn new(files: Vec<File>) -> Result<Self, ImportError> {
        let (bytes, changed_ns, written_ns) = measure(files.iter())?;
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
            written_ns,
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
        let (bytes, _, written_ns) = measure(self.files.iter().map(|(file, _)| file))?;
        if (bytes, written_ns) == (self.bytes, self.written_ns) {
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
