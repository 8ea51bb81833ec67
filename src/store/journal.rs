//! The journal: what the index knows and reels do not tell, in a file beside, so that the index can be made again
//! from the files alone. Only the index writes it: a record is durable before the transaction that it belongs to, and
//! the transaction says how far the journal goes, so that what a crash left behind that is cut off at the next start.
//!
//! ```text
//! log/marks-<number>   see `marks` for the format; the highest number counts
//! ```
//!
//! Records of what is long over would make it grow without an end. So a long one is begun anew with what counts still,
//! under the next number: first the file, whole and durable, then the index names it, then the old one goes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::clips::Clip;
use super::error::{OpenError, ReadError};
use super::failure::{Failure, commit_failed};
use super::file_system::{FileSystem, forget_cached, is_damage};
use super::import::damage_marks;
use super::log_files::{AppendError, AppendFile, log_folder};
use super::marks::{ClipMark, MAGIC, Mark, read_marks};
use super::reader::Reader;
use super::status::{Gap, GapMark, GapReason};
use crate::base::{CameraId, Wall};

/// A journal below this size is never begun anew.
const SHORT_BYTES: u64 = 1 << 20;

/// Why a change of the index did not come about. Nothing of it holds.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error(transparent)]
    Index(#[from] rusqlite::Error),
    #[error(transparent)]
    Journal(#[from] AppendError),
}

/// The journal as the index writes it.
#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    files: Arc<dyn FileSystem>,
    number: u64,
    file: AppendFile,
    /// Its size when it was begun.
    begun_bytes: u64,
    bytes_written: u64,
}

impl Journal {
    /// Looks where the index says that it goes on, and changes nothing. Refuses an index that is older than the journals
    /// beside it.
    pub(super) fn find(
        dir: &Path,
        files: Arc<dyn FileSystem>,
        connection: &Connection,
    ) -> Result<Self, OpenError> {
        let (number, bytes) =
            named(connection).map_err(|error| OpenError::from_sqlite(dir, &error))?;
        if let Some(journal) = newer_than(dir, number, connection)? {
            return Err(OpenError::JournalUnknown {
                path: dir.to_owned(),
                journal,
            });
        }
        Ok(Self {
            dir: dir.to_owned(),
            files,
            number,
            file: AppendFile::new(marks_path(dir, number), bytes),
            begun_bytes: bytes,
            bytes_written: 0,
        })
    }

    /// Makes ready to go on: begins a journal if there is none yet, or not all of it.
    pub(super) fn begin(&mut self, connection: &mut Connection) -> Result<(), OpenError> {
        let path = self.file.path();
        let held = fs::metadata(path).map_or(0, |file| file.len());
        let ends_early = held < self.file.bytes;
        if ends_early {
            tracing::warn!(
                "{} ends early; it is written again from the index",
                path.display()
            );
        }
        if self.number == 0 || ends_early {
            let begun = self.begin_anew(connection);
            begun.map_err(|error| OpenError::from_commit(&self.dir, error))?;
        }
        self.remove_others();
        Ok(())
    }

    /// Ends a transaction whose changes the marks tell.
    pub(super) fn commit(
        &mut self,
        transaction: Transaction<'_>,
        marks: &[Mark],
    ) -> Result<(), CommitError> {
        if marks.is_empty() {
            return Ok(transaction.commit()?);
        }
        let before = self.file.bytes;
        let mut bytes = Vec::new();
        for mark in marks {
            mark.encode(&mut bytes);
        }
        let outcome = self
            .file
            .append(&*self.files, &bytes)
            .map_err(CommitError::from)
            .and_then(|()| {
                transaction
                    .prepare_cached("UPDATE log SET journal_bytes = ?")?
                    .execute([self.file.bytes])?;
                Ok(transaction.commit()?)
            });
        match &outcome {
            Ok(()) => self.bytes_written += bytes.len() as u64,
            // What was not committed must not be there for whoever makes the index again.
            Err(_) => self.file.roll_back(&*self.files, before),
        }
        outcome
    }

    /// Begins the journal anew if most of it is over.
    pub(super) fn shorten(&mut self, connection: &mut Connection) -> Result<(), CommitError> {
        if self.file.bytes < SHORT_BYTES.max(2 * self.begun_bytes) {
            return Ok(());
        }
        match self.begin_anew(connection) {
            // On a full disk the long one does as well.
            Err(CommitError::Journal(AppendError::Write(..))) => {
                self.begun_bytes = self.file.bytes;
                Ok(())
            }
            outcome => outcome,
        }?;
        self.remove_others();
        Ok(())
    }

