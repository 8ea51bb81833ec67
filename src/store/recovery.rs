//! What happens before recording goes on after a start: files and index are made to agree, and what did not
//! survive is told exactly. Nothing that was committed is cut off or removed as long as its file holds it: what is
//! damaged is only not played any more, as after a scrub. Looks only at reels that were open and at folders where files
//! without rows may lie, so that its cost does not grow with what is recorded. A reel of which the disk gives nothing
//! back is left alone: what cannot be read may be there yet, and new segments go to new reels. Where it fails here and
//! there, segments are damaged, as long as that takes no longer than a start may.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::params;

use super::error::OpenError;
use super::file_system::FileSystem;
use super::garbage::sweep;
use super::index::Index;
use super::parameters::decode_parameters;
use super::patience::{Patience, Sparing};
use super::recorder::reel_path;
use super::reel::{FoundSegment, bytes_with_trailer, check_segment, read_head, read_trailer};
use super::reel_writer::{Place, is_full};
use super::resync::read_segments_despite_damage;
use super::rows::{Batch, REEL_SEGMENTS_MAX, segment_key};
use super::segment_read::{read_segment, reads_whole};
use super::status::{Gap, GapMark, GapReason};
use super::unnamed::unnamed_reels;
use crate::base::{CameraId, Wall};
use crate::chunk::ReadAt;
use crate::media::{RenditionId, ticks_to_seconds};

/// A segment that is not there after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostSegment {
    /// Whose recording it was of.
    pub camera: CameraId,
    /// Which rendition.
    pub rendition: RenditionId,
    /// Media sequence number.
    pub msn: u64,
    /// Civil time at which it starts.
    pub wall_start: Wall,
    /// Civil time at which it ends.
    pub wall_end: Wall,
}

/// Bytes at the end of a reel, or a whole reel, that no committed row names. Told before they go: where the disk failed
/// in that, nobody knows whether they are gone, and they are not played in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscardedTail {
    /// The reel.
    pub path: PathBuf,
    /// How many bytes are cut off.
    pub bytes: u64,
    /// Nothing of the reel was committed, and the file goes.
    pub removed: bool,
    /// The whole segments among them.
    pub segments: Vec<LostSegment>,
}

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Reels that were open when the last process ended; none after a clean stop.
    pub reels_open: usize,
    /// What was written but not committed, and is cut off.
    pub discarded: Vec<DiscardedTail>,
    /// What was committed but is missing or damaged: the disk did not keep what it had promised. Damaged bytes stay
    /// where they are.
    pub lost: Vec<LostSegment>,
    /// Reels that the disk did not let recovery finish: looked at again at the next start.
    pub unreadable: Vec<UnreadableReel>,
}

/// A reel that recovery could not put in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableReel {
    /// The reel.
    pub path: PathBuf,
    /// What the disk said.
    pub cause: String,
}

impl RecoveryReport {
    /// Whether nothing at all is missing.
    pub fn is_clean(&self) -> bool {
        self.discarded.is_empty() && self.lost.is_empty() && self.unreadable.is_empty()
    }

    /// Notes what is to be cut off, once: a try that failed before may have noted it.
    fn note_discarded(&mut self, tail: DiscardedTail) {
        if self.discarded.iter().all(|known| known.path != tail.path) {
            self.discarded.push(tail);
        }
    }

    /// Notes a reel that the disk does not let recovery finish. Fails if what the disk says is not of that reel alone.
    fn leave(&mut self, dir: &Path, path: PathBuf, cause: io::Error) -> Result<(), OpenError> {
        if !is_of_one_file(&cause) {
            return Err(OpenError::from_io(dir, cause));
        }
        let cause = cause.to_string();
        self.unreadable.push(UnreadableReel { path, cause });
        Ok(())
    }

