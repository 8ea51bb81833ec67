//! The index made again from the files alone tells the same as the one that was lost, and nothing that was deleted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::faults::{check_files, folder};
use super::fixture::copy;
use super::made::*;
use crate::base::{CameraId, Clock, SimulatedClock, Wall};
use crate::store::reader::Reader;
use crate::store::{
    Archive, Clip, ClipWish, Gap, GapReason, OpenError, RebuildReport, Recording, RecordingState,
    Store, StoreOptions, Timeline, rebuild_index,
};

const CAMERAS: [&str; 3] = ["door", "garden", "yard"];

fn options(bytes_max: Option<u64>) -> StoreOptions {
    let mut options = StoreOptions {
        reel_duration: Duration::from_secs(6),
        ..patient()
    };
    options.retention.bytes_max = bytes_max;
    options
}

fn open(dir: &Path, clock: &SimulatedClock, bytes_max: Option<u64>) -> Store {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Store::open(dir, options(bytes_max), clock).unwrap().0
}

fn record(store: &Store, run: u64, msns: std::ops::Range<u64>) {
    for msn in msns {
        for name in CAMERAS {
            for rendition in [VIDEO, AUDIO] {
                store.append(&camera(name), rendition, segment(rendition, run, msn));
            }
        }
        store.flush();
    }
}

fn gap(from_s: i64, to_s: i64, reason: GapReason) -> Gap {
    Gap {
        rendition: (reason == GapReason::RungShed).then_some(VIDEO),
        from: NOON.plus_ms(from_s * 1000),
        to: NOON.plus_ms(to_s * 1000),
        reason,
    }
}

fn wish(name: &str, from_s: i64, to_s: i64) -> ClipWish {
    ClipWish {
        camera: camera(name),
        name: format!("{name}, {from_s} to {to_s} s"),
        from: NOON.plus_ms(from_s * 1000),
        to: NOON.plus_ms(to_s * 1000),
    }
}

/// Cameras, renditions, runs, breaks, gaps that grow, clips that stay and that go, and what retention removed.
fn recorded() -> tempfile::TempDir {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(600_000));
    let store = open(dir.path(), &clock, None);
    for name in CAMERAS {
        store.camera_position(&camera(name));
    }
    record(&store, 0, 0..30);
    store.mark_gap(&camera("door"), gap(60, 70, GapReason::CameraGone));
    store.flush();
    store.mark_gap(&camera("door"), gap(70, 80, GapReason::CameraGone));
    store.mark_gap(&camera("yard"), gap(10, 12, GapReason::RungShed));
    store.mark_gap(&camera("yard"), gap(1, 2, GapReason::DiskSlow));
    store.make_clip(wish("door", 7, 15)).unwrap();
    let gone = store.make_clip(wish("garden", 0, 20)).unwrap();
    store.make_clip(wish("garden", 21, 25)).unwrap();
    store.remove_clip(gone.id).unwrap();
    drop(store);

    let store = open(dir.path(), &clock, Some(90_000));
    record(&store, 1, 40..60);
    for _ in 0..20 {
        clock.advance(Duration::from_secs(6));
        store.flush();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(store.status().reels_expired > 5, "{:?}", store.status());
    store.mark_gap(&camera("garden"), gap(125, 126, GapReason::Stopped));
    store.make_clip(wish("door", 90, 100)).unwrap();
    store.close();
    dir
}

type Told = Vec<(Vec<Timeline>, Recording, Option<Wall>, Vec<Clip>)>;

fn told(dir: &Path) -> Told {
    let reader = Reader::new(dir);
    let (from, to) = (NOON.plus_ms(-600_000), NOON.plus_ms(3_600_000));
    let of = |camera: &CameraId| {
        let lines = [(to, 1_000), (to, 60_000), (to.plus_ms(7 * 86_400_000), 1)];
        let lines = lines.map(|(to, bucket)| reader.timeline(camera, from, to, bucket).unwrap());
        (
            lines.to_vec(),
            reader.recording(camera, from, to).unwrap(),
            reader.recorded_until(camera).unwrap(),
            reader.clip_page(Some(camera), None, 1000).unwrap().clips,
        )
    };
    CAMERAS.map(|name| of(&camera(name))).to_vec()
}

fn rebuild(dir: &Path) -> RebuildReport {
    let mut last = (0, 0);
    let report = rebuild_index(dir, |done, total| last = (done, total)).unwrap();
    assert_eq!(last.0, last.1);
    report
}

