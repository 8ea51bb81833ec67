//! HLS playlists and DASH manifests as text, and the decision whether a reload waits (draft-pantos-hls-rfc8216bis).
//! Pure: no bytes of media, no clock, no HTTP. `live` renders through it; the caller does so for recordings.

mod address;
mod live_playlist;
mod manifest;
mod multivariant;
mod recording_playlist;
mod reload;

#[cfg(test)]
mod tests;

pub use address::{
    MULTIVARIANT_NAME, PLAYLIST_NAME, init_name, part_name, playlist_path, segment_name,
};
pub use live_playlist::{
    Edge, ListedPart, ListedSegment, LiveWindow, RenditionReport, Scope, render_live_playlist,
};
pub use manifest::{ManifestTrack, render_recording_manifest};
pub use multivariant::{OpenRendition, render_multivariant};
pub use recording_playlist::{
    AlignedSegment, RecordedSegment, RecordedTrack, align_recording, render_recording_playlist,
};
pub use reload::{
    ADVANCE_PARTS_MAX, Directives, MSN_ADVANCE_MAX, ReloadDecision, ReloadError, ReloadPosition,
    decide_reload,
};

use crate::media::{PART_TARGET_MS, SEGMENT_DURATION_MS};

/// EXT-X-TARGETDURATION of every live playlist, in seconds. Never changes: CoreMedia gives up if it does.
pub const TARGET_DURATION_S: u32 = SEGMENT_DURATION_MS / 1000;
/// PART-HOLD-BACK in milliseconds: three parts (draft-pantos-hls-rfc8216bis §4.4.3.8).
pub const PART_HOLD_BACK_MS: u32 = 3 * PART_TARGET_MS;
/// HOLD-BACK in milliseconds: three target durations (§4.4.3.8).
pub const HOLD_BACK_MS: u32 = 3 * TARGET_DURATION_S * 1000;
/// CAN-SKIP-UNTIL in milliseconds: six target durations (§4.4.3.8).
pub const CAN_SKIP_UNTIL_MS: u32 = 6 * TARGET_DURATION_S * 1000;
/// How long before the live edge a segment's parts stay listed, in milliseconds (§6.2.2).
pub const PARTS_LISTED_MS: u32 = 3 * TARGET_DURATION_S * 1000;
/// How long a blocking request waits before it is refused, in milliseconds (§6.2.5.2).
pub const BLOCK_MS_MAX: u32 = 3 * TARGET_DURATION_S * 1000;
/// EXT-X-VERSION: 9 for EXT-X-SKIP.
const VERSION: u32 = 9;

/// Seconds with a thousandth, without floating point: `1.002`.
fn seconds(ms: u32) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
