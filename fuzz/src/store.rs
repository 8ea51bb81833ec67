//! How reels are read, of a floor that as a whole needs SQLite.

use std::ops::Range;

use crate::base::DigestKind;

#[allow(dead_code)]
#[path = "../../src/store/bad_sectors.rs"]
mod bad_sectors;
#[allow(dead_code)]
#[path = "../../src/store/file_system.rs"]
mod file_system;
#[allow(dead_code)]
#[path = "../../src/store/parameters.rs"]
mod parameters;
#[allow(dead_code)]
#[path = "../../src/store/reel.rs"]
mod reel;
#[allow(dead_code)]
#[path = "../../src/store/resync.rs"]
mod resync;

/// Stands for the writer, of which readers know places alone.
mod reel_writer {
    /// As in the writer.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Place {
        pub(super) offset: u64,
        pub(super) bytes: u64,
    }
}

/// One of the boxes of a reel that are not a viewer's.
#[derive(Clone, Copy, Debug)]
pub enum ReelBox {
    /// What the file is.
    Head,
    /// What the segment before it is.
    Trailer,
}

impl ReelBox {
    /// A box of the given content, version and fields, with a check that holds.
    pub fn seal(self, content: &[u8]) -> Vec<u8> {
        let uuid = match self {
            Self::Head => reel::HEAD_UUID,
            Self::Trailer => reel::TRAILER_UUID,
        };
        let size = u32::try_from(8 + uuid.len() + content.len() + 8).expect("a small one");
        let mut bytes = [&size.to_be_bytes(), &b"uuid"[..], &uuid, content].concat();
        let check = DigestKind::Blake2b512.digest(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..8]);
        bytes
    }

    /// Reads a box and lays out again what it says.
    pub fn read_and_encode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            Self::Head => reel::ReelHead::decode(bytes)?.encode(),
            Self::Trailer => reel::Trailer::decode(bytes)?.encode(),
        })
    }
}

/// Where the init segment of a reel ends, if there is a head behind it.
pub fn read_head(file: &[u8]) -> Option<u32> {
    let head = reel::read_head(&file, file.len() as u64)?;
    Some(head.init_bytes)
}

/// The segments from `start` on, each with its trailer, and the stretches that are none, in their order.
pub fn read_segments(file: &[u8], start: u64) -> (Vec<Range<u64>>, Vec<Range<u64>>) {
    let end = file.len() as u64;
    let (segments, damaged) = resync::read_segments_despite_damage(&file, start, end);
    let segments = segments.iter().map(|segment| segment.offset..segment.end);
    (segments.collect(), damaged)
}
