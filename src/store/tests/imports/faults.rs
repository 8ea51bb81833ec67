//! A fault at every single operation of the disk, while files are imported and removed, and in what a start does then:
//! afterwards rows and packs agree, what was told to be imported is whole, what was told to be removed stays removed,
//! and recording never noticed.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use super::made::*;
use crate::base::SimulatedClock;
use crate::chunk::ItemId;
use crate::store::tests::faults::folder;
use crate::store::tests::faulty_disk::{Fault, FaultyDisk};
use crate::store::tests::made::{NOON, VIDEO, camera, patient, segment};
use crate::store::tests::outdated::{files, let_go, open_error, replace_index};
use crate::store::{ImportError, OpenError, RecordingState, Store, StoreOptions, rebuild_index};

/// What somebody was told.
#[derive(Debug, Default)]
pub(in crate::store::tests) struct Told {
    pub(in crate::store::tests) imported: Vec<(ItemId, Vec<u8>)>,
    pub(in crate::store::tests) removed: Vec<ItemId>,
    state: RecordingState,
}

pub(in crate::store::tests) fn open_on(dir: &Path, disk: &FaultyDisk) -> Option<Store> {
    let options = StoreOptions {
        ballast_bytes: 0,
        ..patient()
    };
    let clock = Arc::new(SimulatedClock::new(NOON));
    let opened = Store::open_on(Arc::new(disk.clone()), dir, options, clock);
    opened.ok().map(|(store, _)| store)
}

/// Imports three files of which two share most, and removes one in between.
pub(in crate::store::tests) fn work(dir: &Path, outside: &Path, disk: &FaultyDisk) -> Told {
    let mut told = Told::default();
    let Some(store) = open_on(dir, disk) else {
        return told;
    };
    // Each more than is gathered in memory before the disk is handed it.
    let (a, b) = (noise(1, 1200 << 10), noise(2, 1100 << 10));
    let both = [&a[..], &b].concat();
    for (name, bytes) in [("a", a), ("both", both), ("b", b)] {
        let path = file(outside, name, &bytes);
        if let Ok(imported) = try_import(&store, &path) {
            told.imported.push((imported.id, bytes));
        }
        if name == "both"
            && let Some(at) = told
                .imported
                .iter()
                .position(|(_, bytes)| bytes.len() < 1300 << 10)
        {
            let (id, bytes) = told.imported.swap_remove(at);
            match store.remove_item(id) {
                Ok(true) => told.removed.push(id),
                // It may be gone or not; what it shared must be there.
                Ok(false) | Err(_) => drop(bytes),
            }
        }
    }
    store.close();
    told.state = store.status().state;
    told
}

pub(in crate::store::tests) fn check_afterwards(dir: &Path, outside: &Path, told: &Told) {
    for _ in 0..2 {
        let store = open_on(dir, &FaultyDisk::default()).expect("it opens once the disk works");
        for (id, bytes) in &told.imported {
            assert!(content(&store, *id) == *bytes, "{id}");
        }
        for id in &told.removed {
            assert!(store.open_item(*id).unwrap().is_none(), "{id}");
        }
        let report = store.collect_garbage(false).unwrap();
        assert!(report.recount.is_clean(), "{report:?}");
        assert_eq!(number(dir, "SELECT count(*) FROM dead"), 0);
        check_imports(dir);
        store.close();
    }
    // The same files again work, and recording does.
    let again = work(dir, outside, &FaultyDisk::default());
    assert_eq!(again.imported.len() + again.removed.len(), 3);
    check_imports(dir);
    let store = open_on(dir, &FaultyDisk::default()).unwrap();
    store.append(&camera("door"), VIDEO, segment(VIDEO, 0, 0));
    store.close();
    assert_eq!(store.status().segments_committed, 1);
}

fn fault_at_every_operation(fault: Fault, power_is_lost_at_the_end: bool) {
    let whole = FaultyDisk::default();
    let (dir, outside) = (folder(), folder());
    let told = work(dir.path(), outside.path(), &whole);
    assert_eq!((told.imported.len(), told.removed.len()), (2, 1));
    let mut failures = 0;
    for at in 0..whole.operations() {
        let (dir, outside) = (folder(), folder());
        let disk = FaultyDisk::failing(at, fault);
        let told = work(dir.path(), outside.path(), &disk);
        failures += usize::from(told.imported.len() + told.removed.len() < 3);
        // It may pause where its own look at the disk fails.
        let poisoned = matches!(told.state, RecordingState::Poisoned { .. });
        assert!(!poisoned, "at {at}");
        if power_is_lost_at_the_end {
            disk.lose_what_is_not_synced();
        }
        check_afterwards(dir.path(), outside.path(), &told);
    }
    assert_eq!(failures > 0, fault != Fault::Short);
}

#[test]
fn a_full_disk_at_any_operation_harms_nothing() {
    fault_at_every_operation(Fault::Full, false);
}

