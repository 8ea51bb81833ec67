//! Builds the GStreamer pipeline of a run: source, cascade of scalers, an encoder a rung, sinks. Each scaler
//! works on the output of the next larger one; a rung's encoder has a thread of its own behind a short queue,
//! and everything up to the queues runs on the source's thread. A full queue pushes back to the inbox, the one
//! place where pictures are dropped.

use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use gstreamer_video as gst_video;

use super::audio::{SoundFlow, choose_aac};
use super::cadence::Grid;
use super::encoder::EncodeError;
use super::rung_flow::RungFlow;
use super::source::raw_format;
use super::table::{EncoderChoice, configure, set_if_known};
use crate::media::{
    AudioFormat, FrameFormat, FrameRate, PixelFormat, RungSpec, TrackParameters, VideoParameters,
};

/// Pictures that wait for a rung's encoder.
const RUNG_QUEUE_FRAMES: u32 = 3;

/// Makes an element; the error names what is missing.
pub(super) fn make(factory: &str) -> Result<gst::Element, EncodeError> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| EncodeError::MissingElement(factory.to_owned()))
}

/// A pipeline under construction.
pub(super) struct Graph {
    pub(super) pipeline: gst::Pipeline,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            pipeline: gst::Pipeline::new(),
        }
    }

    fn add(&self, element: gst::Element) -> Result<gst::Element, EncodeError> {
        self.pipeline
            .add(&element)
            .map_err(|error| EncodeError::Graph(error.to_string()))?;
        Ok(element)
    }

    fn link(&self, elements: &[&gst::Element]) -> Result<(), EncodeError> {
        gst::Element::link_many(elements).map_err(|error| EncodeError::Graph(error.to_string()))
    }

    fn caps_filter(&self, caps: &gst::Caps) -> Result<gst::Element, EncodeError> {
        let filter = make("capsfilter")?;
        filter.set_property("caps", caps);
        self.add(filter)
    }

    /// The entrance for pushed pictures, and the element that gives raw ones.
    pub(super) fn frame_source(
        &self,
        format: FrameFormat,
        rate: FrameRate,
    ) -> Result<(AppSrc, gst::Element), EncodeError> {
        let shape = format.shape;
        let fraction = gst::Fraction::new(rate.numerator as i32, rate.denominator as i32);
        let caps = match raw_format(shape.format) {
            Some(raw) => gst_video::VideoInfo::builder(raw, shape.width, shape.height)
                .fps(fraction)
                .build()
                .and_then(|info| info.to_caps())
                .map_err(|error| EncodeError::Graph(error.to_string()))?,
            None if shape.format == PixelFormat::Mjpg => gst::Caps::builder("image/jpeg")
                .field("width", shape.width as i32)
                .field("height", shape.height as i32)
                .field("framerate", fraction)
                .build(),
            None => return Err(EncodeError::UnsupportedFormat(shape.format)),
        };
        let source = AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(true)
            .build();
        let mut last = self.add(source.clone().upcast())?;
        let steps: &[&str] = match shape.format {
            PixelFormat::Mjpg => &["jpegdec", "videoconvert"],
            PixelFormat::Yuyv => &["videoconvert"],
            _ => &[],
        };
        for step in steps {
            let element = self.add(make(step)?)?;
            self.link(&[&last, &element])?;
            last = element;
        }
        if !steps.is_empty() {
            let filter = self.caps_filter(
                &gst::Caps::builder("video/x-raw")
                    .field("format", "I420")
                    .build(),
            )?;
            self.link(&[&last, &filter])?;
            last = filter;
        }
        Ok((source, last))
    }

    /// The cascade and the encoders. `rungs` go from the largest down; `raw` has pictures of `size`.
    pub(super) fn ladder(
        &self,
        raw: &gst::Element,
        size: (u32, u32),
        rungs: &[(Arc<RungFlow>, EncoderChoice)],
        rate: FrameRate,
    ) -> Result<(), EncodeError> {
        let mut level = raw.clone();
        let mut level_size = size;
        for (n, (flow, choice)) in rungs.iter().enumerate() {
            let size = (flow.spec.width, flow.spec.height);
            if size != level_size {
                let scaler = self.add(make("videoscale")?)?;
                let filter = self.caps_filter(
                    &gst::Caps::builder("video/x-raw")
                        .field("width", size.0 as i32)
                        .field("height", size.1 as i32)
                        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
                        .build(),
                )?;
                self.link(&[&level, &scaler, &filter])?;
                (level, level_size) = (filter, size);
            }
            let tee = self.add(make("tee")?)?;
            self.link(&[&level, &tee])?;
            self.rung(&tee, Arc::clone(flow), choice, rate)?;
            let below: Vec<_> = rungs[n + 1..]
                .iter()
                .map(|(flow, _)| Arc::clone(flow))
                .collect();
            if below.is_empty() {
                break;
            }
            // Scaling for rungs that are all shed would be for nothing.
            let next = self.add(make("identity")?)?;
            next.set_property("silent", true);
            self.link(&[&tee, &next])?;
            let pad = next.static_pad("sink").expect("identity has a sink pad");
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                if below.iter().any(|flow| flow.is_wanted()) {
                    gst::PadProbeReturn::Ok
                } else {
                    gst::PadProbeReturn::Drop
                }
            });
            level = next;
        }
        Ok(())
    }

    /// tee → gate → queue → encoder → access units.
    fn rung(
        &self,
        tee: &gst::Element,
        flow: Arc<RungFlow>,
        choice: &EncoderChoice,
        rate: FrameRate,
    ) -> Result<(), EncodeError> {
        let grid = Grid::new(rate);
        let queue = self.add(make("queue")?)?;
        queue.set_property("max-size-buffers", RUNG_QUEUE_FRAMES);
        queue.set_property("max-size-bytes", 0u32);
        queue.set_property("max-size-time", 0u64);
        queue.set_property("silent", true);
        let encoder = make(&choice.factory)?;
        configure(&encoder, choice.entry, &flow.spec, rate);
        let encoder = self.add(encoder)?;
        let output: gst::Caps = choice
            .entry
            .output
            .parse()
            .expect("the table's caps are valid");
        let filter = self.caps_filter(&output)?;
        let mut chain = vec![tee.clone(), queue.clone()];
        if let Some(upload) = choice.entry.upload {
            chain.push(self.add(make(upload)?)?);
        }
        chain.extend([encoder.clone(), filter]);
        if !choice.entry.output.contains("stream-format=avc") {
            chain.push(self.add(make("h264parse")?)?);
        }
        let sink = AppSink::builder()
            .caps(
                &gst::Caps::builder("video/x-h264")
                    .field("stream-format", "avc")
                    .field("alignment", "au")
                    .build(),
            )
            .sync(false)
            .async_(false)
            .enable_last_sample(false)
            .build();
        chain.push(self.add(sink.clone().upcast())?);
        self.link(&chain.iter().collect::<Vec<_>>())?;

        let gate = Arc::clone(&flow);
        let pad = queue.static_pad("sink").expect("a queue has a sink pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            match info.buffer().and_then(|b| b.pts()) {
                Some(pts) if !gate.admit(grid.slot_at(pts.nseconds())) => gst::PadProbeReturn::Drop,
                _ => gst::PadProbeReturn::Ok,
            }
        });
        let keys = Arc::clone(&flow);
        let source = encoder
            .static_pad("src")
            .expect("an encoder has a source pad");
        let pad = encoder
            .static_pad("sink")
            .expect("an encoder has a sink pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(pts) = info.buffer().and_then(|buffer| buffer.pts())
                && keys.needs_keyframe(grid.slot_at(pts.nseconds()))
            {
                source.send_event(
                    gst_video::UpstreamForceKeyUnitEvent::builder()
                        .all_headers(true)
                        .build(),
                );
            }
            gst::PadProbeReturn::Ok
        });
        let spec = flow.spec;
        sink.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    if let Some((ns, keyframe, data)) = coded(&sample) {
                        let slot = grid.slot_at(ns.max(0) as u64);
                        flow.unit(slot, keyframe, data, || {
                            video_parameters(&sample, &spec, rate)
                        });
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        Ok(())
    }

    /// The entrance for pushed sound, and the element that gives it.
    pub(super) fn sound_source(
        &self,
        format: AudioFormat,
    ) -> Result<(AppSrc, gst::Element), EncodeError> {
        let source = AppSrc::builder()
            .caps(&sound_caps("S16LE", format))
            .format(gst::Format::Time)
            .is_live(true)
            .build();
        let element = self.add(source.clone().upcast())?;
        Ok((source, element))
    }

    /// One AAC encoding a flow, all on the sound's own thread: together they take less than a tenth of the
    /// time that passes.
    pub(super) fn sound(
        &self,
        raw: &gst::Element,
        format: AudioFormat,
        flows: &[(u32, Arc<SoundFlow>)],
    ) -> Result<(), EncodeError> {
        let entry =
            choose_aac().ok_or_else(|| EncodeError::MissingElement("voaacenc".to_owned()))?;
        let mut last = raw.clone();
        if entry.format != "S16LE" {
            let convert = self.add(make("audioconvert")?)?;
            let filter = self.caps_filter(&sound_caps(entry.format, format))?;
            self.link(&[&last, &convert, &filter])?;
            last = filter;
        }
        let tee = self.add(make("tee")?)?;
        self.link(&[&last, &tee])?;
        for (bitrate_bps, flow) in flows {
            let encoder = make(entry.element)?;
            for (name, value) in entry.fixed {
                set_if_known(&encoder, name, value);
            }
            set_if_known(&encoder, "bitrate", &bitrate_bps.to_string());
            let encoder = self.add(encoder)?;
            let sink = AppSink::builder()
                .caps(
                    &gst::Caps::builder("audio/mpeg")
                        .field("mpegversion", 4)
                        .field("stream-format", "raw")
                        .build(),
                )
                .sync(false)
                .async_(false)
                .enable_last_sample(false)
                .build();
            let element = self.add(sink.clone().upcast())?;
            self.link(&[&tee, &encoder, &element])?;
            let flow = Arc::clone(flow);
            sink.set_callbacks(
                AppSinkCallbacks::builder()
                    .new_sample(move |sink| {
                        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                        if let Some((ns, _, data)) = coded(&sample) {
                            flow.unit(ns, data, || codec_data(&sample));
                        }
                        Ok(gst::FlowSuccess::Ok)
                    })
                    .build(),
            );
        }
        Ok(())
    }
}

