//! Imports files: finds what an earlier import of the same file has left, and passes over the file until it is whole.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Transaction;

use super::DIGEST_KIND;
use super::error::ImportError;
use super::pack_writer::PackWriter;
use super::packs::Packs;
use super::pass::{Import, Pass};
use super::rows::{
    Pending, abandon_import, begin_item, decode_list, describe_item, digest_at, find_pending,
};
use super::source::SourceFile;
use super::{PACK_FOLDER, random_name};
use crate::base::{CameraId, Clock, Digest, Wall};
use crate::chunk::{ChunkRef, ItemHasher, ItemId, ItemName, ItemSource, MediaKind};
use crate::store::file_system::FileSystem;
use crate::store::reader::Reader;
use crate::store::recorder::Recorder;
use crate::store::room::{floor_bytes, held_bytes, room_bytes};
use crate::store::status::StoreOptions;
use crate::store::writer::{Asker, Writer};

/// The longest that an import waits for the writer, which may have much to record on a slow disk.
pub(super) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// Batches in a row that may find that something they rely on is gone.
const RETRIES_MAX: u32 = 8;

/// What is known of a file besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportMeta {
    /// What people call it.
    pub name: ItemName,
    /// How it came.
    pub source: ItemSource,
    /// The camera on whose timeline it is to lie.
    pub camera: Option<CameraId>,
    /// Civil time of its first picture.
    pub at: Option<Wall>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a file comes from: what an import that was interrupted is found again by, if size and time of change are
/// the same, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of this machine, by its canonical path.
    Path(PathBuf),
    /// An upload, by its id.
    Upload(String),
}

impl Origin {
    /// As it stands in the index: no two have the same.
    pub(in crate::store) fn text(&self) -> String {
        match self {
            Self::Path(path) => match path.to_str() {
                Some(path) => format!("path:{path}"),
                None => format!("path-bytes:{}", path.as_os_str().as_bytes().escape_ascii()),
            },
            Self::Upload(id) => format!("upload:{id}"),
        }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes of the file that are dealt with.
    pub done: u64,
    /// Bytes of the file.
    pub total: u64,
}

/// A file that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The item's name for programs.
    pub id: ItemId,
    /// What it can be shown as.
    pub media: MediaKind,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes, those that were not stored before.
    pub new_bytes: u64,
    /// What an [`ItemHasher`] makes of its chunks.
    pub digest: Digest,
    /// Bytes that an earlier, interrupted import of it had dealt with.
    pub resumed_at: u64,
}

/// The importing side of a store. Any thread may import; rows go through the writer.
#[derive(Debug)]
pub(in crate::store) struct Imports {
    pub(super) dir: PathBuf,
    pub(super) files: Arc<dyn FileSystem>,
    pub(super) writer: Writer,
    pub(super) reader: Reader,
    pub(super) packs: Packs,
    clock: Arc<dyn Clock>,
    options: StoreOptions,
    /// The folder of packs is there, and durable.
    pack_folder_made: AtomicBool,
}

