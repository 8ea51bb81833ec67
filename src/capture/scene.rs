//! The built-in test scene: a camera and a microphone made of arithmetic, for machines that have none and for
//! tests. It keeps a camera's habits: a steady rate, buffers from a fixed pool, lost pictures when nobody
//! gives buffers back. What it shows is in `scene_picture`, its readable clock in `scene_clock`.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use super::scene_picture::ScenePicture;
use super::scene_pool::FramePool;
use super::scene_tone::{SceneTone, TONE_BLOCK_SAMPLES, TONE_FORMAT};
use super::stream::FrameSink;
use crate::base::{Clock, Monotonic};
use crate::media::{
    AudioBlock, AudioFormat, Frame, FrameFormat, FrameRate, FrameShape, PixelFormat,
};

/// Buffers in the pool: what a driver usually grants, and enough for the encoder's queue and its rungs.
const POOL_FRAMES: usize = 8;
/// The thread looks at its stop flag at least this often.
const NAP_MAX: Duration = Duration::from_millis(50);

/// Receives each block of sound on the scene's thread.
pub type AudioSink = Box<dyn FnMut(AudioBlock) + Send>;

/// What the scene shows.
#[derive(Clone, Copy, Debug)]
pub struct SceneOptions {
    /// Pixels a row, even and at least 64.
    pub width: u32,
    /// Rows, even and at least 64.
    pub height: u32,
    /// Pictures a second.
    pub rate: FrameRate,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self {
            width: 1_920,
            height: 1_080,
            rate: FrameRate::whole(30),
        }
    }
}

impl SceneOptions {
    /// What the scene's frames look like.
    pub fn format(&self) -> FrameFormat {
        let even = |size: u32| size.max(64) & !1;
        FrameFormat {
            shape: FrameShape {
                format: PixelFormat::I420,
                width: even(self.width),
                height: even(self.height),
                stride: even(self.width),
            },
            rate: self.rate,
        }
    }

    /// What the scene's sound looks like.
    pub fn audio_format(&self) -> AudioFormat {
        TONE_FORMAT
    }
}

/// What a scene has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SceneCounters {
    /// Pictures handed to the sink.
    pub frames: u64,
    /// Pictures lost because every buffer was out, or the thread came too late.
    pub lost: u64,
}

/// A running scene. Dropping it stops it.
pub struct TestScene {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    frames: AtomicU64,
    lost: AtomicU64,
}

impl TestScene {
    /// Starts the scene's thread. Both sinks run on it, so they must not block for long.
    /// Fails if the system has no thread left.
    pub fn start(
        options: SceneOptions,
        clock: Arc<dyn Clock>,
        frames: FrameSink,
        audio: Option<AudioSink>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("scene".into()).spawn({
            let shared = Arc::clone(&shared);
            move || Performance::new(options, clock, shared).play(frames, audio)
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// What it has done so far.
    pub fn counters(&self) -> SceneCounters {
        SceneCounters {
            frames: self.shared.frames.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
        }
    }

    /// Stops the thread and waits for it, some 50 ms at the longest unless a sink blocks.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the test scene's thread panicked");
        }
    }
}

impl Drop for TestScene {
    fn drop(&mut self) {
        self.join();
    }
}

/// What the thread owns.
struct Performance {
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    rate: FrameRate,
    picture: ScenePicture,
    tone: SceneTone,
    pool: FramePool,
}

impl Performance {
    fn new(options: SceneOptions, clock: Arc<dyn Clock>, shared: Arc<Shared>) -> Self {
        let picture = ScenePicture::new(options.width, options.height);
        Self {
            pool: FramePool::new(POOL_FRAMES, picture.size_bytes()),
            tone: SceneTone::default(),
            rate: options.rate,
            picture,
            clock,
            shared,
        }
    }

    /// Every picture and block has its moment, counted from the start, so that nothing drifts.
    fn play(mut self, mut frames: FrameSink, mut audio: Option<AudioSink>) {
        let start = self.clock.monotonic();
        let (mut picture, mut block) = (0u64, 0u64);
        loop {
            let picture_due = start.after(self.picture_offset(picture));
            let block_end = start.after(block_offset(block + 1));
            let sound_first = audio.is_some() && block_end <= picture_due;
            if !self.wait_until(if sound_first { block_end } else { picture_due }) {
                return;
            }
            match &mut audio {
                Some(sink) if sound_first => {
                    sink(self.block(start.after(block_offset(block))));
                    block += 1;
                }
                _ => {
                    if let Some(frame) = self.frame(picture, picture_due) {
                        frames(frame);
                    }
                    picture = self.next_picture(picture, start);
                }
            }
        }
    }

