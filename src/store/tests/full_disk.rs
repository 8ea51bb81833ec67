//! A disk that fills up and is freed again, one that hangs, and one that fails a sync: what those who use the store
//! see of it.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::faults::folder;
use super::faulty_disk::FaultyDisk;
use super::made::*;
use super::outdated::reels;
use crate::base::{Clock, SimulatedClock, Wall};
use crate::store::file_system::{
    DiskSpace, FileSystem, FolderSyncError, RealFileSystem, StoredFile,
};
use crate::store::queue::{QUEUE_SEGMENTS_MAX, QueuedSegment};
use crate::store::reader::Reader;
use crate::store::recorder::Recorder;
use crate::store::{Appended, Gap, GapReason, RecordingState, Store, StoreOptions, open_recorder};

/// A disk that tells how much is free as it is told.
pub(super) struct ToldDisk(pub(super) Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for ToldDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToldDisk")
    }
}

impl FileSystem for ToldDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.create_folder(path)
    }
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        RealFileSystem.create_file(path)
    }
    fn open_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        RealFileSystem.open_file(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.remove_file(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.remove_folder(path)
    }
    fn sync_folder(&self, path: &Path) -> Result<(), FolderSyncError> {
        RealFileSystem.sync_folder(path)
    }
    fn list_folder(&self, path: &Path) -> io::Result<Vec<String>> {
        RealFileSystem.list_folder(path)
    }
    fn space(&self, _: &Path) -> io::Result<DiskSpace> {
        Ok(DiskSpace {
            free: (self.0)(),
            total: u64::MAX,
        })
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: SimulatedClock,
    free: Arc<AtomicU64>,
    recorder: Recorder,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = SimulatedClock::new(NOON);
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let options = StoreOptions {
            free_bytes_min: 1 << 20,
            ..patient()
        };
        let told = Arc::clone(&free);
        let disk = Arc::new(ToldDisk(Box::new(move || told.load(Ordering::Relaxed))));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let (recorder, _, _) = open_recorder(dir.path(), &options, &shared, disk).unwrap();
        Self {
            dir,
            clock,
            free,
            recorder,
        }
    }

    fn record(&mut self, msn: u64) -> RecordingState {
        let segment = segment(VIDEO, 0, msn);
        self.recorder.accept(&QueuedSegment {
            camera: camera("a"),
            rendition: VIDEO,
            segment,
        });
        self.clock.advance(Duration::from_secs(2));
        if self
            .recorder
            .commit_due()
            .is_some_and(|due| due <= self.clock.monotonic())
        {
            self.recorder.commit();
        }
        self.recorder.status().state.clone()
    }

    fn check(&self, msns: &[u64], gap: (i64, i64)) {
        let all = Reader::new(self.dir.path());
        let all = all
            .recording(&camera("a"), Wall(0), Wall(i64::MAX))
            .unwrap();
        let found: Vec<_> = all.renditions[0]
            .segments
            .iter()
            .map(|entry| entry.msn)
            .collect();
        assert_eq!(found, msns);
        let gaps = all
            .gaps
            .iter()
            .map(|gap| (gap.from - NOON, gap.to - NOON, gap.reason));
        assert_eq!(
            gaps.collect::<Vec<_>>(),
            [(gap.0, gap.1, GapReason::DiskFull)]
        );
    }
}

#[test]
fn recording_pauses_while_little_is_free_and_goes_on_when_more_is() {
    let mut bench = Bench::new();
    assert_eq!(bench.record(0), RecordingState::Recording);
    bench.free.store(1000, Ordering::Relaxed);
    for msn in 1..4 {
        let RecordingState::Paused { reason, since } = bench.record(msn) else {
            panic!()
        };
        assert!(
            reason.starts_with("disk full: 0 MiB are free, 1 MiB are kept"),
            "{reason}"
        );
        assert_eq!(since, NOON.plus_ms(2000));
    }
    bench.free.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(bench.record(4), RecordingState::Recording);
    bench.recorder.close();
    bench.check(&[0, 4], (2000, 8000));
    assert_eq!(bench.recorder.status().segments_dropped, 3);
}

#[test]
fn an_index_that_finds_the_disk_full_commits_when_there_is_room_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.record(0), RecordingState::Recording);
    bench.recorder.limit_index_pages(1);
    // Many gaps fill the last page; segments alone take long to.
    let mut msn = 1;
    while bench.record(msn) == RecordingState::Recording {
        msn += 1;
        assert!(msn < 2000);
    }
    let committed = bench.recorder.status().segments_committed;
    let first_lost = msn + 1;
    for _ in 0..3 {
        msn += 1;
        assert!(matches!(bench.record(msn), RecordingState::Paused { .. }));
    }
    assert_eq!(bench.recorder.status().segments_committed, committed);
    bench.recorder.limit_index_pages(1 << 30);
    loop {
        msn += 1;
        if bench.record(msn) == RecordingState::Recording {
            break;
        }
        assert!(msn < first_lost + 6);
    }
    bench.recorder.close();
    let kept: Vec<_> = (0..first_lost).chain([msn]).collect();
    bench.check(&kept, (first_lost as i64 * 2000, msn as i64 * 2000));
}

