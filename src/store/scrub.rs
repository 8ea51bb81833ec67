//! Reads every recorded byte again, again and again, so slowly that nobody notices and so fast that it comes round
//! within a month, and compares it with its digest. What is damaged is taken out of what can be played and marked as a
//! loss; its bytes stay. Runs on a thread of its own beside the writer, which it asks to mark.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::archive::{Archive, DamagedSegment, ReelToRead, VerifyReport, reels_after, verify_reel};
use super::error::{OpenError, ReadError};
use super::file_system::RealFileSystem;
use super::index::Index;
use super::lock_directory;
use super::reader::Reader;
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

/// The longest that the writer is waited for.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// How far scrubbing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScrubPosition {
    /// It goes on behind this reel.
    pub(super) reel: i64,
    /// Civil time when the pass began.
    pub(super) began: Wall,
}

/// What was read of one reel.
#[derive(Debug)]
pub(super) struct ScrubbedReel {
    pub(super) position: ScrubPosition,
    pub(super) report: VerifyReport,
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
                let _told = Told;
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

/// Recording goes on without it, but not without a word.
struct Told;

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the store's scrubber panicked; recordings are not read again until perch starts again"
            );
        }
    }
}

fn run(dir: &Path, writer: &Writer, clock: &dyn Clock, bell: &Bell) {
    let reader = Reader::new(dir);
    let mut position = None;
    let mut rest = REST_AT_START;
    while !bell.sleep(rest) {
        let pause = || bell.sleep(SEGMENT_REST);
        let last = match position {
            Some(position) => Ok(position),
            None => last_position(&reader),
        };
        let next = last.and_then(|last| scrub_next(dir, &reader, last, clock.wall(), pause));
        rest = match next {
            Ok(Some(scrubbed)) => {
                let rest = scrubbed.rest;
                position = Some(scrubbed.position);
                let asked = writer.ask(Asker::Own, ANSWER_WAIT_MAX, move |recorder| {
                    recorder.note_scrubbed(scrubbed.position, &scrubbed.report);
                });
                if asked.is_err() && bell.sleep(Duration::ZERO) {
                    return;
                }
                rest
            }
            Ok(None) => REST_MAX,
            Err(error) => {
                tracing::warn!(%error, "recordings cannot be read again for now");
                REST_MAX
            }
        };
    }
}

/// How far scrubbing had come when it was written down last.
pub(super) fn last_position(reader: &Reader) -> Result<ScrubPosition, ReadError> {
    reader.read(|connection| {
        let position = "SELECT scrubbed_reel, scrub_began_ms FROM log";
        let position = connection.query_row(position, (), |row| {
            Ok(ScrubPosition {
                reel: row.get(0)?,
                began: Wall(row.get(1)?),
            })
        });
        Ok(position?)
    })
}

/// Reads the next closed reel behind `position`. `None` if there is none at all. `pause` is called after each segment; what it returns is
/// whether to break off, and then nothing was read.
pub(super) fn scrub_next(
    dir: &Path,
    reader: &Reader,
    mut position: ScrubPosition,
    now: Wall,
    pause: impl Fn() -> bool,
) -> Result<Option<ScrubbedReel>, ReadError> {
    let (mut next, remaining) = reader.read(|connection| {
        let next = reels_after(connection, dir, position.reel, 1)?.pop();
        Ok((next, remaining_bytes(connection, position.reel)?))
    })?;
    if next.is_none() || position.began == Wall(0) {
        // The next pass, or the first.
        position.began = now;
    }
    if next.is_none() && position.reel > 0 {
        position.reel = 0;
        next = reader.read(|connection| Ok(reels_after(connection, dir, 0, 1)?.pop()))?;
    }
    let Some(reel) = next else {
        return Ok(None);
    };
    position.reel = reel.id;
    if !reel.is_closed {
        // Those behind it are younger still; the next pass comes to it.
        return Ok(Some(ScrubbedReel {
            position,
            report: VerifyReport::default(),
            rest: REST_AFTER_OPEN,
        }));
    }
    forget_cached(&reel.path);
    let mut buffer = Vec::new();
    let mut report = VerifyReport::default();
    for segment in reel.single_segments() {
        let found = verify_reel(&segment, &mut buffer);
        report.add(found);
        if pause() {
            return Ok(None);
        }
    }
    forget_cached(&reel.path);
    Ok(Some(ScrubbedReel {
        rest: rest_after(reel.bytes(), remaining, now - position.began),
        position,
        report,
    }))
}

/// About how many bytes of reels lie behind one.
fn remaining_bytes(connection: &rusqlite::Connection, reel: i64) -> rusqlite::Result<u64> {
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

/// Lets the system drop what it holds of a file in memory: it is the disk that is to be read, and what is read is of no
/// use to anybody else. One that does not is no failure.
fn forget_cached(path: &Path) {
    if let Ok(file) = File::open(path) {
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

/// What one whole pass has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// What was read.
    pub verified: VerifyReport,
    /// Segments that are not played any more because of this pass; `None` if an appliance records there, which marks
    /// what it finds itself.
    pub marked: Option<u64>,
}

/// Reads everything below `dir` once. Without an appliance that records there, what is damaged is marked.
pub fn scrub_once(dir: &Path, progress: impl FnMut(u64, u64)) -> Result<ScrubReport, ScrubError> {
    let verified = Archive::open(dir)?.verify(progress)?;
    let lock = match lock_directory(dir) {
        Ok(lock) => Some(lock),
        Err(OpenError::InUse(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mut marked = lock.as_ref().map(|_| 0);
    if lock.is_some() && !verified.damaged.is_empty() {
        let mut index = Index::open(dir, Arc::new(RealFileSystem))?;
        let outcome = index.quarantine(&verified.damaged);
        marked = Some(outcome.map_err(|error| OpenError::from_commit(dir, error))?);
    }
    Ok(ScrubReport { verified, marked })
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

/// Says in the log what was found.
pub(super) fn tell(damaged: &[DamagedSegment]) {
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
        self.segments.iter().map(|(place, _)| place.bytes).sum()
    }

    /// The reel once for each of its segments, so that it can be read bit by bit.
    fn single_segments(&self) -> impl Iterator<Item = Self> + '_ {
        self.segments.iter().map(|segment| Self {
            id: self.id,
            path: PathBuf::clone(&self.path),
            run: self.run,
            is_closed: self.is_closed,
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
