//! The promises of the playlists and of the reload decision. The numbers in the names' comments are the
//! conformance checks of notes on delivery: what a live player relies on.

mod live_text;
mod other_texts;
mod reloading;
