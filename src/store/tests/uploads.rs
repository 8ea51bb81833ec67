//! Uploads from their first byte to their last: what was acknowledged is there, whoever interrupts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::durable::open;
use super::made::*;
use crate::base::SimulatedClock;
use crate::chunk::ItemId;
use crate::store::{NewUpload, Store, Upload, UploadError, UploadPhase};
use crate::upload::{
    Admitted, Fields, Metadata, Refusal, Request, UploadId, UploadKind, UploadState,
};

pub(super) const MIB: usize = 1 << 20;

/// Bytes that tell where they belong.
pub(super) fn bytes_at(offset: u64, count: usize) -> Bytes {
    (offset..offset + count as u64)
        .map(|at| {
            // Nothing of it comes twice, so that all of it is to be stored.
            let mixed = (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
        })
        .collect()
}

/// A file of its own, or a part, that the client knows the length of.
pub(super) fn of_length(kind: UploadKind, length: u64) -> NewUpload {
    NewUpload {
        kind,
        length: Some(length),
        is_complete: false,
        metadata: Metadata::parse("filename YS5tcDQ=").unwrap(),
        parts: Vec::new(),
    }
}

/// What a client of tus says when it goes on.
pub(super) fn admitted(state: &UploadState, more: &[(&str, &str)]) -> Result<Admitted, Refusal> {
    let offset = state.offset.to_string();
    let fields = [
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", "application/offset+octet-stream"),
        ("Upload-Offset", &offset),
    ];
    let fields = fields.iter().chain(more);
    let fields: Fields<'_> = fields
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    Request::read(fields)?.delivery()?.admit(state)
}

/// Sends `count` bytes to where the upload is, as one request.
pub(super) fn send(store: &Store, id: UploadId, count: usize) -> Result<Upload, UploadError> {
    let hold = store.take_upload(id)?;
    let upload = hold.upload()?;
    let offset = upload.state.offset;
    let admitted = admitted(&upload.state, &[])?;
    let mut writer = hold.receive(&upload, admitted)?;
    for at in (0..count).step_by(100_000) {
        writer.write(bytes_at(offset + at as u64, (count - at).min(100_000)))?;
    }
    writer.finish(true)
}

pub(super) fn file_of(dir: &Path, id: UploadId) -> PathBuf {
    dir.join("up").join(format!("{id}.part"))
}

/// The file of an upload that is not complete begins with what its offset says.
pub(super) fn check_bytes(dir: &Path, upload: &Upload) {
    assert!(!upload.state.is_complete);
    let found = std::fs::read(file_of(dir, upload.id)).unwrap();
    let offset = upload.state.offset as usize;
    assert!(found.len() >= offset);
    assert!(found[..offset] == bytes_at(0, offset));
}

/// Waits until an upload has become an item, or was refused.
pub(super) fn wait_ended(store: &Store, id: UploadId) -> Upload {
    for _ in 0..6000 {
        let upload = store.upload(id).unwrap().expect("it is known for a week");
        if !matches!(upload.phase, UploadPhase::Receiving | UploadPhase::Complete) {
            return upload;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("an upload is not imported within a minute");
}

/// The bytes of the item that an upload has become.
pub(super) fn imported_bytes(store: &Store, id: UploadId) -> Vec<u8> {
    let UploadPhase::Imported(item) = wait_ended(store, id).phase else {
        panic!("{id} was refused");
    };
    let mut content = store.open_item(ItemId(item)).unwrap().unwrap();
    let mut bytes = Vec::new();
    while let Some(more) = content.load_from(bytes.len() as u64).unwrap() {
        bytes.extend_from_slice(&more);
    }
    bytes
}

#[test]
fn an_upload_goes_on_after_a_restart_and_is_complete_at_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let length = 9 * MIB as u64 + 5;
    let store = open(dir.path());
    let begun = store
        .begin_upload(of_length(UploadKind::Single, length))
        .unwrap();
    assert_eq!(
        (begun.state.offset, &begun.phase),
        (0, &UploadPhase::Receiving)
    );
    assert_eq!(begun.metadata.name(), Some("a.mp4"));
    let sent = send(&store, begun.id, 5 * MIB).unwrap();
    assert_eq!(sent.state.offset, 5 * MIB as u64);
    store.close();

    let store = open(dir.path());
    assert_eq!(store.upload(begun.id).unwrap().as_ref(), Some(&sent));
    let sent = send(&store, begun.id, 4 * MIB + 5).unwrap();
    assert!(sent.state.is_complete);
    assert!(imported_bytes(&store, begun.id) == bytes_at(0, length as usize));
    assert_eq!(store.uploads().unwrap().len(), 1);
    let unknown = store.take_upload(UploadId([0; 16])).unwrap().upload();
    assert!(matches!(unknown, Err(UploadError::Unknown)));
}

#[test]
fn what_came_is_kept_each_few_mebibytes_and_when_the_client_is_slow() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let (store, _) = Store::open(dir.path(), patient(), Arc::new(clock.clone())).unwrap();
    let id = store
        .begin_upload(of_length(UploadKind::Single, 64 << 20))
        .unwrap()
        .id;
    let hold = store.take_upload(id).unwrap();
    let upload = hold.upload().unwrap();
    let mut writer = hold
        .receive(&upload, admitted(&upload.state, &[]).unwrap())
        .unwrap();
    let offset = || store.upload(id).unwrap().unwrap().state.offset;
    for at in 0..41 {
        writer.write(bytes_at(at * 100_000, 100_000)).unwrap();
    }
    assert_eq!(offset(), 0);
    for at in 41..50 {
        writer.write(bytes_at(at * 100_000, 100_000)).unwrap();
    }
    assert!(offset() >= 4 << 20);
    clock.advance(Duration::from_secs(11));
    writer.write(bytes_at(5_000_000, 1)).unwrap();
    assert_eq!(offset(), 5_000_001);
    // The connection is gone: what was not recorded is not there.
    writer.write(bytes_at(5_000_001, 9)).unwrap();
    drop(writer);
    let sent = send(&store, id, 1).unwrap();
    assert_eq!(sent.state.offset, 5_000_002);
    check_bytes(dir.path(), &sent);
}

#[test]
fn a_newer_request_takes_over_and_the_older_one_keeps_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store
        .begin_upload(of_length(UploadKind::Single, 100))
        .unwrap()
        .id;
    let hold = store.take_upload(id).unwrap();
    let taken_over = hold.taken_over();
    let upload = hold.upload().unwrap();
    let mut writer = hold
        .receive(&upload, admitted(&upload.state, &[]).unwrap())
        .unwrap();
    writer.write(bytes_at(0, 30)).unwrap();
    let newer = {
        let store = store.clone();
        std::thread::spawn(move || send(&store, id, 70))
    };
    while !taken_over.is_cancelled() {
        std::thread::yield_now();
    }
    assert_eq!(writer.finish(false).unwrap().state.offset, 30);
    let sent = newer.join().unwrap().unwrap();
    assert!(sent.state.is_complete);
    assert!(imported_bytes(&store, id) == bytes_at(0, 100));
}

