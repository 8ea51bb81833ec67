//! The files of the log of segments, read again: its tiles against each other and against what was signed, and every
//! checkpoint. Hashes above leaves of which it is certain what they were are written again; leaves are nobody's to make
//! up. Driven by scrubbing and `Archive`, and at a start; only who may write to the log does.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::archive::open_reel;
use super::box_keys::{load_public_keys, public_keys_path};
use super::error::ReadError;
use super::file_system::{
    FileSystem, RealFileSystem, forget_cached, is_damage, read_up_to, write_all_at,
};
use super::log_files::{
    LEVELS, all_paths, checkpoints_path, hourly_path, last_checkpoint, log_folder, numbers,
    tiles_path, whole_notes_end,
};
use super::log_leaves::oldest_leaf;
use super::reader::Reader;
use super::tile_check::{DamagedTiles, Ended, check_end, check_tiles};
use crate::seal::{
    Checkpoint, CheckpointError, NOTE_BYTES_MAX, NodeHash, PublicKeys, SignedCheckpoint,
};

/// So much is read, or a little more, before others get their turn.
pub(super) const PIECE_BYTES: u64 = 64 << 10;

/// What was read is let go of after so many pauses: 16 MiB.
const KEPT_PAUSES: u32 = 256;

/// What reading the log of segments again has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Leaves that it has; what lies beyond may be half written.
    pub leaves: u64,
    /// Tiles that are not what they were, from left to right.
    pub tiles_damaged: Vec<DamagedTiles>,
    /// Where there should be checkpoints and are none.
    pub checkpoints_damaged: Vec<DamagedCheckpoints>,
    /// Why it could not be read to its end, which says nothing of what lies there.
    pub unread: Option<String>,
}

/// A stretch of a file of checkpoints that is none, or that this box did not sign so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedCheckpoints {
    /// The file.
    pub path: PathBuf,
    /// Where in the file it starts.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
}

impl LogReport {
    /// Whether all of it is what it was.
    pub fn is_sound(&self) -> bool {
        self.tiles_damaged.is_empty()
            && self.checkpoints_damaged.is_empty()
            && self.unread.is_none()
    }

    /// Whether something of it can be written again.
    pub(super) fn is_renewable(&self) -> bool {
        self.tiles_damaged.iter().any(DamagedTiles::is_certain)
    }

    /// Says what was found.
    pub(super) fn tell(&self) {
        if let Some(error) = &self.unread {
            tracing::warn!(%error, "the log of segments cannot be read again");
        }
        for tiles in &self.tiles_damaged {
            let (path, leaves, what) = (tiles.path.display(), &tiles.leaves, tiles.what);
            if !tiles.is_certain() {
                tracing::error!(
                    %path, from = leaves.start, to = leaves.end,
                    "the log of segments is damaged ({what}): recordings whose places in it lie there cannot be proven \
                     any more; check the disk; the same bytes of a kept copy of log/ can be put back while perch is \
                     stopped"
                );
            } else {
                tracing::error!(
                    %path, from = leaves.start, to = leaves.end,
                    "hashes above leaves of the log of segments are damaged ({what}); what they were is certain; check \
                     the disk"
                );
            }
        }
        for checkpoints in &self.checkpoints_damaged {
            tracing::error!(
                path = %checkpoints.path.display(), offset = checkpoints.offset, bytes = checkpoints.bytes,
                "checkpoints of the log of segments are damaged; check the disk; the same bytes of a kept copy can be \
                 put back while perch is stopped"
            );
        }
    }
}

/// How much there is to read, as far as the operating system tells.
pub(super) fn log_bytes(dir: &Path) -> u64 {
    let files = all_paths(dir).into_iter().flatten();
    files
        .filter_map(|path| path.metadata().ok())
        .map(|file| file.len())
        .sum()
}

/// Reads the log again as far as it is committed or signed. `None` if `pause`, which is called after each [`PIECE_BYTES`]
/// or so, says to break off. Without readable keys, signatures are not looked at.
pub(super) fn scrub_log(
    dir: &Path,
    reader: &Reader,
    pause: &dyn Fn() -> bool,
) -> Option<LogReport> {
    match read_log(dir, reader, pause) {
        Ok(report) => report,
        Err(error) => Some(LogReport {
            unread: Some(error.to_string()),
            ..LogReport::default()
        }),
    }
}

