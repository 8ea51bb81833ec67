//! Reads every recorded and imported byte again, again and again, so slowly that nobody notices and so fast that it
//! comes round within a month, and compares it with its digest. A damaged segment is taken out of what can be played
//! and marked as a loss; a damaged chunk is not given out any more, and its items are named; their bytes stay. What only
//! a rebuilt index would need (the starts of reels, records of packs, the journal) is written again from the index. The
//! signed log of segments is read again with it. Runs on a thread of its own beside the writer, which it asks to mark.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::archive::{
    DamagedSegment, ReelToRead, VerifyReport, has_reel, open_reel, reels_after, verify_reel,
};
use super::error::ReadError;
use super::file_system::{RealFileSystem, forget_cached};
use super::import::{
    PackToRead, PacksReport, forget_removed, note_traced, open_pack, pack_after, pack_bytes_behind,
    repair_records, tell_damage, trace_damage, verify_pack,
};
use super::journal::verify_journal;
use super::last_words::LastWords;
use super::log_scrub::scrub_log;
use super::reader::Reader;
use super::reel_heads::{repair_heads, verify_head};
use super::status::RecordingState;
use super::writer::{Asker, Writer};
use crate::base::{Clock, Wall};

/// A pass takes about this long, which leaves days for a box that is off at night to come round within a month.
const PASS: Duration = Duration::from_secs(20 * 24 * 3600);

/// Nothing is read so soon after a start.
const REST_AT_START: Duration = Duration::from_secs(120);

/// The longest and the shortest rest after a reel.
const REST_MAX: Duration = Duration::from_secs(3600);
const REST_MIN: Duration = Duration::from_millis(100);

/// Rest after a reel that still takes more, which is left for the next pass.
const REST_AFTER_OPEN: Duration = Duration::from_secs(60);

/// Rest after each segment of a reel: others read and write meanwhile.
const SEGMENT_REST: Duration = Duration::from_millis(20);

/// The log of segments is not read again sooner, in ms: where little is recorded, a pass is short.
const LOG_INTERVAL_MS: i64 = 86_400_000;

/// The longest that the writer is waited for.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// How far scrubbing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScrubPosition {
    /// It goes on behind this reel,
    pub(super) reel: i64,
    /// and once there are none, behind this pack.
    pub(super) pack: i64,
    /// Civil time when the pass began.
    pub(super) began: Wall,
}

/// What was read of one reel or one pack.
#[derive(Debug)]
pub(super) struct Scrubbed {
    pub(super) position: ScrubPosition,
    pub(super) segments: VerifyReport,
    pub(super) packs: PacksReport,
    /// What the pass rests now.
    pub(super) rest: Duration,
}

/// The thread's end that others hold. Dropping it stops the thread.
#[derive(Debug)]
pub(super) struct Scrubber(Arc<Bell>);

/// Wakes a sleeper for good.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    wakes: Condvar,
}

impl Bell {
    /// Sleeps unless it has rung. Returns whether it has.
    fn sleep(&self, time: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let slept = self.wakes.wait_timeout_while(rung, time, |rung| !*rung);
        *slept.unwrap_or_else(PoisonError::into_inner).0
    }

    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wakes.notify_all();
    }
}

impl Scrubber {
    /// Starts the thread, which ends when this is dropped or the writer takes nothing more.
    pub(super) fn spawn(dir: &Path, writer: Writer, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let bell = Arc::new(Bell::default());
        let heard = Arc::clone(&bell);
        let dir = dir.to_owned();
        std::thread::Builder::new()
            .name("store-scrub".to_owned())
            .spawn(move || {
                let _last_words = LastWords(
                    "the store's scrubber panicked; what is stored is not read again until perch starts again",
                );
                run(&dir, &writer, &*clock, &heard);
            })?;
        Ok(Self(bell))
    }

    /// Lets the thread end within a segment's time.
    pub(super) fn stop(&self) {
        self.0.ring();
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(dir: &Path, writer: &Writer, clock: &dyn Clock, bell: &Bell) {
    let mut round = Round::new(dir, writer);
    let mut rest = REST_AT_START;
    while !bell.sleep(rest) {
        rest = round.step(clock.wall(), || bell.sleep(SEGMENT_REST));
    }
}

/// Scrubbing as it goes round, a reel or a pack at a time.
pub(super) struct Round<'a> {
    dir: &'a Path,
    reader: Reader,
    writer: &'a Writer,
    /// Up to where the writer has noted what was found; `None` until that is looked up.
    position: Option<ScrubPosition>,
    /// What the log was told last: not again, if that is read again.
    told: Option<ScrubPosition>,
    /// The log of segments is to be read again, and when it was last.
    log_is_due: bool,
    log_read: Option<Wall>,
}

impl<'a> Round<'a> {
    pub(super) fn new(dir: &'a Path, writer: &'a Writer) -> Self {
        Self {
            dir,
            reader: Reader::new(dir),
            writer,
            position: None,
            told: None,
            log_is_due: false,
            log_read: None,
        }
    }

