//! The pipeline with real GStreamer, from scene pictures to access units.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::Monotonic;
use crate::media::*;

const RATE: FrameRate = FrameRate::whole(30);

/// A quarter-size picture with numbered content; no camera is asked.
fn frame(index: u64) -> Frame {
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

fn rungs() -> Vec<RungSpec> {
    fit_ladder(&LADDER, 640, 360)
}

struct Run {
    encoder: Encoder,
    events: Arc<Mutex<Vec<StreamEvent>>>,
}

impl Run {
    fn start(audio: Option<AudioFormat>) -> Self {
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
            },
            Arc::new(move |event| sink.lock().expect("unpoisoned").push(event)),
        )
        .expect("the pipeline starts");
        Self { encoder, events }
    }

    /// Pushes pictures as fast as they are taken.
    fn push(&self, range: std::ops::Range<u64>) {
        let input = self.encoder.frame_input();
        for index in range {
            while self.encoder.report().frames_waiting >= 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
            input.push(frame(index));
        }
    }

    fn stop(self) -> Vec<StreamEvent> {
        self.encoder.stop();
        std::mem::take(&mut *self.events.lock().expect("unpoisoned"))
    }
}

fn units(events: &[StreamEvent], id: RenditionId) -> Vec<AccessUnit> {
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
    while run.encoder.report().rungs[0].units < 4 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(run.encoder.report().frames_malformed, 1);
    run.stop();
}
