//! What the disk has changed is found, is never played, shows as a loss, and stays so; in every kind of file.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use super::durable::{open, open_whatever};
use super::faults::{check_files, folder};
use super::faulty_disk::FaultyDisk;
use super::fixture::copy;
use super::made::*;
use crate::base::{SimulatedClock, Wall};
use crate::chunk::ReadAt;
use crate::media::RenditionId;
use crate::store::archive::{
    OpenedReel, ReelToRead, VerifyReport, open_reel, reels_after, verify_reel,
};
use crate::store::file_system::{FileSystem, RealFileSystem};
use crate::store::queue::QueuedSegment;
use crate::store::reader::Reader;
use crate::store::recorder::Recorder;
use crate::store::scrub::{Round, ScrubPosition, last_position, scrub_next};
use crate::store::writer::Writer;
use crate::store::{
    Archive, DamagedSegment, GapReason, ScrubReport, Store, StoreOptions, lock_directory,
    open_recorder, rebuild_index, scrub_once,
};

const FIRST: ScrubPosition = ScrubPosition {
    reel: 0,
    pack: 0,
    began: Wall(0),
};

fn recorder(dir: &Path) -> Recorder {
    recorder_on(dir, Arc::new(RealFileSystem))
}

fn recorder_on(dir: &Path, files: Arc<dyn FileSystem>) -> Recorder {
    let options = StoreOptions {
        reel_duration: Duration::from_secs(6),
        ..patient()
    };
    let clock: Arc<dyn crate::base::Clock> = Arc::new(SimulatedClock::new(NOON));
    let opened = open_recorder(dir, &options, &clock, files);
    opened.unwrap().0
}

fn accept(recorder: &mut Recorder, msns: std::ops::Range<u64>) {
    for msn in msns {
        for rendition in [VIDEO, AUDIO] {
            recorder.accept(&QueuedSegment {
                camera: camera("door"),
                rendition,
                segment: segment(rendition, 0, msn),
            });
        }
        recorder.commit();
    }
}

fn reel(dir: &Path, id: u64) -> PathBuf {
    let folder = dir.join("reel/door").join(NOON.date());
    folder.join(format!("{id:010}.reel"))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn msns(dir: &Path, id: RenditionId) -> Vec<u64> {
    let recording = Reader::new(dir)
        .recording(&camera("door"), Wall(0), Wall(i64::MAX))
        .unwrap();
    let track = recording.renditions.iter().find(|track| track.id == id);
    track.map_or_else(Vec::new, |track| {
        track.segments.iter().map(|entry| entry.msn).collect()
    })
}

fn losses(dir: &Path) -> Vec<(Option<RenditionId>, Wall, Wall)> {
    let line = Reader::new(dir)
        .timeline(&camera("door"), NOON.plus_ms(-1), NOON.plus_ms(100_000), 1)
        .unwrap();
    let lost = line.gaps.into_iter();
    lost.filter(|gap| gap.reason == GapReason::Lost)
        .map(|gap| (gap.rendition, gap.from, gap.to))
        .collect()
}

/// One pass, as the thread makes it.
fn pass(dir: &Path, recorder: &mut Recorder) -> usize {
    let reader = Reader::new(dir);
    let (mut position, mut reels) = (FIRST, 0);
    loop {
        let next = scrub_next(dir, &reader, position, NOON, || false).unwrap();
        let next = next.unwrap();
        if next.position.reel <= position.reel {
            return reels;
        }
        assert!(recorder.note_scrubbed(&next));
        (position, reels) = (next.position, reels + 1);
    }
}

#[test]
fn what_cannot_be_read_right_now_is_not_given_up() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..6);
    let (path, aside) = (reel(dir.path(), 1), dir.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    // Its name leads nowhere: nothing can be opened, and nothing says that it is gone.
    std::os::unix::fs::symlink(&path, &path).unwrap();
    pass(dir.path(), &mut recorder);
    let found = Archive::open(dir.path())
        .unwrap()
        .verify(|_, _| {})
        .unwrap();
    assert_eq!(found.damaged.len(), 3);
    assert!(found.damaged.iter().all(|segment| !segment.is_lost));
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(msns(dir.path(), VIDEO), [0, 1, 2, 3, 4, 5]);
    assert_eq!(losses(dir.path()), []);
    let found = Archive::open(dir.path())
        .unwrap()
        .verify(|_, _| {})
        .unwrap();
    assert_eq!(found.damaged.len(), 0);
}

