//! Makes the index again from the files alone: reels tell their segments, packs their items, the
//! journal what reels do not. The new index
//! is made beside the old one and takes its place in the end, by a rename; until then nothing is changed.
//!
//! What retention removed does not come back: its reels are gone, or named in the journal as forgotten before their
//! rows went. A reel that cannot be read is set aside under another name, not deleted. Segments are believed what their
//! trailers say, or all bytes would have to be read; `perch store verify` reads them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::{OpenError, ReadError};
use super::file_system::{FileSystem, RealFileSystem};
use super::import::{RebuiltImports, rebuild_imports};
use super::index_file::{INDEX_PATH, open_index_at};
use super::journal::read_journal;
use super::marks::Mark;
use super::rebuild_log::{LogCheck, LogFinding};
use super::rebuild_rows::{ReadReel, insert_reel, note_forgotten, replay};
use super::recorder::reel_path;
use super::recovery::UnreadableReel;
use super::reel::read_head;
use super::resync::read_segments_despite_damage;
use super::{has_content, index_file, lock_directory};
use crate::base::CameraId;

/// The new index while it is made, below the data directory.
const NEW_INDEX: &str = "db/rebuild.db";

/// Where the old index is kept.
const OLD_INDEX: &str = "db/index.db.before-rebuild";

/// Reels whose rows are written in one transaction.
const REELS_AT_A_TIME: usize = 256;

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// Reels that are in the new index.
    pub reels: u64,
    /// Their segments.
    pub segments: u64,
    /// Gaps known.
    pub gaps: u64,
    /// Clips known.
    pub clips: u64,
    /// Reels that were over; the next start removes their files.
    pub over: u64,
    /// Stretches of reels that hold no segment that can be read.
    pub damaged: Vec<DamagedStretch>,
    /// Reels that cannot be read, set aside with `.unreadable` behind their names.
    pub unreadable: Vec<UnreadableReel>,
    /// There was no journal: gaps, clips and what was damaged are not known.
    pub journal_missing: bool,
    /// The journal's end was cut off or damaged.
    pub journal_damaged: bool,
    /// What packs hold.
    pub imports: RebuiltImports,
    /// How the log of segments bears the reels out.
    pub log: LogFinding,
    /// Where the old index is kept; `None` if there was none.
    pub old_index: Option<PathBuf>,
}

/// Bytes of a reel that are no segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedStretch {
    /// The reel.
    pub path: PathBuf,
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

/// A reel's file, found in its folder.
#[derive(Debug)]
struct FoundReel {
    id: i64,
    camera: CameraId,
    day: String,
    path: PathBuf,
    bytes: u64,
}

/// Makes the index below `dir` again. `progress` is told bytes of reels done and in all. Refused while an appliance runs
/// there, and where a newer perch recorded.
pub fn rebuild_index(
    dir: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<RebuildReport, OpenError> {
    let io = |cause| OpenError::from_io(dir, cause);
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    if !has_content(dir).map_err(io)? {
        return Err(OpenError::NothingRecorded(dir.to_owned()));
    }
    match index_file::check_header(dir) {
        Err(OpenError::IndexDamaged { .. }) | Ok(()) => {}
        Err(error) => return Err(error),
    }
    let _lock = lock_directory(dir)?;
    fs::create_dir_all(dir.join("db")).map_err(io)?;
    remove_index(&dir.join(NEW_INDEX)).map_err(io)?;

    let mut report = RebuildReport::default();
    let marks = match read_journal(dir).map_err(io)? {
        Some((marks, damaged)) => {
            report.journal_damaged = damaged;
            marks
        }
        None => {
            report.journal_missing = true;
            Vec::new()
        }
    };
    let mut connection = open_index_at(dir, &dir.join(NEW_INDEX))?;
    // Nobody needs half of it after a crash.
    connection
        .pragma_update(None, "synchronous", "OFF")
        .map_err(sqlite)?;
    let without_first = insert_reels(dir, &mut connection, &marks, &mut report, &mut progress)?;
    let transaction = connection.transaction().map_err(sqlite)?;
    report.imports = rebuild_imports(dir, &transaction).map_err(|error| match error {
        ReadError::Io { path, cause } => OpenError::from_io(&path, cause),
        ReadError::Index(error) => sqlite(error),
        other => OpenError::from_io(dir, io::Error::other(other.to_string())),
    })?;
    (report.gaps, report.clips) = replay(&transaction, &marks, &without_first).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)?;
    finish(connection).map_err(sqlite)?;
    // Before the index is there: one that is opened with readable reels beside it that it does not name is taken for
    // one of an older backup.
    set_aside(&mut report);
    report.old_index = put_in_place(dir).map_err(io)?;
    Ok(report)
}

