//! Opens one camera's source, whatever it is, and connects it to an encoder: frames and sound flow into the encoder
//! from the source's own thread without passing through here again.

use std::sync::Arc;
use std::time::Instant;

use super::encoders::Encoders;
use super::lessons::Lessons;
use super::thread::PanicGuard;
use crate::base::{Clock, SystemClock};
use crate::capture::{
    CameraDevice, Capture, CaptureOptions, CaptureReport, CaptureRun, ChosenMode, ControlValue,
    EndReason, ModeWish, OpenError, SceneOptions, TestScene, find_microphone, is_microphone_free,
    negotiate, set_controls,
};
use crate::config::{CameraConfig, Config, ControlSetting, FRAME_RATE_MIN, Microphone};
use crate::encode::{
    AudioSource, Culprit, EncodeError, EncodeOptions, EncodeReport, Encoder, EventSink, OwnH264,
    SourceInput, VideoSource,
};
use crate::media::{AudioFormat, FrameFormat, FrameRate, RungSpec, fit_ladder};
use crate::store::GapReason;

/// A source could not be opened or its encoder not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The camera.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The encoder.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The configuration asks for what the camera does not have.
    #[error("{device}: has no mode {wanted}; `perch devices` lists what it has")]
    NoSuchMode {
        /// The camera's node.
        device: String,
        /// What was asked for.
        wanted: String,
    },
    /// The system has no thread left.
    #[error("the test scene does not start: {0}")]
    Scene(#[from] std::io::Error),
}

impl StartError {
    /// What is to blame, where that is known.
    pub(crate) fn culprit(&self) -> Option<&Culprit> {
        match self {
            Self::Encode(error) => error.culprit(),
            _ => None,
        }
    }

    /// What a recording lacks because of it.
    pub(crate) fn gap_reason(&self) -> GapReason {
        match self {
            Self::Encode(error) => error
                .culprit()
                .map_or(GapReason::EncoderFailed, |culprit| culprit.fault().into()),
            Self::Open(_) | Self::NoSuchMode { .. } | Self::Scene(_) => GapReason::CameraGone,
        }
    }
}

/// What a camera's pictures come from now.
pub(crate) enum Origin {
    /// The built-in scene.
    TestScene,
    /// A camera that is plugged in.
    Device(CameraDevice),
}

impl Origin {
    /// Whether a run of it without sound would have some if it started now. The test scene has its own from the start.
    pub(crate) fn has_free_microphone(&self, camera: &CameraConfig) -> bool {
        match self {
            Self::TestScene => false,
            Self::Device(device) => microphone_name(device, &camera.microphone)
                .is_some_and(|name| is_microphone_free(&name)),
        }
    }
}

/// A source that delivers into an encoder.
pub(crate) struct RunningSource {
    pub(crate) format: FrameFormat,
    pub(crate) ladder: Vec<RungSpec>,
    pub(crate) sound: bool,
    pub(crate) encoder: Arc<Encoder>,
    feed: Feed,
}

enum Feed {
    Scene(TestScene),
    Camera(CaptureRun),
    /// GStreamer captures by itself.
    Pipeline,
}

/// Everything that a run needs to know besides its camera.
pub(crate) struct RunPlan<'a> {
    pub(crate) config: &'a Config,
    pub(crate) camera: &'a CameraConfig,
    pub(crate) encoders: &'a Encoders,
    pub(crate) lessons: &'a Lessons,
    pub(crate) events: EventSink,
    /// Called once when the source's thread ends by itself. GStreamer's own sources end with their encoder.
    pub(crate) ended: Box<dyn FnOnce(EndReason) + Send>,
    /// Told the camera's ladder, and whether there is sound, before anything is encoded.
    pub(crate) fitted: &'a dyn Fn(&[RungSpec], bool),
}

impl RunningSource {
    /// Opens the source and starts the encoder.
    pub(crate) fn start(origin: &Origin, plan: RunPlan<'_>) -> Result<Self, StartError> {
        match origin {
            Origin::TestScene => Self::start_scene(plan),
            Origin::Device(device) if device.multiplanar => Self::start_pipeline(device, plan),
            Origin::Device(device) => Self::start_camera(device, plan),
        }
    }

