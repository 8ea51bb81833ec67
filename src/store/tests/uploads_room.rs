//! The room that uploads take, promise and wait for: none of them keeps another out for good, and all together leave
//! recordings their part of the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::faulty_disk::FaultyDisk;
use super::made::*;
use super::uploads::{
    MIB, admitted, bytes_at, file_of, imported_bytes, of_length, send, wait_ended,
};
use crate::base::SimulatedClock;
use crate::chunk::ItemSource;
use crate::store::{
    ImportError, ImportMeta, NewUpload, Origin, RecordingState, Retention, Store, StoreOptions,
    Upload, UploadError, UploadImport, UploadPhase,
};
use crate::upload::{UploadId, UploadKind};

fn open_with(disk: &FaultyDisk, dir: &Path, options: StoreOptions) -> (Store, SimulatedClock) {
    let clock = SimulatedClock::new(NOON);
    let ours = Arc::new(clock.clone());
    let (store, _) = Store::open_on(Arc::new(disk.clone()), dir, options, ours).unwrap();
    (store, clock)
}

fn single(store: &Store, mib: usize) -> Result<Upload, UploadError> {
    store.begin_upload(of_length(UploadKind::Single, (mib * MIB) as u64))
}

fn is_full(outcome: Result<Upload, UploadError>) -> bool {
    matches!(outcome, Err(UploadError::DiskFull(_)))
}

/// Waits until the keeper has forgotten an upload.
fn wait_forgotten(store: &Store, id: UploadId) {
    for _ in 0..2000 {
        store.flush();
        if store.upload(id).unwrap().is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{id} is still there");
}

/// A store, its clock, and two uploads that are complete: one of 20 MiB that finds no room on the disk and waits, and one
/// behind it that was imported.
fn one_waits(disk: &FaultyDisk, dir: &Path) -> (Store, SimulatedClock, UploadId, UploadId) {
    let options = StoreOptions {
        free_bytes_min: (32 * MIB) as u64,
        ..patient()
    };
    let (store, clock) = open_with(disk, dir, options);
    let large = single(&store, 20).unwrap().id;
    let small = single(&store, 1).unwrap().id;
    send(&store, large, 20 * MIB - 1).unwrap();
    send(&store, small, MIB - 1).unwrap();
    // Something else has filled the disk; recording has its part, and 10 MiB are left.
    disk.tell_space((74 * MIB) as u64, (1000 * MIB) as u64);
    assert!(send(&store, large, 1).unwrap().state.is_complete);
    assert!(send(&store, small, 1).unwrap().state.is_complete);
    assert!(imported_bytes(&store, small) == bytes_at(0, MIB));
    (store, clock, large, small)
}

#[test]
fn an_upload_that_finds_no_room_keeps_none_behind_it_out_and_can_be_removed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (store, _, large, small) = one_waits(&disk, dir.path());
    let waiting = store.upload(large).unwrap().unwrap();
    assert_eq!(waiting.phase, UploadPhase::Complete);
    // Why is told of that one alone.
    let UploadImport::Failing(reason) = store.upload_import(large) else {
        panic!("nothing is told of the one that waits");
    };
    assert!(reason.contains("disk full"), "{reason}");
    let other = store.upload_import(small);
    assert!(!matches!(other, UploadImport::Failing(_)), "{other:?}");
    store.append(&camera("front"), VIDEO, segment(VIDEO, 0, 0));
    store.flush();
    assert_eq!(store.status().state, RecordingState::Recording);
    // What waits is not promised to anybody else.
    assert!(is_full(single(&store, 1)));
    store.take_upload(large).unwrap().remove().unwrap();
    assert_eq!(store.upload(large).unwrap(), None);
    assert_eq!(store.upload_import(large), UploadImport::Waiting);
    assert!(single(&store, 1).is_ok());
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let begun = "SELECT count(*) FROM item WHERE digest IS NULL AND origin <> ''";
    let begun: u64 = index.query_row(begun, (), |row| row.get(0)).unwrap();
    assert_eq!(begun, 0, "what was imported of it goes, too");
}

#[test]
fn an_upload_whose_import_was_begun_goes_on_with_that_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (store, _, large, _) = one_waits(&disk, dir.path());
    store.close();
    drop(store);
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let begun = "SELECT key FROM item WHERE digest IS NULL";
    let begun: [u8; 16] = index.query_row(begun, (), |row| row.get(0)).unwrap();
    drop(index);
    disk.tell_space((500 * MIB) as u64, (1000 * MIB) as u64);
    let (store, _) = open_with(&disk, dir.path(), patient());
    let ended = wait_ended(&store, large).phase;
    assert_eq!(ended, UploadPhase::Imported(begun));
}

