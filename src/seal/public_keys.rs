//! The two public keys of a box and what they hold. One of Ed25519 (RFC 8032), one of ML-DSA-65 (FIPS 204): a forger
//! has to break both, one of which no quantum computer helps with.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, ML_DSA_65, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::note::{KeyId, key_id};
use super::origin::Origin;
use super::signing_keys::KeysError;

const ED25519_KEY_BYTES: usize = 32;
const ML_DSA_65_KEY_BYTES: usize = 1952;

/// One of the two kinds of signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Curve25519, deterministic.
    Ed25519,
    /// Lattices, category 3, pure, with an empty context.
    MlDsa65,
}

impl Algorithm {
    /// Both, in the order in which they sign.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::MlDsa65];

    /// How a note marks a key of this kind: a byte, and what 0xff asks to follow it. (C2SP signed-note, Signature types)
    pub(super) fn kind(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => b"\x01",
            Self::MlDsa65 => b"\xffML-DSA-65",
        }
    }

    /// The name in files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::MlDsa65 => "ml-dsa-65",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "Ed25519",
            Self::MlDsa65 => "ML-DSA-65",
        })
    }
}

/// The public keys of a box. As text two lines, `name+id+base64`, in the form in which other programs that check signed
/// notes take keys too: those know the first, of Ed25519.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKeys {
    origin: Origin,
    ed25519: [u8; ED25519_KEY_BYTES],
    ml_dsa_65: Box<[u8; ML_DSA_65_KEY_BYTES]>,
}

impl PublicKeys {
    /// `None` if a key has not its size.
    pub(super) fn new(origin: Origin, ed25519: &[u8], ml_dsa_65: &[u8]) -> Option<Self> {
        Some(Self {
            origin,
            ed25519: ed25519.try_into().ok()?,
            ml_dsa_65: Box::new(ml_dsa_65.try_into().ok()?),
        })
    }

    /// Whose keys they are.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    fn key(&self, algorithm: Algorithm) -> &[u8] {
        match algorithm {
            Algorithm::Ed25519 => &self.ed25519,
            Algorithm::MlDsa65 => self.ml_dsa_65.as_slice(),
        }
    }

    pub(super) fn key_id(&self, algorithm: Algorithm) -> KeyId {
        key_id(self.origin.as_str(), algorithm.kind(), self.key(algorithm))
    }

    /// Whether a signature is of this key over this message.
    pub(super) fn holds(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let key = self.key(algorithm);
        match algorithm {
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Algorithm::MlDsa65 => {
                UnparsedPublicKey::new(&ML_DSA_65, key).verify(message, signature)
            }
        }
        .is_ok()
    }
}

/// Two lines, each with its end.
impl fmt::Display for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for algorithm in Algorithm::ALL {
            let id = u32::from_be_bytes(self.key_id(algorithm));
            let key = BASE64_STANDARD.encode([algorithm.kind(), self.key(algorithm)].concat());
            writeln!(f, "{}+{id:08x}+{key}", self.origin)?;
        }
        Ok(())
    }
}

impl fmt::Debug for PublicKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKeys({})", self.origin)
    }
}

impl FromStr for PublicKeys {
    type Err = KeysError;

    /// Takes both lines, in any order, and whatever space got around them on the way.
    fn from_str(text: &str) -> Result<Self, KeysError> {
        let mut found: [Option<(Origin, Vec<u8>)>; 2] = [None, None];
        let lines = text.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let damaged = KeysError::DamagedLine(index + 1);
            let Some((algorithm, origin, key)) = parse_line(line) else {
                return Err(damaged);
            };
            let place = &mut found[algorithm as usize];
            if place.replace((origin, key)).is_some() {
                return Err(damaged);
            }
        }
        let [Some((origin, ed25519)), Some((other, ml_dsa_65))] = found else {
            return Err(KeysError::Incomplete);
        };
        if origin != other {
            return Err(KeysError::TwoBoxes(origin, other));
        }
        Self::new(origin, &ed25519, &ml_dsa_65).ok_or(KeysError::Incomplete)
    }
}

fn parse_line(line: &str) -> Option<(Algorithm, Origin, Vec<u8>)> {
    let mut fields = line.splitn(3, '+');
    let origin: Origin = fields.next()?.parse().ok()?;
    let id = fields.next()?;
    let blob = BASE64_STANDARD.decode(fields.next()?).ok()?;
    let (algorithm, key) = Algorithm::ALL
        .into_iter()
        .find_map(|algorithm| Some((algorithm, blob.strip_prefix(algorithm.kind())?)))?;
    let expected = u32::from_be_bytes(key_id(origin.as_str(), algorithm.kind(), key));
    (id == format!("{expected:08x}")).then(|| (algorithm, origin, key.to_vec()))
}
