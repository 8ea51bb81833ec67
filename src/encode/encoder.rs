//! A running encoder: starts the pipeline of one source, listens to its bus, sheds rungs, reports, and ends it
//! with everything delivered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;

use super::audio::{AacEntry, SoundFlow, choose_aac};
use super::cadence::Grid;
use super::graph::{Graph, make};
use super::inbox::Inbox;
use super::options::{
    AudioSource, Culprit, EncodeError, EncodeOptions, EncodeReport, OwnH264, RungReport,
    SourceInput, VideoSource,
};
use super::outlet::{EventSink, Outlet};
use super::rung_flow::RungFlow;
use super::source::{
    BLOCKS_MAX, EntranceCounters, FRAMES_MAX, FrameInput, SoundInput, feed_frames, feed_own_h264,
    feed_sound,
};
use super::still::StillCatcher;
use super::table::{EncoderChoice, set_if_known};
use crate::base::{Clock, SystemClock};
use crate::media::{AudioFormat, PixelFormat, Rung, RungSpec};

/// How long [`Encoder::stop`] waits for the last access units.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A running pipeline. Dropping it without [`Self::stop`] ends it at once, and what it holds is lost.
pub struct Encoder {
    pub(super) pipeline: gst::Pipeline,
    outlet: Arc<Outlet>,
    frames: FrameInput,
    sound: Option<SoundInput>,
    /// Sources that fetch by themselves.
    devices: Vec<gst::Element>,
    stills: StillCatcher,
    counters: Arc<EntranceCounters>,
    rungs: Vec<(Arc<RungFlow>, EncoderChoice)>,
    /// The rung that is the camera's own stream.
    kept_rung: Option<Rung>,
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

    let graph = Graph::for_encoder(options.encoder.entry.formats);
    let counters = Arc::new(EntranceCounters::default());
    let frames = FrameInput {
        inbox: Arc::new(Inbox::new(FRAMES_MAX)),
    };
    let stills = StillCatcher::default();
    let mut devices = Vec::new();
    let mut kept_rung = None;
    let (raw, format) = match &input.video {
        VideoSource::Frames(format) if format.shape.format == PixelFormat::H264 => {
            let size = (format.shape.width, format.shape.height);
            let keeps =
                options.own_h264 == OwnH264::Keep && (specs[0].width, specs[0].height) == size;
            let kept = keeps.then(|| Arc::clone(&rungs[0].0));
            kept_rung = keeps.then_some(specs[0].rung);
            let (appsrc, raw) = graph.own_h264_source(*format, options.rate, kept)?;
            let inbox = Arc::clone(&frames.inbox);
            feed_own_h264(
                &appsrc,
                inbox,
                options.rate,
                keeps.then_some(specs[0]),
                Arc::clone(&outlet),
                Arc::clone(&counters),
            );
            (raw, *format)
        }
        VideoSource::Frames(format) => {
            let (appsrc, raw) = graph.frame_source(*format, options.rate)?;
            let inbox = Arc::clone(&frames.inbox);
            feed_frames(
                &appsrc,
                inbox,
                format.shape,
                options.rate,
                Arc::clone(&outlet),
                Arc::clone(&counters),
            );
            (raw, *format)
        }
        VideoSource::V4l2 { path, format } => {
            let device = make("v4l2src")?;
            device.set_property("device", path.display().to_string());
            let raw = graph.device_source(&device, *format, options.rate, &outlet)?;
            devices.push(device);
            (raw, *format)
        }
    };
    stills.watch(&raw);
    let encoded = &rungs[usize::from(kept_rung.is_some())..];
    graph.ladder(
        &raw,
        (format.shape.width, format.shape.height),
        encoded,
        options.rate,
    )?;
    if let Some(encoder) = graph
        .untouched_encoder(&format, &specs[0])
        .filter(|_| devices.is_empty())
    {
        count_copies(&encoder, Arc::clone(&counters));
    }

    let mut suspects: BTreeMap<_, _> = devices
        .iter()
        .map(|device| (device.name().to_string(), Culprit::Camera))
        .collect();
    for (flow, choice) in encoded {
        if let Some(culprit) = Culprit::of_encoder(choice) {
            suspects.insert(flow.spec.rung.name().to_owned(), culprit);
        }
    }
    let mut sound = Sound::default();
    if let Some(source) = &input.audio {
        let culprit = Culprit::Sound {
            device: source.device().to_owned(),
        };
        let picture_elements = graph.element_names();
        sound = build_sound(&graph, source, &specs, &outlet).map_err(|error| {
            EncodeError::Avoidable {
                culprit: culprit.clone(),
                reason: error.to_string(),
            }
        })?;
        devices.extend(sound.device.take());
        let added = graph.element_names();
        suspects.extend(
            added
                .difference(&picture_elements)
                .map(|name| (name.clone(), culprit.clone())),
        );
    }

