//! A fault at every single operation of the disk, in recording and in recovery: afterwards no row names bytes that
//! are not there, what was committed is whole, and what is missing is known.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::faulty_disk::{Fault, FaultyDisk};
use super::made::*;
use super::retention::check_summaries;
use crate::base::{Clock, SimulatedClock, Wall};
use crate::media::RenditionId;
use crate::store::file_system::{FileSystem, RealFileSystem};
use crate::store::queue::QueuedSegment;
use crate::store::recorder::Recorder;
use crate::store::recovery::RecoveryReport;
use crate::store::status::{RecordingState, StoreStatus};
use crate::store::{
    Gap, GapReason, OpenError, Recording, StoreOptions, open_recorder, reader::Reader,
};

pub(super) const MSNS: u64 = 9;

/// What signing the log at the end takes: three files are made, each with its folder synced, written and synced.
const SIGNING_OPERATIONS: u64 = 21;

/// Recordings start so that midnight falls among them.
fn label(msn: u64) -> Wall {
    Wall::parse_rfc3339("2026-11-21T23:59:53Z")
        .unwrap()
        .plus_ms(msn as i64 * 2000)
}

/// In memory, where a sync costs nothing.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

pub(super) fn open(
    dir: &Path,
    clock: &SimulatedClock,
    files: &dyn Fn() -> Arc<dyn FileSystem>,
) -> Result<(Recorder, RecoveryReport), OpenError> {
    let options = StoreOptions {
        reel_duration: Duration::from_secs(6),
        commit_interval: Duration::from_secs(2),
        ..patient()
    };
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let (recorder, _, report) = open_recorder(dir, &options, &clock, files())?;
    Ok((recorder, report))
}

/// Records two renditions as time passes, until the end or a power cut. Returns the recorder's last word.
pub(super) fn record(dir: &Path, disk: &FaultyDisk, run: u64, first: u64) -> Option<StoreStatus> {
    let clock = SimulatedClock::new(label(first));
    let (mut recorder, _) = open(dir, &clock, &|| Arc::new(disk.clone())).ok()?;
    for msn in first..first + MSNS {
        for rendition in [VIDEO, AUDIO] {
            let segment = segment_at(rendition, run, msn, label(msn));
            recorder.accept(&QueuedSegment {
                camera: camera("door"),
                rendition,
                segment,
            });
            if disk.power_is_off() {
                return Some(recorder.status().clone());
            }
        }
        clock.advance(Duration::from_secs(2));
        if recorder
            .commit_due()
            .is_some_and(|due| due <= clock.monotonic())
        {
            recorder.commit();
        }
    }
    clock.advance(Duration::from_secs(10));
    recorder.close();
    Some(recorder.status().clone())
}

/// Everything recorded, each segment of it loaded and compared.
pub(super) fn read_all(dir: &Path) -> (Recording, BTreeSet<(RenditionId, u64)>) {
    let reader = Reader::new(dir);
    let recording = reader
        .recording(&camera("door"), label(0), label(100))
        .unwrap();
    let mut found = BTreeSet::new();
    for track in &recording.renditions {
        let msns: Vec<_> = track.segments.iter().map(|entry| entry.msn).collect();
        assert!(msns.is_sorted(), "{msns:?}");
        for entry in &track.segments {
            let loaded = reader
                .load_segment(&camera("door"), track.id, entry.msn)
                .unwrap()
                .unwrap();
            let original = segment_at(track.id, entry.run, entry.msn, label(entry.msn));
            assert_eq!(loaded, bytes_of(&original));
            assert_eq!(entry.wall_start, original.wall_start);
            found.insert((track.id, entry.msn));
        }
    }
    (recording, found)
}

/// Files and rows agree exactly: every reel has a row with its size, and every row its file.
pub(super) fn check_files(dir: &Path) {
    let mut on_disk = BTreeSet::new();
    let mut folders = vec![dir.join("reel")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                on_disk.insert((entry.file_name(), entry.metadata().unwrap().len()));
            }
        }
    }
    let index = rusqlite::Connection::open(dir.join("db/index.db")).unwrap();
    let mut statement = index.prepare("SELECT id, bytes FROM reel").unwrap();
    let rows = statement.query_map((), |row| {
        Ok((
            format!("{:010}.reel", row.get::<_, i64>(0)?).into(),
            row.get::<_, u64>(1)?,
        ))
    });
    let named: BTreeSet<_> = rows.unwrap().map(Result::unwrap).collect();
    assert_eq!(on_disk, named);
    check_summaries(&index);
}

