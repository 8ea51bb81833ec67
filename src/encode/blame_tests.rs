//! Whom a run that fails is said to have failed for, with real GStreamer.

use std::sync::Arc;

use gstreamer::prelude::*;

use super::ladder_tests::{RATE, frame, rungs, wait_for};
use super::*;
use crate::media::*;

/// Starts a run; it is given no pictures unless a test pushes them.
fn run(microphone: Option<&str>, encoder: EncoderChoice) -> Result<Encoder, EncodeError> {
    let format = AudioFormat {
        sample_rate: 48_000,
        channels: 2,
    };
    let device = |name: &str| AudioSource::Alsa {
        device: name.to_owned(),
        format,
    };
    start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat {
                shape: frame(0).shape,
                rate: RATE,
            }),
            audio: microphone.map(device),
        },
        EncodeOptions {
            rungs: rungs(),
            rate: RATE,
            encoder,
            own_h264: OwnH264::Keep,
        },
        Arc::new(|_| {}),
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
    if !has_alsa() {
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

#[test]
fn an_encoder_in_silicon_is_blamed_and_one_in_software_is_not() {
    let in_silicon = EncoderEntry {
        element: "vah264enc",
        ..*EncoderChoice::software().entry
    };
    let in_silicon = EncoderChoice {
        entry: Box::leak(Box::new(in_silicon)),
        factory: "x264enc".to_owned(),
    };
    let factory = in_silicon.factory.clone();
    for (choice, expected) in [
        (in_silicon, Some(Culprit::Encoder { factory })),
        (EncoderChoice::software(), None),
    ] {
        let encoder = run(None, choice).expect("it starts");
        break_element(&encoder, |element| is_made_by(element, "x264enc"));
        assert_eq!(encoder.report().culprit, expected);
    }
}
