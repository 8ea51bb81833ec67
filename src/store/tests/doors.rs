//! Who may open a data directory, and what those who may not are told. Nothing of it changes then.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::durable::open;
use super::made::*;
use crate::base::SimulatedClock;
use crate::store::{OpenError, Store};

fn refusal(dir: &Path) -> OpenError {
    Store::open(dir, patient(), Arc::new(SimulatedClock::new(NOON))).unwrap_err()
}

/// Every file below a folder with its content.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn recorded() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(&camera("front"), VIDEO, segment(VIDEO, 0, 0));
    store.close();
    dir
}

#[test]
fn a_directory_in_use_is_refused_until_it_is_closed() {
    let dir = recorded();
    let store = open(dir.path());
    assert!(matches!(refusal(dir.path()), OpenError::InUse(_)));
    store.close();
    drop(open(dir.path()));
}

#[test]
fn another_process_is_refused() {
    let dir = recorded();
    let store = open(dir.path());
    // flock(1) takes the same lock.
    let taken = |dir: &Path| {
        let lock = dir.join("lock");
        let flock = std::process::Command::new("flock")
            .arg("-n")
            .arg(lock)
            .arg("true")
            .status();
        flock
            .expect("flock must be installed to run the tests")
            .success()
    };
    assert!(!taken(dir.path()));
    drop(store);
    assert!(taken(dir.path()));
}

#[test]
fn a_newer_index_is_refused_and_left_untouched() {
    let dir = recorded();
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    index.pragma_update(None, "user_version", 7).unwrap();
    drop(index);
    let before = contents(dir.path());
    let refused = refusal(dir.path());
    assert!(
        matches!(refused, OpenError::NewerVersion { found: 7, .. }),
        "{refused}"
    );
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_file_that_is_no_index_is_refused_and_left_untouched() {
    for damage in [
        &b"not a database, but long enough to be taken for one by its size"[..],
        &[0; 4096],
    ] {
        let dir = recorded();
        std::fs::write(dir.path().join("db/index.db"), damage).unwrap();
        let before = contents(dir.path());
        let refused = refusal(dir.path());
        assert!(
            matches!(refused, OpenError::IndexDamaged { .. }),
            "{refused}"
        );
        assert_eq!(contents(dir.path()), before);
    }
}

#[test]
fn recordings_without_their_index_are_refused() {
    let dir = recorded();
    std::fs::remove_file(dir.path().join("db/index.db")).unwrap();
    for missing in ["removed", "emptied"] {
        let refused = refusal(dir.path());
        assert!(
            matches!(refused, OpenError::IndexMissing(_)),
            "{missing}: {refused}"
        );
        std::fs::write(dir.path().join("db/index.db"), b"").unwrap();
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let path = dir.path().to_owned();
    // Root may write anywhere, so this thread becomes nobody to the file system.
    let refused = std::thread::spawn(move || {
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
        refusal(&path)
    });
    let refused = refused.join().unwrap();
    assert!(
        matches!(refused, OpenError::NotWritable { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("not writable"), "{refused}");
}
