//! The pipeline with real GStreamer, from scene pictures to access units.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use gstreamer::prelude::*;

use super::*;
use crate::base::{Clock, Monotonic, SystemClock};
use crate::media::*;

pub(super) const RATE: FrameRate = FrameRate::whole(30);
const PERIOD_NS: u64 = 1_000_000_000 / 30;

/// A quarter-size picture with numbered content; no camera is asked.
pub(super) fn frame(index: u64) -> Frame {
    let shape = FrameShape {
        format: PixelFormat::I420,
        width: 640,
        height: 360,
        stride: 640,
    };
    let mut picture = vec![128u8; 640 * 360 * 3 / 2];
    for (n, pixel) in picture[..640 * 360].iter_mut().enumerate() {
        *pixel = ((n as u64 * 7 + n as u64 / 640 * 3 + index * 5) % 200) as u8 + 20;
    }
    Frame {
        shape,
        captured_at: Monotonic(1_000_000_000 + index * 1_000_000_000 / 30),
        sequence: index as u32,
        bytes: Box::new(picture),
    }
}

pub(super) fn rungs() -> Vec<RungSpec> {
    fit_ladder(&LADDER, 640, 360)
}

/// Whether sound can be taken from `null`, ALSA's own device of silence, which every installation has. GStreamer 1.24.2
/// looks for the end of a device's DSD rates and never finds it where any rate will do; 1.26 has it right, 1.22 does not
/// look.
pub(super) fn plays_silence() -> bool {
    let has_alsa =
        gstreamer::init().is_ok() && gstreamer::ElementFactory::find("alsasrc").is_some();
    let (major, minor, ..) = gstreamer::version();
    has_alsa && (major, minor) != (1, 24)
}

pub(super) struct Run {
    encoder: Encoder,
    events: Arc<Mutex<Vec<StreamEvent>>>,
}

impl Run {
    pub(super) fn start(audio: Option<AudioFormat>) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        let encoder = start(
            SourceInput {
                video: VideoSource::Frames(FrameFormat {
                    shape: frame(0).shape,
                    rate: RATE,
                }),
                audio: audio.map(AudioSource::Pushed),
            },
            EncodeOptions {
                rungs: rungs(),
                rate: RATE,
                encoder: EncoderChoice::software(),
                own_h264: OwnH264::Keep,
            },
            Arc::new(move |event| sink.lock().expect("unpoisoned").push(event)),
        )
        .expect("the pipeline starts");
        Self { encoder, events }
    }

    /// Pushes pictures as fast as they are taken.
    pub(super) fn push(&self, range: std::ops::Range<u64>) {
        let input = self.encoder.frame_input();
        for index in range {
            wait_for(|| self.encoder.report().frames_waiting < 3);
            input.push(frame(index));
        }
    }

    pub(super) fn stop(self) -> Vec<StreamEvent> {
        self.encoder.stop();
        std::mem::take(&mut *self.events.lock().expect("unpoisoned"))
    }
}

