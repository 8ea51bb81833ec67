//! What becomes of complete uploads: one after the other is imported, by a thread of its own, and the file goes. An
//! import that is interrupted goes on after the next start; one that the disk refuses is tried again, and keeps none
//! behind it from being imported.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::error::UploadError;
use super::rows::{self, Upload, UploadPhase, part_path};
use super::{Inner, Spool};
use crate::base::Monotonic;
use crate::chunk::{ItemName, ItemSource};
use crate::store::file_system::is_damage;
use crate::store::import::{ImportError, ImportMeta, ImportProgress, Imports, Origin};
use crate::store::last_words::LastWords;
use crate::store::reader::Reader;
use crate::store::writer::Asker;
use crate::upload::{UploadId, UploadKind};

/// An import that failed for a reason that may pass is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// An upload that the disk does not give back so often, [`RETRY_AFTER`] apart, is lost.
const READS_MAX: u32 = 6;

/// How the import of a complete upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadImport {
    /// Its turn is yet to come, or has only just.
    Waiting,
    /// It is under way, and so far.
    Running(ImportProgress),
    /// The last try failed for this reason; it is tried again.
    Failing(String),
}

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
    /// Why the last try failed, of each upload that is tried again. There are no more than wait in the index.
    troubles: HashMap<UploadId, String>,
    /// What is being imported, and how far that is.
    current: Option<(UploadId, Option<ImportProgress>)>,
}

/// What could not be imported yet.
#[derive(Debug, Default)]
struct Waiting(BTreeMap<i64, Refused>);

#[derive(Clone, Copy, Debug)]
struct Refused {
    again: Monotonic,
    /// How often its file could not be read.
    reads: u32,
}

impl Waiting {
    /// Whether an upload's next turn has come.
    fn is_due(&self, row: i64, now: Monotonic) -> bool {
        self.0.get(&row).is_none_or(|refused| now >= refused.again)
    }

    /// Notes that an upload was not imported. Returns why it never will be, if so.
    fn refuse(&mut self, row: i64, error: &ImportError, now: Monotonic) -> Option<String> {
        let refused = self.0.entry(row).or_insert(Refused {
            again: now,
            reads: 0,
        });
        refused.again = now.after(RETRY_AFTER);
        if cannot_be_read(error) {
            refused.reads += 1;
        } else {
            refused.reads = 0;
        }
        let lost = format!("{error}, tried {READS_MAX} times; check the disk and upload it again");
        let reason = match error {
            _ if refused.reads >= READS_MAX => lost,
            _ if is_final(error) => error.to_string(),
            _ => return None,
        };
        self.0.remove(&row);
        Some(reason)
    }
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

    /// Whether an upload is being imported right now. On the writer's thread it cannot begin meanwhile.
    pub(super) fn is_importing(&self, id: UploadId) -> bool {
        self.lock()
            .current
            .is_some_and(|(current, _)| current == id)
    }

    /// An upload's turn has come.
    fn begin(&self, id: UploadId) {
        self.lock().current = Some((id, None));
    }

    /// It is over; `trouble` says why the upload is to be tried again, if it is.
    fn end(&self, id: UploadId, trouble: Option<String>) {
        let mut state = self.lock();
        state.current = None;
        match trouble {
            Some(trouble) => state.troubles.insert(id, trouble),
            None => state.troubles.remove(&id),
        };
    }

    /// Forgets what there was to tell of an upload that is removed, which is not being imported.
    pub(super) fn forget(&self, id: UploadId) {
        self.lock().troubles.remove(&id);
    }

