//! The files of the log of segments: hashes of leaves and of the nodes above them, and signed checkpoints. Only ever
//! appended to; what a crash leaves behind the last whole piece is cut off at the next start.
//!
//! ```text
//! log/tiles-<level>         hashes of 32 bytes; level 0 has the leaves, level n + 1 the root above each 256 of level n;
//!                           a hole of zeros where nothing of 256 leaves is recorded any more
//! log/checkpoints-<number>  signed notes, an empty line behind each; one a minute; the newest two files are kept
//! log/checkpoints-hourly    the first note of each hour, for good
//! log/set-aside-<number>    the same of a log that could not be gone on with
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::file_system::{FileSystem, StoredFile, read_up_to, write_all_at};
use crate::base::Wall;
use crate::seal::{NOTE_BYTES_MAX, NodeHash, PublicKeys, SignedCheckpoint, TILE_HASHES};
use crate::seal::{TileEntry, TileId, TileSource};

/// Levels of the largest tree.
pub(super) const LEVELS: usize = 7;

/// A file of checkpoints takes no more than this: a day and more of them.
const CHECKPOINTS_BYTES_MAX: u64 = 8 << 20;

const HOUR_MS: i64 = 3_600_000;

/// The folder below the data directory.
pub(super) fn log_folder(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The file with the hashes of a level.
pub(super) fn tiles_path(dir: &Path, level: usize) -> PathBuf {
    log_folder(dir).join(format!("tiles-{level}"))
}

/// What an append could not do, and whether anybody knows what the file holds now.
#[derive(Debug)]
pub(super) enum AppendError {
    /// Nothing was lost; it may be tried again.
    Write(PathBuf, io::Error),
    /// The sync failed.
    Sync(PathBuf, io::Error),
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Write(path, cause) | Self::Sync(path, cause)) = self;
        write!(f, "{}: {cause}", path.display())
    }
}

impl std::error::Error for AppendError {}

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        let (AppendError::Write(_, cause) | AppendError::Sync(_, cause)) = error;
        cause
    }
}

/// A file that is only appended to.
#[derive(Debug)]
pub(super) struct AppendFile {
    path: PathBuf,
    file: Option<Box<dyn StoredFile>>,
    pub(super) bytes: u64,
}

impl AppendFile {
    /// A file that is cut back to `bytes` when it is first appended to; made then if it does not exist.
    pub(super) fn new(path: PathBuf, bytes: u64) -> Self {
        Self {
            path,
            file: None,
            bytes,
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends durably. The folder must exist; a file that is made has its name in it on return.
    pub(super) fn append(
        &mut self,
        files: &dyn FileSystem,
        bytes: &[u8],
    ) -> Result<(), AppendError> {
        let failed = |path: &Path, error| AppendError::Write(path.to_owned(), error);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.open(files)?;
                self.file.insert(file)
            }
        };
        write_all_at(&mut **file, &mut [IoSlice::new(bytes)], self.bytes)
            .map_err(|error| failed(&self.path, error))?;
        file.sync()
            .map_err(|error| AppendError::Sync(self.path.clone(), error))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Gives back the room of the first `bytes`, which nobody asks for any more.
    pub(super) fn punch(&mut self, bytes: u64) -> io::Result<()> {
        match &mut self.file {
            Some(file) if bytes > 0 => file.punch(0, bytes),
            _ => Ok(()),
        }
    }

    /// Takes back what was appended behind `bytes`: now, or if the disk refuses, before the next append.
    pub(super) fn roll_back(&mut self, files: &dyn FileSystem, bytes: u64) {
        self.bytes = bytes;
        self.file = self.open(files).ok();
    }

    fn open(&self, files: &dyn FileSystem) -> Result<Box<dyn StoredFile>, AppendError> {
        let failed = |error| AppendError::Write(self.path.clone(), error);
        let mut file = match files.open_file(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = files.create_file(&self.path).map_err(failed)?;
                if let Some(folder) = self.path.parent() {
                    files
                        .sync_folder(folder)
                        .map_err(|error| AppendError::Sync(folder.to_owned(), error.into()))?;
                }
                file
            }
            Err(error) => return Err(failed(error)),
        };
        if file.size().map_err(failed)? > self.bytes {
            file.truncate(self.bytes).map_err(failed)?;
        }
        Ok(file)
    }
}

/// The hashes of the log, as their writer sees them.
#[derive(Debug)]
pub(super) struct TileWriter {
    levels: Vec<(AppendFile, Vec<u8>)>,
}

impl TileWriter {
    /// The files as they are for `size` leaves. What they hold beyond is cut off with the next append.
    pub(super) fn new(dir: &Path, size: u64) -> Self {
        let level = |level: usize| {
            let bytes = (size >> (8 * level)) * NodeHash::BYTES as u64;
            (AppendFile::new(tiles_path(dir, level), bytes), Vec::new())
        };
        Self {
            levels: (0..LEVELS).map(level).collect(),
        }
    }