    /// The picture after `picture`, leaving out those that are more than one period late already.
    fn next_picture(&self, picture: u64, start: Monotonic) -> u64 {
        let running = self.clock.monotonic().since(start).as_nanos() as u64;
        let due = running * u64::from(self.rate.numerator)
            / (u64::from(self.rate.denominator) * 1_000_000_000);
        let next = (picture + 1).max(due.saturating_sub(1));
        self.shared
            .lost
            .fetch_add(next - picture - 1, Ordering::Relaxed);
        next
    }

    fn frame(&mut self, index: u64, captured_at: Monotonic) -> Option<Frame> {
        // Without memory, as with all buffers out, the picture is lost and the next one tries again.
        let Ok(Some(mut buffer)) = self.pool.lend() else {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let wall = self.clock.wall_at(captured_at);
        self.picture.paint(index, wall, buffer.bytes_mut());
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        Some(Frame {
            shape: self.picture.shape(),
            captured_at,
            sequence: index as u32,
            bytes: Box::new(buffer),
        })
    }

    fn block(&mut self, captured_at: Monotonic) -> AudioBlock {
        AudioBlock {
            captured_at,
            samples: Bytes::from(self.tone.next_block(self.clock.wall_at(captured_at))),
        }
    }

    fn picture_offset(&self, index: u64) -> Duration {
        let ns = u128::from(index) * u128::from(self.rate.denominator) * 1_000_000_000
            / u128::from(self.rate.numerator.max(1));
        Duration::from_nanos(ns as u64)
    }

    /// Sleeps until `moment`; false if the scene is to stop.
    fn wait_until(&self, moment: Monotonic) -> bool {
        loop {
            if self.shared.stopping.load(Ordering::Relaxed) {
                return false;
            }
            let left = moment.since(self.clock.monotonic());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(NAP_MAX));
        }
    }
}

/// When block `index` starts; exact, for 20 ms are a whole number of samples.
fn block_offset(index: u64) -> Duration {
    let samples = index * TONE_BLOCK_SAMPLES as u64;
    Duration::from_nanos(samples * 1_000_000_000 / u64::from(TONE_FORMAT.sample_rate))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::base::SystemClock;
    use crate::capture::read_clock;

    const SMALL: SceneOptions = SceneOptions {
        width: 160,
        height: 120,
        rate: FrameRate::whole(100),
    };

    #[test]
    fn pictures_and_sound_come_in_step_and_on_time() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (frames, received_frames) = mpsc::channel();
        let (blocks, received_blocks) = mpsc::channel();
        let scene = TestScene::start(
            SMALL,
            Arc::clone(&clock),
            Box::new(move |frame| drop(frames.send(frame))),
            Some(Box::new(move |block| drop(blocks.send(block)))),
        )
        .expect("a thread starts");
        let blocks: Vec<AudioBlock> = received_blocks.iter().take(5).collect();
        for pair in blocks.windows(2) {
            assert_eq!(
                pair[1].captured_at.since(pair[0].captured_at),
                Duration::from_millis(20)
            );
            assert_eq!(pair[0].samples.len(), 960 * 4);
        }
        let frame = received_frames.recv().expect("a picture");
        assert_eq!(
            frame.captured_at, blocks[0].captured_at,
            "both start together"
        );
        let shown = read_clock((*frame.bytes).as_ref(), 160, 120, 160).expect("a clock");
        assert!((shown - clock.wall_at(frame.captured_at)).abs() <= 2);
        scene.stop();
    }

    #[test]
    fn pictures_that_nobody_gives_back_are_lost_and_counted() {
        let (frames, received) = mpsc::channel();
        let scene = TestScene::start(
            SMALL,
            Arc::new(SystemClock),
            Box::new(move |frame| drop(frames.send(frame))),
            None,
        )
        .expect("a thread starts");
        let mut kept: Vec<Frame> = received.iter().take(POOL_FRAMES).collect();
        while scene.counters().lost == 0 {
            thread::yield_now();
        }
        assert_eq!(scene.counters().frames, POOL_FRAMES as u64);
        let last = kept.last().expect("eight came").sequence;
        kept.clear();
        let after = received.recv().expect("buffers are back");
        assert!(after.sequence > last + 1, "the loss shows in the sequence");
        scene.stop();
    }
}
