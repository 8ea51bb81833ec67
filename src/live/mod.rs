//! The live window of each rendition, between one producer (the packager) and many consumers (serve).
//! Shares bytes, never copies them; renders a playlist at most once for each change, never for each viewer.

mod camera;
mod rendered;
mod window;

#[cfg(test)]
mod tests;

pub use camera::{LiveCamera, LiveOptions};
pub use rendered::PlaylistBody;
pub use window::PublishError;

use crate::playlist::ReloadError;

/// Why a viewer does not get what was asked for.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing, or no longer.
    #[error("not in the live window; reload the playlist")]
    NotFound,
    /// The rendition is shed; another one may run.
    #[error("this quality is paused; choose another one")]
    Gone,
    /// The encoder delivered nothing for three target durations.
    #[error("the source has stalled; try again")]
    Stalled,
    /// The request can never be answered.
    #[error(transparent)]
    BadRequest(#[from] ReloadError),
}