    fn start_scene(plan: RunPlan<'_>) -> Result<Self, StartError> {
        let (width, height) = plan.camera.size.unwrap_or((1920, 1080));
        let options = SceneOptions {
            width,
            height,
            rate: plan.config.frame_rate,
        };
        let format = options.format();
        let audio = (plan.camera.microphone != Microphone::Off
            && plan.lessons.wants_sound(Instant::now()))
        .then(|| AudioSource::Pushed(options.audio_format()));
        let (encoder, ladder) = start_encoder(VideoSource::Frames(format), format, audio, &plan)?;
        let (frames, sound) = (encoder.frame_input(), encoder.sound_input());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let has_sound = sound.is_some();
        let ended = plan.ended;
        // The scene's thread drops its sinks when it panics, whichever line did.
        let guard = PanicGuard::new(move || ended(EndReason::SinkPanicked));
        let scene = TestScene::start(
            options,
            clock,
            Box::new(move |frame| {
                let _kept = &guard;
                frames.push(frame);
            }),
            sound.map(|sound| Box::new(move |block| sound.push(block)) as _),
        )?;
        Ok(Self {
            format,
            ladder,
            sound: has_sound,
            encoder,
            feed: Feed::Scene(scene),
        })
    }

    fn start_camera(device: &CameraDevice, plan: RunPlan<'_>) -> Result<Self, StartError> {
        apply_controls(device, plan.camera);
        let mode = choose_mode(device, &plan)?;
        let options = CaptureOptions {
            stall_after: plan.config.stall_timeout,
            ..CaptureOptions::default()
        };
        let capture = Capture::open(&device.path, &mode, options)?;
        let format = capture.format();
        let audio = microphone(device, &plan);
        let has_sound = audio.is_some();
        let (encoder, ladder) = start_encoder(VideoSource::Frames(format), format, audio, &plan)?;
        let frames = encoder.frame_input();
        match capture.start(Box::new(move |frame| frames.push(frame)), plan.ended) {
            Ok(run) => Ok(Self {
                format,
                ladder,
                sound: has_sound,
                encoder,
                feed: Feed::Camera(run),
            }),
            Err(error) => {
                encoder.stop();
                Err(error.into())
            }
        }
    }

    fn start_pipeline(device: &CameraDevice, plan: RunPlan<'_>) -> Result<Self, StartError> {
        apply_controls(device, plan.camera);
        let mode = choose_mode(device, &plan)?;
        let format = mode.frame_format();
        let audio = microphone(device, &plan);
        let has_sound = audio.is_some();
        let video = VideoSource::V4l2 {
            path: device.path.clone(),
            format,
        };
        let (encoder, ladder) = start_encoder(video, format, audio, &plan)?;
        Ok(Self {
            format,
            ladder,
            sound: has_sound,
            encoder,
            feed: Feed::Pipeline,
        })
    }

    /// The source's counters.
    pub(crate) fn report(&self) -> CaptureReport {
        match &self.feed {
            Feed::Scene(scene) => {
                let counters = scene.counters();
                CaptureReport {
                    frames: counters.frames,
                    lost: counters.lost,
                    ..Default::default()
                }
            }
            Feed::Camera(run) => run.report(),
            // GStreamer's source tells only what it lacks; every other picture becomes one access unit of each rung
            // that runs.
            Feed::Pipeline => {
                let report = self.encoder.report();
                CaptureReport {
                    frames: most_units(&report),
                    lost: report.frames_lost,
                    ..Default::default()
                }
            }
        }
    }

    /// Whether GStreamer fetches the pictures, so that nobody but the encoder's end tells whether they come.
    pub(crate) fn is_pipeline(&self) -> bool {
        matches!(self.feed, Feed::Pipeline)
    }

    /// Stops the encoder with everything that was captured delivered, then the source: a driver may take for ever,
    /// and what is encoded shall be on its way to the disk by then. May block as long as the driver does.
    pub(crate) fn stop(self) {
        self.encoder.stop();
        match self.feed {
            Feed::Scene(scene) => scene.stop(),
            Feed::Camera(run) => run.stop(),
            Feed::Pipeline => {}
        }
    }
}

/// Access units of the rung that has run without a pause.
fn most_units(report: &EncodeReport) -> u64 {
    let units = report.rungs.iter().map(|rung| rung.units);
    units.max().unwrap_or(0)
}

/// Sets the configured controls; a camera runs without its wishes too.
fn apply_controls(device: &CameraDevice, camera: &CameraConfig) {
    let wishes: Vec<_> = camera
        .controls
        .iter()
        .map(|(name, setting)| (name.clone(), control_value(setting)))
        .collect();
    match set_controls(&device.path, &wishes) {
        Ok(refused) => {
            for error in refused {
                tracing::warn!(camera = %device.id, %error, "a control was not set");
            }
        }
        Err(error) => tracing::warn!(camera = %device.id, %error, "the controls were not set"),
    }
}

fn control_value(setting: &ControlSetting) -> ControlValue {
    match setting {
        ControlSetting::Integer(number) => ControlValue::Integer(*number),
        ControlSetting::Boolean(on) => ControlValue::Boolean(*on),
        ControlSetting::Label(label) => ControlValue::Text(label.clone()),
    }
}

