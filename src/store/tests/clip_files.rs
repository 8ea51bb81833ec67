//! Files of recorded stretches: every byte in its place from wherever it is read, and a clear word where there is none.

use std::sync::Arc;
use std::time::Duration;

use super::durable::open;
use super::fragments::*;
use super::made::{NOON, camera};
use crate::base::SimulatedClock;
use crate::cmaf::file_box;
use crate::media::{RenditionId, Rung};
use crate::store::recorder::Recorder;
use crate::store::writer::Asker;
use crate::store::{
    Archive, ClipFileError, ClipFileReader, ClipFileWish, ClipLength, ProveError, Store, Timelapse,
};

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
    while let Some(found) = file_box(&whole[at..], (whole.len() - at) as u64) {
        if &found.kind == b"mdat" {
            media = at + found.header_bytes as usize..at + found.bytes_count as usize;
        }
        at += found.bytes_count as usize;
    }
    assert_eq!(at, whole.len());
    let segments: Vec<_> = file.segments().collect();
    assert_eq!(segments.len(), 2 * (5 + 3));
    let stored = |(rendition, msn)| {
        let stored = store.load_segment(&front(), rendition, msn);
        stored.unwrap().unwrap()
    };
    let stored: Vec<_> = segments.into_iter().map(stored).collect();
    assert!(whole[media] == stored.concat());
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
fn a_file_of_what_was_just_committed_is_proven_and_has_the_log_signed_once_a_second_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let (store, _) = Store::open(dir.path(), patient(), Arc::new(clock.clone())).unwrap();
    recorded(&store);
    let archive = Archive::open(dir.path()).unwrap();
    let beside = || archive.clip_file(&wish(0, 40_000)).unwrap();
    let young = beside();
    assert!(matches!(
        young.unproven(),
        Some(ProveError::NotYetSigned(_))
    ));
    let file = store.clip_file(&wish(0, 40_000)).unwrap();
    assert!(file.unproven().is_none(), "{:?}", file.unproven());
    assert_eq!(beside().tag(), file.tag());

    let signed_bytes = || {
        let path = dir.path().join("log/checkpoints-000001");
        std::fs::metadata(path).unwrap().len()
    };
    let sign = |leaf: u64| {
        let (writer, wait) = (&store.0.writer, Duration::from_secs(60));
        let sign = move |recorder: &mut Recorder| recorder.sign_log_for(leaf);
        let rest = writer.ask(Asker::Own, wait, sign);
        (rest.unwrap(), signed_bytes())
    };
    let before = signed_bytes();
    // Of three renditions, which is signed, and what nobody has recorded yet.
    let leaves = 2 * (5 + 3) + 5;
    assert_eq!(sign(leaves - 1), (None, before));
    assert_eq!(sign(leaves), (None, before));
    record(&store, LOW, 2, 1280, [12, 12, 13], NOON.plus_ms(40_000));
    assert_eq!(sign(leaves), (Some(Duration::from_secs(1)), before));
    clock.advance(Duration::from_millis(999));
    assert_eq!(sign(leaves), (Some(Duration::from_millis(1)), before));
    clock.advance(Duration::from_millis(1));
    let (rest, after) = sign(leaves);
    assert!(rest.is_none() && after > before, "{rest:?}");
    assert_eq!(sign(leaves), (None, after));
    let file = store.clip_file(&wish(0, 42_000)).unwrap();
    assert!(file.unproven().is_none(), "{:?}", file.unproven());
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
    assert!(matches!(file.unproven(), Some(ProveError::Timelapse)));

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
