//! The floors that read what others wrote, as they stand in `src/`, without the rest of Perch: an instrumented build
//! of these takes a minute, and needs neither GStreamer nor SQLite.

#[path = "../../src/base/mod.rs"]
pub mod base;
#[path = "../../src/chunk/mod.rs"]
pub mod chunk;
#[path = "../../src/cmaf/mod.rs"]
pub mod cmaf;
#[path = "../../src/media/mod.rs"]
pub mod media;
#[path = "../../src/seal/mod.rs"]
pub mod seal;
pub mod store;
#[path = "../../src/upload/mod.rs"]
pub mod upload;
