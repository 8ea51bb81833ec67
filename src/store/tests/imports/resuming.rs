//! An import that is interrupted goes on where its last commit stood.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::made::*;
use crate::store::tests::durable::{open, open_whatever};
use crate::store::{Origin, Store};

/// Imports until `done` bytes are dealt with, as if the process ended there.
fn import_until(store: &Store, path: &std::path::Path, done: u64) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        store.import(File::open(path).unwrap(), &meta(path), |progress| {
            assert!(progress.done < done, "the import is interrupted here");
        })
    }));
    assert!(outcome.is_err());
}

#[test]
fn an_interrupted_import_goes_on_and_stores_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(1, 80 << 20);
    let path = file(outside.path(), "large", &bytes);
    let store = open(dir.path());
    import_until(&store, &path, 70 << 20);
    store.close();
    drop(store);
    let (store, _) = open_whatever(dir.path());
    assert!(store.items(None, 9).unwrap().is_empty(), "it is not whole");
    check_imports(dir.path());
    let mut first = None;
    let imported = store
        .import(File::open(&path).unwrap(), &meta(&path), |progress| {
            first.get_or_insert(progress.done);
        })
        .unwrap();
    assert!(imported.resumed_at > 60 << 20, "{imported:?}");
    assert_eq!(first, Some(imported.resumed_at));
    assert_eq!(imported.new_bytes, bytes.len() as u64);
    assert!(content(&store, imported.id) == bytes);
    // The digest is the same as if nothing had happened.
    let again = import(&store, &file(outside.path(), "again", &bytes));
    assert_eq!((again.new_bytes, again.digest), (0, imported.digest));
    check_imports(dir.path());
}

#[test]
fn a_file_that_is_another_one_now_is_imported_from_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let path = file(outside.path(), "large", &noise(2, 70 << 20));
    let store = open(dir.path());
    import_until(&store, &path, 60 << 20);
    // A copy that was given the size and the time of the one whose place it takes.
    let other = noise(3, 70 << 20);
    let written = path.metadata().unwrap().modified().unwrap();
    file(outside.path(), "large", &other);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(written)
        .unwrap();
    let imported = import(&store, &path);
    assert_eq!(imported.resumed_at, 0);
    assert!(content(&store, imported.id) == other);
    // What was begun of the other one goes.
    let report = store.collect_garbage(false).unwrap();
    assert!(report.bytes_freed > 30 << 20, "{report:?}");
    assert_eq!(number(dir.path(), "SELECT count(*) FROM item"), 1);
    check_imports(dir.path());
}

#[test]
fn files_are_told_from_each_other_by_every_byte_of_their_paths() {
    let text = |name: &[u8]| Origin::Path(OsStr::from_bytes(name).into()).text();
    let names: [&[u8]; 6] = [
        b"/\xe4",
        b"/\xf6",
        "/\u{fffd}".as_bytes(),
        "/\u{e4}".as_bytes(),
        br"/\xe4",
        br"path-bytes:/\xe4",
    ];
    let texts: BTreeSet<String> = names.into_iter().map(text).collect();
    assert_eq!(texts.len(), names.len(), "{texts:?}");
}

#[test]
fn an_abandoned_import_goes_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let path = file(outside.path(), "large", &noise(4, 70 << 20));
    let store = open(dir.path());
    import_until(&store, &path, 60 << 20);
    let pending = "SELECT count(*) FROM item WHERE digest IS NULL";
    assert_eq!(store.collect_garbage(false).unwrap().abandoned_items, 0);
    assert_eq!(number(dir.path(), pending), 1);
    let report = store.collect_garbage(true).unwrap();
    assert_eq!(report.abandoned_items, 1);
    assert!(report.recount.is_clean() && report.bytes_freed > 30 << 20);
    assert_eq!(number(dir.path(), pending), 0);
    check_imports(dir.path());
}

#[test]
fn chunks_that_go_while_they_are_being_referred_to_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(5, 8 << 20);
    let store = open(dir.path());
    let first = import(&store, &file(outside.path(), "first", &bytes));
    let path = file(outside.path(), "second", &bytes);
    // All of it was looked up, nothing is committed yet.
    let mut removed = false;
    let second = store
        .import(File::open(&path).unwrap(), &meta(&path), |progress| {
            if progress.done == progress.total && !removed {
                removed = store.remove_item(first.id).unwrap();
            }
        })
        .unwrap();
    assert!(removed);
    assert!(second.new_bytes == bytes.len() as u64);
    assert!(content(&store, second.id) == bytes);
    check_imports(dir.path());
}
