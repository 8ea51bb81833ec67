//! What a run of the encoder is asked for, what it reports, and how it can fail.

use std::path::PathBuf;
use std::time::Duration;

use super::table::EncoderChoice;
use crate::media::{AudioFormat, Fault, FrameFormat, FrameRate, PixelFormat, Rung, RungSpec};

/// Where pictures come from.
#[derive(Clone, Debug)]
pub enum VideoSource {
    /// Pushed through [`Encoder::frame_input`].
    Frames(FrameFormat),
    /// Fetched by GStreamer from a device whose memory we do not queue ourselves (multi-planar drivers).
    V4l2 {
        /// The device node.
        path: PathBuf,
        /// The mode to ask for.
        format: FrameFormat,
    },
}

/// Where sound comes from.
#[derive(Clone, Debug)]
pub enum AudioSource {
    /// Pushed through [`Encoder::sound_input`].
    Pushed(AudioFormat),
    /// Fetched from an ALSA device, such as `hw:1`, and resampled where it differs.
    Alsa {
        /// ALSA's name of the device.
        device: String,
        /// What to encode.
        format: AudioFormat,
    },
}

impl AudioSource {
    /// What to call it in messages.
    pub(super) fn device(&self) -> &str {
        match self {
            Self::Pushed(_) => "its own sound",
            Self::Alsa { device, .. } => device,
        }
    }
}

/// What a run encodes.
#[derive(Clone, Debug)]
pub struct SourceInput {
    /// The pictures.
    pub video: VideoSource,
    /// The sound, if there is any.
    pub audio: Option<AudioSource>,
}

/// How a run is encoded.
#[derive(Clone, Debug)]
pub struct EncodeOptions {
    /// The rungs, fitted to the source's size, in any order.
    pub rungs: Vec<RungSpec>,
    /// Pictures a second that come out, whatever the source's jitter.
    pub rate: FrameRate,
    /// The encoder of every rung.
    pub encoder: EncoderChoice,
    /// Whether a camera's own H.264 becomes the top rung as it is.
    pub own_h264: OwnH264,
}

/// What is done with a camera's own H.264.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnH264 {
    /// It becomes the rung of its size without being encoded again. If it turns out to break the ladder's
    /// rules the run ends with [`Culprit::OwnH264`]: the next one must encode it again.
    #[default]
    Keep,
    /// It is decoded, and every rung encoded.
    EncodeAgain,
}

/// What ended a run, or kept it from starting, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// The camera that GStreamer fetches pictures from: it is gone, busy or broken.
    Camera,
    /// The sound: its device is missing, busy or broken, or nothing encodes it. The pictures can do without.
    Sound {
        /// ALSA's name of the device.
        device: String,
    },
    /// A hardware encoder; another one may do.
    Encoder {
        /// The element's factory.
        factory: String,
    },
    /// The camera's own H.264 cannot be kept: start again with [`OwnH264::EncodeAgain`].
    OwnH264,
    /// The camera's clock has run away from ours: just start again.
    Drift,
}

impl Culprit {
    /// An encoder in silicon, for which another may do better. Software does what it is told.
    pub(super) fn of_encoder(choice: &EncoderChoice) -> Option<Self> {
        (!choice.entry.is_software()).then(|| Self::Encoder {
            factory: choice.factory.clone(),
        })
    }

    /// Whose fault the end is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Camera | Self::OwnH264 | Self::Drift => Fault::Source,
            Self::Sound { .. } | Self::Encoder { .. } => Fault::Encoder,
        }
    }
}

