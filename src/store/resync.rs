//! Finds a reel's segments also behind damage: where the chain of boxes is broken, the next sound trailer tells where
//! its segment starts.

use std::ops::Range;

use super::bad_sectors::WithoutBadSectors;
use super::reel::{
    FoundSegment, TRAILER_BYTES_MAX, TRAILER_UUID, Trailer, read_range, read_segments,
};
use crate::chunk::ReadAt;

/// Bytes looked through at a time.
const WINDOW_BYTES: u64 = 1 << 20;

/// Segments of a reel between `start`, the first byte behind its head, and `end`; and the stretches that are none.
/// Those found behind damage are compared with their digests, the others are believed. What the disk does not give back
/// is damage.
pub(super) fn read_segments_despite_damage(
    file: &dyn ReadAt,
    start: u64,
    end: u64,
) -> (Vec<FoundSegment>, Vec<Range<u64>>) {
    let file = &WithoutBadSectors::new(file);
    let (mut segments, mut damaged) = (Vec::new(), Vec::new());
    let mut at = start;
    while at < end {
        let found = read_segments(file, at, end);
        at = found.last().map_or(at, |last| last.end);
        segments.extend(found);
        if at >= end {
            break;
        }
        match next_segment(file, at, end) {
            Some(next) => {
                let is_sound = is_sound(file, &next);
                let bad = at..if is_sound { next.offset } else { next.end };
                if !bad.is_empty() {
                    damaged.push(bad);
                }
                at = next.end;
                if is_sound {
                    segments.push(next);
                }
            }
            None => {
                damaged.push(at..end);
                break;
            }
        }
    }
    (segments, damaged)
}

/// The first sound trailer behind `from` with its segment.
fn next_segment(file: &dyn ReadAt, from: u64, end: u64) -> Option<FoundSegment> {
    let mut pattern = *b"uuid----------------";
    pattern[4..].copy_from_slice(&TRAILER_UUID);
    let mut window = from;
    while window < end {
        let bytes = read_range(file, window, WINDOW_BYTES.min(end - window))?;
        for hit in hits(&bytes, &pattern) {
            // A box starts with its size.
            let trailer_at = (window + hit as u64).checked_sub(4);
            let found = trailer_at.and_then(|at| segment_before(file, at, from, end));
            if found.is_some() {
                return found;
            }
        }
        if end - window <= WINDOW_BYTES {
            break;
        }
        window += WINDOW_BYTES - pattern.len() as u64;
    }
    None
}

fn hits<'a>(bytes: &'a [u8], pattern: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = bytes.windows(pattern.len()).enumerate();
    windows.filter_map(move |(at, window)| (window == pattern).then_some(at))
}

/// The segment whose trailer lies at `trailer_at`, if both lie between `from` and `end`.
fn segment_before(file: &dyn ReadAt, trailer_at: u64, from: u64, end: u64) -> Option<FoundSegment> {
    let size = u32::from_be_bytes(read_range(file, trailer_at, 4)?.try_into().ok()?);
    let size = u64::from(size);
    let trailer_end = trailer_at.checked_add(size).filter(|&at| at <= end)?;
    if size > TRAILER_BYTES_MAX {
        return None;
    }
    let trailer = Trailer::decode(&read_range(file, trailer_at, size)?)?;
    let offset = trailer_at.checked_sub(trailer.segment_bytes)?;
    (offset >= from).then_some(FoundSegment {
        offset,
        end: trailer_end,
        trailer,
    })
}

fn is_sound(file: &dyn ReadAt, found: &FoundSegment) -> bool {
    let bytes = read_range(file, found.offset, found.trailer.segment_bytes);
    bytes.is_some_and(|bytes| found.trailer.digest == found.trailer.digest.kind().digest(&bytes))
}