    /// Reads the next reel or pack and has noted what of it is damaged; returns how long to rest. What the writer does
    /// not note, because it takes nothing or the disk is full, is read again after that. `pause` is as for
    /// [`scrub_next`].
    pub(super) fn step(&mut self, now: Wall, pause: impl Fn() -> bool) -> Duration {
        let rest = self.read_and_note(now, &pause);
        rest.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is stored cannot be read again for now");
            REST_MAX
        })
    }

    fn read_and_note(
        &mut self,
        now: Wall,
        pause: &impl Fn() -> bool,
    ) -> Result<Duration, ReadError> {
        let last = match self.position {
            Some(position) => position,
            None => last_position(&self.reader)?,
        };
        let Some(scrubbed) = scrub_next(self.dir, &self.reader, last, now, pause)? else {
            return Ok(REST_MAX);
        };
        let (position, rest) = (scrubbed.position, scrubbed.rest);
        if position.began != last.began {
            self.check_journal()?;
            let read = self.log_read;
            self.log_is_due = read.is_none_or(|read| (now - read).abs() >= LOG_INTERVAL_MS);
        }
        if self.told.replace(position) != Some(position) {
            scrubbed.tell();
        }
        self.repair(&scrubbed);
        let noted = self
            .writer
            .ask(Asker::Own, ANSWER_WAIT_MAX, move |recorder| {
                recorder.note_scrubbed(&scrubbed)
            });
        if noted != Ok(true) {
            if !pause() {
                tracing::warn!(
                    "what was read again could not be noted, and is read once more later"
                );
            }
            return Ok(REST_MAX);
        }
        self.position = Some(position);
        if let Err(error) = trace(&self.reader, self.writer) {
            tracing::warn!(%error, "which files are damaged is looked for again later");
        }
        if self.log_is_due && self.check_log(pause) {
            self.log_is_due = false;
            self.log_read = Some(now);
        }
        Ok(rest)
    }

    /// Writes again what the index knows of what is damaged, unless nothing may be written any more.
    fn repair(&self, scrubbed: &Scrubbed) {
        if matches!(self.writer.status().state, RecordingState::Poisoned { .. }) {
            return;
        }
        match repair_records(&RealFileSystem, &self.reader, &scrubbed.packs) {
            Ok(0) => {}
            Ok(repaired) => tracing::warn!(
                repaired,
                "damaged records of packs were written again from what the index knows"
            ),
            Err(error) => tracing::warn!(%error, "damaged records of packs are not written again"),
        }
        match repair_heads(self.dir, &self.reader, &scrubbed.segments.heads_damaged) {
            Ok(0) => {}
            Ok(repaired) => tracing::warn!(
                repaired,
                "the damaged start of a reel was written again from what the index knows"
            ),
            Err(error) => {
                tracing::warn!(%error, "the damaged start of a reel is not written again")
            }
        }
    }

    /// Reads the log of segments again, once in a pass, and has written again what of it is certain. Returns false if
    /// `pause` said to break off.
    fn check_log(&self, pause: &impl Fn() -> bool) -> bool {
        let Some(found) = scrub_log(self.dir, &self.reader, pause) else {
            return false;
        };
        found.tell();
        if found.is_renewable() {
            // What is not done now is done in the next pass.
            let renewed = self
                .writer
                .ask(Asker::Own, ANSWER_WAIT_MAX, move |recorder| {
                    recorder.renew_log(&found)
                });
            if renewed.is_ok_and(|renewed| renewed > 0) {
                tracing::warn!("damaged hashes of the log of segments were written again");
            }
        }
        true
    }

    /// Reads the journal again, once in a pass, and has a damaged one written again.
    fn check_journal(&self) -> Result<(), ReadError> {
        if let Some(number) = verify_journal(self.dir, &self.reader)? {
            tracing::error!(
                "the journal, which only a rebuilt index would need, is damaged; it is written again from the index; \
                 check the disk"
            );
            // What is not done now is done in the next pass.
            let _ = self
                .writer
                .ask(Asker::Own, ANSWER_WAIT_MAX, move |recorder| {
                    recorder.renew_journal(number);
                });
        }
        Ok(())
    }

    /// Up to where what was found is noted.
    #[cfg(test)]
    pub(super) fn position(&self) -> Option<ScrubPosition> {
        self.position
    }
}

