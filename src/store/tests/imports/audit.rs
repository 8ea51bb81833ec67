//! Counts that are wrong are found and corrected, whichever way they are wrong.

use super::made::*;
use crate::store::MiscountedChunk;
use crate::store::tests::durable::open;
use crate::store::tests::made::{NOON, VIDEO, camera, segment};

#[test]
fn counts_that_are_right_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let path = file(outside.path(), "a", &noise(1, 3 << 20));
    let id = import(&store, &path).id;
    import(&store, &path);
    store.remove_item(id).unwrap();
    let report = store.collect_garbage(true).unwrap();
    assert!(report.recount.is_clean() && report.recount.chunks > 20);
    assert_eq!((report.bytes_freed, report.abandoned_items), (0, 0));
    assert_eq!(
        number(
            dir.path(),
            "SELECT done_ms FROM upkeep WHERE task = 'recount'"
        ),
        NOON.0
    );
}

#[test]
fn wrong_counts_are_told_and_corrected() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(2, 3 << 20);
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &bytes)).id;
    store.append(&camera("front"), VIDEO, segment(VIDEO, 0, 0));
    store.close();
    drop(store);
    index(dir.path())
        .execute_batch(
            "UPDATE chunk SET refs = 0 WHERE id = 2; UPDATE chunk SET refs = 3 WHERE id = 5;
             UPDATE pack SET live = 0; UPDATE reel SET refs = 2;
             INSERT INTO chunk (pack, offset, bytes, prefix, digest, refs, source)
             SELECT pack, 31000000, 16, 0, x'00', 1, 1 FROM chunk WHERE id = 1;
             UPDATE pack SET bytes = bytes;",
        )
        .unwrap();
    let store = open(dir.path());
    let report = store.collect_garbage(false).unwrap().recount;
    let found = |chunk, refs, counted| MiscountedChunk {
        chunk,
        refs,
        counted,
    };
    let last = i64::try_from(report.chunks).unwrap();
    assert_eq!(
        report.miscounted,
        [found(2, 0, 1), found(5, 3, 1), found(last, 1, 0)]
    );
    assert_eq!((report.packs_miscounted, report.reels_miscounted), (1, 1));
    assert_eq!(report.missing, 0);
    assert!(store.collect_garbage(false).unwrap().recount.is_clean());
    assert!(content(&store, id) == bytes);
    assert_eq!(number(dir.path(), "SELECT refs FROM reel"), 0);
    check_imports(dir.path());
}

#[test]
fn chunks_that_are_named_and_not_there_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    import(&store, &file(outside.path(), "a", &noise(3, 3 << 20)));
    let gone = "DELETE FROM chunk WHERE id IN (3, (SELECT max(id) FROM chunk))";
    index(dir.path()).execute(gone, ()).unwrap();
    assert_eq!(store.collect_garbage(false).unwrap().recount.missing, 2);
}

#[test]
fn a_pack_that_rows_name_stays_whatever_its_count_says() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let bytes = noise(4, 3 << 20);
    let store = open(dir.path());
    let id = import(&store, &file(outside.path(), "a", &bytes)).id;
    let live = number(dir.path(), "SELECT live FROM pack");
    let other = import(&store, &file(outside.path(), "b", &noise(5, 1 << 20))).id;
    let wrong = "UPDATE pack SET live = live - ?, open = 0";
    index(dir.path()).execute(wrong, [live]).unwrap();
    // Buries, and counts nothing before.
    assert!(store.remove_item(other).unwrap());
    assert!(content(&store, id) == bytes);
    assert_eq!(
        store
            .collect_garbage(false)
            .unwrap()
            .recount
            .packs_miscounted,
        1
    );
    assert!(content(&store, id) == bytes);
    check_imports(dir.path());
}
