//! Uploads on a disk that fills up, lies and loses power: what was acknowledged is there, what fails says why, and
//! recording goes on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::durable::open_whatever;
use super::faulty_disk::{Fault, FaultyDisk};
use super::made::*;
use super::uploads::{
    MIB, admitted, bytes_at, check_bytes, file_of, imported_bytes, of_length, send,
};
use crate::base::SimulatedClock;
use crate::store::{
    NewUpload, RecordingState, Retention, Store, StoreOptions, Upload, UploadError, UploadPhase,
};
use crate::upload::{UploadId, UploadKind};

/// One byte more than is sent, so that none of it is imported yet.
const LENGTH: usize = 5 * MIB + 1;
/// Sent in these pieces, of which the middle one is longer than a step.
const PIECES: [usize; 3] = [MIB / 4, 17 * MIB / 4, MIB / 2];

fn open_on(disk: &FaultyDisk, dir: &Path) -> (Store, SimulatedClock) {
    let clock = SimulatedClock::new(NOON);
    let ours = Arc::new(clock.clone());
    let (store, _) = Store::open_on(Arc::new(disk.clone()), dir, patient(), ours).unwrap();
    (store, clock)
}

/// Uploads a file; returns what was acknowledged last and what went wrong.
fn upload(store: &Store) -> (Option<Upload>, Option<UploadError>) {
    let begun = match store.begin_upload(of_length(UploadKind::Single, LENGTH as u64)) {
        Ok(begun) => begun,
        Err(error) => return (None, Some(error)),
    };
    let mut known = begun;
    for piece in PIECES {
        match send(store, known.id, piece) {
            Ok(upload) => known = upload,
            Err(error) => return (Some(known), Some(error)),
        }
    }
    (Some(known), None)
}

fn operations_of_an_upload() -> std::ops::Range<u64> {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (store, _) = open_on(&disk, dir.path());
    let before = disk.operations();
    let (_, error) = upload(&store);
    assert!(error.is_none(), "{error:?}");
    before..disk.operations()
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_moment() {
    let mut cuts_with_bytes = 0;
    for at in operations_of_an_upload() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::failing(at, Fault::PowerCut);
        let (store, _) = open_on(&disk, dir.path());
        let (known, _) = upload(&store);
        // What the index told anybody counts as well.
        let told = known
            .as_ref()
            .and_then(|known| store.upload(known.id).unwrap());
        drop(store);
        disk.lose_what_is_not_synced();

        let (store, _) = open_whatever(dir.path());
        let Some(known) = known else { continue };
        let found = store
            .upload(known.id)
            .unwrap()
            .expect("it was acknowledged");
        assert!(found.state.offset >= known.state.offset, "cut at {at}");
        assert_eq!(Some(found.state.offset), told.map(|told| told.state.offset));
        if matches!(found.phase, UploadPhase::Refused(_)) {
            // The flush failed as the power went, and that was believed.
            continue;
        }
        check_bytes(dir.path(), &found);
        cuts_with_bytes += u32::from(found.state.offset > 0);
        let rest = LENGTH - 1 - found.state.offset as usize;
        check_bytes(dir.path(), &send(&store, found.id, rest).unwrap());
    }
    assert!(cuts_with_bytes > 10);
}

#[test]
fn no_upload_is_at_its_length_and_not_complete() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open_whatever(dir.path());
    let id = store
        .begin_upload(of_length(UploadKind::Single, LENGTH as u64))
        .unwrap()
        .id;
    let hold = store.take_upload(id).unwrap();
    let upload = hold.upload().unwrap();
    let mut writer = hold
        .receive(&upload, admitted(&upload.state, &[]).unwrap())
        .unwrap();
    // Its last piece makes a step full, and then the power goes.
    writer.write(bytes_at(0, LENGTH - 1)).unwrap();
    writer.write(bytes_at(LENGTH as u64 - 1, 1)).unwrap();
    writer.save().unwrap();
    drop(writer);
    let found = store.upload(id).unwrap().unwrap();
    assert_eq!(found.phase, UploadPhase::Receiving);
    assert_eq!(found.state.offset, LENGTH as u64 - 1);
    store.close();
    drop(store);

    // What was left so by an earlier version is complete.
    std::fs::write(file_of(dir.path(), id), bytes_at(0, LENGTH)).unwrap();
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    index
        .execute_batch("UPDATE upload SET offset = length")
        .unwrap();
    drop(index);
    let (store, _) = open_whatever(dir.path());
    assert!(imported_bytes(&store, id) == bytes_at(0, LENGTH));
}

