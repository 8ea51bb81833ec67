//! What the log held at a moment, in the form of C2SP tlog-checkpoint, and the same signed by the box.
//! Knows no keys; a checkpoint out of a text is given away only once they have held it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::merkle::{LEAVES_MAX, NodeHash};
use super::note::{self, Note};
use super::origin::Origin;
use super::public_keys::{Algorithm, PublicKeys};
use crate::base::Wall;

/// The longest signed checkpoint that is read, in bytes. One of ours has about 4700.
pub const NOTE_BYTES_MAX: usize = note::NOTE_BYTES_MAX;

/// Opens the extension line with the time.
const SIGNED_AT: &str = "signed ";

/// The state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log.
    pub origin: Origin,
    /// Number of its leaves, up to [`LEAVES_MAX`].
    pub size: u64,
    /// Its root.
    pub root: NodeHash,
    /// Civil time when it was signed, as the box's clock showed it.
    pub signed_at: Wall,
}

impl Checkpoint {
    /// The lines that are signed: origin, size, root, time.
    pub(super) fn text(&self) -> String {
        let root = BASE64_STANDARD.encode(self.root.0);
        let Self {
            origin,
            size,
            signed_at,
            ..
        } = self;
        format!("{origin}\n{size}\n{root}\n{SIGNED_AT}{signed_at}\n")
    }

    /// Reads [`Self::text`], and nothing that it would write otherwise.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let checkpoint = Self {
            origin: lines.next()?.parse().ok()?,
            size: lines.next()?.parse().ok().filter(|s| *s <= LEAVES_MAX)?,
            root: NodeHash(
                BASE64_STANDARD
                    .decode(lines.next()?)
                    .ok()?
                    .try_into()
                    .ok()?,
            ),
            signed_at: Wall::parse_rfc3339(lines.next()?.strip_prefix(SIGNED_AT)?)?,
        };
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

/// Why a checkpoint counts for nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// It is no signed note, or longer than [`NOTE_BYTES_MAX`], or its text no checkpoint of a perch.
    #[error("the text is no signed checkpoint of a perch")]
    Malformed,
    /// The keys belong to another box.
    #[error("the checkpoint is of {origin}, the keys are of {keys}")]
    OtherBox {
        /// Whose log it claims to be of.
        origin: Origin,
        /// Whose keys these are.
        keys: Origin,
    },
    /// One of the two signatures is not there, or of a key that is not among these.
    #[error("the checkpoint bears no {0} signature of these keys")]
    Unsigned(Algorithm),
    /// One of the two signatures is wrong: the checkpoint was altered.
    #[error("the checkpoint's {0} signature is wrong; it was altered")]
    WrongSignature(Algorithm),
}

/// A signed checkpoint, well-formed but not yet trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: String,
    claimed: Checkpoint,
}

impl SignedCheckpoint {
    /// Takes a text for what it claims to be. Signatures of keys that perch does not know are allowed beside ours.
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        let parsed = Note::parse(note).ok_or(CheckpointError::Malformed)?;
        Ok(Self {
            claimed: Checkpoint::parse(parsed.text).ok_or(CheckpointError::Malformed)?,
            note: note.to_owned(),
        })
    }

    /// The checkpoint and its signatures.
    pub(super) fn of_parts(claimed: Checkpoint, signature_lines: &str) -> Self {
        let note = format!("{}\n{signature_lines}", claimed.text());
        Self { note, claimed }
    }

    /// The whole note, to keep and to publish.
    pub fn as_str(&self) -> &str {
        &self.note
    }

    /// What it says, whoever says it.
    pub(super) fn claimed(&self) -> &Checkpoint {
        &self.claimed
    }

    /// What it says, once both signatures hold under the box's keys.
    pub fn verify(&self, keys: &PublicKeys) -> Result<&Checkpoint, CheckpointError> {
        if self.claimed.origin != *keys.origin() {
            return Err(CheckpointError::OtherBox {
                origin: self.claimed.origin.clone(),
                keys: keys.origin().clone(),
            });
        }
        let note = Note::parse(&self.note).expect("parsed or written before");
        for algorithm in Algorithm::ALL {
            let signature = note
                .signature_of(keys.origin().as_str(), keys.key_id(algorithm))
                .ok_or(CheckpointError::Unsigned(algorithm))?;
            if !keys.holds(algorithm, note.text.as_bytes(), signature) {
                return Err(CheckpointError::WrongSignature(algorithm));
            }
        }
        Ok(&self.claimed)
    }
}
