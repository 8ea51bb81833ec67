//! The vocabulary of media that flows through the house: frames, access units, parts, segments, rungs.
//! Plain values; what is done with them lives on the floors above.

mod access_unit;
mod audio_block;
mod codec;
mod frame;
mod rung;
mod segment;
mod stream_event;

pub use access_unit::AccessUnit;
pub use audio_block::{AudioBlock, AudioFormat};
pub use codec::{AudioParameters, FrameRate, TrackParameters, VideoParameters};
pub use frame::{Frame, FrameBytes, FrameFormat, FrameShape, PixelFormat};
pub use rung::{LADDER, RenditionId, Rung, RungSpec, TrackKind, fit_ladder};
pub use segment::{
    InitSegment, PART_TARGET_MS, Part, SEGMENT_DURATION_MS, Segment, ticks_to_seconds,
};
pub use stream_event::{Fault, RunFailure, StreamEvent};
