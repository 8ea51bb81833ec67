//! What a clip's file carries so that its segments can be proven: the clip's proof, and where in the file each of them
//! lies. Reads the file through a function, and knows nothing of its other boxes.
//!
//! A recorded segment is the CMAF fragments of its parts, `moof` + `mdat` each, and its leaf's digest is over all of
//! these bytes. Whoever exports a clip
//!
//! 1. copies whole segments as they were recorded, fragments and all, wherever it likes, those of one rendition in the
//!    order of recording;
//! 2. notes the [`SegmentPlace`] of each: where it begins, and of each fragment how many bytes stand before the samples
//!    (its `moof` and the header of its `mdat`), and how many bytes the samples have;
//! 3. asks the store for the [`ClipProof`] of these segments, in the same order;
//! 4. writes [`ClipEvidence::encode`] behind the 16 bytes [`super::CLIP_PROOF_UUID`] into one `uuid` box at the top
//!    level, best as the last of the file, since only then all places are known.
//!
//! The tracks of the file's `moov` take their samples from these places and from nowhere else, in this order:
//! [`ClipEvidence::track_faults`] compares them. Whoever verifies a file makes the boxes before its media again out of
//! the segments (`cmaf::HeadCheck`), so that pace and edits are those of the recording, too. Not proven are where it is
//! cut within its first and last segment, when the file says that it was made, whether there was sound where it begins or
//! ends without any (see [`super::Silence`]), and the parameter sets, which can be changed so that the picture is
//! distorted or not shown at all.

use super::clip_proof::{ClipProof, ClipProofError, VerifiedClip};
use super::clip_tracks::{FileRange, TrackFault, track_faults};
use super::leaf::{Leaf, take};
use super::public_keys::PublicKeys;
use crate::base::Digest;

/// Parts of one segment: 60 s, the longest segment, in parts of a frame at 60 Hz.
pub const CLIP_PARTS_MAX: usize = 3600;

/// The longest head of a part that is read, in bytes: 20 for each of 65 536 samples are more than any has.
const HEAD_BYTES_MAX: u32 = 2 << 20;

/// The most bytes of samples that are read of a part.
const MEDIA_BYTES_MAX: u32 = 256 << 20;

/// What every encoded evidence opens with.
const MAGIC: &[u8] = b"perch clip evidence\0";
/// The only version so far.
const VERSION: u8 = 1;

/// One fragment of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipPart {
    /// How many bytes stand before its samples, the header of its `mdat` included.
    pub head_bytes: u32,
    /// How many bytes its samples have.
    pub media_bytes: u32,
}

/// Where a segment lies in the clip's file. Its parts follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPlace {
    /// Of its first byte, from the start of the file.
    pub offset: u64,
    /// Its fragments, up to [`CLIP_PARTS_MAX`].
    pub parts: Vec<ClipPart>,
}

impl SegmentPlace {
    fn is_bounded(&self) -> bool {
        let fits = |part: &ClipPart| {
            part.head_bytes <= HEAD_BYTES_MAX && part.media_bytes <= MEDIA_BYTES_MAX
        };
        self.parts.len() <= CLIP_PARTS_MAX
            && self.parts.iter().all(fits)
            && self.offset.checked_add(self.bytes_count()).is_some()
    }

    /// Size of the segment in bytes.
    pub fn bytes_count(&self) -> u64 {
        let bytes = |part: &ClipPart| u64::from(part.head_bytes) + u64::from(part.media_bytes);
        self.parts.iter().map(bytes).sum()
    }

    /// Whether each part is a fragment by its boxes. Only so the digest speaks for where samples begin and end, too:
    /// a picture cannot be hidden in what is said to be a head.
    fn holds(&self, read: &mut impl FnMut(u64, &mut [u8]) -> bool) -> bool {
        let mut start = self.offset;
        self.parts.iter().all(|part| {
            let media_start = start + u64::from(part.head_bytes);
            let media = (media_start, u64::from(part.media_bytes));
            let holds = mdat_behind(start, read) == Some(media);
            start = media.0 + media.1;
            holds
        })
    }

    /// Where the samples of each part lie.
    fn media(&self) -> impl Iterator<Item = FileRange> {
        let mut end = self.offset;
        self.parts.iter().map(move |part| {
            let start = end + u64::from(part.head_bytes);
            end = start + u64::from(part.media_bytes);
            (start, u64::from(part.media_bytes))
        })
    }
}

/// The content of the `uuid` box of a clip. Well-formed, but worth nothing before [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipEvidence {
    proof: ClipProof,
    /// In the order of the proof.
    places: Vec<SegmentPlace>,
}

impl ClipEvidence {
    /// Joins a proof and the places of its segments. `None` if there are not as many, or more parts than
    /// [`CLIP_PARTS_MAX`] in a segment, or parts larger than are read again, or one that ends beyond all numbers.
    pub fn new(proof: ClipProof, places: Vec<SegmentPlace>) -> Option<Self> {
        let whole =
            proof.leaves().len() == places.len() && places.iter().all(SegmentPlace::is_bounded);
        whole.then_some(Self { proof, places })
    }

    /// The records of the segments, each with where in the file its samples lie, part by part. Not to be trusted before
    /// [`Self::verify`].
    pub fn media(&self) -> impl Iterator<Item = (&Leaf, impl Iterator<Item = FileRange>)> {
        let media = self.places.iter().map(SegmentPlace::media);
        self.proof.leaves().zip(media)
    }

