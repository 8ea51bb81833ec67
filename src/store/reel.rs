//! The format of a reel: one rendition of one run, about a minute, appended to and never changed.
//! Lays boxes out and reads them back; who writes them when is `reel_writer`'s affair.
//!
//! ```text
//! init segment            ftyp + moov, so that the file plays as it is
//! uuid "perch reel head"  what this file is
//! segment                 moof + mdat of each part: the bytes that viewers get
//! uuid "perch reel tail"  what the segment before it is
//! segment, tail, …
//! ```
//! Players skip `uuid` boxes they do not know (ISO/IEC 14496-12 §4.2). All integers are big-endian.
//!
//! Head: box size u32, `uuid`, 16 bytes [`HEAD_UUID`], format version u8, three zero bytes, run u64,
//! size of the init segment u32, camera, rendition, parameters (each behind a u16 count), check.
//!
//! Tail, at most [`TRAILER_BYTES_MAX`]: box size u32, `uuid`, 16 bytes [`TRAILER_UUID`], format version u8, three
//! zero bytes, msn u64, run u64, wall start i64 (ms since 1970), start and duration u64 (ticks), size of the
//! segment u64, the digest of its bytes, its place in the log of segments, check. A digest is behind a byte that
//! tells its size, 32 or 64 bytes of BLAKE2b; a place is the leaf's index u64 and the hash of the leaf before of the
//! same rendition behind a byte that is 1, or 0 alone. In version 1 of the format the digest was always of 64 bytes
//! without a byte before, and there was no log.
//!
//! A check is the first 8 bytes of the BLAKE2b-512 of everything in its box before it.

use super::parameters::{decode_parameters, encode_parameters};
use super::reel_writer::Place;
use crate::base::{CameraId, FieldReader, FieldWriter, Wall};
use crate::base::{Digest, DigestKind};
use crate::chunk::ReadAt;
use crate::media::{RenditionId, TrackParameters};
use crate::seal::NodeHash;

/// The format of heads.
const HEAD_VERSION: u8 = 1;

/// The formats of trailers: without a place in the log, and with it.
const TRAILER_VERSION_1: u8 = 1;
const TRAILER_VERSION: u8 = 2;

/// Marks the head of a reel.
pub(super) const HEAD_UUID: [u8; 16] = *b"perch reel head\0";

/// Marks the box behind each segment.
pub(super) const TRAILER_UUID: [u8; 16] = *b"perch reel tail\0";

/// The largest box behind a segment.
pub(super) const TRAILER_BYTES_MAX: u64 =
    (BOX_HEADER_BYTES + 4 + 6 * 8 + 1 + 64 + 8 + 1 + NodeHash::BYTES + CHECK_BYTES) as u64;

/// How boxes are digested for their checks, and segments in version 1.
const CHECK_KIND: DigestKind = DigestKind::Blake2b512;

const BOX_HEADER_BYTES: usize = 24;
const CHECK_BYTES: usize = 8;

/// No head is larger; a larger claim is damage.
const HEAD_BYTES_MAX: u64 = 256 * 1024;

/// What a reel says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReelHead {
    /// Whose recording it is.
    pub(super) camera: CameraId,
    /// Which rendition.
    pub(super) rendition: RenditionId,
    /// Which run.
    pub(super) run: u64,
    /// How it is decoded.
    pub(super) parameters: TrackParameters,
    /// Size of the init segment that the file starts with.
    pub(super) init_bytes: u32,
}

/// What a reel says of one of its segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Media sequence number.
    pub(super) msn: u64,
    /// The run it belongs to.
    pub(super) run: u64,
    /// Civil time of its first picture.
    pub(super) wall_start: Wall,
    /// Decode time of its first sample, in ticks of the track's timescale.
    pub(super) start_ticks: u64,
    /// How long it lasts, in ticks.
    pub(super) duration_ticks: u64,
    /// Size of the segment.
    pub(super) segment_bytes: u64,
    /// Digest of the segment's bytes.
    pub(super) digest: Digest,
    /// Its place in the log; `None` if it was recorded before there was one.
    pub(super) link: Option<LogLink>,
}

/// The place of a segment in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogLink {
    /// Of its leaf.
    pub(super) index: u64,
    /// Hash of the leaf before, of the same rendition.
    pub(super) previous: Option<NodeHash>,
}

impl ReelHead {
    /// Lays the head out as a box.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.u64(self.run);
        fields.u32(self.init_bytes);
        fields.counted(self.camera.as_str().as_bytes());
        fields.counted(self.rendition.name().as_bytes());
        fields.counted(&encode_parameters(&self.parameters));
        seal_box(&HEAD_UUID, HEAD_VERSION, &fields.0)
    }

    /// Reads a whole head box back; `None` if it is damaged or of a newer format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, mut fields) = open_box(&HEAD_UUID, bytes)?;
        if version != HEAD_VERSION {
            return None;
        }
        let run = fields.u64()?;
        let init_bytes = fields.u32()?;
        let camera = std::str::from_utf8(&fields.counted()?).ok()?.parse().ok()?;
        let rendition = std::str::from_utf8(&fields.counted()?).ok()?.parse().ok()?;
        let parameters = decode_parameters(&fields.counted()?)?;
        fields.0.is_empty().then_some(Self {
            camera,
            rendition,
            run,
            parameters,
            init_bytes,
        })
    }
}

