//! Files of recorded stretches: every byte in its place from wherever it is read, and a clear word where there is none.

use std::sync::Arc;

use bytes::Bytes;

use super::durable::open;
use super::made::{NOON, camera};
use crate::base::{CameraId, Wall};
use crate::cmaf::{TrackOrigin, TrackWriter, file_box, read_segment_list};
use crate::media::{
    AccessUnit, AudioParameters, FrameRate, RenditionId, Rung, Segment, TrackParameters,
    VideoParameters,
};
use crate::store::{
    ClipFile, ClipFileError, ClipFileReader, ClipFileWish, ClipLength, Store, Timelapse,
};

const AVCC: &[u8] = &[
    1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 5, 0x67, 0x42, 0xC0, 0x1F, 0x11, 1, 0, 4, 0x68, 0xCE, 0x3C,
    0x80,
];
const HIGH: RenditionId = RenditionId::video(Rung::High);
const LOW: RenditionId = RenditionId::video(Rung::Low);
const SOUND: RenditionId = RenditionId::audio(Rung::Low);

fn front() -> CameraId {
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
fn record(
    store: &Store,
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
        store.append(&front(), rendition, Arc::new(segment));
        store.flush();
    }
}

/// Ten seconds, a gap of twenty, six seconds of another run; the high pictures of the first run alone.
fn recorded(store: &Store) {
    for rendition in [LOW, SOUND] {
        record(store, rendition, 0, 1280, [0, 0, 5], NOON);
        record(store, rendition, 1, 1280, [9, 9, 12], NOON.plus_ms(30_000));
    }
    record(store, HIGH, 0, 1920, [0, 0, 5], NOON);
}

fn wish(from_ms: i64, to_ms: i64) -> ClipFileWish {
    ClipFileWish {
        camera: front(),
        rendition: None,
        from: NOON.plus_ms(from_ms),
        to: NOON.plus_ms(to_ms),
        length: ClipLength::Whole,
    }
}

fn read_all(file: &Arc<ClipFile>, from: u64) -> Vec<u8> {
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

#[test]
fn a_file_is_the_same_from_wherever_it_is_read_and_holds_the_segments_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    recorded(&store);
    let file = Arc::new(store.clip_file(&wish(1_250, 35_300)).unwrap());
    let whole = read_all(&file, 0);
    assert_eq!(whole.len() as u64, file.bytes_count());
    for from in (0..whole.len()).step_by(997) {
        assert!(read_all(&file, from as u64) == whole[from..], "from {from}");
    }
    // The low pictures are recorded for longer than the high ones.
    assert_eq!((file.rendition, file.sound()), (LOW, Some(SOUND)));
    assert_eq!(file.from, NOON.plus_ms(1_200));
    assert_eq!(file.to, NOON.plus_ms(35_300));
    let gap = (NOON.plus_ms(10_000), NOON.plus_ms(30_000));
    assert_eq!(file.missing, [gap]);
    // Eighty-eight pictures of the first run and fifty-three of the second.
    assert_eq!((file.pictures(), file.duration_s()), (88 + 53, 14.1));

    let (mut media, mut at) = (0..0, 0);
    let mut list = None;
    while let Some(found) = file_box(&whole[at..], (whole.len() - at) as u64) {
        let body = at + found.header_bytes as usize..at + found.bytes_count as usize;
        match &found.kind {
            b"mdat" => media = body,
            b"uuid" => list = Some(body),
            _ => {}
        }
        at += found.bytes_count as usize;
    }
    assert_eq!(at, whole.len());
    let list = read_segment_list(&whole[list.unwrap()], media.len() as u64).unwrap();
    let segments: Vec<_> = file.segments().collect();
    assert_eq!(segments.len(), list.len());
    assert_eq!(segments.len(), 2 * (5 + 3));
    for ((rendition, msn), (start, size)) in segments.into_iter().zip(list) {
        let stored = store
            .load_segment(&front(), rendition, msn)
            .unwrap()
            .unwrap();
        assert!(
            whole[media.start + start as usize..][..size as usize] == stored,
            "{rendition} {msn}"
        );
    }
}

