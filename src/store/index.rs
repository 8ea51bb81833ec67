//! The index of recordings as its one writer sees it: rows go in by whole batches, each one transaction.
//! Knows rows, not files; `reader` looks things up for everyone else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::archive::{DamagedSegment, VerifyReport};
use super::clips::{Clip, ClipFailure, ClipWish, hold_what_came_later, make_clip, remove_clip};
use super::error::OpenError;
use super::file_system::FileSystem;
use super::garbage::Garbage;
use super::import::{Marked, PacksReport, mark_damage};
use super::index_file::{PAGE_BYTES, open_index_file};
use super::journal::{CommitError, Journal, clip_mark};
use super::marks::Mark;
use super::numbers::CameraPosition;
use super::recorder::reel_path;
use super::reel_rows::{close_reel, forget_reel};
use super::rows::{Batch, CameraRow, TrackRow, segment_keys};
use super::scrub_rows::{put_back, quarantine};
use super::segment_log::LogRow;
use super::status::{Gap, GapMark, GapReason};
use crate::base::{CameraId, Wall};
use crate::media::RenditionId;

/// Frames in the write-ahead log after which they are copied into the index: 4 MiB.
const CHECKPOINT_FRAMES: u64 = 1000;

/// A page and its header in the write-ahead log.
const FRAME_BYTES: u64 = PAGE_BYTES + 24;

type GapKind = (CameraId, Option<RenditionId>, GapReason);

/// The writing side of the index.
#[derive(Debug)]
pub(super) struct Index {
    connection: Connection,
    journal: Journal,
    cameras: BTreeMap<CameraId, CameraRow>,
    tracks: BTreeMap<(CameraId, RenditionId), TrackRow>,
    /// The row of the latest gap of each kind, which a mark may lengthen.
    latest_gaps: BTreeMap<GapKind, (i64, GapMark)>,
    frames_in_log: Arc<AtomicU64>,
    frames_at_last_commit: u64,
    bytes_written: u64,
}

impl Index {
    /// Opens the index below `dir`, making or migrating it as needed, and makes it ready to be changed. Refuses a newer
    /// one untouched. The folders `db` and `log` must exist.
    #[cfg(test)]
    pub(super) fn open(dir: &Path, files: Arc<dyn FileSystem>) -> Result<Self, OpenError> {
        let mut index = Self::look_into(dir, files)?;
        index.begin()?;
        Ok(index)
    }

    /// The same, but to be looked at: nothing else below `dir` is changed before [`Self::begin`].
    pub(super) fn look_into(dir: &Path, files: Arc<dyn FileSystem>) -> Result<Self, OpenError> {
        let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
        let mut connection = open_index_file(dir)?;
        let frames_in_log = Arc::new(AtomicU64::new(0));
        let frames = Arc::clone(&frames_in_log);
        let hook = move |_: &mut Wal, count: i32| {
            frames.store(count.unsigned_abs().into(), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(sqlite)?;
        let journal = Journal::find(dir, files, &connection)?;
        let mut index = Self {
            connection,
            journal,
            cameras: BTreeMap::new(),
            tracks: BTreeMap::new(),
            latest_gaps: BTreeMap::new(),
            frames_in_log,
            frames_at_last_commit: 0,
            bytes_written: 0,
        };
        index.load().map_err(sqlite)?;
        Ok(index)
    }

    /// Makes ready to be changed.
    pub(super) fn begin(&mut self) -> Result<(), OpenError> {
        self.journal.begin(&mut self.connection)
    }

    /// Writes the journal with this number again. Durable on return.
    pub(super) fn renew_journal(&mut self, number: u64) -> Result<(), CommitError> {
        self.journal.renew(number, &mut self.connection)?;
        self.count_pages();
        Ok(())
    }

    /// Reads cameras and tracks again, as after recovery has changed rows.
    pub(super) fn load(&mut self) -> rusqlite::Result<()> {
        let mut names = BTreeMap::new();
        self.cameras.clear();
        self.tracks.clear();
        let mut statement = self
            .connection
            .prepare("SELECT id, name, day, next_run, next_msn FROM camera")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let Ok(camera) = name.parse::<CameraId>() else {
                continue;
            };
            names.insert(id, camera.clone());
            let kept = CameraRow {
                id,
                day: row.get(2)?,
                next_run: row.get(3)?,
                next_msn: row.get(4)?,
            };
            self.cameras.insert(camera, kept);
        }
        let mut statement = self
            .connection
            .prepare("SELECT id, camera, rendition FROM track")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (id, camera, name): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if let (Some(camera), Ok(rendition)) = (names.get(&camera), name.parse()) {
                let last_msn = last_msn(&self.connection, id)?;
                self.tracks
                    .insert((camera.clone(), rendition), TrackRow { id, last_msn });
            }
        }
        Ok(())
    }

