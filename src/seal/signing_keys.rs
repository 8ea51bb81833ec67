//! The box's secret keys: made once, kept as a text file that only the box reads, wiped from memory when dropped.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::merkle::NodeHash;
use super::note::NoteSignature;
use super::origin::Origin;
use super::public_keys::{Algorithm, PublicKeys};
use crate::base::Wall;

const BEGIN: &str = "-----BEGIN PERCH SIGNING KEYS-----";
const END: &str = "-----END PERCH SIGNING KEYS-----";
/// The second line of the only version so far.
const VERSION: &str = "version 1";

/// Both algorithms make a key out of as many random bytes (RFC 8032 §5.1.5, FIPS 204 §6.1).
const SEED_BYTES: usize = 32;
/// A seed as base64.
const SEED_TEXT_BYTES: usize = 44;
/// More than the text of keys takes, so that it is never copied to grow.
const TEXT_BYTES: usize = 512;

type Seed = Zeroizing<[u8; SEED_BYTES]>;

/// Why there are no keys.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeysError {
    /// The text is something else.
    #[error("the text holds no signing keys of a perch")]
    NotKeys,
    /// A newer perch wrote it.
    #[error("the signing keys have `{0}`, which this perch does not know; use a newer one")]
    Version(String),
    /// A line is not as it was written; counted from 1.
    #[error("line {0} of the keys is damaged; take them from a copy")]
    DamagedLine(usize),
    /// One of the two public keys is missing, or has not its size.
    #[error("there must be two public keys, one of Ed25519 and one of ML-DSA-65")]
    Incomplete,
    /// The public keys belong to different boxes.
    #[error("one key is of {0}, the other of {1}")]
    TwoBoxes(Origin, Origin),
    /// The cryptographic library failed: no randomness, no memory.
    #[error("the cryptographic library failed at {0}")]
    Library(&'static str),
}

/// The keys that a box signs with.
pub struct SigningKeys {
    seeds: [Seed; 2],
    ed25519: Ed25519KeyPair,
    ml_dsa_65: PqdsaKeyPair,
    public: PublicKeys,
}

impl SigningKeys {
    /// Makes keys out of the randomness of the cryptographic library.
    pub fn generate(origin: Origin) -> Result<Self, KeysError> {
        let mut seeds = [Seed::default(), Seed::default()];
        for seed in &mut seeds {
            aws_lc_rs::rand::fill(seed.as_mut_slice())
                .map_err(|_| KeysError::Library("randomness"))?;
        }
        Self::from_seeds(origin, seeds)
    }

