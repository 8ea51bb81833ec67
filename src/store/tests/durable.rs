//! What was recorded is there after a restart, byte for byte, and recording goes on above it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::faults::check_files;
use super::made::*;
use crate::base::{SimulatedClock, Wall};
use crate::media::{InitSegment, Segment};
use crate::store::{
    Appended, CameraPosition, Gap, GapReason, ReadError, RecordingState, RecoveryReport, Store,
    rebuild_index,
};

pub(super) fn open(dir: &Path) -> Store {
    let (store, report) = open_whatever(dir);
    assert!(report.is_clean(), "{report}");
    store
}

/// Opens a directory in whatever state it was left.
pub(super) fn open_whatever(dir: &Path) -> (Store, RecoveryReport) {
    Store::open(dir, patient(), Arc::new(SimulatedClock::new(NOON))).unwrap()
}

#[test]
fn what_was_recorded_reads_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let camera = camera("front");
    let store = open(dir.path());
    for msn in 0..40 {
        for rendition in [VIDEO, AUDIO] {
            let appended = store.append(&camera, rendition, segment(rendition, 0, msn));
            assert_eq!(appended, Appended::Queued);
            store.flush();
        }
    }
    store.mark_gap(
        &camera,
        Gap {
            rendition: None,
            from: NOON.plus_ms(90_000),
            to: NOON.plus_ms(95_000),
            reason: GapReason::CameraGone,
        },
    );
    store.close();
    store.close();
    assert_eq!(
        store.append(&camera, VIDEO, segment(VIDEO, 0, 41)),
        Appended::Refused
    );
    assert_eq!(store.status().segments_committed, 80);
    assert_eq!(store.status().state, RecordingState::Recording);

    let again = open(dir.path());
    for store in [store, again] {
        let (from, to) = (NOON.plus_ms(10_000), NOON.plus_ms(75_000));
        let recording = store.recording(&camera, from, to).unwrap();
        assert_eq!(recording.gaps, []);
        let ids: Vec<_> = recording.renditions.iter().map(|track| track.id).collect();
        assert_eq!(ids, [VIDEO, AUDIO]);
        for track in recording.renditions {
            assert_eq!(track.parameters, init(track.id, 2_000_000).parameters);
            let msns: Vec<_> = track.segments.iter().map(|entry| entry.msn).collect();
            assert_eq!(msns, (5..38).collect::<Vec<_>>());
            for entry in track.segments {
                let original = segment(track.id, 0, entry.msn);
                assert_eq!(entry.wall_start, original.wall_start);
                assert_eq!(entry.start_ticks, original.start_ticks());
                assert_eq!(entry.duration_ticks, original.duration_ticks());
                assert_eq!(entry.timescale, original.init.parameters.timescale());
                assert_eq!(entry.bytes, original.bytes_count() as u64);
                let loaded = store
                    .load_segment(&camera, track.id, entry.msn)
                    .unwrap()
                    .unwrap();
                assert_eq!(loaded, bytes_of(&original));
            }
            let header = store.load_init(&camera, track.id, 0).unwrap().unwrap();
            assert_eq!(header, init(track.id, 2_000_000).bytes);
        }
        // The gap is later than the last segment.
        let until = store.recorded_until(&camera).unwrap();
        assert_eq!(until, Some(NOON.plus_ms(95_000)));
        let gaps = store
            .recording(&camera, NOON, NOON.plus_ms(91_000))
            .unwrap()
            .gaps;
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].reason, GapReason::CameraGone);
        for msn in [40, 400, u64::MAX] {
            assert_eq!(store.load_segment(&camera, VIDEO, msn).unwrap(), None);
            assert_eq!(store.load_init(&camera, VIDEO, msn).unwrap(), None);
        }
        let backwards = store.recording(&camera, NOON, Wall(0));
        assert!(matches!(backwards, Err(ReadError::RangeBackwards)));
    }
}