    fn of(&self, id: UploadId) -> UploadImport {
        let state = self.lock();
        match (state.current, state.troubles.get(&id)) {
            (Some((current, Some(progress))), _) if current == id => {
                UploadImport::Running(progress)
            }
            (_, Some(trouble)) => UploadImport::Failing(trouble.clone()),
            (_, None) => UploadImport::Waiting,
        }
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
            let _last_words = LastWords(
                "the importer of uploads panicked; what is uploaded becomes no item until perch starts again",
            );
            let reader = Reader::new(&spool.0.dir);
            let (mut wait, mut waiting) = (None, Waiting::default());
            // What the log was told last, which need not be told of each upload and each time.
            let mut warned = None;
            while spool.0.importing.wait(wait) {
                let outcome = spool.import_all(&imports, &reader, &mut waiting);
                let is_done = outcome.is_ok() && waiting.0.is_empty();
                wait = (!is_done).then_some(RETRY_AFTER);
                if spool.0.importing.lock().is_stopped {
                    return;
                }
                if is_done {
                    warned = None;
                } else if let Err(error) = outcome {
                    let trouble = Some(error.to_string());
                    if warned != trouble {
                        tracing::warn!("an upload is not imported yet: {error}");
                        warned = trouble;
                    }
                }
            }
        })?;
        Ok(())
    }

    /// Lets the thread begin no more imports.
    pub(in crate::store) fn stop(&self) {
        self.0.importing.lock().is_stopped = true;
        self.0.importing.changed.notify_all();
    }

    /// How the import of an upload is, if it is complete.
    pub(in crate::store) fn upload_import(&self, id: UploadId) -> UploadImport {
        self.0.importing.of(id)
    }

    /// Imports what waits and whose turn it is. Tells of the first that is to be tried again.
    fn import_all(
        &self,
        imports: &Arc<Imports>,
        reader: &Reader,
        waiting: &mut Waiting,
    ) -> Result<(), ImportError> {
        let (mut after, mut outcome) = (0, Ok(()));
        while !self.0.importing.lock().is_stopped {
            let next = reader.read(|connection| Ok(rows::next_to_import(connection, after)?))?;
            let Some(upload) = next else {
                waiting.0.retain(|row, _| *row <= after);
                return outcome;
            };
            waiting
                .0
                .retain(|row, _| *row <= after || *row >= upload.row);
            after = upload.row;
            if !waiting.is_due(upload.row, self.0.clock.monotonic()) {
                continue;
            }
            self.0.importing.begin(upload.id);
            let imported = self.import(imports, reader, &upload, waiting);
            let trouble = imported.as_ref().err().map(ToString::to_string);
            self.0.importing.end(upload.id, trouble);
            match imported {
                // The next one would wait as long.
                Err(ImportError::Unanswered) => return Err(ImportError::Unanswered),
                Err(error) => outcome = outcome.and(Err(error)),
                Ok(()) => {}
            }
        }
        outcome
    }

    /// Makes an item of an upload, or says for good why there is none.
    fn import(
        &self,
        imports: &Arc<Imports>,
        reader: &Reader,
        upload: &Upload,
        waiting: &mut Waiting,
    ) -> Result<(), ImportError> {
        let id = upload.id;
        // From here on nobody removes it; somebody may have just before.
        let not_told = |error: UploadError| ImportError::NotWritable(error.to_string());
        let found = self.ask_as(Asker::Own, move |index| {
            Ok(rows::load(index.connection(), id)?)
        });
        let is_there = |upload: Upload| upload.phase == UploadPhase::Complete;
        if !found.map_err(not_told)?.is_some_and(is_there) {
            return Ok(());
        }
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
                        self.0.importing.lock().current = Some((id, Some(progress)));
                    })
                })
                .map(|imported| imported.id.0),
        };
        let error = match outcome {
            Ok(item) => {
                tracing::info!(upload = %id, name = %meta.name, "an upload was imported");
                waiting.0.remove(&upload.row);
                let told = self.tell(upload, move |transaction, upload| {
                    rows::imported(transaction, upload, item)
                });
                return told.map_err(not_told);
            }
            Err(error) => error,
        };
        let now = self.0.clock.monotonic();
        let Some(reason) = waiting.refuse(upload.row, &error, now) else {
            return Err(error);
        };
        tracing::warn!(upload = %id, name = %meta.name, "an upload was not taken: {reason}");
        let told = self.tell(upload, move |transaction, upload| {
            rows::refuse(transaction, upload, &reason)
        });
        told.map_err(not_told)
    }

    fn tell(
        &self,
        upload: &Upload,
        change: impl FnOnce(&rusqlite::Transaction<'_>, &Upload) -> rusqlite::Result<()>
        + Send
        + 'static,
    ) -> Result<(), UploadError> {
        let upload = upload.clone();
        self.ask_as(Asker::Own, move |index| {
            Ok(index.transact(|transaction| change(transaction, &upload))?)
        })
    }
}

