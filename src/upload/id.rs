//! What an upload is called in its address and on disk.

use std::fmt;
use std::str::FromStr;

use crate::base::{bytes_from_hex, write_hex};

/// The random name of an upload, which no other has. It is no secret: whoever may upload is told of all uploads, and may
/// add to them and remove them. As text 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub [u8; 16]);

/// The text names no upload.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an upload's name is 32 lower-case hexadecimal digits")]
pub struct InvalidUploadId;

impl FromStr for UploadId {
    type Err = InvalidUploadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bytes_from_hex(text).ok_or(InvalidUploadId)?;
        let id = bytes.try_into().map(Self).map_err(|_| InvalidUploadId)?;
        // One upload has one address.
        if text.bytes().any(|symbol| symbol.is_ascii_uppercase()) {
            return Err(InvalidUploadId);
        }
        Ok(id)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
