//! Reads a file, cuts it and digests its chunks, each on a thread of its own, for whoever writes them. Memory is flat:
//! at most [`QUEUED_RUNS`] runs wait between two threads, and whoever is ahead waits.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use super::error::ImportError;
use super::source::SourceFile;
use crate::base::DigestKind;
use crate::chunk::{ChunkRef, ChunkSizes, ReadAt, Splitter, mp4_cuts};

/// Chunks are handed on once so many bytes of them are there: waking a thread for each would cost more than they do.
const RUN_BYTES: usize = 1 << 20;

/// Bytes read at a time.
const READ_BYTES: u64 = 256 << 10;

/// Runs that wait between two threads: with those being worked on, 14 MiB in all at the most.
const QUEUED_RUNS: usize = 4;

/// Whole chunks that follow each other in a file.
#[derive(Debug, Default)]
struct CutRun {
    bytes: Vec<u8>,
    /// Where each chunk ends in `bytes`; the last one at their end.
    ends: Vec<usize>,
}

/// The same with digests.
#[derive(Debug)]
pub(super) struct Run {
    bytes: Vec<u8>,
    chunks: Vec<(ChunkRef, Range<usize>)>,
}

impl Run {
    /// Its chunks with their bytes, in the order of the file.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (ChunkRef, &[u8])> {
        let chunks = self.chunks.iter();
        chunks.map(|(chunk, range)| (*chunk, &self.bytes[range.clone()]))
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
    let chunks = run.ends.iter().map(|&end| {
        let range = std::mem::replace(&mut start, end)..end;
        let chunk = ChunkRef {
            digest: kind.digest(&run.bytes[range.clone()]),
            bytes_count: range.len() as u32,
        };
        (chunk, range)
    });
    let chunks = chunks.collect();
    Run {
        bytes: run.bytes,
        chunks,
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
    let capacity = RUN_BYTES + sizes.max() as usize + READ_BYTES as usize;
    let mut run = CutRun {
        bytes: Vec::with_capacity(capacity),
        ends: Vec::new(),
    };
    let (mut run_start, mut offset) = (from, from);
    while offset < source.bytes {
        let count = READ_BYTES.min(source.bytes - offset);
        let held = run.bytes.len();
        run.bytes.resize(held + count as usize, 0);
        source.read_exact_at(&mut run.bytes[held..], offset)?;
        let base = run_start - from;
        splitter.feed(&run.bytes[held..], |end| {
            run.ends.push((end - base) as usize);
        });
        offset += count;
        let whole = run.ends.last().copied().unwrap_or(0);
        if whole >= RUN_BYTES {
            let mut next = Vec::with_capacity(capacity);
            next.extend_from_slice(&run.bytes[whole..]);
            run.bytes.truncate(whole);
            let next = CutRun {
                bytes: next,
                ends: Vec::new(),
            };
            if runs.send(Ok(std::mem::replace(&mut run, next))).is_err() {
                return Ok(());
            }
            run_start += whole as u64;
        }
    }
    if let Some(end) = splitter.finish() {
        run.ends.push((end - (run_start - from)) as usize);
    }
    if !run.ends.is_empty() {
        let _ = runs.send(Ok(run));
    }
    Ok(())
}