#[test]
fn data_with_another_checksum_or_beyond_the_length_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store
        .begin_upload(of_length(UploadKind::Single, 20))
        .unwrap()
        .id;
    send(&store, id, 5).unwrap();
    let outcome = |fields: &[(&str, &str)], data: &[u8], whole: bool| {
        let hold = store.take_upload(id)?;
        let upload = hold.upload()?;
        let mut writer = hold.receive(&upload, admitted(&upload.state, fields)?)?;
        writer.write(Bytes::copy_from_slice(data))?;
        writer.finish(whole)
    };
    let checksum = [("Upload-Checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")];
    let refused = outcome(&checksum, b"hello worlt", true);
    assert!(matches!(
        refused,
        Err(UploadError::Refused(Refusal::ChecksumMismatch))
    ));
    let cut = outcome(&checksum, b"hello", false).unwrap();
    assert_eq!(cut.state.offset, 5, "it could not be checked");
    let beyond = outcome(&[], &[0; 16], true);
    assert!(matches!(
        beyond,
        Err(UploadError::Refused(Refusal::BeyondLength { length: 20 }))
    ));
    assert_eq!(store.upload(id).unwrap().unwrap().state.offset, 5);
    let taken = outcome(&checksum, b"hello world", true).unwrap();
    assert_eq!(taken.state.offset, 16);
    let found = std::fs::read(file_of(dir.path(), id)).unwrap();
    assert!(found[..5] == bytes_at(0, 5) && &found[5..] == b"hello world");
}

