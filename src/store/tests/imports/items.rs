//! Files come back as they were, at any place, and the same bytes are stored once.

use std::io;
use std::os::unix::fs::FileExt;

use super::made::*;
use crate::base::Wall;
use crate::chunk::{ItemId, ItemSource, MediaKind};
use crate::store::tests::durable::open;
use crate::store::tests::made::{NOON, camera, patient};
use crate::store::{
    Archive, ImportError, ImportMeta, ItemPage, ListPlace, Origin, ReadError, Store, StoreOptions,
};

#[test]
fn files_come_back_as_they_were_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let sizes = [0, 1, 16 << 10, (1 << 20) + 7, 3 << 20, 40 << 20];
    let files = sizes.map(|size| noise(size as u64, size));
    let store = open(dir.path());
    let mut items = Vec::new();
    for (n, bytes) in files.iter().enumerate() {
        let path = file(outside.path(), &format!("{n}.bin"), bytes);
        let imported = import(&store, &path);
        assert_eq!(imported.bytes, bytes.len() as u64);
        assert_eq!(imported.new_bytes, bytes.len() as u64);
        assert_eq!(imported.media, MediaKind::Other);
        items.push(imported.id);
    }
    for store in [store.clone(), {
        store.close();
        drop(store);
        open(dir.path())
    }] {
        for (id, bytes) in items.iter().zip(&files) {
            assert!(content(&store, *id) == *bytes);
        }
        store.close();
    }
    check_imports(dir.path());
    // The large one fills a pack, and small ones share one.
    assert_eq!(packs(dir.path()).len(), 2);
}

#[test]
fn any_place_of_an_item_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(1, 5 << 20);
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &bytes)).id;
    let mut content = store.open_item(id).unwrap().unwrap();
    for offset in [5_000_000, 0, 1, 70_000, 65_536, bytes.len() - 1] {
        let found = content.load_from(offset as u64).unwrap().unwrap();
        assert!(!found.is_empty() && found == bytes[offset..offset + found.len()]);
    }
    assert_eq!(content.load_from(bytes.len() as u64).unwrap(), None);
    assert_eq!(content.load_from(u64::MAX).unwrap(), None);
    assert!(store.open_item(ItemId([0; 16])).unwrap().is_none());
}

#[test]
fn the_same_file_again_stores_no_byte_twice() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(2, 10 << 20);
    let store = open(dir.path());
    let first = import(&store, &file(outside.path(), "a", &bytes));
    let before = pack_bytes_on_disk(dir.path());
    let again = import(&store, &file(outside.path(), "b", &bytes));
    assert_eq!((again.new_bytes, again.digest), (0, first.digest));
    assert_ne!(again.id, first.id);
    assert!(pack_bytes_on_disk(dir.path()) - before < 64 << 10);
    assert!(content(&store, again.id) == bytes);
    let names: Vec<String> = store
        .items(None, 10)
        .unwrap()
        .iter()
        .map(|item| item.name.to_string())
        .collect();
    assert_eq!(names, ["b", "a"]);
    let after_b = store.items(Some(again.id), 10).unwrap();
    assert_eq!(after_b.len(), 1);
    store.close();
    let statistics = Archive::open(dir.path()).unwrap().statistics().unwrap();
    let imports = statistics.sources.iter().find(|s| s.name == "imports");
    let size = bytes.len() as u64;
    let told = imports.map(|s| (s.logical_bytes, s.unique_bytes));
    assert_eq!(told, Some((2 * size, size)));
    assert!(statistics.physical_bytes > size);
    check_imports(dir.path());
}

#[test]
fn a_list_goes_on_behind_an_item_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // All in one moment, in which their rows tell the order.
    let [oldest, second, newest] =
        ["a", "b", "c"].map(|name| import(&store, &file(outside.path(), name, b"the same")).id);
    let page = store.item_page(None, 1).unwrap();
    let ids = |page: &ItemPage| page.items.iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!(ids(&page), [newest]);
    let place = page.next.unwrap();
    assert_eq!(place.to_string().parse::<ListPlace>(), Ok(place));
    assert_eq!(store.item_place(newest).unwrap(), Some(place));
    assert!(store.remove_item(newest).unwrap());
    assert_eq!(store.item_place(newest).unwrap(), None);
    let rest = store.item_page(Some(place), 2).unwrap();
    assert_eq!(ids(&rest), [second, oldest]);
    let end = store.item_page(rest.next, 2).unwrap();
    assert_eq!((end.items.len(), end.next), (0, None));
    for bad in ["", "-", "1", "1-", "-1", "a-1", "1-a"] {
        assert_eq!(bad.parse::<ListPlace>(), Err(()), "{bad}");
    }
}

#[test]
fn a_file_of_zeros_is_stored_as_one_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bytes = vec![0; 20 << 20];
    let imported = import(&store, &file(outside.path(), "zeros", &bytes));
    assert!(imported.new_bytes <= 256 << 10, "{}", imported.new_bytes);
    assert!(content(&store, imported.id) == bytes);
    check_imports(dir.path());
}

