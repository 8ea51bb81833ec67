//! What the log records of a segment, byte for byte the same wherever it is written down.
//! Knows neither where the segment lies nor at which index of the log its record stands.

use super::merkle::{NodeHash, leaf_hash};
use crate::base::{CameraId, Digest, DigestKind, Wall};
use crate::media::RenditionId;

/// Opens each record, so that no other thing that perch hashes or signs can be taken for one.
const DOMAIN: &[u8] = b"perch segment record\0";
/// The only version so far.
const VERSION: u8 = 1;

/// The record of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The camera.
    pub camera: CameraId,
    /// Picture or sound of which rung.
    pub rendition: RenditionId,
    /// The run of the camera.
    pub run: u64,
    /// Media sequence number.
    pub msn: u64,
    /// Civil time of its first picture, as the clock showed it then.
    pub wall_start: Wall,
    /// How long it lasts.
    pub duration_ms: u32,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Hash of the leaf before, of the same camera and rendition; none for the first that was ever recorded, and for
    /// the first after a start that found all older ones deleted for their age.
    pub previous: Option<NodeHash>,
}

/// The bytes are no record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LeafError {
    /// A newer perch wrote them.
    #[error("the record has version {0}, which this perch does not know; use a newer one")]
    Version(u8),
    /// They are anything else, or not written as perch writes them.
    #[error("the record of a segment is damaged")]
    Malformed,
}

impl Leaf {
    /// The record: domain, version, then the fields in their order, numbers with the highest byte first, names and
    /// digest behind a byte that tells their length, `previous` behind a byte that is 1, or 0 alone. About 200 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(DOMAIN);
        bytes.push(VERSION);
        for name in [self.camera.as_str(), self.rendition.name()] {
            bytes.push(u8::try_from(name.len()).expect("names have at most 64 bytes"));
            bytes.extend(name.as_bytes());
        }
        bytes.extend(self.run.to_be_bytes());
        bytes.extend(self.msn.to_be_bytes());
        bytes.extend(self.wall_start.0.to_be_bytes());
        bytes.extend(self.duration_ms.to_be_bytes());
        let digest = self.digest.as_bytes();
        bytes.push(u8::try_from(digest.len()).expect("a digest has 32 or 64 bytes"));
        bytes.extend(digest);
        match &self.previous {
            None => bytes.push(0),
            Some(previous) => {
                bytes.push(1);
                bytes.extend(previous.0);
            }
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote, and nothing that it would write otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        let mut rest = bytes;
        let leaf = Self::read(&mut rest)?;
        if rest.is_empty() {
            Ok(leaf)
        } else {
            Err(LeafError::Malformed)
        }
    }

    /// Reads a record from the front of `bytes`, which then start behind it.
    pub(super) fn read(bytes: &mut &[u8]) -> Result<Self, LeafError> {
        let opening = bytes.split_off(..DOMAIN.len());
        if opening != Some(DOMAIN) {
            return Err(LeafError::Malformed);
        }
        match take(bytes) {
            Some([VERSION]) => Self::read_fields(bytes).ok_or(LeafError::Malformed),
            Some([version]) => Err(LeafError::Version(version)),
            None => Err(LeafError::Malformed),
        }
    }

    fn read_fields(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            camera: take_name(bytes)?.parse().ok()?,
            rendition: take_name(bytes)?.parse().ok()?,
            run: u64::from_be_bytes(take(bytes)?),
            msn: u64::from_be_bytes(take(bytes)?),
            wall_start: Wall(i64::from_be_bytes(take(bytes)?)),
            duration_ms: u32::from_be_bytes(take(bytes)?),
            digest: take_digest(bytes)?,
            previous: match take(bytes)? {
                [0] => None,
                [1] => Some(NodeHash(take(bytes)?)),
                _ => return None,
            },
        })
    }

    /// The hash of the leaf that stands for this record in the log.
    pub fn hash(&self) -> NodeHash {
        leaf_hash(&self.encode())
    }
}

/// The first `N` bytes, which `bytes` then start behind. `None` if there are fewer.
pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// A digest behind its length, which tells its kind.
fn take_digest(bytes: &mut &[u8]) -> Option<Digest> {
    let [length] = take(bytes)?;
    let kind = [DigestKind::Blake2b256, DigestKind::Blake2b512]
        .into_iter()
        .find(|kind| kind.bytes_count() == usize::from(length))?;
    Digest::from_bytes(kind, bytes.split_off(..kind.bytes_count())?)
}

fn take_name<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let [length] = take(bytes)?;
    std::str::from_utf8(bytes.split_off(..usize::from(length))?).ok()
}