#[test]
fn parts_that_cannot_be_joined_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refusal = |parts: Vec<UploadId>| {
        let joined = NewUpload {
            length: None,
            parts,
            ..of_length(UploadKind::Final, 0)
        };
        match store.begin_upload(joined) {
            Err(UploadError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    };
    let begin = |kind| store.begin_upload(of_length(kind, 5)).unwrap().id;
    let part = begin(UploadKind::Partial);
    assert!(send(&store, part, 5).unwrap().state.is_complete);
    let nobody = UploadId([9; 16]);
    assert_eq!(refusal(vec![part, nobody]), Refusal::UnknownPart(nobody));
    let open = begin(UploadKind::Partial);
    assert_eq!(refusal(vec![open]), Refusal::UnfinishedPart(open));
    let single = begin(UploadKind::Single);
    assert_eq!(refusal(vec![single]), Refusal::NoPart(single));
    assert_eq!(store.uploads().unwrap().len(), 3, "nothing was made");
}

#[test]
fn what_nobody_goes_on_with_is_forgotten_after_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let (store, _) = Store::open(dir.path(), patient(), Arc::new(clock.clone())).unwrap();
    let begin = || {
        store
            .begin_upload(of_length(UploadKind::Single, 10))
            .unwrap()
            .id
    };
    let (left, kept, removed) = (begin(), begin(), begin());
    store.take_upload(removed).unwrap().remove().unwrap();
    assert_eq!(store.upload(removed).unwrap(), None);
    let gone = |id| store.take_upload(id).unwrap().remove();
    assert!(matches!(gone(removed), Err(UploadError::Unknown)));
    clock.advance(Duration::from_secs(6 * 86_400));
    send(&store, kept, 5).unwrap();
    clock.advance(Duration::from_secs(2 * 86_400));
    let is_done = || {
        store.flush();
        !file_of(dir.path(), left).exists() && !file_of(dir.path(), removed).exists()
    };
    let mut looks = 0;
    while !is_done() {
        looks += 1;
        assert!(looks < 2000, "the keeper looks");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(store.upload(left).unwrap(), None);
    assert!(send(&store, kept, 5).unwrap().state.is_complete);
}

#[test]
fn a_start_removes_what_no_row_names_and_cuts_off_what_was_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let begin = || {
        store
            .begin_upload(of_length(UploadKind::Single, 100))
            .unwrap()
            .id
    };
    let (longer, shorter) = (begin(), begin());
    for id in [longer, shorter] {
        send(&store, id, 50).unwrap();
    }
    store.close();
    drop(store);
    let nobody = file_of(dir.path(), UploadId([3; 16]));
    std::fs::write(&nobody, b"left").unwrap();
    let foreign = dir.path().join("up/notes.txt");
    std::fs::write(&foreign, b"somebody's").unwrap();
    let size = |id: UploadId, size: u64| {
        let file = std::fs::File::options()
            .write(true)
            .open(file_of(dir.path(), id));
        file.unwrap().set_len(size).unwrap();
    };
    size(longer, 70);
    size(shorter, 49);

    let store = open(dir.path());
    assert!(!nobody.exists() && foreign.exists());
    assert_eq!(
        std::fs::metadata(file_of(dir.path(), longer))
            .unwrap()
            .len(),
        50
    );
    let lost = store.upload(shorter).unwrap().unwrap();
    assert!(matches!(lost.phase, UploadPhase::Refused(_)), "{lost:?}");
    assert!(send(&store, longer, 50).unwrap().state.is_complete);
}