/// Notes which items lack what is damaged, and says so. What is not noted now is noted after the next step.
fn trace(reader: &Reader, writer: &Writer) -> Result<(), ReadError> {
    if let Some(traced) = trace_damage(reader)? {
        let noted = writer.ask(Asker::Own, ANSWER_WAIT_MAX, move |recorder| {
            recorder.change(|transaction| note_traced(transaction, &traced).map(Some))
        });
        if let Ok(Ok(Some(items))) = noted {
            tell_damage(&items);
        }
    }
    Ok(())
}

/// How far scrubbing had come when it was written down last.
pub(super) fn last_position(reader: &Reader) -> Result<ScrubPosition, ReadError> {
    reader.read(|connection| {
        let position = "SELECT scrubbed_reel, scrubbed_pack, scrub_began_ms FROM log";
        let position = connection.query_row(position, (), |row| {
            Ok(ScrubPosition {
                reel: row.get(0)?,
                pack: row.get(1)?,
                began: Wall(row.get(2)?),
            })
        });
        Ok(position?)
    })
}

/// Reads the next closed reel behind `position`, or once there is none the next pack, and behind the last pack begins
/// a new pass. `None` if there is nothing at all. `pause` is called after each segment and each MiB of a pack; what it
/// returns is whether to break off, and then nothing was read.
pub(super) fn scrub_next(
    dir: &Path,
    reader: &Reader,
    mut position: ScrubPosition,
    now: Wall,
    pause: impl Fn() -> bool,
) -> Result<Option<Scrubbed>, ReadError> {
    let is_first = position.began == Wall(0);
    if is_first {
        position.began = now;
    }
    let mut next = next_after(dir, reader, position)?;
    if next.is_none() && !is_first {
        position = ScrubPosition {
            reel: 0,
            pack: 0,
            began: now,
        };
        next = next_after(dir, reader, position)?;
    }
    match next {
        Some(Next::Reel(reel)) => scrub_reel(reader, position, &reel, now, pause),
        Some(Next::Pack(pack)) => scrub_pack(dir, reader, position, &pack, now, pause),
        None => Ok(None),
    }
}

/// What is read next.
enum Next {
    Reel(ReelToRead),
    Pack(PackToRead),
}

fn next_after(
    dir: &Path,
    reader: &Reader,
    position: ScrubPosition,
) -> Result<Option<Next>, ReadError> {
    reader.read(|connection| {
        // Reels that came while packs are read are for the next pass.
        if position.pack == 0
            && let Some(reel) = reels_after(connection, dir, position.reel, 1)?.pop()
        {
            return Ok(Some(Next::Reel(reel)));
        }
        Ok(pack_after(connection, dir, position.pack)?.map(Next::Pack))
    })
}

fn scrub_reel(
    reader: &Reader,
    mut position: ScrubPosition,
    reel: &ReelToRead,
    now: Wall,
    pause: impl Fn() -> bool,
) -> Result<Option<Scrubbed>, ReadError> {
    let remaining = remaining_bytes(reader, position)?;
    position.reel = reel.id;
    let mut report = VerifyReport::default();
    if !reel.is_closed {
        // Those behind it are younger still; the next pass comes to it.
        return Ok(Some(Scrubbed {
            position,
            segments: report,
            packs: PacksReport::default(),
            rest: REST_AFTER_OPEN,
        }));
    }
    forget_cached(&reel.path);
    report.heads_damaged.extend(verify_head(reel, &open_reel));
    let mut buffer = Vec::new();
    for segment in reel.single_segments() {
        let found = verify_reel(&segment, &open_reel, &mut buffer);
        report.add(found);
        if pause() {
            return Ok(None);
        }
    }
    // What was read is of no use to anybody else.
    forget_cached(&reel.path);
    // Retention was faster.
    if report.has_damage() && !has_reel(reader, reel.id)? {
        report.damaged.clear();
        report.heads_damaged.clear();
    }
    Ok(Some(Scrubbed {
        rest: rest_after(reel.bytes(), remaining, now - position.began),
        position,
        segments: report,
        packs: PacksReport::default(),
    }))
}

fn scrub_pack(
    dir: &Path,
    reader: &Reader,
    mut position: ScrubPosition,
    pack: &PackToRead,
    now: Wall,
    pause: impl Fn() -> bool,
) -> Result<Option<Scrubbed>, ReadError> {
    let remaining = remaining_bytes(reader, position)?;
    position.pack = pack.row;
    forget_cached(&pack.path);
    let mut report = match verify_pack(pack, &open_pack, &pause) {
        Ok(Some(report)) => report,
        Ok(None) => return Ok(None),
        // It keeps the others from nothing; the next pass comes to it.
        Err(error @ ReadError::Io { .. }) => {
            tracing::warn!(%error, "a pack of imports cannot be read again");
            PacksReport::default()
        }
        Err(error) => return Err(error),
    };
    forget_cached(&pack.path);
    reader.read(|connection| Ok(forget_removed(connection, dir, pack, &mut report)?))?;
    Ok(Some(Scrubbed {
        rest: rest_after(pack.bytes, remaining, now - position.began),
        position,
        segments: VerifyReport::default(),
        packs: report,
    }))
}