    /// The losses by what is cut off of which the index does not tell yet.
    fn untold(&self, index: &Index) -> rusqlite::Result<Vec<GapMark>> {
        let mut untold = Vec::new();
        for lost in self.discarded.iter().flat_map(|tail| &tail.segments) {
            let gap = lost.gap();
            if !is_told(index, &gap)? {
                gap.add_to(&mut untold);
            }
        }
        Ok(untold)
    }
}

/// One line for the log.
impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("everything is as it was left");
        }
        let removed = self.discarded.iter().filter(|tail| tail.removed).count();
        let bytes: u64 = self.discarded.iter().map(|tail| tail.bytes).sum();
        let segments: usize = self.discarded.iter().map(|tail| tail.segments.len()).sum();
        write!(
            f,
            "{bytes} bytes ({segments} whole segments) that were not committed are cut off, \
             in {} reels and {removed} files that go altogether; {} committed segments are lost",
            self.discarded.len() - removed,
            self.lost.len()
        )?;
        if let Some(UnreadableReel { path, cause }) = self.unreadable.first() {
            write!(
                f,
                "; {} reels could not be put in order and are looked at again at the next start, the first {}: {cause}; check the disk",
                self.unreadable.len(),
                path.display()
            )?;
        }
        Ok(())
    }
}

/// A reel that takes more segments, or took them when the last process ended.
pub(super) struct OpenReel {
    id: i64,
    pub(super) camera: CameraId,
    pub(super) rendition: RenditionId,
    pub(super) day: String,
    run: u64,
    /// Ticks a second; `None` if the index does not tell any more.
    timescale: Option<u32>,
    first_msn: u64,
    wall_start: Wall,
}

impl OpenReel {
    /// Where it lies.
    pub(super) fn path(&self, dir: &Path) -> PathBuf {
        reel_path(dir, &self.camera, &self.day, self.id)
    }

    /// Whose segments lie in its file.
    fn track(&self, file: &dyn ReadAt, size: u64) -> Track {
        let by_reel = || read_head(file, size).map(|head| head.parameters.timescale());
        Track {
            camera: self.camera.clone(),
            rendition: self.rendition,
            timescale: self.timescale.or_else(by_reel).unwrap_or(TIMELESS),
        }
    }
}

/// Ticks a second where nobody knows how many there are: as if segments had no duration.
const TIMELESS: u32 = u32::MAX;

/// Whose segments a reel holds.
struct Track {
    camera: CameraId,
    rendition: RenditionId,
    /// Ticks a second.
    timescale: u32,
}

/// A segment with a row, in an open reel.
#[derive(Debug)]
pub(super) struct Committed {
    key: i64,
    pub(super) place: Place,
    lost: LostSegment,
}

/// What recovery finds of one reel.
#[derive(Debug, Default)]
struct FoundReel {
    /// There is a file, which is cut back to `end`.
    is_there: bool,
    /// Where the last segment ends that was committed and is there; 0 if none is, and the file goes.
    end: u64,
    /// Segments that the file does not hold.
    missing: Vec<Committed>,
    /// Segments whose bytes the file holds, but not as they were.
    damaged: Vec<Committed>,
    /// Sound segments that lie elsewhere than their rows said, with their right places.
    moved: Vec<Committed>,
}

/// What recovery has to tell, over all tries of one start.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) report: RecoveryReport,
    /// The index has it.
    is_committed: bool,
}

