//! What reels start with, read again and compared with what the index says, and written again from there. Playing needs
//! none of it, but an index that is made again knows a reel by its head alone. Driven by scrubbing and `Archive`.
//!
//! Of a header there is no digest. So the index is believed only as long as no other reel of the same run starts
//! otherwise than it says; and where the reel can be read, only if two others start so. What is written is what stood
//! there.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::archive::{OpenReel, ReelToRead};
use super::error::ReadError;
use super::file_system::{FileSystem, RealFileSystem, is_damage, write_all_at};
use super::reader::Reader;
use super::recorder::reel_path;
use super::reel::read_head;
use crate::base::CameraId;

/// Reels of a run that are asked at most how it starts.
const SIBLINGS_MAX: u32 = 8;

/// What a reel starts with, by the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExpectedHead {
    /// The init segment, and the head.
    pub(super) bytes: Vec<u8>,
    /// How many of them are the init segment's.
    pub(super) init_bytes: usize,
}

/// A reel that does not start as it did. Its segments play, but a rebuilt index would not know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedHead {
    /// The reel.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
    reel: i64,
    expected: ExpectedHead,
    doubt: Doubt,
}

/// Whether it is the reel that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It is: its head cannot be read.
    None,
    /// Its head is as it was, so that either init segment may be damaged.
    Init,
    /// The index may as well be.
    Either,
}

/// Reads the start of a reel again. What cannot be opened, or ends there, is damage of the segments.
pub(super) fn verify_head(reel: &ReelToRead, open: OpenReel<'_>) -> Option<DamagedHead> {
    let expected = reel.head.as_ref()?;
    let opened = open(&reel.path).ok()?;
    let mut found = vec![0; expected.bytes.len()];
    let what = match opened.file.read_exact_at(&mut found, 0) {
        Ok(()) if found == expected.bytes => return None,
        Ok(()) => "it does not start as the index says".to_owned(),
        Err(error) if is_damage(&error) => error.to_string(),
        Err(_) => return None,
    };
    let head_at = expected.init_bytes;
    // Where the first segment lies elsewhere, nobody knows how long the head was.
    let is_in_place = reel
        .segments
        .first()
        .is_some_and(|first| first.place.offset == expected.bytes.len() as u64);
    let doubt = match read_head(&*opened.file, opened.bytes) {
        _ if !is_in_place => Doubt::Either,
        None => Doubt::None,
        Some(_) if found[head_at..] == expected.bytes[head_at..] => Doubt::Init,
        Some(_) => Doubt::Either,
    };
    Some(DamagedHead {
        path: reel.path.clone(),
        what,
        reel: reel.id,
        expected: expected.clone(),
        doubt,
    })
}

/// Writes again what is damaged without a doubt. Returns how many. What the disk does not take is left as it was found,
/// and found again by the next pass.
pub(super) fn repair_heads(
    dir: &Path,
    reader: &Reader,
    damaged: &[DamagedHead],
) -> Result<u64, ReadError> {
    let mut repaired = 0;
    for head in damaged {
        let witnesses_min = match head.doubt {
            Doubt::None => 0,
            Doubt::Init => 2,
            Doubt::Either => continue,
        };
        if witnesses(dir, reader, head)?.is_none_or(|count| count < witnesses_min) {
            continue;
        }
        match write(head) {
            Ok(()) => repaired += 1,
            Err(error) => tracing::warn!(
                path = %head.path.display(), %error,
                "the damaged start of a reel cannot be written again; check the disk"
            ),
        }
    }
    Ok(repaired)
}

fn write(head: &DamagedHead) -> io::Result<()> {
    let mut file = RealFileSystem.open_file(&head.path)?;
    write_all_at(&mut *file, &mut [IoSlice::new(&head.expected.bytes)], 0)?;
    file.sync()
}

/// How many other reels of the same run start with the init segment that the index has; `None` if one starts otherwise.
fn witnesses(dir: &Path, reader: &Reader, head: &DamagedHead) -> Result<Option<usize>, ReadError> {
    let siblings = reader.read(|connection| {
        let mut siblings = connection.prepare_cached(
            "SELECT camera.name, other.day, other.id FROM reel
             JOIN reel AS other ON other.track = reel.track AND other.run = reel.run AND other.id <> reel.id
             JOIN track ON track.id = other.track JOIN camera ON camera.id = track.camera
             WHERE reel.id = ? LIMIT ?",
        )?;
        let rows = siblings.query_map(rusqlite::params![head.reel, SIBLINGS_MAX], |row| {
            let (camera, day): (String, String) = (row.get(0)?, row.get(1)?);
            let camera = camera.parse::<CameraId>().ok();
            let id = row.get(2)?;
            Ok(camera.map(|camera| reel_path(dir, &camera, &day, id)))
        })?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    })?;
    let init = &head.expected.bytes[..head.expected.init_bytes];
    let starts_so = |path: PathBuf| {
        let mut found = vec![0; init.len()];
        let file = RealFileSystem.open_file(&path).ok()?;
        // One that cannot be read says nothing.
        file.read_exact_at(&mut found, 0).ok()?;
        Some(found == init)
    };
    let said: Vec<bool> = siblings
        .into_iter()
        .flatten()
        .filter_map(starts_so)
        .collect();
    Ok(said.iter().all(|agrees| *agrees).then_some(said.len()))
}
