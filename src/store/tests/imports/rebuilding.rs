//! The index of imports, made again from the packs alone.

use std::path::Path;

use super::made::*;
use crate::chunk::{ItemId, ItemSource};
use crate::store::tests::durable::{open, open_whatever};
use crate::store::tests::made::{NOON, camera};
use crate::store::{ImportMeta, ItemEntry, RebuiltImports, rebuild_imports};

/// Takes the rows of imports away and makes them again.
fn rebuild(dir: &Path) -> RebuiltImports {
    let mut index = index(dir);
    let transaction = index.transaction().unwrap();
    for table in ["item_list", "item", "chunk", "dead", "grave", "pack"] {
        transaction
            .execute(&format!("DELETE FROM {table}"), ())
            .unwrap();
    }
    let rebuilt = rebuild_imports(dir, &transaction).unwrap();
    transaction.commit().unwrap();
    rebuilt
}

#[test]
fn a_rebuilt_index_has_the_same_items_and_not_those_that_were_removed() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let (a, b) = (noise(1, 6 << 20), noise(2, 5 << 20));
    let both = [&a[..], &b].concat();
    let store = open(dir.path());
    let path = file(outside.path(), "a", &a);
    let described = ImportMeta {
        source: ItemSource::Upload,
        camera: Some(camera("door")),
        at: Some(NOON),
        ..meta(&path)
    };
    let opened = std::fs::File::open(&path).unwrap();
    store.import(opened, &described, |_| {}).unwrap();
    let gone = import(&store, &file(outside.path(), "gone", &b));
    import(&store, &file(outside.path(), "both", &both));
    store.remove_item(gone.id).unwrap();
    // Removed, punched out, and imported again: stored at two places, of which one is empty.
    let c = noise(3, 2 << 20);
    let first = import(&store, &file(outside.path(), "c", &c));
    store.remove_item(first.id).unwrap();
    import(&store, &file(outside.path(), "c", &c));
    import(&store, &file(outside.path(), "nothing", b""));
    let before = store.items(None, 100).unwrap();
    store.close();
    drop(store);

    let rebuilt = rebuild(dir.path());
    assert_eq!((rebuilt.items, rebuilt.missing_bytes), (4, 0));
    assert!(rebuilt.lost.is_empty());
    check_imports(dir.path());
    let (store, _) = open_whatever(dir.path());
    let sorted = |mut items: Vec<ItemEntry>| {
        items.sort_by_key(|item| item.id);
        items
    };
    let after = sorted(store.items(None, 100).unwrap());
    // Who brought shared bytes first is told by the order of coming, which is the same moment for all here.
    let stored: u64 = after.iter().map(|item| item.new_bytes).sum();
    let chunks = number(dir.path(), "SELECT sum(bytes) FROM chunk");
    assert_eq!(stored, chunks as u64);
    let nameless = |items: Vec<ItemEntry>| {
        let forget = |item: ItemEntry| ItemEntry {
            new_bytes: 0,
            ..item
        };
        items.into_iter().map(forget).collect::<Vec<_>>()
    };
    assert_eq!(nameless(after.clone()), nameless(sorted(before)));
    let bytes_of = |name: &str| {
        let item = after.iter().find(|item| item.name.as_str() == name);
        content(&store, item.unwrap().id)
    };
    assert!(bytes_of("a") == a && bytes_of("both") == both && bytes_of("c") == c);
    assert!(store.collect_garbage(false).unwrap().recount.is_clean());
    // Imports and removals go on.
    let again = import(&store, &file(outside.path(), "again", &both));
    assert_eq!(again.new_bytes, 0);
    for item in store.items(None, 100).unwrap() {
        assert!(store.remove_item(item.id).unwrap());
    }
    store.close();
    drop(store);
    assert_eq!(rebuild(dir.path()).items, 0);
    check_imports(dir.path());
}

#[test]
fn what_no_item_refers_to_is_given_back_after_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let path = file(outside.path(), "pending", &noise(4, 70 << 20));
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.import(
            std::fs::File::open(&path).unwrap(),
            &meta(&path),
            |progress| {
                assert!(progress.done < 60 << 20);
            },
        )
    }));
    assert!(interrupted.is_err());
    let kept = noise(5, 1 << 20);
    let id = import(&store, &file(outside.path(), "kept", &kept)).id;
    store.close();
    drop(store);
    assert_eq!(rebuild(dir.path()).items, 1);
    let (store, _) = open_whatever(dir.path());
    let report = store.collect_garbage(false).unwrap();
    assert!(report.bytes_freed > 30 << 20, "{report:?}");
    assert!(content(&store, id) == kept);
    check_imports(dir.path());
}

#[test]
fn of_an_item_with_a_damaged_list_the_rest_is_kept_until_it_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let path = file(outside.path(), "film", &noise(7, 150 << 20));
    import(&store, &path);
    store.close();
    drop(store);
    assert!(number(dir.path(), "SELECT count(*) FROM item_list") >= 3);
    let (pack, offset): (String, u64) = index(dir.path())
        .query_row(
            "SELECT lower(hex(pack.name)), offset FROM item_list JOIN pack ON pack.id = item_list.pack WHERE part = 1",
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let pack = dir.path().join("pack").join(format!("{pack}.pack"));
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[offset as usize + 1000] ^= 1;
    std::fs::write(&pack, bytes).unwrap();

    let rebuilt = rebuild(dir.path());
    assert_eq!(rebuilt.items, 0);
    assert_eq!(rebuilt.lost, ["film".parse().unwrap()]);
    check_imports(dir.path());
    let (store, _) = open_whatever(dir.path());
    assert!(store.items(None, 10).unwrap().is_empty());
    // Counted again and swept: what nobody can name goes, the rest stays.
    let swept = store.collect_garbage(false).unwrap();
    assert!(swept.recount.is_clean(), "{swept:?}");
    let again = import(&store, &path);
    assert!(again.new_bytes <= 65 << 20, "{}", again.new_bytes);
    assert!(content(&store, again.id) == noise(7, 150 << 20));
    let given_up = store.collect_garbage(true).unwrap();
    assert_eq!(given_up.abandoned_items, 1);
    assert!(content(&store, again.id) == noise(7, 150 << 20));
    store.close();
    drop(store);
    check_imports(dir.path());
}

#[test]
fn pieces_that_no_pack_holds_are_told_and_the_rest_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(6, 3 << 20);
    let store = open(dir.path());
    let id: ItemId = import(&store, &file(outside.path(), "a", &bytes)).id;
    store.close();
    drop(store);
    // The header of the first record is damaged.
    let pack = &packs(dir.path())[0];
    let mut content = std::fs::read(pack).unwrap();
    content[50] ^= 1;
    std::fs::write(pack, content).unwrap();
    let rebuilt = rebuild(dir.path());
    assert_eq!(rebuilt.items, 1);
    assert!((16 << 10..=256 << 10).contains(&rebuilt.missing_bytes));
    let (store, _) = open_whatever(dir.path());
    let mut content = store.open_item(id).unwrap().unwrap();
    assert!(content.load_from(0).is_err());
    let behind = content.load_from(rebuilt.missing_bytes).unwrap().unwrap();
    assert!(bytes[rebuilt.missing_bytes as usize..].starts_with(&behind));
}