/// Cuts each reel back to its last committed end and removes reels that no row names, once the index tells what is lost
/// by that: whatever happens meanwhile, it is told. `told` is empty, or holds what an earlier try of this start has told.
pub(super) fn recover(
    dir: &Path,
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    index: &mut Index,
    told: &mut Told,
) -> Result<(), OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    let mut earlier = std::mem::take(&mut told.report);
    let report = &mut told.report;
    // What was cut off is not found again; the rest is, unless the index has it.
    report.discarded = std::mem::take(&mut earlier.discarded);
    if !std::mem::take(&mut told.is_committed) {
        earlier = RecoveryReport::default();
    }
    let mut batch = Batch::default();
    if let Some((path, error)) = sweep(dir, files, index).map_err(sqlite)? {
        tracing::warn!(path = %path.display(), %error, "a recording that is over cannot be removed; it is tried again");
    }
    let mut reels = Vec::new();
    for reel in open_reels(index).map_err(sqlite)? {
        let committed = committed_segments(index, &reel).map_err(sqlite)?;
        let path = reel.path(dir);
        match look_at_reel(files, patience, &path, &reel, committed, report) {
            Ok(found) => reels.push((reel.id, path, found)),
            Err(cause) => report.leave(dir, path, cause)?,
        }
        report.reels_open += 1;
    }
    let mut unnamed = Vec::new();
    for (camera, row) in index.cameras() {
        let Some(day) = &row.day else { continue };
        for path in unnamed_reels(dir, files, index, camera, day)? {
            let io = |cause| OpenError::from_io(dir, cause);
            report.note_discarded(look_at_unnamed(files, patience, &path).map_err(io)?);
            unnamed.push(path);
        }
    }
    let gaps = report.untold(index).map_err(sqlite)?;
    commit(
        dir,
        index,
        &Batch {
            gaps,
            ..Batch::default()
        },
    )?;
    for (reel, path, found) in reels {
        match found.cut(files, &path) {
            Ok(()) => found.tell(reel, report, &mut batch),
            Err(cause) => report.leave(dir, path, cause)?,
        }
    }
    remove_unnamed(files, &unnamed).map_err(|cause| OpenError::from_io(dir, cause))?;
    for lost in &report.lost {
        lost.gap().add_to(&mut batch.gaps);
    }
    commit(dir, index, &batch)?;
    told.is_committed = true;
    report.reels_open += earlier.reels_open;
    report.lost.splice(..0, earlier.lost);
    Ok(())
}

fn commit(dir: &Path, index: &mut Index, batch: &Batch) -> Result<(), OpenError> {
    if batch.is_empty() {
        return Ok(());
    }
    let committed = index.commit(batch);
    committed.map_err(|error| OpenError::from_commit(dir, error))?;
    let loaded = index.load();
    loaded.map_err(|error| OpenError::from_sqlite(dir, &error))
}

impl LostSegment {
    fn gap(&self) -> GapMark {
        GapMark {
            camera: self.camera.clone(),
            gap: Gap {
                rendition: Some(self.rendition),
                from: self.wall_start,
                to: self.wall_end,
                reason: GapReason::Lost,
            },
        }
    }

    fn found(track: &Track, FoundSegment { trailer, .. }: &FoundSegment) -> Self {
        let Track { camera, .. } = track;
        let (wall_start, duration_ticks) = (trailer.wall_start, trailer.duration_ticks);
        Self {
            camera: camera.clone(),
            rendition: track.rendition,
            msn: trailer.msn,
            wall_start,
            wall_end: wall_end(wall_start, duration_ticks, track.timescale),
        }
    }
}

/// Whether the index tells that all the time of a gap is missing, and why.
fn is_told(index: &Index, GapMark { camera, gap }: &GapMark) -> rusqlite::Result<bool> {
    index
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM gap JOIN camera ON camera.id = gap.camera
             WHERE camera.name = ? AND gap.rendition IS ? AND gap.reason = ? AND gap.from_ms <= ? AND gap.to_ms >= ?)",
        )?
        .query_row(
            params![
                camera.as_str(),
                gap.rendition.map(RenditionId::name),
                gap.reason.number(),
                gap.from.0,
                gap.to.0
            ],
            |row| row.get(0),
        )
}

/// The label of a segment's end.
pub(super) fn wall_end(start: Wall, duration_ticks: u64, timescale: u32) -> Wall {
    start.plus_ms((ticks_to_seconds(duration_ticks, timescale) * 1000.0).round() as i64)
}