/// About how many bytes a pass has still to read.
fn remaining_bytes(reader: &Reader, position: ScrubPosition) -> Result<u64, ReadError> {
    reader.read(|connection| {
        let packs = pack_bytes_behind(connection, position.pack)?;
        let reels = match position.pack {
            0 => reel_bytes_behind(connection, position.reel)?,
            _ => 0,
        };
        Ok(packs + reels)
    })
}

/// About how many bytes of reels lie behind one.
fn reel_bytes_behind(connection: &rusqlite::Connection, reel: i64) -> rusqlite::Result<u64> {
    let total: u64 = connection.query_row(
        "SELECT coalesce(sum(reel_bytes), 0) FROM camera",
        (),
        |row| row.get(0),
    )?;
    let (first, last): (i64, i64) = connection.query_row(
        "SELECT coalesce((SELECT min(id) FROM reel), 0), coalesce((SELECT max(id) FROM reel), 0)",
        (),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let behind = (last - reel.max(first - 1)).max(0) as u64;
    let all = (last - first + 1).max(1) as u64;
    Ok((u128::from(total) * u128::from(behind) / u128::from(all)) as u64)
}

/// How long to rest after `bytes` so that `remaining` bytes take what is left of the pass.
fn rest_after(bytes: u64, remaining: u64, elapsed_ms: i64) -> Duration {
    let elapsed = Duration::from_millis(elapsed_ms.max(0) as u64);
    // One that is late hurries, but not so that others notice.
    let left = PASS.saturating_sub(elapsed).max(PASS / 20);
    let share = bytes as f64 / remaining.max(bytes).max(1) as f64;
    left.mul_f64(share.min(1.0)).clamp(REST_MIN, REST_MAX)
}

impl Scrubbed {
    /// Says in the log what was found; which items damaged chunks hit is said once that is known.
    pub(super) fn tell(&self) {
        tell_segments(&self.segments.damaged);
        for head in &self.segments.heads_damaged {
            tracing::error!(
                path = %head.path.display(),
                "the start of a reel is damaged, which only a rebuilt index would need: {}; check the disk", head.what
            );
        }
        for segment in &self.segments.recovered {
            tracing::warn!(
                camera = %segment.camera, rendition = %segment.rendition, segment.msn,
                path = %segment.path.display(), segment.offset,
                "a recorded segment that was damaged reads well again and is played again; check the disk and its cable"
            );
        }
        for chunk in &self.packs.damaged {
            tracing::error!(
                path = %chunk.path.display(), offset = chunk.offset, bytes = chunk.bytes,
                "a chunk of imported files is damaged ({}) and is not given out any more; check the disk", chunk.what
            );
        }
        for record in &self.packs.records_damaged {
            tracing::error!(
                path = %record.path.display(), offset = record.offset,
                "a record that only a rebuilt index would need is damaged: {}; check the disk", record.what
            );
        }
    }
}

fn tell_segments(damaged: &[DamagedSegment]) {
    for segment in damaged {
        let DamagedSegment {
            camera,
            rendition,
            msn,
            path,
            offset,
            what,
            is_lost,
            ..
        } = segment;
        if *is_lost {
            tracing::error!(
                %camera, %rendition, msn, path = %path.display(), offset,
                "a recorded segment is damaged ({what}) and is not played any more; check the disk"
            );
        } else {
            tracing::warn!(
                %camera, %rendition, msn, path = %path.display(), offset,
                "a recorded segment could not be read ({what}); it is tried again with the next scrub"
            );
        }
    }
}

impl ReelToRead {
    fn bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.place.bytes)
            .sum()
    }

    /// The reel once for each of its segments, so that it can be read bit by bit.
    fn single_segments(&self) -> impl Iterator<Item = Self> + '_ {
        self.segments.iter().map(|segment| Self {
            id: self.id,
            path: PathBuf::clone(&self.path),
            run: self.run,
            is_closed: self.is_closed,
            head: None,
            segments: vec![segment.clone()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_takes_its_time_and_hurries_when_it_is_late() {
        const DAY_MS: i64 = 86_400_000;
        let gib = 1 << 30;
        // A thousandth of a terabyte in a thousandth of twenty days.
        let rest = rest_after(gib, 1000 * gib, 0);
        assert_eq!(rest, PASS / 1000);
        assert_eq!(rest_after(gib, 1000 * gib, 10 * DAY_MS), PASS / 2000);
        assert_eq!(rest_after(gib, 1000 * gib, 100 * DAY_MS), PASS / 20_000);
        assert_eq!(rest_after(gib, 0, -5), REST_MAX);
        assert_eq!(rest_after(0, gib, 0), REST_MIN);
    }
}
