//! What stored bytes are called. Pure.

mod digest;

pub use digest::{Digest, DigestKind, Hasher, InvalidDigest};