    /// The records of the segments, each with where in the file it lies. Not to be trusted before [`Self::verify`].
    pub fn segments(&self) -> impl Iterator<Item = (&Leaf, &SegmentPlace)> {
        self.proof.leaves().zip(&self.places)
    }

    /// The same for a file in which the segments lie so many bytes further on.
    #[cfg(test)]
    pub(crate) fn moved_by(mut self, bytes: u64) -> Self {
        for place in &mut self.places {
            place.offset += bytes;
        }
        self
    }

    /// What the tracks of the file play although the proof does not speak of it, and what is proven and not played.
    /// A track is given by where its samples lie, in their order. Means something once [`Self::verify`] has held.
    ///
    /// A track plays one rendition. Of each of its segments all samples play, except that some may be left out where
    /// the recording begins or ends, at the clip's ends and on both sides of a gap: there pictures and sound are cut to
    /// each other. So at most one segment is left out at each end and on each side of a gap.
    pub fn track_faults(&self, tracks: &[Vec<FileRange>]) -> Vec<TrackFault> {
        track_faults(self.media(), tracks)
    }

    /// Puts each segment together out of the file, which `read` reads: it fills a buffer from an offset. Says what the
    /// box recorded, or what is wrong. What lies outside of the file counts as altered.
    pub fn verify(
        &self,
        keys: &PublicKeys,
        mut read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Result<VerifiedClip, ClipProofError> {
        let mut buffer = Vec::new();
        let segments = self.proof.leaves().zip(&self.places);
        // The proof takes them one after the other, and none before its signatures hold.
        let digests =
            segments.map(|(leaf, place)| digest_of(leaf.digest, place, &mut buffer, &mut read));
        self.proof.verify(keys, digests)
    }

    /// As bytes: magic, version; the proof behind a count of four bytes; for each of its segments where it begins in
    /// eight bytes, the number of its parts in two, and for each part the bytes of its head and of its samples in four
    /// each. About 300 bytes a segment.
    pub fn encode(&self) -> Vec<u8> {
        let proof = self.proof.encode();
        let proof_bytes = u32::try_from(proof.len()).expect("a proof is far smaller than 4 GB");
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(proof_bytes.to_be_bytes());
        bytes.extend(proof);
        for SegmentPlace { offset, parts } in &self.places {
            let parts_count = u16::try_from(parts.len()).expect("a segment has a bounded count");
            bytes.extend(offset.to_be_bytes());
            bytes.extend(parts_count.to_be_bytes());
            for part in parts {
                bytes.extend(part.head_bytes.to_be_bytes());
                bytes.extend(part.media_bytes.to_be_bytes());
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
        let mut places = Vec::new();
        for _ in 0..proof.leaves().len() {
            places.push(take_place(&mut rest).ok_or_else(malformed)?);
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
        Self::new(proof, places).ok_or_else(malformed)
    }
}

/// The digest of a segment as the file has it, of the kind of `expected`; that of nothing if the file ends before, or
/// its parts are not those that it consists of.
fn digest_of(
    expected: Digest,
    place: &SegmentPlace,
    buffer: &mut Vec<u8>,
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
) -> Digest {
    /// Read at a time: what a segment claims to be may be more than the file has.
    const PIECE_BYTES: u64 = 1 << 20;
    if !place.holds(read) {
        return expected.kind().digest(&[]);
    }
    let mut hasher = expected.kind().hasher();
    let end = place.offset + place.bytes_count();
    let mut at = place.offset;
    while at < end {
        let piece = PIECE_BYTES.min(end - at);
        buffer.resize(piece as usize, 0);
        if !read(at, buffer) {
            return expected.kind().digest(&[]);
        }
        hasher.update(buffer);
        at += piece;
    }
    hasher.finish()
}

/// Where the body of the first `mdat` at or behind `start` lies, walking the boxes before. (ISO/IEC 14496-12 §4.2)
fn mdat_behind(start: u64, read: &mut impl FnMut(u64, &mut [u8]) -> bool) -> Option<FileRange> {
    /// `styp`, `prft`, `emsg` and `moof`, and some more.
    const BOXES_MAX: usize = 16;
    let mut at = start;
    for _ in 0..BOXES_MAX {
        let mut header = [0; 8];
        read(at, &mut header).then_some(())?;
        let [a, b, c, d, kind @ ..] = header;
        let mut body = at.checked_add(8)?;
        let mut bytes = u64::from(u32::from_be_bytes([a, b, c, d]));
        if bytes == 1 {
            let mut large = [0; 8];
            read(body, &mut large).then_some(())?;
            (body, bytes) = (body.checked_add(8)?, u64::from_be_bytes(large));
        }
        let end = at.checked_add(bytes)?;
        let body_bytes = end.checked_sub(body)?;
        if &kind == b"mdat" {
            return Some((body, body_bytes));
        }
        at = end;
    }
    None
}

fn take_counted<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = usize::try_from(u32::from_be_bytes(take(bytes)?)).ok()?;
    bytes.split_off(..count)
}

fn take_place(bytes: &mut &[u8]) -> Option<SegmentPlace> {
    let offset = u64::from_be_bytes(take(bytes)?);
    let count = u16::from_be_bytes(take(bytes)?);
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push(ClipPart {
            head_bytes: u32::from_be_bytes(take(bytes)?),
            media_bytes: u32::from_be_bytes(take(bytes)?),
        });
    }
    Some(SegmentPlace { offset, parts })
}
