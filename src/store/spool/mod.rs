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

use rusqlite::{Connection, Transaction};
use tokio_util::sync::CancellationToken;

pub use self::error::UploadError;
pub use self::importer::UploadImport;
pub(super) use self::recovery::recover;
pub use self::rows::{Upload, UploadPhase};
pub use self::writer::UploadWriter;

pub(super) use self::active::Active;

use self::active::Hold;
use self::importer::Importing;
use self::rows::{NewRow, part_path};
use super::file_system::{DiskSpace, FileSystem};
use super::index::Index;
use super::recorder::Recorder;
use super::room::{floor_bytes, held_bytes, room_bytes};
use super::status::StoreOptions;
use super::writer::{Asker, Writer};
use crate::base::{Clock, Wall};
use crate::upload::{Admitted, Metadata, Refusal, UploadId, UploadKind, join};

/// What of an upload is lost at most when the power goes, in bytes.
pub(super) const STEP_BYTES: u64 = 4 << 20;

/// An upload goes if nothing was added to it for so long, in ms: a week.
const LIFETIME_MS: i64 = 7 * 86_400_000;

/// And one to which nothing was ever added after so long, in ms: an hour. As long is room set aside for what a client
/// does not go on with.
const IDLE_MS: i64 = 3_600_000;

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
        active: Arc<Active>,
    ) -> Self {
        Self(Arc::new(Inner {
            dir: dir.to_owned(),
            files,
            writer,
            clock,
            options: options.clone(),
            active,
            importing: Importing::default(),
        }))
    }

    /// Begins an upload. Durable on return.
    pub(super) fn begin(&self, new: NewUpload) -> Result<Upload, UploadError> {
        let id = random_id()
            .map_err(|error| UploadError::NotWritable(format!("no random numbers: {error}")))?;
        let spool = self.clone();
        self.ask(move |index| {
            let begun = match new.kind {
                UploadKind::Final => spool.join(index, id, &new),
                UploadKind::Single | UploadKind::Partial => spool.make(index, id, &new),
            }?;
            if begun.state.is_complete {
                // Here, as whoever asked may have given up waiting.
                spool.0.importing.look();
            }
            Ok(begun)
        })
    }

    /// Ends whatever request works on an upload, waits for it, and takes its place. There need not be such an upload.
    pub(super) fn take(&self, id: UploadId) -> Result<UploadHold, UploadError> {
        Ok(UploadHold {
            hold: self.0.active.take(id, TAKE_OVER_MAX)?,
            spool: self.clone(),
            id,
        })
    }

    /// Has the index changed by its writer, for somebody behind the network, after all that was asked before.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, UploadError> + Send + 'static,
    ) -> Result<T, UploadError> {
        self.ask_as(Asker::Visitor, change)
    }

    fn ask_as<T: Send + 'static>(
        &self,
        asker: Asker,
        change: impl FnOnce(&mut Index) -> Result<T, UploadError> + Send + 'static,
    ) -> Result<T, UploadError> {
        let request = move |recorder: &mut Recorder| {
            let index = recorder
                .writable_index()
                .map_err(UploadError::NotWritable)?;
            let changed = change(index);
            recorder.checkpoint();
            if let Err(UploadError::Uncertain(reason)) = &changed {
                recorder.poison(reason.clone());
            }
            changed
        };
        let answer = self.0.writer.ask(asker, ANSWER_WAIT_MAX, request);
        answer.unwrap_or_else(|no_answer| Err(UploadError::NotWritable(no_answer.to_string())))
    }

    /// Gives the ballast up where a removal has found the disk full. Returns whether there was any.
    fn give_up_ballast(&self) -> bool {
        let give_up = |recorder: &mut Recorder| recorder.give_up_ballast();
        let given_up = self.0.writer.ask(Asker::Visitor, ANSWER_WAIT_MAX, give_up);
        given_up == Ok(true)
    }

    /// Makes an upload's file and row.
    fn make(
        &self,
        index: &mut Index,
        id: UploadId,
        new: &NewUpload,
    ) -> Result<Upload, UploadError> {
        let Inner { dir, files, .. } = &*self.0;
        check_count(index.connection())?;
        let wanted = new.length.unwrap_or(0).saturating_mul(2);
        self.check_room(index.connection(), wanted, true)?;
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
            check_count(transaction)?;
            let mut found = Vec::with_capacity(new.parts.len());
            for &part in &new.parts {
                let upload = rows::load(transaction, part)?;
                // Each file that is made reads all of its parts.
                if let Some(upload) = &upload
                    && rows::is_held(transaction, upload.row)?
                {
                    return Err(UploadError::InUse);
                }
                found.push((part, upload));
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
        let is_complete = new.is_complete || new.kind == UploadKind::Final;
        let row = NewRow {
            id,
            kind: new.kind,
            length,
            offset,
            is_complete,
            metadata: &new.metadata,
            began,
            expires: began.plus_ms(if is_complete { LIFETIME_MS } else { IDLE_MS }),
        };
        rows::insert(transaction, &row)?;
        rows::load(transaction, id)?.ok_or(UploadError::Unknown)
    }

    /// Refuses to promise `wanted` bytes more: there must be room for what all uploads are yet to bring, and for the
    /// copies in packs that they become before their own files go. (Files cannot be given back as they are read: an
    /// import that was interrupted tells by the file's size and time that it is still the same.) Announcements count
    /// against those that are announced only.
    fn check_room(
        &self,
        connection: &Connection,
        wanted: u64,
        is_announced: bool,
    ) -> Result<(), UploadError> {
        let room = room_bytes(&self.0.options, self.space()?, held_bytes(connection)?);
        let promised = rows::promised(connection, self.0.clock.wall())?;
        let taken = if is_announced {
            promised.bytes_set_aside(room)
        } else {
            promised.begun
        };
        if room.checked_sub(taken).is_some_and(|left| wanted <= left) {
            return Ok(());
        }
        const MB: u64 = 1_000_000;
        Err(UploadError::DiskFull(format!(
            "{} MB are wanted, its copy among the items included, {} MB of what uploads and imports may take are left; \
             remove items, or let storage.imports_mb allow more",
            wanted.div_ceil(MB),
            room.saturating_sub(taken) / MB
        )))
    }

    /// Refuses if so many bytes more would take from the room that recording and the index need.
    fn check_floor(&self, bytes: u64) -> Result<(), UploadError> {
        let space = self.space()?;
        let floor = floor_bytes(&self.0.options, space.total);
        if space.free < floor.saturating_add(bytes) {
            return Err(UploadError::DiskFull(format!(
                "{} MiB are free, {} MiB are kept for recordings; free some space",
                space.free >> 20,
                floor >> 20
            )));
        }
        Ok(())
    }

    fn space(&self) -> Result<DiskSpace, UploadError> {
        let space = self.0.files.space(&self.0.dir);
        space.map_err(|error| UploadError::from_io(&error))
    }

    /// Whether room is still set aside for an upload of which something came.
    fn is_active(&self, upload: &Upload) -> bool {
        upload.expires > self.0.clock.wall().plus_ms(LIFETIME_MS - IDLE_MS)
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

    /// Removes an upload and its bytes. Refused if it is a part of a file that is being made, or is being imported.
    pub fn remove(self) -> Result<(), UploadError> {
        match self.try_remove() {
            Err(UploadError::DiskFull(_)) if self.spool.give_up_ballast() => self.try_remove(),
            outcome => outcome,
        }
    }

    fn try_remove(&self) -> Result<(), UploadError> {
        let id = self.id;
        let spool = self.spool.clone();
        self.spool.ask(move |index| {
            if spool.0.importing.is_importing(id) {
                return Err(UploadError::InUse);
            }
            let removed = index.transact(|transaction| {
                let upload = rows::load(transaction, id)?.ok_or(UploadError::Unknown)?;
                if rows::is_held(transaction, upload.row)? {
                    return Err(UploadError::InUse);
                }
                Ok(rows::remove(transaction, &upload)?)
            });
            removed.inspect(|()| spool.0.importing.forget(id))
        })
    }
}

fn check_count(connection: &Connection) -> Result<(), UploadError> {
    if rows::count(connection)? < UPLOADS_MAX {
        Ok(())
    } else {
        Err(UploadError::TooMany(UPLOADS_MAX))
    }
}

/// A name that nothing else has, from the system's random numbers.
fn random_id() -> io::Result<UploadId> {
    let mut name = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut name)?;
    Ok(UploadId(name))
}

/// Forgets uploads to which nothing was added for too long, and notes their files to be removed. Durable on return.
/// What somebody adds to right now stays: a clock that is set meanwhile says nothing of it.
pub(super) fn forget_expired(
    index: &mut Index,
    now: Wall,
    active: &Active,
) -> rusqlite::Result<()> {
    let mut expired = rows::expired(index.connection(), now)?;
    expired.retain(|upload| !active.holds(upload.id));
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
pub(super) fn upload(connection: &Connection, id: UploadId) -> rusqlite::Result<Option<Upload>> {
    rows::load(connection, id)
}

/// Every upload that is known.
pub(super) fn uploads(connection: &Connection) -> rusqlite::Result<Vec<Upload>> {
    rows::load_all(connection)
}
