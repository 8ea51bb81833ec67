//! One pass over a file that is imported: what the pipeline has digested is looked up, what is not stored yet is
//! appended to a pack, and item and pack are committed together, batch by batch. While one is being committed, the next
//! is gathered.

use std::collections::HashMap;
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;

use super::DIGEST_KIND;
use super::commit::{Commit, Ended};
use super::engine::{ImportMeta, ImportProgress, Imported, Imports};
use super::error::ImportError;
use super::pack_writer::PackWriter;
use super::pipeline::{Run, spawn_pipeline};
use super::rows::{BatchRows, Named, PackState, Pending, PlacedAt, find_chunk};
use super::source::SourceFile;
use crate::base::Digest;
use crate::chunk::{
    ChunkRef, ChunkSizes, Item, ItemChunks, ItemHasher, MediaKind, PACK_BYTES_MAX, RecordHeader,
    RecordKind,
};

/// A transaction covers at most so much of a file, however much of it is stored already.
const BATCH_BYTES_MAX: u64 = 64 << 20;

/// And so many chunks: what the writer takes in a few hundredths of a second.
const BATCH_CHUNKS_MAX: usize = 8192;

/// An item's record has at most so large a payload: two names, a digest and some numbers.
const ITEM_BYTES_MAX: u32 = 1024;

/// What a batch has gathered, beside its pack.
#[derive(Debug, Default)]
struct Batch {
    chunks: Vec<(ChunkRef, Named)>,
    /// Chunks that the pack holds and no row names yet.
    written: HashMap<Digest, u64>,
    bytes: u64,
}

/// How a pass over a file ended.
pub(super) enum Pass {
    Whole(Imported),
    /// Something that was looked up is gone: once more from the last commit.
    Again,
}

/// One pass over a file.
pub(super) struct Import<'a> {
    imports: &'a Arc<Imports>,
    meta: &'a ImportMeta,
    media: MediaKind,
    source: &'a SourceFile,
    /// As far as all batches that are committed, or being so.
    pending: Pending,
    hasher: ItemHasher,
    batch: Batch,
    pack: Option<PackWriter>,
    /// The batch before this one, if it is not in the index yet.
    commit: Option<Commit>,
}

impl<'a> Import<'a> {
    /// Begins where `pending` stands; `hasher` has seen the chunks before.
    pub(super) fn new(
        imports: &'a Arc<Imports>,
        meta: &'a ImportMeta,
        media: MediaKind,
        source: &'a SourceFile,
        pending: Pending,
        hasher: ItemHasher,
    ) -> Self {
        Self {
            imports,
            meta,
            media,
            source,
            pending,
            hasher,
            batch: Batch::default(),
            pack: None,
            commit: None,
        }
    }