/// Writes the rows of all reels. Returns those whose first segment is lost.
fn insert_reels(
    dir: &Path,
    connection: &mut Connection,
    marks: &[Mark],
    report: &mut RebuildReport,
    progress: &mut impl FnMut(u64, u64),
) -> Result<BTreeSet<i64>, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    let forgotten: BTreeSet<i64> = marks
        .iter()
        .filter_map(|mark| match mark {
            Mark::Forgotten { reels } => Some(reels),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    let reels = find_reels(dir).map_err(|cause| OpenError::from_io(dir, cause))?;
    let total: u64 = reels.iter().map(|reel| reel.bytes).sum();
    let mut done = 0;
    let mut without_first = BTreeSet::new();
    let mut log = LogCheck::open(dir).map_err(|cause| OpenError::from_io(dir, cause))?;
    for some in reels.chunks(REELS_AT_A_TIME) {
        let transaction = connection.transaction().map_err(sqlite)?;
        for found in some {
            if forgotten.contains(&found.id) {
                let path = reel_path(Path::new(""), &found.camera, &found.day, found.id);
                note_forgotten(&transaction, &path).map_err(sqlite)?;
                report.over += 1;
            } else {
                match read_reel(found) {
                    Ok(reel) => {
                        let taken = insert_reel(&transaction, &reel).map_err(sqlite)?;
                        if taken {
                            log.look_at(&reel);
                            report.tell(found, &reel);
                            if reel.has_lost_its_first() {
                                without_first.insert(reel.id);
                            }
                        } else {
                            report.cannot_read(found, "another reel has the same segments");
                        }
                    }
                    Err(cause) => report.cannot_read(found, &cause.to_string()),
                }
            }
            done += found.bytes;
            progress(done, total);
        }
        transaction.commit().map_err(sqlite)?;
    }
    let (row, finding) = log.finish(reels.last().map_or(0, |reel| reel.id));
    connection
        .execute(
            "UPDATE log SET size = ?, first_reel = ?, gone_reel = ?",
            rusqlite::params![row.size, row.first_reel, forgotten.last().unwrap_or(&0)],
        )
        .map_err(sqlite)?;
    report.log = finding;
    Ok(without_first)
}

impl RebuildReport {
    fn tell(&mut self, found: &FoundReel, reel: &ReadReel) {
        self.reels += 1;
        self.segments += reel.segments.len() as u64;
        let damaged = reel.damaged.iter().map(|stretch| DamagedStretch {
            path: found.path.clone(),
            offset: stretch.start,
            bytes: stretch.end - stretch.start,
        });
        self.damaged.extend(damaged);
    }

    fn cannot_read(&mut self, found: &FoundReel, cause: &str) {
        self.unreadable.push(UnreadableReel {
            path: found.path.clone(),
            cause: cause.to_owned(),
        });
    }
}

/// The reels below `dir`, in the order in which they were begun.
fn find_reels(dir: &Path) -> io::Result<Vec<FoundReel>> {
    let mut found = Vec::new();
    let root = dir.join("reel");
    for name in folder(&root)? {
        let Ok(camera) = name.parse::<CameraId>() else {
            continue;
        };
        for day in folder(&root.join(&name))? {
            for file in folder(&root.join(&name).join(&day))? {
                let path = root.join(&name).join(&day).join(&file);
                let id = super::journal::reel_of_path(&file);
                let Some(id) = id.filter(|&id| reel_path(dir, &camera, &day, id) == path) else {
                    continue;
                };
                found.push(FoundReel {
                    id,
                    camera: camera.clone(),
                    day: day.clone(),
                    bytes: fs::symlink_metadata(&path)?.len(),
                    path,
                });
            }
        }
    }
    found.sort_unstable_by_key(|reel| reel.id);
    Ok(found)
}

/// The names in a folder; none in what is no folder.
fn folder(path: &Path) -> io::Result<Vec<String>> {
    match RealFileSystem.list_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        names => names,
    }
}

