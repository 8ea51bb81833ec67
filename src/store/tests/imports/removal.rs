//! What is removed is given back to the disk, and only that.

use std::sync::Arc;

use super::made::*;
use crate::base::SimulatedClock;
use crate::store::Store;
use crate::store::import::release_next;
use crate::store::tests::durable::{open, open_whatever};
use crate::store::tests::faulty_disk::FaultyDisk;
use crate::store::tests::made::{NOON, patient};

#[test]
fn what_only_a_removed_item_needed_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let (shared, own) = (noise(1, 8 << 20), noise(2, 8 << 20));
    let store = open(dir.path());
    let keeps = import(&store, &file(outside.path(), "keeps", &shared));
    let goes = [&shared[..], &own].concat();
    let goes = import(&store, &file(outside.path(), "goes", &goes));
    let full = pack_bytes_on_disk(dir.path());
    assert!(store.remove_item(goes.id).unwrap());
    assert!(!store.remove_item(goes.id).unwrap());
    assert!(store.open_item(goes.id).unwrap().is_none());
    let freed = full - pack_bytes_on_disk(dir.path());
    assert!(freed > 7 << 20, "{freed}");
    assert!(content(&store, keeps.id) == shared);
    assert_eq!(number(dir.path(), "SELECT count(*) FROM dead"), 0);
    check_imports(dir.path());

    // The same bytes may come again, elsewhere.
    let again = import(&store, &file(outside.path(), "again", &own));
    assert!(again.new_bytes > 7 << 20);
    assert!(content(&store, again.id) == own);
    check_imports(dir.path());
}

#[test]
fn packs_in_which_nothing_counts_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // Two packs are full, the third stays open.
    let path = file(outside.path(), "large", &noise(3, 70 << 20));
    let id = import(&store, &path).id;
    assert_eq!(packs(dir.path()).len(), 3);
    assert!(store.remove_item(id).unwrap());
    // The open one, and one of tombstones about it.
    assert_eq!(packs(dir.path()).len(), 2);
    // A header keeps the blocks that it lies in.
    assert!(pack_bytes_on_disk(dir.path()) < 2 << 20);
    check_imports(dir.path());
    drop(store);
    let (store, _) = open_whatever(dir.path());
    assert!(content(&store, import(&store, &path).id) == noise(3, 70 << 20));
    check_imports(dir.path());
}

#[test]
fn an_item_that_was_removed_halfway_goes_with_the_next_collection() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(4, 4 << 20);
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &bytes)).id;
    store.close();
    drop(store);
    // As a crash after the first transaction leaves it.
    index(dir.path())
        .execute_batch(
            "INSERT INTO dead (pack, offset, bytes, buried) SELECT pack, offset, record_bytes, 0 FROM item;
             UPDATE pack SET live = live - 1;
             UPDATE item SET digest = NULL, origin = '', pack = NULL;",
        )
        .unwrap();
    let store = open(dir.path());
    assert!(store.open_item(id).unwrap().is_none());
    let report = store.collect_garbage(false).unwrap();
    assert!(report.recount.is_clean());
    assert!(report.bytes_freed > 3 << 20);
    assert_eq!(number(dir.path(), "SELECT count(*) FROM item"), 0);
    check_imports(dir.path());
}

#[test]
fn an_item_that_took_the_key_of_one_that_went_stays() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &noise(5, 1 << 20))).id;
    // Whoever collected the keys of what goes comes late: the first of them went, and its key was used again.
    let mut connection = index(dir.path());
    let transaction = connection.transaction().unwrap();
    let row = transaction.query_row("SELECT id FROM item", (), |row| row.get(0));
    assert!(!release_next(&transaction, row.unwrap()).unwrap());
    transaction.commit().unwrap();
    assert!(content(&store, id) == noise(5, 1 << 20));
    check_imports(dir.path());
}

#[test]
fn an_item_can_be_removed_on_a_full_disk_of_which_nothing_may_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.tell_space(1 << 40, 1 << 40);
    let clock = Arc::new(SimulatedClock::new(NOON));
    let files = Arc::new(disk.clone());
    let (store, _) = Store::open_on(files, dir.path(), patient(), clock).unwrap();
    let ballast = dir.path().join("db/ballast");
    // The writer keeps room with whatever it does.
    store.flush();
    assert!(ballast.exists());
    let id = import(&store, &file(outside.path(), "a", &noise(6, 300_000))).id;
    disk.tell_space(0, 1 << 40);
    disk.fill_until_gone(&ballast);
    assert!(store.remove_item(id).unwrap());
    assert!(!ballast.exists());
    assert!(store.open_item(id).unwrap().is_none());
    assert_eq!(number(dir.path(), "SELECT count(*) FROM dead"), 0);
    check_imports(dir.path());
}