fn choose_mode(device: &CameraDevice, plan: &RunPlan<'_>) -> Result<ChosenMode, StartError> {
    let wanted = plan.camera;
    let offered: Vec<_> = device
        .modes
        .iter()
        .filter(|mode| {
            wanted
                .size
                .is_none_or(|size| size == (mode.width, mode.height))
        })
        .filter(|mode| wanted.format.is_none_or(|format| format == mode.format))
        .cloned()
        .collect();
    let wish = |take_h264| ModeWish {
        ladder: plan.config.ladder.clone(),
        rate: plan.config.frame_rate,
        take_h264,
    };
    // Once its own H.264 was refused, anything else is cheaper than decoding that for every rung.
    let chosen = negotiate(&offered, &wish(plan.lessons.own_h264() == OwnH264::Keep))
        .or_else(|| negotiate(&offered, &wish(true)));
    chosen.ok_or_else(|| {
        if device.modes.is_empty() || (wanted.size.is_none() && wanted.format.is_none()) {
            return OpenError::NoUsableMode {
                device: device.path.clone(),
                offered: format!("{} modes", device.modes.len()),
            }
            .into();
        }
        let size = wanted
            .size
            .map(|(width, height)| format!("{width}x{height}"));
        let format = wanted.format.map(|format| format.to_string());
        StartError::NoSuchMode {
            device: device.path.display().to_string(),
            wanted: [size, format]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
        }
    })
}

fn microphone(device: &CameraDevice, plan: &RunPlan<'_>) -> Option<AudioSource> {
    if !plan.lessons.wants_sound(Instant::now()) {
        return None;
    }
    microphone_name(device, &plan.camera.microphone).map(alsa)
}

/// ALSA's name of the microphone that a camera is to have, as far as it is known now.
fn microphone_name(device: &CameraDevice, wanted: &Microphone) -> Option<String> {
    match wanted {
        Microphone::Off => None,
        // Its driver may have come after the camera's, which discovery did not wait for.
        Microphone::Own => find_microphone(&device.path),
        Microphone::Alsa(name) => Some(name.clone()),
    }
}

/// ALSA converts whatever the microphone has.
fn alsa(device: String) -> AudioSource {
    AudioSource::Alsa {
        device,
        format: AudioFormat {
            sample_rate: 48_000,
            channels: 2,
        },
    }
}

fn start_encoder(
    video: VideoSource,
    format: FrameFormat,
    audio: Option<AudioSource>,
    plan: &RunPlan<'_>,
) -> Result<(Arc<Encoder>, Vec<RungSpec>), StartError> {
    let ladder = fit_ladder(&plan.config.ladder, format.shape.width, format.shape.height);
    let rate = steady_rate(format.rate, plan.config.frame_rate);
    (plan.fitted)(&ladder, audio.is_some());
    let options = EncodeOptions {
        rungs: ladder.clone(),
        rate,
        encoder: plan
            .encoders
            .choose(&ladder, rate, plan.lessons.distrusted())?,
        own_h264: plan.lessons.own_h264(),
    };
    let input = SourceInput { video, audio };
    let encoder = crate::encode::start(input, options, Arc::clone(&plan.events))?;
    Ok((Arc::new(encoder), ladder))
}

/// A whole number of frames a second, at most the configured one, so that two seconds hold a whole number of frames
/// on every rung: 29.97 becomes 30, 7.5 becomes 8.
fn steady_rate(camera: FrameRate, configured: FrameRate) -> FrameRate {
    let nearest = camera.as_f64().round().max(f64::from(FRAME_RATE_MIN));
    if nearest < configured.as_f64() {
        FrameRate::whole(nearest as u32)
    } else {
        configured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_that_does_not_start_is_not_a_camera_that_is_gone() {
        let check = |error: StartError, expected| assert_eq!(error.gap_reason(), expected);
        check(EncodeError::NoRungs.into(), GapReason::EncoderFailed);
        let blame = |culprit| -> StartError {
            let reason = "it broke".to_owned();
            EncodeError::Avoidable { culprit, reason }.into()
        };
        check(blame(Culprit::Camera), GapReason::CameraGone);
        let device = "hw:CARD=Mic".to_owned();
        check(blame(Culprit::Sound { device }), GapReason::EncoderFailed);
        let busy = OpenError::Busy("/dev/video0".into());
        check(busy.into(), GapReason::CameraGone);
    }

    #[test]
    fn a_slow_camera_keeps_its_rate_and_a_fast_one_is_thinned() {
        let thirty = FrameRate::whole(30);
        for (numerator, denominator, expected) in [
            (30, 1, 30),
            (30000, 1001, 30),
            (60, 1, 30),
            (15, 1, 15),
            (15, 2, 8),
            (1, 3, 3),
        ] {
            let camera = FrameRate {
                numerator,
                denominator,
            };
            assert_eq!(steady_rate(camera, thirty), FrameRate::whole(expected));
        }
    }
}
