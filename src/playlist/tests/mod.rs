//! The promises of the playlists and of the reload decision: what a live player relies on.

mod live_text;
mod manifest_text;
mod multivariant_text;
mod recording_text;
mod reloading;
