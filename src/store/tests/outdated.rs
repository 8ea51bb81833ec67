//! An index that knows less than the reels do is no crash: nothing is taken from the recordings for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durable::{open, open_whatever};
use super::made::*;
use crate::base::{SimulatedClock, Wall};
use crate::store::file_system::RealFileSystem;
use crate::store::index::Index;
use crate::store::{
    ClipWish, Gap, GapReason, OpenError, RecordingState, Store, rebuild_index, scrub_once,
};

fn record(dir: &Path, msns: std::ops::Range<u64>) {
    record_of(dir, "front", NOON, msns);
}

fn record_of(dir: &Path, name: &str, start: Wall, msns: std::ops::Range<u64>) {
    let store = open(dir);
    for msn in msns {
        let label = start.plus_ms(msn as i64 * 2000);
        store.append(
            &camera(name),
            VIDEO,
            segment_at(VIDEO, msn / 1000, msn, label),
        );
        store.flush();
    }
    let_go(dir, store);
}

/// Closes a store for good, its index in one file.
pub(super) fn let_go(dir: &Path, store: Store) {
    store.close();
    drop(store);
    // Threads that only read end by themselves; an index must not be exchanged under them.
    while is_open(dir) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // Of several connections that close at once none is the last, which puts the log into the index.
    let index = rusqlite::Connection::open(dir.join("db/index.db")).unwrap();
    let is_busy = index.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0));
    assert_eq!(is_busy, Ok(false));
}

/// Whether this process holds a file of the index open.
fn is_open(dir: &Path) -> bool {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    targets.any(|target| target.starts_with(dir.join("db")))
}

pub(super) fn replace_index(dir: &Path, bytes: &[u8]) {
    for name in ["index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(dir.join("db").join(name));
    }
    std::fs::write(dir.join("db/index.db"), bytes).unwrap();
}

pub(super) fn reels(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut folders = vec![dir.join("reel")];
    let mut reels = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.metadata().unwrap() {
                found if found.is_dir() => folders.push(entry.path()),
                found => reels.push((entry.path(), found.len())),
            }
        }
    }
    reels.sort();
    reels
}

/// Every file with its bytes, but for what SQLite puts beside an index while it is open.
pub(super) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut folders = vec![dir.to_owned()];
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with("-wal") && !name.ends_with("-shm") {
                let bytes = std::fs::read(&path).unwrap();
                files.insert(path, bytes);
            }
        }
    }
    files
}

pub(super) fn open_error(dir: &Path) -> OpenError {
    let clock = Arc::new(SimulatedClock::new(NOON));
    Store::open(dir, patient(), clock).map(|_| ()).unwrap_err()
}

#[test]
fn an_emptied_index_is_refused_and_no_reel_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), 0..90);
    let before = reels(dir.path());
    replace_index(dir.path(), b"");
    for _ in 0..2 {
        assert!(matches!(open_error(dir.path()), OpenError::IndexMissing(_)));
    }
    assert_eq!(reels(dir.path()), before);
}

#[test]
fn an_index_from_an_older_backup_is_refused_and_no_reel_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), 0..5);
    let older = std::fs::read(dir.path().join("db/index.db")).unwrap();
    record(dir.path(), 1000..1090);
    let newest = std::fs::read(dir.path().join("db/index.db")).unwrap();
    let before = reels(dir.path());

    replace_index(dir.path(), &older);
    let refused = open_error(dir.path());
    assert!(
        matches!(refused, OpenError::IndexOutdated { segments: 90, .. }),
        "{refused}"
    );
    assert_eq!(reels(dir.path()), before);

    replace_index(dir.path(), &newest);
    let store = open(dir.path());
    let to = NOON.plus_ms(10_000_000);
    let recording = store.recording(&camera("front"), NOON, to).unwrap();
    assert_eq!(recording.renditions[0].segments.len(), 95);
}

/// Puts the index of `before` back after `after` was recorded: refused, and nothing touched, however short that was.
fn check_older_index_is_refused(after: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), 0..5);
    let older = std::fs::read(dir.path().join("db/index.db")).unwrap();
    after(dir.path());
    let before = reels(dir.path());
    replace_index(dir.path(), &older);
    for _ in 0..2 {
        let refused = open_error(dir.path());
        assert!(
            matches!(refused, OpenError::IndexOutdated { segments: 2, .. }),
            "{refused}"
        );
    }
    assert_eq!(reels(dir.path()), before);
}