    /// Begins the journal anew if this is still its number.
    pub(super) fn renew(
        &mut self,
        number: u64,
        connection: &mut Connection,
    ) -> Result<(), CommitError> {
        if self.number == number {
            self.begin_anew(connection)?;
            self.remove_others();
        }
        Ok(())
    }

    /// Bytes written since this was asked last.
    pub(super) fn take_bytes_written(&mut self) -> u64 {
        std::mem::take(&mut self.bytes_written)
    }

    fn begin_anew(&mut self, connection: &mut Connection) -> Result<(), CommitError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut bytes = MAGIC.to_vec();
        for mark in all_marks(&transaction)? {
            mark.encode(&mut bytes);
        }
        Mark::Whole.encode(&mut bytes);
        let numbers = numbers(&self.dir).map_err(|error| {
            CommitError::Journal(AppendError::Write(log_folder(&self.dir), error))
        })?;
        let number = numbers.into_iter().max().unwrap_or(0).max(self.number) + 1;
        let path = marks_path(&self.dir, number);
        let mut file = AppendFile::new(path.clone(), 0);
        let begun = file
            .append(&*self.files, &bytes)
            .map_err(CommitError::from)
            .and_then(|()| {
                transaction.execute(
                    "UPDATE log SET journal = ?, journal_bytes = ?",
                    params![number, file.bytes],
                )?;
                Ok(transaction.commit()?)
            });
        if let Err(error) = begun {
            // Whoever reads journals without an index takes the one with the highest number: this one, while marks go
            // on into the one before. After a commit of which nobody knows whether it holds, no more marks come.
            if !matches!(commit_failed(&error), Failure::Poison(_)) {
                let _ = self.files.remove_file(&path);
            }
            return Err(error);
        }
        self.bytes_written += file.bytes;
        (self.number, self.begun_bytes, self.file) = (number, file.bytes, file);
        Ok(())
    }

    /// Removes the files that the index does not name. One that stays is tried again at the next start, and is no harm:
    /// those with a lower number do not count.
    fn remove_others(&self) {
        let Ok(numbers) = numbers(&self.dir) else {
            return;
        };
        for number in numbers.into_iter().filter(|number| *number != self.number) {
            let _ = self.files.remove_file(&marks_path(&self.dir, number));
        }
    }
}