#[test]
fn an_upload_of_which_the_disk_has_lost_bytes_becomes_no_shorter_file() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let (store, clock, large, _) = one_waits(&disk, dir.path());

    let file = std::fs::File::options()
        .write(true)
        .open(file_of(dir.path(), large))
        .unwrap();
    file.set_len((5 * MIB) as u64).unwrap();
    disk.tell_space((500 * MIB) as u64, (1000 * MIB) as u64);
    clock.advance(Duration::from_secs(11));
    let other = single(&store, 1).unwrap().id;
    send(&store, other, MIB).unwrap();
    let UploadPhase::Refused(reason) = wait_ended(&store, large).phase else {
        panic!("it became an item");
    };
    assert!(reason.contains("upload it again"), "{reason}");
}

#[test]
fn what_is_only_announced_takes_half_of_the_room_and_that_for_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.tell_space(1000 * MIB as u64, 4000 * MIB as u64);
    let (store, clock) = open_with(&disk, dir.path(), patient());
    let announced = single(&store, 500).unwrap().id;
    assert!(is_full(single(&store, 300)));
    let begun = single(&store, 200).unwrap().id;
    send(&store, begun, 1).unwrap();
    // A client that says nothing stays no longer for that.
    let hold = store.take_upload(announced).unwrap();
    let upload = hold.upload().unwrap();
    let mut writer = hold
        .receive(&upload, admitted(&upload.state, &[]).unwrap())
        .unwrap();
    clock.advance(Duration::from_secs(1800));
    writer.save().unwrap();
    drop(writer);
    assert!(is_full(single(&store, 400)));
    clock.advance(Duration::from_secs(1801));
    wait_forgotten(&store, announced);
    // The other one may go on for a week, but nothing waits for it.
    assert!(single(&store, 490).is_ok());
    assert_eq!(send(&store, begun, 1).unwrap().state.offset, 2);
}

#[test]
fn room_is_promised_for_good_with_the_first_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.tell_space(1000 * MIB as u64, 4000 * MIB as u64);
    let (store, clock) = open_with(&disk, dir.path(), patient());
    let announced = [(); 3].map(|()| single(&store, 250).unwrap().id);
    let [first, second, third] = announced;
    assert!(send(&store, first, 1).is_ok() && send(&store, second, 1).is_ok());
    assert!(is_full(send(&store, third, 1)));
    assert_eq!(store.upload(third).unwrap().unwrap().state.offset, 0);
    // Who does not go on for an hour has to find room again.
    clock.advance(Duration::from_secs(1800));
    send(&store, first, 1).unwrap();
    clock.advance(Duration::from_secs(1801));
    wait_forgotten(&store, third);
    let other = single(&store, 200).unwrap().id;
    send(&store, other, 1).unwrap();
    assert!(is_full(send(&store, second, 1)));
    send(&store, first, 1).unwrap();
    store.take_upload(other).unwrap().remove().unwrap();
    send(&store, second, 1).unwrap();
}

#[test]
fn an_upload_whose_length_comes_late_is_held_against_the_room_then() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.tell_space(100 * MIB as u64, 400 * MIB as u64);
    let (store, _) = open_with(&disk, dir.path(), patient());
    let open = NewUpload {
        length: None,
        ..of_length(UploadKind::Single, 0)
    };
    let id = store.begin_upload(open).unwrap().id;
    let told = |mib: usize| {
        let length = (mib * MIB).to_string();
        let hold = store.take_upload(id)?;
        let upload = hold.upload()?;
        let admitted = admitted(&upload.state, &[("Upload-Length", &length)])?;
        let mut writer = hold.receive(&upload, admitted)?;
        writer.write(bytes_at(upload.state.offset, 10))?;
        writer.finish(true)
    };
    assert!(is_full(told(51)));
    assert_eq!(store.upload(id).unwrap().unwrap().state.offset, 0);
    assert_eq!(told(50).unwrap().state.length, Some(50 * MIB as u64));
}

