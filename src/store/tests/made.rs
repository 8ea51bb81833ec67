//! Segments that tests record: small, each with bytes of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::{CameraId, Wall};
use crate::media::{
    AudioParameters, FrameRate, InitSegment, Part, RenditionId, Rung, Segment, TrackParameters,
    VideoParameters,
};
use crate::store::{Retention, StoreOptions};

/// 2026-11-21T10:00:00Z.
pub(crate) const NOON: Wall = Wall(1_795_255_200_000);

pub(super) const VIDEO: RenditionId = RenditionId::video(Rung::Medium);
pub(super) const AUDIO: RenditionId = RenditionId::audio(Rung::Medium);

pub(super) fn camera(name: &str) -> CameraId {
    CameraId::from_description(name)
}

/// Options under which nothing happens by itself.
pub(crate) fn patient() -> StoreOptions {
    StoreOptions {
        free_bytes_min: 0,
        retention: Retention {
            free_bytes: Some(0),
            ..Retention::default()
        },
        close_timeout: Duration::from_secs(30),
        ..StoreOptions::default()
    }
}

pub(super) fn init(rendition: RenditionId, bitrate_bps: u32) -> Arc<InitSegment> {
    let parameters = if rendition == AUDIO {
        TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps,
        })
    } else {
        TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F]),
            width: 1280,
            height: 720,
            frame_rate: FrameRate::whole(30),
            bitrate_bps,
        })
    };
    Arc::new(InitSegment {
        parameters,
        bytes: iso_box(*b"moov", rendition.name().as_bytes()),
    })
}

/// A box as media has them, so that reels can be walked.
fn iso_box(kind: [u8; 4], payload: &[u8]) -> Bytes {
    let size = (payload.len() as u32 + 8).to_be_bytes();
    [&size[..], &kind, payload].concat().into()
}

/// Two seconds in two parts, at the place in time that its number tells.
pub(super) fn segment(rendition: RenditionId, run: u64, msn: u64) -> Arc<Segment> {
    segment_at(rendition, run, msn, NOON.plus_ms(msn as i64 * 2000))
}

/// The same with a label of its own.
pub(super) fn segment_at(
    rendition: RenditionId,
    run: u64,
    msn: u64,
    wall_start: Wall,
) -> Arc<Segment> {
    let init = init(rendition, 2_000_000);
    let timescale = u64::from(init.parameters.timescale());
    let part = |index: u32| Part {
        msn,
        index,
        start_ticks: msn * 2 * timescale + u64::from(index) * timescale,
        duration_ticks: timescale as u32,
        independent: index == 0,
        last: index == 1,
        bytes: iso_box(
            *b"mdat",
            format!("{rendition} {run} {msn} {index}")
                .repeat(20)
                .as_bytes(),
        ),
    };
    Arc::new(Segment {
        msn,
        run,
        wall_start,
        init,
        parts: vec![part(0), part(1)],
    })
}

/// The bytes of a segment in one piece.
pub(super) fn bytes_of(segment: &Segment) -> Vec<u8> {
    segment
        .parts
        .iter()
        .flat_map(|part| part.bytes.to_vec())
        .collect()
}
