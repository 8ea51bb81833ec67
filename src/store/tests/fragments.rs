//! Recordings whose segments are real fragments, and the files made of them.

use std::sync::Arc;

use bytes::Bytes;

use super::made::camera;
pub(crate) use super::made::{NOON, patient};
use crate::base::{CameraId, Wall};
use crate::cmaf::{TrackOrigin, TrackWriter};
use crate::media::{
    AccessUnit, AudioParameters, FrameRate, RenditionId, Rung, Segment, TrackParameters,
    VideoParameters,
};
use crate::store::{ClipFile, ClipFileReader, ClipFileWish, ClipLength, Store};

const AVCC: &[u8] = &[
    1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 5, 0x67, 0x42, 0xC0, 0x1F, 0x11, 1, 0, 4, 0x68, 0xCE, 0x3C,
    0x80,
];
pub(crate) const HIGH: RenditionId = RenditionId::video(Rung::High);
pub(crate) const LOW: RenditionId = RenditionId::video(Rung::Low);
pub(crate) const SOUND: RenditionId = RenditionId::audio(Rung::Low);

pub(crate) fn front() -> CameraId {
    camera("front")
}

fn parameters(rendition: RenditionId, width: u32) -> TrackParameters {
    if rendition == SOUND {
        TrackParameters::Audio(AudioParameters {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_bps: 128_000,
        })
    } else {
        TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(AVCC),
            width,
            height: 720,
            frame_rate: FrameRate::whole(10),
            bitrate_bps: 2_000_000,
        })
    }
}

/// Records segments `first..end` of a run that began with segment `base` at `start`.
pub(crate) fn record(
    store: &Store,
    rendition: RenditionId,
    run: u64,
    width: u32,
    msns: [u64; 3],
    start: Wall,
) {
    record_of(store, &front(), rendition, run, width, msns, start);
}

/// The same of any camera.
pub(crate) fn record_of(
    store: &Store,
    camera: &CameraId,
    rendition: RenditionId,
    run: u64,
    width: u32,
    msns: [u64; 3],
    start: Wall,
) {
    let [base, first, end] = msns;
    let parameters = parameters(rendition, width);
    let timescale = u64::from(parameters.timescale());
    let duration = if rendition == SOUND {
        1024
    } else {
        timescale / 10
    };
    let origin = TrackOrigin {
        msn: base,
        start_ticks: run * 100 * timescale,
    };
    let mut writer = TrackWriter::new(parameters, origin).expect("these can be written");
    let count = (end - base) * 2 * timescale / duration;
    let mut parts = Vec::new();
    for index in 0..count {
        let unit = AccessUnit {
            pts_ticks: index * duration,
            duration_ticks: duration as u32,
            keyframe: rendition == SOUND || index % 20 == 0,
            data: format!("{rendition} {run} {index}").repeat(9).into(),
        };
        parts.extend(writer.push(unit).expect("in order"));
    }
    parts.extend(writer.finish());
    let init = Arc::new(writer.init_segment());
    for msn in first..end {
        let own = parts.iter().filter(|part| part.msn == msn);
        let segment = Segment {
            msn,
            run,
            wall_start: start.plus_ms((msn - base) as i64 * 2000),
            init: Arc::clone(&init),
            parts: own.cloned().collect(),
        };
        store.append(camera, rendition, Arc::new(segment));
        store.flush();
    }
}

/// Ten seconds, a gap of twenty, six seconds of another run; the high pictures of the first run alone.
pub(crate) fn recorded(store: &Store) {
    for rendition in [LOW, SOUND] {
        record(store, rendition, 0, 1280, [0, 0, 5], NOON);
        record(store, rendition, 1, 1280, [9, 9, 12], NOON.plus_ms(30_000));
    }
    record(store, HIGH, 0, 1920, [0, 0, 5], NOON);
}

pub(crate) fn wish(from_ms: i64, to_ms: i64) -> ClipFileWish {
    ClipFileWish {
        camera: front(),
        rendition: None,
        from: NOON.plus_ms(from_ms),
        to: NOON.plus_ms(to_ms),
        length: ClipLength::Whole,
    }
}

pub(crate) fn read_all(file: &Arc<ClipFile>, from: u64) -> Vec<u8> {
    let mut reader = ClipFileReader::new(Arc::clone(file));
    let mut all = Vec::new();
    loop {
        let bytes = reader.read(from + all.len() as u64).expect("recorded");
        if bytes.is_empty() {
            return all;
        }
        all.extend_from_slice(&bytes);
    }
}
