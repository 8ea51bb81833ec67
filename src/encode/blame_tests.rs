//! Whom a run that fails is said to have failed for, with real GStreamer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use gstreamer::prelude::*;

use super::cadence::Grid;
use super::ladder_tests::{RATE, frame, plays_silence, rungs, wait_for};
use super::*;
use crate::media::*;

fn format() -> FrameFormat {
    FrameFormat {
        shape: frame(0).shape,
        rate: RATE,
    }
}

/// Starts a run; it is given no pictures unless a test pushes them.
fn run(microphone: Option<&str>, encoder: EncoderChoice) -> Result<Encoder, EncodeError> {
    let format_of_sound = AudioFormat {
        sample_rate: 48_000,
        channels: 2,
    };
    let device = |name: &str| AudioSource::Alsa {
        device: name.to_owned(),
        format: format_of_sound,
    };
    let video = VideoSource::Frames(format());
    run_of(video, microphone.map(device), encoder, Arc::new(|_| {}))
}

fn run_of(
    video: VideoSource,
    audio: Option<AudioSource>,
    encoder: EncoderChoice,
    sink: EventSink,
) -> Result<Encoder, EncodeError> {
    start(
        SourceInput { video, audio },
        EncodeOptions {
            rungs: rungs(),
            rate: RATE,
            encoder,
            own_h264: OwnH264::Keep,
        },
        sink,
    )
}

/// Lets an element say that it broke, as it does on its own thread.
fn break_element(encoder: &Encoder, is_meant: impl Fn(&gstreamer::Element) -> bool) {
    let elements = encoder.pipeline.children();
    let element = elements
        .iter()
        .find(|element| is_meant(element))
        .expect("the pipeline has it");
    gstreamer::element_error!(element, gstreamer::StreamError::Failed, ("it broke"));
    wait_for(|| encoder.report().failure.is_some());
}

fn is_made_by(element: &gstreamer::Element, factory: &str) -> bool {
    element.factory().is_some_and(|made| made.name() == factory)
}

fn has_alsa() -> bool {
    init().is_ok() && gstreamer::ElementFactory::find("alsasrc").is_some()
}

#[test]
fn a_microphone_that_cannot_be_opened_is_named_and_the_pictures_can_do_without() {
    if !has_alsa() {
        return;
    }
    let name = "hw:CARD=Nobody";
    let Err(error) = run(Some(name), EncoderChoice::software()) else {
        panic!("there is no such card");
    };
    let device = name.to_owned();
    assert_eq!(error.culprit(), Some(&Culprit::Sound { device }), "{error}");
    assert!(run(None, EncoderChoice::software()).is_ok());
}

#[test]
fn whatever_breaks_in_the_sound_is_the_sound_and_nothing_else_is() {
    if !plays_silence() {
        return;
    }
    for (factory, is_sound) in [
        ("alsasrc", true),
        ("audioresample", true),
        ("videoscale", false),
        ("appsrc", false),
    ] {
        let encoder = run(Some("null"), EncoderChoice::software()).expect("it starts");
        let elements = encoder.pipeline.children();
        if elements.iter().any(|element| is_made_by(element, factory)) {
            break_element(&encoder, |element| is_made_by(element, factory));
            let device = "null".to_owned();
            let expected = is_sound.then_some(Culprit::Sound { device });
            assert_eq!(encoder.report().culprit, expected, "{factory}");
        }
    }
}

/// The software encoder as if it were in silicon, and as what it is, each with whom to blame for it. What comes out of
/// it must be `output`.
fn choices(output: &'static str) -> [(EncoderChoice, Option<Culprit>); 2] {
    let software = EncoderChoice::software();
    let as_element = |element| {
        let entry = EncoderEntry {
            element,
            output,
            ..*software.entry
        };
        EncoderChoice {
            entry: Box::leak(Box::new(entry)),
            factory: software.factory.clone(),
        }
    };
    let factory = software.factory.clone();
    [
        (as_element("vah264enc"), Some(Culprit::Encoder { factory })),
        (as_element("x264enc"), None),
    ]
}

#[test]
fn an_encoder_in_silicon_is_blamed_and_one_in_software_is_not() {
    for (choice, expected) in choices(EncoderChoice::software().entry.output) {
        let encoder = run(None, choice).expect("it starts");
        break_element(&encoder, |element| is_made_by(element, "x264enc"));
        assert_eq!(encoder.report().culprit, expected);
    }
}

#[test]
fn an_encoder_in_silicon_that_cannot_be_linked_is_blamed() {
    for (choice, expected) in choices("video/x-h265") {
        let Err(error) = run(None, choice) else {
            panic!("it makes no H.265");
        };
        assert_eq!(error.culprit(), expected.as_ref(), "{error}");
    }
}

#[test]
fn an_encoder_in_silicon_that_refuses_its_pictures_is_blamed() {
    // No rung is as wide; GStreamer notices when the first picture comes, and says so where that comes from.
    for (choice, expected) in choices("video/x-h264,stream-format=byte-stream,width=222") {
        let encoder = run(None, choice).expect("it starts");
        encoder.frame_input().push(frame(0));
        wait_for(|| encoder.report().failure.is_some());
        let report = encoder.report();
        assert_eq!(report.culprit, expected, "{:?}", report.failure);
    }
}

#[test]
fn a_camera_that_gstreamer_cannot_open_is_the_camera_and_no_encoder() {
    if init().is_err() || gstreamer::ElementFactory::find("v4l2src").is_none() {
        return;
    }
    let video = VideoSource::V4l2 {
        path: "/dev/video-of-nobody".into(),
        format: format(),
    };
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let sink: EventSink = Arc::new(move |event| heard.lock().expect("unpoisoned").push(event));
    let Err(error) = run_of(video, None, EncoderChoice::software(), sink) else {
        panic!("there is no such camera");
    };
    assert_eq!(error.culprit(), Some(&Culprit::Camera), "{error}");
    let events = events.lock().expect("unpoisoned");
    let [
        StreamEvent::RunEnded {
            failure: Some(failure),
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(failure.fault, Fault::Source, "{}", failure.reason);
}

#[test]
fn pictures_that_a_device_lacks_are_counted_by_the_time_that_they_took() {
    let encoder = run(None, EncoderChoice::software()).expect("it starts");
    let elements = encoder.pipeline.children();
    let find = |is_it: fn(&gstreamer::Element) -> bool| {
        let found = elements.iter().find(|element| is_it(element));
        found.expect("the pipeline has it").clone()
    };
    let camera = find(|element| element.is::<gstreamer_app::AppSrc>());
    let other = find(|element| is_made_by(element, "x264enc"));
    let rate = FrameRate {
        numerator: 30_000,
        denominator: 1_001,
    };
    let suspects = BTreeMap::from([(camera.name().to_string(), Culprit::Camera)]);
    encoder.listen(suspects, Grid::new(rate));
    for (element, missing_ms, expected) in [
        (&camera, Some(100), 3),
        (&camera, None, 4),
        // Encoders and decoders tell of what they leave out in the same way.
        (&other, Some(100), 4),
        (&camera, Some(33), 5),
    ] {
        let message = gstreamer::message::Qos::builder(true)
            .duration(missing_ms.map(gstreamer::ClockTime::from_mseconds))
            .src(element)
            .build();
        element.post_message(message).expect("it has a bus");
        assert_eq!(encoder.report().frames_lost, expected);
    }
}
