//! Reads a recorded segment with its trailer from a reel, on a disk that may fail there, elsewhere or altogether.

use std::io;
use std::path::Path;

use super::file_system::{forget_cached, is_damage};
use super::reel::{TRAILER_BYTES_MAX, bytes_with_trailer};
use super::reel_writer::Place;
use crate::chunk::ReadAt;

/// Why a segment was not read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) error: io::Error,
    /// Its bytes are not there, or lie where the disk cannot read, though it reads elsewhere. Otherwise they may be had
    /// the next time.
    pub(super) is_lost: bool,
}

/// Reads a segment of the reel at `path`, which is open as `file` and has `size` bytes, and its trailer.
pub(super) fn read_segment(
    path: &Path,
    file: &dyn ReadAt,
    size: u64,
    place: Place,
    buffer: &mut Vec<u8>,
) -> Result<(), Unread> {
    match read_ahead(file, size, place, buffer) {
        // Also because it may have failed altogether only for a moment.
        Err(error) if is_damage(&error) && reads_elsewhere(path, file, size) => {
            read_no_further(file, place, buffer).map_err(|error| Unread {
                is_lost: is_short(&error) || is_damage(&error),
                error,
            })
        }
        outcome => outcome.map_err(|error| Unread {
            is_lost: is_short(&error),
            error,
        }),
    }
}

fn is_short(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// Whether the disk gives back any of a reel. One that was unplugged or fails altogether refuses every place, with the
/// same error as a bad sector.
fn reads_elsewhere(path: &Path, file: &dyn ReadAt, size: u64) -> bool {
    forget_cached(path);
    let last = size.saturating_sub(1);
    let places = [0, last / 2, last];
    places
        .iter()
        .any(|place| file.read_exact_at(&mut [0], *place).is_ok())
}

/// Whether the disk gives back all that a reel holds from `start` to `end`.
pub(super) fn reads_whole(file: &dyn ReadAt, start: u64, end: u64) -> bool {
    const PIECE_BYTES: u64 = 1 << 20;
    let mut buffer = Vec::new();
    let mut at = start;
    while at < end {
        buffer.resize(PIECE_BYTES.min(end - at) as usize, 0);
        if file.read_exact_at(&mut buffer, at).is_err() {
            return false;
        }
        at += buffer.len() as u64;
    }
    true
}

/// Fills `buffer` with a segment, its trailer and, where the disk gives it back, a little of what is behind; asks for no
/// more memory than the file has bytes. Fails with `UnexpectedEof` where the file ends before the segment does.
pub(super) fn read_with_trailer(
    file: &dyn ReadAt,
    size: u64,
    place: Place,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    match read_ahead(file, size, place, buffer) {
        Err(error) if is_damage(&error) => read_no_further(file, place, buffer),
        read => read,
    }
}

/// The same, with what is behind in any case.
fn read_ahead(file: &dyn ReadAt, size: u64, place: Place, buffer: &mut Vec<u8>) -> io::Result<()> {
    let count = bytes_with_trailer(place, size)
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends early"))?;
    buffer.resize(count, 0);
    file.read_exact_at(buffer, place.offset)
}

/// The same, with nothing of what is behind, which may be what cannot be read and is none of this segment's. `buffer` is
/// as long as with it.
fn read_no_further(file: &dyn ReadAt, place: Place, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut trailer_bytes = [0; 4];
    file.read_exact_at(&mut trailer_bytes, place.offset + place.bytes)?;
    let trailer_bytes = u64::from(u32::from_be_bytes(trailer_bytes)).min(TRAILER_BYTES_MAX);
    buffer.truncate((place.bytes + trailer_bytes) as usize);
    file.read_exact_at(buffer, place.offset)
}
