//! Streams from one camera: opens it in the chosen mode, and lends each picture to a sink from a thread of its own
//! until it is stopped, the camera goes away, or nothing comes any more. Says once why it ended.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use v4l::v4l_sys as sys;

use super::discover::{Asked, open_camera};
use super::error::{EndReason, OpenError};
use super::ioctl::{Layout, Planes, VideoNode};
use super::judge::{Content, Judge};
use super::mode::{format_of_fourcc, raw_layout};
use super::negotiate::ChosenMode;
use super::queue::BufferQueue;
use super::report::{CaptureReport, Counters, add};
use crate::base::{Clock, Monotonic, SystemClock};
use crate::media::{Frame, FrameBytes, FrameFormat, FrameRate, FrameShape};

/// Takes each frame, on the source's own thread. Must not block: a driver goes on filling buffers meanwhile.
pub type FrameSink = Box<dyn FnMut(Frame) + Send>;

/// Told once why no more frames come, on the capture thread, after the device was let go.
pub type EndSink = Box<dyn FnOnce(EndReason) + Send>;

/// How to stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Buffers to ask the driver for, at least 8. Three stay with the driver; the consumer may hold the others, and gets
    /// copies beyond.
    pub buffer_count: u32,
    /// A run without a usable frame for this long ends.
    pub stall_after: Duration,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            buffer_count: 10,
            stall_after: Duration::from_secs(5),
        }
    }
}

/// A run of DQBUF failures this long means that the driver has given up.
const FAILURES_MAX: u32 = 8;

/// A camera that is set up and does not stream yet.
#[derive(Debug)]
pub struct Capture {
    device: PathBuf,
    queue: BufferQueue,
    counters: Arc<Counters>,
    format: FrameFormat,
    picture_bytes: usize,
    options: CaptureOptions,
}

impl Capture {
    /// Opens the single-planar camera at `device` and sets `mode`. The driver's answer, which may differ in size,
    /// rate and stride, is in [`Capture::format`].
    pub fn open(
        device: &Path,
        mode: &ChosenMode,
        options: CaptureOptions,
    ) -> Result<Self, OpenError> {
        let refused = |step| OpenError::when(device, step);
        let no_mode = |offered: String| OpenError::NoUsableMode {
            device: device.to_owned(),
            offered,
        };
        let ((video, _), planes) = open_camera(device, Asked::ByName)?;
        if planes == Planes::Multi {
            return Err(no_mode("multi-planar formats".to_owned()));
        }
        let fourcc = video
            .formats(planes)
            .into_iter()
            .find(|&fourcc| format_of_fourcc(fourcc) == Some(mode.format))
            .ok_or_else(|| no_mode(format!("formats other than {}", mode.format)))?;
        let layout = video
            .set_layout(fourcc, mode.width, mode.height)
            .map_err(refused("set the picture format"))?;
        let (shape, picture_bytes) = shape_of(layout)
            .filter(|(shape, _)| shape.format == mode.format)
            .ok_or_else(|| no_mode(format!("what it answered ({layout:?})")))?;
        let rate = set_rate(&video, mode.rate);
        let counters = Arc::<Counters>::default();
        let count = options.buffer_count.max(8);
        let queue = BufferQueue::new(video, count, Arc::clone(&counters))
            .map_err(refused("provide buffers"))?;
        Ok(Self {
            device: device.to_owned(),
            queue,
            counters,
            format: FrameFormat { shape, rate },
            picture_bytes,
            options,
        })
    }

    /// What the frames will be.
    pub fn format(&self) -> FrameFormat {
        self.format
    }

