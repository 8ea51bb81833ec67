//! Tamper evidence: a Merkle log of recorded segments, checkpoints signed by the box, and the proof that a clip carries.
//! Pure: where leaves and tiles lie, what time it is and when to sign is the store's business. Only generating keys, and
//! the hedged signatures of FIPS 204, take randomness: from the cryptographic library. The only importer of it.

mod checkpoint;
mod clip_evidence;
mod clip_order;
mod clip_proof;
mod clip_sound;
mod clip_tracks;
mod leaf;
mod merkle;
mod note;
mod origin;
mod public_keys;
mod signing_keys;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CheckpointError, NOTE_BYTES_MAX, SignedCheckpoint};
pub use clip_evidence::{CLIP_PARTS_MAX, ClipEvidence, ClipPart, SegmentPlace};
pub use clip_order::{SegmentFault, SegmentName};
pub use clip_proof::{
    CLIP_PROOF_UUID, CLIP_SEGMENTS_MAX, ClipProof, ClipProofError, MakeProofError, TrackSpan,
    VerifiedClip,
};
pub use clip_sound::{Silence, SilenceKind};
pub use clip_tracks::{FileRange, TrackFault};
pub use leaf::{Leaf, LeafError};
pub use merkle::{
    Frontier, LEAVES_MAX, NodeHash, ProofError, TILE_HASHES, TileEntry, TileId, TileSource, Tree,
    TreeError, leaf_hash, root_of_cover, tile_root, verify_consistency, verify_inclusion,
};
pub use origin::{BadOrigin, Origin};
pub use public_keys::{Algorithm, PublicKeys};
pub use signing_keys::{KeysError, SigningKeys};
