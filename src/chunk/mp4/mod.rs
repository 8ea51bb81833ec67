//! Where an MP4 or QuickTime file is to be cut, so that what is equal in two files becomes equal chunks: around the
//! media, which stays as it is when the metadata before it grows, and at the pictures that a cut or a remuxed
//! recording starts with. Reads box headers and tables only; ISO/IEC 14496-12.

mod boxes;
mod fragments;
mod offsets;
mod tables;

use std::io;

use self::boxes::{Stop, Walk};
use self::offsets::{Offsets, Payloads};
use super::read_at::ReadAt;
use super::splitter::ChunkSizes;

/// The offsets, ascending, at which a file of `bytes_count` is to be cut by force when it is split into `sizes`:
/// start and end of each `mdat` payload that is no smaller than the smallest chunk, and in it the sync samples of
/// the tracks with pictures that lie at least that far apart. (Sound is not looked at: all of its samples are sync
/// samples, and thousands of them fit a chunk.)
///
/// A file of another kind has none. A damaged one keeps those that were found before the damage; a table that is
/// damaged gives none. Takes a few windows of 8 KiB and 8 bytes a cut, at most 40 MB, and a bounded time, whatever
/// the file claims. Fails only if `file` fails to be read.
pub fn mp4_cuts<R: ReadAt + ?Sized>(
    file: &R,
    bytes_count: u64,
    sizes: ChunkSizes,
) -> io::Result<Vec<u64>> {
    let mut payloads = Payloads::new(u64::from(sizes.min()));
    let mut sync = Offsets::default();
    match read_file(file, bytes_count, &mut payloads, &mut sync) {
        Err(Stop::Io(error)) => Err(error),
        Ok(()) | Err(Stop::Malformed | Stop::TooLong) => Ok(payloads.cuts(sync)),
    }
}

fn read_file<R: ReadAt + ?Sized>(
    file: &R,
    bytes_count: u64,
    payloads: &mut Payloads,
    sync: &mut Offsets,
) -> Result<(), Stop> {
    let mut walk = Walk::new(file, bytes_count);
    let mut tracks = Vec::new();
    let mut offset = 0;
    while let Some(place) = walk.box_at(offset, bytes_count)? {
        offset = place.body.end;
        let read = match &place.kind {
            b"mdat" => {
                payloads.push(place.body);
                Ok(())
            }
            b"moov" => tables::read_moov(&mut walk, &place.body, sync).map(|found| tracks = found),
            b"moof" => fragments::read_moof(&mut walk, &place, &tracks, sync),
            _ => Ok(()),
        };
        match read {
            // The box's own size holds: what is behind it can be read.
            Ok(()) | Err(Stop::Malformed) => {}
            Err(stop) => return Err(stop),
        }
    }
    Ok(())
}