    /// For files above the leaves that are to be made again from their beginning.
    pub(super) fn above_leaves(dir: &Path) -> Self {
        Self::new(dir, 0)
    }

    /// Takes hashes in, to be written with the next flush.
    pub(super) fn push(&mut self, entries: &[TileEntry]) {
        for entry in entries {
            let (_, waiting) = &mut self.levels[usize::from(entry.tile.level)];
            waiting.extend(entry.hash.0);
        }
    }

    /// Gives back the room of leaves before `first`, as far as they fill tiles: for what comes later, the root above
    /// such a tile is enough.
    pub(super) fn thin(&mut self, first: u64) -> io::Result<()> {
        let tiles = first / TILE_HASHES as u64;
        let (leaves, _) = &mut self.levels[0];
        leaves.punch(tiles * (TILE_HASHES * NodeHash::BYTES) as u64)
    }

    /// Lets go of the files above the leaves, which are opened again when they are appended to.
    pub(super) fn close_above_leaves(&mut self) {
        for (file, _) in &mut self.levels[1..] {
            file.file = None;
        }
    }

    /// Makes everything taken in durable. What failed waits for the next flush.
    pub(super) fn flush(&mut self, files: &dyn FileSystem) -> Result<u64, AppendError> {
        let mut written = 0;
        for (file, waiting) in &mut self.levels {
            if !waiting.is_empty() {
                file.append(files, waiting)?;
                written += waiting.len() as u64;
                waiting.clear();
            }
        }
        Ok(written)
    }
}

/// The hashes of the log, as everybody else reads them.
#[derive(Debug)]
pub(super) struct TileFiles {
    dir: PathBuf,
    open: [Option<File>; LEVELS],
}