/// A reel of which a range cannot be read.
struct BadSectors(OpenedReel, Range<u64>, Errno);

impl ReadAt for BadSectors {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        if offset < self.1.end && self.1.start < end {
            return Err(self.2.into());
        }
        self.0.file.read_exact_at(buffer, offset)
    }
}

fn first_reel(dir: &Path) -> ReelToRead {
    let first = Reader::new(dir).read(|connection| reels_after(connection, dir, 0, 1));
    first.unwrap().remove(0)
}

fn verify_with_bad_sectors(reel: &ReelToRead, bad: Range<u64>, errno: Errno) -> VerifyReport {
    let open = |path: &Path| -> io::Result<OpenedReel> {
        let opened = open_reel(path)?;
        Ok(OpenedReel {
            bytes: opened.bytes,
            file: Box::new(BadSectors(opened, bad.clone(), errno)),
        })
    };
    verify_reel(reel, &open, &mut Vec::new())
}

#[test]
fn a_sector_that_cannot_be_read_costs_its_segments_until_it_reads_well_again() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..6);
    let reel = first_reel(dir.path());
    let at = |msn: usize| reel.segments[msn].place.offset + 100;
    for errno in [Errno::EIO, Errno::EBADMSG, Errno::EUCLEAN] {
        let found = verify_with_bad_sectors(&reel, at(1)..at(1) + 1, errno);
        let lost = |damaged: &DamagedSegment| (damaged.msn, damaged.is_lost);
        let lost: Vec<_> = found.damaged.iter().map(lost).collect();
        assert_eq!((found.segments_sound, lost), (2, vec![(1, true)]));
        // Behind the trailer of one and before another, it is the other's.
        let behind = reel.segments[1].place.offset;
        let found = verify_with_bad_sectors(&reel, behind..behind + 1, errno);
        let lost: Vec<_> = found.damaged.iter().map(|segment| segment.msn).collect();
        assert_eq!((found.segments_sound, lost), (2, vec![1]));
        // A disk that was unplugged says so of every place.
        let found = verify_with_bad_sectors(&reel, 0..u64::MAX, errno);
        assert_eq!(found.damaged.len(), 3);
        assert!(found.damaged.iter().all(|segment| !segment.is_lost));
    }
    let label = |msn: i64| NOON.plus_ms(msn * 2000);

    let found = verify_with_bad_sectors(&reel, at(0)..at(1) + 1, Errno::EIO);
    let mark = |recorder: &mut Recorder, found| {
        let marked = recorder.index_mut().mark_segments(found);
        marked.unwrap()
    };
    assert_eq!(mark(&mut recorder, &found), (2, 0));
    assert_eq!(mark(&mut recorder, &found), (0, 0));
    assert_eq!(msns(dir.path(), VIDEO), [2, 3, 4, 5]);
    assert_eq!(losses(dir.path()), [(Some(VIDEO), label(0), label(2))]);

    // The second is back, the first is not.
    let reel = first_reel(dir.path());
    let found = verify_with_bad_sectors(&reel, at(0)..at(0) + 1, Errno::EIO);
    assert_eq!((found.damaged.len(), found.quarantined), (0, 1));
    assert_eq!(mark(&mut recorder, &found), (0, 1));
    assert_eq!(mark(&mut recorder, &found), (0, 0));
    assert_eq!(msns(dir.path(), VIDEO), [1, 2, 3, 4, 5]);
    let left = [(Some(VIDEO), label(0), label(1))];
    assert_eq!(losses(dir.path()), left);
    recorder.close();
    drop(recorder);
    let rebuild = || {
        std::fs::remove_dir_all(dir.path().join("db")).unwrap();
        rebuild_index(dir.path(), |_, _| {}).unwrap();
    };
    rebuild();
    assert_eq!(losses(dir.path()), left);
    assert_eq!(msns(dir.path(), VIDEO), [1, 2, 3, 4, 5]);

    let marked = scrub_once(dir.path(), |_, _| {}).unwrap().marked.unwrap();
    assert_eq!((marked.segments, marked.segments_recovered), (0, 1));
    for _ in 0..2 {
        assert_eq!(msns(dir.path(), VIDEO), [0, 1, 2, 3, 4, 5]);
        assert_eq!(losses(dir.path()), []);
        check_files(dir.path());
        rebuild();
    }
}