    /// Every camera known.
    pub(super) fn cameras(&self) -> &BTreeMap<CameraId, CameraRow> {
        &self.cameras
    }

    /// One rendition of a camera, if it was ever recorded.
    pub(super) fn track(&self, camera: &CameraId, rendition: RenditionId) -> Option<&TrackRow> {
        self.tracks.get(&(camera.clone(), rendition))
    }

    /// The header of a run, if it has one already.
    pub(super) fn run_init(&self, track: i64, run: u64) -> rusqlite::Result<Option<Vec<u8>>> {
        self.connection
            .query_row(
                "SELECT init FROM run WHERE track = ? AND run = ?",
                params![track, run],
                |row| row.get(0),
            )
            .optional()
    }

    /// The highest key that a reel has or had, 0 for none.
    pub(super) fn last_reel(&self) -> rusqlite::Result<i64> {
        self.connection.query_row(
            "SELECT max((SELECT coalesce(max(id), 0) FROM reel), (SELECT gone_reel FROM log))",
            (),
            |row| row.get(0),
        )
    }

    /// Where the log of segments stands.
    pub(super) fn log_row(&self) -> rusqlite::Result<LogRow> {
        self.connection
            .query_row("SELECT size, first_reel FROM log", (), |row| {
                Ok(LogRow {
                    size: row.get(0)?,
                    first_reel: row.get(1)?,
                })
            })
    }

    /// The numbers that each camera may use next.
    pub(super) fn positions(&self) -> BTreeMap<CameraId, CameraPosition> {
        let mut positions = BTreeMap::new();
        for (camera, row) in &self.cameras {
            let tracks = self.tracks.iter().filter(|((of, _), _)| of == camera);
            let recorded = tracks.filter_map(|(_, track)| track.last_msn).max();
            let position = CameraPosition {
                next_run: row.next_run,
                next_msn: row.next_msn.max(recorded.map_or(0, |msn| msn + 1)),
            };
            positions.insert(camera.clone(), position);
        }
        positions
    }

    /// Bytes written to the index and its log since it was opened.
    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// For recovery's look-ups.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes sure that a rendition has a row, and that its camera's row names the folder in which reels without
    /// rows may lie. Durable on return; costs nothing when all is as asked already.
    pub(super) fn prepare_track(
        &mut self,
        camera: &CameraId,
        rendition: RenditionId,
        day: &str,
    ) -> rusqlite::Result<()> {
        let known = self.track(camera, rendition).is_some();
        let row = self.cameras.get(camera);
        if known && row.is_some_and(|row| row.day.as_deref() == Some(day)) {
            return Ok(());
        }
        let transaction = begin(&mut self.connection)?;
        let row = ensure_camera(&transaction, row, camera)?;
        transaction.execute(
            "UPDATE camera SET day = ? WHERE id = ?",
            params![day, row.id],
        )?;
        transaction.execute(
            "INSERT OR IGNORE INTO track (camera, rendition) VALUES (?, ?)",
            params![row.id, rendition.name()],
        )?;
        let track: i64 = transaction.query_row(
            "SELECT id FROM track WHERE camera = ? AND rendition = ?",
            params![row.id, rendition.name()],
            |row| row.get(0),
        )?;
        transaction.commit()?;
        self.count_pages();
        let day = Some(day.to_owned());
        self.cameras
            .insert(camera.clone(), CameraRow { day, ..row });
        self.tracks
            .entry((camera.clone(), rendition))
            .or_insert(TrackRow {
                id: track,
                last_msn: None,
            });
        Ok(())
    }