/// The reels that were open when the last process ended.
pub(super) fn open_reels(index: &Index) -> rusqlite::Result<Vec<OpenReel>> {
    let mut statement = index.connection().prepare(
        "SELECT reel.id, camera.name, track.rendition, reel.day, reel.run, run.parameters, reel.first_msn, reel.wall_ms
         FROM reel JOIN track ON track.id = reel.track JOIN camera ON camera.id = track.camera
         LEFT JOIN run ON run.track = reel.track AND run.run = reel.run
         WHERE reel.bytes IS NULL ORDER BY reel.id",
    )?;
    let mut rows = statement.query(())?;
    let mut reels = Vec::new();
    while let Some(row) = rows.next()? {
        let (camera, rendition): (String, String) = (row.get(1)?, row.get(2)?);
        let parameters: Option<Vec<u8>> = row.get(5)?;
        let parameters = parameters.as_deref().and_then(decode_parameters);
        let (Ok(camera), Ok(rendition)) = (camera.parse(), rendition.parse()) else {
            continue;
        };
        reels.push(OpenReel {
            id: row.get(0)?,
            camera,
            rendition,
            day: row.get(3)?,
            run: row.get(4)?,
            timescale: parameters.map(|parameters| parameters.timescale()),
            first_msn: row.get(6)?,
            wall_start: Wall(row.get(7)?),
        });
    }
    Ok(reels)
}

/// The segments of a reel by its rows, in order.
pub(super) fn committed_segments(
    index: &Index,
    reel: &OpenReel,
) -> rusqlite::Result<Vec<Committed>> {
    let first = segment_key(reel.id, reel.first_msn, reel.first_msn);
    let timescale = reel.timescale.unwrap_or(TIMELESS);
    let mut statement = index.connection().prepare_cached(
        "SELECT id, offset, bytes, wall_ms, duration_ticks FROM segment
         WHERE id BETWEEN ? AND ? ORDER BY id",
    )?;
    let rows = statement.query_map(
        params![first, first + REEL_SEGMENTS_MAX as i64 - 1],
        |row| {
            let key: i64 = row.get(0)?;
            let wall_start = reel.wall_start.plus_ms(row.get(3)?);
            Ok(Committed {
                key,
                // A damaged row may say anything; what is impossible fails against the file.
                place: Place {
                    offset: row.get::<_, i64>(1)? as u64,
                    bytes: row.get::<_, i64>(2)? as u64,
                },
                lost: LostSegment {
                    camera: reel.camera.clone(),
                    rendition: reel.rendition,
                    msn: reel.first_msn + (key - first) as u64,
                    wall_start,
                    wall_end: wall_end(wall_start, row.get(4)?, timescale),
                },
            })
        },
    )?;
    rows.collect()
}

/// Whether an error tells of one file, or its place on the disk, and nothing of the whole directory.
fn is_of_one_file(error: &io::Error) -> bool {
    !is_full(error)
        && !matches!(
            error.kind(),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
        )
}

impl FoundReel {
    /// Adds it to the report, and to the plan of what the rows must say then.
    fn tell(self, reel: i64, report: &mut RecoveryReport, batch: &mut Batch) {
        if self.end > 0 {
            batch.closed.push((reel, self.end));
        } else {
            batch.lost_reels.push(reel);
        }
        for segment in self.missing {
            batch.lost_segments.push(segment.key);
            report.lost.push(segment.lost);
        }
        for segment in self.damaged {
            batch.damaged_segments.push(segment.key);
            report.lost.push(segment.lost);
        }
        let moved = self.moved.iter();
        batch
            .moved_segments
            .extend(moved.map(|segment| (segment.key, segment.place)));
    }