#[test]
fn an_io_error_at_any_operation_harms_nothing() {
    fault_at_every_operation(Fault::Io, false);
}

#[test]
fn an_io_error_and_then_a_power_cut_harm_nothing_that_was_told() {
    fault_at_every_operation(Fault::Io, true);
}

#[test]
fn a_short_write_is_gone_on_with() {
    fault_at_every_operation(Fault::Short, true);
}

#[test]
fn a_power_cut_at_any_operation_harms_nothing_that_was_told() {
    fault_at_every_operation(Fault::PowerCut, true);
}

#[test]
fn a_killed_process_at_any_operation_harms_nothing_that_was_told() {
    fault_at_every_operation(Fault::PowerCut, false);
}

#[test]
fn a_disk_without_room_is_told_and_the_import_goes_on_once_there_is_some() {
    let (dir, outside) = (folder(), folder());
    let bytes = noise(3, 80 << 20);
    let path = file(outside.path(), "a", &bytes);
    // Past the second pack: the first one is in the index by then, whatever is going on beside.
    let whole = FaultyDisk::default();
    let other = folder();
    let store = open_on(other.path(), &whole).unwrap();
    let before = whole.operations();
    import(&store, &path);
    let during = whole.operations() - before;
    let disk = FaultyDisk::failing(before + during * 9 / 10, Fault::Full);
    let store = open_on(dir.path(), &disk).unwrap();
    let refused = try_import(&store, &path).unwrap_err();
    assert!(matches!(&refused, ImportError::DiskFull(why) if why.contains("free some space")));
    // It is full for a few operations more.
    let imported = (0..9).find_map(|_| try_import(&store, &path).ok()).unwrap();
    assert!(imported.resumed_at > 20 << 20, "{imported:?}");
    assert_eq!(store.status().state, RecordingState::Recording);
    store.close();
    drop(store);
    let store = open_on(dir.path(), &disk).unwrap();
    assert!(content(&store, imported.id) == bytes);
    check_imports(dir.path());
}

#[test]
fn a_pack_that_rows_name_is_gone_on_with_behind_them_after_the_disk_was_full() {
    let outside = folder();
    let (a, b) = (noise(6, 300 << 10), noise(7, 2 << 20));
    let paths = [file(outside.path(), "a", &a), file(outside.path(), "b", &b)];
    let import_both = |dir: &Path, disk: &FaultyDisk| {
        let store = open_on(dir, disk).unwrap();
        let first = import(&store, &paths[0]).id;
        let before = disk.operations();
        let mut refused = 0;
        let second = loop {
            match try_import(&store, &paths[1]) {
                Ok(imported) => break imported.id,
                Err(ImportError::DiskFull(_)) if refused < 9 => refused += 1,
                Err(error) => panic!("{error}"),
            }
        };
        let during = before..disk.operations();
        assert!(content(&store, first) == a && content(&store, second) == b);
        store.close();
        check_imports(dir);
        (during, refused)
    };
    let whole = folder();
    let (during, _) = import_both(whole.path(), &FaultyDisk::default());
    let mut gone_on_with = 0;
    for at in during {
        let dir = folder();
        let (_, refused) = import_both(dir.path(), &FaultyDisk::failing(at, Fault::Full));
        gone_on_with += usize::from(refused > 0 && packs(dir.path()).len() == 1);
    }
    assert!(gone_on_with > 2, "{gone_on_with}");
}

#[test]
fn a_pack_that_cannot_be_synced_takes_the_next_one_back_with_it() {
    let (dir, outside) = (folder(), folder());
    let bytes = noise(4, 70 << 20);
    let path = file(outside.path(), "a", &bytes);
    let disk = FaultyDisk::default();
    let store = open_on(dir.path(), &disk).unwrap();
    disk.fail_next_sync();
    let refused = try_import(&store, &path).unwrap_err();
    assert!(matches!(refused, ImportError::NotWritable(_)), "{refused}");
    assert!(packs(dir.path()).is_empty());
    let imported = import(&store, &path);
    assert_eq!(imported.resumed_at, 0);
    assert!(content(&store, imported.id) == bytes);
    check_imports(dir.path());
}

#[test]
fn faults_while_one_pack_is_filled_and_another_committed_harm_nothing() {
    let outside = folder();
    let bytes = noise(5, 70 << 20);
    let path = file(outside.path(), "a", &bytes);
    let import_on = |dir: &Path, disk: &FaultyDisk| {
        let store = open_on(dir, disk)?;
        let before = disk.operations();
        let imported = try_import(&store, &path).ok();
        store.close();
        imported.map(|imported| (imported, before..disk.operations()))
    };
    let whole = folder();
    let (_, during) = import_on(whole.path(), &FaultyDisk::default()).unwrap();
    let count = during.end - during.start;
    let mut failures = 0;
    for (n, fault) in [
        (9, Fault::PowerCut),
        (10, Fault::Io),
        (11, Fault::PowerCut),
        (19, Fault::PowerCut),
        (20, Fault::Full),
    ] {
        let dir = folder();
        let disk = FaultyDisk::failing(during.start + count * n / 21, fault);
        failures += usize::from(import_on(dir.path(), &disk).is_none());
        if fault == Fault::PowerCut {
            disk.lose_what_is_not_synced();
        }
        let (imported, _) = import_on(dir.path(), &FaultyDisk::default()).unwrap();
        let store = open_on(dir.path(), &FaultyDisk::default()).unwrap();
        assert!(content(&store, imported.id) == bytes, "{n}");
        check_imports(dir.path());
    }
    // One may have met what goes on beside.
    assert!(failures > 2, "{failures}");
}

