//! One pack being appended to. Keeps the file's rules (format, size, reserved space); what goes in, and when it is
//! named by rows, is the caller's decision.

use std::io;
use std::path::{Path, PathBuf};

use super::DIGEST_KIND;
use super::error::ImportError;
use super::stage::Stage;
use super::{PACK_FOLDER, pack_path, random_name};
use crate::chunk::{PACK_BYTES_MAX, PackHeader, PackId, RecordHeader, RecordKind};
use crate::store::file_system::{FileSystem, StoredFile};
use crate::store::reel_writer::is_full;

/// Disk space is set aside in such steps: few extents, little waste.
const RESERVE_BYTES: u64 = 8 << 20;

/// An open pack. What lies before `committed` has rows; what lies behind it has none yet, and goes if none come.
#[derive(Debug)]
pub(super) struct PackWriter {
    /// Its row's key, once it has one.
    pub(super) row: Option<i64>,
    pub(super) header: PackHeader,
    file: Box<dyn StoredFile>,
    path: PathBuf,
    committed: u64,
    end: u64,
    /// What the file does not have yet of what lies before `end`.
    stage: Stage,
    reserved: u64,
    /// The disk refused something for another reason than that it is full.
    failed: bool,
}

impl PackWriter {
    /// Makes a pack's file with nothing in it, in the folder of packs, which must be there. One that could not be
    /// begun is removed again, at the next start at the latest.
    pub(super) fn create(files: &dyn FileSystem, dir: &Path) -> Result<Self, ImportError> {
        let folder = dir.join(PACK_FOLDER);
        let io = |error| ImportError::from_disk(&folder, &error);
        let header = PackHeader {
            id: PackId(random_name().map_err(io)?),
            digest_kind: DIGEST_KIND,
        };
        let path = pack_path(dir, header.id);
        let mut pack = Self {
            row: None,
            header,
            file: files.create_file(&path).map_err(io)?,
            path,
            committed: 0,
            end: 0,
            stage: Stage::new(0),
            reserved: 0,
            failed: false,
        };
        if let Err(error) = pack.push(&[&header.encode()], 0) {
            pack.abandon(files);
            return Err(error);
        }
        Ok(pack)
    }