#[test]
fn uploads_and_imports_take_their_share_of_a_disk_that_is_full_of_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    disk.tell_space(1000 * MIB as u64, 50_000 * MIB as u64);
    let options = StoreOptions {
        retention: Retention {
            free_bytes: Some(1000 * MIB as u64),
            others_bytes: Some(4 * MIB as u64),
            ..Retention::default()
        },
        ..patient()
    };
    let (store, _) = open_with(&disk, dir.path(), options);
    assert!(is_full(single(&store, 3)));
    let id = single(&store, 2).unwrap().id;
    send(&store, id, 2 * MIB).unwrap();
    assert!(imported_bytes(&store, id) == bytes_at(0, 2 * MIB));
    // One copy is left, and a little less than room for half as much.
    assert!(is_full(single(&store, 1)));
    let path = dir.path().join("film");
    std::fs::write(&path, bytes_at(1, 2 * MIB)).unwrap();
    let meta = ImportMeta {
        name: "film".parse().unwrap(),
        source: ItemSource::Import,
        camera: None,
        at: None,
        origin: Origin::Path(path.clone()),
    };
    let import = || store.import(std::fs::File::open(&path).unwrap(), &meta, |_| {});
    match import() {
        Err(ImportError::DiskFull(reason)) => assert!(reason.contains("storage.imports_mb")),
        other => panic!("{other:?}"),
    }
    // Beyond the share there is what nobody uses.
    disk.tell_space(2003 * MIB as u64, 50_000 * MIB as u64);
    assert_eq!(import().unwrap().bytes, 2 * MIB as u64);
}

#[test]
fn a_part_is_of_one_file_at_a_time_and_files_count_as_uploads() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = StoreOptions {
        free_bytes_min: MIB as u64,
        ..patient()
    };
    let (store, _) = open_with(&disk, dir.path(), options);
    let part = store
        .begin_upload(of_length(UploadKind::Partial, 5))
        .unwrap()
        .id;
    send(&store, part, 5).unwrap();
    // So that nothing is imported.
    disk.tell_space(2 * MIB as u64, 1000 * MIB as u64);
    let join = || {
        store.begin_upload(NewUpload {
            length: None,
            parts: vec![part],
            ..of_length(UploadKind::Final, 0)
        })
    };
    let made = join().unwrap();
    assert!(matches!(join(), Err(UploadError::InUse)));
    assert!(matches!(
        store.take_upload(part).unwrap().remove(),
        Err(UploadError::InUse)
    ));
    // It may be tried to be imported just now.
    while let Err(error) = store.take_upload(made.id).unwrap().remove() {
        assert!(matches!(error, UploadError::InUse), "{error}");
        std::thread::yield_now();
    }
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    index
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO upload (name, kind, state, length, offset, metadata, began_ms, expires_ms)
             SELECT randomblob(16), 0, 0, 0, 0, '', 0, 9e15 FROM n",
        )
        .unwrap();
    assert!(matches!(join(), Err(UploadError::TooMany(1000))));
    assert!(matches!(single(&store, 0), Err(UploadError::TooMany(1000))));
}

#[test]
fn a_clock_that_is_set_expires_no_upload_under_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (store, clock) = open_with(&FaultyDisk::default(), dir.path(), patient());
    let (left, received) = (single(&store, 1).unwrap().id, single(&store, 1).unwrap().id);
    let hold = store.take_upload(received).unwrap();
    let upload = hold.upload().unwrap();
    let mut writer = hold
        .receive(&upload, admitted(&upload.state, &[]).unwrap())
        .unwrap();
    writer.write(bytes_at(0, MIB / 2)).unwrap();
    clock.advance(Duration::from_secs(50 * 365 * 86_400));
    wait_forgotten(&store, left);
    assert_eq!(writer.finish(false).unwrap().state.offset, MIB as u64 / 2);
    assert!(file_of(dir.path(), received).exists());
    assert!(send(&store, received, MIB / 2).unwrap().state.is_complete);
}

#[test]
fn who_only_imports_counts_with_what_is_kept_free_and_deletes_no_recording() {
    for deletes in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            reel_duration: Duration::from_secs(4),
            retention: Retention {
                bytes_max: Some(1),
                ..Retention::default()
            },
            deletes,
            ..patient()
        };
        let (store, clock) = open_with(&FaultyDisk::default(), dir.path(), options);
        for msn in 0..20 {
            store.append(&camera("front"), VIDEO, segment(VIDEO, 0, msn));
        }
        for _ in 0..3 {
            clock.advance(Duration::from_secs(6));
            store.flush();
        }
        assert_eq!(store.status().reels_expired > 0, deletes);
    }
}