#[test]
fn the_thread_puts_back_what_reads_well_again() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..6);
    flip(&reel(dir.path(), 2), 400);
    pass(dir.path(), &mut recorder);
    assert_eq!(losses(dir.path()).len(), 1);
    flip(&reel(dir.path(), 2), 400);
    pass(dir.path(), &mut recorder);
    assert_eq!(losses(dir.path()), []);
    assert_eq!(msns(dir.path(), AUDIO), [0, 1, 2, 3, 4, 5]);
    assert_eq!(recorder.status().segments_damaged, 1);
}

#[test]
fn damage_is_found_marked_and_never_offered_again() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..11);
    // Reels in turn of picture and sound; 7 and 8 still take more.
    let middle = std::fs::read(reel(dir.path(), 3)).unwrap().len() / 2;
    flip(&reel(dir.path(), 3), middle);
    std::fs::remove_file(reel(dir.path(), 6)).unwrap();
    assert_eq!(pass(dir.path(), &mut recorder), 8);
    assert_eq!(msns(dir.path(), VIDEO), [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]);
    assert_eq!(msns(dir.path(), AUDIO), [0, 1, 2, 3, 4, 5, 9, 10]);
    let at = |msn: i64| NOON.plus_ms(msn * 2000);
    let expected = [(Some(VIDEO), at(4), at(5)), (Some(AUDIO), at(6), at(9))];
    assert_eq!(losses(dir.path()), expected);
    let gone = Reader::new(dir.path()).load_segment(&camera("door"), VIDEO, 4);
    assert_eq!(gone.unwrap(), None);
    let status = recorder.status().clone();
    assert_eq!(status.segments_damaged, 4);
    assert!(status.bytes_scrubbed > 13 * 400);
    // It is told once, and the pass is remembered.
    assert_eq!(pass(dir.path(), &mut recorder), 8);
    assert_eq!(recorder.status().segments_damaged, 4);
    recorder.close();
    drop(recorder);
    let position = last_position(&Reader::new(dir.path())).unwrap();
    assert_eq!((position.reel, position.began), (8, NOON));

    let report = Archive::open(dir.path())
        .unwrap()
        .verify(|_, _| {})
        .unwrap();
    assert_eq!((report.damaged.len(), report.quarantined), (0, 4));
    let before = losses(dir.path());
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    rebuild_index(dir.path(), |_, _| {}).unwrap();
    assert_eq!(losses(dir.path()), before);
    assert_eq!(msns(dir.path(), VIDEO), [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]);
    let middle_still = std::fs::read(reel(dir.path(), 3)).unwrap().len() / 2;
    assert_eq!(middle_still, middle);
    // What is damaged goes with its reel.
    let mut recorder = self::recorder(dir.path());
    recorder.index_mut().forget_reels(&[3]).unwrap();
    recorder.close();
    drop(recorder);
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let left: u32 = index
        .query_row("SELECT count(*) FROM damaged", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn what_stands_behind_a_damaged_first_segment_keeps_its_place_when_the_index_is_made_again() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..7);
    let bytes = std::fs::read(reel(dir.path(), 1)).unwrap();
    let mut tails = bytes.windows(15).enumerate();
    let first_tail = tails.find(|(_, window)| window == b"perch reel tail");
    // The first is not found any more without the index, the third only if it is read again.
    flip(&reel(dir.path(), 1), first_tail.unwrap().0 + 40);
    flip(&reel(dir.path(), 1), bytes.len() - 200);
    pass(dir.path(), &mut recorder);
    assert_eq!(msns(dir.path(), VIDEO), [1, 3, 4, 5, 6]);
    recorder.close();
    drop(recorder);
    let before = losses(dir.path());
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    rebuild_index(dir.path(), |_, _| {}).unwrap();
    assert_eq!(losses(dir.path()), before);
    let sound = |msn| Reader::new(dir.path()).load_segment(&camera("door"), VIDEO, msn);
    assert_eq!(sound(1).unwrap().unwrap(), bytes_of(&segment(VIDEO, 0, 1)));
    let mut recorder = self::recorder(dir.path());
    pass(dir.path(), &mut recorder);
    assert_eq!(msns(dir.path(), VIDEO), [1, 3, 4, 5, 6]);
    assert_eq!(losses(dir.path()), before);
}

