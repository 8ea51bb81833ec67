//! Uploads on their way in: each in a file of its own until it is complete, with a row that tells what of it is durable.
//! Knows bytes and rows; what a client may send is decided by `upload`, and what becomes of a complete file elsewhere.
//!
//! Order of durability: the file and its name, then its row; then, every [`STEP_BYTES`] and at the end of a request,
//! the bytes and then the offset in the row. So what a client was told is there after a power cut. What lies behind
//! the offset is cut off before more is written.

mod active;
mod error;
mod importer;
mod recovery;
mod rows;
mod writer;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Transaction;
use tokio_util::sync::CancellationToken;

pub use self::error::UploadError;
pub(super) use self::recovery::recover;
pub use self::rows::{Upload, UploadPhase};
pub use self::writer::UploadWriter;

use self::active::{Active, Hold};
use self::importer::Importing;
use self::rows::{NewRow, part_path};
use super::file_system::FileSystem;
use super::index::Index;
use super::recorder::Recorder;
use super::status::StoreOptions;
use super::writer::Writer;
use crate::base::{Clock, Wall};
use crate::upload::{Admitted, Metadata, Refusal, UploadId, UploadKind, join};

/// What of an upload is lost at most when the power goes, in bytes.
pub(super) const STEP_BYTES: u64 = 4 << 20;

/// An upload goes if nothing was added to it for so long, in ms: a week.
const LIFETIME_MS: i64 = 7 * 86_400_000;

/// Uploads that are under way or wait to be joined or imported, at the same time.
const UPLOADS_MAX: u64 = 1000;

/// The longest that a request waits for the one that it takes over from: that one's last bytes go to the disk first.
const TAKE_OVER_MAX: Duration = Duration::from_secs(15);

/// The longest that a request waits for the index.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// What is to be uploaded.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// What for.
    pub kind: UploadKind,
    /// Its size, if that is known.
    pub length: Option<u64>,
    /// It has everything already, as it is empty.
    pub is_complete: bool,
    /// What the client says of the file.
    pub metadata: Metadata,
    /// What a [`UploadKind::Final`] is joined from, in order.
    pub parts: Vec<UploadId>,
}

/// The uploads of a data directory.
#[derive(Clone, Debug)]
pub(super) struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    files: Arc<dyn FileSystem>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    options: StoreOptions,
    active: Arc<Active>,
    importing: Importing,
}

/// The right to work on one upload, which no other request has at the same time.
#[derive(Debug)]
pub struct UploadHold {
    spool: Spool,
    id: UploadId,
    hold: Hold,
}