impl Trailer {
    /// Lays the trailer out as a box.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.u64(self.msn);
        fields.u64(self.run);
        fields.i64(self.wall_start.0);
        fields.u64(self.start_ticks);
        fields.u64(self.duration_ticks);
        fields.u64(self.segment_bytes);
        let Some(link) = &self.link else {
            fields.raw(self.digest.as_bytes());
            return seal_box(&TRAILER_UUID, TRAILER_VERSION_1, &fields.0);
        };
        fields.u8(self.digest.as_bytes().len() as u8);
        fields.raw(self.digest.as_bytes());
        fields.u64(link.index);
        match &link.previous {
            None => fields.u8(0),
            Some(previous) => {
                fields.u8(1);
                fields.raw(&previous.0);
            }
        }
        seal_box(&TRAILER_UUID, TRAILER_VERSION, &fields.0)
    }

    /// Reads a whole trailer box back; `None` if it is damaged or of a newer format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, mut fields) = open_box(&TRAILER_UUID, bytes)?;
        let (msn, run, wall_start) = (fields.u64()?, fields.u64()?, Wall(fields.i64()?));
        let (start_ticks, duration_ticks) = (fields.u64()?, fields.u64()?);
        let segment_bytes = fields.u64()?;
        let (digest, link) = match version {
            TRAILER_VERSION_1 => (Digest::Blake2b512(fields.array()?), None),
            TRAILER_VERSION => (read_digest(&mut fields)?, Some(LogLink::read(&mut fields)?)),
            _ => return None,
        };
        fields.0.is_empty().then_some(Self {
            msn,
            run,
            wall_start,
            start_ticks,
            duration_ticks,
            segment_bytes,
            digest,
            link,
        })
    }
}

impl LogLink {
    fn read(fields: &mut FieldReader<'_>) -> Option<Self> {
        Some(Self {
            index: fields.u64()?,
            previous: match fields.u8()? {
                0 => None,
                1 => Some(NodeHash(fields.array()?)),
                _ => return None,
            },
        })
    }
}

fn read_digest(fields: &mut FieldReader<'_>) -> Option<Digest> {
    let size = usize::from(fields.u8()?);
    let kind = [DigestKind::Blake2b256, DigestKind::Blake2b512]
        .into_iter()
        .find(|kind| kind.bytes_count() == size)?;
    Digest::from_bytes(kind, fields.raw(size)?)
}

fn seal_box(uuid: &[u8; 16], version: u8, fields: &[u8]) -> Vec<u8> {
    let size = BOX_HEADER_BYTES + 4 + fields.len() + CHECK_BYTES;
    let mut out = FieldWriter(Vec::with_capacity(size));
    out.u32(u32::try_from(size).expect("names and codec records keep a box below 256 KiB"));
    out.raw(b"uuid");
    out.raw(uuid);
    out.raw(&[version, 0, 0, 0]);
    out.raw(fields);
    let check = CHECK_KIND.digest(&out.0);
    out.raw(&check.as_bytes()[..CHECK_BYTES]);
    out.0
}

/// Version and fields of a box whose kind, size and check hold.
fn open_box<'a>(uuid: &[u8; 16], bytes: &'a [u8]) -> Option<(u8, FieldReader<'a>)> {
    let (sealed, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
    let mut fields = FieldReader(sealed);
    let sound = fields.u32()? as usize == bytes.len()
        && fields.raw(4)? == b"uuid"
        && fields.raw(16)? == uuid
        && CHECK_KIND.digest(sealed).as_bytes()[..CHECK_BYTES] == *check;
    let [version, 0, 0, 0] = fields.array()? else {
        return None;
    };
    sound.then_some((version, fields))
}

/// Where a segment lies in its reel, by the reel's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundSegment {
    /// Offset of the segment's first byte.
    pub(super) offset: u64,
    /// Offset behind its trailer.
    pub(super) end: u64,
    /// What its trailer says.
    pub(super) trailer: Trailer,
}

/// How many bytes to read at `place` of a file of `size`, to have the segment and all of its trailer. `None` if the
/// file ends before the segment does; asks for no more than the file has, whatever a damaged row says.
pub(super) fn bytes_with_trailer(place: Place, size: u64) -> Option<usize> {
    let end = place
        .offset
        .checked_add(place.bytes)
        .filter(|&end| end < size)?;
    usize::try_from(size.min(end.saturating_add(TRAILER_BYTES_MAX)) - place.offset).ok()
}

