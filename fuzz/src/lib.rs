//! The floors that read what others wrote, as they stand in `src/`, without the rest of Perch: an instrumented build
//! of these takes a minute, and needs neither GStreamer nor SQLite.

#[path = "../../src/base/mod.rs"]
pub mod base;
#[path = "../../src/chunk/mod.rs"]
pub mod chunk;
#[path = "../../src/cmaf/mod.rs"]
pub mod cmaf;
pub mod encode;
#[path = "../../src/media/mod.rs"]
pub mod media;
#[path = "../../src/playlist/mod.rs"]
pub mod playlist;
#[path = "../../src/seal/mod.rs"]
pub mod seal;
pub mod serve;
pub mod store;
#[path = "../../src/upload/mod.rs"]
pub mod upload;

/// Stands for the live view, of which answers carry a playlist as it is and compressed.
pub mod live {
    /// As in the live view.
    #[derive(Debug)]
    pub struct PlaylistBody {
        /// UTF-8 text.
        pub plain: bytes::Bytes,
        /// The same as a gzip member.
        pub gzip: bytes::Bytes,
    }
}