    /// Turns the stream on and starts the thread that lends each frame to `sink`. On success `on_end` is called
    /// exactly once; on failure neither is called, and the device is let go.
    pub fn start(self, sink: FrameSink, on_end: EndSink) -> Result<CaptureRun, OpenError> {
        let device = self.device;
        let refused = |step| OpenError::when(&device, step);
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(io::Error::from)
            .map_err(refused("be stoppable"))?;
        let stop = Arc::new(stop);
        let queue = Arc::new(self.queue);
        if let Err(error) = queue.start() {
            queue.stop();
            return Err(refused("start streaming")(error));
        }
        tracing::info!(
            device = %device.display(), format = %self.format,
            buffers = queue.buffer_count(), "capturing"
        );
        let mut lender = Lender {
            queue: Arc::clone(&queue),
            counters: Arc::clone(&self.counters),
            judge: Judge::new(self.picture_bytes),
            shape: self.format.shape,
            stall_after: self.options.stall_after,
            stop: Arc::clone(&stop),
            sink,
        };
        let end = EndReporter {
            queue: Arc::clone(&queue),
            on_end: Some(on_end),
            reason: EndReason::SinkPanicked,
        };
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                let mut end = end;
                end.reason = lender.run();
            })
            .map_err(|error| {
                queue.stop();
                refused("be read by a thread")(error)
            })?;
        Ok(CaptureRun {
            stop,
            thread: Some(thread),
            counters: self.counters,
            format: self.format,
        })
    }
}

/// A camera that streams. Stops when dropped.
#[derive(Debug)]
pub struct CaptureRun {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    format: FrameFormat,
}

impl CaptureRun {
    /// What the frames are.
    pub fn format(&self) -> FrameFormat {
        self.format
    }

    /// Counts since the start.
    pub fn report(&self) -> CaptureReport {
        self.counters.report()
    }

    /// Stops and waits until the device is let go: a few milliseconds and the sink's last call.
    /// Frames that were lent stay readable.
    pub fn stop(self) {}
}

impl Drop for CaptureRun {
    fn drop(&mut self) {
        self.stop
            .write(1)
            .expect("an eventfd counts further than to one");
        let Some(thread) = self.thread.take() else {
            return;
        };
        // Dropped by its own sink or end: the thread is about to end by itself, and cannot wait for that.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::error!("the capture thread panicked");
        }
    }
}

/// Lets the device go and says why, even if the sink panicked.
struct EndReporter {
    queue: Arc<BufferQueue>,
    on_end: Option<EndSink>,
    reason: EndReason,
}

impl Drop for EndReporter {
    fn drop(&mut self) {
        self.queue.stop();
        if let Some(on_end) = self.on_end.take() {
            on_end(self.reason.clone());
        }
    }
}

/// What runs on the capture thread.
struct Lender {
    queue: Arc<BufferQueue>,
    counters: Arc<Counters>,
    judge: Judge,
    shape: FrameShape,
    stall_after: Duration,
    stop: Arc<EventFd>,
    sink: FrameSink,
}

impl Lender {
    fn run(&mut self) -> EndReason {
        let clock = SystemClock;
        let mut last_frame = clock.monotonic();
        let mut failures = 0;
        loop {
            let silence = clock.monotonic().since(last_frame);
            let Some(patience) = self
                .stall_after
                .checked_sub(silence)
                .filter(|left| !left.is_zero())
            else {
                return EndReason::Stalled(self.stall_after);
            };
            match self.wait(patience) {
                Ok(true) => return EndReason::Stopped,
                Ok(false) => {}
                Err(error) => return EndReason::Driver(error.to_string()),
            }
            match self.take_one(clock.monotonic()) {
                Ok(true) => {
                    failures = 0;
                    last_frame = clock.monotonic();
                }
                Ok(false) => failures = 0,
                Err(error) => {
                    failures += 1;
                    match error.raw_os_error() {
                        Some(libc::ENODEV | libc::ENXIO) => return EndReason::Vanished,
                        Some(libc::EIO) if failures < FAILURES_MAX => {
                            add(&self.counters.damaged, 1);
                        }
                        _ => return EndReason::Driver(error.to_string()),
                    }
                }
            }
        }
    }

