//! Raw pictures and sound to access units: one GStreamer pipeline a source, every rung of the ladder in it.
//! The only importer of GStreamer. What comes out are [`crate::media::StreamEvent`]s; who shares them out,
//! who decides which rungs run and who starts a run again is not known here.

mod audio;
#[cfg(test)]
mod blame_tests;
mod cadence;
mod encoder;
mod graph;
mod graph_sound;
mod inbox;
#[cfg(test)]
mod ladder_tests;
#[cfg(test)]
mod layout_tests;
mod options;
mod outlet;
mod own_h264;
mod picture_pool;
mod probe;
mod rung_flow;
mod scaler;
mod shrink;
mod source;
mod still;
mod strip;
mod table;
mod trial;

pub use encoder::{Encoder, init, start};
pub use options::{
    AudioSource, Culprit, EncodeError, EncodeOptions, EncodeReport, OwnH264, RungReport,
    SourceInput, VideoSource,
};
pub use outlet::EventSink;
pub use probe::{
    Doubts, EncoderListing, ProbeOptions, choose_encoder, is_installed, list_encoders,
};
pub use source::{FrameInput, SoundInput};
pub use still::recorded_still;
pub use strip::recorded_strip;
pub use table::{EncoderChoice, EncoderEntry, TABLE};
pub use trial::{TrialTask, Verdict, trial_child_main};