pub(super) fn check_afterwards(dir: &Path, told: &StoreStatus) -> BTreeSet<(RenditionId, u64)> {
    let clock = SimulatedClock::new(label(50));
    let real: &dyn Fn() -> Arc<dyn FileSystem> = &|| Arc::new(RealFileSystem);
    let (recorder, report) = open(dir, &clock, real).unwrap();
    drop(recorder);
    assert_eq!(report.lost, []);
    check_files(dir);
    let (recording, found) = read_all(dir);
    assert!(
        found.len() as u64 >= told.segments_committed,
        "{} {told:?}",
        found.len()
    );
    // What is missing comes after all that is there, or is told as a gap.
    for id in [VIDEO, AUDIO] {
        let last = found
            .iter()
            .filter(|(of, _)| *of == id)
            .map(|(_, msn)| *msn)
            .max();
        let before = last.map_or(0..0, |last| 0..last);
        for msn in before.filter(|msn| !found.contains(&(id, *msn))) {
            let start = label(msn);
            let told = recording
                .gaps
                .iter()
                .any(|gap| gap.rendition == Some(id) && gap.from <= start && gap.to > start);
            assert!(
                told,
                "{id} {msn} is missing without a gap: {:?}",
                recording.gaps
            );
        }
    }
    let (_, second) = open(dir, &clock, real).unwrap();
    assert!(second.is_clean(), "{second}");
    found
}

fn fault_in_recording(fault: Fault, power_is_lost_at_the_end: bool) {
    let whole = FaultyDisk::default();
    record(folder().path(), &whole, 0, 0).unwrap();
    let mut poisoned = 0;
    for at in 0..whole.operations() {
        let dir = folder();
        let disk = FaultyDisk::failing(at, fault);
        let told = record(dir.path(), &disk, 0, 0).unwrap_or_default();
        if power_is_lost_at_the_end {
            disk.lose_what_is_not_synced();
        }
        let before = check_afterwards(dir.path(), &told);
        match (&told.state, fault) {
            (RecordingState::Poisoned { .. }, _) => poisoned += 1,
            (_, Fault::Short) => assert_eq!(before.len() as u64, 2 * MSNS),
            (_, Fault::PowerCut) => {}
            // Time for another try is needed.
            (state, _) if at + 60 + SIGNING_OPERATIONS < whole.operations() => {
                assert_eq!(*state, RecordingState::Recording, "it comes back");
            }
            _ => {}
        }
        // And recording goes on.
        let more = record(dir.path(), &FaultyDisk::default(), 1, 20).unwrap();
        assert_eq!(more.segments_committed, 2 * MSNS);
        let (_, after) = read_all(dir.path());
        assert_eq!(after.len(), before.len() + 2 * MSNS as usize);
    }
    let syncs_can_fail = matches!(fault, Fault::Full | Fault::Io);
    assert_eq!(poisoned > 0, syncs_can_fail || fault == Fault::PowerCut);
}

#[test]
fn a_full_disk_at_any_operation_leaves_gaps_and_recording_comes_back() {
    fault_in_recording(Fault::Full, false);
}

#[test]
fn an_io_error_at_any_operation_loses_nothing_that_was_committed() {
    fault_in_recording(Fault::Io, false);
}

#[test]
fn an_io_error_and_then_a_power_cut_lose_nothing_that_was_committed() {
    fault_in_recording(Fault::Io, true);
}

#[test]
fn a_short_write_loses_nothing() {
    fault_in_recording(Fault::Short, true);
}

#[test]
fn a_power_cut_at_any_operation_loses_only_what_was_not_committed() {
    fault_in_recording(Fault::PowerCut, true);
}

#[test]
fn a_killed_process_at_any_operation_loses_only_what_was_not_committed() {
    fault_in_recording(Fault::PowerCut, false);
}

#[test]
fn a_commit_is_due_at_once_when_one_track_has_all_that_a_crash_may_leave() {
    let dir = folder();
    let clock = SimulatedClock::new(label(0));
    let (mut recorder, _) = open(dir.path(), &clock, &|| Arc::new(RealFileSystem)).unwrap();
    let accept = |recorder: &mut Recorder, name: &str, msn: u64| {
        recorder.accept(&QueuedSegment {
            camera: camera(name),
            rendition: VIDEO,
            segment: segment_at(VIDEO, 0, msn, label(0).plus_ms(msn as i64 * 100)),
        });
        recorder.commit_due().unwrap()
    };
    let later = clock.monotonic().after(Duration::from_secs(2));
    // Of four cameras together far more wait than one may have.
    for msn in 0..15 {
        for name in ["door", "garden", "yard", "gate"] {
            assert_eq!(accept(&mut recorder, name, msn), later);
        }
    }
    assert_eq!(accept(&mut recorder, "gate", 15), clock.monotonic());
    recorder.commit();
    assert_eq!(recorder.commit_due(), None);
    assert_eq!(accept(&mut recorder, "gate", 16), later);
}

