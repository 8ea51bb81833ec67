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
//! Tail, always [`TRAILER_BYTES`]: box size u32, `uuid`, 16 bytes [`TRAILER_UUID`], format version u8, three
//! zero bytes, msn u64, run u64, wall start i64 (ms since 1970), start and duration u64 (ticks), size of the
//! segment u64, BLAKE2b-512 of the segment's bytes, check.
//!
//! A check is the first 8 bytes of the BLAKE2b-512 of everything in its box before it.

use super::file_system::StoredFile;
use super::parameters::{decode_parameters, encode_parameters};
use crate::base::{CameraId, FieldReader, FieldWriter, Wall};
use crate::base::{Digest, DigestKind};
use crate::media::{RenditionId, TrackParameters};

/// The format that this program writes, and the newest that it reads.
pub(super) const FORMAT_VERSION: u8 = 1;

/// Marks the head of a reel.
pub(super) const HEAD_UUID: [u8; 16] = *b"perch reel head\0";

/// Marks the box behind each segment.
pub(super) const TRAILER_UUID: [u8; 16] = *b"perch reel tail\0";

/// Size of the box behind each segment.
pub(super) const TRAILER_BYTES: u64 =
    (BOX_HEADER_BYTES + 4 + 6 * 8 + DIGEST_KIND.bytes_count() + CHECK_BYTES) as u64;

/// How segments and boxes are digested.
pub(super) const DIGEST_KIND: DigestKind = DigestKind::Blake2b512;

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
        seal_box(&HEAD_UUID, &fields.0)
    }

    /// Reads a whole head box back; `None` if it is damaged or of a newer format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = FieldReader(open_box(&HEAD_UUID, bytes)?);
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
    /// Lays the trailer out as a box of [`TRAILER_BYTES`].
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.u64(self.msn);
        fields.u64(self.run);
        fields.i64(self.wall_start.0);
        fields.u64(self.start_ticks);
        fields.u64(self.duration_ticks);
        fields.u64(self.segment_bytes);
        fields.raw(self.digest.as_bytes());
        seal_box(&TRAILER_UUID, &fields.0)
    }

    /// Reads a whole trailer box back; `None` if it is damaged or of a newer format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = FieldReader(open_box(&TRAILER_UUID, bytes)?);
        let trailer = Self {
            msn: fields.u64()?,
            run: fields.u64()?,
            wall_start: Wall(fields.i64()?),
            start_ticks: fields.u64()?,
            duration_ticks: fields.u64()?,
            segment_bytes: fields.u64()?,
            digest: Digest::Blake2b512(fields.array()?),
        };
        fields.0.is_empty().then_some(trailer)
    }
}

fn seal_box(uuid: &[u8; 16], fields: &[u8]) -> Vec<u8> {
    let size = BOX_HEADER_BYTES + 4 + fields.len() + CHECK_BYTES;
    let mut out = FieldWriter(Vec::with_capacity(size));
    out.u32(u32::try_from(size).expect("names and codec records keep a box below 256 KiB"));
    out.raw(b"uuid");
    out.raw(uuid);
    out.raw(&[FORMAT_VERSION, 0, 0, 0]);
    out.raw(fields);
    let check = DIGEST_KIND.digest(&out.0);
    out.raw(&check.as_bytes()[..CHECK_BYTES]);
    out.0
}

/// The fields of a box whose kind, size, version and check hold.
fn open_box<'a>(uuid: &[u8; 16], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sealed, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
    let mut fields = FieldReader(sealed);
    let sound = fields.u32()? as usize == bytes.len()
        && fields.raw(4)? == b"uuid"
        && fields.raw(16)? == uuid
        && fields.raw(4)? == [FORMAT_VERSION, 0, 0, 0]
        && DIGEST_KIND.digest(sealed).as_bytes()[..CHECK_BYTES] == *check;
    sound.then_some(fields.0)
}

/// Where a segment lies in its reel, by the reel's own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundSegment {
    /// Offset of the segment's first byte.
    pub(super) offset: u64,
    /// What its trailer says.
    pub(super) trailer: Trailer,
}

/// Reads the head of a reel, walking the boxes of the init segment before it.
/// `None` if there is none before `end`.
pub(super) fn read_head(file: &dyn StoredFile, end: u64) -> Option<ReelHead> {
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
pub(super) fn read_segments(file: &dyn StoredFile, start: u64, end: u64) -> Vec<FoundSegment> {
    let mut found = Vec::new();
    let (mut segment_start, mut offset) = (start, start);
    while let Some((kind, size)) = read_box_header(file, offset, end) {
        if kind == Kind::Uuid(TRAILER_UUID) {
            let trailer = (size == TRAILER_BYTES)
                .then(|| read_range(file, offset, size))
                .flatten()
                .and_then(|bytes| Trailer::decode(&bytes))
                .filter(|trailer| trailer.segment_bytes == offset - segment_start);
            let Some(trailer) = trailer else { break };
            found.push(FoundSegment {
                offset: segment_start,
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
fn read_box_header(file: &dyn StoredFile, offset: u64, end: u64) -> Option<(Kind, u64)> {
    let mut fields = [0; 8];
    file.read_exact_at(&mut fields, offset).ok()?;
    let mut size = u64::from(u32::from_be_bytes(fields[..4].try_into().ok()?));
    if size == 1 {
        let mut large = [0; 8];
        file.read_exact_at(&mut large, offset + 8).ok()?;
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

fn read_range(file: &dyn StoredFile, offset: u64, bytes: u64) -> Option<Vec<u8>> {
    let mut buffer = vec![0; usize::try_from(bytes).ok()?];
    file.read_exact_at(&mut buffer, offset).ok()?;
    Some(buffer)
}
