//! Stills as JPEG: the next raw picture of the source, caught only when somebody asks, so that no picture is held back
//! in between; and the picture of a recorded keyframe.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video as gst_video;

use super::graph::{Graph, make};
use super::options::EncodeError;
use super::table::set_if_known;
use crate::media::VideoParameters;

/// A source that gives no picture for this long gives no still.
const CATCH_LIMIT: Duration = Duration::from_secs(1);
const CONVERT_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// The picture of one coded keyframe as a JPEG, no wider than `width_max` and never enlarged. `keyframe` is an access
/// unit with lengths before its parts, decoded by what `video` says. Blocks for some 30 ms of work.
pub fn recorded_still(
    video: &VideoParameters,
    keyframe: Bytes,
    width_max: u32,
) -> Result<Bytes, EncodeError> {
    let decoded = decode(video, &[keyframe], None, &|| true)?.pop();
    let (_, decoded) =
        decoded.ok_or_else(|| EncodeError::Still("the picture cannot be decoded".to_owned()))?;
    jpeg(&decoded, width_max)
}

/// The raw pictures of coded keyframes that are decoded alike, each with its index, scaled to `size` if that is given.
/// Those that cannot be decoded are left out. Ends with `Unwanted` at the next picture once `is_wanted` says no.
pub(super) fn decode(
    video: &VideoParameters,
    keyframes: &[Bytes],
    size: Option<(u32, u32)>,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Vec<(usize, gst::Sample)>, EncodeError> {
    let graph = Graph::new();
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("width", video.width as i32)
        .field("height", video.height as i32)
        .field("codec_data", gst::Buffer::from_slice(video.avcc.clone()))
        .build();
    let source = AppSrc::builder()
        .caps(&caps)
        .format(gst::Format::Time)
        .build();
    let decoder = make("avdec_h264")?;
    // More threads would hold the only picture back.
    set_if_known(&decoder, "max-threads", "1");
    let sink = AppSink::builder().sync(false).build();
    let mut elements = vec![graph.add(source.clone().upcast())?, graph.add(decoder)?];
    if let Some((width, height)) = size {
        let scaled = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", width as i32)
            .field("height", height as i32)
            .build();
        elements.push(graph.add(make("videoconvert")?)?);
        elements.push(graph.add(make("videoscale")?)?);
        elements.push(graph.caps_filter(&scaled)?);
    }
    elements.push(graph.add(sink.clone().upcast())?);
    graph.link(&elements.iter().collect::<Vec<_>>())?;
    let running = Running::start(graph.pipeline)?;
    for (keyframe, index) in keyframes.iter().zip(0..) {
        let mut buffer = gst::Buffer::from_slice(keyframe.clone());
        if let Some(meta) = buffer.get_mut() {
            // A second each: its time tells which one a picture is.
            meta.set_pts(gst::ClockTime::from_seconds(index));
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    let mut decoded = Vec::new();
    if source.end_of_stream().is_ok() {
        while let Some(sample) = sink.try_pull_sample(CONVERT_LIMIT) {
            if !is_wanted() {
                return Err(EncodeError::Unwanted);
            }
            let time = sample.buffer().and_then(|buffer| buffer.pts());
            let index = time.map(|time| time.seconds() as usize);
            decoded.extend(index.map(|index| (index, sample)));
        }
    }
    drop(running);
    Ok(decoded)
}

/// A pipeline that runs until it is dropped.
struct Running(gst::Pipeline);

impl Running {
    fn start(pipeline: gst::Pipeline) -> Result<Self, EncodeError> {
        let running = Self(pipeline);
        running
            .0
            .set_state(gst::State::Playing)
            .map_err(|error| EncodeError::Still(error.to_string()))?;
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Going down cannot be refused.
        let _ = self.0.set_state(gst::State::Null);
    }
}

pub(super) fn jpeg(sample: &gst::Sample, width_max: u32) -> Result<Bytes, EncodeError> {
    let failed = |reason: String| EncodeError::Still(reason);
    let info = sample
        .caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
        .ok_or_else(|| failed("the source gives no raw pictures".to_owned()))?;
    let width = info.width().min(width_max.max(16)) & !1;
    let height = (u64::from(info.height()) * u64::from(width) / u64::from(info.width().max(1)))
        .max(2) as u32
        & !1;
    let caps = gst::Caps::builder("image/jpeg")
        .field("width", width as i32)
        .field("height", height as i32)
        .build();
    let converted = gst_video::convert_sample(sample, &caps, Some(CONVERT_LIMIT))
        .map_err(|error| failed(error.to_string()))?;
    let buffer = converted
        .buffer()
        .ok_or_else(|| failed("no picture came out".to_owned()))?;
    let map = buffer
        .map_readable()
        .map_err(|error| failed(error.to_string()))?;
    Ok(Bytes::copy_from_slice(&map))
}

/// Waits at the source for whoever wants a still. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct StillCatcher {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    caught: Condvar,
}

#[derive(Default)]
struct State {
    waiting: u32,
    /// Counts the pictures caught, so that everyone who waits gets one that is newer than the wish.
    number: u64,
    sample: Option<gst::Sample>,
}

impl StillCatcher {
    /// Watches the raw pictures that leave `element`.
    pub(super) fn watch(&self, element: &gst::Element) {
        let catcher = self.clone();
        let pad = element
            .static_pad("src")
            .expect("a source has a source pad");
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let mut state = catcher.lock();
            if state.waiting > 0
                && let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps())
            {
                state.sample = Some(gst::Sample::builder().buffer(buffer).caps(&caps).build());
                state.number += 1;
                catcher.shared.caught.notify_all();
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// The next picture as a JPEG, no wider than `width_max` and never enlarged. Blocks for the time
    /// between two pictures and some 10 ms of work.
    pub(super) fn take(&self, width_max: u32) -> Result<Bytes, EncodeError> {
        let sample = self.catch().ok_or(EncodeError::NoPicture)?;
        jpeg(&sample, width_max)
    }

    fn catch(&self) -> Option<gst::Sample> {
        let deadline = Instant::now() + CATCH_LIMIT;
        let mut state = self.lock();
        let before = state.number;
        state.waiting += 1;
        while state.number == before {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .shared
                .caught
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.waiting -= 1;
        let sample = state.sample.clone().filter(|_| state.number > before);
        if state.waiting == 0 {
            state.sample = None;
        }
        sample
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