    /// Cuts the file back to where what was committed ends. After an error its rows hold as before.
    fn cut(&self, files: &dyn FileSystem, path: &Path) -> io::Result<()> {
        if !self.is_there {
            return Ok(());
        }
        let mut file = files.open_file(path)?;
        // Also when nothing is to be cut: it gives back what was reserved.
        file.truncate(self.end)?;
        file.sync()?;
        if self.end == 0 {
            files.remove_file(path)?;
            // Before its row goes: a name that a power cut brings back would belong to no row.
            if let Some(folder) = path.parent() {
                files.sync_folder(folder)?;
            }
        }
        Ok(())
    }

    /// Tells apart segments, in their order, that are not sound where their rows say. A row may be what is damaged, so
    /// the reel is asked, too: `found` are the segments of which it tells.
    fn sort_out(
        &mut self,
        path: &Path,
        file: &dyn ReadAt,
        size: u64,
        reel: &OpenReel,
        unsound: Vec<Committed>,
        found: &[FoundSegment],
    ) -> io::Result<()> {
        let track = reel.track(file, size);
        let start = self.end;
        let is_whole = LazyCell::new(|| reads_whole(file, start, size));
        for mut segment in unsound {
            let by_reel = found.iter().find(|found| {
                let FoundSegment { trailer, .. } = found;
                (trailer.msn, trailer.wall_start) == (segment.lost.msn, segment.lost.wall_start)
            });
            let by_row = segment.place;
            if let Some(by_reel) = by_reel {
                segment.place = Place {
                    offset: by_reel.offset,
                    bytes: by_reel.trailer.segment_bytes,
                };
                let is_elsewhere = segment.place != by_row;
                if is_elsewhere && let Some(end) = sound_end(path, file, size, &segment, reel.run)?
                {
                    self.end = self.end.max(end);
                    self.moved.push(segment);
                    continue;
                }
                segment.place = by_row;
                // The index may not tell any more how long a tick of this run lasts.
                segment.lost.wall_end = LostSegment::found(&track, by_reel).wall_end;
            }
            let end = by_reel.map(|by_reel| by_reel.end);
            let is_somewhere = end.is_some() || is_borne_out(file, size, &segment);
            if !is_somewhere && !*is_whole {
                // It may be where the disk cannot read: what cannot be seen is not cut off.
                self.end = size;
                self.damaged.push(segment);
                continue;
            }
            match end.max(end_by_row(file, size, by_row, found)) {
                Some(end) => {
                    self.end = self.end.max(end);
                    self.damaged.push(segment);
                }
                None => self.missing.push(segment),
            }
        }
        Ok(())
    }

    /// What the log is told beside the report.
    fn say(&self, path: &Path) {
        let path = path.display();
        if !self.damaged.is_empty() {
            tracing::error!(
                %path, segments = self.damaged.len(),
                "committed segments are damaged and are not played any more; their bytes stay; check the disk"
            );
        }
        if !self.moved.is_empty() {
            tracing::error!(
                %path, segments = self.moved.len(),
                "the index named wrong places of segments, which their reel tells; check the disk"
            );
        }
    }
}

/// Whether a segment may lie where its row says: its trailer stands there, or the disk does not tell what does.
fn is_borne_out(file: &dyn ReadAt, size: u64, segment: &Committed) -> bool {
    let place = segment.place;
    let Some(count) = bytes_with_trailer(place, size) else {
        return false;
    };
    match read_trailer(file, place, size) {
        Some((trailer, _)) => trailer.msn == segment.lost.msn,
        None => !reads_whole(
            file,
            place.offset + place.bytes,
            place.offset + count as u64,
        ),
    }
}

/// Where a segment and its trailer end by the segment's row, at the most; `None` if the file ends before. `found` are the
/// segments of which the file tells there.
fn end_by_row(file: &dyn ReadAt, size: u64, place: Place, found: &[FoundSegment]) -> Option<u64> {
    let count = bytes_with_trailer(place, size)? as u64;
    let trailer_at = place.offset + place.bytes;
    let trailer = read_trailer(file, place, size);
    let next = found.iter().map(|found| found.offset);
    let next = next.filter(|&next| next > trailer_at).min();
    let most = (place.offset + count).min(next.unwrap_or(size));
    Some(trailer.map_or(most, |(_, end)| end))
}

