//! Imports one file: takes what the pipeline has digested, looks it up, appends what is not stored yet to a pack, and
//! commits item and pack together, batch by batch.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Transaction;

use super::DIGEST_KIND;
use super::error::ImportError;
use super::pack_writer::PackWriter;
use super::packs::Packs;
use super::pipeline::{Run, spawn_pipeline};
use super::random_name;
use super::rows::{
    BatchRows, Named, PackState, Pending, PlacedAt, add_batch, begin_item, decode_list,
    describe_item, digest_at, find_chunk, find_pending,
};
use super::source::SourceFile;
use crate::base::{CameraId, Clock, Digest, Wall};
use crate::chunk::{
    ChunkRef, ChunkSizes, Item, ItemChunks, ItemHasher, ItemId, ItemName, ItemSource, MediaKind,
    PACK_BYTES_MAX, RecordHeader, RecordKind,
};
use crate::store::file_system::FileSystem;
use crate::store::reader::Reader;
use crate::store::status::StoreOptions;
use crate::store::writer::Writer;

/// A transaction covers at most so much of a file, however much of it is stored already.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// And so many chunks: what the writer takes in a few hundredths of a second.
const BATCH_CHUNKS_MAX: usize = 8192;

/// An item's record has at most so large a payload: two names, a digest and some numbers.
const ITEM_BYTES_MAX: u32 = 1024;

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
    /// As it stands in the index.
    pub(in crate::store) fn text(&self) -> String {
        match self {
            Self::Path(path) => format!("path:{}", path.to_string_lossy()),
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
    media_only: bool,
    free_bytes_min: u64,
}

/// What a batch has gathered, beside its pack.
#[derive(Debug, Default)]
struct Batch {
    chunks: Vec<(ChunkRef, Named)>,
    /// Chunks that the pack holds and no row names yet.
    written: HashMap<Digest, u64>,
    bytes: u64,
}

/// How a pass over a file ended.
enum Pass {
    Whole(Imported),
    /// Something that was looked up is gone: once more from the last commit.
    Again,
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
            media_only: options.media_only,
            free_bytes_min: options.free_bytes_min,
        }
    }

    /// Imports a file, or several one behind the other as if they were one; see [`crate::store::Store::import`].
    pub(in crate::store) fn import(
        &self,
        files: Vec<File>,
        meta: &ImportMeta,
        mut progress: impl FnMut(ImportProgress),
    ) -> Result<Imported, ImportError> {
        let source = SourceFile::new(files)?;
        let media = source.media()?.map(|media| media.kind);
        if media.is_none() && self.media_only {
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
        let answer = self
            .writer
            .ask(ANSWER_WAIT_MAX, move |recorder| recorder.change(change));
        answer.unwrap_or(Err(ImportError::Unanswered))
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
        self.change(move |transaction| {
            transaction.execute(
                "UPDATE item SET origin = '' WHERE origin = ? AND digest IS NULL",
                [origin],
            )?;
            Ok(Some(()))
        })?;
        self.release_doomed()
    }

    fn pass(
        &self,
        source: &SourceFile,
        meta: &ImportMeta,
        media: MediaKind,
        pending: Pending,
        progress: &mut dyn FnMut(ImportProgress),
    ) -> Result<Pass, ImportError> {
        let mut hasher = ItemHasher::new(DIGEST_KIND);
        self.each_chunk(&pending, &mut |chunk| hasher.push(chunk))?;
        let mut import = Import {
            imports: self,
            meta,
            media,
            source,
            pending,
            hasher,
            batch: Batch::default(),
            pack: None,
        };
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

    /// Fails unless the disk has room for `bytes` beyond what is kept for the index.
    fn check_space(&self, bytes: u64) -> Result<(), ImportError> {
        let space = self.files.space(&self.dir);
        let free = space
            .map_err(|error| ImportError::from_disk(&self.dir, &error))?
            .free;
        if free < self.free_bytes_min.saturating_add(bytes) {
            return Err(ImportError::DiskFull(format!(
                "disk full: {} MiB are free, {} MiB are kept for the index; free some space",
                free >> 20,
                self.free_bytes_min >> 20
            )));
        }
        Ok(())
    }
}

/// One pass over a file.
struct Import<'a> {
    imports: &'a Imports,
    meta: &'a ImportMeta,
    media: MediaKind,
    source: &'a SourceFile,
    pending: Pending,
    hasher: ItemHasher,
    batch: Batch,
    pack: Option<PackWriter>,
}

