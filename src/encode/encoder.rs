//! A running encoder: starts the pipeline of one source, listens to its bus, sheds rungs, reports, and ends it
//! with everything delivered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::audio::SoundFlow;
use super::cadence::Grid;
use super::graph::Graph;
use super::inbox::Inbox;
use super::outlet::{EventSink, Outlet};
use super::rung_flow::RungFlow;
use super::source::{
    BLOCKS_MAX, EntranceCounters, FRAMES_MAX, FrameInput, SoundInput, feed_frames, feed_sound,
};
use super::table::EncoderChoice;
use crate::base::{Clock, SystemClock};
use crate::media::{AudioFormat, FrameFormat, FrameRate, PixelFormat, Rung, RungSpec};

/// How long [`Encoder::stop`] waits for the last access units.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// Where pictures come from.
#[derive(Clone, Debug)]
pub enum VideoSource {
    /// Pushed through [`Encoder::frame_input`].
    Frames(FrameFormat),
}

/// Where sound comes from.
#[derive(Clone, Debug)]
pub enum AudioSource {
    /// Pushed through [`Encoder::sound_input`].
    Pushed(AudioFormat),
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
    /// The pipeline could not be built or started.
    #[error("the pipeline does not start: {0}")]
    Graph(String),
}

/// What a run has done so far.
#[derive(Clone, Debug, Default)]
pub struct EncodeReport {
    /// Pictures that arrived.
    pub frames_in: u64,
    /// Of these, the ones dropped because the encoders were behind.
    pub frames_dropped: u64,
    /// Pictures left out because they came faster than the steady rate.
    pub frames_surplus: u64,
    /// Places filled by showing a picture again.
    pub frames_repeated: u64,
    /// Pictures refused because their shape was not the promised one.
    pub frames_malformed: u64,
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
}

/// What one rung has done so far.
#[derive(Clone, Debug)]
pub struct RungReport {
    /// Which one.
    pub rung: Rung,
    /// The encoder's factory name.
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

/// A running pipeline. Dropping it without [`Self::stop`] ends it at once, and what it holds is lost.
pub struct Encoder {
    pipeline: gst::Pipeline,
    outlet: Arc<Outlet>,
    frames: FrameInput,
    sound: Option<SoundInput>,
    counters: Arc<EntranceCounters>,
    rungs: Vec<(Arc<RungFlow>, EncoderChoice)>,
    sounds: Vec<Arc<SoundFlow>>,
}

/// Starts GStreamer, once a process; later calls are free.
pub fn init() -> Result<(), EncodeError> {
    gst::init().map_err(|error| EncodeError::Init(error.to_string()))
}

/// Starts a run. Its events go to `sink` on the pipeline's threads.
pub fn start(
    input: SourceInput,
    options: EncodeOptions,
    sink: EventSink,
) -> Result<Encoder, EncodeError> {
    init()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let outlet = Arc::new(Outlet::new(sink, clock));
    let grid = Grid::new(options.rate);
    let mut specs = options.rungs.clone();
    specs.sort_by_key(|spec| std::cmp::Reverse((spec.width * spec.height, spec.rung)));
    if specs.is_empty() {
        return Err(EncodeError::NoRungs);
    }
    let rungs: Vec<_> = specs
        .iter()
        .map(|spec| {
            (
                Arc::new(RungFlow::new(*spec, grid, Arc::clone(&outlet))),
                options.encoder.clone(),
            )
        })
        .collect();

    let graph = Graph::new();
    let frames = FrameInput {
        inbox: Arc::new(Inbox::new(FRAMES_MAX)),
    };
    let counters = Arc::new(EntranceCounters::default());
    let VideoSource::Frames(format) = input.video;
    let (appsrc, raw) = graph.frame_source(format, options.rate)?;
    feed_frames(
        &appsrc,
        Arc::clone(&frames.inbox),
        format.shape,
        options.rate,
        Arc::clone(&outlet),
        Arc::clone(&counters),
    );
    graph.ladder(
        &raw,
        (format.shape.width, format.shape.height),
        &rungs,
        options.rate,
    )?;

    let mut sounds = Vec::new();
    let mut sound = None;
    if let Some(AudioSource::Pushed(format)) = input.audio {
        let flows = sound_flows(&specs, format, &outlet);
        let (appsrc, raw) = graph.sound_source(format)?;
        let input = SoundInput {
            inbox: Arc::new(Inbox::new(BLOCKS_MAX)),
        };
        feed_sound(
            &appsrc,
            Arc::clone(&input.inbox),
            format,
            Arc::clone(&outlet),
        );
        graph.sound(&raw, format, &flows)?;
        sounds = flows.into_iter().map(|(_, flow)| flow).collect();
        sound = Some(input);
    }

    let encoder = Encoder {
        pipeline: graph.pipeline,
        outlet,
        frames,
        sound,
        counters,
        rungs,
        sounds,
    };
    encoder.listen();
    if encoder.pipeline.set_state(gst::State::Playing).is_err() {
        let reason = encoder
            .outlet
            .failure()
            .unwrap_or_else(|| "no reason given".to_owned());
        return Err(EncodeError::Graph(reason));
    }
    Ok(encoder)
}

/// One encoding a bitrate; rungs that ask for the same bitrate share it.
fn sound_flows(
    specs: &[RungSpec],
    format: AudioFormat,
    outlet: &Arc<Outlet>,
) -> Vec<(u32, Arc<SoundFlow>)> {
    let mut bitrates: Vec<u32> = specs.iter().map(|spec| spec.audio_bitrate_bps).collect();
    bitrates.sort_unstable();
    bitrates.dedup();
    bitrates
        .into_iter()
        .map(|bitrate| {
            let carriers = specs
                .iter()
                .filter(|spec| spec.audio_bitrate_bps == bitrate);
            let rungs = carriers.map(|spec| spec.rung).collect();
            (
                bitrate,
                Arc::new(SoundFlow::new(rungs, format, bitrate, Arc::clone(outlet))),
            )
        })
        .collect()
}

impl Encoder {
    /// Where pictures are pushed.
    pub fn frame_input(&self) -> FrameInput {
        self.frames.clone()
    }