#[test]
fn what_was_put_back_is_no_loss_though_the_segment_before_it_is_destroyed_later() {
    // The first is destroyed, with or without a pass that notes it; the third is damaged still, or not.
    for (is_noted, third_is_damaged) in [(false, false), (true, false), (true, true)] {
        let dir = folder();
        let mut recorder = recorder(dir.path());
        accept(&mut recorder, 0..7);
        let first_reel = reel(dir.path(), 1);
        let bytes = std::fs::read(&first_reel).unwrap();
        let tails = bytes.windows(15).enumerate();
        let mut tails = tails.filter(|(_, window)| window == b"perch reel tail");
        let [first, second] = [tails.next().unwrap().0, tails.next().unwrap().0];
        flip(&first_reel, second - 100);
        if third_is_damaged {
            flip(&first_reel, bytes.len() - 200);
        }
        pass(dir.path(), &mut recorder);
        flip(&first_reel, second - 100);
        pass(dir.path(), &mut recorder);
        flip(&first_reel, first + 40);
        if is_noted {
            pass(dir.path(), &mut recorder);
        }
        recorder.close();
        drop(recorder);
        let before = losses(dir.path());
        assert_eq!(
            before.len(),
            usize::from(is_noted) + usize::from(third_is_damaged)
        );
        std::fs::remove_dir_all(dir.path().join("db")).unwrap();
        rebuild_index(dir.path(), |_, _| {}).unwrap();
        let now = losses(dir.path());
        if third_is_damaged {
            // Which it is of those that are there, nobody knows before they are read again.
            let (from, to) = (NOON.plus_ms(4000), NOON.plus_ms(6000));
            assert!(
                now.iter().any(|loss| loss.1 <= from && loss.2 >= to),
                "{now:?}"
            );
        } else {
            assert_eq!(now, before);
        }
    }
}

#[test]
fn what_could_not_be_noted_is_not_taken_for_noted() {
    let dir = folder();
    let disk = FaultyDisk::default();
    let mut recorder = recorder_on(dir.path(), Arc::new(disk.clone()));
    accept(&mut recorder, 0..6);
    flip(&reel(dir.path(), 1), 400);
    let reader = Reader::new(dir.path());
    let next = scrub_next(dir.path(), &reader, FIRST, NOON, || false);
    let next = next.unwrap().unwrap();
    assert_eq!(next.segments.damaged.len(), 1);
    disk.fill();
    let refused = (0..9)
        .take_while(|_| !recorder.note_scrubbed(&next))
        .count();
    assert!((1..9).contains(&refused), "{refused}");
    let status = recorder.status();
    assert_eq!(status.segments_damaged, 1);
    assert_eq!(status.bytes_scrubbed, next.segments.bytes_sound);
    assert_eq!(losses(dir.path()).len(), 1);
}

