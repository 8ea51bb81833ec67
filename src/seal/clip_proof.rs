//! What an exported clip carries so that whoever has the box's public keys can check it, without the box: the record
//! of each segment, the hashes that lead from these to the log's root, and the signed checkpoint with that root.
//! Knows digests of segments, not where in the file they lie.

use super::checkpoint::{CheckpointError, NOTE_BYTES_MAX, SignedCheckpoint};
use super::clip_order::{SegmentFault, chain_faults, order_faults};
use super::clip_sound::{Silence, silences};
use super::leaf::{Leaf, LeafError, take};
use super::merkle::{NodeHash, TileSource, Tree, TreeError, root_of_cover};
use super::origin::Origin;
use super::public_keys::PublicKeys;
use crate::base::{CameraId, Digest, Wall};
use crate::media::RenditionId;

/// The extended type of the `uuid` box that holds an encoded proof: b23d4d0e-6a5c-4b1e-9f27-70e5c1a9d384.
/// (ISO/IEC 14496-12 §4.2.2)
pub const CLIP_PROOF_UUID: [u8; 16] = [
    0xb2, 0x3d, 0x4d, 0x0e, 0x6a, 0x5c, 0x4b, 0x1e, 0x9f, 0x27, 0x70, 0xe5, 0xc1, 0xa9, 0xd3, 0x84,
];

/// Segments in one proof: twelve days of picture and sound.
pub const CLIP_SEGMENTS_MAX: usize = 1 << 20;

/// What every encoded proof opens with.
const MAGIC: &[u8] = b"perch clip proof\0";
/// The only version so far.
const VERSION: u8 = 1;

/// A segment of the clip and where the log has its record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    index: u64,
    leaf: Leaf,
}

/// The proof of a clip. Well-formed, but worth nothing before [`Self::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipProof {
    checkpoint: SignedCheckpoint,
    entries: Vec<Entry>,
    cover: Vec<NodeHash>,
}

/// Why no proof can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MakeProofError<E> {
    /// The log cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError<E>),
    /// The record is not the one that the log has at that index: index or log is damaged.
    #[error("the log has another record at {0}; check the store")]
    OtherLeaf(u64),
    /// The checkpoint is of another size than the tree.
    #[error("the checkpoint is of {checkpoint} leaves, the tree has {tree}")]
    OtherSize {
        /// Leaves that the checkpoint signs.
        checkpoint: u64,
        /// Leaves of the tree.
        tree: u64,
    },
    /// There are more segments than [`CLIP_SEGMENTS_MAX`], or the same twice.
    #[error("a proof takes up to {CLIP_SEGMENTS_MAX} segments, each once; make the clip shorter")]
    Segments,
}

/// Why a clip is not proven.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClipProofError {
    /// A newer perch wrote the proof.
    #[error("the proof has version {0}, which this perch does not know; use a newer one")]
    Version(u8),
    /// The bytes are no proof, or cut, or go on behind its end.
    #[error("the proof is damaged")]
    Malformed,
    /// The checkpoint is not of this box, or not signed by both of its keys.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A record, an index or a hash was altered: they do not lead to the root that the box signed.
    #[error("the records of the proof are not those that the box signed")]
    OtherRoot,
    /// It is of segments of two cameras: runs and numbers of both begin alike, so that the pictures of one would pass
    /// for those of what was heard at the other, hours apart.
    #[error("the proof is of segments of {0} and of {1}; a clip is of one camera")]
    SeveralCameras(CameraId, CameraId),
    /// The proof holds, the segments do not. Never empty.
    #[error("{}", list(.0))]
    Segments(Vec<SegmentFault>),
}

impl From<LeafError> for ClipProofError {
    fn from(error: LeafError) -> Self {
        match error {
            LeafError::Version(version) => Self::Version(version),
            LeafError::Malformed => Self::Malformed,
        }
    }
}

fn list(faults: &[SegmentFault]) -> String {
    const SHOWN: usize = 20;
    let mut lines: Vec<_> = faults.iter().take(SHOWN).map(ToString::to_string).collect();
    if faults.len() > SHOWN {
        lines.push(format!("and {} more", faults.len() - SHOWN));
    }
    lines.join("; ")
}