    /// Writes a batch in one transaction. Durable on return; nothing of it holds if it fails.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), CommitError> {
        let transaction = begin(&mut self.connection)?;
        for run in &batch.runs {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?)")?
                .execute(params![run.track, run.run, run.parameters, &run.init[..]])?;
        }
        for reel in &batch.reels {
            transaction
                .prepare_cached(
                    "INSERT INTO reel (id, track, run, day, first_msn, wall_ms, start_ticks)
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    reel.id,
                    reel.track,
                    reel.run,
                    reel.day,
                    reel.first_msn,
                    reel.wall_ms,
                    reel.start_ticks
                ])?;
        }
        for segment in &batch.segments {
            transaction
                .prepare_cached("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)")?
                .execute(params![
                    segment.key,
                    segment.offset,
                    segment.bytes,
                    segment.wall_ms,
                    segment.start_ticks,
                    segment.duration_ticks
                ])?;
        }
        for segment in &batch.lost_segments {
            transaction.execute("DELETE FROM segment WHERE id = ?", [segment])?;
        }
        for reel in &batch.lost_reels {
            transaction.execute("DELETE FROM clip_reel WHERE reel = ?", [reel])?;
            transaction.execute("DELETE FROM reel WHERE id = ?", [reel])?;
        }
        for (segment, place) in &batch.moved_segments {
            transaction.execute(
                "UPDATE segment SET offset = ?, bytes = ? WHERE id = ?",
                params![place.offset, place.bytes, segment],
            )?;
        }
        for (reel, bytes) in &batch.closed {
            close_reel(&transaction, *reel, *bytes)?;
        }
        let keys = batch.segments.iter().map(|row| row.key);
        let mut marks = hold_what_came_later(&transaction, keys)?;
        for segment in &batch.damaged_segments {
            quarantine(&transaction, *segment)?;
        }
        if !batch.damaged_segments.is_empty() {
            marks.push(Mark::Damaged {
                segments: batch.damaged_segments.clone(),
            });
        }
        let mut cameras = BTreeMap::new();
        let named = batch.ceilings.keys();
        for camera in named.chain(batch.gaps.iter().map(|mark| &mark.camera)) {
            if !cameras.contains_key(camera) {
                let row = ensure_camera(&transaction, self.cameras.get(camera), camera)?;
                cameras.insert(camera.clone(), row);
            }
        }
        for (camera, &(next_run, next_msn)) in &batch.ceilings {
            let row = cameras
                .get_mut(camera)
                .expect("its row was just made sure of");
            (row.next_run, row.next_msn) = (next_run, next_msn);
            transaction
                .prepare_cached("UPDATE camera SET next_run = ?, next_msn = ? WHERE id = ?")?
                .execute(params![next_run, next_msn, row.id])?;
            marks.push(Mark::Ceiling {
                camera: camera.clone(),
                next_run,
                next_msn,
            });
        }
        if let Some(log) = &batch.log {
            transaction
                .prepare_cached("UPDATE log SET size = ?, first_reel = ?")?
                .execute(params![log.size, log.first_reel])?;
        }
        if let Some(position) = &batch.scrub {
            transaction
                .prepare_cached(
                    "UPDATE log SET scrubbed_reel = ?, scrubbed_pack = ?, scrub_began_ms = ?",
                )?
                .execute(params![position.reel, position.pack, position.began.0])?;
        }
        let mut latest_gaps = Vec::new();
        for mark in &batch.gaps {
            let kind = (mark.camera.clone(), mark.gap.rendition, mark.gap.reason);
            let latest = self.latest_gaps.get(&kind);
            let (row, mark) = write_gap(&transaction, cameras[&mark.camera].id, latest, mark)?;
            latest_gaps.push((kind, (row, mark.clone())));
            marks.push(Mark::Gap { row, mark });
        }
        self.journal.commit(transaction, &marks)?;
        self.count_pages();
        self.cameras.extend(cameras);
        self.latest_gaps.extend(latest_gaps);
        Ok(())
    }

    /// Changes rows in one transaction. Durable on return; nothing of it holds if it fails.
    pub(super) fn transact<T, E: From<rusqlite::Error>>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = begin(&mut self.connection)?;
        let changed = change(&transaction)?;
        transaction.commit()?;
        self.count_pages();
        Ok(changed)
    }

    /// Makes a clip of what is committed. Durable on return.
    pub(super) fn make_clip(&mut self, wish: &ClipWish, now: Wall) -> Result<Clip, ClipFailure> {
        let transaction = begin(&mut self.connection)?;
        let clip = make_clip(&transaction, wish, now)?;
        let mark = clip_mark(&transaction, &clip)?;
        self.journal.commit(transaction, &[mark])?;
        self.count_pages();
        Ok(clip)
    }

    /// Removes a clip; its reels stay until retention takes them. Durable on return.
    pub(super) fn remove_clip(&mut self, id: i64) -> Result<bool, ClipFailure> {
        let transaction = begin(&mut self.connection)?;
        let removed = remove_clip(&transaction, id)?;
        if removed {
            self.journal
                .commit(transaction, &[Mark::ClipRemoved { id }])?;
            self.count_pages();
        }
        Ok(removed)
    }

    /// Changes rows in one transaction, which holds if `change` gives something. Durable on return.
    pub(super) fn change<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>, ChangeError> {
        let transaction = begin(&mut self.connection).map_err(ChangeError::Refused)?;
        let changed = change(&transaction).map_err(ChangeError::Refused)?;
        if changed.is_some() {
            transaction.commit().map_err(ChangeError::Commit)?;
            self.count_pages();
        }
        Ok(changed)
    }

    /// Marks what scrubbing packs has found. Durable on return.
    pub(super) fn mark_damage(&mut self, found: &PacksReport) -> Result<Marked, CommitError> {
        let transaction = begin(&mut self.connection)?;
        let (marked, marks) = mark_damage(&transaction, found)?;
        self.journal.commit(transaction, &marks)?;
        self.count_pages();
        Ok(marked)
    }

    /// Civil time at which the newest closed reel ends; `None` without one.
    pub(super) fn newest_label(&self) -> rusqlite::Result<Option<Wall>> {
        let newest: Option<i64> =
            self.connection
                .query_row("SELECT max(to_ms) FROM span", (), |row| row.get(0))?;
        Ok(newest.map(Wall))
    }

    /// Forgets closed reels that no clip holds, and gaps before what is left of their cameras; notes the files to be
    /// removed. Durable on return. Returns how many reels, and their bytes.
    pub(super) fn forget_reels(&mut self, reels: &[i64]) -> Result<(u64, u64), CommitError> {
        let names: BTreeMap<i64, &CameraId> = self
            .cameras
            .iter()
            .map(|(camera, row)| (row.id, camera))
            .collect();
        let transaction = begin(&mut self.connection)?;
        let (mut count, mut bytes) = (0, 0);
        let (mut touched, mut gone, mut marks) = (BTreeSet::new(), Vec::new(), Vec::new());
        for &reel in reels {
            let Some(forgotten) = forget_reel(&transaction, reel)? else {
                continue;
            };
            let Some(camera) = names.get(&forgotten.camera) else {
                continue;
            };
            let path = reel_path(Path::new(""), camera, &forgotten.day, reel);
            transaction
                .prepare_cached("INSERT INTO garbage (path) VALUES (?)")?
                .execute([path.to_str()])?;
            touched.insert(forgotten.camera);
            gone.push(reel);
            (count, bytes) = (count + 1, bytes + forgotten.bytes);
        }
        if !gone.is_empty() {
            marks.push(Mark::Forgotten { reels: gone });
        }
        for id in touched {
            let until: Option<i64> = transaction
                .prepare_cached(
                    "SELECT min((SELECT min(wall_ms) FROM reel WHERE reel.track = track.id))
                     FROM track WHERE camera = ?1",
                )?
                .query_row([id], |row| row.get(0))?;
            let (Some(until), Some(&camera)) = (until.map(Wall), names.get(&id)) else {
                continue;
            };
            if forget_gaps(&transaction, id, until)? {
                let camera = camera.clone();
                marks.push(Mark::GapsOver { camera, until });
            }
        }
        self.journal.commit(transaction, &marks)?;
        self.count_pages();
        self.journal.shorten(&mut self.connection)?;
        self.count_pages();
        Ok((count, bytes))
    }

    /// Marks what scrubbing reels has found. Durable on return. Returns how many segments are not played any more, and
    /// how many again.
    pub(super) fn mark_segments(
        &mut self,
        found: &VerifyReport,
    ) -> Result<(u64, u64), CommitError> {
        let lost = self.quarantine(&found.damaged)?;
        Ok((lost, self.put_back(&found.recovered)?))
    }

    /// Gives segments that read well again back to what can be played, and takes them out of what is lost.
    fn put_back(&mut self, recovered: &[DamagedSegment]) -> Result<u64, CommitError> {
        let transaction = begin(&mut self.connection)?;
        let mut segments = Vec::new();
        for segment in recovered {
            if put_back(&transaction, segment.key)? {
                segments.push(segment.key);
            }
        }
        let count = segments.len() as u64;
        let mut marks = hold_what_came_later(&transaction, segments.iter().copied())?;
        if count > 0 {
            marks.push(Mark::Recovered { segments });
        }
        self.journal.commit(transaction, &marks)?;
        self.count_pages();
        // Their rows may be shorter now, or gone.
        self.latest_gaps
            .retain(|(_, _, reason), _| *reason != GapReason::Lost);
        Ok(count)
    }

    /// Takes lost segments of closed reels out of what can be played, and marks each as a loss.
    /// Returns how many there were; what could only not be read stays, and what retention took meanwhile is none.
    fn quarantine(&mut self, damaged: &[DamagedSegment]) -> Result<u64, CommitError> {
        let transaction = begin(&mut self.connection)?;
        let (mut segments, mut marks) = (Vec::new(), Vec::new());
        let mut latest = None;
        for segment in damaged.iter().filter(|segment| segment.is_lost) {
            let Some(row) = self.cameras.get(&segment.camera) else {
                continue;
            };
            if !quarantine(&transaction, segment.key)? {
                continue;
            }
            segments.push(segment.key);
            let loss = GapMark {
                camera: segment.camera.clone(),
                gap: Gap {
                    rendition: Some(segment.rendition),
                    from: segment.wall_start,
                    to: segment.wall_end,
                    reason: GapReason::Lost,
                },
            };
            let (gap, mark) = write_gap(&transaction, row.id, latest.as_ref(), &loss)?;
            latest = Some((gap, mark.clone()));
            marks.push(Mark::Gap { row: gap, mark });
        }
        let count = segments.len() as u64;
        if count > 0 {
            marks.push(Mark::Damaged { segments });
        }
        self.journal.commit(transaction, &marks)?;
        self.count_pages();
        Ok(count)
    }

    /// Files that are to be removed.
    pub(super) fn garbage(&self) -> rusqlite::Result<Vec<Garbage>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, path FROM garbage ORDER BY id LIMIT 1000")?;
        let rows = statement.query_map((), |row| {
            Ok(Garbage {
                id: row.get(0)?,
                path: row.get::<_, String>(1)?.into(),
            })
        })?;
        rows.collect()
    }

    /// Drops the notes of files that are gone.
    pub(super) fn drop_garbage(&mut self, notes: &[i64]) -> rusqlite::Result<()> {
        if notes.is_empty() {
            return Ok(());
        }
        let transaction = begin(&mut self.connection)?;
        for note in notes {
            transaction
                .prepare_cached("DELETE FROM garbage WHERE id = ?")?
                .execute([note])?;
        }
        transaction.commit()?;
        self.count_pages();
        Ok(())
    }

    /// Copies the write-ahead log into the index once it is long. Readers may hold it up; then it goes on next time.
    pub(super) fn checkpoint_if_long(&mut self) -> rusqlite::Result<()> {
        if self.frames_in_log.load(Ordering::Relaxed) < CHECKPOINT_FRAMES {
            return Ok(());
        }
        let copied: i64 =
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| row.get(2))?;
        // An upper bound: a page that lies in the log several times is copied once.
        self.bytes_written += copied.max(0) as u64 * PAGE_BYTES;
        Ok(())
    }

    fn count_pages(&mut self) {
        let frames = self.frames_in_log.load(Ordering::Relaxed);
        let before = self.frames_at_last_commit;
        // Fewer than before: the log was started again from its beginning.
        let added = if frames >= before {
            frames - before
        } else {
            frames
        };
        self.bytes_written += added * FRAME_BYTES + self.journal.take_bytes_written();
        self.frames_at_last_commit = frames;
    }
}