#[test]
fn a_restart_goes_on_above_every_number_used() {
    let dir = tempfile::tempdir().unwrap();
    let (recorded, watched) = (camera("recorded"), camera("watched"));
    let (mut above, mut above_watched) = ((0, 0), (0, 0));
    for _ in 0..3 {
        let store = open(dir.path());
        let position = store.camera_position(&watched);
        assert!(position.next_run >= above_watched.0 && position.next_msn >= above_watched.1);
        above_watched = (position.next_run + 1, position.next_msn + 1);
        let position = store.camera_position(&recorded);
        assert!(position.next_run >= above.0 && position.next_msn >= above.1);
        let (run, msn) = (position.next_run + 3, position.next_msn + 70);
        store.append(&recorded, VIDEO, segment(VIDEO, run, msn));
        // As good as a crash: nothing is closed before the directory is opened again.
        store.flush();
        let found = store.load_segment(&recorded, VIDEO, msn).unwrap();
        assert_eq!(found.unwrap(), bytes_of(&segment(VIDEO, run, msn)));
        let until = store.recorded_until(&recorded).unwrap();
        assert_eq!(until, Some(NOON.plus_ms(msn as i64 * 2000 + 2000)));
        assert_eq!(store.recorded_until(&watched).unwrap(), None);
        above = (run + 1, msn + 1);
    }
    // A camera that never recorded a thing has a position, and no recordings.
    let store = open(dir.path());
    let recording = store.recording(&watched, Wall(0), Wall(i64::MAX)).unwrap();
    assert_eq!((recording.renditions.len(), recording.gaps.len()), (0, 0));
    assert_eq!(
        store.camera_position(&camera("new")),
        CameraPosition::default()
    );
}

#[test]
fn numbers_of_a_camera_that_only_was_watched_are_not_given_out_again_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(
        store.camera_position(&camera("front")),
        CameraPosition::default()
    );
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("db")).unwrap();
    for name in ["index.db", "index.db-wal"] {
        let (from, to) = (
            dir.path().join("db").join(name),
            copy.path().join("db").join(name),
        );
        std::fs::copy(from, to).unwrap();
    }
    let position = open(copy.path()).camera_position(&camera("front"));
    assert!(
        position.next_run > 100 && position.next_msn > 100_000,
        "{position:?}"
    );
}

#[test]
fn when_the_clock_is_set_back_an_hour_comes_twice_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let front = camera("front");
    let store = open(dir.path());
    let label = |msn: u64| NOON.plus_ms(msn as i64 * 2000 - if msn < 30 { 0 } else { 3_600_000 });
    for msn in 0..60 {
        let mut segment = Segment::clone(&segment(VIDEO, 0, msn));
        segment.wall_start = label(msn);
        store.append(&front, VIDEO, Arc::new(segment));
        store.flush();
    }
    assert_eq!(store.status().segments_committed, 60);
    let msns = |from: Wall, to: Wall| {
        let recording = store.recording(&front, from, to).unwrap();
        let entries = recording
            .renditions
            .iter()
            .flat_map(|track| &track.segments);
        entries
            .map(|entry| (entry.msn, entry.wall_start))
            .collect::<Vec<_>>()
    };
    let expected = |msns: std::ops::Range<u64>| msns.map(|m| (m, label(m))).collect::<Vec<_>>();
    assert_eq!(msns(Wall(0), Wall(i64::MAX)), expected(0..60));
    assert_eq!(msns(NOON, NOON.plus_ms(60_000)), expected(0..30));
    assert_eq!(msns(label(35), label(40)), expected(35..40));
    assert_eq!(msns(label(59).plus_ms(2000), NOON), []);
}

#[test]
fn what_breaks_the_order_is_refused_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let front = camera("front");
    let store = open(dir.path());
    let mut other_header = Segment::clone(&segment(VIDEO, 0, 300));
    other_header.init = init(VIDEO, 1);
    other_header.init = Arc::new(InitSegment {
        bytes: bytes::Bytes::from_static(b"\0\0\0\x08moov"),
        parameters: other_header.init.parameters.clone(),
    });
    let mut empty = Segment::clone(&segment(VIDEO, 0, 301));
    empty.parts.clear();
    let good = [segment(VIDEO, 0, 5), segment(VIDEO, 0, 302)];
    let bad = [
        segment(VIDEO, 0, 5),
        segment(VIDEO, 0, 4),
        Arc::new(other_header),
        Arc::new(empty),
    ];
    for segment in [&good[..1], &bad[..], &good[1..]].concat() {
        store.append(&front, VIDEO, segment);
        store.flush();
    }
    let status = store.status();
    assert_eq!((status.segments_committed, status.segments_refused), (2, 4));
    let recording = store.recording(&front, Wall(0), Wall(i64::MAX)).unwrap();
    let msns: Vec<_> = recording.renditions[0]
        .segments
        .iter()
        .map(|entry| entry.msn)
        .collect();
    assert_eq!(msns, [5, 302]);
    assert!(
        recording
            .gaps
            .iter()
            .all(|gap| gap.reason == GapReason::Refused)
    );
    assert!(!recording.gaps.is_empty());
}

