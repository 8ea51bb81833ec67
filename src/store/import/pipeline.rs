//! Reads a file, cuts it and digests its chunks, each on a thread of its own, for whoever writes them. Memory is flat:
//! at most [`QUEUED_RUNS`] runs wait between two threads, and whoever is ahead waits.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use super::error::ImportError;
use super::source::SourceFile;
use crate::base::DigestKind;
use crate::chunk::{ChunkRef, ChunkSizes, ReadAt, Splitter, mp4_cuts};

/// Chunks are handed on once so many bytes of them are there: waking a thread for each would cost more than they do,
/// and several are digested faster together than one after the other.
const RUN_BYTES: usize = 1 << 20;

/// Bytes read at a time: few enough that they are still in the processor's cache when they are cut.
const READ_BYTES: usize = 256 << 10;

/// A run, with what follows of it up to the last byte read.
const BUFFER_BYTES: usize = RUN_BYTES + ChunkSizes::IMPORTS.max() as usize + READ_BYTES;

/// Runs that wait between two threads: with those being worked on, 18 MiB in all at the most.
const QUEUED_RUNS: usize = 4;

/// Memory for a run, lent by the reader. Goes back to it when dropped: a system takes its time to hand out new memory,
/// and a processor to clear it.
#[derive(Debug)]
struct Buffer {
    /// [`BUFFER_BYTES`] of them.
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The reader may have ended.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// The buffers that came back.
struct Buffers {
    home: Sender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
}

impl Buffers {
    fn new() -> Self {
        let (home, returned) = channel();
        Self { home, returned }
    }

    /// A buffer with whatever it held before. There are never more than runs under way.
    fn lend(&self) -> Buffer {
        let used = self.returned.try_recv();
        Buffer {
            bytes: used.unwrap_or_else(|_| vec![0; BUFFER_BYTES]),
            home: self.home.clone(),
        }
    }
}

/// Whole chunks that follow each other in a file.
#[derive(Debug)]
struct CutRun {
    buffer: Buffer,
    /// Where each chunk ends in the buffer.
    ends: Vec<usize>,
}

/// The same with digests.
#[derive(Debug)]
pub(super) struct Run {
    buffer: Buffer,
    chunks: Vec<(ChunkRef, Range<usize>)>,
}

impl Run {
    /// Its chunks with their bytes, in the order of the file.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (ChunkRef, &[u8])> {
        let chunks = self.chunks.iter();
        chunks.map(|(chunk, range)| (*chunk, &self.buffer.bytes[range.clone()]))
    }

    /// The digests of its chunks.
    pub(super) fn digests(&self) -> impl Iterator<Item = &ChunkRef> {
        self.chunks.iter().map(|(chunk, _)| chunk)
    }
}

/// Starts reading `source` at `from`, which must be where a chunk starts. The threads end when the file does, after
/// an error, or when nobody takes what they make.
pub(super) fn spawn_pipeline<'scope>(
    scope: &'scope Scope<'scope, '_>,
    source: &'scope SourceFile,
    from: u64,
    digest_kind: DigestKind,
) -> io::Result<Receiver<Result<Run, ImportError>>> {
    let (to_digest, cut) = sync_channel(QUEUED_RUNS);
    let (to_write, digested) = sync_channel(QUEUED_RUNS);
    let spawn = |name: &str| std::thread::Builder::new().name(name.to_owned());
    spawn("import-reader").spawn_scoped(scope, move || {
        if let Err(error) = read(source, from, &to_digest) {
            // Whoever wrote has given up already, if this does not arrive.
            let _ = to_digest.send(Err(ImportError::from_source(error)));
        }
    })?;
    spawn("import-digester").spawn_scoped(scope, move || {
        for run in cut {
            let run = run.map(|run| digest(run, digest_kind));
            if to_write.send(run).is_err() {
                return;
            }
        }
    })?;
    Ok(digested)
}

fn digest(run: CutRun, kind: DigestKind) -> Run {
    let mut start = 0;
    let ranges = run.ends.iter().map(|&end| {
        let start = std::mem::replace(&mut start, end);
        start..end
    });
    let ranges: Vec<Range<usize>> = ranges.collect();
    let bytes = ranges.iter().map(|range| &run.buffer.bytes[range.clone()]);
    let digests = kind.digest_each(&bytes.collect::<Vec<_>>());
    let chunks = digests.into_iter().zip(ranges).map(|(digest, range)| {
        let bytes_count = range.len() as u32;
        let chunk = ChunkRef {
            digest,
            bytes_count,
        };
        (chunk, range)
    });
    Run {
        chunks: chunks.collect(),
        buffer: run.buffer,
    }
}

type CutRuns = SyncSender<Result<CutRun, ImportError>>;

fn read(source: &SourceFile, from: u64, runs: &CutRuns) -> io::Result<()> {
    let sizes = ChunkSizes::IMPORTS;
    // A chunk starts as if the file did, so that an import that goes on cuts where it would have.
    let cuts = mp4_cuts(source, source.bytes, sizes)?.into_iter();
    let cuts = cuts
        .filter(move |cut| *cut > from)
        .map(move |cut| cut - from);
    let mut splitter = Splitter::new(sizes, cuts.collect::<Vec<_>>());
    let buffers = Buffers::new();
    let (mut buffer, mut held) = (buffers.lend(), 0);
    let mut ends = Vec::new();
    let (mut run_start, mut offset) = (from, from);
    while offset < source.bytes {
        let count = (source.bytes - offset).min(READ_BYTES as u64) as usize;
        let more = &mut buffer.bytes[held..held + count];
        source.read_exact_at(more, offset)?;
        let base = run_start - from;
        splitter.feed(more, |end| ends.push((end - base) as usize));
        held += count;
        offset += count as u64;
        let whole = ends.last().copied().unwrap_or(0);
        if whole >= RUN_BYTES {
            let mut next = buffers.lend();
            let open = &buffer.bytes[whole..held];
            held = open.len();
            next.bytes[..held].copy_from_slice(open);
            let run = CutRun {
                buffer: std::mem::replace(&mut buffer, next),
                ends: std::mem::take(&mut ends),
            };
            if runs.send(Ok(run)).is_err() {
                return Ok(());
            }
            run_start += whole as u64;
        }
    }
    if let Some(end) = splitter.finish() {
        ends.push((end - (run_start - from)) as usize);
    }
    if !ends.is_empty() {
        let _ = runs.send(Ok(CutRun { buffer, ends }));
    }
    Ok(())
}
