//! Segments whose every byte follows from their camera, rendition, run and number, so that whoever finds one on a disk
//! knows what it must be. Small and frequent: a cut then falls into the middle of something.

use std::sync::Arc;

use bytes::Bytes;
use perch::base::{CameraId, Wall};
use perch::media::{
    AudioParameters, FrameRate, InitSegment, Part, RenditionId, Rung, Segment, TrackKind,
    TrackParameters, VideoParameters,
};

use super::cut::Luck;

/// How long each is, in ms.
pub(crate) const SEGMENT_MS: u64 = 250;

/// What every part holds somewhere.
pub(crate) const MARK: &[u8] = b"perch-power-cut:";

/// 2026-11-21T23:59:45Z: a day ends soon after.
const BEGAN: Wall = Wall(1_795_305_585_000);

const PARTS: u32 = 2;
const AUDIO_RATE: u32 = 48_000;

/// Cameras and renditions, in the order in which each round records them.
pub(crate) fn tracks() -> Vec<(CameraId, RenditionId)> {
    let renditions = [
        RenditionId::video(Rung::Low),
        RenditionId::video(Rung::High),
        RenditionId::audio(Rung::High),
    ];
    ["one", "two"]
        .map(CameraId::from_description)
        .iter()
        .flat_map(|camera| renditions.map(|rendition| (camera.clone(), rendition)))
        .collect()
}

/// `one/high`.
pub(crate) fn track_name(camera: &CameraId, rendition: RenditionId) -> String {
    format!("{camera}/{rendition}")
}

/// The header of a run.
fn init(rendition: RenditionId) -> Arc<InitSegment> {
    let bitrate_bps = 8 * 1000 / SEGMENT_MS as u32 * payload_bytes(rendition) as u32;
    let parameters = match rendition.kind {
        TrackKind::Audio => TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: AUDIO_RATE,
            channels: 2,
            bitrate_bps,
        }),
        TrackKind::Video => TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F]),
            width: 1280,
            height: 720,
            frame_rate: FrameRate::whole(30),
            bitrate_bps,
        }),
    };
    Arc::new(InitSegment {
        parameters,
        bytes: boxed(*b"moov", rendition.name().as_bytes()),
    })
}

fn payload_bytes(rendition: RenditionId) -> usize {
    match (rendition.kind, rendition.rung) {
        (TrackKind::Audio, _) => 1_700,
        (TrackKind::Video, Rung::High) => 24_000,
        (TrackKind::Video, _) => 7_000,
    }
}

/// A box as media has them.
fn boxed(kind: [u8; 4], payload: &[u8]) -> Bytes {
    let size = (payload.len() as u32 + 8).to_be_bytes();
    [&size[..], &kind, payload].concat().into()
}

fn payload(camera: &CameraId, rendition: RenditionId, run: u64, msn: u64, index: u32) -> Vec<u8> {
    let name = format!("{camera} {rendition} {run} {msn} {index};");
    let mut luck = Luck::new(name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    }));
    let mut bytes = [MARK, name.as_bytes()].concat();
    let end = payload_bytes(rendition) / PARTS as usize;
    while bytes.len() < end {
        bytes.extend(luck.next().to_be_bytes());
    }
    bytes
}

/// Makes one.
pub(crate) fn segment(
    camera: &CameraId,
    rendition: RenditionId,
    run: u64,
    msn: u64,
) -> Arc<Segment> {
    let init = init(rendition);
    let ticks = u64::from(init.parameters.timescale()) * SEGMENT_MS / 1000;
    let part_ticks = ticks / u64::from(PARTS);
    let part = |index: u32| Part {
        msn,
        index,
        start_ticks: msn * ticks + u64::from(index) * part_ticks,
        duration_ticks: part_ticks as u32,
        independent: index == 0,
        last: index + 1 == PARTS,
        bytes: boxed(*b"mdat", &payload(camera, rendition, run, msn, index)),
    };
    Arc::new(Segment {
        msn,
        run,
        wall_start: BEGAN.plus_ms((msn * SEGMENT_MS) as i64),
        init,
        parts: (0..PARTS).map(part).collect(),
    })
}

/// What one must hold.
pub(crate) fn segment_bytes(
    camera: &CameraId,
    rendition: RenditionId,
    run: u64,
    msn: u64,
) -> Vec<u8> {
    let segment = segment(camera, rendition, run, msn);
    let parts = segment.parts.iter();
    parts.flat_map(|part| part.bytes.to_vec()).collect()
}