/// What the file says of a segment of `bytes` with which `buffer` starts: its trailer and the size of both, if it is
/// the one asked for and undamaged; else what is wrong.
pub(super) fn check_segment(
    buffer: &[u8],
    bytes: u64,
    (msn, run): (u64, u64),
) -> Result<(Trailer, u64), &'static str> {
    let (segment, behind) = usize::try_from(bytes)
        .ok()
        .and_then(|bytes| buffer.split_at_checked(bytes))
        .ok_or("the file ends early")?;
    let claimed = behind.first_chunk().map(|size| u32::from_be_bytes(*size));
    let claimed = claimed.ok_or("the file ends early")? as usize;
    if u64::try_from(claimed).is_ok_and(|claimed| claimed > TRAILER_BYTES_MAX) {
        return Err("digest mismatch");
    }
    let trailer = behind.get(..claimed).ok_or("the file ends early")?;
    let trailer = Trailer::decode(trailer).ok_or("digest mismatch")?;
    let sound = (trailer.msn, trailer.run, trailer.segment_bytes) == (msn, run, bytes)
        && trailer.digest == trailer.digest.kind().digest(segment);
    let end = bytes + claimed as u64;
    sound.then_some((trailer, end)).ok_or("digest mismatch")
}

/// The trailer with which `bytes`, which stand behind a segment, start.
pub(super) fn first_trailer(bytes: &[u8]) -> Option<Trailer> {
    let size = u32::from_be_bytes(*bytes.first_chunk()?);
    Trailer::decode(bytes.get(..usize::try_from(size).ok()?)?)
}

/// The trailer behind the segment at `place` with the offset behind it, without looking at the segment.
pub(super) fn read_trailer(file: &dyn ReadAt, place: Place, size: u64) -> Option<(Trailer, u64)> {
    let at = place.offset.checked_add(place.bytes)?;
    let (kind, bytes) = read_box_header(file, at, size)?;
    if kind != Kind::Uuid(TRAILER_UUID) || bytes > TRAILER_BYTES_MAX {
        return None;
    }
    let trailer = Trailer::decode(&read_range(file, at, bytes)?)?;
    Some((trailer, at + bytes))
}

/// Reads the head of a reel, walking the boxes of the init segment before it.
/// `None` if there is none before `end`.
pub(super) fn read_head(file: &dyn ReadAt, end: u64) -> Option<ReelHead> {
    let mut offset = 0;
    loop {
        let (kind, size) = read_box_header(file, offset, end)?;
        if kind == Kind::Uuid(HEAD_UUID) && size <= HEAD_BYTES_MAX {
            let head = ReelHead::decode(&read_range(file, offset, size)?)?;
            return (u64::from(head.init_bytes) == offset).then_some(head);
        }
        offset += size;
    }
}

/// Reads which whole segments lie between `start`, the first byte behind a head or trailer, and `end`. Stops at
/// the first box that is cut off or damaged. Trusts the trailers; their digests are not computed again.
pub(super) fn read_segments(file: &dyn ReadAt, start: u64, end: u64) -> Vec<FoundSegment> {
    let mut found = Vec::new();
    let (mut segment_start, mut offset) = (start, start);
    while let Some((kind, size)) = read_box_header(file, offset, end) {
        if kind == Kind::Uuid(TRAILER_UUID) {
            let trailer = (size <= TRAILER_BYTES_MAX)
                .then(|| read_range(file, offset, size))
                .flatten()
                .and_then(|bytes| Trailer::decode(&bytes))
                .filter(|trailer| trailer.segment_bytes == offset - segment_start);
            let Some(trailer) = trailer else { break };
            found.push(FoundSegment {
                offset: segment_start,
                end: offset + size,
                trailer,
            });
            segment_start = offset + size;
        } else if kind == Kind::Uuid(HEAD_UUID) {
            segment_start = offset + size;
        }
        offset += size;
    }
    found
}

#[derive(PartialEq, Eq)]
enum Kind {
    Uuid([u8; 16]),
    Other,
}

/// Kind and whole size of the box at `offset`, if all of it lies before `end`.
fn read_box_header(file: &dyn ReadAt, offset: u64, end: u64) -> Option<(Kind, u64)> {
    let mut fields = [0; 8];
    file.read_exact_at(&mut fields, offset).ok()?;
    let mut size = u64::from(u32::from_be_bytes(fields[..4].try_into().ok()?));
    if size == 1 {
        let mut large = [0; 8];
        file.read_exact_at(&mut large, offset.checked_add(8)?)
            .ok()?;
        size = u64::from_be_bytes(large);
    }
    if size < 8 || offset.checked_add(size)? > end {
        return None;
    }
    let kind = if &fields[4..] == b"uuid" && size >= BOX_HEADER_BYTES as u64 {
        Kind::Uuid(read_range(file, offset + 8, 16)?.try_into().ok()?)
    } else {
        Kind::Other
    };
    Some((kind, size))
}

pub(super) fn read_range(file: &dyn ReadAt, offset: u64, bytes: u64) -> Option<Vec<u8>> {
    let mut buffer = vec![0; usize::try_from(bytes).ok()?];
    file.read_exact_at(&mut buffer, offset).ok()?;
    Some(buffer)
}
