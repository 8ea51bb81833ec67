//! What is asked of the one thread that writes: nobody keeps the others from being answered, what fails is told for what
//! it is, and what changes nothing costs nothing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::durable::open;
use super::full_disk::ToldDisk;
use super::made::*;
use crate::base::{Clock, DigestKind, SimulatedClock};
use crate::chunk::{PackHeader, PackId, RecordHeader, RecordKind};
use crate::store::queue::QueuedSegment;
use crate::store::writer::{Asker, NoAnswer, Writer};
use crate::store::{Archive, OpenError, RecordingState, Store, StoreOptions, UploadError};

const LONG: Duration = Duration::from_secs(60);

/// Keeps the writer busy until what is returned is dropped.
fn keep_busy(store: &Store) -> Sender<()> {
    let (release, released) = channel::<()>();
    let (begin, begun) = channel();
    let writer = store.0.writer.clone();
    std::thread::spawn(move || {
        writer.ask(Asker::Visitor, LONG, move |_| {
            begin.send(()).unwrap();
            let _ = released.recv();
        })
    });
    begun.recv().unwrap();
    release
}

#[test]
fn a_flood_of_visitors_keeps_imports_not_from_being_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let release = keep_busy(&store);
    let ask = |asker, timeout| {
        let writer = store.0.writer.clone();
        std::thread::spawn(move || writer.ask(asker, timeout, |_| 7))
    };
    let visitors: Vec<_> = (0..100).map(|_| ask(Asker::Visitor, LONG)).collect();
    while visitors
        .iter()
        .filter(|visitor| visitor.is_finished())
        .count()
        < 36
    {
        std::thread::yield_now();
    }
    // More of our own than there are places: they wait.
    let own: Vec<_> = (0..100).map(|_| ask(Asker::Own, LONG)).collect();
    drop(release);
    assert!(own.into_iter().all(|own| own.join().unwrap() == Ok(7)));
    let answers: Vec<_> = visitors.into_iter().map(|v| v.join().unwrap()).collect();
    let refused = answers.iter().filter(|a| **a == Err(NoAnswer::NotTaken));
    assert_eq!(refused.count(), 36);
    assert_eq!(answers.iter().filter(|a| **a == Ok(7)).count(), 64);
}

/// A disk that is too slow while `is_flooded`: for each segment that is written another has come, and time goes by.
struct Flood {
    is_flooded: AtomicBool,
    clock: SimulatedClock,
    writer: OnceLock<Writer>,
    next_msn: AtomicU64,
}

impl Flood {
    fn disk(self: &Arc<Self>) -> ToldDisk {
        let flood = Arc::clone(self);
        // Which is asked for before each segment.
        ToldDisk(Box::new(move || {
            if flood.is_flooded.load(Ordering::SeqCst)
                && let Some(writer) = flood.writer.get()
            {
                flood.clock.advance(Duration::from_millis(100));
                let msn = flood.next_msn.fetch_add(1, Ordering::SeqCst);
                writer.append(QueuedSegment {
                    camera: camera("front"),
                    rendition: VIDEO,
                    segment: segment(VIDEO, 0, msn),
                });
            }
            u64::MAX
        }))
    }
}

#[test]
fn while_segments_come_faster_than_the_disk_takes_them_all_else_gets_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let clock = SimulatedClock::new(NOON);
    let flood = Arc::new(Flood {
        is_flooded: AtomicBool::new(true),
        clock: clock.clone(),
        writer: OnceLock::new(),
        next_msn: AtomicU64::new(1),
    });
    let mut options = StoreOptions {
        reel_duration: Duration::from_secs(6),
        ..patient()
    };
    options.retention.bytes_max = Some(10_000);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let opened = Store::open_on(Arc::new(flood.disk()), dir.path(), options, shared);
    let (store, _) = opened.unwrap();
    assert!(flood.writer.set(store.0.writer.clone()).is_ok());
    store.append(&camera("front"), VIDEO, segment(VIDEO, 0, 0));
    for asker in [Asker::Visitor, Asker::Own] {
        assert_eq!(store.0.writer.ask(asker, LONG, |_| 7), Ok(7));
    }
    store.flush();
    assert!(store.status().segments_committed > 0);
    // The log is signed, and what is over goes.
    let checkpoints = dir.path().join("log/checkpoints-000001");
    while !checkpoints.exists() || store.status().reels_expired == 0 {
        assert!(clock.wall() - NOON < 600_000, "{:?}", store.status());
        std::thread::yield_now();
    }
    flood.is_flooded.store(false, Ordering::SeqCst);
    store.close();
    let report = Archive::open(dir.path()).unwrap().verify(|_, _| {});
    assert_eq!(report.unwrap().damaged, []);
}