#[test]
fn an_upload_is_imported_though_the_power_went_with_its_last_bytes() {
    let whole = |store: &Store, known: UploadId| {
        let found = store.upload(known).unwrap()?;
        let rest = LENGTH - found.state.offset as usize;
        (rest > 0).then(|| send(store, known, rest))
    };
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (store, _) = open_on(&disk, dir.path());
    let (known, _) = upload(&store);
    let before = disk.operations();
    whole(&store, known.unwrap().id).unwrap().unwrap();
    // What comes behind is the import's.
    let operations = before..(before + 12).min(disk.operations());
    for at in operations {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::failing(at, Fault::PowerCut);
        let (store, _) = open_on(&disk, dir.path());
        let id = upload(&store).0.unwrap().id;
        let _ = whole(&store, id);
        drop(store);
        disk.lose_what_is_not_synced();
        let (store, _) = open_whatever(dir.path());
        let found = store.upload(id).unwrap().unwrap();
        if matches!(found.phase, UploadPhase::Refused(_)) {
            // The flush failed as the power went, and that was believed.
            continue;
        }
        if let Some(sent) = whole(&store, id) {
            sent.unwrap();
        }
        assert!(
            imported_bytes(&store, id) == bytes_at(0, LENGTH),
            "cut at {at}"
        );
    }
}

#[test]
fn an_error_of_the_disk_is_told_and_neither_bytes_nor_recording_suffer() {
    for fault in [Fault::Full, Fault::Io, Fault::Short] {
        for at in operations_of_an_upload() {
            let dir = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::failing(at, fault);
            let (store, clock) = open_on(&disk, dir.path());
            let (known, error) = upload(&store);
            let case = format!("{fault:?} at {at}: {error:?}");
            match (&error, fault) {
                (None, _) => {}
                (Some(UploadError::DiskFull(_) | UploadError::GivenUp(_)), Fault::Full) => {}
                (Some(UploadError::NotWritable(_) | UploadError::GivenUp(_)), Fault::Io) => {}
                _ => panic!("{case}"),
            }
            if let Some(known) = known {
                let found = store.upload(known.id).unwrap().unwrap();
                if matches!(error, Some(UploadError::GivenUp(_))) {
                    assert!(matches!(found.phase, UploadPhase::Refused(_)), "{case}");
                } else if error.is_some() {
                    // The disk works again after a few more operations, as the client tries again.
                    let rest = LENGTH - 1 - found.state.offset as usize;
                    let done = (0..9).find_map(|_| send(&store, known.id, rest).ok());
                    check_bytes(dir.path(), &done.expect(&case));
                } else {
                    check_bytes(dir.path(), &found);
                }
            }
            // A pause of the recording ends with a second look at the disk.
            for msn in 0..6 {
                clock.advance(Duration::from_secs(3));
                store.append(&camera("front"), VIDEO, segment(VIDEO, 0, msn));
                store.flush();
            }
            assert!(store.status().segments_committed > 0, "{case}");
        }
    }
}

#[test]
fn a_failed_flush_of_an_upload_is_believed_and_costs_no_recording() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (store, _) = open_on(&disk, dir.path());
    let id = store
        .begin_upload(of_length(UploadKind::Single, 100))
        .unwrap()
        .id;
    send(&store, id, 50).unwrap();
    disk.fail_next_sync();
    assert!(matches!(send(&store, id, 10), Err(UploadError::GivenUp(_))));
    let found = store.upload(id).unwrap().unwrap();
    assert!(matches!(found.phase, UploadPhase::Refused(_)));
    store.append(&camera("front"), VIDEO, segment(VIDEO, 0, 0));
    store.flush();
    assert_eq!(store.status().state, RecordingState::Recording);
    assert_eq!(store.status().segments_committed, 1);
}

#[test]
fn an_upload_leaves_the_room_that_recording_needs() {
    let dir = tempfile::tempdir().unwrap();
    let with_free = |free_bytes| StoreOptions {
        retention: Retention {
            free_bytes: Some(free_bytes),
            ..Retention::default()
        },
        ..patient()
    };
    let clock = Arc::new(SimulatedClock::new(NOON));
    let (store, _) = Store::open(dir.path(), patient(), clock.clone()).unwrap();
    let free = store.usage().unwrap().free_bytes;
    let new = |length| of_length(UploadKind::Single, length);
    let refused = |outcome| matches!(outcome, Err(UploadError::DiskFull(_)));
    assert!(refused(store.begin_upload(new(free * 2))));
    // What others were promised counts.
    let promised = store.begin_upload(new(free / 5 * 2)).unwrap();
    assert!(refused(store.begin_upload(new(free / 5 * 2))));
    store.take_upload(promised.id).unwrap().remove().unwrap();
    let promised = store.begin_upload(new(free / 5 * 2)).unwrap();
    store.take_upload(promised.id).unwrap().remove().unwrap();
    // A length that nobody knows is held against the disk as the bytes come.
    let open = NewUpload {
        length: None,
        ..new(0)
    };
    let id: UploadId = store.begin_upload(open).unwrap().id;
    assert_eq!(send(&store, id, 10).unwrap().state.offset, 10);
    store.close();
    drop(store);
    let (store, _) = Store::open(dir.path(), with_free(free * 4), clock).unwrap();
    assert!(refused(send(&store, id, 10)));
    assert_eq!(store.upload(id).unwrap().unwrap().state.offset, 10);
}