    let encoder = Encoder {
        pipeline: graph.pipeline,
        outlet,
        frames,
        sound: sound.input,
        devices,
        stills,
        counters,
        rungs,
        kept_rung,
        sounds: sound.flows,
    };
    // Devices stamp with the clock that pictures are stamped with everywhere in this program.
    encoder
        .pipeline
        .use_clock(Some(&gst::SystemClock::obtain()));
    encoder.listen(suspects, Grid::new(format.rate));
    if encoder.pipeline.set_state(gst::State::Playing).is_err() {
        let (reason, culprit) = encoder.outlet.failure();
        let reason = reason.unwrap_or_else(|| "no reason given".to_owned());
        return Err(EncodeError::at_start(reason, culprit));
    }
    Ok(encoder)
}

/// A run's sound as far as it is built.
#[derive(Default)]
struct Sound {
    /// Where it is pushed, unless `device` fetches it.
    input: Option<SoundInput>,
    device: Option<gst::Element>,
    flows: Vec<Arc<SoundFlow>>,
}

fn build_sound(
    graph: &Graph,
    source: &AudioSource,
    specs: &[RungSpec],
    outlet: &Arc<Outlet>,
) -> Result<Sound, EncodeError> {
    let mut sound = Sound::default();
    let (raw, format) = match source {
        AudioSource::Pushed(format) => {
            let (appsrc, raw) = graph.sound_source(*format)?;
            let inbox = Arc::new(Inbox::new(BLOCKS_MAX));
            feed_sound(&appsrc, Arc::clone(&inbox), *format, Arc::clone(outlet));
            sound.input = Some(SoundInput { inbox });
            (raw, *format)
        }
        AudioSource::Alsa { device, format } => {
            let microphone = make("alsasrc")?;
            microphone.set_property("device", device);
            microphone.set_property("provide-clock", false);
            // Some drivers and every plugin device stamp with the civil clock.
            set_if_known(&microphone, "use-driver-timestamps", "false");
            let raw = graph.device_sound(&microphone, *format)?;
            sound.device = Some(microphone);
            (raw, *format)
        }
    };
    let entry = choose_aac().ok_or_else(|| EncodeError::MissingElement("voaacenc".to_owned()))?;
    let flows = sound_flows(specs, format, entry, outlet);
    let device_clock = sound.device.is_some().then(|| Arc::clone(outlet));
    graph.sound(&raw, entry, format, &flows, device_clock)?;
    sound.flows = flows.into_iter().map(|(_, flow)| flow).collect();
    Ok(sound)
}

/// Watches whether pictures arrive at an encoder in the memory that they were lent in.
fn count_copies(encoder: &gst::Element, counters: Arc<EntranceCounters>) {
    let pad = encoder
        .static_pad("sink")
        .expect("an encoder has a sink pad");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(map) = info.buffer().and_then(|buffer| buffer.map_readable().ok()) {
            counters.arrive(map.as_ptr().addr());
        }
        gst::PadProbeReturn::Ok
    });
}

/// The encoder in silicon that refused its pictures, if `error` may mean that: GStreamer reports it as a failure to
/// negotiate, of whatever pushed them, and of some rung nothing has come out.
fn refusing_encoder(
    error: &gst::message::Error,
    encoded: &[(Arc<RungFlow>, EncoderChoice)],
) -> Option<Culprit> {
    let outcome = error.details()?.get::<i32>("flow-return").ok()?;
    if outcome != gst::ffi::GST_FLOW_NOT_NEGOTIATED {
        return None;
    }
    let mut encoded = encoded.iter();
    let (_, choice) = encoded.find(|(flow, _)| flow.report().units == 0)?;
    Culprit::of_encoder(choice)
}

/// One encoding a bitrate; rungs that ask for the same bitrate share it.
fn sound_flows(
    specs: &[RungSpec],
    format: AudioFormat,
    entry: &AacEntry,
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
                Arc::new(SoundFlow::new(
                    rungs,
                    format,
                    bitrate,
                    entry.delay_samples,
                    Arc::clone(outlet),
                )),
            )
        })
        .collect()
}

impl Encoder {
    /// Where pictures are pushed. What is pushed goes nowhere if the run fetches its pictures itself.
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

    /// The next picture as a JPEG, no wider than `width_max` pixels and never enlarged. Blocks until the
    /// source gives one, a second at the longest, and for some 10 ms of work.
    pub fn still(&self, width_max: u32) -> Result<Bytes, EncodeError> {
        self.stills.take(width_max)
    }

