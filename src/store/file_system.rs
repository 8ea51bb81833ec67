//! The seam between the recorder and the disk: the few file operations that recording needs.
//! SQLite does its own. Tests put a disk behind it that fills up, lies and loses power.

use std::borrow::Borrow;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{
    FallocateFlags, FcntlArg, OFlag, PosixFadviseAdvice, fallocate, fcntl, posix_fadvise,
};
use nix::sys::uio::{pwrite, pwritev};

use crate::chunk::ReadAt;

/// Linux takes no more pieces in one vectored write (UIO_MAXIOV).
const WRITE_PIECES_MAX: usize = 1024;

/// What is written past the system's cache lies at multiples of this, in memory and in the file (open(2), O_DIRECT). A
/// disk that asks for more has it written through the cache.
pub(super) const BLOCK_BYTES: usize = 4096;

/// A disk. Every method may fail with the operating system's error.
pub(super) trait FileSystem: Send + Sync + fmt::Debug {
    /// Makes a folder and those above it. Durable once the folders above are synced.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a new, empty file for writing; refuses one that exists.
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;
    /// Opens an existing file for reading and writing.
    fn open_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>>;
    /// Removes a file. Durable once the folder is synced.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder; fails if anything lies in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> Result<(), FolderSyncError>;
    /// The names of the files and folders in a folder, in no order; none if the folder does not exist.
    fn list_folder(&self, path: &Path) -> io::Result<Vec<String>>;
    /// How much room the disk under `path` has.
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
}

/// Whether an error says that the disk does not give back what was written: its own, or a file system's that has found
/// itself damaged. Anything else may be otherwise the next time.
pub(super) fn is_damage(error: &io::Error) -> bool {
    const DAMAGED: [Errno; 3] = [Errno::EIO, Errno::EBADMSG, Errno::EUCLEAN];
    let errno = error.raw_os_error().map(Errno::from_raw);
    errno.is_some_and(|errno| DAMAGED.contains(&errno))
}

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskSpace {
    /// What this process may still write.
    pub(super) free: u64,
    /// What the disk holds in all.
    pub(super) total: u64,
}

/// Why the names in a folder are not durable.
#[derive(Debug)]
pub(super) enum FolderSyncError {
    /// It could not be opened, for instance because too many files are open. Nothing was tried.
    NotOpened(io::Error),
    /// The sync failed, and nobody knows what the disk holds.
    NotSynced(io::Error),
}

impl From<FolderSyncError> for io::Error {
    fn from(error: FolderSyncError) -> Self {
        match error {
            FolderSyncError::NotOpened(cause) | FolderSyncError::NotSynced(cause) => cause,
        }
    }
}

/// An open file. Dropping it closes it without syncing.
pub(super) trait StoredFile: ReadAt + Send + fmt::Debug {
    /// Writes pieces one after the other at `offset`; may write less than asked. Returns the bytes written.
    fn write_at(&mut self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// The same for whole blocks at multiples of [`BLOCK_BYTES`] that will hardly be read soon: past the system's cache,
    /// which would only copy them, and give up for them what others read. Where the file system has no such way they go
    /// as all others do.
    fn write_blocks_at(&mut self, blocks: &[u8], offset: u64) -> io::Result<usize> {
        self.write_at(&[IoSlice::new(blocks)], offset)
    }
    /// Sets disk space aside without changing the size. A file system that cannot is no failure.
    fn reserve(&mut self, offset: u64, bytes: u64) -> io::Result<()>;
    /// Makes everything written so far durable, and the size with it.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file, and gives back what was reserved beyond.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
    /// Gives the disk space of a range back, which reads as zeros from then on; the size stays. A file system that
    /// cannot is no failure.
    fn punch(&mut self, offset: u64, bytes: u64) -> io::Result<()>;
    /// The size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Has the system forget what it holds of the file in memory: a hint, for a file that is synced and will hardly be
    /// read soon. What others read stays in memory then, and so does what is written next.
    fn let_go(&self) {}
}

/// The machine's own disks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RealFileSystem;

impl FileSystem for RealFileSystem {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn open_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> Result<(), FolderSyncError> {
        let folder = File::open(path).map_err(FolderSyncError::NotOpened)?;
        folder.sync_all().map_err(FolderSyncError::NotSynced)
    }

    fn list_folder(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        let stat = nix::sys::statvfs::statvfs(path)?;
        // The types are narrower on 32-bit boards.
        #[allow(clippy::unnecessary_cast)]
        let bytes = |blocks| blocks as u64 * stat.fragment_size() as u64;
        Ok(DiskSpace {
            free: bytes(stat.blocks_available()),
            total: bytes(stat.blocks()),
        })
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// The file system has not refused to write past the cache.
    past_cache: bool,
}

impl RealFile {
    fn new(file: File) -> Self {
        let past_cache = true;
        Self { file, past_cache }
    }