/// The time that a verified clip covers in one rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackSpan {
    /// The camera.
    pub camera: CameraId,
    /// Picture or sound of which rung.
    pub rendition: RenditionId,
    /// Civil time of the first picture of its first segment.
    pub from: Wall,
    /// Civil time of the end of its last segment.
    pub to: Wall,
    /// Number of its segments.
    pub segments: usize,
}

/// What is known of a clip whose proof holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClip {
    /// The box that recorded it.
    pub origin: Origin,
    /// When the box signed, by its clock: the clip existed by then.
    pub signed_at: Wall,
    /// Each rendition, in the order in which they appear.
    pub tracks: Vec<TrackSpan>,
    /// Where it has pictures without sound, in their order.
    pub silences: Vec<Silence>,
}

impl ClipProof {
    /// Makes the proof of the given segments of one camera, each with its index in the log, in the order in which the
    /// clip has them; those of one rendition in the order in which they were recorded. `tree` has the size that
    /// `checkpoint` signs.
    pub fn make<S: TileSource>(
        checkpoint: &SignedCheckpoint,
        tree: &mut Tree<S>,
        segments: Vec<(u64, Leaf)>,
    ) -> Result<Self, MakeProofError<S::Error>> {
        if checkpoint.claimed().size != tree.size() {
            return Err(MakeProofError::OtherSize {
                checkpoint: checkpoint.claimed().size,
                tree: tree.size(),
            });
        }
        let entry = |(index, leaf)| Entry { index, leaf };
        let entries: Vec<_> = segments.into_iter().map(entry).collect();
        let sorted = sorted_leaves(&entries).ok_or(MakeProofError::Segments)?;
        for (index, leaf) in &sorted {
            if tree.leaf(*index)? != *leaf {
                return Err(MakeProofError::OtherLeaf(*index));
            }
        }
        let indices: Vec<_> = sorted.iter().map(|(index, _)| *index).collect();
        Ok(Self {
            checkpoint: checkpoint.clone(),
            cover: tree.cover(&indices)?,
            entries,
        })
    }

