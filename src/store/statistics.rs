//! How the bytes of a data directory add up: what people see of it, what is stored, what it takes on the disk. Reads
//! sums that the index keeps, so that it can be asked at any time.

use std::fs;
use std::io::{
    self,
    ErrorKind::{NotFound, PermissionDenied},
};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;

use super::error::ReadError;
use super::import::{Damage, PACK_FOLDER, count_damage, import_sources};
use super::reader::Reader;
use super::rows::REEL_SEGMENTS_MAX;
use super::usage::open_bytes;

/// How the bytes of a data directory add up.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Where bytes come from.
    pub sources: Vec<Source>,
    /// What it takes on the disk: reels by their sizes, all else, the index with it, as the file system counts it.
    pub physical_bytes: u64,
    /// What the disk has damaged.
    pub damage: Damage,
}

/// One kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// `recordings`, `clips`, `imports`, `uploads`.
    pub name: &'static str,
    /// Bytes as they would be if everything were stored for itself.
    pub logical_bytes: u64,
    /// Bytes that are stored because of it.
    pub unique_bytes: u64,
}

impl Statistics {
    /// Bytes as they would be if everything were stored for itself.
    pub fn logical_bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.logical_bytes).sum()
    }

    /// Bytes of content that are stored.
    pub fn unique_bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.unique_bytes).sum()
    }

    /// Logical over unique bytes, 1 for nothing stored.
    pub fn dedup_ratio(&self) -> f64 {
        match self.unique_bytes() {
            0 => 1.0,
            unique => self.logical_bytes() as f64 / unique as f64,
        }
    }
}

impl Reader {
    /// Adds everything up. Looks at each reel that a clip holds and at each pack.
    pub(super) fn statistics(&self) -> Result<Statistics, ReadError> {
        let mut files = 0;
        let folders = [PACK_FOLDER, "up", "db", "log", "keys"];
        for folder in folders.map(|name| self.dir().join(name)) {
            files += bytes_on_disk(&folder).map_err(|cause| ReadError::Io {
                path: folder.clone(),
                cause,
            })?;
        }
        self.read(|connection| {
            let recorded = recorded_bytes(connection)?;
            let mut sources = vec![
                Source {
                    name: "recordings",
                    logical_bytes: recorded,
                    unique_bytes: recorded,
                },
                Source {
                    name: "clips",
                    logical_bytes: clipped_bytes(connection)?,
                    unique_bytes: 0,
                },
            ];
            sources.extend(import_sources(connection)?);
            Ok(Statistics {
                sources,
                physical_bytes: files + recorded,
                damage: count_damage(connection)?,
            })
        })
    }
}

/// Bytes of all reels, as far as they are committed.
fn recorded_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let mut bytes = connection
        .prepare_cached("SELECT coalesce(sum(reel_bytes), 0) FROM camera")?
        .query_row((), |row| row.get(0))?;
    let mut tracks = connection.prepare_cached("SELECT id FROM track")?;
    let mut rows = tracks.query(())?;
    while let Some(row) = rows.next()? {
        bytes += open_bytes(connection, row.get(0)?)?;
    }
    Ok(bytes)
}

/// Bytes that clips would take as copies: of reels that lie within a clip, and of those at its ends the segments that
/// start within it.
fn clipped_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(sum(CASE
             WHEN reel.bytes IS NOT NULL AND reel.wall_ms >= clip.from_ms AND reel.wall_ms + reel.end_ms <= clip.to_ms
             THEN reel.bytes
             ELSE (SELECT coalesce(sum(segment.bytes), 0) FROM segment
                   WHERE segment.id >= reel.id * ?1 AND segment.id < (reel.id + 1) * ?1
                   AND reel.wall_ms + segment.wall_ms >= clip.from_ms AND reel.wall_ms + segment.wall_ms < clip.to_ms)
             END), 0)
         FROM clip JOIN clip_reel ON clip_reel.clip = clip.id JOIN reel ON reel.id = clip_reel.reel",
    )?;
    statement.query_row([REEL_SEGMENTS_MAX as i64], |row| row.get(0))
}

/// What the files below a folder take on the disk; nothing for a folder that is not there, or that who asks may not look
/// into, as others than the owner not at the keys.
fn bytes_on_disk(folder: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => return Ok(0),
        entries => entries?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_on_disk(&entry.path())?,
            // POSIX counts in pieces of 512 bytes.
            Ok(found) => found.blocks() * 512,
            // Deleted meanwhile.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