#[test]
fn a_disk_that_hangs_blocks_nobody_and_is_told_as_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let hanging = Arc::new(Mutex::new(()));
    let passes = Arc::clone(&hanging);
    let disk = ToldDisk(Box::new(move || {
        drop(passes.lock());
        u64::MAX
    }));
    let options = StoreOptions {
        close_timeout: Duration::from_millis(10),
        ..patient()
    };
    let clock = Arc::new(SimulatedClock::new(NOON));
    let (store, _) = Store::open_on(Arc::new(disk), dir.path(), options, clock).unwrap();
    let hangs = hanging.lock().unwrap();
    let mut shed = 0;
    let more = QUEUE_SEGMENTS_MAX as u64 + 12;
    for msn in 0..more {
        // Of one bitrate, so that it is always the newest that goes.
        shed +=
            u64::from(store.append(&camera("a"), VIDEO, segment(VIDEO, 0, msn)) == Appended::Shed);
    }
    // The queue is full, and one more is gone if the writer has come to take it.
    assert!([11, 12].contains(&shed), "{shed}");
    assert_eq!(store.status().segments_shed, shed);
    drop(hangs);
    store.flush();
    assert_eq!(store.status().segments_committed, more - shed);
    let all = store
        .recording(&camera("a"), Wall(0), Wall(i64::MAX))
        .unwrap();
    assert!(all.gaps.iter().all(|gap| gap.reason == GapReason::DiskSlow));
    let told: i64 = all.gaps.iter().map(|gap| gap.to - gap.from).sum();
    assert_eq!(told, shed as i64 * 2000);

    let hangs = hanging.lock().unwrap();
    store.append(&camera("a"), VIDEO, segment(VIDEO, 0, more));
    store.close();
    drop(hangs);
}

#[test]
fn a_failed_sync_ends_recording_but_not_reading() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let clock = Arc::new(SimulatedClock::new(NOON));
    let files = Arc::new(disk.clone());
    let (store, _) = Store::open_on(files, dir.path(), patient(), clock).unwrap();
    let a = camera("a");
    store.append(&a, VIDEO, segment(VIDEO, 0, 0));
    store.flush();
    store.append(&a, VIDEO, segment(VIDEO, 0, 1));
    while store.status().segments_queued > 0 {
        std::thread::yield_now();
    }
    disk.fail_next_sync();
    store.flush();
    let RecordingState::Poisoned { reason } = store.status().state else {
        panic!()
    };
    assert!(reason.contains("sync failed"), "{reason}");
    assert_eq!(
        store.append(&a, VIDEO, segment(VIDEO, 0, 2)),
        Appended::Refused
    );
    let gap = Gap {
        rendition: None,
        from: NOON,
        to: NOON.plus_ms(1),
        reason: GapReason::CameraGone,
    };
    store.mark_gap(&a, gap);
    let first = store.camera_position(&a);
    assert!(store.camera_position(&a).next_msn > first.next_msn);
    for _ in 0..2 {
        let loaded = store.load_segment(&a, VIDEO, 0).unwrap();
        assert_eq!(loaded.unwrap(), bytes_of(&segment(VIDEO, 0, 0)));
        assert_eq!(store.load_segment(&a, VIDEO, 1).unwrap(), None);
        store.close();
    }
    drop(store);
    let again = super::durable::open_whatever(dir.path());
    assert_eq!(again.1.discarded.len(), 1, "{}", again.1);
    assert_eq!(again.1.discarded[0].segments[0].msn, 1);
    assert!(again.0.camera_position(&a).next_msn > 1);
}

#[test]
fn a_start_on_a_full_disk_lives_on_the_room_that_the_last_process_had_reserved() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(NOON));
    let open = || open_recorder(dir.path(), &patient(), &clock, Arc::new(disk.clone()));
    let (mut crashing, _, _) = open().unwrap();
    let accept = |recorder: &mut Recorder, name: &str, run: u64, msn: u64| {
        recorder.accept(&QueuedSegment {
            camera: camera(name),
            rendition: VIDEO,
            segment: segment(VIDEO, run, msn),
        });
    };
    accept(&mut crashing, "whole", 0, 0);
    accept(&mut crashing, "tail", 0, 0);
    crashing.commit();
    // Two segments that are lost, the second in a reel that has no row.
    accept(&mut crashing, "tail", 0, 1);
    accept(&mut crashing, "tail", 1, 2);
    drop(crashing);

    let reels = reels(dir.path());
    let paths: Vec<&Path> = reels.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(paths.len(), 3);
    disk.fill_until_given_back(&paths);
    let (_, _, report) = open().unwrap();
    assert_eq!((report.lost, report.unreadable), (vec![], vec![]));
    let cut_off = report.discarded.iter().flat_map(|tail| &tail.segments);
    assert_eq!(cut_off.map(|lost| lost.msn).collect::<Vec<_>>(), [1, 2]);
}