impl Imports {
    pub(in crate::store) fn new(
        dir: &Path,
        files: Arc<dyn FileSystem>,
        writer: Writer,
        packs: Packs,
        options: &StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            files,
            writer,
            reader: Reader::new(dir),
            packs,
            clock,
            options: options.clone(),
            pack_folder_made: AtomicBool::new(false),
        }
    }

    /// Imports a file, or several one behind the other as if they were one; see [`crate::store::Store::import`].
    pub(in crate::store) fn import(
        self: &Arc<Self>,
        files: Vec<File>,
        meta: &ImportMeta,
        mut progress: impl FnMut(ImportProgress),
    ) -> Result<Imported, ImportError> {
        let source = SourceFile::new(files)?;
        let media = source.media()?.map(|media| media.kind);
        if media.is_none() && self.options.media_only {
            return Err(ImportError::NotMedia);
        }
        let media = media.unwrap_or(MediaKind::Other);
        let origin = meta.origin.text();
        let _turn = self.packs.wait_turn(&origin)?;
        let mut resumed_at = None;
        for _ in 0..RETRIES_MAX {
            let pending = self.begin(&source, meta, media, &origin)?;
            let resumed_at = *resumed_at.get_or_insert(pending.progress);
            match self.pass(&source, meta, media, pending, &mut progress) {
                Ok(Pass::Again) => {}
                Ok(Pass::Whole(imported)) => {
                    return Ok(Imported {
                        resumed_at,
                        ..imported
                    });
                }
                Err(ImportError::Changed) => {
                    self.give_up(&origin)?;
                    return Err(ImportError::Changed);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ImportError::NotWritable(
            "what it shares with other items is being removed all the time; import it again"
                .to_owned(),
        ))
    }

    /// Has rows changed by the writer, in one transaction. `None`, and nothing changed, if `change` says so.
    pub(super) fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>> + Send + 'static,
    ) -> Result<Option<T>, ImportError> {
        let request = move |recorder: &mut Recorder| recorder.change(change);
        let answer = self.writer.ask(Asker::Own, ANSWER_WAIT_MAX, request);
        answer.unwrap_or_else(|no_answer| Err(no_answer.into()))
    }

    /// The item that an earlier import left, or a new one.
    fn begin(
        &self,
        source: &SourceFile,
        meta: &ImportMeta,
        media: MediaKind,
        origin: &str,
    ) -> Result<Pending, ImportError> {
        let state = (source.bytes, source.changed_ns);
        let found = self
            .reader
            .read(|connection| Ok(find_pending(connection, origin, state)?))?;
        if let Some(pending) = found {
            // They may be told otherwise than at the first try.
            let (row, meta) = (pending.row, meta.clone());
            self.change(move |transaction| describe_item(transaction, row, &meta).map(Some))?;
            return Ok(pending);
        }
        let id = random_name().map_err(|error| ImportError::from_disk(&self.dir, &error))?;
        let (meta, origin) = (meta.clone(), origin.to_owned());
        let made = self.clock.wall();
        let begun = self.change(move |transaction| {
            let file = (&origin[..], state.0, state.1);
            begin_item(transaction, &meta, (ItemId(id), media, made), file).map(Some)
        })?;
        begun.ok_or(ImportError::Busy)
    }

    /// What was begun of a file that is another one now is of no use.
    fn give_up(&self, origin: &str) -> Result<(), ImportError> {
        let origin = origin.to_owned();
        self.change(move |transaction| abandon_import(transaction, &origin).map(Some))?;
        self.release_doomed()
    }

    fn pass(
        self: &Arc<Self>,
        source: &SourceFile,
        meta: &ImportMeta,
        media: MediaKind,
        pending: Pending,
        progress: &mut dyn FnMut(ImportProgress),
    ) -> Result<Pass, ImportError> {
        let mut hasher = ItemHasher::new(DIGEST_KIND);
        self.each_chunk(&pending, &mut |chunk| hasher.push(chunk))?;
        let mut import = Import::new(self, meta, media, source, pending, hasher);
        let outcome = import.run(progress);
        import.settle(&outcome);
        outcome
    }

    /// The chunks of an item so far, in order.
    fn each_chunk(
        &self,
        pending: &Pending,
        each: &mut dyn FnMut(&ChunkRef),
    ) -> Result<(), ImportError> {
        self.reader.read(|connection| {
            let mut lists = connection
                .prepare_cached("SELECT chunks FROM item_list WHERE item = ? ORDER BY start")?;
            let mut chunk = connection.prepare_cached("SELECT digest FROM chunk WHERE id = ?")?;
            let mut rows = lists.query([pending.row])?;
            while let Some(row) = rows.next()? {
                let blob: Vec<u8> = row.get(0)?;
                for listed in decode_list(&blob) {
                    let digest = chunk.query_row([listed.chunk], |row| digest_at(row, 0))?;
                    if let Some(digest) = digest {
                        each(&ChunkRef {
                            digest,
                            bytes_count: listed.bytes,
                        });
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Makes a pack with nothing in it, and their folder if this is the first one.
    pub(super) fn create_pack(&self) -> Result<PackWriter, ImportError> {
        let folder = self.dir.join(PACK_FOLDER);
        // Asked of the disk once: syncing a folder costs as much as syncing a pack, though nothing has changed.
        if !self.pack_folder_made.load(Ordering::Acquire) {
            let created = self.files.create_folder(&folder);
            created.map_err(|error| ImportError::from_disk(&folder, &error))?;
            let synced = self.files.sync_folder(&self.dir);
            synced.map_err(|error| ImportError::from_folder(&self.dir, error))?;
            self.pack_folder_made.store(true, Ordering::Release);
        }
        PackWriter::create(&*self.files, &self.dir)
    }

    /// Fails unless `bytes` more of what comes from `origin` may be taken of the disk.
    pub(super) fn check_space(&self, bytes: u64, origin: &Origin) -> Result<(), ImportError> {
        let space = self.files.space(&self.dir);
        let space = space.map_err(|error| ImportError::from_disk(&self.dir, &error))?;
        let floor = floor_bytes(&self.options, space.total);
        if space.free < floor.saturating_add(bytes) {
            return Err(ImportError::DiskFull(format!(
                "disk full: {} MiB are free, {} MiB are kept for recordings; free some space",
                space.free >> 20,
                floor >> 20
            )));
        }
        // Uploads were let in with room for both copies, and hold less in the end.
        if let Origin::Path(_) = origin {
            let held = self.reader.read(|connection| Ok(held_bytes(connection)?))?;
            let room = room_bytes(&self.options, space, held);
            if bytes > room {
                return Err(ImportError::DiskFull(format!(
                    "disk full: {} MiB of what uploads and imports may take are left; remove items, or let \
                     storage.imports_mb allow more",
                    room >> 20
                )));
            }
        }
        Ok(())
    }
}