fn sound_caps(sample_format: &str, format: AudioFormat) -> gst::Caps {
    let mut caps = gst::Caps::builder("audio/x-raw")
        .field("format", sample_format)
        .field("rate", format.sample_rate as i32)
        .field("channels", i32::from(format.channels))
        .field("layout", "interleaved");
    if format.channels == 2 {
        caps = caps.field("channel-mask", gst::Bitmask(0x3));
    }
    caps.build()
}

/// Running time, sync flag and bytes of a sample. The bytes are copied, a few kilobytes, so that an
/// encoder's pool is never drained by whoever keeps them.
fn coded(sample: &gst::Sample) -> Option<(i64, bool, Bytes)> {
    let buffer = sample.buffer()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    // x264enc puts its first time stamp at 1000 hours and says so in the segment.
    let ns = match segment.to_running_time_full(buffer.pts()?)? {
        gst::Signed::Positive(time) => time.nseconds() as i64,
        gst::Signed::Negative(time) => -(time.nseconds() as i64),
    };
    let map = buffer.map_readable().ok()?;
    let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    Some((ns, keyframe, Bytes::copy_from_slice(&map)))
}

fn codec_data(sample: &gst::Sample) -> Option<Bytes> {
    let data = sample
        .caps()?
        .structure(0)?
        .get::<gst::Buffer>("codec_data")
        .ok()?;
    let map = data.map_readable().ok()?;
    Some(Bytes::copy_from_slice(&map))
}

fn video_parameters(
    sample: &gst::Sample,
    spec: &RungSpec,
    rate: FrameRate,
) -> Option<TrackParameters> {
    Some(TrackParameters::Video(VideoParameters {
        avcc: codec_data(sample)?,
        width: spec.width,
        height: spec.height,
        frame_rate: rate,
        bitrate_bps: spec.video_bitrate_bps,
    }))
}