#[test]
fn what_the_writer_does_not_take_is_read_again() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..6);
    flip(&reel(dir.path(), 1), 400);
    let spawn = |recorder: Recorder| {
        let lock = lock_directory(dir.path()).unwrap();
        let clock = Arc::new(SimulatedClock::new(NOON));
        Writer::spawn_writer(recorder, lock, clock).unwrap()
    };
    let writer = spawn(recorder);
    assert!(writer.close(Duration::from_secs(60)));
    let mut round = Round::new(dir.path(), &writer);
    for _ in 0..2 {
        let rest = round.step(NOON, || false);
        assert_eq!((round.position(), rest), (None, Duration::from_secs(3600)));
    }
    assert_eq!(losses(dir.path()), []);

    let writer = spawn(self::recorder(dir.path()));
    let mut round = Round::new(dir.path(), &writer);
    for reel in [1, 2] {
        round.step(NOON, || false);
        assert_eq!(round.position().map(|noted| noted.reel), Some(reel));
    }
    assert_eq!(losses(dir.path()).len(), 1);
    assert_eq!(writer.status().segments_damaged, 1);
    assert!(writer.close(Duration::from_secs(60)));
}

#[test]
fn nothing_is_found_because_retention_was_faster() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..10);
    let reader = Reader::new(dir.path());
    let removed = std::cell::Cell::new(false);
    let index = std::cell::RefCell::new(&mut recorder);
    // After the first of its segments, of which the others are gone then.
    let next = scrub_next(dir.path(), &reader, FIRST, NOON, || {
        if !removed.replace(true) {
            index.borrow_mut().index_mut().forget_reels(&[1]).unwrap();
            std::fs::remove_file(reel(dir.path(), 1)).unwrap();
        }
        false
    });
    let next = next.unwrap().unwrap();
    assert_eq!(next.position.reel, 1);
    assert_eq!(
        (next.segments.segments_sound, next.segments.damaged.len()),
        (1, 0)
    );
}

#[test]
fn nothing_is_marked_because_retention_was_faster() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..10);
    let reader = Reader::new(dir.path());
    std::fs::remove_file(reel(dir.path(), 1)).unwrap();
    let next = scrub_next(dir.path(), &reader, FIRST, NOON, || false);
    let next = next.unwrap().unwrap();
    assert_eq!(next.segments.damaged.len(), 3);
    recorder.index_mut().forget_reels(&[1]).unwrap();
    assert!(recorder.note_scrubbed(&next));
    assert_eq!(recorder.status().segments_damaged, 0);
    assert_eq!(losses(dir.path()), []);
}

#[test]
fn a_bit_flipped_in_the_head_of_a_reel_is_told_and_written_again_from_the_index() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    // Two other reels of each rendition bear the index out.
    accept(&mut recorder, 0..9);
    recorder.close();
    drop(recorder);
    let head_bytes = first_reel(dir.path()).segments[0].place.offset as usize;
    let path = reel(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..head_bytes {
        flip(&path, at);
        let report = scrub_once(dir.path(), |_, _| {}).unwrap();
        assert!(report.verified.damaged.is_empty(), "at {at}");
        assert_eq!(report.verified.heads_damaged.len(), 1, "at {at}");
        assert_eq!(report.marked.unwrap().heads_repaired, 1, "at {at}");
        assert!(std::fs::read(&path).unwrap() == whole, "at {at}");
    }

    // The thread does the same.
    flip(&path, 0);
    let lock = lock_directory(dir.path()).unwrap();
    let clock = Arc::new(SimulatedClock::new(NOON));
    let writer = Writer::spawn_writer(self::recorder(dir.path()), lock, clock).unwrap();
    Round::new(dir.path(), &writer).step(NOON, || false);
    assert!(std::fs::read(&path).unwrap() == whole);
    assert!(writer.close(Duration::from_secs(60)));
}