pub(super) fn units(events: &[StreamEvent], id: RenditionId) -> Vec<AccessUnit> {
    let of = |event: &StreamEvent| match event {
        StreamEvent::Unit { rendition, unit } if *rendition == id => Some(unit.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn every_rung_has_its_keyframes_at_exactly_two_seconds() {
    let run = Run::start(None);
    run.push(0..130);
    let report = run.encoder.report();
    assert_eq!(report.frames_dropped, 0);
    assert_eq!(report.frames_copied, 0, "raw pictures are lent, not copied");
    let events = run.stop();
    assert!(
        matches!(events.first(), Some(StreamEvent::RunStarted { first_picture_at }) if first_picture_at.0 == 1_000_000_000)
    );
    assert!(matches!(
        events.last(),
        Some(StreamEvent::RunEnded { failure: None })
    ));
    for spec in rungs() {
        let units = units(&events, RenditionId::video(spec.rung));
        assert_eq!(units.len(), 130, "{}: stop delivers everything", spec.rung);
        let keys: Vec<u64> = units
            .iter()
            .filter(|unit| unit.keyframe)
            .map(|unit| unit.pts_ticks)
            .collect();
        assert_eq!(keys, [0, 180_000, 360_000], "{}", spec.rung);
        assert!(units.iter().enumerate().all(|(n, unit)| unit.pts_ticks == n as u64 * 3_000 && unit.duration_ticks == 3_000));
    }
}

#[test]
fn a_pause_of_the_source_loses_no_picture_after_it_and_leaves_no_hole() {
    let run = Run::start(None);
    run.push(0..50);
    run.push(95..130);
    assert_eq!(run.encoder.report().frames_dropped, 0);
    let events = run.stop();
    for spec in rungs() {
        let units = units(&events, RenditionId::video(spec.rung));
        let starts: Vec<u64> = units.iter().map(|unit| unit.pts_ticks / 3_000).collect();
        let bridge = [50, 60, 70, 80, 90];
        let shown: Vec<u64> = (0..50).chain(bridge).chain(95..130).collect();
        assert_eq!(starts, shown, "{}", spec.rung);
        assert!(
            units
                .windows(2)
                .all(|pair| pair[0].pts_ticks + u64::from(pair[0].duration_ticks)
                    == pair[1].pts_ticks)
        );
        let keys = units.iter().filter(|unit| unit.keyframe);
        assert_eq!(
            keys.map(|unit| unit.pts_ticks).collect::<Vec<_>>(),
            [0, 180_000, 360_000]
        );
    }
}

#[test]
fn sound_is_gapless_and_starts_with_the_pictures() {
    let format = AudioFormat {
        sample_rate: 48_000,
        channels: 2,
    };
    let run = Run::start(Some(format));
    let sound = run.encoder.sound_input().expect("sound was asked for");
    // The first block is heard 50 ms before the first picture.
    for block in 0..40u64 {
        sound.push(AudioBlock {
            captured_at: Monotonic(950_000_000 + block * 20_000_000),
            samples: Bytes::from(vec![7; 960 * 4]),
        });
    }
    run.push(0..20);
    let events = run.stop();
    for spec in rungs() {
        let units = units(&events, RenditionId::audio(spec.rung));
        assert!(units.len() >= 30, "{}", units.len());
        assert!(units[0].pts_ticks < 2 * 1_024);
        assert!(
            units
                .windows(2)
                .all(|pair| pair[1].pts_ticks - pair[0].pts_ticks == 1_024)
        );
    }
}

#[test]
fn a_shed_rung_comes_back_with_a_keyframe_at_the_next_segment() {
    let run = Run::start(None);
    run.push(0..40);
    run.encoder.set_running(Rung::Low, false);
    run.push(40..70);
    run.encoder.set_running(Rung::Low, true);
    run.push(70..130);
    let events = run.stop();
    let low = RenditionId::video(Rung::Low);
    let resumed = units(&events, low)
        .into_iter()
        .find(|unit| unit.pts_ticks >= 70 * 3_000)
        .expect("it came back");
    assert_eq!((resumed.pts_ticks, resumed.keyframe), (360_000, true));
    let marks: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::TrackStarted { rendition, .. } if *rendition == low => Some(true),
            StreamEvent::TrackPaused { rendition } if *rendition == low => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(marks, [true, false, true]);
    assert_eq!(
        units(&events, RenditionId::video(Rung::VeryLow)).len(),
        130,
        "the other rung does not notice"
    );
}

#[test]
fn a_picture_of_another_size_is_refused_and_counted() {
    let run = Run::start(None);
    let mut odd = frame(0);
    odd.bytes = Box::new(vec![0u8; 100]);
    run.encoder.frame_input().push(odd);
    run.push(1..5);
    wait_for(|| run.encoder.report().rungs[0].units == 4);
    assert_eq!(run.encoder.report().frames_malformed, 1);
    run.stop();
}

#[test]
fn dropped_pictures_are_counted_and_leave_no_hole() {
    let run = Run::start(None);
    let frames: Vec<Frame> = (0..30).map(frame).collect();
    let input = run.encoder.frame_input();
    let encoder = &run.encoder;
    for frame in frames {
        let first = frame.sequence == 0;
        input.push(frame);
        wait_for(|| !first || encoder.report().rungs[0].units == 1);
    }
    wait_for(|| encoder.report().rungs.iter().all(|rung| rung.units == 30));
    let report = encoder.report();
    assert!(report.frames_dropped > 0);
    assert_eq!(report.frames_repeated, report.frames_dropped);
    let units = units(&run.stop(), RenditionId::video(Rung::Low));
    assert!(
        units
            .iter()
            .enumerate()
            .all(|(n, unit)| unit.pts_ticks == n as u64 * 3_000)
    );
}

#[test]
fn an_error_in_the_pipeline_ends_the_run_once_and_for_all() {
    let run = Run::start(None);
    run.push(0..3);
    gstreamer::element_error!(
        run.encoder.pipeline,
        gstreamer::StreamError::Encode,
        ("the driver is gone")
    );
    run.encoder.frame_input().push(frame(3));
    assert!(
        run.encoder
            .report()
            .failure
            .is_some_and(|reason| reason.contains("the driver is gone"))
    );
    let events = run.stop();
    let endings = events
        .iter()
        .filter(|event| matches!(event, StreamEvent::RunEnded { .. }))
        .count();
    assert_eq!(endings, 1);
    assert!(
        matches!(
            events.last(),
            Some(StreamEvent::RunEnded { failure: Some(_) })
        ),
        "nothing follows the end"
    );
}

#[test]
fn a_still_is_a_jpeg_no_wider_than_asked() {
    let run = Run::start(None);
    let input = run.encoder.frame_input();
    let still = std::thread::scope(|scope| {
        let still = scope.spawn(|| run.encoder.still(320));
        for index in 0.. {
            if still.is_finished() {
                break;
            }
            input.push(frame(index));
            std::thread::sleep(Duration::from_millis(5));
        }
        still.join().expect("no panic").expect("a still")
    });
    assert!(still.starts_with(&[0xFF, 0xD8]));
    let size = still
        .windows(9)
        .find(|bytes| bytes[..2] == [0xFF, 0xC0])
        .expect("a frame header");
    assert_eq!(size[5..9], [0, 180, 1, 64], "180 rows of 320");
    run.stop();
}

#[test]
fn a_device_that_gstreamer_reads_lands_on_the_same_grid() {
    // A live test source stands for the driver: the same element stands behind it.
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&said);
    let outlet = Arc::new(super::outlet::Outlet::new(
        Arc::new(move |event| sink.lock().expect("unpoisoned").push(event)),
        Arc::new(SystemClock),
    ));
    init().expect("GStreamer starts");
    let formats = EncoderChoice::software().entry.formats;
    let graph = super::graph::Graph::for_encoder(formats);
    let device = super::graph::make("videotestsrc").expect("installed");
    device.set_property("is-live", true);
    device.set_property("num-buffers", 12i32);
    let format = FrameFormat {
        shape: FrameShape {
            format: PixelFormat::Yuyv,
            ..frame(0).shape
        },
        rate: FrameRate::whole(60),
    };
    let raw = graph
        .device_source(&device, format, RATE, &outlet)
        .expect("built");
    let flow = super::rung_flow::RungFlow::new(
        rungs()[0],
        super::cadence::Grid::new(RATE),
        Arc::clone(&outlet),
    );
    graph
        .ladder(
            &raw,
            (640, 360),
            &[(Arc::new(flow), EncoderChoice::software())],
            RATE,
        )
        .expect("built");
    graph
        .pipeline
        .use_clock(Some(&gstreamer::SystemClock::obtain()));
    graph
        .pipeline
        .set_state(gstreamer::State::Playing)
        .expect("started");
    graph.pipeline.bus().expect("a bus").timed_pop_filtered(
        gstreamer::ClockTime::from_seconds(10),
        &[gstreamer::MessageType::Eos],
    );
    graph
        .pipeline
        .set_state(gstreamer::State::Null)
        .expect("stopped");
    let events = std::mem::take(&mut *said.lock().expect("unpoisoned"));
    let Some(StreamEvent::RunStarted { first_picture_at }) = events.first() else {
        panic!("{events:?}")
    };
    assert!(SystemClock.monotonic().since(*first_picture_at) < Duration::from_secs(20));
    let units = units(&events, RenditionId::video(Rung::VeryLow));
    assert!((5..=7).contains(&units.len()), "{}", units.len());
    assert!(
        units[0].keyframe
            && units
                .iter()
                .enumerate()
                .all(|(n, unit)| unit.pts_ticks == n as u64 * 3_000)
    );
}

#[test]
fn sound_from_alsa_is_encoded() {
    if !plays_silence() {
        return;
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let format = AudioFormat {
        sample_rate: 48_000,
        channels: 2,
    };
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat {
                shape: frame(0).shape,
                rate: RATE,
            }),
            audio: Some(AudioSource::Alsa {
                device: "null".to_owned(),
                format,
            }),
        },
        EncodeOptions {
            rungs: rungs(),
            rate: RATE,
            encoder: EncoderChoice::software(),
            own_h264: OwnH264::Keep,
        },
        Arc::new(move |event| sink.lock().expect("unpoisoned").push(event)),
    )
    .expect("the pipeline starts");
    encoder.frame_input().push(Frame {
        captured_at: SystemClock.monotonic(),
        ..frame(0)
    });
    let sound = RenditionId::audio(Rung::Low);
    wait_for(|| units(&events.lock().expect("unpoisoned"), sound).len() >= 5);
    encoder.stop();
    let units = units(&events.lock().expect("unpoisoned"), sound);
    // This device delivers as fast as it is read, so when its sound begins and how it goes on says nothing.
    assert!(units.iter().all(|unit| unit.duration_ticks == 1_024));
}

