//! In which layout pictures reach encoders that do not take the source's, with real GStreamer.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gstreamer::prelude::*;

use super::ladder_tests::{RATE, frame, own_stream, rungs, units, wait_for};
use super::*;
use crate::media::*;

const COUNT: usize = 10;

/// Pictures as a camera gives them in this format; what they show does not matter.
fn pictures(format: PixelFormat) -> Vec<Frame> {
    let (stride, pictures) = match format {
        PixelFormat::H264 => (0, own_stream(30, COUNT as i32)),
        PixelFormat::Yuyv => (1_280, vec![Bytes::from(vec![128; 640 * 360 * 2]); COUNT]),
        _ => (640, vec![Bytes::from(vec![128; 640 * 360 * 3 / 2]); COUNT]),
    };
    let pictures = pictures.into_iter().enumerate();
    let frames = pictures.map(|(index, bytes)| {
        let numbered = frame(index as u64);
        Frame {
            shape: FrameShape {
                format,
                stride,
                ..numbered.shape
            },
            bytes: Box::new(bytes),
            ..numbered
        }
    });
    frames.collect()
}

/// Encodes pictures of a camera that has `source` with an encoder that takes `formats`. Every rung of it must see
/// `expected`, and all pictures come out.
fn check(source: PixelFormat, formats: &'static [&'static str], expected: &str) {
    let software = EncoderChoice::software();
    let entry = EncoderEntry {
        formats,
        ..*software.entry
    };
    let pictures = pictures(source);
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat {
                shape: pictures[0].shape,
                rate: RATE,
            }),
            audio: None,
        },
        EncodeOptions {
            rungs: rungs(),
            rate: RATE,
            encoder: EncoderChoice {
                entry: Box::leak(Box::new(entry)),
                ..software
            },
            own_h264: OwnH264::EncodeAgain,
        },
        Arc::new(move |event| sink.lock().expect("unpoisoned").push(event)),
    )
    .expect("the pipeline starts");
    for picture in pictures {
        wait_for(|| encoder.report().frames_waiting < 3);
        encoder.frame_input().push(picture);
    }
    wait_for(|| encoder.report().rungs.iter().all(|rung| rung.units > 0));
    for spec in rungs() {
        let element = encoder.pipeline.by_name(spec.rung.name());
        let pad = element.and_then(|element| element.static_pad("sink"));
        let caps = pad.and_then(|pad| pad.current_caps()).expect("negotiated");
        let seen = caps
            .structure(0)
            .and_then(|fields| fields.get::<String>("format").ok());
        assert_eq!(seen.as_deref(), Some(expected), "{source}, {}", spec.rung);
    }
    let report = encoder.report();
    assert_eq!((report.failure, report.frames_copied), (None, 0));
    encoder.stop();
    let events = events.lock().expect("unpoisoned");
    for spec in rungs() {
        let count = units(&events, RenditionId::video(spec.rung)).len();
        assert_eq!(count, COUNT, "{source}, {}", spec.rung);
    }
}

#[test]
fn an_encoder_that_takes_only_nv12_gets_it_whatever_the_camera_has() {
    check(PixelFormat::I420, &["NV12"], "NV12");
    check(PixelFormat::Yuyv, &["NV12"], "NV12");
    check(PixelFormat::H264, &["NV12"], "NV12");
}

#[test]
fn an_encoder_that_takes_only_i420_gets_it_from_a_camera_with_nv12() {
    check(PixelFormat::Nv12, &["I420"], "I420");
}

#[test]
fn what_the_encoder_takes_is_not_converted_to_what_it_likes_better() {
    check(PixelFormat::I420, &["NV12", "I420"], "I420");
    check(PixelFormat::Nv12, &["I420", "NV12"], "NV12");
    check(PixelFormat::Yuyv, &["NV12", "I420"], "I420");
}