impl Spool {
    pub(super) fn new(
        dir: &Path,
        options: &StoreOptions,
        files: Arc<dyn FileSystem>,
        writer: Writer,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Inner {
            dir: dir.to_owned(),
            files,
            writer,
            clock,
            options: options.clone(),
            active: Arc::default(),
            importing: Importing::default(),
        }))
    }

    /// Begins an upload. Durable on return.
    pub(super) fn begin(&self, new: NewUpload) -> Result<Upload, UploadError> {
        let id = random_id()
            .map_err(|error| UploadError::NotWritable(format!("no random numbers: {error}")))?;
        let spool = self.clone();
        let begun = self.ask(move |index| match new.kind {
            UploadKind::Final => spool.join(index, id, &new),
            UploadKind::Single | UploadKind::Partial => spool.make(index, id, &new),
        })?;
        if begun.state.is_complete {
            self.0.importing.look();
        }
        Ok(begun)
    }

    /// Ends whatever request works on an upload, waits for it, and takes its place. There need not be such an upload.
    pub(super) fn take(&self, id: UploadId) -> Result<UploadHold, UploadError> {
        Ok(UploadHold {
            hold: self.0.active.take(id, TAKE_OVER_MAX)?,
            spool: self.clone(),
            id,
        })
    }

    /// Has the index changed by its writer, after all that was asked before.
    fn ask<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, UploadError> + Send + 'static,
    ) -> Result<T, UploadError> {
        let request = move |recorder: &mut Recorder| {
            let index = recorder
                .writable_index()
                .map_err(UploadError::NotWritable)?;
            let changed = change(index);
            if let Err(error) = index.checkpoint_if_long() {
                tracing::warn!(%error, "the index's log could not be put into it; it is tried again");
            }
            changed
        };
        let answer = self.0.writer.ask(ANSWER_WAIT_MAX, request);
        answer.unwrap_or_else(|| {
            Err(UploadError::NotWritable(
                "the disk does not answer in time, or the appliance is stopping".to_owned(),
            ))
        })
    }

    /// Makes an upload's file and row.
    fn make(
        &self,
        index: &mut Index,
        id: UploadId,
        new: &NewUpload,
    ) -> Result<Upload, UploadError> {
        let Inner { dir, files, .. } = &*self.0;
        let (count, promised) = rows::promised(index.connection())?;
        if count >= UPLOADS_MAX {
            return Err(UploadError::TooMany(UPLOADS_MAX));
        }
        self.check_room(promised.saturating_add(new.length.unwrap_or(0)))?;
        let path = part_path(dir, id);
        let made = self.make_file(&path).and_then(|()| {
            index.transact(|transaction| self.insert(transaction, id, new, (new.length, 0)))
        });
        if made.is_err() {
            // The next start removes it otherwise.
            let _ = files.remove_file(&path);
        }
        made
    }

    /// Makes a file whose name is durable.
    fn make_file(&self, path: &Path) -> Result<(), UploadError> {
        let Inner { dir, files, .. } = &*self.0;
        let folder = dir.join("up");
        let io = |error| UploadError::from_io(&error);
        files.create_folder(&folder).map_err(io)?;
        files.create_file(path).map_err(io)?;
        for folder in [&folder, dir] {
            files
                .sync_folder(folder)
                .map_err(|error| io(error.into()))?;
        }
        Ok(())
    }

    /// Makes the row of a file that is joined from parts.
    fn join(
        &self,
        index: &mut Index,
        id: UploadId,
        new: &NewUpload,
    ) -> Result<Upload, UploadError> {
        index.transact(|transaction| {
            let mut found = Vec::with_capacity(new.parts.len());
            for &part in &new.parts {
                found.push((part, rows::load(transaction, part)?));
            }
            let states = found
                .iter()
                .map(|(part, upload)| (*part, upload.as_ref().map(|upload| upload.state)));
            let length = join(states)?;
            // One that ended has no bytes any more.
            let gone = found.iter().find_map(|(part, upload)| {
                let phase = upload.as_ref().map(|upload| &upload.phase);
                (phase != Some(&UploadPhase::Complete)).then_some(*part)
            });
            if let Some(part) = gone {
                return Err(Refusal::UnknownPart(part).into());
            }
            let mut upload = self.insert(transaction, id, new, (Some(length), length))?;
            let parts: Vec<i64> = found
                .iter()
                .filter_map(|(_, upload)| Some(upload.as_ref()?.row))
                .collect();
            rows::insert_parts(transaction, upload.row, &parts)?;
            upload.parts.clone_from(&new.parts);
            Ok(upload)
        })
    }

    fn insert(
        &self,
        transaction: &Transaction<'_>,
        id: UploadId,
        new: &NewUpload,
        (length, offset): (Option<u64>, u64),
    ) -> Result<Upload, UploadError> {
        let began = self.0.clock.wall();
        let row = NewRow {
            id,
            kind: new.kind,
            length,
            offset,
            is_complete: new.is_complete || new.kind == UploadKind::Final,
            metadata: &new.metadata,
            began,
            expires: began.plus_ms(LIFETIME_MS),
        };
        rows::insert(transaction, &row)?;
        rows::load(transaction, id)?.ok_or(UploadError::Unknown)
    }

    /// Refuses if so many bytes more would take from the room that recording needs: half of what retention keeps free,
    /// and in any case what the index needs to go on.
    fn check_room(&self, bytes: u64) -> Result<(), UploadError> {
        let Inner {
            dir,
            files,
            options,
            ..
        } = &*self.0;
        let space = files
            .space(dir)
            .map_err(|error| UploadError::from_io(&error))?;
        let kept_free = options.retention.free_bytes_on(space.total) / 2;
        let kept_free = kept_free.max(options.free_bytes_min * 2);
        let room = space.free.saturating_sub(kept_free);
        if bytes > room {
            return Err(UploadError::DiskFull(format!(
                "{} MB are to come, {} MB may be taken; free some space",
                bytes.div_ceil(1_000_000),
                room / 1_000_000
            )));
        }
        Ok(())
    }

    fn expires(&self) -> Wall {
        self.0.clock.wall().plus_ms(LIFETIME_MS)
    }
}

impl UploadHold {
    /// Cancelled when a newer request wants the upload; the work then is to end soon.
    pub fn taken_over(&self) -> CancellationToken {
        self.hold.taken_over().clone()
    }

    /// The upload as it is now that nobody else works on it. Waits for the disk.
    pub fn upload(&self) -> Result<Upload, UploadError> {
        let id = self.id;
        // Asked of the writer, so that nothing that was asked earlier comes later.
        let found = self
            .spool
            .ask(move |index| Ok(rows::load(index.connection(), id)?))?;
        found.ok_or(UploadError::Unknown)
    }

    /// Goes on with an upload, as it was admitted on the state that [`Self::upload`] told.
    pub fn receive(self, upload: &Upload, admitted: Admitted) -> Result<UploadWriter, UploadError> {
        UploadWriter::open(self, upload, admitted)
    }

    /// Removes an upload and its bytes. Refused if it is a part of a file that is being made, or waits to be imported.
    pub fn remove(self) -> Result<(), UploadError> {
        let id = self.id;
        self.spool.ask(move |index| {
            index.transact(|transaction| {
                let upload = rows::load(transaction, id)?.ok_or(UploadError::Unknown)?;
                let waits = upload.phase == UploadPhase::Complete
                    && upload.state.kind != UploadKind::Partial;
                if waits || rows::is_held(transaction, upload.row)? {
                    return Err(UploadError::InUse);
                }
                Ok(rows::remove(transaction, &upload)?)
            })
        })
    }
}

/// A name that nobody can guess, from the system's random numbers.
fn random_id() -> io::Result<UploadId> {
    let mut name = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut name)?;
    Ok(UploadId(name))
}

/// Forgets uploads to which nothing was added for too long, and notes their files to be removed. Durable on return.
pub(super) fn forget_expired(index: &mut Index, now: Wall) -> rusqlite::Result<()> {
    let expired = rows::expired(index.connection(), now)?;
    if expired.is_empty() {
        return Ok(());
    }
    index.transact(|transaction| {
        expired
            .iter()
            .try_for_each(|upload| rows::remove(transaction, upload))
    })
}

/// An upload by its name.
pub(super) fn upload(
    connection: &rusqlite::Connection,
    id: UploadId,
) -> rusqlite::Result<Option<Upload>> {
    rows::load(connection, id)
}

/// Every upload that is known.
pub(super) fn uploads(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<Upload>> {
    rows::load_all(connection)
}
