//! A fault at every operation of SQLite on its own files, in making an index, in recording and in importing: what was
//! told to be committed is whole afterwards, files and rows agree, and a full disk is no more than a pause.

use std::path::Path;
use std::sync::Arc;

use super::faults::{MSNS, check_afterwards, folder, open, read_all, record};
use super::faulty_disk::FaultyDisk;
use super::faulty_index::{FaultyIndex, IndexFault};
use super::imports::faults as imports;
use crate::base::SimulatedClock;
use crate::store::RecordingState;
use crate::store::file_system::RealFileSystem;
use crate::store::status::StoreStatus;
use crate::store::tests::made::NOON;

/// About so many moments of a longer work are tried.
const MOMENTS: usize = 120;

/// Operations that a pause of some seconds may take: without them left, recording has no time to come back.
const PAUSE_OPERATIONS: u64 = 150;

fn check_state(told: &StoreStatus, fault: IndexFault, may_still_pause: bool, at: u64) {
    match (&told.state, fault) {
        (RecordingState::Poisoned { .. }, IndexFault::Io | IndexFault::Gone) => {}
        (RecordingState::Poisoned { reason }, _) => panic!("{fault:?} at {at}: {reason}"),
        (RecordingState::Recording, _) => {}
        (state, _) => assert!(may_still_pause, "{fault:?} at {at}: {state:?}"),
    }
}

/// What somebody who records was told, with a fault in it; `None` where the fault met nothing.
fn record_with(
    dir: &Path,
    (at, fault): (u64, IndexFault),
    (run, first): (u64, u64),
) -> Option<StoreStatus> {
    let index = FaultyIndex::below(dir);
    index.fail(at, fault);
    // A start that fails tells nothing, and has committed nothing.
    let told = record(dir, &FaultyDisk::default(), run, first).unwrap_or_default();
    index.has_struck().then_some(told)
}

/// Operations of recording into `dir` without a fault.
fn operations(dir: &Path, run: u64, first: u64) -> u64 {
    let index = FaultyIndex::below(dir);
    record(dir, &FaultyDisk::default(), run, first).unwrap();
    index.operations()
}

fn fault_in_recording(fault: IndexFault) {
    let recorded = || {
        let dir = folder();
        record(dir.path(), &FaultyDisk::default(), 0, 0).unwrap();
        dir
    };
    let whole = operations(recorded().path(), 1, MSNS);
    let (mut struck, mut poisoned) = (0, 0);
    for at in 0..whole {
        let dir = recorded();
        let Some(told) = record_with(dir.path(), (at, fault), (1, MSNS)) else {
            continue;
        };
        struck += 1;
        poisoned += usize::from(matches!(told.state, RecordingState::Poisoned { .. }));
        check_state(&told, fault, at + PAUSE_OPERATIONS >= whole, at);
        let before = check_afterwards(dir.path(), &told);
        assert!(
            before.len() as u64 >= 2 * MSNS + told.segments_committed,
            "{fault:?} at {at}: {told:?}"
        );
        // And recording goes on.
        let more = record(dir.path(), &FaultyDisk::default(), 2, 20).unwrap();
        assert_eq!(more.segments_committed, 2 * MSNS);
        let (_, after) = read_all(dir.path());
        assert_eq!(after.len(), before.len() + 2 * MSNS as usize);
    }
    assert!(struck > 50, "{struck}");
    let may_poison = matches!(fault, IndexFault::Io | IndexFault::Gone);
    assert_eq!(poisoned > 0, may_poison, "{poisoned}");
}

#[test]
fn an_index_without_room_for_any_write_pauses_recording_which_comes_back() {
    fault_in_recording(IndexFault::Full);
}

#[test]
fn an_index_whose_write_is_cut_short_by_a_full_disk_pauses_recording() {
    fault_in_recording(IndexFault::Short);
}

#[test]
fn an_io_error_at_any_operation_of_the_index_loses_nothing_that_was_committed() {
    fault_in_recording(IndexFault::Io);
}

#[test]
fn an_index_that_fails_for_good_at_any_operation_loses_nothing_that_was_committed() {
    fault_in_recording(IndexFault::Gone);
}

