//! Files that no row names any more, on their way out. The transaction that forgets them notes their paths; they are
//! removed and their folders synced before the notes go. A crash in between leaves the notes, and the next start
//! goes on.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::file_system::{FileSystem, FolderSyncError};
use super::import::PACK_FOLDER;
use super::index::Index;

/// A file to be removed.
#[derive(Clone, Debug)]
pub(super) struct Garbage {
    /// Its note's key.
    pub(super) id: i64,
    /// Where it is, below the data directory.
    pub(super) path: PathBuf,
}

/// Removes what is noted. Files that cannot be removed now keep their notes, and the first of them is told.
pub(super) fn sweep(
    dir: &Path,
    files: &dyn FileSystem,
    index: &mut Index,
) -> rusqlite::Result<Option<(PathBuf, io::Error)>> {
    let (mut removed, mut folders, mut refused) = (Vec::new(), BTreeSet::new(), None);
    for Garbage { id, path } in index.garbage()? {
        let path = dir.join(path);
        match files.remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                refused.get_or_insert((path, error));
                continue;
            }
        }
        if let Some(folder) = path.parent() {
            folders.insert(folder.to_owned());
        }
        removed.push(id);
    }
    for folder in &folders {
        match files.sync_folder(folder) {
            Ok(()) => {}
            // It went with the last of its files, before an earlier sweep could say so.
            Err(FolderSyncError::NotOpened(error)) if error.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            // The name may come back after a power cut: the notes stay.
            Err(error) => return Ok(Some((folder.clone(), error.into()))),
        }
        // Refused while anything lies in it, which is right. An import may be about to make the next pack.
        if *folder != dir.join(PACK_FOLDER) {
            let _ = files.remove_folder(folder);
        }
    }
    index.drop_garbage(&removed)?;
    Ok(refused)
}