fn read_reel(found: &FoundReel) -> io::Result<ReadReel> {
    let unreadable = |what: &str| io::Error::other(what.to_owned());
    let file = RealFileSystem.open_file(&found.path)?;
    let bytes = file.size()?;
    // An error of the disk is told as such, not as damage.
    file.read_exact_at(&mut vec![0; bytes.min(1) as usize], 0)?;
    let head = read_head(&*file, bytes).ok_or_else(|| unreadable("its head is damaged"))?;
    if head.camera != found.camera {
        return Err(unreadable("it is of another camera than its folder"));
    }
    let mut init = vec![0; head.init_bytes as usize];
    file.read_exact_at(&mut init, 0)?;
    let start = head.init_bytes.into();
    let (segments, mut damaged) = read_segments_despite_damage(&*file, start, bytes);
    if segments.is_empty() {
        return Err(unreadable("it holds no whole segment"));
    }
    // The head lies before the first segment, and is no damage.
    let head_end = start + head.encode().len() as u64;
    damaged.retain_mut(|stretch| {
        if stretch.start == start {
            stretch.start = head_end;
        }
        stretch.start < stretch.end
    });
    Ok(ReadReel {
        id: found.id,
        day: found.day.clone(),
        head,
        init,
        bytes,
        segments,
        damaged,
    })
}

fn finish(connection: Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// The files of an index: itself, its log, and the log's shared memory.
fn index_files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

fn remove_index(path: &Path) -> io::Result<()> {
    for file in index_files(path) {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Moves the old index away and the new one to its place. At no moment is there an index that knows only a part: while
/// there is none, a start refuses.
fn put_in_place(dir: &Path) -> io::Result<Option<PathBuf>> {
    let (new, index, old) = (
        dir.join(NEW_INDEX),
        dir.join(INDEX_PATH),
        dir.join(OLD_INDEX),
    );
    fs::File::open(&new)?.sync_all()?;
    let had_one = index.exists();
    if had_one {
        remove_index(&old)?;
    }
    for (from, to) in index_files(&index).iter().zip(index_files(&old)) {
        match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(&new, &index)?;
    // What the last connection may have left beside the new one is empty.
    for beside in &index_files(&new)[1..] {
        let _ = fs::remove_file(beside);
    }
    fs::File::open(dir.join("db"))?.sync_all()?;
    fs::File::open(dir)?.sync_all()?;
    Ok(had_one.then_some(old))
}

/// Puts reels that cannot be read out of the way of those that are recorded next, which would take them for leftovers.
fn set_aside(report: &mut RebuildReport) {
    for reel in &mut report.unreadable {
        let mut name = reel.path.clone().into_os_string();
        name.push(".unreadable");
        if let Err(error) = fs::rename(&reel.path, &name) {
            reel.cause = format!("{}; it cannot be set aside either: {error}", reel.cause);
        }
        if let Some(folder) = reel.path.parent() {
            // A name that comes back after a power cut is that of a reel which no row names, in no camera's folder of
            // the day: nobody removes it.
            let _ = RealFileSystem.sync_folder(folder);
        }
    }
}
