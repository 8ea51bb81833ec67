//! Builds the GStreamer pipeline of a run: source, cascade of scalers, an encoder a rung, sinks. Each scaler
//! works on the output of the next larger one; a rung's encoder has a thread of its own behind a short queue,
//! and everything up to the queues runs on the source's thread. A full queue pushes back to the inbox, the one
//! place where pictures are dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use gstreamer_video as gst_video;

use super::cadence::Grid;
use super::options::{Culprit, EncodeError};
use super::outlet::Outlet;
use super::rung_flow::{CodedPicture, RungFlow};
use super::scaler::Scaler;
use super::source::raw_format;
use super::table::{EncoderChoice, configure, set_if_known};
use crate::base::Monotonic;
use crate::media::{
    FrameFormat, FrameRate, PixelFormat, RungSpec, TrackParameters, VideoParameters,
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
    /// Raw formats that the run's encoder takes, best first. The whole ladder has one of them.
    formats: &'static [&'static str],
}

impl Graph {
    /// One that encodes nothing.
    pub(super) fn new() -> Self {
        Self::for_encoder(&[])
    }

    /// One whose encoder takes these raw formats, best first; at least one.
    pub(super) fn for_encoder(formats: &'static [&'static str]) -> Self {
        Self {
            pipeline: gst::Pipeline::new(),
            formats,
        }
    }

    pub(super) fn add(&self, element: gst::Element) -> Result<gst::Element, EncodeError> {
        self.pipeline
            .add(&element)
            .map_err(|error| EncodeError::Graph(error.to_string()))?;
        Ok(element)
    }

    /// The names of what has been added so far.
    pub(super) fn element_names(&self) -> BTreeSet<String> {
        let elements = self.pipeline.children();
        elements
            .iter()
            .map(|element| element.name().to_string())
            .collect()
    }

    pub(super) fn link(&self, elements: &[&gst::Element]) -> Result<(), EncodeError> {
        gst::Element::link_many(elements).map_err(|error| EncodeError::Graph(error.to_string()))
    }

    pub(super) fn caps_filter(&self, caps: &gst::Caps) -> Result<gst::Element, EncodeError> {
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
        let source = AppSrc::builder()
            .caps(&source_caps(format, rate)?)
            .format(gst::Format::Time)
            .is_live(true)
            .build();
        let element = self.add(source.clone().upcast())?;
        Ok((source, self.raw(element, format.shape.format)?))
    }

    /// Pictures that a device element fetches: made steady by GStreamer, then put on the run's grid, whose
    /// zero is the first of them.
    pub(super) fn device_source(
        &self,
        device: &gst::Element,
        format: FrameFormat,
        rate: FrameRate,
        outlet: &Arc<Outlet>,
    ) -> Result<gst::Element, EncodeError> {
        let device = self.add(device.clone())?;
        let wanted = self.caps_filter(&source_caps(format, format.rate)?)?;
        self.link(&[&device, &wanted])?;
        let raw = self.raw(wanted, format.shape.format)?;
        let steady = self.add(make("videorate")?)?;
        steady.set_property("skip-to-first", true);
        let fraction = gst::Fraction::new(rate.numerator as i32, rate.denominator as i32);
        let filter = self.caps_filter(
            &gst::Caps::builder("video/x-raw")
                .field("framerate", fraction)
                .build(),
        )?;
        self.link(&[&raw, &steady, &filter])?;
        let (grid, outlet) = (Grid::new(rate), Arc::clone(outlet));
        let mut first = None;
        let place = move |pad: &gst::Pad, info: &mut gst::PadProbeInfo| -> gst::PadProbeReturn {
            if let Some(buffer) = info.buffer_mut()
                && let Some(pts) = buffer.pts()
            {
                let base = pad
                    .parent_element()
                    .and_then(|element| element.base_time())
                    .unwrap_or_default();
                let first = *first.get_or_insert(pts);
                outlet.begin(Monotonic((base + first).nseconds()));
                let slot = grid.slot_at(pts.saturating_sub(first).nseconds());
                buffer
                    .make_mut()
                    .set_pts(gst::ClockTime::from_nseconds(grid.nanoseconds(slot)));
            }
            gst::PadProbeReturn::Ok
        };
        // Buffers pass one at a time; the lock only tells the compiler.
        let place = Mutex::new(place);
        let pad = filter.static_pad("src").expect("a filter has a source pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            (*place)(pad, info)
        });
        Ok(filter)
    }

    /// The entrance for a camera's own H.264, passed on as the rung `kept` if there is one, and the element
    /// that gives decoded pictures.
    pub(super) fn own_h264_source(
        &self,
        format: FrameFormat,
        rate: FrameRate,
        kept: Option<Arc<RungFlow>>,
    ) -> Result<(AppSrc, gst::Element), EncodeError> {
        let caps = gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("width", format.shape.width as i32)
            .field("height", format.shape.height as i32)
            .field(
                "framerate",
                gst::Fraction::new(rate.numerator as i32, rate.denominator as i32),
            )
            .build();
        let source = AppSrc::builder()
            .caps(&caps)
            .format(gst::Format::Time)
            .is_live(true)
            .build();
        let element = self.add(source.clone().upcast())?;
        let parse = self.add(make("h264parse")?)?;
        let coded_caps = gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .build();
        let coded = self.caps_filter(&coded_caps)?;
        let tee = self.add(make("tee")?)?;
        self.link(&[&element, &parse, &coded, &tee])?;
        if let Some(flow) = kept {
            let queue = self.rung_queue()?;
            let sink = self.unit_sink(Arc::clone(&flow), rate)?;
            self.link(&[&tee, &queue, &sink])?;
            gate(&queue, flow, Grid::new(rate));
        }
        let decoder = self.add(make("avdec_h264")?)?;
        // More threads would hold back as many pictures.
        set_if_known(&decoder, "max-threads", "1");
        self.link(&[&tee, &decoder])?;
        Ok((source, self.convert(&decoder)?))
    }

    /// Decodes or converts what the encoder does not take; what it takes goes through the ladder as it is.
    fn raw(&self, source: gst::Element, format: PixelFormat) -> Result<gst::Element, EncodeError> {
        if self.takes(format) {
            return Ok(source);
        }
        if format != PixelFormat::Mjpg {
            return self.convert(&source);
        }
        let decoder = self.add(make("jpegdec")?)?;
        self.link(&[&source, &decoder])?;
        self.convert(&decoder)
    }

    /// Converts to a format that the encoder takes, once for all rungs: to I420 where it can be, which is what decoders
    /// give, so that nothing is left to convert, and what GStreamer makes of YUYV fastest.
    fn convert(&self, source: &gst::Element) -> Result<gst::Element, EncodeError> {
        let takes_i420 = self.formats.contains(&"I420");
        let format = if takes_i420 { "I420" } else { self.formats[0] };
        let convert = self.add(make("videoconvert")?)?;
        let raw = self.caps_filter(
            &gst::Caps::builder("video/x-raw")
                .field("format", format)
                .build(),
        )?;
        self.link(&[source, &convert, &raw])?;
        Ok(raw)
    }

    /// Whether the encoder takes pictures of this layout as they are.
    fn takes(&self, format: PixelFormat) -> bool {
        raw_format(format).is_some_and(|raw| self.formats.contains(&raw.to_str().as_str()))
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
                let scaler = match Scaler::between(level_size, size) {
                    Some(scaler) => self.add(scaler)?,
                    None => self.add(make("videoscale")?)?,
                };
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
                    gst::PadProbeReturn::Handled
                }
            });
            level = next;
        }
        Ok(())
    }

    /// The encoder that is to see the source's own memory: the largest rung's, if it has the source's size
    /// and nothing stands between that changes the layout.
    pub(super) fn untouched_encoder(
        &self,
        format: &FrameFormat,
        largest: &RungSpec,
    ) -> Option<gst::Element> {
        let shape = format.shape;
        let direct = self.takes(shape.format)
            && (shape.width, shape.height) == (largest.width, largest.height);
        self.pipeline
            .by_name(largest.rung.name())
            .filter(|_| direct)
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
        let queue = self.rung_queue()?;
        let encoder = gst::ElementFactory::make(&choice.factory)
            .name(flow.spec.rung.name())
            .build()
            .map_err(|_| EncodeError::MissingElement(choice.factory.clone()))?;
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
        chain.push(self.unit_sink(Arc::clone(&flow), rate)?);
        gst::Element::link_many(&chain).map_err(|error| {
            EncodeError::at_start(error.to_string(), Culprit::of_encoder(choice))
        })?;

        gate(&queue, Arc::clone(&flow), grid);
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
        Ok(())
    }

    /// The short queue in front of an encoder, which has its thread behind it.
    fn rung_queue(&self) -> Result<gst::Element, EncodeError> {
        let queue = self.add(make("queue")?)?;
        queue.set_property("max-size-buffers", RUNG_QUEUE_FRAMES);
        queue.set_property("max-size-bytes", 0u32);
        queue.set_property("max-size-time", 0u64);
        queue.set_property("silent", true);
        Ok(queue)
    }

    /// The sink that makes a rung's coded pictures events.
    fn unit_sink(&self, flow: Arc<RungFlow>, rate: FrameRate) -> Result<gst::Element, EncodeError> {
        let (grid, spec) = (Grid::new(rate), flow.spec);
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
        sink.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    if let Some((ns, keyframe, data)) = coded(&sample) {
                        let duration = sample.buffer().and_then(|buffer| buffer.duration());
                        let picture = CodedPicture {
                            slot: grid.slot_at(ns.max(0) as u64),
                            places: duration.map_or(1, |time| grid.places_in(time.nseconds())),
                            keyframe,
                            data,
                        };
                        flow.unit(picture, || video_parameters(&sample, &spec, rate));
                    }
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        self.add(sink.upcast())
    }
}

