//! An index that knows less than the reels do is no crash: nothing is taken from the recordings for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durable::open;
use super::made::*;
use crate::base::SimulatedClock;
use crate::store::{OpenError, Store};

fn record(dir: &Path, msns: std::ops::Range<u64>) {
    let store = open(dir);
    for msn in msns {
        store.append(&camera("front"), VIDEO, segment(VIDEO, msn / 1000, msn));
        store.flush();
    }
    store.close();
}

fn replace_index(dir: &Path, bytes: &[u8]) {
    for name in ["index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(dir.join("db").join(name));
    }
    std::fs::write(dir.join("db/index.db"), bytes).unwrap();
}

fn reels(dir: &Path) -> Vec<(PathBuf, u64)> {
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

fn open_error(dir: &Path) -> OpenError {
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
