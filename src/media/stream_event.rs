//! What a running source tells the packager, in order for each rendition.

use super::{AccessUnit, RenditionId, TrackParameters};
use crate::base::Monotonic;

/// One thing that happened in a source's encoder. A run is the life of one encoder pipeline.
#[derive(Clone, Debug)]
pub enum StreamEvent {
    /// The first picture of a run entered the encoders. It is zero for every `pts_ticks` of the run.
    RunStarted {
        /// When the picture was captured.
        first_picture_at: Monotonic,
    },
    /// A rendition begins, or begins again after a pause, with a keyframe as its next unit.
    TrackStarted {
        /// Which one.
        rendition: RenditionId,
        /// How to decode it; the same for the whole run.
        parameters: TrackParameters,
    },
    /// One access unit of a rendition that has begun.
    Unit {
        /// Which one.
        rendition: RenditionId,
        /// The coded bytes.
        unit: AccessUnit,
    },
    /// A rendition is shed until its next `TrackStarted`.
    TrackPaused {
        /// Which one.
        rendition: RenditionId,
    },
    /// Nothing more comes; every unit encoded has been delivered.
    RunEnded {
        /// Why it ended by itself; `None` when it was asked for.
        failure: Option<RunFailure>,
    },
}

/// Why a run ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFailure {
    /// Who is to blame.
    pub fault: Fault,
    /// Why, as a person would read it.
    pub reason: String,
}

/// Who is to blame for the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The source: it is gone, or does not deliver what it promised.
    Source,
    /// Whatever encodes what the source delivers, or an unknown.
    Encoder,
}
