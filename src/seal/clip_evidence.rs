//! What a clip's file carries so that its segments can be put together again: the clip's proof, and of each segment the
//! bytes that an ordinary MP4 does not hold, with the places in the file of those that it does. Reads the file through
//! a function, and knows nothing of its other boxes.
//!
//! A recorded segment is the CMAF fragments of its parts, `moof` + `mdat` each, and its leaf's digest is over all of
//! these bytes. An ordinary MP4 holds the payloads of the `mdat`s only: all samples of a part, one behind the other.
//! So whoever exports a clip
//!
//! 1. copies the payload of each part's `mdat` unchanged and in one piece, wherever it likes, whole segments only (what
//!    is to be cut off at either end is left to the edit list), those of one rendition in the order of recording;
//! 2. makes a [`ClipPart`] of each: `head` is everything of the fragment before the payload, from the first byte of
//!    its `moof` (or of what stands before that) to the last of the `mdat`'s header, as recorded; `media_offset` and
//!    `media_bytes` say where in the file the payload came to lie;
//! 3. asks the store for the [`ClipProof`] of these segments, in the same order (`Store::clip_proof`, which refuses what
//!    was recorded before there was a log: such a clip is exported without a proof);
//! 4. writes [`ClipEvidence::encode`] behind the 16 bytes [`super::CLIP_PROOF_UUID`] into one `uuid` box at the top
//!    level, best as the last of the file, since only then all places are known.
//!
//! The tracks of the file's `moov` must take their samples from these places and from nowhere else, in this order:
//! `perch verify` compares them. Not proven are the file's other boxes: the pace at which it plays, the edit list, its
//! names, and the parameter sets, which can be changed so that the picture is cut, distorted or not shown at all.

use super::clip_proof::{ClipProof, ClipProofError, VerifiedClip};
use super::leaf::take;
use super::public_keys::PublicKeys;
use crate::base::{CameraId, Digest};
use crate::media::RenditionId;

/// Parts of one segment: 60 s, the longest segment, in parts of a frame at 60 Hz.
pub const CLIP_PARTS_MAX: usize = 3600;

/// The longest `head` of a part that is read, in bytes: 20 for each of 65 536 samples are more than any has.
const HEAD_BYTES_MAX: usize = 2 << 20;

/// The largest payload of a part that is read, in bytes.
const MEDIA_BYTES_MAX: u32 = 256 << 20;

/// What every encoded evidence opens with.
const MAGIC: &[u8] = b"perch clip evidence\0";
/// The only version so far.
const VERSION: u8 = 1;

/// One fragment of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipPart {
    /// Its bytes before the payload of its `mdat`.
    pub head: Vec<u8>,
    /// Where in the clip's file the payload lies, in bytes from its start.
    pub media_offset: u64,
    /// Size of the payload.
    pub media_bytes: u32,
}

/// The content of the `uuid` box of a clip. Well-formed, but worth nothing before [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipEvidence {
    proof: ClipProof,
    /// The parts of each segment, in the order of the proof.
    segments: Vec<Vec<ClipPart>>,
}

/// A stretch of a file: its first byte, and how many.
pub type FileRange = (u64, u64);

impl ClipEvidence {
    /// Joins a proof and the parts of its segments. `None` if there are not as many, or more parts than
    /// [`CLIP_PARTS_MAX`] in a segment, or parts larger than are read again.
    pub fn new(proof: ClipProof, segments: Vec<Vec<ClipPart>>) -> Option<Self> {
        let fits = |part: &ClipPart| {
            part.head.len() <= HEAD_BYTES_MAX && part.media_bytes <= MEDIA_BYTES_MAX
        };
        let evidence = Self { proof, segments };
        let whole = evidence.proof.leaves().len() == evidence.segments.len()
            && evidence
                .segments
                .iter()
                .all(|parts| parts.len() <= CLIP_PARTS_MAX && parts.iter().all(fits));
        whole.then_some(evidence)
    }

    /// The places from which the file must take the samples of each rendition, in order, those that touch joined.
    /// Not to be trusted before [`Self::verify`].
    pub fn media(&self) -> Vec<((CameraId, RenditionId), Vec<FileRange>)> {
        let mut tracks: Vec<((CameraId, RenditionId), Vec<FileRange>)> = Vec::new();
        for (leaf, parts) in self.proof.leaves().zip(&self.segments) {
            let name = (leaf.camera.clone(), leaf.rendition);
            let at = match tracks.iter().position(|(of, _)| *of == name) {
                Some(at) => at,
                None => {
                    tracks.push((name, Vec::new()));
                    tracks.len() - 1
                }
            };
            for part in parts {
                push_range(
                    &mut tracks[at].1,
                    (part.media_offset, u64::from(part.media_bytes)),
                );
            }
        }
        tracks
    }