#[test]
fn a_header_that_the_index_has_otherwise_is_told_and_not_written_over_without_another_witness() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..3);
    recorder.close();
    drop(recorder);
    // One reel of each rendition. What the index says of the header is what is damaged.
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let altered = "UPDATE run SET init = CAST(substr(init, 1, length(init) - 1) || x'00' AS BLOB)";
    assert_eq!(index.execute(altered, ()).unwrap(), 2);
    drop(index);
    let before = std::fs::read(reel(dir.path(), 1)).unwrap();
    let report = scrub_once(dir.path(), |_, _| {}).unwrap();
    assert_eq!(report.verified.heads_damaged.len(), 2);
    assert_eq!(report.marked.unwrap().heads_repaired, 0);
    assert!(std::fs::read(reel(dir.path(), 1)).unwrap() == before);
}

#[test]
fn a_header_that_the_index_has_otherwise_is_not_spread_by_a_reel_that_cannot_be_read() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..12);
    recorder.close();
    drop(recorder);
    let head_at = first_reel(dir.path()).segments[0].place.offset as usize - 20;
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    let altered = "UPDATE run SET init = CAST(substr(init, 1, length(init) - 1) || x'00' AS BLOB)";
    assert_eq!(index.execute(altered, ()).unwrap(), 2);
    drop(index);
    flip(&reel(dir.path(), 1), head_at);
    let reels: Vec<_> = (1..=8).map(|id| reel(dir.path(), id)).collect();
    let read = || -> Vec<_> {
        reels
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect()
    };
    let before = read();
    for _ in 0..2 {
        let report = scrub_once(dir.path(), |_, _| {}).unwrap();
        assert_eq!(report.verified.heads_damaged.len(), 8);
        assert_eq!(report.marked.unwrap().heads_repaired, 0);
    }
    assert!(read() == before);
}

#[test]
fn a_bit_flipped_in_the_journal_is_told_and_all_of_it_written_again_from_the_index() {
    for by_thread in [false, true] {
        let dir = folder();
        let mut recorder = recorder(dir.path());
        accept(&mut recorder, 0..6);
        flip(&reel(dir.path(), 1), 400);
        pass(dir.path(), &mut recorder);
        recorder.close();
        drop(recorder);
        let before = losses(dir.path());
        assert_eq!(before.len(), 1);
        assert!(!scrub_once(dir.path(), |_, _| {}).unwrap().journal_damaged);
        // In its first record, so that a rebuild would know none.
        flip(&dir.path().join("log/marks-000001"), 20);
        let archive = Archive::open(dir.path()).unwrap();
        assert!(!archive.is_journal_sound().unwrap());
        if by_thread {
            let lock = lock_directory(dir.path()).unwrap();
            let clock = Arc::new(SimulatedClock::new(NOON));
            let writer = Writer::spawn_writer(self::recorder(dir.path()), lock, clock).unwrap();
            let last = last_position(&Reader::new(dir.path())).unwrap();
            let mut round = Round::new(dir.path(), &writer);
            // The rest of this pass, and the beginning of the next.
            for _ in 0..9 {
                round.step(NOON.plus_ms(1000), || false);
            }
            assert_ne!(round.position().unwrap().began, last.began);
            assert!(writer.close(Duration::from_secs(60)));
        } else {
            let report = scrub_once(dir.path(), |_, _| {}).unwrap();
            assert!(report.journal_damaged && report.marked.unwrap().journal_renewed);
        }
        assert!(archive.is_journal_sound().unwrap());
        std::fs::remove_dir_all(dir.path().join("db")).unwrap();
        let report = rebuild_index(dir.path(), |_, _| {}).unwrap();
        assert!(!report.journal_missing && !report.journal_damaged);
        assert_eq!(losses(dir.path()), before);
    }
}

