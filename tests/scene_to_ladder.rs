//! From the test scene through the encoder to pictures that ffmpeg decodes: the clock in the lowest rung
//! must read what the scene showed.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use perch::base::{Monotonic, Wall};
use perch::capture::{ScenePicture, read_clock};
use perch::encode::{EncodeOptions, EncoderChoice, OwnH264, SourceInput, VideoSource, start};
use perch::media::{
    AccessUnit, Frame, FrameFormat, FrameRate, LADDER, RenditionId, Rung, StreamEvent,
    TrackParameters, fit_ladder,
};

const PICTURES: u64 = 40;

#[test]
fn the_scenes_clock_reads_back_from_the_lowest_rung() {
    let rate = FrameRate::whole(30);
    let mut scene = ScenePicture::new(640, 360);
    let shape = scene.shape();
    let (events, received) = mpsc::channel();
    let encoder = start(
        SourceInput {
            video: VideoSource::Frames(FrameFormat { shape, rate }),
            audio: None,
        },
        EncodeOptions {
            rungs: fit_ladder(&LADDER, shape.width, shape.height),
            rate,
            encoder: EncoderChoice::software(),
            own_h264: OwnH264::Keep,
        },
        Arc::new(move |event| drop(events.send(event))),
    )
    .expect("the encoder starts");
    let input = encoder.frame_input();
    for index in 0..PICTURES {
        let mut picture = vec![0; scene.size_bytes()];
        scene.paint(index, shown_at(index), &mut picture);
        while input.waiting_count() >= 3 {
            thread::sleep(Duration::from_millis(1));
        }
        input.push(Frame {
            shape,
            captured_at: Monotonic(1_000_000_000 + index * 1_000_000_000 / 30),
            sequence: index as u32,
            bytes: Box::new(picture),
        });
    }
    encoder.stop();
    drop(encoder);

    let lowest = RenditionId::video(Rung::VeryLow);
    let mut stream = Vec::new();
    for event in received.iter() {
        match event {
            StreamEvent::TrackStarted {
                rendition,
                parameters: TrackParameters::Video(video),
            } if rendition == lowest => {
                stream = annex_b_parameter_sets(&video.avcc);
            }
            StreamEvent::Unit { rendition, unit } if rendition == lowest => {
                append_annex_b(&mut stream, &unit)
            }
            _ => {}
        }
    }
    let pictures = decode(stream, 426, 240);
    assert_eq!(pictures.len() as u64, PICTURES);
    for (index, picture) in pictures.iter().enumerate() {
        assert_eq!(
            read_clock(picture, 426, 240, 426),
            Some(shown_at(index as u64)),
            "picture {index}"
        );
    }
}

fn shown_at(index: u64) -> Wall {
    Wall(1_763_712_000_005 + index as i64 * 1_000 / 30)
}

/// The parameter sets of a decoder configuration record (ISO/IEC 14496-15 §5.3.3.1) with start codes.
fn annex_b_parameter_sets(avcc: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut rest = &avcc[5..];
    for mask in [0x1F, 0xFF] {
        let count = rest[0] & mask;
        rest = &rest[1..];
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(&rest[2..2 + length]);
            rest = &rest[2 + length..];
        }
    }
    stream
}

fn append_annex_b(stream: &mut Vec<u8>, unit: &AccessUnit) {
    let mut rest = &unit.data[..];
    while let Some((length, units)) = rest.split_first_chunk::<4>() {
        let (unit, after) = units.split_at(u32::from_be_bytes(*length) as usize);
        stream.extend_from_slice(&[0, 0, 0, 1]);
        stream.extend_from_slice(unit);
        rest = after;
    }
}

/// Luma planes of a stream, decoded by ffmpeg.
fn decode(stream: Vec<u8>, width: usize, height: usize) -> Vec<Vec<u8>> {
    let mut child = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "h264",
            "-i",
            "pipe:0",
            "-pix_fmt",
            "yuv420p",
            "-fps_mode",
            "passthrough",
            "-f",
            "rawvideo",
            "pipe:1",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed by scripts/test");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = thread::spawn(move || stdin.write_all(&stream));
    let output = child.wait_with_output().expect("ffmpeg runs");
    writer
        .join()
        .expect("no panic")
        .expect("ffmpeg reads everything");
    let size = width * height * 3 / 2;
    output
        .stdout
        .chunks_exact(size)
        .map(|picture| picture[..width * height].to_vec())
        .collect()
}