    /// Puts each segment together out of the file, which `read` reads: it fills a buffer from an offset. Says what the
    /// box recorded, or what is wrong. What lies outside of the file counts as altered.
    pub fn verify(
        &self,
        keys: &PublicKeys,
        mut read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Result<VerifiedClip, ClipProofError> {
        let mut buffer = Vec::new();
        let mut digests = Vec::with_capacity(self.segments.len());
        for (leaf, parts) in self.proof.leaves().zip(&self.segments) {
            digests.push(digest_of(leaf.digest, parts, &mut buffer, &mut read));
        }
        self.proof.verify(keys, digests)
    }

    /// As bytes: magic, version; the proof behind a count of four bytes; for each of its segments the number of parts
    /// in two bytes, and for each part offset and size of the payload and its head behind a count. About 2 kB a segment.
    pub fn encode(&self) -> Vec<u8> {
        let count = |count: usize| {
            let count = u32::try_from(count).expect("a proof and a head are far smaller than 4 GB");
            count.to_be_bytes()
        };
        let proof = self.proof.encode();
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(count(proof.len()));
        bytes.extend(proof);
        for parts in &self.segments {
            let parts_count = u16::try_from(parts.len()).expect("a segment has a bounded count");
            bytes.extend(parts_count.to_be_bytes());
            for part in parts {
                bytes.extend(part.media_offset.to_be_bytes());
                bytes.extend(part.media_bytes.to_be_bytes());
                bytes.extend(count(part.head.len()));
                bytes.extend(&part.head);
            }
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote, and nothing that it would write otherwise. Takes memory in proportion to
    /// the bytes that there are.
    pub fn decode(bytes: &[u8]) -> Result<Self, ClipProofError> {
        let malformed = || ClipProofError::Malformed;
        let mut rest = bytes;
        if rest.split_off(..MAGIC.len()) != Some(MAGIC) {
            return Err(malformed());
        }
        match take(&mut rest) {
            Some([VERSION]) => {}
            Some([version]) => return Err(ClipProofError::Version(version)),
            None => return Err(malformed()),
        }
        let proof = take_counted(&mut rest).ok_or_else(malformed)?;
        let proof = ClipProof::decode(proof)?;
        let mut segments = Vec::new();
        for _ in 0..proof.leaves().len() {
            segments.push(take_parts(&mut rest).ok_or_else(malformed)?);
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
        Self::new(proof, segments).ok_or_else(malformed)
    }
}

/// Adds a stretch behind others, lengthening the last if it goes on there. Empty ones add nothing.
pub fn push_range(ranges: &mut Vec<FileRange>, (offset, bytes): FileRange) {
    match ranges.last_mut() {
        _ if bytes == 0 => {}
        Some((start, length)) if start.checked_add(*length) == Some(offset) => *length += bytes,
        _ => ranges.push((offset, bytes)),
    }
}

/// The digest of a segment's parts, of the kind of `expected`; that of nothing if the file ends before.
fn digest_of(
    expected: Digest,
    parts: &[ClipPart],
    buffer: &mut Vec<u8>,
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
) -> Digest {
    /// Read at a time: what a part claims to be may be more than the file has.
    const PIECE_BYTES: u32 = 1 << 20;
    let mut hasher = expected.kind().hasher();
    for part in parts {
        hasher.update(&part.head);
        let mut done = 0;
        while done < part.media_bytes {
            let piece = PIECE_BYTES.min(part.media_bytes - done);
            buffer.resize(piece as usize, 0);
            let start = part.media_offset.checked_add(u64::from(done));
            if !start.is_some_and(|start| read(start, buffer)) {
                return expected.kind().digest(&[]);
            }
            hasher.update(buffer);
            done += piece;
        }
    }
    hasher.finish()
}

fn take_counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = usize::try_from(u32::from_be_bytes(take(bytes)?)).ok()?;
    bytes.split_off(..count)
}

fn take_parts(bytes: &mut &[u8]) -> Option<Vec<ClipPart>> {
    let count = u16::from_be_bytes(take(bytes)?);
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push(ClipPart {
            media_offset: u64::from_be_bytes(take(bytes)?),
            media_bytes: u32::from_be_bytes(take(bytes)?),
            head: take_counted(bytes)?.to_vec(),
        });
    }
    Some(parts)
}