fn reels(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.join("reel")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_same_is_told_without_the_index_as_with_it() {
    let dir = recorded();
    let before = told(dir.path());
    assert!(before.iter().all(|(lines, ..)| !lines[0].spans.is_empty()));
    assert!(before.iter().map(|told| told.3.len()).sum::<usize>() == 3);
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let report = rebuild(dir.path());
    assert_eq!(told(dir.path()), before);
    assert_eq!((report.clips, report.old_index.as_deref()), (3, None));
    assert!(report.damaged.is_empty() && report.unreadable.is_empty());
    assert!(!report.journal_missing && !report.journal_damaged);
    assert!(report.log.root_holds && report.log.altered.is_empty());
    assert_eq!((report.log.held, report.log.beyond), (report.segments, 0));
    check_files(dir.path());

    // Once more, and then it goes on as if nothing had been.
    let report = rebuild(dir.path());
    assert_eq!(told(dir.path()), before);
    let old = report.old_index.unwrap();
    assert!(old.ends_with("db/index.db.before-rebuild") && old.exists());
    let clock = SimulatedClock::new(NOON.plus_ms(700_000));
    let store = open(dir.path(), &clock, None);
    let position = store.camera_position(&camera("door"));
    assert!(position.next_run > 1 && position.next_msn > 60);
    record(&store, 2, position.next_msn..position.next_msn + 10);
    assert_eq!(store.status().state, RecordingState::Recording);
    assert_eq!(store.status().segments_committed, 60);
    let last = position.next_msn + 9;
    store
        .clip_proof(&camera("door"), &[(VIDEO, 58), (VIDEO, last)])
        .unwrap();
    let more = store.make_clip(wish("yard", 90, 100)).unwrap();
    assert!(
        before
            .iter()
            .flat_map(|told| &told.3)
            .all(|clip| clip.id < more.id)
    );
    store.close();
    let after = told(dir.path());
    rebuild(dir.path());
    assert_eq!(told(dir.path()), after);
    check_files(dir.path());
}

#[test]
fn a_damaged_or_older_index_is_made_again_and_a_newer_or_used_one_is_left_alone() {
    let dir = recorded();
    let before = told(dir.path());
    let index = dir.path().join("db/index.db");
    std::fs::write(&index, b"rubbish").unwrap();
    rebuild(dir.path());
    assert_eq!(told(dir.path()), before);
    let kept = std::fs::read(dir.path().join("db/index.db.before-rebuild")).unwrap();
    assert_eq!(kept, b"rubbish");

    let clock = SimulatedClock::new(NOON);
    let store = open(dir.path(), &clock, None);
    let refused = rebuild_index(dir.path(), |_, _| {});
    assert!(matches!(refused, Err(OpenError::InUse(_))));
    drop(store);
    let connection = rusqlite::Connection::open(&index).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let refused = rebuild_index(dir.path(), |_, _| {});
    assert!(matches!(refused, Err(OpenError::NewerVersion { .. })));

    let empty = folder();
    let refused = rebuild_index(empty.path(), |_, _| {});
    assert!(matches!(refused, Err(OpenError::NothingRecorded(_))));
}

#[test]
fn a_directory_of_version_1_is_rebuilt() {
    let dir = folder();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1");
    copy(&fixture, dir.path());
    let report = rebuild(dir.path());
    assert!(report.journal_missing);
    assert_eq!((report.reels, report.segments, report.log.held), (4, 8, 0));
    let front = camera("front");
    let store = open(dir.path(), &SimulatedClock::new(NOON), None);
    let line = store
        .timeline(&front, NOON, NOON.plus_ms(60_000), 1000)
        .unwrap();
    assert_eq!(line.spans, [(NOON, NOON.plus_ms(8_000))]);
    let position = store.camera_position(&front);
    assert!(position.next_run > 1 && position.next_msn > 1000);
}

#[test]
fn what_was_forgotten_does_not_come_back_though_its_file_stands() {
    let dir = recorded();
    let before = told(dir.path());
    // As a power cut leaves it between the transaction and the removal.
    let last = reels(dir.path()).pop().unwrap();
    let kept = std::fs::read(&last).unwrap();
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let oldest: i64 = index
        .query_row(
            "SELECT id FROM reel WHERE refs = 0 ORDER BY id LIMIT 1",
            (),
            |row| row.get(0),
        )
        .unwrap();
    drop(index);
    let standing = reels(dir.path())
        .into_iter()
        .find(|path| path.ends_with(format!("{oldest:010}.reel")))
        .unwrap();
    let bytes = std::fs::read(&standing).unwrap();
    let store = open(dir.path(), &SimulatedClock::new(NOON), Some(0));
    store.flush();
    store.close();
    assert!(!standing.exists());
    let after = told(dir.path());
    assert_ne!(after, before);
    std::fs::create_dir_all(standing.parent().unwrap()).unwrap();
    std::fs::write(&standing, bytes).unwrap();
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let report = rebuild(dir.path());
    assert_eq!(report.over, 1);
    assert_eq!(told(dir.path()), after);
    drop(open(dir.path(), &SimulatedClock::new(NOON), None));
    assert!(!standing.exists());
    assert_eq!(std::fs::read(&last).unwrap(), kept);
    check_files(dir.path());
}

#[test]
fn the_log_and_the_keys_count_as_bytes_on_the_disk() {
    const BYTES: u64 = 1 << 20;
    let dir = recorded();
    let archive = Archive::open(dir.path()).unwrap();
    for name in ["log/more", "keys/more"] {
        let path = dir.path().join(name);
        let before = archive.statistics().unwrap().physical_bytes;
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![1; BYTES as usize]).unwrap();
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
        let more = archive.statistics().unwrap().physical_bytes - before;
        assert!(more >= BYTES, "{more}: {name}");
    }
}

