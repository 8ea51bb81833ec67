//! The entrances of the pipeline: raw pictures and sound from a source's thread, lent to GStreamer without a
//! copy and put on the run's timeline, whose zero is the first picture.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use gstreamer_video as gst_video;
use heapless::HistoryBuf;

use super::cadence::{Cadence, Grid, Placement};
use super::inbox::Inbox;
use super::options::Culprit;
use super::outlet::Outlet;
use super::own_h264::{Breach, OwnStreamWatch};
use crate::media::{
    AudioBlock, AudioFormat, Frame, FrameBytes, FrameRate, FrameShape, PixelFormat, RungSpec,
};

/// Pictures that may wait for the pipeline. They are a driver's buffers, of which there are few.
pub(super) const FRAMES_MAX: usize = 4;
/// Blocks of sound that may wait: a second of 20 ms blocks.
pub(super) const BLOCKS_MAX: usize = 50;
/// Pictures whose place in memory is remembered: more than can be on their way at once.
const LENT_MAX: usize = 32;
/// Sound whose time stamps lie this close to what was counted is continuous; more is a gap. In nanoseconds.
const JITTER_MAX_NS: u64 = 20_000_000;

/// Where a source pushes its pictures. Cheap to clone; pushing never blocks.
#[derive(Clone)]
pub struct FrameInput {
    pub(super) inbox: Arc<Inbox<Frame>>,
}

impl FrameInput {
    /// Hands a picture over. When four wait already the oldest is dropped, counted, and its place filled by
    /// the one before it.
    pub fn push(&self, frame: Frame) {
        self.inbox.push(frame);
    }

    /// Pictures that wait, 0 to 4: for sources that can slow down.
    pub fn waiting_count(&self) -> usize {
        self.inbox.counters().waiting
    }
}

/// Where a source pushes its sound. Cheap to clone; pushing never blocks.
#[derive(Clone)]
pub struct SoundInput {
    pub(super) inbox: Arc<Inbox<AudioBlock>>,
}

impl SoundInput {
    /// Hands a block over. When a second of sound waits already the oldest block is dropped, counted.
    pub fn push(&self, block: AudioBlock) {
        self.inbox.push(block);
    }

    /// Blocks that wait, 0 to 50: for sources that can slow down.
    pub fn waiting_count(&self) -> usize {
        self.inbox.counters().waiting
    }
}