    /// Where sound is pushed; `None` if the run has none or fetches it itself.
    pub fn sound_input(&self) -> Option<SoundInput> {
        self.sound.clone()
    }

    /// Asks a rung for a keyframe at its next picture.
    pub fn force_keyframe(&self, rung: Rung) {
        self.flows(rung).for_each(|flow| flow.force_keyframe());
    }

    /// Sheds a rung's pictures, or lets them come back at the next segment. Its sound goes on.
    pub fn set_running(&self, rung: Rung, running: bool) {
        self.flows(rung).for_each(|flow| flow.set_running(running));
    }

    /// What the run has done so far.
    pub fn report(&self) -> EncodeReport {
        let inbox = self.frames.inbox.counters();
        let mut rungs: Vec<RungReport> = self
            .rungs
            .iter()
            .map(|(flow, choice)| {
                let report = flow.report();
                RungReport {
                    rung: flow.spec.rung,
                    encoder: choice.factory.clone(),
                    running: report.running,
                    units: report.units,
                    bytes: report.bytes,
                    unaligned: report.unaligned,
                    in_flight: report.in_flight,
                    lateness_p50: report.lateness_p50,
                    lateness_max: report.lateness_max,
                }
            })
            .collect();
        rungs.sort_by_key(|report| report.rung);
        EncodeReport {
            frames_in: inbox.accepted,
            frames_dropped: inbox.dropped,
            frames_surplus: self.counters.surplus.load(Ordering::Relaxed),
            frames_repeated: self.counters.repeated.load(Ordering::Relaxed),
            frames_malformed: self.counters.malformed.load(Ordering::Relaxed),
            frames_waiting: inbox.waiting,
            blocks_dropped: self
                .sound
                .as_ref()
                .map_or(0, |sound| sound.inbox.counters().dropped),
            sound_gaps: self.sounds.iter().map(|flow| flow.counts().1).sum(),
            rungs,
            failure: self.outlet.failure(),
        }
    }

    /// Ends the run: what was pushed before is encoded and delivered, then `RunEnded`. Takes a second at
    /// the longest; what is not out by then is lost, and said.
    pub fn stop(self) {
        self.frames.inbox.close();
        if let Some(sound) = &self.sound {
            sound.inbox.close();
        }
        if !self.outlet.wait_drained(STOP_LIMIT) {
            tracing::warn!(
                "the encoders did not finish within a second; the last pictures are lost"
            );
        }
        self.outlet.end(None);
    }

    fn flows(&self, rung: Rung) -> impl Iterator<Item = &RungFlow> {
        self.rungs
            .iter()
            .map(|(flow, _)| &**flow)
            .filter(move |flow| flow.spec.rung == rung)
    }

    /// Errors end the run, the end of the stream means that everything is out.
    fn listen(&self) {
        let bus = self.pipeline.bus().expect("a pipeline has a bus");
        let outlet = Arc::clone(&self.outlet);
        let frames = Arc::clone(&self.frames.inbox);
        let sound = self.sound.as_ref().map(|sound| Arc::clone(&sound.inbox));
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                gst::MessageView::Eos(_) => outlet.drained(),
                gst::MessageView::Error(error) => {
                    let source = message
                        .src()
                        .map(|source| source.name().to_string())
                        .unwrap_or_default();
                    let details = error.debug().unwrap_or_default();
                    tracing::debug!(source, %details, "pipeline error");
                    outlet.end(Some(format!("{source}: {}", error.error())));
                    frames.abandon();
                    if let Some(sound) = &sound {
                        sound.abandon();
                    }
                }
                gst::MessageView::Warning(warning) => {
                    tracing::warn!(reason = %warning.error(), "pipeline warning");
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.frames.inbox.abandon();
        if let Some(sound) = &self.sound {
            sound.inbox.abandon();
        }
        // Going to NULL joins the pipeline's threads; it cannot fail in a way that we could mend.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
