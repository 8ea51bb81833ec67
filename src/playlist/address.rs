//! Names of the resources below a camera's folder, the same for the live view and for recordings.
//! Only `serve` knows what stands before them.

use crate::media::RenditionId;

/// The multivariant playlist, in the camera's folder.
pub const MULTIVARIANT_NAME: &str = "master.m3u8";
/// The media playlist, in the rendition's folder.
pub const PLAYLIST_NAME: &str = "index.m3u8";

/// A rendition's media playlist from the camera's folder: `low/index.m3u8`.
pub fn playlist_path(rendition: RenditionId) -> String {
    format!("{rendition}/{PLAYLIST_NAME}")
}

/// A run's header in the rendition's folder: `init-7.mp4`.
pub fn init_name(run: u64) -> String {
    format!("init-{run}.mp4")
}

/// A segment in the rendition's folder: `1207.m4s`.
pub fn segment_name(msn: u64) -> String {
    format!("{msn}.m4s")
}

/// A part in the rendition's folder: `1207.3.m4s`.
pub fn part_name(msn: u64, index: u32) -> String {
    format!("{msn}.{index}.m4s")
}
