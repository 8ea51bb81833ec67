//! BLAKE2b digests (RFC 7693) of what is stored, 512 or 256 bits long. Knows bytes, not what they mean.
//! A digest carries which of the two it is, so that one store can hold both.

use std::fmt;
use std::str::FromStr;

use blake2::{Blake2b256, Blake2b512, Digest as _};

/// How long a digest is. What is longer costs space in every index; both take the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// BLAKE2b with 32 bytes of output; not a prefix of the longer one.
    Blake2b256,
    /// BLAKE2b with 64 bytes of output.
    #[default]
    Blake2b512,
}

/// The digest of some stored bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// Of [`DigestKind::Blake2b256`].
    Blake2b256([u8; 32]),
    /// Of [`DigestKind::Blake2b512`].
    Blake2b512([u8; 64]),
}

/// The BLAKE2b digest of 32 bytes, of bytes that may lie in several pieces.
pub fn blake2b_256<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut state = Blake2b256::new();
    for piece in pieces {
        state.update(piece);
    }
    state.finalize().into()
}

/// A digest being computed over bytes that come one piece after the other.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Blake2b256(Blake2b256),
    Blake2b512(Blake2b512),
}

/// The text is no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no digest: use 64 or 128 hexadecimal digits")]
pub struct InvalidDigest(pub String);

impl DigestKind {
    /// Size of a digest in bytes: 32 or 64.
    pub const fn bytes_count(self) -> usize {
        match self {
            Self::Blake2b256 => 32,
            Self::Blake2b512 => 64,
        }
    }

    /// Digests bytes that lie in one piece.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        self.digest_pieces([bytes])
    }

    /// Digests bytes that lie in several pieces, as if they lay in one.
    pub fn digest_pieces<'a>(self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = self.hasher();
        for piece in pieces {
            hasher.update(piece);
        }
        hasher.finish()
    }

    /// Begins a digest.
    pub fn hasher(self) -> Hasher {
        Hasher(match self {
            Self::Blake2b256 => State::Blake2b256(Blake2b256::new()),
            Self::Blake2b512 => State::Blake2b512(Blake2b512::new()),
        })
    }
}

impl Hasher {
    /// Adds the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Blake2b256(state) => state.update(bytes),
            State::Blake2b512(state) => state.update(bytes),
        }
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Blake2b256(state) => Digest::Blake2b256(state.finalize().into()),
            State::Blake2b512(state) => Digest::Blake2b512(state.finalize().into()),
        }
    }
}

impl Digest {
    /// Takes up a digest that was stored; `None` if `bytes` is not as long as its kind.
    pub fn from_bytes(kind: DigestKind, bytes: &[u8]) -> Option<Self> {
        match kind {
            DigestKind::Blake2b256 => bytes.try_into().ok().map(Self::Blake2b256),
            DigestKind::Blake2b512 => bytes.try_into().ok().map(Self::Blake2b512),
        }
    }

    /// Which of the two it is.
    pub fn kind(&self) -> DigestKind {
        match self {
            Self::Blake2b256(_) => DigestKind::Blake2b256,
            Self::Blake2b512(_) => DigestKind::Blake2b512,
        }
    }

    /// Its 32 or 64 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Blake2b256(bytes) => bytes,
            Self::Blake2b512(bytes) => bytes,
        }
    }
}

/// The bytes that two hexadecimal digits each stand for; `None` if there is anything else, or an odd digit.
pub(crate) fn bytes_from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |symbol: u8| char::from(symbol).to_digit(16).map(|value| value as u8);
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    bytes.collect::<Option<_>>().filter(|_| odd.is_empty())
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes_from_hex(text).unwrap_or_default();
        [DigestKind::Blake2b256, DigestKind::Blake2b512]
            .into_iter()
            .find_map(|kind| Self::from_bytes(kind, &bytes))
            .ok_or_else(|| InvalidDigest(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.as_bytes()[..8])?;
        f.write_str("…")
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Blake2b256(_) => "Hasher(Blake2b256)",
            State::Blake2b512(_) => "Hasher(Blake2b512)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_rfc_7693_however_the_bytes_are_cut() {
        let whole = DigestKind::Blake2b512.digest(b"abc");
        assert_eq!(whole.as_bytes()[..4], [0xBA, 0x80, 0xA5, 0x3F]);
        assert_eq!(whole.as_bytes()[60..], [0xD4, 0x00, 0x99, 0x23]);
        let pieces = DigestKind::Blake2b512.digest_pieces([&b"a"[..], b"", b"bc"]);
        assert_eq!(pieces, whole);
        assert_eq!(format!("{whole:?}"), "ba80a53f981c4d0d…");
    }

    #[test]
    fn short_digest_is_a_digest_of_its_own() {
        let short = DigestKind::Blake2b256.digest(b"abc");
        // As coreutils' `b2sum --length=256` says.
        let text = "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
        assert_eq!(short.to_string(), text);
        assert_eq!(short.kind(), DigestKind::Blake2b256);
    }

    #[test]
    fn digests_come_back_from_text_and_bytes() {
        for kind in [DigestKind::Blake2b256, DigestKind::Blake2b512] {
            let digest = kind.digest(b"something");
            assert_eq!(digest.to_string().parse(), Ok(digest));
            assert_eq!(digest.to_string().to_uppercase().parse(), Ok(digest));
            assert_eq!(Digest::from_bytes(kind, digest.as_bytes()), Some(digest));
            assert_eq!(Digest::from_bytes(kind, &digest.as_bytes()[1..]), None);
        }
        for bad in [
            "",
            "ba80",
            &"g".repeat(64),
            &"0".repeat(65),
            &"é".repeat(32),
        ] {
            let refused = Err(InvalidDigest(bad.to_owned()));
            assert_eq!(bad.parse::<Digest>(), refused);
        }
    }
}