#[test]
fn an_index_that_could_not_be_made_is_made_by_the_next_start() {
    let whole = operations(folder().path(), 0, 0);
    for fault in [IndexFault::Full, IndexFault::Io, IndexFault::Gone] {
        for at in (0..whole).step_by((whole as usize).div_ceil(MOMENTS)) {
            let dir = folder();
            if let Some(told) = record_with(dir.path(), (at, fault), (0, 0)) {
                check_afterwards(dir.path(), &told);
                let more = record(dir.path(), &FaultyDisk::default(), 1, 20).unwrap();
                assert_eq!(more.segments_committed, 2 * MSNS, "{fault:?} at {at}");
            }
        }
    }
}

fn fault_in_importing(fault: IndexFault) {
    let (dir, outside) = (folder(), folder());
    let index = FaultyIndex::below(dir.path());
    drop(imports::open_on(dir.path(), &FaultyDisk::default()).unwrap());
    let made = index.operations();
    imports::work(dir.path(), outside.path(), &FaultyDisk::default());
    let whole = index.operations() - made;
    let (mut struck, mut failures) = (0, 0);
    for at in (0..whole).step_by((whole as usize).div_ceil(MOMENTS)) {
        let (dir, outside) = (folder(), folder());
        drop(imports::open_on(dir.path(), &FaultyDisk::default()).unwrap());
        let index = FaultyIndex::below(dir.path());
        index.fail(at, fault);
        let told = imports::work(dir.path(), outside.path(), &FaultyDisk::default());
        if !index.has_struck() {
            continue;
        }
        struck += 1;
        failures += usize::from(told.imported.len() + told.removed.len() < 3);
        index.mend();
        imports::check_afterwards(dir.path(), outside.path(), &told);
    }
    assert!(struck > 20 && failures > 0, "{struck}, {failures}");
}

#[test]
fn an_index_without_room_for_any_write_harms_no_import() {
    fault_in_importing(IndexFault::Full);
}

#[test]
fn an_io_error_at_any_operation_of_the_index_harms_no_import() {
    fault_in_importing(IndexFault::Io);
}

#[test]
fn an_index_that_fails_for_good_at_any_operation_harms_no_import() {
    fault_in_importing(IndexFault::Gone);
}

#[test]
fn a_log_of_the_index_that_cannot_be_put_into_it_loses_nothing() {
    // More than the log may hold before it is put into the index.
    let grow = |dir: &Path, index: &FaultyIndex, fault: Option<(u64, IndexFault)>| {
        let clock = SimulatedClock::new(NOON);
        let (mut recorder, _) = open(dir, &clock, &|| Arc::new(RealFileSystem)).unwrap();
        let before = index.operations();
        if let Some((at, fault)) = fault {
            index.fail(before + at, fault);
        }
        let grown = recorder.change(|transaction| {
            transaction.execute_batch(
                "CREATE TABLE test (content BLOB); INSERT INTO test VALUES (zeroblob(5000000));",
            )?;
            Ok(Some(()))
        });
        let during = index.operations() - before;
        let state = recorder.status().state.clone();
        // As a process that is killed: nothing is put into the index at its end.
        index.fail(0, IndexFault::Gone);
        drop(recorder);
        index.mend();
        (grown.is_ok(), state, during)
    };
    let made = || {
        let dir = folder();
        record(dir.path(), &FaultyDisk::default(), 0, 0).unwrap();
        dir
    };
    let dir = made();
    let (_, _, whole) = grow(dir.path(), &FaultyIndex::below(dir.path()), None);
    let mut after_commit = 0;
    for fault in [IndexFault::Full, IndexFault::Io, IndexFault::Gone] {
        let spread = (0..whole).step_by((whole as usize).div_ceil(40));
        for at in spread.chain(whole - 6..whole) {
            let dir = made();
            let index = FaultyIndex::below(dir.path());
            let (is_committed, state, _) = grow(dir.path(), &index, Some((at, fault)));
            if fault == IndexFault::Full {
                assert_eq!(state, RecordingState::Recording, "at {at}");
            }
            let failed = matches!(state, RecordingState::Poisoned { .. });
            after_commit += usize::from(is_committed && failed);
            check_afterwards(dir.path(), &StoreStatus::default());
            assert_eq!(read_all(dir.path()).1.len() as u64, 2 * MSNS);
            let rows = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
            let kept = rows.query_row("SELECT sum(length(content)) FROM test", (), |row| {
                row.get::<_, i64>(0)
            });
            assert!(
                !is_committed || kept == Ok(5_000_000),
                "{fault:?} at {at}: {kept:?}"
            );
        }
    }
    assert!(after_commit > 10, "{after_commit}");
}