/// What a source is asked for, or promises.
fn source_caps(format: FrameFormat, rate: FrameRate) -> Result<gst::Caps, EncodeError> {
    let shape = format.shape;
    let media = match shape.format {
        PixelFormat::Mjpg => "image/jpeg",
        PixelFormat::H264 => return Err(EncodeError::UnsupportedFormat(shape.format)),
        _ => "video/x-raw",
    };
    let mut caps = gst::Caps::builder(media)
        .field("width", shape.width as i32)
        .field("height", shape.height as i32)
        .field(
            "framerate",
            gst::Fraction::new(rate.numerator as i32, rate.denominator as i32),
        );
    if let Some(raw) = raw_format(shape.format) {
        caps = caps
            .field("format", raw.to_str())
            .field("pixel-aspect-ratio", gst::Fraction::new(1, 1));
    }
    Ok(caps.build())
}

/// Lets only those pictures into a rung's queue that the rung admits.
fn gate(queue: &gst::Element, flow: Arc<RungFlow>, grid: Grid) {
    let pad = queue.static_pad("sink").expect("a queue has a sink pad");
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        match info.buffer().and_then(|buffer| buffer.pts()) {
            Some(pts) if !flow.admit(grid.slot_at(pts.nseconds())) => gst::PadProbeReturn::Handled,
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

/// Running time, sync flag and bytes of a sample. The bytes are copied, a few kilobytes, so that an
/// encoder's pool is never drained by whoever keeps them.
pub(super) fn coded(sample: &gst::Sample) -> Option<(i64, bool, Bytes)> {
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

/// The decoder's configuration that travels in the caps.
pub(super) fn codec_data(sample: &gst::Sample) -> Option<Bytes> {
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