    /// Makes keys for a box that has no name yet, under a name out of the same randomness: nobody has to choose one,
    /// and no two boxes have the same.
    pub fn generate_for_new_box() -> Result<Self, KeysError> {
        let mut name = [0; 8];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| KeysError::Library("randomness"))?;
        let name = format!("{:016x}", u64::from_be_bytes(name));
        Self::generate(Origin::of_box(&name).expect("16 hexadecimal digits are a name"))
    }

    /// The keys out of the seeds for Ed25519 and ML-DSA-65.
    pub(super) fn from_seeds(origin: Origin, seeds: [Seed; 2]) -> Result<Self, KeysError> {
        let failed = |_| KeysError::Library("making a key out of its seed");
        let [first, second] = &seeds;
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(first.as_slice()).map_err(failed)?;
        let ml_dsa_65 =
            PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, second.as_slice()).map_err(failed)?;
        let public = PublicKeys::new(
            origin,
            ed25519.public_key().as_ref(),
            ml_dsa_65.public_key().as_ref(),
        )
        .ok_or(KeysError::Library("telling a public key"))?;
        Ok(Self {
            seeds,
            ed25519,
            ml_dsa_65,
            public,
        })
    }

    /// What others check signatures with.
    pub fn public_keys(&self) -> &PublicKeys {
        &self.public
    }

    /// The keys as text, secret: a version, the origin, and for each key its kind, the id of its public key, its seed.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_BYTES));
        let origin = self.public.origin();
        text.push_str(&format!("{BEGIN}\n{VERSION}\norigin {origin}\n"));
        for (algorithm, seed) in Algorithm::ALL.into_iter().zip(&self.seeds) {
            text.push_str(&line_opening(&self.public, algorithm));
            let mut encoded = Zeroizing::new([0; SEED_TEXT_BYTES]);
            BASE64_STANDARD
                .encode_slice(seed.as_slice(), encoded.as_mut_slice())
                .expect("32 bytes are 44 in base64");
            text.push_str(std::str::from_utf8(encoded.as_slice()).expect("base64 is ASCII"));
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// Reads what [`Self::to_text`] wrote. Keys that were damaged are refused, never taken for another box's.
    pub fn from_text(text: &str) -> Result<Self, KeysError> {
        let mut lines = text.trim().lines().map(str::trim_end);
        if lines.next() != Some(BEGIN) {
            return Err(KeysError::NotKeys);
        }
        match lines.next() {
            Some(VERSION) => {}
            Some(line) if line.starts_with("version ") => {
                return Err(KeysError::Version(line.chars().take(32).collect()));
            }
            _ => return Err(KeysError::DamagedLine(2)),
        }
        let origin = lines.next().and_then(|line| line.strip_prefix("origin "));
        let origin = origin
            .and_then(|origin| origin.parse().ok())
            .ok_or(KeysError::DamagedLine(3))?;
        let mut seeds = [Seed::default(), Seed::default()];
        let mut openings = [""; 2];
        for (index, (seed, opening)) in seeds.iter_mut().zip(&mut openings).enumerate() {
            (*opening, *seed) = lines
                .next()
                .and_then(parse_seed)
                .ok_or(KeysError::DamagedLine(4 + index))?;
        }
        if lines.next() != Some(END) || lines.next().is_some() {
            return Err(KeysError::DamagedLine(6));
        }
        let keys = Self::from_seeds(origin, seeds)?;
        for (index, algorithm) in Algorithm::ALL.into_iter().enumerate() {
            if openings[index] != line_opening(&keys.public, algorithm) {
                return Err(KeysError::DamagedLine(4 + index));
            }
        }
        Ok(keys)
    }

    /// Signs what the log holds at civil time `signed_at`.
    pub fn sign(
        &self,
        size: u64,
        root: NodeHash,
        signed_at: Wall,
    ) -> Result<SignedCheckpoint, KeysError> {
        let origin = self.public.origin();
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size,
            root,
            signed_at,
        };
        let text = checkpoint.text();
        let mut lines = String::new();
        for algorithm in Algorithm::ALL {
            let signature = NoteSignature {
                name: origin.as_str(),
                key_id: self.public.key_id(algorithm),
                bytes: self.signature(algorithm, text.as_bytes())?,
            };
            lines.push_str(&signature.line());
        }
        Ok(SignedCheckpoint::of_parts(checkpoint, &lines))
    }

    /// Signs any bytes with one of the keys.
    pub(super) fn signature(
        &self,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, KeysError> {
        let failed = |_| KeysError::Library("signing");
        match algorithm {
            Algorithm::Ed25519 => {
                let signature = self.ed25519.try_sign(message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Algorithm::MlDsa65 => {
                let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
                let count = self
                    .ml_dsa_65
                    .sign(message, &mut signature)
                    .map_err(failed)?;
                signature.truncate(count);
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.public.origin())
    }
}

/// What a key's line holds before its seed.
fn line_opening(public: &PublicKeys, algorithm: Algorithm) -> String {
    let id = u32::from_be_bytes(public.key_id(algorithm));
    format!("{} {id:08x} ", algorithm.name())
}

/// A key's line as what precedes the seed, and the seed.
fn parse_seed(line: &str) -> Option<(&str, Seed)> {
    let (opening, encoded) = line.split_at_checked(line.rfind(' ')? + 1)?;
    // A little longer, since the decoder asks for room in whole groups of three bytes.
    let mut decoded = Zeroizing::new([0; SEED_BYTES + 4]);
    let count = BASE64_STANDARD
        .decode_slice(encoded, decoded.as_mut_slice())
        .ok()?;
    let seed = decoded[..count].try_into().ok()?;
    Some((opening, Zeroizing::new(seed)))
}