/// An operation just before the last commit, with reels open and tails uncommitted.
fn before_the_last_commit() -> u64 {
    let whole = FaultyDisk::default();
    record(folder().path(), &whole, 0, 0).unwrap();
    whole.operations() - 9 - SIGNING_OPERATIONS
}

#[test]
fn a_reel_that_cannot_be_read_is_left_alone_and_recording_goes_on() {
    let dir = folder();
    let disk = FaultyDisk::failing(before_the_last_commit(), Fault::PowerCut);
    record(dir.path(), &disk, 0, 0).unwrap();
    let (_, committed) = read_all(dir.path());

    for run in 1..4 {
        let unreadable = FaultyDisk::default();
        unreadable.fail_reads();
        let clock = SimulatedClock::new(label(30));
        let (recorder, report) =
            open(dir.path(), &clock, &|| Arc::new(unreadable.clone())).unwrap();
        drop(recorder);
        assert_eq!((report.reels_open, report.unreadable.len()), (2, 2));
        assert_eq!((report.lost, report.discarded), (vec![], vec![]));
        let more = record(dir.path(), &unreadable, run, run * 20).unwrap();
        assert_eq!(more.segments_committed, 2 * MSNS);
        assert_eq!(
            read_all(dir.path()).1.len(),
            committed.len() + 18 * run as usize
        );
    }
    // Once it can be read again, nothing of it is missing.
    let clock = SimulatedClock::new(label(200));
    let (_, report) = open(dir.path(), &clock, &|| Arc::new(RealFileSystem)).unwrap();
    assert_eq!((report.lost, report.unreadable), (vec![], vec![]));
    check_files(dir.path());
    assert!(read_all(dir.path()).1.is_superset(&committed));
}

#[test]
fn a_folder_that_cannot_be_opened_is_a_pause_and_no_end() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let clock = SimulatedClock::new(label(0));
    let (mut recorder, _) = open(dir.path(), &clock, &|| Arc::new(disk.clone())).unwrap();
    for msn in 0..20 {
        // Over midnight, which makes a new folder, and over the start of other reels.
        disk.refuse_folders((2..9).contains(&msn));
        recorder.accept(&QueuedSegment {
            camera: camera("door"),
            rendition: VIDEO,
            segment: segment_at(VIDEO, 0, msn, label(msn)),
        });
        clock.advance(Duration::from_secs(2));
        if recorder
            .commit_due()
            .is_some_and(|due| due <= clock.monotonic())
        {
            recorder.commit();
        }
        let paused = matches!(recorder.status().state, RecordingState::Paused { .. });
        // It is tried again when a commit is due, and the segment after that is written.
        assert_eq!(paused, (3..10).contains(&msn), "{msn}");
    }
    recorder.close();
    assert_eq!(recorder.status().state, RecordingState::Recording);
    let found = check_afterwards(dir.path(), recorder.status());
    assert!(found.len() > 11, "{found:?}");
}

