//! The promises of the CMAF writer and reader: to the bit, for all inputs, and to a real player.

mod corrupt;
mod cutting;
mod golden;
mod movie_peer;
mod movie_reader;
mod movies;
mod peer;
mod round_trip;

use bytes::Bytes;

use super::{TrackOrigin, TrackWriter};
use crate::media::{
    AccessUnit, AudioParameters, FrameRate, Part, TrackParameters, VideoParameters,
};

/// A record that parses, with made-up parameter sets of Constrained Baseline 3.1.
const AVCC: &[u8] = &[
    1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 5, 0x67, 0x42, 0xC0, 0x1F, 0x11, 1, 0, 4, 0x68, 0xCE, 0x3C,
    0x80,
];

fn video(frames_per_second: u32) -> TrackParameters {
    TrackParameters::Video(VideoParameters {
        avcc: Bytes::from_static(AVCC),
        width: 1280,
        height: 720,
        frame_rate: FrameRate::whole(frames_per_second),
        bitrate_bps: 2_000_000,
    })
}

fn audio(sample_rate: u32) -> TrackParameters {
    TrackParameters::Audio(AudioParameters {
        asc: Bytes::from_static(&[0x11, 0x90]),
        sample_rate,
        channels: 2,
        bitrate_bps: 192_000,
    })
}

fn writer(parameters: TrackParameters) -> TrackWriter {
    let origin = TrackOrigin {
        msn: 7,
        start_ticks: 1_000_000,
    };
    TrackWriter::new(parameters, origin).expect("these parameters can be written")
}

/// A unit whose bytes tell it from its neighbours.
fn unit(pts_ticks: u64, duration_ticks: u32, keyframe: bool) -> AccessUnit {
    let bytes = 40 + (pts_ticks / 1000 % 60) as usize;
    AccessUnit {
        pts_ticks,
        duration_ticks,
        keyframe,
        data: vec![(pts_ticks / 512) as u8; bytes].into(),
    }
}

/// Pictures of a steady encoder with a keyframe each two seconds; `frames_per_second` divides 90000.
fn pictures(frames_per_second: u32, count: u64) -> impl Iterator<Item = AccessUnit> {
    let duration = TrackParameters::VIDEO_TIMESCALE / frames_per_second;
    (0..count).map(move |index| {
        let keyframe = index % u64::from(2 * frames_per_second) == 0;
        unit(index * u64::from(duration), duration, keyframe)
    })
}

/// AAC frames of a steady encoder.
fn sounds(count: u64) -> impl Iterator<Item = AccessUnit> {
    (0..count).map(|index| unit(index * 1024, 1024, true))
}

fn push_all(writer: &mut TrackWriter, units: impl IntoIterator<Item = AccessUnit>) -> Vec<Part> {
    units
        .into_iter()
        .flat_map(|unit| writer.push(unit).expect("the unit is in order"))
        .collect()
}
