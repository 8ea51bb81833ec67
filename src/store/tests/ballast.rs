//! The ballast across starts: a disk may fill up while no process is there that took it on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::faults::folder;
use super::faulty_disk::FaultyDisk;
use super::made::*;
use super::outdated::reels;
use crate::base::{Clock, SimulatedClock, Wall};
use crate::store::index::Index;
use crate::store::patience::Patience;
use crate::store::queue::QueuedSegment;
use crate::store::reader::Reader;
use crate::store::recorder::Recorder;
use crate::store::recovery::{Told, recover};
use crate::store::{
    ClipWish, Gap, GapReason, OpenError, RecordingState, RecoveryReport, Retention, StoreOptions,
    open_recorder,
};

const ROOMY: u64 = 1 << 30;
const TIGHT: u64 = 1 << 20;

fn ballast(dir: &Path) -> PathBuf {
    dir.join("db/ballast")
}

fn open(
    dir: &Path,
    disk: &FaultyDisk,
    bytes_max: Option<u64>,
) -> Result<(Recorder, RecoveryReport), OpenError> {
    let options = StoreOptions {
        retention: Retention {
            bytes_max,
            ..patient().retention
        },
        retention_interval: Duration::ZERO,
        ..patient()
    };
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(NOON.plus_ms(60_000)));
    let (recorder, _, report) = open_recorder(dir, &options, &clock, Arc::new(disk.clone()))?;
    Ok((recorder, report))
}

fn accept(recorder: &mut Recorder, run: u64, msn: u64) {
    recorder.accept(&QueuedSegment {
        camera: camera("door"),
        rendition: VIDEO,
        segment: segment(VIDEO, run, msn),
    });
}

/// A process on a roomy disk that takes the ballast on and commits a reel for each of two runs.
fn begin(dir: &Path, disk: &FaultyDisk) -> Recorder {
    disk.tell_space(ROOMY, ROOMY);
    let (mut recorder, _) = open(dir, disk, None).unwrap();
    recorder.keep_room();
    assert!(ballast(dir).exists());
    for msn in 0..4 {
        accept(&mut recorder, msn / 2, msn);
    }
    recorder.commit();
    recorder
}

#[test]
fn ballast_of_an_earlier_process_lets_recordings_be_deleted_on_a_disk_that_is_full_by_now() {
    let dir = folder();
    let disk = FaultyDisk::default();
    begin(dir.path(), &disk).close();
    disk.tell_space(TIGHT, ROOMY);
    // Too little is free for this process to take any on.
    let (mut recorder, _) = open(dir.path(), &disk, Some(0)).unwrap();
    disk.fill_until_gone(&ballast(dir.path()));
    assert!(ballast(dir.path()).exists());
    recorder.keep_room();
    assert_eq!(recorder.status().reels_expired, 1);
    assert!(!ballast(dir.path()).exists());
}

#[test]
fn a_start_after_a_crash_on_a_full_disk_gives_the_ballast_up_and_tells_all_that_is_missing() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let mut crashing = begin(dir.path(), &disk);
    accept(&mut crashing, 1, 4);
    accept(&mut crashing, 1, 5);
    drop(crashing);
    disk.tell_space(TIGHT, ROOMY);
    disk.fill_until_gone(&ballast(dir.path()));

    let (mut recorder, report) = open(dir.path(), &disk, None).unwrap();
    assert!(!ballast(dir.path()).exists());
    let cut_off = report.discarded.iter().flat_map(|tail| &tail.segments);
    assert_eq!(cut_off.map(|lost| lost.msn).collect::<Vec<_>>(), [4, 5]);
    assert_eq!((report.lost, report.unreadable), (vec![], vec![]));
    let told = Reader::new(dir.path());
    let told = told
        .recording(&camera("door"), Wall(0), Wall(i64::MAX))
        .unwrap();
    let lost = Gap {
        rendition: Some(VIDEO),
        from: NOON.plus_ms(8000),
        to: NOON.plus_ms(12_000),
        reason: GapReason::Lost,
    };
    assert_eq!(told.gaps, [lost]);
    assert_eq!(told.renditions[0].segments.len(), 4);

    recorder.keep_room();
    assert!(!ballast(dir.path()).exists(), "there is no room for it yet");
    disk.tell_space(ROOMY, ROOMY);
    recorder.keep_room();
    assert!(ballast(dir.path()).exists());
}

#[test]
fn a_second_try_of_a_start_tells_what_the_first_one_did_and_marks_it_once() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let mut crashing = begin(dir.path(), &disk);
    accept(&mut crashing, 1, 4);
    drop(crashing);
    let (reel, bytes) = &reels(dir.path())[1];
    // The last committed segment is missing, too.
    let file = std::fs::File::options().write(true).open(reel).unwrap();
    file.set_len(bytes / 2).unwrap();

    let clock = SimulatedClock::new(NOON);
    let patience = Patience::new(&clock);
    let mut told = Told::default();
    let mut first = None;
    for _ in 0..2 {
        let mut index = Index::open(dir.path(), Arc::new(disk.clone())).unwrap();
        recover(dir.path(), &disk, &patience, &mut index, &mut told).unwrap();
        drop(index);
        let reader = Reader::new(dir.path());
        let recording = reader.recording(&camera("door"), Wall(0), Wall(i64::MAX));
        let found = (told.report.clone(), recording.unwrap().gaps);
        assert!(!found.0.lost.is_empty() && !found.1.is_empty());
        assert_eq!(first.get_or_insert(found.clone()), &found);
    }
}

#[test]
fn a_full_disk_without_ballast_is_told_as_what_it_is() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let mut crashing = begin(dir.path(), &disk);
    accept(&mut crashing, 1, 4);
    drop(crashing);
    std::fs::remove_file(ballast(dir.path())).unwrap();
    disk.fill_until_gone(&dir.path().join("db"));
    let refused = open(dir.path(), &disk, None).err();
    assert!(
        matches!(refused, Some(OpenError::DiskFull(_))),
        "{refused:?}"
    );
}

#[test]
fn a_clip_can_be_removed_on_a_full_disk_of_which_nothing_may_be_deleted() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let mut recorder = begin(dir.path(), &disk);
    let wish = ClipWish {
        camera: camera("door"),
        name: String::new(),
        from: NOON,
        to: NOON.plus_ms(8000),
    };
    let clip = recorder.make_clip(&wish).unwrap();
    disk.tell_space(TIGHT, ROOMY);
    disk.fill_until_gone(&ballast(dir.path()));
    assert!(recorder.remove_clip(clip.id).unwrap());
    assert!(!ballast(dir.path()).exists());
    assert!(!recorder.remove_clip(clip.id).unwrap());
    assert_eq!(recorder.status().state, RecordingState::Recording);

    disk.tell_space(ROOMY, ROOMY);
    recorder.keep_room();
    assert!(ballast(dir.path()).exists());
}
