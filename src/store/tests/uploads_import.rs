//! What complete uploads become: items, each once, whenever the power goes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::durable::open;
use super::made::*;
use super::uploads::{MIB, bytes_at, file_of, imported_bytes, of_length, send, wait_ended};
use crate::base::SimulatedClock;
use crate::chunk::{ItemId, ItemSource};
use crate::store::{NewUpload, Store, StoreOptions, UploadPhase};
use crate::upload::{UploadId, UploadKind};

fn upload(store: &Store, kind: UploadKind, count: usize) -> UploadId {
    let id = store
        .begin_upload(of_length(kind, count as u64))
        .unwrap()
        .id;
    assert!(send(store, id, count).unwrap().state.is_complete);
    id
}

/// Files go a moment after the rows that named them.
fn wait_gone(store: &Store, path: &Path) {
    for _ in 0..2000 {
        store.flush();
        if !path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} is still there", path.display());
}

#[test]
fn an_upload_becomes_an_item_and_the_same_file_again_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let (store, _) = Store::open(dir.path(), patient(), Arc::new(clock.clone())).unwrap();
    let first = upload(&store, UploadKind::Single, MIB);
    assert!(imported_bytes(&store, first) == bytes_at(0, MIB));
    let again = upload(&store, UploadKind::Single, MIB);
    assert!(imported_bytes(&store, again) == bytes_at(0, MIB));
    let items = store.items(None, 10).unwrap();
    let new: Vec<_> = items.iter().map(|item| item.new_bytes).collect();
    assert_eq!(new, [0, MIB as u64]);
    let described = |item: &crate::store::ItemEntry| {
        item.name.as_str() == "a.mp4" && item.source == ItemSource::Upload
    };
    assert!(items.iter().all(described));
    clock.advance(Duration::from_secs(6));
    wait_gone(&store, &file_of(dir.path(), first));
    wait_gone(&store, &file_of(dir.path(), again));
}

#[test]
fn a_file_is_imported_from_its_parts_without_a_copy_and_the_parts_go() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let (store, _) = Store::open(dir.path(), patient(), Arc::new(clock.clone())).unwrap();
    let parts: Vec<_> = [700_000, 1, 0, 300_000]
        .map(|count| {
            let is_complete = count == 0;
            let new = of_length(UploadKind::Partial, count as u64);
            let id = store
                .begin_upload(NewUpload { is_complete, ..new })
                .unwrap()
                .id;
            if !is_complete {
                send(&store, id, count).unwrap();
            }
            id
        })
        .into();
    let made = store
        .begin_upload(NewUpload {
            length: None,
            parts: parts.clone(),
            ..of_length(UploadKind::Final, 0)
        })
        .unwrap();
    assert_eq!(
        (made.state.length, made.state.offset),
        (Some(1_000_001), 1_000_001)
    );
    assert_eq!(made.parts, parts);
    let whole = [bytes_at(0, 700_000), bytes_at(0, 1), bytes_at(0, 300_000)].concat();
    assert!(imported_bytes(&store, made.id) == whole);
    assert!(!file_of(dir.path(), made.id).exists());
    clock.advance(Duration::from_secs(6));
    for part in parts {
        assert_eq!(store.upload(part).unwrap(), None);
        wait_gone(&store, &file_of(dir.path(), part));
    }
}

#[test]
fn what_is_no_media_is_refused_with_the_reason_where_only_media_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        media_only: true,
        ..patient()
    };
    let clock = Arc::new(SimulatedClock::new(NOON));
    let (store, _) = Store::open(dir.path(), options, clock).unwrap();
    let id = upload(&store, UploadKind::Single, 1000);
    let ended = wait_ended(&store, id);
    let UploadPhase::Refused(reason) = &ended.phase else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("no picture, film or sound"), "{reason}");
    assert!(store.items(None, 10).unwrap().is_empty());
}

#[test]
fn an_upload_waits_for_a_process_that_knows_what_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let open = |imports_uploads| {
        let options = StoreOptions {
            media_only: imports_uploads,
            imports_uploads,
            ..patient()
        };
        let clock = Arc::new(SimulatedClock::new(NOON));
        Store::open(dir.path(), options, clock).unwrap().0
    };
    let store = open(false);
    let id = upload(&store, UploadKind::Single, 1000);
    store.close();
    drop(store);
    let store = open(false);
    store.collect_garbage(true).unwrap();
    let found = store.upload(id).unwrap().unwrap();
    assert_eq!(found.phase, UploadPhase::Complete);
    assert!(store.items(None, 10).unwrap().is_empty());
    store.close();
    drop(store);
    let ended = wait_ended(&open(true), id);
    assert!(matches!(ended.phase, UploadPhase::Refused(_)), "{ended:?}");
}

#[test]
fn an_import_survives_a_restart_and_makes_one_item() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = upload(&store, UploadKind::Single, 8 * MIB);
    // In the middle of the import, or before it.
    store.close();
    drop(store);
    let store = open(dir.path());
    assert!(imported_bytes(&store, id) == bytes_at(0, 8 * MIB));
    let UploadPhase::Imported(item) = wait_ended(&store, id).phase else {
        panic!("it was refused");
    };
    store.close();
    drop(store);

    // The power went between the item's row and the upload's.
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    index
        .execute_batch("UPDATE upload SET state = 1, item = NULL; DELETE FROM garbage")
        .unwrap();
    drop(index);
    std::fs::write(file_of(dir.path(), id), bytes_at(0, 8 * MIB)).unwrap();
    let store = open(dir.path());
    assert_eq!(wait_ended(&store, id).phase, UploadPhase::Imported(item));
    let items = store.items(None, 10).unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.id).collect();
    assert_eq!(ids, [ItemId(item)]);
}