/// Finds where what was committed ends in one reel, and notes what is to be cut off behind. Fails, with nothing noted,
/// where patience ends before that is known.
fn look_at_reel(
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    path: &Path,
    reel: &OpenReel,
    mut committed: Vec<Committed>,
    report: &mut RecoveryReport,
) -> io::Result<FoundReel> {
    let mut found = FoundReel::default();
    let mut stored = match files.open_file(path) {
        Ok(stored) => stored,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            found.missing = committed;
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    found.is_there = true;
    let size = stored.size()?;
    let file = Sparing::new(&*stored, patience);
    let mut unsound = Vec::new();
    while let Some(last) = committed.pop() {
        if let Some(end) = sound_end(path, &file, size, &last, reel.run)? {
            found.end = end;
            break;
        }
        unsound.push(last);
    }
    let (mut behind, _) = read_segments_despite_damage(&file, found.end, size);
    if !unsound.is_empty() {
        unsound.reverse();
        found.sort_out(path, &file, size, reel, unsound, &behind)?;
    }
    let end = found.end;
    behind.retain(|segment| segment.offset >= end);
    let segments = lost_segments(&behind, || reel.track(&file, size));
    file.check_tried()?;
    found.say(path);
    // Gives back what was reserved and nothing else: what is lost is told first, which takes room.
    stored.truncate(size)?;
    if size > end {
        report.note_discarded(DiscardedTail {
            path: path.to_owned(),
            bytes: size - end,
            removed: end == 0,
            segments,
        });
    }
    Ok(found)
}

fn lost_segments(found: &[FoundSegment], track: impl FnOnce() -> Track) -> Vec<LostSegment> {
    if found.is_empty() {
        return Vec::new();
    }
    let track = track();
    let lost = found.iter().map(|found| LostSegment::found(&track, found));
    lost.collect()
}

/// Where a committed segment ends in a file of `size` bytes; `None` if its bytes are not there, not what they were, or
/// where the disk cannot read.
fn sound_end(
    path: &Path,
    file: &dyn ReadAt,
    size: u64,
    segment: &Committed,
    run: u64,
) -> io::Result<Option<u64>> {
    let Place { offset, bytes } = segment.place;
    let mut buffer = Vec::new();
    match read_segment(path, file, size, segment.place, &mut buffer) {
        Ok(()) => {
            let sound = check_segment(&buffer, bytes, (segment.lost.msn, run));
            Ok(sound.ok().map(|(_, end)| offset + end))
        }
        Err(unread) if unread.is_lost => Ok(None),
        Err(unread) => Err(unread.error),
    }
}

/// What goes with a reel that has no row, as far as it can be read: it goes in any case, for its number is given out
/// again.
fn look_at_unnamed(
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    path: &Path,
) -> io::Result<DiscardedTail> {
    let mut stored = files.open_file(path)?;
    let bytes = stored.size()?;
    let file = Sparing::new(&*stored, patience);
    let mut segments = Vec::new();
    if let Some(head) = read_head(&file, bytes) {
        let start = u64::from(head.init_bytes);
        let (found, _) = read_segments_despite_damage(&file, start, bytes);
        segments = lost_segments(&found, || Track {
            timescale: head.parameters.timescale(),
            camera: head.camera,
            rendition: head.rendition,
        });
    }
    // As of a reel with a row.
    stored.truncate(bytes)?;
    Ok(DiscardedTail {
        path: path.to_owned(),
        bytes,
        removed: true,
        segments,
    })
}

/// Removes the reels that have no row.
fn remove_unnamed(files: &dyn FileSystem, paths: &[PathBuf]) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for path in paths {
        files.remove_file(path)?;
        folders.extend(path.parent());
    }
    for folder in folders {
        files.sync_folder(folder)?;
    }
    Ok(())
}
