//! What becomes of complete uploads: one after the other is imported, by a thread of its own, and the file goes. An
//! import that is interrupted goes on after the next start; one that the disk refuses is tried again.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::error::UploadError;
use super::rows::{self, Upload, part_path};
use super::{Inner, Spool};
use crate::chunk::{ItemName, ItemSource};
use crate::store::import::{ImportError, ImportMeta, ImportProgress, Imports, Origin};
use crate::store::reader::Reader;
use crate::upload::{UploadId, UploadKind};

/// An import that failed for a reason that may pass is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What the importing thread is told, and tells.
#[derive(Debug, Default)]
pub(super) struct Importing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    /// Something may have become complete.
    is_due: bool,
    progress: Option<(UploadId, ImportProgress)>,
    /// Why the last try failed, until one does not.
    trouble: Option<String>,
}

impl Importing {
    /// Has the thread look for complete uploads.
    pub(super) fn look(&self) {
        self.lock().is_due = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics with this lock held")
    }

    /// Waits until there is something to do, or for `wait`. Returns whether to go on.
    fn wait(&self, wait: Option<Duration>) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| !state.is_due && !state.is_stopped;
        let mut state = match wait {
            Some(wait) => {
                let waited = self.changed.wait_timeout_while(state, wait, idle);
                waited.expect("nothing panics with this lock held").0
            }
            None => {
                let waited = self.changed.wait_while(state, idle);
                waited.expect("nothing panics with this lock held")
            }
        };
        state.is_due = false;
        !state.is_stopped
    }
}

impl Spool {
    /// Starts the thread, which ends with [`Self::stop`], or when its import does after that.
    pub(in crate::store) fn spawn_importer(&self, imports: Arc<Imports>) -> io::Result<()> {
        let spool = self.clone();
        self.0.importing.look();
        let thread = std::thread::Builder::new().name("upload-importer".to_owned());
        thread.spawn(move || {
            let reader = Reader::new(&spool.0.dir);
            let mut wait = None;
            while spool.0.importing.wait(wait) {
                let imported = spool.import_all(&imports, &reader);
                let mut state = spool.0.importing.lock();
                wait = match imported {
                    Ok(()) => {
                        state.trouble = None;
                        None
                    }
                    Err(_) if state.is_stopped => None,
                    Err(error) => {
                        let text = error.to_string();
                        if state.trouble.as_ref() != Some(&text) {
                            tracing::warn!("an upload is not imported yet: {text}");
                            state.trouble = Some(text);
                        }
                        Some(RETRY_AFTER)
                    }
                };
            }
        })?;
        Ok(())
    }

    /// Lets the thread begin no more imports.
    pub(in crate::store) fn stop(&self) {
        self.0.importing.lock().is_stopped = true;
        self.0.importing.changed.notify_all();
    }

    /// How far the import of an upload is, if it is the one that is being imported.
    pub(in crate::store) fn import_progress(&self, id: UploadId) -> Option<ImportProgress> {
        let progress = self.0.importing.lock().progress;
        progress
            .filter(|(of, _)| *of == id)
            .map(|(_, progress)| progress)
    }

    /// Why complete uploads are not imported at the moment, if the disk is in the way.
    pub(in crate::store) fn import_trouble(&self) -> Option<String> {
        self.0.importing.lock().trouble.clone()
    }

    fn import_all(&self, imports: &Arc<Imports>, reader: &Reader) -> Result<(), ImportError> {
        while !self.0.importing.lock().is_stopped {
            let Some(upload) = reader.read(|connection| Ok(rows::next_to_import(connection)?))?
            else {
                return Ok(());
            };
            let imported = self.import(imports, reader, &upload);
            self.0.importing.lock().progress = None;
            imported?;
        }
        Ok(())
    }

    /// Makes an item of an upload, or says for good why there is none.
    fn import(
        &self,
        imports: &Arc<Imports>,
        reader: &Reader,
        upload: &Upload,
    ) -> Result<(), ImportError> {
        let id = upload.id;
        let meta = meta(upload);
        // A crash may have come between the item and this row.
        let origin = meta.origin.text();
        let made = reader.read(|connection| Ok(rows::item_made(connection, &origin)?))?;
        let outcome = match made {
            Some(item) => Ok(item),
            None => open(&self.0, upload)
                .map_err(ImportError::Source)
                .and_then(|files| {
                    imports.import(files, &meta, |progress| {
                        self.0.importing.lock().progress = Some((id, progress));
                    })
                })
                .map(|imported| imported.id.0),
        };
        let told = match outcome {
            Ok(item) => {
                tracing::info!(upload = %id, name = %meta.name, "an upload was imported");
                self.tell(upload, move |transaction, upload| {
                    rows::imported(transaction, upload, item)
                })
            }
            Err(error) if is_final(&error) => {
                let reason = error.to_string();
                tracing::warn!(upload = %id, name = %meta.name, "an upload was not taken: {reason}");
                self.tell(upload, move |transaction, upload| {
                    rows::refuse(transaction, upload, &reason)
                })
            }
            Err(error) => return Err(error),
        };
        told.map_err(|error| ImportError::NotWritable(error.to_string()))
    }

    fn tell(
        &self,
        upload: &Upload,
        change: impl FnOnce(&rusqlite::Transaction<'_>, &Upload) -> rusqlite::Result<()>
        + Send
        + 'static,
    ) -> Result<(), UploadError> {
        let upload = upload.clone();
        self.ask(move |index| Ok(index.transact(|transaction| change(transaction, &upload))?))
    }
}

/// What trying again does not change.
fn is_final(error: &ImportError) -> bool {
    match error {
        ImportError::NotAFile | ImportError::NotMedia | ImportError::Changed => true,
        ImportError::Source(error) => error.kind() == io::ErrorKind::NotFound,
        ImportError::Busy
        | ImportError::DiskFull(_)
        | ImportError::NotWritable(_)
        | ImportError::Unanswered
        | ImportError::Read(_) => false,
    }
}

/// The files whose bytes are the upload's, one behind the other.
fn open(inner: &Inner, upload: &Upload) -> io::Result<Vec<File>> {
    let open = |id: UploadId| File::open(part_path(Path::new(&inner.dir), id));
    match upload.state.kind {
        UploadKind::Final => upload.parts.iter().copied().map(open).collect(),
        UploadKind::Single | UploadKind::Partial => Ok(vec![open(upload.id)?]),
    }
}

fn meta(upload: &Upload) -> ImportMeta {
    let id = upload.id.to_string();
    let named = upload.metadata.name().and_then(|name| name.parse().ok());
    let name: ItemName = named.unwrap_or_else(|| {
        let name = format!("upload-{id}").parse();
        name.expect("hexadecimal digits are a name")
    });
    ImportMeta {
        name,
        source: ItemSource::Upload,
        camera: upload.metadata.camera().cloned(),
        at: upload.metadata.at(),
        origin: Origin::Upload(id),
    }
}
