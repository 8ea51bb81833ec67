//! Raw pictures and sound to access units: one GStreamer pipeline a source, every rung of the ladder in it.
//! The only importer of GStreamer. What comes out are [`crate::media::StreamEvent`]s; who shares them out,
//! who decides which rungs run and who starts a run again is not known here.

mod audio;
mod cadence;
mod encoder;
mod graph;
mod inbox;
#[cfg(test)]
mod ladder_tests;
mod outlet;
mod rung_flow;
mod source;
mod table;

pub use encoder::{
    AudioSource, EncodeError, EncodeOptions, EncodeReport, Encoder, RungReport, SourceInput,
    VideoSource, init, start,
};
pub use outlet::EventSink;
pub use source::{FrameInput, SoundInput};
pub use table::{EncoderChoice, EncoderEntry, TABLE};
