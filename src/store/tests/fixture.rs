//! Data directories that earlier versions wrote must still open.
//!
//! `tests/fixtures/store-v1` was made by `cargo test --lib make_the_fixture -- --ignored`, with the format that it is
//! named after, and is never made again: a new format gets a new folder, and this file another case.

use std::path::{Path, PathBuf};

use super::durable::open;
use super::made::*;
use super::retention::check_summaries;
use crate::base::Wall;
use crate::store::{Gap, GapReason, Store};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1")
}

const MSNS: u64 = 4;

#[test]
#[ignore = "makes the fixture, once in the life of a format"]
fn make_the_fixture() {
    let dir = fixture();
    assert!(!dir.exists(), "a fixture that has landed never changes");
    let store = open(&dir);
    for msn in 0..MSNS {
        for rendition in [VIDEO, AUDIO] {
            // Two runs, hence two reels of each.
            store.append(
                &camera("front"),
                rendition,
                segment(rendition, msn / 2, msn),
            );
            store.flush();
        }
    }
    store.mark_gap(
        &camera("front"),
        Gap {
            rendition: None,
            from: NOON.plus_ms(8_000),
            to: NOON.plus_ms(11_000),
            reason: GapReason::CameraGone,
        },
    );
    store.close();
    std::fs::remove_file(dir.join("lock")).unwrap();
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_data_directory_of_version_1_opens_and_records_on() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), dir.path());
    let front = camera("front");
    let store = open(dir.path());
    let msns = |store: &Store| {
        let recording = store.recording(&front, Wall(0), Wall(i64::MAX)).unwrap();
        assert_eq!(recording.gaps.len(), 1);
        assert_eq!(recording.gaps[0].reason, GapReason::CameraGone);
        let mut found = Vec::new();
        for track in &recording.renditions {
            for entry in &track.segments {
                let original = segment(track.id, entry.run, entry.msn);
                let loaded = store
                    .load_segment(&front, track.id, entry.msn)
                    .unwrap()
                    .unwrap();
                assert_eq!(loaded, bytes_of(&original));
                assert_eq!(entry.wall_start, original.wall_start);
                found.push((track.id, entry.run, entry.msn));
            }
            let header = store.load_init(&front, track.id, 1).unwrap().unwrap();
            assert_eq!(header, init(track.id, 2_000_000).bytes);
        }
        found
    };
    let all = |id| (0..MSNS).map(move |msn| (id, msn / 2, msn));
    let mut expected: Vec<_> = all(VIDEO).chain(all(AUDIO)).collect();
    assert_eq!(msns(&store), expected);

    // What version 1 did not keep is filled in.
    check_summaries(&rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap());
    let (from, to) = (NOON.plus_ms(-1), NOON.plus_ms(3_600_000));
    let line = store.timeline(&front, from, to, 60_000).unwrap();
    assert_eq!(line.spans, [(NOON, NOON.plus_ms(8_000))]);

    let position = store.camera_position(&front);
    assert!(position.next_run > 1 && position.next_msn > MSNS);
    store.append(&front, VIDEO, segment(VIDEO, 2, 10));
    store.close();
    expected.insert(MSNS as usize, (VIDEO, 2, 10));
    assert_eq!(msns(&store), expected);
}