    /// Waits for a buffer, an end or `patience`, whichever is first. True if the owner asked to stop.
    fn wait(&self, patience: Duration) -> io::Result<bool> {
        let mut polled = [
            PollFd::new(self.queue.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        let timeout = PollTimeout::try_from(patience.min(Duration::from_secs(60)))
            .expect("a minute is a valid timeout");
        match poll(&mut polled, timeout) {
            Ok(_) => Ok(polled[1].any().unwrap_or(false)),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes one buffer, if there is one. True if it held a frame.
    fn take_one(&mut self, now: Monotonic) -> io::Result<bool> {
        let Some((filled, mut loan)) = self.queue.dequeue()? else {
            return Ok(false);
        };
        let verdict = self.judge.judge(&filled, now);
        add(&self.counters.lost, u64::from(verdict.lost));
        let (captured_at, byte_count) = match verdict.content {
            Content::Empty => {
                add(&self.counters.empty, 1);
                return Ok(false);
            }
            Content::Damaged => {
                add(&self.counters.damaged, 1);
                return Ok(false);
            }
            Content::Picture {
                captured_at,
                byte_count,
                restamped,
            } => {
                add(&self.counters.restamped, u64::from(restamped));
                (captured_at, byte_count)
            }
        };
        loan.truncate(byte_count);
        let bytes: Box<dyn FrameBytes> = if self.queue.is_nearly_empty() {
            add(&self.counters.copied, 1);
            Box::new(loan.as_ref().to_vec())
        } else {
            Box::new(loan)
        };
        add(&self.counters.frames, 1);
        (self.sink)(Frame {
            shape: self.shape,
            captured_at,
            sequence: filled.sequence,
            bytes,
        });
        Ok(true)
    }
}

impl fmt::Debug for Lender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lender")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// The rate that the driver agreed to; the wished one if it does not talk of rates.
fn set_rate(video: &VideoNode, wished: FrameRate) -> FrameRate {
    video
        .set_rate(wished)
        .or_else(|| video.rate(Planes::Single))
        .unwrap_or(wished)
}

/// The shape of frames with this layout and the bytes of a whole raw picture, or `None` if we do not read it:
/// an unknown format, or half pictures (fields) a buffer.
fn shape_of(layout: Layout) -> Option<(FrameShape, usize)> {
    let is_whole = matches!(
        layout.field,
        sys::v4l2_field_V4L2_FIELD_ANY
            | sys::v4l2_field_V4L2_FIELD_NONE
            | sys::v4l2_field_V4L2_FIELD_INTERLACED
            | sys::v4l2_field_V4L2_FIELD_INTERLACED_TB
            | sys::v4l2_field_V4L2_FIELD_INTERLACED_BT
    );
    let format = format_of_fourcc(layout.fourcc).filter(|_| is_whole)?;
    if layout.width < 2 || layout.height < 2 {
        return None;
    }
    let (stride, picture_bytes) =
        raw_layout(format, layout.width, layout.height, layout.bytes_per_line);
    let shape = FrameShape {
        format,
        width: layout.width,
        height: layout.height,
        stride,
    };
    Some((shape, picture_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::PixelFormat;

    fn layout(fourcc: &[u8; 4], field: u32, bytes_per_line: u32) -> Layout {
        Layout {
            fourcc: u32::from_le_bytes(*fourcc),
            width: 640,
            height: 360,
            field,
            bytes_per_line,
        }
    }

    #[test]
    fn the_drivers_padding_is_kept() {
        let none = sys::v4l2_field_V4L2_FIELD_NONE;
        let (shape, bytes) = shape_of(layout(b"YUYV", none, 1344)).expect("we read it");
        assert_eq!((shape.format, shape.stride), (PixelFormat::Yuyv, 1344));
        assert_eq!(bytes, 1344 * 360);
        let (shape, bytes) = shape_of(layout(b"MJPG", none, 999)).expect("we read it");
        assert_eq!((shape.stride, bytes), (0, 0));
    }

    #[test]
    fn half_pictures_and_unknown_formats_are_refused() {
        let alternate = sys::v4l2_field_V4L2_FIELD_ALTERNATE;
        assert!(shape_of(layout(b"YUYV", alternate, 0)).is_none());
        assert!(shape_of(layout(b"GREY", sys::v4l2_field_V4L2_FIELD_NONE, 0)).is_none());
    }

    #[test]
    fn what_is_no_camera_cannot_be_opened() {
        let mode = ChosenMode {
            format: PixelFormat::Yuyv,
            width: 640,
            height: 360,
            rate: FrameRate::whole(30),
        };
        let open = |path: &str| Capture::open(Path::new(path), &mode, CaptureOptions::default());
        assert!(matches!(
            open("/dev/null"),
            Err(OpenError::NotACamera { .. })
        ));
        assert!(matches!(
            open("/dev/video-of-nobody"),
            Err(OpenError::Vanished(_))
        ));
    }
}