/// A run could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// GStreamer itself does not start.
    #[error("GStreamer does not start: {0}; is it installed completely?")]
    Init(String),
    /// A plugin is not installed.
    #[error("GStreamer has no element `{0}`; install the plugin package that holds it")]
    MissingElement(String),
    /// The source's layout cannot be encoded.
    #[error("pictures in {0} cannot be encoded")]
    UnsupportedFormat(PixelFormat),
    /// There is nothing to encode.
    #[error("no rungs to encode; the ladder needs at least one")]
    NoRungs,
    /// No encoder of the table works here.
    #[error("no H.264 encoder works here ({0}); install GStreamer's x264 or openh264 plugin")]
    NoEncoder(String),
    /// The encoder that was asked for does not work here.
    #[error(
        "ladder.encoder: it does not work here ({0}); choose \"auto\", or one of those that `perch doctor` found to work"
    )]
    ChosenEncoder(String),
    /// Encoders are installed, software among them, and none makes the largest rung.
    #[error(
        "ladder.rungs: no encoder makes `{}`, {}x{} at {} kb/s, here ({reasons}); raise its bitrate_kbps, or lower its \
         width and height",
        spec.rung,
        spec.width,
        spec.height,
        spec.video_bitrate_bps / 1_000
    )]
    RungRefused {
        /// The rung, as large as the camera lets it be.
        spec: RungSpec,
        /// What each encoder said.
        reasons: String,
    },
    /// The source gave no picture for a still.
    #[error("no picture came within a second")]
    NoPicture,
    /// A picture could not be made a JPEG.
    #[error("the still could not be made: {0}")]
    Still(String),
    /// Whoever wanted pictures does not any more.
    #[error("nobody waits for the pictures any more")]
    Unwanted,
    /// The pipeline could not be built or started.
    #[error("the pipeline does not start: {0}")]
    Graph(String),
    /// It could not, for a reason that another run may not meet.
    #[error("the pipeline does not start: {reason}")]
    Avoidable {
        /// What to avoid.
        culprit: Culprit,
        /// What went wrong.
        reason: String,
    },
}

impl EncodeError {
    /// The pipeline could not be built or started, with whom to blame for it.
    pub(super) fn at_start(reason: String, culprit: Option<Culprit>) -> Self {
        match culprit {
            Some(culprit) => Self::Avoidable { culprit, reason },
            None => Self::Graph(reason),
        }
    }

    /// What is to blame, where that is known.
    pub fn culprit(&self) -> Option<&Culprit> {
        match self {
            Self::Avoidable { culprit, .. } => Some(culprit),
            _ => None,
        }
    }
}

/// What a run has done so far.
#[derive(Clone, Debug, Default)]
pub struct EncodeReport {
    /// Pictures that arrived.
    pub frames_in: u64,
    /// Of these, the ones dropped because the encoders were behind.
    pub frames_dropped: u64,
    /// Pictures that a device's driver never delivered, where GStreamer fetches them; of those that are pushed, whoever
    /// pushes them knows.
    pub frames_lost: u64,
    /// Pictures left out because they came faster than the steady rate.
    pub frames_surplus: u64,
    /// Places filled by showing a picture again.
    pub frames_repeated: u64,
    /// Pictures refused because their shape was not the promised one.
    pub frames_malformed: u64,
    /// Pictures of the source's own size and layout that reached the encoder in other memory: copies.
    pub frames_copied: u64,
    /// Pictures that wait to enter, 0 to 4.
    pub frames_waiting: usize,
    /// Blocks of sound dropped because the encoders were behind.
    pub blocks_dropped: u64,
    /// Gaps in the sound's ticks.
    pub sound_gaps: u64,
    /// The rungs, lowest first.
    pub rungs: Vec<RungReport>,
    /// Why the run ended by itself, if it did.
    pub failure: Option<String>,
    /// What made it end, where that is known.
    pub culprit: Option<Culprit>,
}

/// What one rung has done so far.
#[derive(Clone, Debug)]
pub struct RungReport {
    /// Which one.
    pub rung: Rung,
    /// The encoder's factory name; `camera` if the rung is the camera's own stream.
    pub encoder: String,
    /// False while it is shed.
    pub running: bool,
    /// Access units delivered.
    pub units: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// Units without a keyframe where the grid wants one; above 0 the encoder ignores requests.
    pub unaligned: u64,
    /// Pictures between its gate and its sink.
    pub in_flight: u64,
    /// From capture to access unit, median of the last two seconds or so.
    pub lateness_p50: Duration,
    /// The same, largest.
    pub lateness_max: Duration,
}
