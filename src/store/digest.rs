//! BLAKE2b-512 (RFC 7693) over what is stored. Knows bytes, not what they mean.

use std::fmt;

use blake2::{Blake2b512, Digest as _};

/// The BLAKE2b-512 digest of some stored bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest(pub(super) [u8; Digest::BYTES]);

impl Digest {
    /// Size of a digest in bytes.
    pub(super) const BYTES: usize = 64;

    /// Digests bytes that lie in one piece.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::of_pieces([bytes])
    }

    /// Digests bytes that lie in several pieces, as if they lay in one.
    pub(super) fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Blake2b512::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_that_of_rfc_7693_however_the_bytes_are_cut() {
        let whole = Digest::of(b"abc");
        assert_eq!(whole.0[..4], [0xBA, 0x80, 0xA5, 0x3F]);
        assert_eq!(whole.0[60..], [0xD4, 0x00, 0x99, 0x23]);
        assert_eq!(Digest::of_pieces([&b"a"[..], b"", b"bc"]), whole);
        assert_eq!(format!("{whole:?}"), "ba80a53f981c4d0d…");
    }
}