/// A change of rows did not come about.
#[derive(Debug)]
pub(super) enum ChangeError {
    /// Nothing of it holds.
    Refused(rusqlite::Error),
    /// It could not be made durable: what holds is known after the next start, unless the disk was full.
    Commit(rusqlite::Error),
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn ensure_camera(
    transaction: &Transaction<'_>,
    known: Option<&CameraRow>,
    camera: &CameraId,
) -> rusqlite::Result<CameraRow> {
    if let Some(row) = known {
        return Ok(row.clone());
    }
    transaction.execute(
        "INSERT INTO camera (name, next_run, next_msn) VALUES (?, 0, 0)",
        [camera.as_str()],
    )?;
    Ok(CameraRow {
        id: transaction.last_insert_rowid(),
        day: None,
        next_run: 0,
        next_msn: 0,
    })
}

/// Removes a camera's gaps that end by then. Returns whether there were any.
pub(super) fn forget_gaps(
    connection: &Connection,
    camera: i64,
    until: Wall,
) -> rusqlite::Result<bool> {
    let gone = connection
        .prepare_cached("DELETE FROM gap WHERE camera = ? AND to_ms <= ?")?
        .execute(params![camera, until.0])?;
    Ok(gone > 0)
}

/// Writes a gap, or lengthens the latest of its kind if it goes on there. Returns its row and what it now says.
fn write_gap(
    transaction: &Transaction<'_>,
    camera: i64,
    latest: Option<&(i64, GapMark)>,
    mark: &GapMark,
) -> rusqlite::Result<(i64, GapMark)> {
    if let Some((id, before)) = latest.filter(|(_, before)| before.is_continued_by(mark)) {
        let mut longer = before.clone();
        longer.gap.to = longer.gap.to.max(mark.gap.to);
        transaction
            .prepare_cached("UPDATE gap SET to_ms = ? WHERE id = ?")?
            .execute(params![longer.gap.to.0, id])?;
        return Ok((*id, longer));
    }
    transaction
        .prepare_cached(
            "INSERT INTO gap (camera, rendition, from_ms, to_ms, reason) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            camera,
            mark.gap.rendition.map(RenditionId::name),
            mark.gap.from.0,
            mark.gap.to.0,
            mark.gap.reason.number()
        ])?;
    Ok((transaction.last_insert_rowid(), mark.clone()))
}

fn last_msn(connection: &Connection, track: i64) -> rusqlite::Result<Option<u64>> {
    let reel: Option<(i64, u64)> = connection
        .query_row(
            "SELECT id, first_msn FROM reel WHERE track = ? ORDER BY first_msn DESC LIMIT 1",
            [track],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((reel, first_msn)) = reel else {
        return Ok(None);
    };
    let keys = segment_keys(reel);
    let last: Option<i64> = connection.query_row(
        "SELECT max(id) FROM segment WHERE id >= ? AND id < ?",
        [keys.start, keys.end],
        |row| row.get(0),
    )?;
    Ok(last.map(|key| first_msn + (key - keys.start) as u64))
}