#[test]
fn pictures_are_those_asked_for_and_their_tag_and_name_tell_them_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    recorded(&store);
    let of = |wish: &ClipFileWish| store.clip_file(wish).unwrap();
    let first = of(&wish(0, 10_000));
    assert_eq!(first.rendition, HIGH, "as long as the low ones, and better");
    assert_eq!(first.missing, []);
    assert_eq!(first.tag(), of(&wish(0, 10_000)).tag());
    let low = of(&ClipFileWish {
        rendition: Some(LOW),
        ..wish(0, 10_000)
    });
    assert_eq!(low.rendition, LOW);
    assert_ne!(first.tag(), low.tag());
    assert!(
        first.name().starts_with("front_2026-11-2"),
        "{}",
        first.name()
    );
    let mut proven = of(&wish(0, 10_000));
    proven.append_boxes(b"\0\0\0\x08free");
    assert_ne!(first.tag(), proven.tag());
    assert_eq!(proven.bytes_count(), first.bytes_count() + 8);
    assert!(read_all(&Arc::new(proven), 0).ends_with(b"free"));
}

#[test]
fn what_cannot_be_one_file_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    recorded(&store);
    record(&store, HIGH, 1, 1280, [9, 9, 12], NOON.plus_ms(30_000));
    let refused = |wish: &ClipFileWish| store.clip_file(wish).map(|_| ()).unwrap_err();
    let high = |from, to| ClipFileWish {
        rendition: Some(HIGH),
        ..wish(from, to)
    };
    let changed = refused(&high(0, 40_000));
    assert!(
        matches!(changed, ClipFileError::OtherFormat { at } if at == NOON.plus_ms(30_000)),
        "{changed}"
    );
    assert!(store.clip_file(&high(0, 30_000)).is_ok());
    assert!(store.clip_file(&high(30_000, 40_000)).is_ok());
    let refusals = [
        (wish(20_000, 25_000), "no picture of front is recorded"),
        (wish(5_000, 5_000), "later than"),
        (wish(0, 24 * 3_600_000 + 1), "24 hours"),
        (
            ClipFileWish {
                rendition: Some(RenditionId::video(Rung::Medium)),
                ..wish(0, 4_000)
            },
            "medium of front is not recorded in this range; low, high is",
        ),
        (
            ClipFileWish {
                camera: camera("back"),
                ..wish(0, 4_000)
            },
            "no picture of back",
        ),
    ];
    for (wish, words) in refusals {
        let said = refused(&wish).to_string();
        assert!(said.contains(words), "{said}");
    }
    let only_a_part = store.clip_file(&wish(-5_000, 4_000)).unwrap();
    assert_eq!(only_a_part.missing, [(NOON.plus_ms(-5_000), NOON)]);
}

#[test]
fn a_damaged_segment_ends_the_reading_and_a_deleted_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    recorded(&store);
    let file = Arc::new(store.clip_file(&wish(0, 10_000)).unwrap());
    store.close();
    let reels = super::outdated::reels(dir.path());
    let mut flipped = 0;
    for (path, _) in reels {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(9).position(|nine| nine == b"high 0 30") {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    let mut reader = ClipFileReader::new(Arc::clone(&file));
    let mut offset = 0;
    let error = loop {
        match reader.read(offset) {
            Ok(bytes) => offset += bytes.len() as u64,
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("digest mismatch"), "{error}");
    assert!(offset > 0 && offset < file.bytes_count());

    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    index.execute("DELETE FROM segment", ()).unwrap();
    let mut reader = ClipFileReader::new(file);
    let head = reader.read(0).unwrap().len() as u64;
    let error = reader.read(head).unwrap_err();
    assert!(matches!(error, ClipFileError::Deleted { .. }), "{error}");
}

#[test]
fn a_time_lapse_is_made_of_keyframes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    recorded(&store);
    let fast = |timelapse| ClipFileWish {
        length: ClipLength::Timelapse(timelapse),
        ..wish(0, 40_000)
    };
    let file = Arc::new(store.clip_file(&fast(Timelapse::LengthMs(1_000))).unwrap());
    assert_eq!((file.rendition, file.sound()), (LOW, None));
    assert_eq!((file.pictures(), file.duration_s()), (8, 1.0));
    let whole = read_all(&file, 0);
    assert_eq!(whole.len() as u64, file.bytes_count());
    let keyframes: Vec<_> = [
        (0, 0),
        (0, 20),
        (0, 40),
        (0, 60),
        (0, 80),
        (1, 0),
        (1, 20),
        (1, 40),
    ]
    .map(|(run, index)| format!("low {run} {index}").repeat(9))
    .concat()
    .into();
    assert!(whole.ends_with(&keyframes));
    assert_eq!(file.segments().count(), 0);

    // Two of eight, for a thirtieth of a second each.
    let file = store.clip_file(&fast(Timelapse::Speed(240))).unwrap();
    assert_eq!(file.pictures(), 2);
    assert!((file.duration_s() - 0.066).abs() < 0.001);
    let nothing = ClipFileWish {
        camera: camera("back"),
        ..fast(Timelapse::Speed(2))
    };
    assert!(store.clip_file(&nothing).is_err());
}