impl Import<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(ImportProgress)) -> Result<Pass, ImportError> {
        let total = self.source.bytes;
        let mut tell = |done| progress(ImportProgress { done, total });
        tell(self.pending.progress);
        let (source, from) = (self.source, self.pending.progress);
        std::thread::scope(|scope| {
            let runs = spawn_pipeline(scope, source, from, DIGEST_KIND)
                .map_err(|error| ImportError::NotWritable(format!("no thread: {error}")))?;
            for run in runs {
                if !self.take(&run?)? {
                    return Ok(Pass::Again);
                }
                tell(self.pending.progress + self.batch.bytes);
            }
            source.check_unchanged()?;
            self.finish()
        })
    }

    /// Takes the next chunks. `false` if something that was looked up is gone.
    fn take(&mut self, run: &Run) -> Result<bool, ImportError> {
        let known = self.imports.reader.read(|connection| {
            let found = run.digests().map(|chunk| find_chunk(connection, chunk));
            Ok(found.collect::<Result<Vec<_>, _>>()?)
        })?;
        for ((chunk, bytes), known) in run.chunks().zip(known) {
            let is_new = known.is_none() && !self.batch.written.contains_key(&chunk.digest);
            self.open_pack()?;
            if !self.fits(is_new.then_some(chunk.bytes_count)) && !self.commit(None)? {
                return Ok(false);
            }
            let named = match (known, self.batch.written.get(&chunk.digest)) {
                (Some(id), _) => Named::Known(id),
                (None, Some(offset)) => Named::Written(*offset),
                (None, None) => {
                    let record = RecordHeader {
                        kind: RecordKind::Chunk,
                        payload_bytes: chunk.bytes_count,
                        digest: chunk.digest,
                    };
                    let offset = self.open_pack()?.append(&record, bytes)?;
                    self.batch.written.insert(chunk.digest, offset);
                    Named::Written(offset)
                }
            };
            self.hasher.push(&chunk);
            self.batch.chunks.push((chunk, named));
            self.batch.bytes += u64::from(chunk.bytes_count);
        }
        Ok(true)
    }

    /// Whether the batch takes one chunk more, with a payload if it is new, and can still be ended in its pack.
    fn fits(&self, payload: Option<u32>) -> bool {
        let count = self.batch.chunks.len() + 1;
        let ends = [list_bytes(count), ITEM_BYTES_MAX];
        count <= BATCH_CHUNKS_MAX
            && self.batch.bytes < BATCH_BYTES_MAX
            && self
                .pack
                .as_ref()
                .is_some_and(|pack| pack.has_room(payload.into_iter().chain(ends)))
    }

    /// The pack of this batch. A new batch begins in a pack with room for a chunk and the records that end it.
    fn open_pack(&mut self) -> Result<&mut PackWriter, ImportError> {
        if self.pack.is_none() {
            let left = self.source.bytes - self.pending.progress;
            self.imports.check_space(left.min(PACK_BYTES_MAX))?;
            let pack = match self.imports.packs.take() {
                Some(pack) => pack,
                None => PackWriter::create(&*self.imports.files, &self.imports.dir)?,
            };
            self.pack = Some(pack);
        }
        Ok(self.pack.as_mut().expect("it was just opened"))
    }

    /// Ends the item. `Again` if something that was looked up is gone.
    fn finish(&mut self) -> Result<Pass, ImportError> {
        let digest = self.hasher.clone().finish();
        if !self.commit(Some(digest))? {
            return Ok(Pass::Again);
        }
        Ok(Pass::Whole(Imported {
            id: self.pending.id,
            media: self.media,
            bytes: self.source.bytes,
            new_bytes: self.pending.new_bytes,
            digest,
            resumed_at: 0,
        }))
    }

    /// Makes the batch durable and adds it to the item, which `whole` ends. `false` if something is gone.
    fn commit(&mut self, whole: Option<Digest>) -> Result<bool, ImportError> {
        let chunks: Vec<ChunkRef> = self.batch.chunks.iter().map(|(chunk, _)| *chunk).collect();
        let (id, part) = (self.pending.id, self.pending.lists);
        let list = (!chunks.is_empty()).then(|| ItemChunks {
            item: id,
            index: part,
            chunks,
        });
        let lists_count = part + u32::from(list.is_some());
        let item = whole.map(|digest| Item {
            id,
            name: self.meta.name.clone(),
            media: self.media,
            source: self.meta.source,
            made: self.pending.made,
            camera: self.meta.camera.clone(),
            wall_start: self.meta.at,
            bytes_count: self.source.bytes,
            digest,
            lists_count,
        });
        let imports = self.imports;
        let pack = self.open_pack()?;
        let list = list
            .map(|list| append(pack, RecordKind::ItemChunks, &list.encode()))
            .transpose()?;
        let item = item
            .map(|item| append(pack, RecordKind::Item, &item.encode()))
            .transpose()?;
        // Without room for a usual chunk it is of no use to the next batch.
        let usual = [ChunkSizes::IMPORTS.max(), ITEM_BYTES_MAX, list_bytes(1)];
        let open = pack.has_room(usual);
        if !open {
            pack.trim()?;
        }
        pack.sync(&*imports.files)?;
        let state = PackState {
            row: pack.row,
            id: pack.header.id,
            end: pack.end(),
            open,
            graves: false,
        };
        let batch = std::mem::take(&mut self.batch);
        let rows = BatchRows {
            item: self.pending.row,
            source: self.meta.source,
            part,
            start: self.pending.progress,
            pack: state,
            chunks: batch.chunks,
            list,
            whole: whole.zip(item),
        };
        let committed = imports.change(move |transaction| add_batch(transaction, &rows))?;
        let Some(committed) = committed else {
            return Ok(false);
        };
        if let Some(pack) = &mut self.pack {
            pack.note_committed(committed.pack);
        }
        if !open {
            self.pack = None;
        }
        self.pending.progress += batch.bytes;
        self.pending.new_bytes += committed.new_bytes;
        self.pending.lists = lists_count;
        Ok(true)
    }

    /// Lends the pack to the next import, without what has no rows.
    fn settle(&mut self, outcome: &Result<Pass, ImportError>) {
        let Some(mut pack) = self.pack.take() else {
            return;
        };
        let files = &*self.imports.files;
        let is_sound = match outcome {
            Ok(Pass::Whole(_)) => pack.trim().is_ok(),
            // Whatever its rows say, the next start makes the file agree with them.
            Err(ImportError::Unanswered) => false,
            _ => pack.roll_back(files),
        };
        if is_sound {
            self.imports.packs.park(pack);
        } else {
            tracing::debug!(pack = %pack.path().display(), "not written to until the next start");
        }
    }
}

/// The payload of a list of so many chunks.
fn list_bytes(chunks: usize) -> u32 {
    let each = 4 + 1 + DIGEST_KIND.bytes_count();
    (16 + 4 + chunks * each) as u32
}

/// Appends a record that is digested here.
pub(super) fn append(
    pack: &mut PackWriter,
    kind: RecordKind,
    payload: &[u8],
) -> Result<PlacedAt, ImportError> {
    let record = RecordHeader::of_payload(kind, DIGEST_KIND, payload);
    Ok(PlacedAt {
        offset: pack.append(&record, payload)?,
        bytes: record.payload_bytes,
    })
}