impl TileFiles {
    /// The log below `dir`, whether there is one or not.
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            open: Default::default(),
        }
    }

    /// Number of leaves that the files hold.
    pub(super) fn leaves(&self) -> io::Result<u64> {
        match std::fs::metadata(tiles_path(&self.dir, 0)) {
            Ok(file) => Ok(file.len() / NodeHash::BYTES as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl TileSource for TileFiles {
    type Error = io::Error;

    fn tile(&mut self, id: TileId) -> Result<Vec<u8>, io::Error> {
        const TILE_BYTES: usize = TILE_HASHES * NodeHash::BYTES;
        let level = usize::from(id.level);
        let slot = self
            .open
            .get_mut(level)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let file = match slot {
            Some(file) => file,
            None => match File::open(tiles_path(&self.dir, level)) {
                Ok(file) => slot.insert(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            },
        };
        let mut tile = vec![0; TILE_BYTES];
        let mut count = 0;
        while count < TILE_BYTES {
            let offset = id.index * TILE_BYTES as u64 + count as u64;
            match file.read_at(&mut tile[count..], offset)? {
                0 => break,
                more => count += more,
            }
        }
        tile.truncate(count - count % NodeHash::BYTES);
        Ok(tile)
    }
}

/// The checkpoints, as their writer sees them.
#[derive(Debug)]
pub(super) struct CheckpointWriter {
    dir: PathBuf,
    number: u64,
    file: AppendFile,
    hourly: AppendFile,
    hour: Option<i64>,
}

impl CheckpointWriter {
    /// Goes on behind the last whole note.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        let number = numbers(dir)?.last().copied().unwrap_or(1);
        let path = checkpoints_path(dir, number);
        let hourly = hourly_path(dir);
        Ok(Self {
            dir: dir.to_owned(),
            number,
            file: AppendFile::new(path.clone(), whole_notes_end(&path)?),
            hourly: AppendFile::new(hourly.clone(), whole_notes_end(&hourly)?),
            hour: None,
        })
    }

    /// Writes a checkpoint down. Returns the bytes written.
    pub(super) fn append(
        &mut self,
        files: &dyn FileSystem,
        checkpoint: &SignedCheckpoint,
        signed_at: Wall,
    ) -> Result<u64, AppendError> {
        if self.file.bytes >= CHECKPOINTS_BYTES_MAX {
            self.number += 1;
            self.file = AppendFile::new(checkpoints_path(&self.dir, self.number), 0);
            let oldest = checkpoints_path(&self.dir, self.number.saturating_sub(2));
            // One that stays is no harm, and tried again with the next.
            let _ = files.remove_file(&oldest);
        }
        let note = format!("{}\n", checkpoint.as_str());
        self.file.append(files, note.as_bytes())?;
        let mut written = note.len() as u64;
        let hour = signed_at.0.div_euclid(HOUR_MS);
        if self.hour != Some(hour) {
            self.hourly.append(files, note.as_bytes())?;
            self.hour = Some(hour);
            written *= 2;
        }
        Ok(written)
    }
}

/// The file with the first note of each hour.
pub(super) fn hourly_path(dir: &Path) -> PathBuf {
    log_folder(dir).join("checkpoints-hourly")
}

/// A file with the note of each minute.
pub(super) fn checkpoints_path(dir: &Path, number: u64) -> PathBuf {
    log_folder(dir).join(format!("checkpoints-{number:06}"))
}

/// The numbers of the files of checkpoints, growing.
pub(super) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(log_folder(dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("checkpoints-"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// All files of the log that there may be: tiles from the leaves upwards, then checkpoints.
pub(super) fn all_paths(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let tiles = (0..LEVELS).map(|level| tiles_path(dir, level));
    let checkpoints = numbers(dir)?.into_iter().map(|n| checkpoints_path(dir, n));
    Ok(tiles.chain([hourly_path(dir)]).chain(checkpoints).collect())
}

/// Moves hashes and checkpoints to a folder of their own within the log's, so that another log can begin. Returns which.
pub(super) fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    let folder = log_folder(dir);
    let mut number = 1;
    let kept = loop {
        let kept = folder.join(format!("set-aside-{number}"));
        match std::fs::create_dir(&kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            made => break made.map(|()| kept)?,
        }
    };
    // Leaves last: while they are there, and what is above them is not, the next start does the same again.
    for path in all_paths(dir)?.into_iter().rev() {
        let name = path.file_name().expect("it has one");
        match std::fs::rename(&path, kept.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => File::open(&folder)?.sync_all()?,
        }
    }
    File::open(&kept)?.sync_all()?;
    Ok(kept)
}

/// Enough for some notes.
const TAIL_BYTES: u64 = 8 * NOTE_BYTES_MAX as u64;

/// The last bytes before `end` of a file, and where they start.
fn bytes_before(file: &File, end: u64) -> io::Result<(u64, Vec<u8>)> {
    let start = end.saturating_sub(TAIL_BYTES);
    let mut bytes = vec![0; (end - start) as usize];
    let count = read_up_to(file, start, &mut bytes)?;
    bytes.truncate(count);
    Ok((start, bytes))
}

/// A file with its size; `None` if there is no such file.
fn open_sized(path: &Path) -> io::Result<Option<(File, u64)>> {
    match File::open(path) {
        Ok(file) => {
            let size = file.metadata()?.len();
            Ok(Some((file, size)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the last whole note of a file ends, the empty line behind it included; 0 if there is none. What stands behind
/// it, a crash has left, or a disk that lost a piece, however large that is.
pub(super) fn whole_notes_end(path: &Path) -> io::Result<u64> {
    let Some((file, mut end)) = open_sized(path)? else {
        return Ok(0);
    };
    while end > 0 {
        let (start, bytes) = bytes_before(&file, end)?;
        let found = last_note_end(&bytes);
        if found > 0 {
            return Ok(start + found as u64);
        }
        if start == 0 {
            break;
        }
        // A note's end may lie across the edge.
        end = start + NOTE_BYTES_MAX as u64;
    }
    Ok(0)
}

/// Where the last note ends that has its signatures and the empty line behind; 0 for none.
fn last_note_end(bytes: &[u8]) -> usize {
    let empty_line_before = |end: usize| {
        let found = bytes[..end].windows(2).rposition(|pair| pair == b"\n\n");
        found.map_or(0, |at| at + 2)
    };
    // The empty line within a note stands before its signatures.
    let mut end = empty_line_before(bytes.len());
    while end > 0 && !ends_with_signature(&bytes[..end]) {
        end = empty_line_before(end - 1);
    }
    end
}

fn ends_with_signature(bytes: &[u8]) -> bool {
    let text = bytes.strip_suffix(b"\n\n").unwrap_or(bytes);
    let line = text
        .rsplit(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    line.starts_with("\u{2014} ".as_bytes())
}

/// The last checkpoint whose both signatures hold; `None` if there is none. Damaged ones are passed over.
pub(super) fn last_checkpoint(
    dir: &Path,
    keys: &PublicKeys,
) -> io::Result<Option<SignedCheckpoint>> {
    for number in numbers(dir)?.into_iter().rev() {
        let Some((file, size)) = open_sized(&checkpoints_path(dir, number))? else {
            continue;
        };
        let (_, bytes) = bytes_before(&file, size)?;
        let notes = notes_in(&String::from_utf8_lossy(&bytes));
        let mut newest_first = notes.into_iter().rev();
        if let Some(checkpoint) = newest_first.find(|note| note.verify(keys).is_ok()) {
            return Ok(Some(checkpoint));
        }
    }
    Ok(None)
}

/// The notes in a text that has an empty line behind each; what is none is passed over.
pub(super) fn notes_in(text: &str) -> Vec<SignedCheckpoint> {
    let pieces: Vec<&str> = text.split("\n\n").collect();
    let pairs = pieces.windows(2);
    pairs
        .filter_map(|pair| SignedCheckpoint::parse(&format!("{}\n\n{}\n", pair[0], pair[1])).ok())
        .collect()
}
