//! The rendered forms of one rendition's playlist at one moment, each made when the first viewer asks.
//! While one viewer renders, the others wait for that result; the producer never does.

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// A playlist ready to send, as it is and compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaylistBody {
    /// UTF-8 text.
    pub plain: Bytes,
    /// The same as a gzip member (RFC 1952).
    pub gzip: Bytes,
}

impl PlaylistBody {
    pub(super) fn compress(text: String) -> Self {
        let mut encoder = GzEncoder::new(Vec::with_capacity(1024), Compression::fast());
        let gzip = encoder
            .write_all(text.as_bytes())
            .and_then(|()| encoder.finish())
            .expect("writing to a Vec cannot fail");
        Self {
            plain: Bytes::from(text),
            gzip: Bytes::from(gzip),
        }
    }
}

/// What has been rendered since a change.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// The camera's count of changes when this was begun.
    pub(super) change: u64,
    pub(super) full: OnceLock<PlaylistBody>,
    pub(super) delta: OnceLock<PlaylistBody>,
}