#[test]
fn damage_on_the_disk_is_told_and_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let front = camera("front");
    let store = open(dir.path());
    for msn in 0..2 {
        store.append(&front, VIDEO, segment(VIDEO, 0, msn));
    }
    store.close();
    let folder = dir.path().join("reel/front").join(NOON.date());
    let reel = std::fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&reel).unwrap();
    let last = bytes.len() - 200;
    bytes[last] ^= 1;
    std::fs::write(&reel, &bytes).unwrap();
    let load = |msn| store.load_segment(&front, VIDEO, msn);
    assert!(load(0).unwrap().is_some());
    assert!(matches!(
        load(1),
        Err(ReadError::Damaged {
            what: "digest mismatch",
            ..
        })
    ));
    std::fs::write(&reel, &bytes[..last]).unwrap();
    assert!(matches!(
        load(1),
        Err(ReadError::Damaged {
            what: "the file ends early",
            ..
        })
    ));
    std::fs::remove_file(&reel).unwrap();
    assert!(matches!(
        load(1),
        Err(ReadError::Damaged {
            what: "the file is gone",
            ..
        })
    ));
}

#[test]
fn an_index_that_asks_for_terabytes_gets_none() {
    for (column, value) in [
        ("bytes", 1_i64 << 44),
        ("bytes", i64::MAX),
        ("offset", i64::MAX),
        ("offset", -1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let front = camera("front");
        let store = open(dir.path());
        for msn in 0..3 {
            store.append(&front, VIDEO, segment(VIDEO, 0, msn));
        }
        store.close();
        let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
        let damage = format!("UPDATE segment SET {column} = ? WHERE id % 256 = 2");
        index.execute(&damage, [value]).unwrap();
        if value > 0 {
            assert!(matches!(
                store.load_segment(&front, VIDEO, 2),
                Err(ReadError::Damaged {
                    what: "the file ends early",
                    ..
                })
            ));
        }
        drop(store);
        // As if the reel had been open when the power went.
        index.execute("UPDATE reel SET bytes = NULL", ()).unwrap();
        drop(index);
        check_whole(&open(dir.path()));
        // And for good.
        check_whole(&open(dir.path()));
    }
}

fn check_whole(store: &Store) {
    for msn in 0..3 {
        let loaded = store.load_segment(&camera("front"), VIDEO, msn).unwrap();
        assert_eq!(loaded.unwrap(), bytes_of(&segment(VIDEO, 0, msn)));
    }
}

fn only_reel(dir: &Path) -> PathBuf {
    let folder = dir.join("reel/front").join(NOON.date());
    let mut files = std::fs::read_dir(folder).unwrap();
    files.next().unwrap().unwrap().path()
}

/// A reel of four segments that was open when the power went: three were committed. With where these end in it.
fn crashed() -> (tempfile::TempDir, usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for msn in 0..4 {
        store.append(&camera("front"), VIDEO, segment(VIDEO, 0, msn));
    }
    store.close();
    drop(store);
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let last = "DELETE FROM segment WHERE id % 256 = 3 RETURNING offset";
    let end: i64 = index.query_row(last, (), |row| row.get(0)).unwrap();
    // What its closing has summed up is as it was before.
    for undo in [
        "UPDATE reel SET bytes = NULL, end_ms = NULL, media_ms = NULL",
        "UPDATE camera SET reel_bytes = 0",
        "DELETE FROM hour",
        "DELETE FROM quarter",
        "DELETE FROM span",
    ] {
        index.execute(undo, ()).unwrap();
    }
    (dir, end as usize)
}

fn change_index(dir: &Path, change: &str) {
    let index = rusqlite::Connection::open(dir.join("db/index.db")).unwrap();
    assert_eq!(index.execute(change, ()).unwrap(), 1);
}

fn lost(report: &RecoveryReport) -> Vec<u64> {
    report.lost.iter().map(|lost| lost.msn).collect()
}

#[test]
fn a_row_that_names_the_wrong_bytes_costs_nothing_after_a_crash() {
    for damage in [
        "offset = 0",
        "offset = offset + 512",
        "offset = offset | (1 << 40)",
        "bytes = 1",
        "bytes = bytes + 64",
        "bytes = bytes | (1 << 30)",
    ] {
        let (dir, end) = crashed();
        change_index(
            dir.path(),
            &format!("UPDATE segment SET {damage} WHERE id % 256 = 2"),
        );
        let before = std::fs::read(only_reel(dir.path())).unwrap();
        let (store, report) = open_whatever(dir.path());
        assert!(report.lost.is_empty(), "{damage}");
        check_whole(&store);
        assert_eq!(
            std::fs::read(only_reel(dir.path())).unwrap(),
            before[..end],
            "{damage}"
        );
        check_files(dir.path());
    }
}

#[test]
fn what_was_committed_stays_in_its_reel_however_damaged() {
    // Bytes of the segment itself; a box's size, which breaks the chain; the size, the kind and the check of what
    // stands behind the segment.
    let start = bytes_of(&segment(VIDEO, 0, 2)).len();
    for at in [100, 1, start + 3, start + 9, start + 60] {
        let (dir, end) = crashed();
        let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
        let place = "SELECT offset FROM segment WHERE id % 256 = 2";
        let offset: i64 = index.query_row(place, (), |row| row.get(0)).unwrap();
        drop(index);
        let mut bytes = std::fs::read(only_reel(dir.path())).unwrap();
        bytes[offset as usize + at] ^= 0x40;
        std::fs::write(only_reel(dir.path()), &bytes).unwrap();
        check_damaged(dir.path(), &bytes[..end], &[2], 4000);
        check_rebuilt(dir.path(), &[0, 1]);
    }
}

#[test]
fn a_reel_of_which_the_index_is_wrong_altogether_stays() {
    for (damage, msns) in [("run = run + 8", [0, 1, 2]), ("first_msn = 1", [1, 2, 3])] {
        let (dir, end) = crashed();
        let bytes = std::fs::read(only_reel(dir.path())).unwrap();
        change_index(dir.path(), &format!("UPDATE reel SET {damage}"));
        check_damaged(dir.path(), &bytes[..end], &msns, 0);
    }
}

#[test]
fn what_a_reel_is_too_short_for_is_missing_and_told() {
    let (dir, end) = crashed();
    let bytes = std::fs::read(only_reel(dir.path())).unwrap();
    let cut = end - 300;
    std::fs::write(only_reel(dir.path()), &bytes[..cut]).unwrap();
    let (store, report) = open_whatever(dir.path());
    assert_eq!(lost(&report), [2]);
    let left = std::fs::metadata(only_reel(dir.path())).unwrap().len();
    assert_eq!(report.discarded[0].bytes, cut as u64 - left);
    assert!(!report.discarded[0].removed && report.discarded[0].segments.is_empty());
    assert_eq!(
        store.load_segment(&camera("front"), VIDEO, 2).unwrap(),
        None
    );
    assert!(
        store
            .load_segment(&camera("front"), VIDEO, 1)
            .unwrap()
            .is_some()
    );
    check_files(dir.path());
}

/// After a start the reel holds `bytes`, and the segments `msns`, which begin at `from_ms`, are told as lost and not
/// played.
fn check_damaged(dir: &Path, bytes: &[u8], msns: &[u64], from_ms: i64) {
    let (store, report) = open_whatever(dir);
    assert_eq!(lost(&report), msns);
    let [cut] = &report.discarded[..] else {
        panic!("{:?}", report.discarded);
    };
    let uncommitted: Vec<_> = cut.segments.iter().map(|segment| segment.msn).collect();
    assert_eq!((uncommitted, cut.removed), (vec![3], false));
    assert_eq!(std::fs::read(only_reel(dir)).unwrap(), bytes);
    let front = camera("front");
    for &msn in msns {
        assert_eq!(store.load_segment(&front, VIDEO, msn).unwrap(), None);
    }
    let line = store.timeline(&front, NOON, NOON.plus_ms(60_000), 1);
    let gaps = line.unwrap().gaps.into_iter();
    let told = gaps.filter(|gap| gap.reason == GapReason::Lost);
    let told: Vec<_> = told.map(|gap| (gap.from, gap.to)).collect();
    // The one that was not committed is a loss, too.
    assert_eq!(told, [(NOON.plus_ms(from_ms), NOON.plus_ms(8000))]);
    // Recording goes on elsewhere, and the next start has nothing to tell.
    let position = store.camera_position(&front);
    let next = segment(VIDEO, position.next_run, position.next_msn);
    store.append(&front, VIDEO, next);
    store.close();
    assert_eq!(store.status().segments_committed, 1);
    drop(store);
    drop(open(dir));
    check_files(dir);
}

/// An index that is made again knows of the segments `msns` of the first reel, and of none that is damaged.
fn check_rebuilt(dir: &Path, msns: &[u64]) {
    std::fs::remove_dir_all(dir.join("db")).unwrap();
    let report = rebuild_index(dir, |_, _| {}).unwrap();
    assert!(report.unreadable.is_empty() && report.log.altered.is_empty());
    let store = open(dir);
    let recording = store.recording(&camera("front"), NOON, NOON.plus_ms(60_000));
    let tracks = recording.unwrap().renditions;
    let found: Vec<_> = tracks[0].segments.iter().map(|entry| entry.msn).collect();
    assert_eq!(found, msns);
}