fn read_log(
    dir: &Path,
    reader: &Reader,
    pause: &dyn Fn() -> bool,
) -> Result<Option<LogReport>, ReadError> {
    let failed = |cause| ReadError::Io {
        path: log_folder(dir),
        cause,
    };
    let keys = load_public_keys(&public_keys_path(dir)).ok();
    let note = newest_note(dir, keys.as_ref()).map_err(failed)?;
    let verified = keys.as_ref().zip(note.as_ref());
    let signed = verified.and_then(|(keys, note)| note.verify(keys).ok());
    let committed = committed_leaves(reader)?;
    // Leaves are durable before they are signed, and only then does the index say so.
    let leaves = signed.map_or(committed, |signed| committed.max(signed.size));

    // What was read is of no use to anybody else.
    let pauses = Cell::new(0);
    let pause = &|| {
        pauses.set((pauses.get() + 1) % KEPT_PAUSES);
        if pauses.get() == 0 {
            forget_tiles(dir);
        }
        pause()
    };
    // Where nothing is recorded, or nobody can tell, all may have been given back.
    let oldest = &|| {
        let oldest = reader.read(|connection| Ok(oldest_leaf(dir, &open_reel, connection)?));
        oldest.ok().flatten().unwrap_or(u64::MAX)
    };
    forget_tiles(dir);
    let outcome = check_tiles(dir, leaves, signed, oldest, pause).and_then(|tiles_damaged| {
        Ok(LogReport {
            leaves,
            tiles_damaged,
            checkpoints_damaged: check_checkpoints(dir, keys.as_ref(), pause)?,
            unread: None,
        })
    });
    forget_tiles(dir);
    let report = match outcome {
        Ok(report) => report,
        Err(Ended::BrokenOff) => return Ok(None),
        Err(Ended::Failed(cause)) => return Err(failed(cause)),
    };
    // Another log began meanwhile.
    if committed_leaves(reader)? < committed {
        return Ok(Some(LogReport::default()));
    }
    Ok(Some(report))
}

fn committed_leaves(reader: &Reader) -> Result<u64, ReadError> {
    reader
        .read(|connection| Ok(connection.query_row("SELECT size FROM log", (), |row| row.get(0))?))
}

fn forget_tiles(dir: &Path) {
    for level in 0..LEVELS {
        forget_cached(&tiles_path(dir, level));
    }
}

fn newest_note(dir: &Path, keys: Option<&PublicKeys>) -> io::Result<Option<SignedCheckpoint>> {
    match keys.map(|keys| last_checkpoint(dir, keys)) {
        // It is told with the checkpoints.
        Some(Err(error)) if is_damage(&error) => Ok(None),
        found => Ok(found.transpose()?.flatten()),
    }
}

/// Reads at a start, before anything is built upon it, what all later hashes are made of: the tiles of `size` leaves that
/// are not full. Writes them again where they do not lead to what was `signed` and it is certain what they were.
pub(super) fn renew_end(dir: &Path, size: u64, signed: &Checkpoint) -> io::Result<()> {
    let found = LogReport {
        leaves: size,
        tiles_damaged: match check_end(dir, size, signed) {
            Ok(found) => found,
            Err(Ended::BrokenOff) => Vec::new(),
            Err(Ended::Failed(error)) => return Err(error),
        },
        ..LogReport::default()
    };
    found.tell();
    repair_log(&RealFileSystem, &found);
    Ok(())
}

/// Writes hashes again that are not what they were for certain. Returns in how many tiles. What the disk does not take
/// is left as it was found, and found again by the next pass.
pub(super) fn repair_log(files: &dyn FileSystem, report: &LogReport) -> u64 {
    let mut repaired = 0;
    for tiles in &report.tiles_damaged {
        if !tiles.is_certain() {
            continue;
        }
        match write(files, tiles) {
            Ok(()) => repaired += 1,
            Err(error) => tracing::warn!(
                path = %tiles.path.display(), %error,
                "damaged hashes of the log of segments cannot be written again; check the disk"
            ),
        }
    }
    repaired
}

fn write(files: &dyn FileSystem, tiles: &DamagedTiles) -> io::Result<()> {
    let mut file = match files.open_file(&tiles.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = files.create_file(&tiles.path)?;
            files.sync_folder(tiles.path.parent().expect("it lies in the log's folder"))?;
            file
        }
        opened => opened?,
    };
    // A sector that cannot be read can be written only as a whole.
    for run in tiles.renewal.chunk_by(|one, next| one.0 + 1 == next.0) {
        let hashes: Vec<[u8; NodeHash::BYTES]> = run.iter().map(|(_, hash)| hash.0).collect();
        let offset = run[0].0 * NodeHash::BYTES as u64;
        write_all_at(
            &mut *file,
            &mut [IoSlice::new(hashes.as_flattened())],
            offset,
        )?;
    }
    file.sync()
}