#[test]
fn torn_damaged_and_unreadable_reels_are_told_and_the_rest_is_there() {
    let dir = recorded();
    let all = reels(dir.path());
    let untouched = told(dir.path());
    let segments = |told: &Told| -> usize {
        told.iter()
            .flat_map(|told| &told.1.renditions)
            .map(|track| track.segments.len())
            .sum()
    };
    // Which reels have three segments.
    let long: Vec<&PathBuf> = all
        .iter()
        .filter(|path| std::fs::metadata(path).unwrap().len() > 2_000)
        .collect();
    let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    };
    // The last trailer cut off; a bit of a trailer in the middle; a bit of a box's size; a damaged head; no file.
    change(long[0], &|bytes| bytes.truncate(bytes.len() - 1));
    let trailer = |bytes: &[u8], nth: usize| {
        let pattern = b"perch reel tail";
        let hits = bytes.windows(15).enumerate();
        let mut hits = hits.filter(|(_, window)| window == pattern);
        hits.nth(nth).unwrap().0
    };
    change(long[1], &|bytes| {
        let at = trailer(bytes, 1);
        bytes[at + 40] ^= 1;
    });
    change(long[2], &|bytes| {
        // The size of the first box behind the first trailer, 190 bytes in front of which it starts.
        let at = trailer(bytes, 0) - 8;
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        bytes[at + size] ^= 0x40;
    });
    change(long[3], &|bytes| {
        let at = bytes.windows(15).position(|w| w == b"perch reel head");
        bytes[at.unwrap() + 30] ^= 1;
    });
    let unreadable = long[3].clone();
    std::fs::remove_file(long[4]).unwrap();
    std::fs::create_dir(long[4]).unwrap();

    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let report = rebuild(dir.path());
    assert_eq!(report.damaged.len(), 3, "{:?}", report.damaged);
    assert_eq!(report.unreadable.len(), 2, "{:?}", report.unreadable);
    let now = told(dir.path());
    let lost = segments(&untouched) - segments(&now);
    // One of each of the first three, and two reels of at most three.
    assert!((5..=9).contains(&lost), "{lost}");
    let losses = now.iter().flat_map(|told| &told.1.gaps);
    let losses = losses.filter(|gap| gap.reason == GapReason::Lost).count();
    assert_eq!(losses, 2);
    // Not deleted, and not taken for a leftover by those who record on.
    let aside = PathBuf::from(format!("{}.unreadable", unreadable.display()));
    assert!(aside.exists() && !unreadable.exists());
    let store = open(
        dir.path(),
        &SimulatedClock::new(NOON.plus_ms(700_000)),
        None,
    );
    record(&store, 9, 5_000_000..5_000_004);
    store.close();
    assert_eq!(store.status().state, RecordingState::Recording);
    assert!(aside.exists());
}

#[test]
fn a_journal_that_is_begun_anew_or_cut_tells_what_it_can() {
    let dir = recorded();
    let before = told(dir.path());
    let journals = || {
        let entries = std::fs::read_dir(dir.path().join("log")).unwrap();
        let mut found: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with("marks-")
            })
            .collect();
        found.sort();
        found
    };
    let first = journals();
    assert_eq!(first.len(), 1);
    // A newer one that was not finished when the power went.
    let newer = dir.path().join("log/marks-000009");
    let whole = std::fs::read(&first[0]).unwrap();
    std::fs::write(&newer, &whole[..20]).unwrap();
    rebuild(dir.path());
    assert_eq!(told(dir.path()), before);
    // The next start begins one, which tells the same.
    drop(open(dir.path(), &SimulatedClock::new(NOON), None));
    let second = journals();
    assert!(second.len() == 1 && second != first, "{second:?}");
    rebuild(dir.path());
    assert_eq!(told(dir.path()), before);

    drop(open(dir.path(), &SimulatedClock::new(NOON), None));
    let third = journals().pop().unwrap();
    let mut longer = std::fs::read(&third).unwrap();
    longer.extend([0, 0, 0, 9, 1]);
    std::fs::write(&third, longer).unwrap();
    assert!(rebuild(dir.path()).journal_damaged);
    assert_eq!(told(dir.path()), before);
    std::fs::remove_dir_all(dir.path().join("log")).unwrap();
    let report = rebuild(dir.path());
    assert!(report.journal_missing && report.log.signed.is_none());
    let now = told(dir.path());
    assert_eq!(now[0].0[0].spans, before[0].0[0].spans);
}