#[test]
fn what_nobody_waits_for_any_more_is_not_begun_and_what_was_begun_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let release = keep_busy(&store);
    let (begin, begun) = channel();
    let (short, writer) = (Duration::from_millis(1), &store.0.writer);
    let not_taken = writer.ask(Asker::Own, short, {
        let begin = begin.clone();
        move |_| begin.send(()).unwrap()
    });
    assert_eq!(not_taken, Err(NoAnswer::NotTaken));
    drop(release);
    store.flush();
    assert!(begun.try_recv().is_err());
    let (release, released) = channel::<()>();
    let unknown = writer.ask(Asker::Own, Duration::from_millis(500), move |_| {
        begin.send(()).unwrap();
        let _ = released.recv();
    });
    assert_eq!(unknown, Err(NoAnswer::Unknown));
    begun.recv().unwrap();
    drop(release);
    store.close();
    let closed = writer.ask(Asker::Own, LONG, |_| ());
    assert_eq!(closed, Err(NoAnswer::NotTaken));
}

#[test]
fn removing_a_clip_that_is_none_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(&camera("front"), VIDEO, segment(VIDEO, 0, 0));
    store.flush();
    let written = || {
        let log = std::fs::read_dir(dir.path().join("log")).unwrap();
        let sizes = log.map(|file| file.unwrap().metadata().unwrap().len());
        sizes.sum::<u64>()
    };
    let before = written();
    for _ in 0..5 {
        assert!(!store.remove_clip(999).unwrap());
    }
    assert_eq!(written(), before);
}

#[test]
fn a_failed_sync_of_the_index_ends_all_writing_whoever_met_it() {
    let failed = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        rusqlite::Error::SqliteFailure(code, None)
    };
    let is_poisoned = |store: &Store| {
        store.flush();
        matches!(store.status().state, RecordingState::Poisoned { .. })
    };
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let changed = store.0.writer.ask(Asker::Own, LONG, move |recorder| {
        recorder.change::<()>(|_| Err(failed())).is_err()
    });
    assert_eq!(changed, Ok(true));
    assert!(is_poisoned(&store));

    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = store.0.spool.ask(|index| {
        index.transact(|_| Err::<(), UploadError>(rusqlite::Error::InvalidQuery.into()))
    });
    assert!(matches!(refused, Err(UploadError::NotWritable(_))));
    assert!(!is_poisoned(&store), "the index is as it was");
    let failed = store
        .0
        .spool
        .ask(move |_| Err::<(), UploadError>(failed().into()));
    assert!(matches!(failed, Err(UploadError::Uncertain(_))));
    assert!(is_poisoned(&store));
}

/// Makes a pack with one record.
fn make_pack(dir: &Path, number: u8, kind: RecordKind) {
    let digest_kind = DigestKind::Blake2b512;
    let header = PackHeader {
        id: PackId([number; 16]),
        digest_kind,
    };
    let (start, payload) = (header.encode(), [number; 100]);
    let record = RecordHeader::of_payload(kind, digest_kind, &payload);
    let head = record.encode(header.id, start.len() as u64);
    let pack = [&start[..], &head, &payload, record.padding()].concat();
    let folder = dir.join("pack");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{}.pack", header.id)), pack).unwrap();
}

#[test]
fn packs_that_hold_no_item_keep_nobody_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close();
    let packs = || std::fs::read_dir(dir.path().join("pack")).unwrap().count();
    for number in 0..20 {
        make_pack(dir.path(), number, RecordKind::Chunk);
    }
    open(dir.path()).close();
    assert_eq!(packs(), 0);
    for number in 0..20 {
        let kind = match number {
            13 => RecordKind::Item,
            _ => RecordKind::Chunk,
        };
        make_pack(dir.path(), number, kind);
    }
    let refused = Store::open(dir.path(), patient(), Arc::new(SimulatedClock::new(NOON)));
    assert!(matches!(
        refused,
        Err(OpenError::ImportsUnknown { packs: 20, .. })
    ));
    assert_eq!(packs(), 20);
}