/// A driver's memory as GStreamer holds it; goes back when the last element lets go.
struct Lent(Box<dyn FrameBytes>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Counts that the entrance of pictures keeps.
#[derive(Debug, Default)]
pub(super) struct EntranceCounters {
    /// Pictures that did not have the promised shape or size.
    pub(super) malformed: AtomicU64,
    /// Pictures left out because they came faster than the steady rate.
    pub(super) surplus: AtomicU64,
    /// Places filled by showing a picture again.
    pub(super) repeated: AtomicU64,
    /// Pictures that the driver of a device element never delivered.
    pub(super) lost: AtomicU64,
    /// Pictures that reached the largest rung's encoder in other memory than the source's.
    pub(super) copied: AtomicU64,
    /// Where the latest pictures lie in memory.
    lent: Mutex<HistoryBuf<usize, LENT_MAX>>,
}

impl EntranceCounters {
    /// Remembers that a picture at `address` was lent to the pipeline.
    fn lend(&self, address: usize) {
        let mut lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        lent.write(address);
    }

    /// Counts a picture that arrived at `address` as copied if none was lent from there.
    pub(super) fn arrive(&self, address: usize) {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner);
        if !lent.as_slice().contains(&address) {
            self.copied.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Feeds `appsrc` from the inbox on the pipeline's own thread; ends the stream when the inbox is closed.
pub(super) fn feed_frames(
    appsrc: &AppSrc,
    inbox: Arc<Inbox<Frame>>,
    shape: FrameShape,
    rate: FrameRate,
    outlet: Arc<Outlet>,
    counters: Arc<EntranceCounters>,
) {
    let layout = PlaneLayout::of(shape);
    let mut cadence = Cadence::new(rate);
    let grid = Grid::new(rate);
    let mut before: Option<gst::Buffer> = None;
    let feed = move |appsrc: &AppSrc, _wanted_bytes: u32| {
        loop {
            let Some(frame) = inbox.pop() else {
                before = None;
                // It fails only when the pipeline is going down already.
                let _ = appsrc.end_of_stream();
                return;
            };
            let size = (*frame.bytes).as_ref().len();
            if frame.shape != shape
                || layout
                    .as_ref()
                    .is_some_and(|layout| size < layout.size_bytes)
            {
                counters.malformed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let (repeats, slot) = match cadence.place(frame.captured_at) {
                Placement::Show { repeats, slot } => (repeats, slot),
                Placement::LeaveOut => {
                    counters.surplus.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            };
            outlet.begin(frame.captured_at);
            counters.lend((*frame.bytes).as_ref().as_ptr().addr());
            if let Some(before) = &before {
                for (slot, places) in repeats {
                    counters.repeated.fetch_add(1, Ordering::Relaxed);
                    let _ = appsrc.push_buffer(stamped(before.copy(), grid, slot, places));
                }
            }
            let mut buffer = gst::Buffer::from_slice(Lent(frame.bytes));
            if let Some(layout) = &layout {
                layout.describe(&mut buffer);
            }
            let buffer = stamped(buffer, grid, slot, 1);
            before = Some(buffer.clone());
            let _ = appsrc.push_buffer(buffer);
            return;
        }
    };
    appsrc.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
}

/// Gives a picture its place on the grid, and lets it last for as many.
fn stamped(mut buffer: gst::Buffer, grid: Grid, slot: u64, places: u64) -> gst::Buffer {
    let start = grid.nanoseconds(slot);
    let meta = buffer.make_mut();
    meta.set_pts(gst::ClockTime::from_nseconds(start));
    meta.set_duration(gst::ClockTime::from_nseconds(
        grid.nanoseconds(slot + places) - start,
    ));
    buffer
}

/// Where the planes of a raw picture lie. V4L2 pads rows, and GStreamer's own padding differs from it.
struct PlaneLayout {
    format: gst_video::VideoFormat,
    width: u32,
    height: u32,
    offsets: Vec<usize>,
    strides: Vec<i32>,
    size_bytes: usize,
}

impl PlaneLayout {
    /// The layout of a raw picture; `None` for a compressed one.
    fn of(shape: FrameShape) -> Option<Self> {
        let stride = shape.stride as usize;
        let height = shape.height as usize;
        let luma = stride * height;
        let half_height = height.div_ceil(2);
        let (offsets, strides, size_bytes) = match shape.format {
            PixelFormat::I420 => {
                let (chroma_stride, chroma) =
                    (stride.div_ceil(2), stride.div_ceil(2) * half_height);
                (
                    vec![0, luma, luma + chroma],
                    vec![stride, chroma_stride, chroma_stride],
                    luma + 2 * chroma,
                )
            }
            PixelFormat::Nv12 => (
                vec![0, luma],
                vec![stride, stride],
                luma + stride * half_height,
            ),
            PixelFormat::Yuyv => (vec![0], vec![stride], luma),
            PixelFormat::Mjpg | PixelFormat::H264 => return None,
        };
        Some(Self {
            format: raw_format(shape.format)?,
            width: shape.width,
            height: shape.height,
            offsets,
            strides: strides.into_iter().map(|stride| stride as i32).collect(),
            size_bytes,
        })
    }

    fn describe(&self, buffer: &mut gst::Buffer) {
        let buffer = buffer.get_mut().expect("a new buffer has one owner");
        let flags = gst_video::VideoFrameFlags::empty();
        gst_video::VideoMeta::add_full(
            buffer,
            flags,
            self.format,
            self.width,
            self.height,
            &self.offsets,
            &self.strides,
        )
        .expect("the planes lie inside the buffer, whose size was checked");
    }
}

/// GStreamer's name of a raw layout; `None` for a compressed one.
pub(super) fn raw_format(format: PixelFormat) -> Option<gst_video::VideoFormat> {
    match format {
        PixelFormat::I420 => Some(gst_video::VideoFormat::I420),
        PixelFormat::Nv12 => Some(gst_video::VideoFormat::Nv12),
        PixelFormat::Yuyv => Some(gst_video::VideoFormat::Yuy2),
        PixelFormat::Mjpg | PixelFormat::H264 => None,
    }
}

/// Feeds `appsrc` with a camera's own access units, which can be neither repeated nor left out. If the stream is passed
/// on as it is, as the rung `kept`, one that breaks the ladder's rules ends the run.
pub(super) fn feed_own_h264(
    appsrc: &AppSrc,
    inbox: Arc<Inbox<Frame>>,
    rate: FrameRate,
    kept: Option<RungSpec>,
    outlet: Arc<Outlet>,
    counters: Arc<EntranceCounters>,
) {
    let grid = Grid::new(rate);
    let mut cadence = Cadence::new(rate);
    let bitrate_bps = kept.map_or(u32::MAX, |spec| spec.video_bitrate_bps);
    let mut watch = OwnStreamWatch::new(grid, bitrate_bps);
    let feed = move |appsrc: &AppSrc, _wanted_bytes: u32| {
        loop {
            let Some(frame) = inbox.pop() else {
                let _ = appsrc.end_of_stream();
                return;
            };
            let data = (*frame.bytes).as_ref();
            if !watch.may_enter(data, frame.sequence) {
                continue;
            }
            let slot = if kept.is_some() {
                match watch.judge(data, frame.captured_at) {
                    Ok(slot) => slot,
                    Err(breach) => {
                        let (reason, culprit) = explain(breach);
                        outlet.fail(reason, Some(culprit));
                        inbox.abandon();
                        continue;
                    }
                }
            } else if let Placement::Show { slot, .. } = cadence.place(frame.captured_at) {
                slot
            } else {
                // The decoder needs every picture; one that shares its neighbour's place would not be shown.
                counters.surplus.fetch_add(1, Ordering::Relaxed);
                watch.lost();
                continue;
            };
            outlet.begin(frame.captured_at);
            let _ = appsrc.push_buffer(stamped(
                gst::Buffer::from_slice(Lent(frame.bytes)),
                grid,
                slot,
                1,
            ));
            return;
        }
    };
    appsrc.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
}

fn explain(breach: Breach) -> (String, Culprit) {
    match breach {
        Breach::Rule(rule) => (
            format!("the camera's own H.264 does not fit: {rule}; it must be encoded again"),
            Culprit::OwnH264,
        ),
        Breach::Drift => (
            "the camera's clock has drifted from the system's; a new run sets both to zero"
                .to_owned(),
            Culprit::Drift,
        ),
    }
}

/// Feeds `appsrc` with sound on the same timeline. Sound from before the first picture is dropped.
pub(super) fn feed_sound(
    appsrc: &AppSrc,
    inbox: Arc<Inbox<AudioBlock>>,
    format: AudioFormat,
    outlet: Arc<Outlet>,
) {
    let group_bytes = usize::from(format.channels) * 2;
    let rate = u64::from(format.sample_rate);
    let mut counted: Option<u64> = None;
    let feed = move |appsrc: &AppSrc, _wanted_bytes: u32| {
        loop {
            let Some(block) = inbox.pop() else {
                let _ = appsrc.end_of_stream();
                return;
            };
            let Some(zero) = outlet.wait_zero(|| inbox.is_closed()) else {
                continue;
            };
            let groups = (block.samples.len() / group_bytes) as u64;
            let early_ns = zero.since(block.captured_at).as_nanos() as u64;
            let skip = (early_ns * rate).div_ceil(1_000_000_000);
            if skip >= groups {
                continue;
            }
            let stamped_ns = block.captured_at.since(zero).as_nanos() as u64;
            let stamped = (stamped_ns * rate + 500_000_000) / 1_000_000_000;
            let start = match counted {
                Some(counted)
                    if samples_to_ns(counted.abs_diff(stamped), rate) <= JITTER_MAX_NS =>
                {
                    counted
                }
                _ => stamped,
            };
            counted = Some(start + groups - skip);
            let samples = block
                .samples
                .slice(skip as usize * group_bytes..groups as usize * group_bytes);
            let mut buffer = gst::Buffer::from_slice(samples);
            let meta = buffer.get_mut().expect("a new buffer has one owner");
            meta.set_pts(gst::ClockTime::from_nseconds(samples_to_ns(start, rate)));
            meta.set_duration(gst::ClockTime::from_nseconds(samples_to_ns(
                groups - skip,
                rate,
            )));
            let _ = appsrc.push_buffer(buffer);
            return;
        }
    };
    appsrc.set_callbacks(AppSrcCallbacks::builder().need_data(feed).build());
}

fn samples_to_ns(samples: u64, rate: u64) -> u64 {
    (u128::from(samples) * 1_000_000_000 / u128::from(rate)) as u64
}