#[test]
fn a_reel_that_lost_all_its_segments_does_not_come_back_without_a_row() {
    let dir = folder();
    let disk = FaultyDisk::failing(before_the_last_commit(), Fault::PowerCut);
    record(dir.path(), &disk, 0, 0).unwrap();
    let (_, committed) = read_all(dir.path());
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let left_open: Vec<i64> = index
        .prepare("SELECT id FROM reel WHERE bytes IS NULL")
        .unwrap()
        .query_map((), |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(index);
    for reel in &left_open {
        let mut folders = std::fs::read_dir(dir.path().join("reel/door")).unwrap();
        let path = folders
            .find_map(|day| {
                let path = day.unwrap().path().join(format!("{reel:010}.reel"));
                path.exists().then_some(path)
            })
            .unwrap();
        std::fs::write(path, b"rubbish").unwrap();
    }
    let disk = FaultyDisk::default();
    let clock = SimulatedClock::new(label(30));
    let (recorder, report) = open(dir.path(), &clock, &|| Arc::new(disk.clone())).unwrap();
    drop(recorder);
    assert_eq!(
        report.lost.len(),
        committed.len() - read_all(dir.path()).1.len()
    );
    assert!(!report.lost.is_empty());
    disk.lose_what_is_not_synced();
    check_files(dir.path());
}

#[test]
fn recovery_that_fails_at_any_operation_is_done_again() {
    let cut_at = before_the_last_commit();
    for fault in [Fault::Full, Fault::Io, Fault::PowerCut] {
        for at in 0.. {
            let dir = folder();
            let disk = FaultyDisk::failing(cut_at, Fault::PowerCut);
            let told = record(dir.path(), &disk, 0, 0).unwrap();
            let disk = FaultyDisk::failing(at, fault);
            let clock = SimulatedClock::new(label(30));
            let opened = open(dir.path(), &clock, &|| Arc::new(disk.clone()));
            let reached = disk.operations() > at;
            drop(opened);
            disk.lose_what_is_not_synced();
            check_afterwards(dir.path(), &told);
            if !reached {
                break;
            }
        }
    }
}

/// What a start tells to be cut off, by reel and by segment, and the losses that are known afterwards.
type ToldTails = (BTreeSet<PathBuf>, BTreeSet<(RenditionId, u64)>);

fn told_of_tails(dir: &Path, disk: &FaultyDisk) -> (Option<ToldTails>, Vec<Gap>) {
    let clock = SimulatedClock::new(label(30));
    let report = open(dir, &clock, &|| Arc::new(disk.clone())).map(|(_, report)| report);
    let told = report.ok().map(|report| {
        let reels: BTreeSet<_> = report.discarded.iter().map(|tail| &tail.path).collect();
        assert_eq!(reels.len(), report.discarded.len(), "each is told once");
        let reels = reels
            .iter()
            .map(|path| path.strip_prefix(dir).unwrap().to_owned());
        let segments = report.discarded.iter().flat_map(|tail| &tail.segments);
        let segments = segments.map(|lost| (lost.rendition, lost.msn));
        (reels.collect(), segments.collect())
    });
    let mut gaps = read_all(dir).0.gaps;
    gaps.retain(|gap| gap.reason == GapReason::Lost);
    gaps.sort_by_key(|gap| (gap.rendition, gap.from));
    // Told in one piece or in several, but of no moment twice.
    gaps.dedup_by(|next, gap| {
        let goes_on = next.rendition == gap.rendition && next.from == gap.to;
        gap.to = if goes_on { next.to } else { gap.to };
        goes_on
    });
    (told, gaps)
}

#[test]
fn what_a_start_cuts_off_is_told_once_whatever_fails_while_it_is_cut() {
    // Of each rendition two segments at the end of a reel, and one in a reel that has no row.
    let crashed = || {
        let dir = folder();
        let clock = SimulatedClock::new(label(10));
        let (mut recorder, _) = open(dir.path(), &clock, &|| Arc::new(RealFileSystem)).unwrap();
        for msn in 10..17 {
            for rendition in [VIDEO, AUDIO] {
                recorder.accept(&QueuedSegment {
                    camera: camera("door"),
                    rendition,
                    segment: segment_at(rendition, 0, msn, label(msn)),
                });
            }
            if msn == 13 {
                recorder.commit();
            }
        }
        dir
    };
    let (tails, losses) = told_of_tails(crashed().path(), &FaultyDisk::default());
    let (reels, segments) = tails.unwrap();
    assert_eq!((reels.len(), segments.len(), losses.len()), (4, 6, 2));

    for (fault, power_is_lost) in [
        (Fault::Full, false),
        // What a failed sync was to make durable is gone, or comes back.
        (Fault::Io, false),
        (Fault::Io, true),
        (Fault::PowerCut, false),
    ] {
        for at in 0.. {
            let dir = crashed();
            let disk = FaultyDisk::failing(at, fault);
            let (first, _) = told_of_tails(dir.path(), &disk);
            if power_is_lost {
                disk.lose_what_is_not_synced();
            }
            let (second, known) = told_of_tails(dir.path(), &FaultyDisk::default());
            let mut is_named = true;
            if let Some((mut cut, mut named)) = first {
                // What the first start left alone is for the second.
                let (more_cut, more_named) = second.unwrap();
                cut.extend(more_cut);
                named.extend(more_named);
                assert_eq!(cut, reels, "{fault:?} at {at}");
                // Nobody can name what cannot be read.
                is_named = named == segments;
                assert!(
                    is_named || fault == Fault::Io,
                    "{fault:?} at {at}: {named:?}"
                );
            }
            if is_named {
                assert_eq!(known, losses, "{fault:?} at {at}");
            }
            check_files(dir.path());
            if disk.operations() <= at {
                break;
            }
        }
    }
}