/// Access units as a camera with its own encoder would give them, a keyframe every `gop` pictures.
pub(super) fn own_stream(gop: u32, count: i32) -> Vec<Bytes> {
    init().expect("GStreamer starts");
    let text = format!(
        "videotestsrc num-buffers={count} pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=30/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} option-string=scenecut=0 \
         ! video/x-h264,stream-format=byte-stream,alignment=au,profile=constrained-baseline \
         ! appsink name=out sync=false"
    );
    let pipeline = gstreamer::parse::launch(&text)
        .expect("parsed")
        .downcast::<gstreamer::Pipeline>()
        .expect("a pipeline");
    let sink = pipeline
        .by_name("out")
        .expect("named")
        .downcast::<gstreamer_app::AppSink>()
        .expect("an appsink");
    pipeline
        .set_state(gstreamer::State::Playing)
        .expect("started");
    let units = std::iter::from_fn(|| sink.pull_sample().ok())
        .filter_map(|sample| {
            Some(Bytes::copy_from_slice(
                &sample.buffer()?.map_readable().ok()?,
            ))
        })
        .collect();
    pipeline.set_state(gstreamer::State::Null).expect("stopped");
    units
}

/// Runs a stream of which the camera gives a picture every `period_ns`.
fn run_own_stream(
    units: Vec<Bytes>,
    own_h264: OwnH264,
    period_ns: u64,
) -> (EncodeReport, Vec<StreamEvent>) {
    let shape = FrameShape {
        format: PixelFormat::H264,
        stride: 0,
        ..frame(0).shape
    };
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat { shape, rate: RATE }),
            audio: None,
        },
        EncodeOptions {
            rungs: rungs(),
            rate: RATE,
            encoder: EncoderChoice::software(),
            own_h264,
        },
        Arc::new(move |event| sink.lock().expect("unpoisoned").push(event)),
    )
    .expect("the pipeline starts");
    for (index, unit) in units.into_iter().enumerate() {
        wait_for(|| encoder.report().frames_waiting < 3);
        encoder.frame_input().push(Frame {
            shape,
            captured_at: Monotonic(1_000_000_000 + index as u64 * period_ns),
            sequence: index as u32,
            bytes: Box::new(unit),
        });
    }
    wait_for(|| encoder.report().frames_waiting == 0);
    let report = encoder.report();
    encoder.stop();
    let events = std::mem::take(&mut *events.lock().expect("unpoisoned"));
    (report, events)
}