fn segments(report: &ScrubReport) -> Option<u64> {
    report.marked.map(|marked| marked.segments)
}

#[test]
fn a_pass_by_hand_marks_unless_an_appliance_does() {
    let dir = folder();
    let mut recorder = recorder(dir.path());
    accept(&mut recorder, 0..9);
    recorder.close();
    drop(recorder);
    flip(&reel(dir.path(), 1), 400);
    let store = open(dir.path());
    let report = scrub_once(dir.path(), |_, _| {}).unwrap();
    assert_eq!(
        (report.verified.damaged.len(), segments(&report)),
        (1, None)
    );
    assert_eq!(losses(dir.path()), []);
    drop(store);
    let mut last = (0, 1);
    let report = scrub_once(dir.path(), |done, total| last = (done, total)).unwrap();
    assert_eq!((segments(&report), last.0), (Some(1), last.1));
    assert_eq!(losses(dir.path()).len(), 1);
    let report = scrub_once(dir.path(), |_, _| {}).unwrap();
    assert_eq!(
        (segments(&report), report.verified.quarantined),
        (Some(0), 1)
    );
    check_files(dir.path());
}

#[test]
fn a_thread_that_scrubs_ends_with_the_store() {
    let dir = folder();
    let store = open(dir.path());
    store.close();
    drop(store);
    drop(open(dir.path()));
}

/// Whatever bit is flipped in whatever file: nothing panics, nothing wrong is served, and a rebuild gives back all that
/// is whole.
#[test]
fn a_bit_flipped_in_any_file_serves_nothing_that_was_not_recorded() {
    let whole = folder();
    let mut made = recorder(whole.path());
    accept(&mut made, 0..9);
    made.close();
    drop(made);
    let mut files = Vec::new();
    let mut folders = vec![whole.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let check = |store: &Store| {
        let all = store.recording(&camera("door"), Wall(0), Wall(i64::MAX));
        let mut count = 0;
        for track in all.map(|all| all.renditions).unwrap_or_default() {
            for entry in track.segments {
                let loaded = store.load_segment(&camera("door"), track.id, entry.msn);
                if let Ok(Some(bytes)) = loaded {
                    assert_eq!(bytes, bytes_of(&segment(track.id, 0, entry.msn)));
                    count += 1;
                }
            }
        }
        count
    };
    for file in &files {
        let name = file.strip_prefix(whole.path()).unwrap();
        let size = std::fs::metadata(file).unwrap().len() as usize;
        for nth in 0..6 {
            let dir = folder();
            copy(whole.path(), dir.path());
            if size > 0 {
                let mut bytes = std::fs::read(file).unwrap();
                bytes[(size - 1) * nth / 5] ^= 1 << nth;
                std::fs::write(dir.path().join(name), bytes).unwrap();
            }
            let clock = Arc::new(SimulatedClock::new(NOON));
            let opened = Store::open(dir.path(), patient(), clock);
            if let Ok((store, _)) = opened {
                let count = check(&store);
                let is_index = name.starts_with("db");
                assert!(is_index || count >= 17, "{} {nth}: {count}", name.display());
            }
            // What an index says that is damaged may be wrong.
            let is_index = name.starts_with("db");
            if !is_index {
                scrub_once(dir.path(), |_, _| {}).unwrap();
            }
            if rebuild_index(dir.path(), |_, _| {}).is_ok() {
                let (store, _) = open_whatever(dir.path());
                let count = check(&store);
                let least = if is_index { 15 } else { 17 };
                assert!(count >= least, "{} {nth}: {count}", name.display());
            } else {
                // A version above ours is believed.
                assert!(name.ends_with("index.db"), "{}", name.display());
            }
        }
    }
}
