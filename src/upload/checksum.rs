//! Checksums that a client sends with its data. (tus 1.0, extension checksum)

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;

/// How the list of algorithms stands in `Tus-Checksum-Algorithm`.
pub(super) const ALGORITHMS: &str = "sha1,sha256";

const FIELD: &str = "Upload-Checksum";

/// What the data of a request is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-1, which tus demands. It finds what a connection damages, not what somebody forges.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
}

/// The checksum of the data that came so far.
#[derive(Clone, Debug)]
pub struct ChecksumHasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha1(Sha1, [u8; 20]),
    Sha256(Sha256, [u8; 32]),
}

impl Checksum {
    /// Reads `ALGORITHM BASE64`.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = |why: &str| Refusal::field(FIELD, why);
        let (algorithm, encoded) = text
            .split_once(' ')
            .ok_or_else(|| wrong("is not an algorithm and a checksum in Base64"))?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| wrong("the checksum is not Base64"))?;
        let sized = match algorithm {
            "sha1" => bytes.try_into().map(Self::Sha1),
            "sha256" => bytes.try_into().map(Self::Sha256),
            _ => return Err(wrong("the algorithm is neither sha1 nor sha256")),
        };
        sized.map_err(|_| wrong("the checksum has not the length that its algorithm makes"))
    }

    /// Begins the checksum of the data.
    pub fn hasher(self) -> ChecksumHasher {
        ChecksumHasher(match self {
            Self::Sha1(expected) => State::Sha1(Sha1::new(), expected),
            Self::Sha256(expected) => State::Sha256(Sha256::new(), expected),
        })
    }
}

impl ChecksumHasher {
    /// Adds the next piece of data.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(hasher, _) => hasher.update(bytes),
            State::Sha256(hasher, _) => hasher.update(bytes),
        }
    }

    /// Whether all of the data is what it was to be.
    pub fn finish(self) -> Result<(), Refusal> {
        let same = match self.0 {
            State::Sha1(hasher, expected) => hasher.finalize()[..] == expected,
            State::Sha256(hasher, expected) => hasher.finalize()[..] == expected,
        };
        if same {
            Ok(())
        } else {
            Err(Refusal::ChecksumMismatch)
        }
    }
}