#[test]
fn an_older_index_is_refused_if_a_later_day_was_recorded() {
    let tomorrow = NOON.plus_ms(86_400_000);
    check_older_index_is_refused(|dir| record_of(dir, "front", tomorrow, 1000..1002));
}

#[test]
fn an_older_index_is_refused_if_another_camera_was_recorded() {
    check_older_index_is_refused(|dir| record_of(dir, "back", NOON, 1000..1002));
}

#[test]
fn a_reel_that_is_there_already_is_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), 0..5);
    let store = open(dir.path());
    // As another program would put it there while this one runs.
    let folder = dir.path().join("reel/front").join(NOON.date());
    for id in 2..9 {
        std::fs::write(folder.join(format!("{id:010}.reel")), b"theirs").unwrap();
    }
    let before = reels(dir.path());
    for msn in 1000..1005 {
        store.append(&camera("front"), VIDEO, segment(VIDEO, 1, msn));
        store.flush();
    }
    let RecordingState::Poisoned { reason } = store.status().state else {
        panic!("{:?}", store.status().state)
    };
    assert!(reason.contains("put the newest index back"), "{reason}");
    assert_eq!(reels(dir.path()), before);
}

#[test]
fn an_index_older_than_a_journal_that_was_begun_anew_is_refused_and_no_file_is_touched() {
    for is_gone_on_with in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let front = camera("front");
        let wish = |name: &str| ClipWish {
            camera: front.clone(),
            from: NOON,
            to: NOON.plus_ms(4000),
            name: name.to_owned(),
        };
        // Clips end in the past.
        let open_later = || {
            let clock = Arc::new(SimulatedClock::new(NOON.plus_ms(60_000)));
            Store::open(dir.path(), patient(), clock).unwrap().0
        };
        record(dir.path(), 0..5);
        let store = open_later();
        let over = store.make_clip(wish("over")).unwrap();
        let_go(dir.path(), store);
        let older = std::fs::read(dir.path().join("db/index.db")).unwrap();

        std::fs::remove_file(dir.path().join("log/marks-000001")).unwrap();
        if is_gone_on_with {
            let store = open_later();
            assert!(store.remove_clip(over.id).unwrap());
            store.make_clip(wish("kept")).unwrap();
            let gap = Gap {
                rendition: None,
                from: NOON.plus_ms(20_000),
                to: NOON.plus_ms(30_000),
                reason: GapReason::CameraGone,
            };
            store.mark_gap(&front, gap);
            let_go(dir.path(), store);
        } else {
            // A store's threads may have something to add.
            Index::open(dir.path(), Arc::new(RealFileSystem)).unwrap();
        }
        assert!(dir.path().join("log/marks-000002").exists());
        replace_index(dir.path(), &older);
        let before = files(dir.path());
        // A crash may leave a newer journal that tells what the index says: nothing of it would be lost.
        for _ in 0..if is_gone_on_with { 2 } else { 0 } {
            let refused = open_error(dir.path());
            assert!(
                matches!(&refused, OpenError::JournalUnknown { journal, .. } if journal.ends_with("log/marks-000002")),
                "{refused}"
            );
            assert!(refused.to_string().contains("perch store rebuild"));
            assert!(files(dir.path()) == before);
        }

        if is_gone_on_with {
            rebuild_index(dir.path(), |_, _| {}).unwrap();
        }
        let (store, _) = open_whatever(dir.path());
        let clips = store.clip_page(None, None, 1000).unwrap().clips;
        let names: Vec<&str> = clips.iter().map(|clip| clip.name.as_str()).collect();
        let recording = store
            .recording(&front, NOON, NOON.plus_ms(100_000))
            .unwrap();
        assert_eq!(recording.renditions[0].segments.len(), 5);
        let is_told = recording
            .gaps
            .iter()
            .any(|gap| gap.reason == GapReason::CameraGone);
        match is_gone_on_with {
            true => assert_eq!((names, is_told), (vec!["kept"], true)),
            false => assert_eq!((names, is_told), (vec!["over"], false)),
        }
    }
}

#[test]
fn a_scrub_with_an_older_index_changes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path(), 0..5);
    let older = std::fs::read(dir.path().join("db/index.db")).unwrap();
    record(dir.path(), 1000..1090);
    replace_index(dir.path(), &older);
    let (reel, bytes) = reels(dir.path()).remove(0);
    let mut damaged = std::fs::read(&reel).unwrap();
    damaged[bytes as usize / 2] ^= 1;
    std::fs::write(&reel, damaged).unwrap();
    let before = files(dir.path());
    assert!(scrub_once(dir.path(), |_, _| {}).is_err());
    assert!(files(dir.path()) == before);
}