    /// Reads and stores the rest of the file, and ends the item.
    pub(super) fn run(
        &mut self,
        progress: &mut dyn FnMut(ImportProgress),
    ) -> Result<Pass, ImportError> {
        let total = self.source.bytes;
        let mut tell = |done| progress(ImportProgress { done, total });
        tell(self.pending.progress);
        let (source, from) = (self.source, self.pending.progress);
        std::thread::scope(|scope| {
            let runs = spawn_pipeline(scope, source, from, DIGEST_KIND).map_err(no_thread)?;
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
            let is_new = known.is_none() && self.named(&chunk).is_none();
            self.open_pack()?;
            if !self.fits(is_new.then_some(chunk.bytes_count)) && !self.commit(None)? {
                return Ok(false);
            }
            let named = match known.map(Named::Known).or_else(|| self.named(&chunk)) {
                Some(named) => named,
                None => {
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

    /// How a chunk is named that the index does not know yet, but this batch or the one before has written.
    fn named(&self, chunk: &ChunkRef) -> Option<Named> {
        let here = self.batch.written.get(&chunk.digest);
        let before = || {
            let commit = self.commit.as_ref()?;
            let written = commit.has_written(&chunk.digest);
            written.then_some(Named::Before)
        };
        here.map(|offset| Named::Written(*offset)).or_else(before)
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
            self.imports
                .check_space(left.min(PACK_BYTES_MAX), &self.meta.origin)?;
            let pack = match self.imports.packs.take() {
                Some(pack) => pack,
                None => self.imports.create_pack()?,
            };
            self.pack = Some(pack);
        }
        Ok(self.pack.as_mut().expect("it was just opened"))
    }

    /// Ends the item. `Again` if something that was looked up is gone.
    fn finish(&mut self) -> Result<Pass, ImportError> {
        let digest = self.hasher.clone().finish();
        if !self.commit(Some(digest))? || !self.settle_commit()? {
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

    /// Ends the batch with its records, and begins to make it durable and to add it to the item, which `whole` ends.
    /// `false` if something is gone that this batch, or the one before, relies on.
    fn commit(&mut self, whole: Option<Digest>) -> Result<bool, ImportError> {
        let chunks: Vec<ChunkRef> = self.batch.chunks.iter().map(|(chunk, _)| *chunk).collect();
        let (id, part) = (self.pending.id, self.pending.lists);
        let list = (!chunks.is_empty()).then_some(ItemChunks {
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
        let pack = self.open_pack()?;
        let list = list
            .map(|list| append(pack, RecordKind::ItemChunks, &list.encode()))
            .transpose()?;
        let item = item
            .map(|item| append(pack, RecordKind::Item, &item.encode()))
            .transpose()?;
        // Without room for a usual chunk it is of no use to the next batch.
        let usual = [ChunkSizes::IMPORTS.max(), ITEM_BYTES_MAX, list_bytes(1)];
        let state = PackState {
            row: pack.row,
            id: pack.header.id,
            end: pack.end(),
            open: pack.has_room(usual),
            graves: false,
        };
        // Batches come into the index in their order.
        if !self.settle_commit()? {
            return Ok(false);
        }
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
        let pack = self.pack.take().expect("it was open just now");
        let commit = Commit::spawn(self.imports, pack, rows, batch.written);
        self.commit = Some(commit.map_err(no_thread)?);
        self.pending.progress += batch.bytes;
        self.pending.lists = lists_count;
        // The next batch goes on in a pack that has room.
        if state.open {
            self.settle_commit()
        } else {
            Ok(true)
        }
    }

    /// Waits for the commit under way, if there is one. `false` if something is gone that it relies on.
    fn settle_commit(&mut self) -> Result<bool, ImportError> {
        let Some(commit) = self.commit.take() else {
            return Ok(true);
        };
        let ended = commit.wait().unwrap_or_else(|panic| resume_unwind(panic));
        let committed = match ended.outcome {
            Ok(Some(committed)) => committed,
            failed => {
                ended
                    .pack
                    .into_iter()
                    .for_each(|pack| self.imports.packs.park(pack));
                return failed.map(|_| false);
            }
        };
        self.pending.new_bytes += committed.new_bytes;
        if let Some(pack) = ended.pack {
            self.pack = Some(pack);
        }
        Ok(true)
    }

    /// Lends the pack to the next import once the item is whole. After anything else, see `drop`.
    pub(super) fn settle(&mut self, outcome: &Result<Pass, ImportError>) {
        if let Ok(Pass::Whole(_)) = outcome
            && let Some(pack) = self.pack.take_if(|pack| pack.trim().is_ok())
        {
            self.imports.packs.park(pack);
        }
    }
}

impl Drop for Import<'_> {
    /// Takes back what has no rows, also when somebody who was told of the progress panicked. What is being committed
    /// is waited for.
    fn drop(&mut self) {
        if let Some(mut pack) = self.pack.take()
            && pack.roll_back(&*self.imports.files)
        {
            self.imports.packs.park(pack);
        }
        let ended = self.commit.take().map(Commit::wait);
        if let Some(Ok(Ended {
            pack: Some(pack), ..
        })) = ended
        {
            self.imports.packs.park(pack);
        }
    }
}

fn no_thread(error: io::Error) -> ImportError {
    ImportError::NotWritable(format!("no thread: {error}"))
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