    /// The records of the segments whose digests [`Self::verify`] asks for, in that order. Not to be trusted yet.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = &Leaf> + Clone {
        self.entries.iter().map(|entry| &entry.leaf)
    }

    /// Checks signatures, log and segments, given the digests of the clip's segments in its order; says what is wrong,
    /// and with the segments everything that is.
    pub fn verify(
        &self,
        keys: &PublicKeys,
        digests: impl IntoIterator<Item = Digest>,
    ) -> Result<VerifiedClip, ClipProofError> {
        let checkpoint = self.checkpoint.verify(keys)?;
        let leaves = sorted_leaves(&self.entries).ok_or(ClipProofError::Malformed)?;
        match root_of_cover(checkpoint.size, &leaves, &self.cover) {
            Ok(root) if root == checkpoint.root => {}
            _ => return Err(ClipProofError::OtherRoot),
        }
        let mut cameras = self.leaves().map(|leaf| &leaf.camera);
        let camera = cameras.next().ok_or(ClipProofError::Malformed)?;
        if let Some(other) = cameras.find(|other| *other != camera) {
            return Err(ClipProofError::SeveralCameras(
                camera.clone(),
                other.clone(),
            ));
        }
        // A clip cannot hold more than a proof may tell of; one more shows that it does.
        let found: Vec<_> = digests.into_iter().take(CLIP_SEGMENTS_MAX + 1).collect();
        let expected: Vec<_> = self.leaves().collect();
        let mut faults = chain_faults(self.leaves());
        faults.extend(order_faults(&expected, &found));
        if !faults.is_empty() {
            return Err(ClipProofError::Segments(faults));
        }
        Ok(VerifiedClip {
            origin: checkpoint.origin.clone(),
            signed_at: checkpoint.signed_at,
            tracks: self.tracks(),
            silences: silences(self.leaves()),
        })
    }

    fn tracks(&self) -> Vec<TrackSpan> {
        let mut tracks: Vec<TrackSpan> = Vec::new();
        for leaf in self.leaves() {
            let to = leaf.wall_start.plus_ms(i64::from(leaf.duration_ms));
            let same =
                |t: &&mut TrackSpan| t.camera == leaf.camera && t.rendition == leaf.rendition;
            match tracks.iter_mut().find(same) {
                Some(track) => {
                    track.to = to;
                    track.segments += 1;
                }
                None => tracks.push(TrackSpan {
                    camera: leaf.camera.clone(),
                    rendition: leaf.rendition,
                    from: leaf.wall_start,
                    to,
                    segments: 1,
                }),
            }
        }
        tracks
    }

    /// The proof as bytes: magic, version; the checkpoint; for each segment its index and record; the hashes, each list
    /// behind a count of four bytes. About 200 bytes a segment and 5 kB.
    pub fn encode(&self) -> Vec<u8> {
        let note = self.checkpoint.as_str().as_bytes();
        let count = |count: usize| {
            let count = u32::try_from(count).expect("far fewer segments and hashes than 2^32");
            count.to_be_bytes()
        };
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(count(note.len()));
        bytes.extend(note);
        bytes.extend(count(self.entries.len()));
        for entry in &self.entries {
            bytes.extend(entry.index.to_be_bytes());
            bytes.extend(entry.leaf.encode());
        }
        bytes.extend(count(self.cover.len()));
        bytes.extend(self.cover.iter().flat_map(|hash| hash.0));
        bytes
    }

    /// Reads what [`Self::encode`] wrote, and nothing that it would write otherwise. Takes memory in proportion to
    /// the bytes that there are, whatever they claim.
    pub fn decode(bytes: &[u8]) -> Result<Self, ClipProofError> {
        let mut rest = bytes;
        if rest.split_off(..MAGIC.len()) != Some(MAGIC) {
            return Err(ClipProofError::Malformed);
        }
        match take(&mut rest) {
            Some([VERSION]) => {}
            Some([version]) => return Err(ClipProofError::Version(version)),
            None => return Err(ClipProofError::Malformed),
        }
        let proof = Self::read_parts(&mut rest)?;
        if rest.is_empty() {
            Ok(proof)
        } else {
            Err(ClipProofError::Malformed)
        }
    }

    fn read_parts(rest: &mut &[u8]) -> Result<Self, ClipProofError> {
        let malformed = || ClipProofError::Malformed;
        let count = take_count(rest, NOTE_BYTES_MAX).ok_or_else(malformed)?;
        let note = rest.split_off(..count).ok_or_else(malformed)?;
        let note = std::str::from_utf8(note).map_err(|_| malformed())?;
        let checkpoint = SignedCheckpoint::parse(note)?;

        let count = take_count(rest, CLIP_SEGMENTS_MAX).ok_or_else(malformed)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let index = u64::from_be_bytes(take(rest).ok_or_else(malformed)?);
            let leaf = Leaf::read(rest)?;
            entries.push(Entry { index, leaf });
        }

        let hashes_max = rest.len() / NodeHash::BYTES;
        let count = take_count(rest, hashes_max).ok_or_else(malformed)?;
        let cover = rest
            .split_off(..count * NodeHash::BYTES)
            .and_then(NodeHash::list)
            .ok_or_else(malformed)?;
        Ok(Self {
            checkpoint,
            entries,
            cover,
        })
    }
}

/// The leaves by growing index. `None` if there are none, too many, or one twice.
fn sorted_leaves(entries: &[Entry]) -> Option<Vec<(u64, NodeHash)>> {
    let mut leaves: Vec<_> = entries.iter().map(|e| (e.index, e.leaf.hash())).collect();
    leaves.sort_unstable_by_key(|(index, _)| *index);
    let distinct = leaves.windows(2).all(|pair| pair[0].0 < pair[1].0);
    (distinct && (1..=CLIP_SEGMENTS_MAX).contains(&leaves.len())).then_some(leaves)
}

/// A count of four bytes, if it is at most `max`.
fn take_count(bytes: &mut &[u8], max: usize) -> Option<usize> {
    let count = usize::try_from(u32::from_be_bytes(take(bytes)?)).ok()?;
    (count <= max).then_some(count)
}
