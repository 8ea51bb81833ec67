//! A disk that fills up and is freed again, seen from the files' side and from the index's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::made::*;
use crate::base::{Clock, SimulatedClock, Wall};
use crate::store::file_system::{FileSystem, RealFileSystem, StoredFile};
use crate::store::queue::QueuedSegment;
use crate::store::reader::Reader;
use crate::store::recorder::Recorder;
use crate::store::{GapReason, RecordingState, StoreOptions, open_recorder};

/// A disk that tells how much is free as it is told.
#[derive(Debug)]
struct ToldDisk(Arc<AtomicU64>);

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
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.sync_folder(path)
    }
    fn list_folder(&self, path: &Path) -> io::Result<Vec<String>> {
        RealFileSystem.list_folder(path)
    }
    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
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
        let disk = Arc::new(ToldDisk(Arc::clone(&free)));
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