    fn set_past_cache(&self, past_cache: bool) -> nix::Result<()> {
        let flags = if past_cache {
            OFlag::O_DIRECT
        } else {
            OFlag::empty()
        };
        fcntl(&self.file, FcntlArg::F_SETFL(flags)).map(|_| ())
    }
}

impl ReadAt for RealFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.file, buffer, offset)
    }
}

impl StoredFile for RealFile {
    fn write_at(&mut self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let pieces = &pieces[..pieces.len().min(WRITE_PIECES_MAX)];
        Ok(pwritev(&self.file, pieces, offset as i64)?)
    }

    fn write_blocks_at(&mut self, blocks: &[u8], offset: u64) -> io::Result<usize> {
        if self.past_cache {
            let written = self
                .set_past_cache(true)
                .and_then(|()| pwrite(&self.file, blocks, offset as i64));
            // What comes next may be no whole blocks.
            self.set_past_cache(false)?;
            // Refused by some file systems at the one place, by some at the other.
            if written != Err(Errno::EINVAL) {
                return Ok(written?);
            }
            self.past_cache = false;
        }
        self.write_at(&[IoSlice::new(blocks)], offset)
    }

    fn reserve(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        allocate(
            &self.file,
            FallocateFlags::FALLOC_FL_KEEP_SIZE,
            offset,
            bytes,
        )
    }

    fn punch(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        allocate(&self.file, flags, offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn let_go(&self) {
        // Zero bytes are all of them (posix_fadvise(2)). One that is not taken costs memory that can be taken back.
        let _ = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

/// A file system that knows no such thing goes on without.
fn allocate(file: &File, flags: FallocateFlags, offset: u64, bytes: u64) -> io::Result<()> {
    match fallocate(file, flags, offset as i64, bytes as i64) {
        Err(nix::errno::Errno::EOPNOTSUPP | nix::errno::Errno::ENOSYS) => Ok(()),
        other => Ok(other?),
    }
}

/// Writes all of `pieces` at `offset`, however little the disk takes at a time.
pub(super) fn write_all_at(
    file: &mut dyn StoredFile,
    pieces: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    let mut rest = pieces;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_at(rest, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                offset += count as u64;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file that is only read.
pub(super) struct ReadFile<F = File>(pub(super) F);

impl<F: Borrow<File>> ReadAt for ReadFile<F> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self.0.borrow(), buffer, offset)
    }
}

/// Fills `buffer` as far as the file goes; how far that is.
pub(super) fn read_up_to(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match FileExt::read_at(file, &mut buffer[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Lets the system drop what it holds of a file in memory, so that it is the disk that is read next. One that does not is
/// no failure.
pub(super) fn forget_cached(path: &Path) {
    if let Ok(file) = File::open(path) {
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn blocks_and_loose_bytes_make_one_file_whichever_way_they_went() {
        // The second lies in memory, where not every kernel knows a way past the cache.
        for within in [std::env::temp_dir().as_path(), Path::new("/dev/shm")] {
            let folder = tempfile::tempdir_in(within).expect("a folder");
            let path = folder.path().join("blocks");
            let options = || {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .clone()
            };
            let knows_a_way = options()
                .custom_flags(OFlag::O_DIRECT.bits())
                .open(&path)
                .is_ok();
            let mut file = RealFile::new(options().open(&path).expect("opened"));
            let mut blocks = memmap2::MmapMut::map_anon(4 * BLOCK_BYTES).expect("memory");
            blocks.fill(1);
            let count = file.write_blocks_at(&blocks, 0).expect("written");
            assert_eq!(count, blocks.len());
            assert_eq!(file.past_cache, knows_a_way);
            let flags = fcntl(&file.file, FcntlArg::F_GETFL).expect("flags");
            assert!(!OFlag::from_bits_truncate(flags).contains(OFlag::O_DIRECT));
            let end = blocks.len() as u64;
            write_all_at(&mut file, &mut [IoSlice::new(b"loose")], end).expect("written");
            file.sync().expect("durable");
            // Not at a block, which a file system may refuse; all goes well nevertheless.
            let count = file
                .write_blocks_at(&blocks[1..7], end + 5)
                .expect("written");
            assert_eq!(count, 6);
            let found = fs::read(&path).expect("read");
            assert_eq!(found, [&blocks[..], b"loose", &[1; 6]].concat());
        }
    }
}