    /// Goes on with a pack whose file ends at `committed`.
    pub(super) fn reopen(
        row: i64,
        header: PackHeader,
        file: Box<dyn StoredFile>,
        path: PathBuf,
        committed: u64,
    ) -> Self {
        Self {
            row: Some(row),
            header,
            file,
            path,
            committed,
            end: committed,
            stage: Stage::new(committed),
            reserved: committed,
            failed: false,
        }
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether records with payloads of these sizes still fit, one after the other.
    pub(super) fn has_room(&self, payloads: impl IntoIterator<Item = u32>) -> bool {
        let mut end = self.end;
        payloads.into_iter().all(|payload| {
            let fits = self.header.has_room(end, payload);
            end += record_bytes(payload);
            fits
        })
    }

    /// Appends a record, to be made durable later. Returns its offset. After an error only [`Self::roll_back`] is of use.
    pub(super) fn append(
        &mut self,
        record: &RecordHeader,
        payload: &[u8],
    ) -> Result<u64, ImportError> {
        let offset = self.end;
        let header = record.encode(self.header.id, offset);
        // They are all that comes for now, on a disk that may be full.
        let ahead = match record.kind {
            RecordKind::Tombstones => 0,
            _ => RESERVE_BYTES,
        };
        self.push(&[&header, payload, record.padding()], ahead)?;
        Ok(offset)
    }

    /// Sets `ahead` bytes aside where it needs any.
    fn push(&mut self, pieces: &[&[u8]], ahead: u64) -> Result<(), ImportError> {
        let bytes: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        let end = self.end + bytes;
        let mut push = || {
            if end > self.reserved {
                let room = PACK_BYTES_MAX.saturating_sub(self.reserved);
                let step = ahead.min(room).max(end - self.reserved);
                self.file.reserve(self.reserved, step)?;
                self.reserved += step;
            }
            let mut pieces = pieces.iter();
            pieces.try_for_each(|piece| self.stage.push(piece, &mut *self.file))
        };
        let pushed = push();
        pushed.map_err(|error| self.fail(&error))?;
        self.end = end;
        Ok(())
    }

    /// Hands what was appended to the disk, without waiting for it to be durable.
    fn write_out(&mut self) -> Result<(), ImportError> {
        let written = self.stage.write_out(&mut *self.file);
        written.map_err(|error| self.fail(&error))
    }

    /// Makes what was appended durable, and the file's name. After an error nobody knows what is.
    pub(super) fn sync(&mut self, files: &dyn FileSystem) -> Result<(), ImportError> {
        self.write_out()?;
        let synced = self.file.sync();
        // Even where the disk is only full, nobody knows what a failed sync has kept.
        self.failed |= synced.is_err();
        synced.map_err(|error| self.fail(&error))?;
        if self.row.is_none()
            && let Some(folder) = self.path.parent()
        {
            let synced = files.sync_folder(folder);
            self.failed |= synced.is_err();
            synced.map_err(|error| ImportError::from_folder(folder, error))?;
        }
        Ok(())
    }

    /// Has the system forget what it holds of it in memory, once it takes nothing more.
    pub(super) fn let_go(&self) {
        self.file.let_go();
    }

    fn fail(&mut self, error: &io::Error) -> ImportError {
        // Nor has the disk refused what there was no memory for.
        self.failed |= !is_full(error) && error.kind() != io::ErrorKind::OutOfMemory;
        ImportError::from_disk(&self.path, error)
    }

    /// Rows name all that was appended.
    pub(super) fn note_committed(&mut self, row: i64) {
        self.row = Some(row);
        self.committed = self.end;
    }

    /// Gives the space back that was set aside.
    pub(super) fn trim(&mut self) -> Result<(), ImportError> {
        self.write_out()?;
        if self.reserved > self.end {
            let trimmed = self.file.truncate(self.end);
            trimmed.map_err(|error| ImportError::from_disk(&self.path, &error))?;
            self.reserved = self.end;
        }
        Ok(())
    }

    /// Takes back what has no rows. Returns whether the pack can be gone on with: one without any row is removed.
    pub(super) fn roll_back(&mut self, files: &dyn FileSystem) -> bool {
        if self.row.is_none() {
            self.abandon(files);
            return false;
        }
        (self.end, self.reserved) = (self.committed, self.committed);
        self.stage = Stage::new(self.committed);
        if self.file.truncate(self.committed).is_err() {
            return false;
        }
        // Durable before the rows of what it held can go: what came back would look like a newer index's. What is
        // committed was synced before.
        self.failed |= self.file.sync().is_err_and(|error| !is_full(&error));
        !self.failed
    }

    fn abandon(&self, files: &dyn FileSystem) {
        let folder = self.path.parent().unwrap_or(&self.path);
        let removed = files.remove_file(&self.path);
        if let Err(error) = removed.and_then(|()| Ok(files.sync_folder(folder)?)) {
            tracing::debug!(path = %self.path.display(), %error, "removed at the next start");
        }
    }
}

/// What a record with such a payload takes in a pack.
fn record_bytes(payload: u32) -> u64 {
    let header = RecordHeader::bytes_count(DIGEST_KIND) as u64;
    (header + u64::from(payload)).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use nix::errno::Errno;

    use super::super::pass::append;
    use super::*;
    use crate::chunk::ReadAt;

    /// A file on a disk that has 64 KiB left.
    #[derive(Debug)]
    struct Narrow;

    impl ReadAt for Narrow {
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            unreachable!("nothing is read back")
        }
    }

    impl StoredFile for Narrow {
        fn write_at(&mut self, pieces: &[IoSlice<'_>], _: u64) -> io::Result<usize> {
            Ok(pieces.iter().map(|piece| piece.len()).sum())
        }
        fn reserve(&mut self, _: u64, bytes: u64) -> io::Result<()> {
            match bytes {
                0..=0x1_0000 => Ok(()),
                _ => Err(Errno::ENOSPC.into()),
            }
        }
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn truncate(&mut self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn punch(&mut self, _: u64, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn size(&self) -> io::Result<u64> {
            Ok(PackHeader::BYTES as u64)
        }
    }

    #[test]
    fn tombstones_take_no_more_room_than_they_need() {
        let header = PackHeader {
            id: PackId([7; 16]),
            digest_kind: DIGEST_KIND,
        };
        let end = PackHeader::BYTES as u64;
        let mut pack = PackWriter::reopen(1, header, Box::new(Narrow), PathBuf::new(), end);
        append(&mut pack, RecordKind::Tombstones, &[0; 240]).unwrap();
        pack.trim().unwrap();
        let refused = append(&mut pack, RecordKind::Chunk, &[0; 240]);
        assert!(matches!(refused, Err(ImportError::DiskFull(_))));
    }
}