fn marks_path(dir: &Path, number: u64) -> PathBuf {
    log_folder(dir).join(format!("marks-{number:06}"))
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(log_folder(dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("marks-"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(numbers)
}

/// The number of the journal, and how much of it counts.
fn named(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    connection.query_row("SELECT journal, journal_bytes FROM log", (), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Reads the journal that the index names again. Its number if it is not what it was; to be begun anew then.
pub(super) fn verify_journal(dir: &Path, reader: &Reader) -> Result<Option<u64>, ReadError> {
    let (number, bytes) = reader.read(|connection| Ok(named(connection)?))?;
    let path = marks_path(dir, number);
    let mut file = Vec::new();
    forget_cached(&path);
    let read = fs::File::open(&path).and_then(|journal| journal.take(bytes).read_to_end(&mut file));
    let is_sound = match read {
        Ok(_) => read_marks(&file).is_some_and(|(_, end)| end as u64 == bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound || is_damage(&error) => false,
        Err(cause) => return Err(ReadError::Io { path, cause }),
    };
    // An index that was just made again names none. And it may have been begun anew meanwhile.
    let is_damaged =
        number > 0 && !is_sound && reader.read(|connection| Ok(named(connection)?))?.0 == number;
    Ok(is_damaged.then_some(number))
}

/// A journal that tells what the index, which names the one with this number, does not know. A crash while a journal is
/// begun anew leaves one that nothing was added to, and the one before it; if that was lost already, one that tells what
/// the index says. An index that was just made again names none.
fn newer_than(
    dir: &Path,
    number: u64,
    connection: &Connection,
) -> Result<Option<PathBuf>, OpenError> {
    if number == 0 {
        return Ok(None);
    }
    let numbers = numbers(dir).map_err(|cause| OpenError::from_io(dir, cause))?;
    let newer = numbers.into_iter().filter(|newer| *newer > number);
    for path in newer.map(|newer| marks_path(dir, newer)) {
        let file = fs::read(&path).unwrap_or_default();
        let Some((marks, _)) = read_marks(&file) else {
            continue;
        };
        let is_known = match marks.strip_suffix(&[Mark::Whole]) {
            None => false,
            Some(_) if marks_path(dir, number).exists() => true,
            Some(told) => {
                let known = all_marks(connection);
                told == known.map_err(|error| OpenError::from_sqlite(dir, &error))?
            }
        };
        if !is_known {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// What the newest whole journal below `dir` says, and whether its end is damaged. `None` if there is none.
pub(super) fn read_journal(dir: &Path) -> io::Result<Option<(Vec<Mark>, bool)>> {
    let mut numbers = numbers(dir)?;
    numbers.sort_unstable();
    for number in numbers.into_iter().rev() {
        let file = fs::read(marks_path(dir, number))?;
        if let Some((marks, end)) = read_marks(&file) {
            return Ok(Some((marks, end < file.len())));
        }
    }
    Ok(None)
}

/// Everything of the index that reels do not tell.
fn all_marks(connection: &Connection) -> rusqlite::Result<Vec<Mark>> {
    let mut marks = Vec::new();
    let mut cameras = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, name, next_run, next_msn FROM camera")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let Ok(camera) = name.parse::<CameraId>() else {
            continue;
        };
        cameras.insert(row.get::<_, i64>(0)?, camera.clone());
        marks.push(Mark::Ceiling {
            camera,
            next_run: row.get(2)?,
            next_msn: row.get(3)?,
        });
    }
    let mut statement = connection
        .prepare("SELECT id, camera, rendition, from_ms, to_ms, reason FROM gap ORDER BY id")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let rendition: Option<String> = row.get(2)?;
        let camera = cameras.get(&row.get(1)?);
        let reason = GapReason::from_number(row.get(5)?);
        let (Some(camera), Some(reason)) = (camera, reason) else {
            continue;
        };
        let gap = Gap {
            rendition: rendition.and_then(|name| name.parse().ok()),
            from: Wall(row.get(3)?),
            to: Wall(row.get(4)?),
            reason,
        };
        let mark = GapMark {
            camera: camera.clone(),
            gap,
        };
        marks.push(Mark::Gap {
            row: row.get(0)?,
            mark,
        });
    }
    let mut statement = connection
        .prepare("SELECT id, camera, name, from_ms, to_ms, made_ms FROM clip ORDER BY id")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let Some(camera) = cameras.get(&row.get(1)?) else {
            continue;
        };
        let id: i64 = row.get(0)?;
        marks.push(Mark::Clip(ClipMark {
            id,
            camera: camera.clone(),
            name: row.get(2)?,
            from: Wall(row.get(3)?),
            to: Wall(row.get(4)?),
            made: Wall(row.get(5)?),
            reels: clip_reels(connection, id)?,
        }));
    }
    let paths = keys(connection, "SELECT path FROM garbage", |row| {
        let path: String = row.get(0)?;
        Ok(reel_of_path(&path))
    })?;
    let reels: Vec<i64> = paths.into_iter().flatten().collect();
    if !reels.is_empty() {
        marks.push(Mark::Forgotten { reels });
    }
    let segments = keys(connection, "SELECT id FROM damaged ORDER BY id", |row| {
        row.get(0)
    })?;
    if !segments.is_empty() {
        marks.push(Mark::Damaged { segments });
    }
    marks.extend(damage_marks(connection)?);
    Ok(marks)
}

fn keys<T>(
    connection: &Connection,
    query: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map((), read)?;
    rows.collect()
}

/// The key in a reel's file name.
pub(super) fn reel_of_path(path: &str) -> Option<i64> {
    let name = path.rsplit('/').next()?;
    name.strip_suffix(".reel")?.parse().ok()
}

/// A clip with all that it holds.
pub(super) fn clip_mark(connection: &Connection, clip: &Clip) -> rusqlite::Result<Mark> {
    Ok(Mark::Clip(ClipMark {
        id: clip.id,
        camera: clip.camera.clone(),
        name: clip.name.clone(),
        from: clip.from,
        to: clip.to,
        made: clip.made,
        reels: clip_reels(connection, clip.id)?,
    }))
}

/// The reels that a clip holds.
fn clip_reels(connection: &Connection, clip: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT reel FROM clip_reel WHERE clip = ? ORDER BY reel")?;
    let reels = statement.query_map([clip], |row| row.get(0))?;
    reels.collect()
}
