//! One whole pass over everything stored, at somebody's command and at full speed; beside an appliance it only tells.

use std::path::Path;
use std::sync::Arc;

use super::archive::{Archive, VerifyReport};
use super::error::{OpenError, ReadError};
use super::file_system::RealFileSystem;
use super::import::{PacksReport, note_traced, repair_records, trace_damage};
use super::journal::verify_journal;
use super::log_scrub::{LogReport, repair_log};
use super::patience::Patience;
use super::reader::Reader;
use super::reel_heads::repair_heads;
use super::{lock_directory, open_index};
use crate::base::SystemClock;

/// What one whole pass has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// What was read of reels.
    pub verified: VerifyReport,
    /// What was read of packs.
    pub packs: PacksReport,
    /// The journal is not what it was.
    pub journal_damaged: bool,
    /// What was read of the signed log of segments.
    pub log: LogReport,
    /// What is not given out any more, or again, because of this pass; `None` if an appliance runs there, which marks
    /// what it finds itself.
    pub marked: Option<ScrubMarks>,
}

/// What a pass has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubMarks {
    /// Segments that are not played any more.
    pub segments: u64,
    /// Segments that read well again and are played again.
    pub segments_recovered: u64,
    /// Chunks of imports that are not given out any more.
    pub chunks: u64,
    /// Chunks that read well again and are given out again.
    pub chunks_recovered: u64,
    /// Records of packs that were written again from what the index knows.
    pub records_repaired: u64,
    /// Reels whose start was written again from what the index knows.
    pub heads_repaired: u64,
    /// The journal was written again from what the index knows.
    pub journal_renewed: bool,
    /// Tiles of the log of segments whose hashes were written again from what lies below them.
    pub tiles_repaired: u64,
}

/// Reads everything below `dir` once. Without an appliance that runs there, what is damaged is marked. `progress` is told
/// the bytes read so far and about how many there are.
pub fn scrub_once(
    dir: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<ScrubReport, ScrubError> {
    let archive = Archive::open(dir)?;
    let verified = archive.verify(&mut progress)?;
    let packs = archive.verify_packs(&mut progress)?;
    let journal = verify_journal(dir, archive.reader())?;
    let lock = match lock_directory(dir) {
        Ok(lock) => Some(lock),
        Err(OpenError::InUse(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mut marked = match &lock {
        Some(_) => Some(mark(dir, archive.reader(), &verified, &packs, journal)?),
        None => None,
    };
    let log = archive.verify_log_files(&mut progress);
    if let Some(marked) = &mut marked {
        marked.tiles_repaired = repair_log(&RealFileSystem, &log);
    }
    Ok(ScrubReport {
        verified,
        packs,
        journal_damaged: journal.is_some(),
        log,
        marked,
    })
}

fn mark(
    dir: &Path,
    reader: &Reader,
    verified: &VerifyReport,
    packs: &PacksReport,
    journal: Option<u64>,
) -> Result<ScrubMarks, ScrubError> {
    let is_as_noted =
        verified.is_as_noted() && packs.damaged.is_empty() && packs.recovered.is_empty();
    let is_intact = packs.records_damaged.is_empty() && verified.heads_damaged.is_empty();
    if is_as_noted && is_intact && journal.is_none() {
        return Ok(ScrubMarks::default());
    }
    let patience = Patience::new(&SystemClock);
    // What an older index does not know would be taken for damage.
    let mut index = open_index(dir, Arc::new(RealFileSystem), &patience)?;
    let mut marked = ScrubMarks {
        records_repaired: repair_records(&RealFileSystem, reader, packs)?,
        heads_repaired: repair_heads(dir, reader, &verified.heads_damaged)?,
        ..ScrubMarks::default()
    };
    if is_as_noted && journal.is_none() {
        return Ok(marked);
    }
    let commit = |error| OpenError::from_commit(dir, error);
    if let Some(number) = journal {
        index.renew_journal(number).map_err(commit)?;
        marked.journal_renewed = true;
    }
    if !verified.is_as_noted() {
        (marked.segments, marked.segments_recovered) =
            index.mark_segments(verified).map_err(commit)?;
    }
    let chunks = index.mark_damage(packs).map_err(commit)?;
    (marked.chunks, marked.chunks_recovered) = (chunks.damaged, chunks.recovered);
    if let Some(traced) = trace_damage(reader)? {
        index
            .transact(|transaction| note_traced(transaction, &traced))
            .map_err(|error: rusqlite::Error| OpenError::from_sqlite(dir, &error))?;
    }
    Ok(marked)
}

/// A pass was not possible.
#[derive(Debug, thiserror::Error)]
pub enum ScrubError {
    /// The directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The recordings cannot be read at all.
    #[error(transparent)]
    Read(#[from] ReadError),
}