#[test]
fn what_comes_again_while_its_pack_is_being_committed_is_not_written_twice() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let start = noise(4, 40 << 20);
    // From within the first pack, and from the second one.
    let bytes = [&start[..], &start[24 << 20..]].concat();
    let imported = import(&store, &file(outside.path(), "a", &bytes));
    assert!(imported.new_bytes < 41 << 20, "{imported:?}");
    assert_eq!(number(dir.path(), "SELECT count(*) FROM dead"), 0);
    assert!(content(&store, imported.id) == bytes);
    check_imports(dir.path());
}

#[test]
fn several_at_once_store_what_they_share_once() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(3, 6 << 20);
    let store = open(dir.path());
    let paths: Vec<_> = (0..8)
        .map(|n| file(outside.path(), &format!("{n}"), &bytes))
        .collect();
    let imported: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = paths
            .iter()
            .map(|path| scope.spawn(|| import(&store, path)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let new: u64 = imported.iter().map(|imported| imported.new_bytes).sum();
    assert_eq!(new, bytes.len() as u64);
    for imported in imported {
        assert!(content(&store, imported.id) == bytes);
    }
    check_imports(dir.path());
}

#[test]
fn what_is_known_of_an_item_is_told_and_lies_on_the_timeline() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let path = file(
        outside.path(),
        "clip.mp4",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
    );
    let store = open(dir.path());
    let meta = ImportMeta {
        source: ItemSource::Upload,
        camera: Some(camera("door")),
        at: Some(NOON),
        origin: Origin::Upload("7".to_owned()),
        ..meta(&path)
    };
    let imported = store
        .import(std::fs::File::open(&path).unwrap(), &meta, |_| {})
        .unwrap();
    assert_eq!(imported.media, MediaKind::Video);
    let line = |from: Wall, to: Wall| store.timeline(&camera("door"), from, to, 60_000).unwrap();
    let [item] = &line(NOON, NOON.plus_ms(1)).imports[..] else {
        panic!("it lies there");
    };
    assert_eq!(
        (item.id, item.at, item.made),
        (imported.id, Some(NOON), NOON)
    );
    assert_eq!(item.source, ItemSource::Upload);
    assert!(line(NOON.plus_ms(1), NOON.plus_ms(9)).imports.is_empty());
    let mut content = store.open_item(item.id).unwrap().unwrap();
    assert_eq!(content.content_type().unwrap(), Some("video/mp4"));
}

#[test]
fn what_is_no_file_or_no_media_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        media_only: true,
        ..patient()
    };
    let clock = std::sync::Arc::new(crate::base::SimulatedClock::new(NOON));
    let (store, _) = Store::open(dir.path(), options, clock).unwrap();
    let page = file(outside.path(), "page.mp4", b"<!doctype html><script>");
    assert!(matches!(
        try_import(&store, &page),
        Err(ImportError::NotMedia)
    ));
    let endless = std::path::Path::new("/dev/zero");
    assert!(matches!(
        try_import(&store, endless),
        Err(ImportError::NotAFile)
    ));
    assert!(matches!(
        try_import(&store, outside.path()),
        Err(ImportError::NotAFile)
    ));
    let picture = file(outside.path(), "picture", b"\xFF\xD8\xFF\xE0 and so on");
    assert_eq!(import(&store, &picture).media, MediaKind::Still);
    assert_eq!(number(dir.path(), "SELECT count(*) FROM item"), 1);
}

#[test]
fn a_damaged_chunk_is_not_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(4, 1 << 20);
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &bytes)).id;
    let pack = &packs(dir.path())[0];
    let pack = std::fs::File::options()
        .read(true)
        .write(true)
        .open(pack)
        .unwrap();
    let mut byte = [0];
    pack.read_exact_at(&mut byte, 500_000).unwrap();
    pack.write_all_at(&[byte[0] ^ 1], 500_000).unwrap();
    let mut content = store.open_item(id).unwrap().unwrap();
    let outcomes: Vec<Result<_, ReadError>> = (0..bytes.len() as u64)
        .step_by(16 << 10)
        .map(|offset| content.load_from(offset))
        .collect();
    let damaged = |outcome: &Result<_, _>| matches!(outcome, Err(ReadError::Damaged { .. }));
    assert!(outcomes.iter().any(damaged));
    assert!(outcomes.iter().any(Result::is_ok));
}

#[test]
fn an_item_that_is_removed_while_it_is_read_never_shows_another_ones_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &noise(6, 1 << 20))).id;
    let mut content = store.open_item(id).unwrap().unwrap();
    assert!(content.load_from(0).unwrap().is_some());
    store.remove_item(id).unwrap();
    // Its chunks' keys are used again.
    import(&store, &file(outside.path(), "b", &noise(7, 1 << 20)));
    assert!(content.load_from(0).is_err());
}

#[test]
fn a_file_that_changes_while_it_is_read_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let path = file(outside.path(), "growing", &noise(5, 8 << 20));
    let store = open(dir.path());
    let growing = std::fs::File::options().append(true).open(&path).unwrap();
    let outcome = store.import(std::fs::File::open(&path).unwrap(), &meta(&path), |_| {
        io::Write::write_all(&mut &growing, b"more").unwrap();
    });
    assert!(matches!(outcome, Err(ImportError::Changed)), "{outcome:?}");
    assert!(store.items(None, 9).unwrap().is_empty());
    assert_eq!(number(dir.path(), "SELECT count(*) FROM item"), 0);
    check_imports(dir.path());
}