/// Reads every file of checkpoints.
fn check_checkpoints(
    dir: &Path,
    keys: Option<&PublicKeys>,
    pause: &dyn Fn() -> bool,
) -> Result<Vec<DamagedCheckpoints>, Ended> {
    let numbers = numbers(dir)?;
    let minutes = numbers.iter().map(|n| {
        let takes_more = Some(n) == numbers.last();
        (checkpoints_path(dir, *n), takes_more)
    });
    let mut damaged = Vec::new();
    for (path, takes_more) in [(hourly_path(dir), true)].into_iter().chain(minutes) {
        forget_cached(&path);
        check_file(&path, takes_more, keys, pause, &mut damaged)?;
        forget_cached(&path);
    }
    Ok(damaged)
}

/// Reads the notes of a file, a piece at a time.
fn check_file(
    path: &Path,
    takes_more: bool,
    keys: Option<&PublicKeys>,
    pause: &dyn Fn() -> bool,
    damaged: &mut Vec<DamagedCheckpoints>,
) -> Result<(), Ended> {
    let file = match File::open(path) {
        Ok(file) => file,
        // Of the minutes', the oldest goes when a new one is begun.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let end = match takes_more.then(|| whole_notes_end(path)) {
        None => file.metadata()?.len(),
        Some(Err(error)) if is_damage(&error) => file.metadata()?.len(),
        // Behind it stands what a crash has left, or what is just being written.
        Some(end) => end?,
    };
    // What was read and not judged yet, and where it starts.
    let (mut waiting, mut start) = (Vec::<u8>::new(), 0);
    let mut position = 0;
    while position < end {
        let mut piece = vec![0; PIECE_BYTES.min(end - position) as usize];
        match read_up_to(&file, position, &mut piece) {
            // Zeros are no checkpoint either.
            Err(error) if is_damage(&error) => piece.fill(0),
            read => {
                read?;
            }
        }
        position += piece.len() as u64;
        waiting.extend(piece);
        let mut judged = 0;
        while let Some((bytes, is_sound)) = judge(&waiting[judged..], keys, position == end) {
            if !is_sound {
                let offset = start + judged as u64;
                note_damage(damaged, path, offset, bytes as u64);
            }
            judged += bytes;
        }
        waiting.drain(..judged);
        start += judged as u64;
        if pause() {
            return Err(Ended::BrokenOff);
        }
    }
    Ok(())
}

/// Adds a stretch to what is damaged; one that goes on where the last ends lengthens that.
fn note_damage(damaged: &mut Vec<DamagedCheckpoints>, path: &Path, offset: u64, bytes: u64) {
    if let Some(last) = damaged.last_mut()
        && last.path == path
        && last.offset + last.bytes == offset
    {
        last.bytes += bytes;
        return;
    }
    damaged.push(DamagedCheckpoints {
        path: path.to_owned(),
        offset,
        bytes,
    });
}

/// Whether a note stands first in `bytes`, and how many bytes that settles; `None` if it takes more to tell. `is_all`
/// says that no more come.
fn judge(bytes: &[u8], keys: Option<&PublicKeys>, is_all: bool) -> Option<(usize, bool)> {
    let line_behind = |from: usize| {
        let found = bytes[from..].windows(2).position(|pair| pair == b"\n\n");
        found.map(|at| from + at + 2)
    };
    // Behind its text, and behind its signatures.
    let text_end = line_behind(0);
    if let Some(note_end) = text_end.and_then(line_behind) {
        let note = std::str::from_utf8(&bytes[..note_end - 1]).ok();
        let note = note.and_then(|note| SignedCheckpoint::parse(note).ok());
        return match note {
            Some(note) => Some((note_end, is_signed(&note, keys))),
            // The next may begin where one would have ended.
            None => text_end.map(|end| (end, false)),
        };
    }
    let is_too_long = bytes.len() > 2 * NOTE_BYTES_MAX;
    match text_end {
        Some(end) if is_all || is_too_long => Some((end, false)),
        None if is_all && !bytes.is_empty() => Some((bytes.len(), false)),
        // The end of one line may be the beginning of what separates it from the next.
        None if is_too_long => Some((bytes.len() - 1, false)),
        _ => None,
    }
}

/// Whether both signatures hold, as far as anybody can tell with these keys.
fn is_signed(note: &SignedCheckpoint, keys: Option<&PublicKeys>) -> bool {
    match keys.map(|keys| note.verify(keys)) {
        None | Some(Ok(_)) => true,
        // Keys that were lost are made anew, under another name, and what was signed before stays.
        Some(Err(CheckpointError::OtherBox { origin, .. })) => {
            note.as_str().contains(&format!("\n\u{2014} {origin} "))
        }
        Some(Err(_)) => false,
    }
}
