//! Disk space set aside beside the index. On a full disk even deleting needs room, for the index notes what goes
//! before it is gone; then the ballast is given up, and taken on again once there is room.

use std::io;
use std::path::{Path, PathBuf};

use super::file_system::FileSystem;

/// The file. It outlives the process: what an earlier one left counts, be it whole or cut short by a full disk.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    bytes: u64,
    /// All of it was set aside since this process began, or found to be.
    is_whole: bool,
}

impl Ballast {
    /// Ballast of `bytes` below the data directory, as far as there is any.
    pub(super) fn new(dir: &Path, bytes: u64) -> Self {
        Self {
            path: dir.join("db/ballast"),
            bytes,
            is_whole: false,
        }
    }

    /// Sets the space aside, as far as it is not already. A disk without room for it is not the moment.
    pub(super) fn take_on(&mut self, files: &dyn FileSystem) {
        if self.is_whole || self.bytes == 0 {
            return;
        }
        match self.reserve(files) {
            Ok(()) => self.is_whole = true,
            Err(error) => {
                tracing::debug!(path = %self.path.display(), %error, "no ballast");
                let _ = self.remove(files);
            }
        }
    }

    fn reserve(&self, files: &dyn FileSystem) -> io::Result<()> {
        let mut file = match files.create_file(&self.path) {
            // An earlier process's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                files.open_file(&self.path)?
            }
            made => made?,
        };
        file.reserve(0, self.bytes)
    }

    /// Gives the space up. Returns whether there was any.
    pub(super) fn give_up(&mut self, files: &dyn FileSystem) -> bool {
        self.is_whole = false;
        self.remove(files).is_ok()
    }

    fn remove(&self, files: &dyn FileSystem) -> io::Result<()> {
        files.remove_file(&self.path)
    }
}