    /// What the run has done so far.
    pub fn report(&self) -> EncodeReport {
        let inbox = self.frames.inbox.counters();
        let (failure, culprit) = self.outlet.failure();
        let mut rungs: Vec<RungReport> = self
            .rungs
            .iter()
            .map(|(flow, choice)| {
                let report = flow.report();
                RungReport {
                    rung: flow.spec.rung,
                    encoder: if self.kept_rung == Some(flow.spec.rung) {
                        "camera".to_owned()
                    } else {
                        choice.factory.clone()
                    },
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
            frames_lost: self.counters.lost.load(Ordering::Relaxed),
            frames_surplus: self.counters.surplus.load(Ordering::Relaxed),
            frames_repeated: self.counters.repeated.load(Ordering::Relaxed),
            frames_malformed: self.counters.malformed.load(Ordering::Relaxed),
            frames_copied: self.counters.copied.load(Ordering::Relaxed),
            frames_waiting: inbox.waiting,
            blocks_dropped: self
                .sound
                .as_ref()
                .map_or(0, |sound| sound.inbox.counters().dropped),
            sound_gaps: self.sounds.iter().map(|flow| flow.counts().1).sum(),
            rungs,
            failure,
            culprit,
        }
    }

    /// Ends the run: what was pushed before is encoded and delivered, then `RunEnded`. Takes a second at
    /// the longest; what is not out by then is lost, and said.
    pub fn stop(&self) {
        self.stop_within(STOP_LIMIT);
    }

    /// The same with a limit of the caller's.
    pub(super) fn stop_within(&self, limit: Duration) {
        self.frames.inbox.close();
        if let Some(sound) = &self.sound {
            sound.inbox.close();
        }
        for device in &self.devices {
            device.send_event(gst::event::Eos::new());
        }
        if !self.outlet.wait_drained(limit) {
            tracing::warn!(
                "the encoders did not finish within {limit:?}; the last pictures are lost"
            );
        }
        self.outlet.end();
    }

    fn flows(&self, rung: Rung) -> impl Iterator<Item = &RungFlow> {
        self.rungs
            .iter()
            .map(|(flow, _)| &**flow)
            .filter(move |flow| flow.spec.rung == rung)
    }

    /// Errors end the run, the end of the stream means that everything is out. `suspects` says whom to blame for an
    /// error, by the name of the element that has it; `captured` is the grid of the pictures as the camera gives them.
    pub(super) fn listen(&self, suspects: BTreeMap<String, Culprit>, captured: Grid) {
        let bus = self.pipeline.bus().expect("a pipeline has a bus");
        let outlet = Arc::clone(&self.outlet);
        let frames = Arc::clone(&self.frames.inbox);
        let sound = self.sound.as_ref().map(|sound| Arc::clone(&sound.inbox));
        let counters = Arc::clone(&self.counters);
        let encoded: Vec<_> = self
            .rungs
            .iter()
            .filter(|(flow, _)| self.kept_rung != Some(flow.spec.rung))
            .cloned()
            .collect();
        bus.set_sync_handler(move |_, message| {
            let source = || {
                let source = message.src().map(|source| source.name().to_string());
                source.unwrap_or_default()
            };
            match message.view() {
                gst::MessageView::Eos(_) => outlet.drained(),
                gst::MessageView::Error(error) => {
                    let source = source();
                    let details = error.debug().unwrap_or_default();
                    tracing::debug!(source, %details, "pipeline error");
                    let culprit = match suspects.get(&source) {
                        None => refusing_encoder(error, &encoded),
                        // Once it gives pictures, what fails in its name may be an encoder that does not take them.
                        Some(Culprit::Camera) if outlet.zero().is_some() => {
                            refusing_encoder(error, &encoded).or(Some(Culprit::Camera))
                        }
                        named => named.cloned(),
                    };
                    outlet.fail(format!("{source}: {}", error.error()), culprit);
                    frames.abandon();
                    if let Some(sound) = &sound {
                        sound.abandon();
                    }
                }
                gst::MessageView::Warning(warning) => {
                    tracing::warn!(reason = %warning.error(), "pipeline warning");
                }
                // Where the driver's count of pictures jumps, v4l2src tells how long those took that are missing.
                gst::MessageView::Qos(loss)
                    if suspects.get(&source()) == Some(&Culprit::Camera) =>
                {
                    let missing_ns = loss.duration().map_or(0, gst::ClockTime::nseconds);
                    let count = captured.slot_at(missing_ns).max(1);
                    counters.lost.fetch_add(count, Ordering::Relaxed);
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
