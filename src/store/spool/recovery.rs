//! What happens with uploads before a start: files without rows go, what was not acknowledged is cut off, an upload of
//! which the disk did not keep what it had promised is given up, and one that has all of its length is complete. An error of one file leaves that for later: whoever
//! goes on with the upload meets it again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::rows::{self, Upload, UploadPhase, part_path};
use crate::store::error::OpenError;
use crate::store::file_system::FileSystem;
use crate::store::index::Index;
use crate::upload::UploadKind;

/// Makes files and rows of uploads agree.
pub(in crate::store) fn recover(
    dir: &Path,
    files: &dyn FileSystem,
    index: &mut Index,
) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    let uploads = rows::load_all(index.connection()).map_err(sqlite)?;
    let has_file = |upload: &&Upload| {
        let phase = &upload.phase;
        upload.state.kind != UploadKind::Final
            && matches!(phase, UploadPhase::Receiving | UploadPhase::Complete)
    };
    let kept: Vec<&Upload> = uploads.iter().filter(has_file).collect();
    if let Err(error) = remove_unnamed(dir, files, &kept) {
        tracing::warn!(%error, "files of uploads that ended cannot be removed; the next start tries again");
    }
    for upload in kept {
        match cut_back(dir, files, upload) {
            // Its client was told so, as tus has it. One of the drafts can add nothing to it, either.
            Ok(()) if is_whole(upload) => {
                index
                    .transact(|transaction| rows::complete(transaction, upload))
                    .map_err(sqlite)?;
            }
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::error!(upload = %upload.id, "the disk did not keep an upload; it is given up");
                index
                    .transact(|transaction| {
                        rows::refuse(transaction, upload, "the disk did not keep it")
                    })
                    .map_err(sqlite)?;
            }
            Err(error) => {
                tracing::warn!(upload = %upload.id, %error, "an upload cannot be looked at");
            }
        }
    }
    Ok(())
}

fn is_whole(upload: &Upload) -> bool {
    upload.phase == UploadPhase::Receiving && upload.state.length == Some(upload.state.offset)
}

fn remove_unnamed(dir: &Path, files: &dyn FileSystem, kept: &[&Upload]) -> io::Result<()> {
    let named: BTreeSet<_> = kept
        .iter()
        .map(|upload| part_path(dir, upload.id))
        .collect();
    let folder = dir.join("up");
    let mut removed = false;
    for name in files.list_folder(&folder)? {
        let path = folder.join(&name);
        let is_upload = name
            .strip_suffix(".part")
            .is_some_and(|id| id.parse::<crate::upload::UploadId>().is_ok());
        if is_upload && !named.contains(&path) {
            files.remove_file(&path)?;
            removed = true;
        }
    }
    if removed {
        files.sync_folder(&folder)?;
    }
    Ok(())
}

/// Cuts a file back to what was acknowledged. `UnexpectedEof` if it holds less.
fn cut_back(dir: &Path, files: &dyn FileSystem, upload: &Upload) -> io::Result<()> {
    let path = part_path(dir, upload.id);
    let mut file = match files.open_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file => file?,
    };
    let size = file.size()?;
    if size < upload.state.offset {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if size > upload.state.offset {
        file.truncate(upload.state.offset)?;
        file.sync()?;
    }
    Ok(())
}
