//! Reels that no row names: where a crash may leave some, and when they are no crash's but those of a newer index.
//! Only looks; what a crash left is removed by `recovery`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::error::OpenError;
use super::file_system::FileSystem;
use super::index::Index;
use super::patience::{Patience, Sparing};
use super::recorder::{UNCOMMITTED_SEGMENTS_MAX, reel_path};
use super::recovery::{committed_segments, open_reels};
use super::reel::{read_head, read_segments, read_trailer};
use super::reel_writer::Place;
use crate::base::CameraId;
use crate::media::RenditionId;

/// Whole segments that the index does not know, by track.
type Unknown = BTreeMap<(CameraId, RenditionId), usize>;

/// Refuses, before anything is touched, an index that knows less than a crash can take from it: what was committed
/// to a newer one must not be taken for what was never committed.
pub(super) fn check_not_outdated(
    dir: &Path,
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    index: &Index,
) -> Result<(), OpenError> {
    // Each on its own: one that could not be read at an earlier start has kept its tail.
    for reel in open_reels(index).map_err(|error| OpenError::from_sqlite(dir, &error))? {
        let committed = committed_segments(index, &reel)
            .map_err(|error| OpenError::from_sqlite(dir, &error))?;
        if let Some(last) = committed.last() {
            let found = segments_behind(files, patience, &reel.path(dir), last.place);
            let track = (reel.camera, reel.rendition);
            refuse_above(dir, UNCOMMITTED_SEGMENTS_MAX, [(track, found)].into())?;
        }
    }
    let mut beside = Unknown::new();
    for (camera, row) in index.cameras() {
        if let Some(day) = &row.day {
            count_unnamed(dir, files, index, (camera, day), &mut beside)?;
        }
    }
    refuse_above(dir, UNCOMMITTED_SEGMENTS_MAX, beside)?;

    // A camera and its day have their row before the first file is made, so a crash leaves nothing here.
    let mut elsewhere = Unknown::new();
    for (camera, day) in folders_without_row(dir, files, index)? {
        count_unnamed(dir, files, index, (&camera, &day), &mut elsewhere)?;
    }
    refuse_above(dir, 0, elsewhere)
}

fn refuse_above(dir: &Path, segments_max: usize, unknown: Unknown) -> Result<(), OpenError> {
    let mut above = unknown
        .into_iter()
        .filter(|(_, segments)| *segments > segments_max);
    match above.next() {
        None => Ok(()),
        Some(((camera, rendition), segments)) => Err(OpenError::IndexOutdated {
            path: dir.to_owned(),
            camera,
            rendition,
            segments,
        }),
    }
}

/// How many whole segments a reel holds behind one of its own; none that can be read if it cannot. Where patience is at
/// its end before the last is counted, recovery reads nothing of this reel either, and leaves it alone.
fn segments_behind(
    files: &dyn FileSystem,
    patience: &Patience<'_>,
    path: &Path,
    last: Place,
) -> usize {
    let Ok(file) = files.open_file(path) else {
        return 0;
    };
    let size = file.size().unwrap_or_default();
    let file = &Sparing::new(&*file, patience);
    let behind = read_trailer(file, last, size);
    behind.map_or(0, |(_, start)| read_segments(file, start, size).len())
}

/// How many whole segments a reel holds from `start` on.
fn segments_from(files: &dyn FileSystem, path: &Path, start: u64) -> usize {
    let Ok(file) = files.open_file(path) else {
        return 0;
    };
    let size = file.size().unwrap_or_default();
    read_segments(&*file, start, size).len()
}

fn count_unnamed(
    dir: &Path,
    files: &dyn FileSystem,
    index: &Index,
    (camera, day): (&CameraId, &str),
    unknown: &mut Unknown,
) -> Result<(), OpenError> {
    for path in unnamed_reels(dir, files, index, camera, day)? {
        let head = files.open_file(&path).and_then(|file| {
            let size = file.size()?;
            Ok(read_head(&*file, size))
        });
        if let Ok(Some(head)) = head {
            let found = segments_from(files, &path, u64::from(head.init_bytes));
            *unknown.entry((head.camera, head.rendition)).or_default() += found;
        }
    }
    Ok(())
}

/// The folders of cameras that have no row, and those of later days than a camera's row names.
fn folders_without_row(
    dir: &Path,
    files: &dyn FileSystem,
    index: &Index,
) -> Result<Vec<(CameraId, String)>, OpenError> {
    let list = |folder: &Path| match files.list_folder(folder) {
        // A file among the folders is nobody's recording.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        other => other.map_err(|cause| OpenError::from_io(dir, cause)),
    };
    let reels = dir.join("reel");
    let mut found = Vec::new();
    for name in list(&reels)? {
        let Ok(camera) = name.parse::<CameraId>() else {
            continue;
        };
        let day = index
            .cameras()
            .get(&camera)
            .and_then(|row| row.day.as_deref());
        let days = list(&reels.join(&name))?;
        // Dates sort as time does.
        let later = days
            .into_iter()
            .filter(|found| day.is_none_or(|day| found.as_str() > day));
        found.extend(later.map(|day| (camera.clone(), day)));
    }
    Ok(found)
}

/// The reels of one folder that have no row.
pub(super) fn unnamed_reels(
    dir: &Path,
    files: &dyn FileSystem,
    index: &Index,
    camera: &CameraId,
    day: &str,
) -> Result<Vec<PathBuf>, OpenError> {
    let folder = dir.join("reel").join(camera.as_str()).join(day);
    let names = match files.list_folder(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        names => names.map_err(|cause| OpenError::from_io(dir, cause))?,
    };
    let mut unnamed = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let id = name
            .strip_suffix(".reel")
            .and_then(|id| id.parse::<i64>().ok());
        let Some(id) = id.filter(|&id| reel_path(dir, camera, day, id) == path) else {
            continue;
        };
        let below = reel_path(Path::new(""), camera, day, id);
        let named = index
            .connection()
            .query_row(
                "SELECT 1 FROM reel WHERE id = ?1 UNION ALL SELECT 1 FROM garbage WHERE path = ?2",
                params![id, below.to_str()],
                |_| Ok(()),
            )
            .optional()
            .map_err(|error| OpenError::from_sqlite(dir, &error))?;
        if named.is_none() {
            unnamed.push(path);
        }
    }
    Ok(unnamed)
}
