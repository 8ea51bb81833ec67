//! Stills: the next raw picture of the source as a JPEG, caught only when somebody asks, so that no picture
//! is held back in between.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;

use super::options::EncodeError;

/// A source that gives no picture for this long gives no still.
const CATCH_LIMIT: Duration = Duration::from_secs(1);
const CONVERT_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(2);

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
        let converted = gst_video::convert_sample(&sample, &caps, Some(CONVERT_LIMIT))
            .map_err(|error| failed(error.to_string()))?;
        let buffer = converted
            .buffer()
            .ok_or_else(|| failed("no picture came out".to_owned()))?;
        let map = buffer
            .map_readable()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Bytes::copy_from_slice(&map))
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