#[test]
fn an_index_that_does_not_know_the_packs_is_refused_and_nothing_is_removed() {
    let dir = folder();
    drop(open_on(dir.path(), &FaultyDisk::default()).unwrap());
    std::fs::create_dir_all(dir.path().join("pack")).unwrap();
    for n in 0..18 {
        let name = format!("pack/{n:032x}.pack");
        std::fs::write(dir.path().join(name), "imports").unwrap();
    }
    // Of all those, one holds an item.
    let elsewhere = folder();
    let store = open_on(elsewhere.path(), &FaultyDisk::default()).unwrap();
    import(&store, &file(elsewhere.path(), "film", &noise(9, 100_000)));
    store.close();
    let film = packs(elsewhere.path()).remove(0);
    let name = film.file_name().unwrap();
    std::fs::copy(&film, dir.path().join("pack").join(name)).unwrap();
    assert!(open_on(dir.path(), &FaultyDisk::default()).is_none());
    assert_eq!(packs(dir.path()).len(), 19);
    std::fs::remove_file(dir.path().join("pack").join(name)).unwrap();
    assert!(open_on(dir.path(), &FaultyDisk::default()).is_some());
    assert_eq!(packs(dir.path()).len(), 0);
}

#[test]
fn an_index_older_than_a_single_import_is_refused_and_no_file_is_touched() {
    // The newer one is alone in its pack, or goes on in the pack of an older one.
    for names in [&["new"][..], &["old", "new"][..]] {
        let (dir, outside) = (folder(), folder());
        let store = open_on(dir.path(), &FaultyDisk::default()).unwrap();
        let mut items = Vec::new();
        let mut import_next = |store: &Store| {
            let seed = items.len();
            let bytes = noise(11 + seed as u64, 100_000);
            let id = import(store, &file(outside.path(), names[seed], &bytes)).id;
            items.push((id, bytes));
        };
        names[1..].iter().for_each(|_| import_next(&store));
        let_go(dir.path(), store);
        let older = std::fs::read(dir.path().join("db/index.db")).unwrap();
        let store = open_on(dir.path(), &FaultyDisk::default()).unwrap();
        import_next(&store);
        let_go(dir.path(), store);
        assert_eq!(packs(dir.path()).len(), 1);

        replace_index(dir.path(), &older);
        let before = files(dir.path());
        for _ in 0..2 {
            let refused = open_error(dir.path());
            assert!(
                matches!(refused, OpenError::ImportsUnknown { packs: 1, .. }),
                "{refused}"
            );
            assert!(files(dir.path()) == before);
        }
        rebuild_index(dir.path(), |_, _| {}).unwrap();
        let store = open_on(dir.path(), &FaultyDisk::default()).unwrap();
        for (id, bytes) in items {
            assert!(content(&store, id) == bytes);
        }
        check_imports(dir.path());
    }
}

#[test]
fn what_a_start_takes_from_packs_is_told() {
    let (dir, outside) = (folder(), folder());
    let store = open_on(dir.path(), &FaultyDisk::default()).unwrap();
    import(&store, &file(outside.path(), "film", &noise(10, 100_000)));
    store.close();
    let open = packs(dir.path()).remove(0);
    let mut end = File::options().append(true).open(&open).unwrap();
    end.write_all(&[0; 777]).unwrap();
    let unnamed = dir.path().join(format!("pack/{:032x}.pack", 5));
    std::fs::write(&unnamed, "imports").unwrap();

    let log = Arc::new(tempfile::tempfile().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(Arc::clone(&log));
    let subscriber = subscriber.with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        open_on(dir.path(), &FaultyDisk::default()).unwrap().close();
    });
    let mut told = String::new();
    (&*log).rewind().unwrap();
    (&*log).read_to_string(&mut told).unwrap();
    for (what, path, bytes) in [("removed", &unnamed, 7), ("cut off", &open, 777)] {
        let of_both = |line: &&str| line.contains(what) && line.contains(path.to_str().unwrap());
        let line = told.lines().find(of_both).expect(&told);
        assert!(line.contains(&format!("bytes={bytes}")), "{line}");
    }
    assert_eq!(told.lines().count(), 2, "{told}");
    check_imports(dir.path());
}