/// The disk does not give back what it took: an input or output error, or a checksum of the file system's that does
/// not hold.
fn cannot_be_read(error: &ImportError) -> bool {
    matches!(error, ImportError::Source(error) if is_damage(error))
}

/// What trying again does not change.
fn is_final(error: &ImportError) -> bool {
    match error {
        ImportError::NotAFile | ImportError::NotMedia | ImportError::Changed => true,
        ImportError::Source(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
        ),
        ImportError::Busy
        | ImportError::DiskFull(_)
        | ImportError::NotWritable(_)
        | ImportError::Unanswered
        | ImportError::Read(_) => false,
    }
}

/// The files whose bytes are the upload's, one behind the other. `UnexpectedEof` if the disk has lost some of them.
fn open(inner: &Inner, upload: &Upload) -> io::Result<Vec<File>> {
    let open = |id: UploadId| File::open(part_path(Path::new(&inner.dir), id));
    let files: Vec<File> = match upload.state.kind {
        UploadKind::Final => upload
            .parts
            .iter()
            .copied()
            .map(open)
            .collect::<Result<_, _>>()?,
        UploadKind::Single | UploadKind::Partial => vec![open(upload.id)?],
    };
    let mut bytes = 0;
    for file in &files {
        bytes += file.metadata()?.len();
    }
    if bytes != upload.state.offset {
        let detail = format!(
            "the disk holds {bytes} of its {} bytes; upload it again",
            upload.state.offset
        );
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, detail));
    }
    Ok(files)
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

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn each_upload_has_the_reason_of_its_own_try_and_no_other() {
        let importing = Importing::default();
        let (stuck, next) = (UploadId([1; 16]), UploadId([2; 16]));
        let progress = ImportProgress { done: 1, total: 2 };
        let failing = |reason: &str| UploadImport::Failing(reason.to_owned());
        importing.begin(stuck);
        assert!(importing.is_importing(stuck) && !importing.is_importing(next));
        importing.end(stuck, Some("no room".to_owned()));
        assert_eq!(importing.of(stuck), failing("no room"));
        assert_eq!(importing.of(next), UploadImport::Waiting);

        importing.begin(next);
        importing.lock().current = Some((next, Some(progress)));
        assert_eq!(importing.of(next), UploadImport::Running(progress));
        assert_eq!(importing.of(stuck), failing("no room"));
        importing.end(next, None);
        assert_eq!(importing.of(next), UploadImport::Waiting);

        // The reason stands until the next try gets anywhere.
        importing.begin(stuck);
        assert_eq!(importing.of(stuck), failing("no room"));
        importing.lock().current = Some((stuck, Some(progress)));
        assert_eq!(importing.of(stuck), UploadImport::Running(progress));
        importing.end(stuck, Some("less room".to_owned()));
        assert_eq!(importing.of(stuck), failing("less room"));
        importing.forget(stuck);
        assert_eq!(importing.of(stuck), UploadImport::Waiting);
        assert!(importing.lock().troubles.is_empty());
    }

    #[test]
    fn what_the_disk_does_not_give_back_is_lost_after_a_minute_and_nothing_else_is() {
        let source = |errno: Errno| ImportError::Source(errno.into());
        let at = |tries: u64| Monotonic(tries * 10_000_000_000);
        let mut waiting = Waiting::default();
        for tries in 0..5 {
            assert_eq!(waiting.refuse(1, &source(Errno::EIO), at(tries)), None);
            assert!(!waiting.is_due(1, at(tries)) && waiting.is_due(1, at(tries + 1)));
        }
        let reason = waiting.refuse(1, &source(Errno::EIO), at(6)).unwrap();
        assert!(reason.contains("cannot be read") && reason.contains("upload it again"));
        assert!(waiting.0.is_empty());
        for error in [
            source(Errno::EMFILE),
            ImportError::DiskFull("disk full".to_owned()),
        ] {
            for tries in 0..50 {
                assert_eq!(waiting.refuse(2, &error, at(tries)), None);
            }
        }
        assert!(waiting.refuse(3, &ImportError::NotMedia, at(0)).is_some());
    }
}