#[test]
fn a_cameras_own_stream_becomes_the_top_rung_untouched() {
    let own = own_stream(30, 70);
    let sizes: Vec<usize> = own[1..].iter().map(Bytes::len).collect();
    let (report, events) = run_own_stream(own, OwnH264::Keep, PERIOD_NS);
    assert_eq!(report.rungs[1].encoder, "camera");
    let top = units(&events, RenditionId::video(Rung::Low));
    assert_eq!(top.len(), 70);
    assert!(
        top[1..]
            .iter()
            .zip(sizes)
            .all(|(unit, size)| unit.data.len().abs_diff(size) < 64),
        "nothing was encoded again"
    );
    for rung in [Rung::Low, Rung::VeryLow] {
        let units = units(&events, RenditionId::video(rung));
        assert_eq!(units.len(), 70, "{rung}");
        assert!(
            units[0].keyframe && units[60].keyframe && units[60].pts_ticks == 180_000,
            "{rung}"
        );
    }
}

#[test]
fn a_cameras_own_stream_is_kept_though_its_clock_is_fast_or_slow() {
    let own = own_stream(30, 130);
    // So far off that a picture too many, or a place left empty, would come within two seconds.
    for period_ns in [PERIOD_NS * 98 / 100, PERIOD_NS * 102 / 100] {
        let (report, events) = run_own_stream(own.clone(), OwnH264::Keep, period_ns);
        assert_eq!(report.failure, None, "{period_ns} ns");
        let top = units(&events, RenditionId::video(Rung::Low));
        let places: Vec<u64> = top.iter().map(|unit| unit.pts_ticks / 3_000).collect();
        assert_eq!(places, (0..130).collect::<Vec<_>>());
        assert!(top[60].keyframe && top[120].keyframe);
    }
}

#[test]
fn a_cameras_own_stream_off_the_grid_is_refused_and_encoded_again() {
    let own = own_stream(50, 70);
    let (report, events) = run_own_stream(own.clone(), OwnH264::Keep, PERIOD_NS);
    assert_eq!(report.culprit, Some(Culprit::OwnH264));
    assert!(
        report
            .failure
            .is_some_and(|reason| reason.contains("no keyframe"))
    );
    assert!(matches!(
        events.last(),
        Some(StreamEvent::RunEnded { failure: Some(_) })
    ));
    let (report, events) = run_own_stream(own, OwnH264::EncodeAgain, PERIOD_NS);
    assert_eq!((report.culprit, report.failure), (None, None));
    let keys: Vec<u64> = units(&events, RenditionId::video(Rung::Low))
        .iter()
        .filter(|unit| unit.keyframe)
        .map(|unit| unit.pts_ticks)
        .collect();
    assert_eq!(keys, [0, 180_000]);
}

/// Polls; a pipeline that never gets there fails the test instead of hanging it.
pub(super) fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it never came");
}
