//! A clip holds all that is recorded within it, also what is committed only after it was made, and goes on doing so
//! when the index is made again.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use super::faults::{check_files, folder};
use super::faulty_disk::FaultyDisk;
use super::made::*;
use super::retention::{accept, msns, open, wish};
use crate::base::{SimulatedClock, Wall};
use crate::store::file_system::RealFileSystem;
use crate::store::journal::read_journal;
use crate::store::marks::Mark;
use crate::store::reader::Reader;
use crate::store::recorder::{Recorder, reel_path};
use crate::store::{Archive, Clip, RecordingState, rebuild_index};

/// With room for nothing that no clip holds. Reels last six seconds, three segments.
fn open_tight(dir: &Path, clock: &SimulatedClock) -> Recorder {
    open(dir, clock, Arc::new(RealFileSystem), Some(0)).unwrap()
}

fn record(recorder: &mut Recorder, run: u64, numbers: std::ops::Range<u64>) {
    for msn in numbers {
        accept(recorder, run, msn, at(msn));
    }
}

fn at(msn: u64) -> Wall {
    NOON.plus_ms(msn as i64 * 2000)
}

fn clips(dir: &Path) -> Vec<Clip> {
    Reader::new(dir).clip_page(None, None, 1000).unwrap().clips
}

/// Each clip with a reel that it holds and how many clips the reel says hold it.
fn held(dir: &Path) -> Vec<(i64, i64, i64)> {
    let index = Connection::open(dir.join("db/index.db")).unwrap();
    let mut held = index
        .prepare("SELECT clip, reel, refs FROM clip_reel JOIN reel ON reel.id = reel ORDER BY 1, 2")
        .unwrap();
    let rows = held.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_is_committed_within_a_clip_after_it_was_made_is_held_as_well() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(13_000));
    let mut recorder = open_tight(dir.path(), &clock);
    record(&mut recorder, 0, 0..5);
    // The last ten seconds, of which the last two segments are not made yet: one goes to the reel that is open, the
    // other to the next.
    let clip = recorder.make_clip(&wish(3, 13)).unwrap();
    let held_at_first = held(dir.path());
    let earlier = recorder.make_clip(&wish(0, 1)).unwrap();
    record(&mut recorder, 0, 5..18);
    recorder.keep_room();
    let kept = (0..9).chain(15..18);
    assert_eq!(msns(dir.path()), kept.collect::<Vec<_>>());
    let [second, first] = &clips(dir.path())[..] else {
        panic!("{:?}", clips(dir.path()));
    };
    assert_eq!(first, &earlier);
    assert_eq!((second.from, second.to), (clip.from, clip.to));
    assert!(second.bytes_held > clip.bytes_held);
    recorder.close();
    drop(recorder);
    check_files(dir.path());

    // The journal tells each reel once.
    let (marks, _) = read_journal(dir.path()).unwrap().unwrap();
    let told = marks.iter().filter_map(|mark| match mark {
        Mark::Clip(mark) if mark.id == clip.id => Some(&mark.reels[..]),
        _ => None,
    });
    let told: Vec<&[i64]> = told.collect();
    let before: Vec<i64> = held_at_first.iter().map(|(_, reel, _)| *reel).collect();
    assert!(told.len() > 1 && told[0] == before, "{told:?}");
    let all: Vec<i64> = told.concat();
    let holds = held(dir.path()).into_iter();
    let holds = holds.filter(|(of, ..)| *of == clip.id);
    assert_eq!(all, holds.map(|(_, reel, _)| reel).collect::<Vec<_>>());

    // Nor does it hold less without the index.
    let (before, holds) = (clips(dir.path()), held(dir.path()));
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let report = rebuild_index(dir.path(), |_, _| {}).unwrap();
    assert!(report.clips == 2 && !report.journal_damaged);
    assert_eq!((clips(dir.path()), held(dir.path())), (before, holds));

    let mut recorder = open_tight(dir.path(), &clock);
    assert!(recorder.remove_clip(clip.id).unwrap());
    recorder.keep_room();
    assert_eq!(msns(dir.path()), [0, 1, 2, 15, 16, 17]);
    assert!(recorder.remove_clip(earlier.id).unwrap());
    recorder.close();
    assert_eq!(held(dir.path()), []);
}

#[test]
fn a_timeline_shows_the_first_thousand_clips_and_a_shorter_one_those_behind() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(13_000));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    record(&mut recorder, 0, 0..5);
    let clip = recorder.make_clip(&wish(3, 10)).unwrap();
    recorder.close();
    drop(recorder);
    // Each a millisecond later than the one before.
    let index = Connection::open(dir.path().join("db/index.db")).unwrap();
    let added = index.execute(
        "WITH RECURSIVE later(ms) AS (SELECT 1 UNION ALL SELECT ms + 1 FROM later WHERE ms < 1200)
         INSERT INTO clip (camera, name, from_ms, to_ms, made_ms)
         SELECT camera, name, from_ms + ms, to_ms + ms, made_ms FROM clip, later WHERE id = ?",
        [clip.id],
    );
    assert_eq!(added.unwrap(), 1200);
    let shown = |from: i64| {
        let reader = Reader::new(dir.path());
        let (from, to) = (NOON.plus_ms(from), NOON.plus_ms(60_000));
        let line = reader.timeline(&camera("door"), from, to, 1_000).unwrap();
        let starts = line.clips.iter().map(|one| one.from - clip.from);
        starts.collect::<Vec<_>>()
    };
    assert_eq!(shown(0), (0..1000).collect::<Vec<_>>());
    assert_eq!(shown(11_100), (1101..=1200).collect::<Vec<_>>());
}

#[test]
fn the_list_of_clips_comes_in_pieces_that_go_on_behind_one_that_is_gone() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(13_000));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    record(&mut recorder, 0, 0..5);
    // Two that begin alike: the later one is told first.
    let [early, late, later] =
        [(1, 2), (3, 4), (3, 9)].map(|(from, to)| recorder.make_clip(&wish(from, to)).unwrap());
    let reader = Reader::new(dir.path());
    let page = |place, limit| {
        let page = reader.clip_page(Some(&early.camera), place, limit).unwrap();
        let ids: Vec<i64> = page.clips.iter().map(|clip| clip.id).collect();
        (ids, page.next)
    };
    let (first, place) = page(None, 1);
    assert_eq!(first, [later.id]);
    let text = place.unwrap().to_string();
    assert_eq!(text.parse(), Ok(place.unwrap()));
    assert_eq!(page(place, 2), (vec![late.id, early.id], None));
    let (second, behind_late) = page(place, 1);
    assert_eq!(second, [late.id]);
    assert_eq!(reader.clip(late.id).unwrap().as_ref(), Some(&late));
    assert!(recorder.remove_clip(later.id).unwrap());
    assert!(recorder.remove_clip(late.id).unwrap());
    assert_eq!(page(place, 2), (vec![early.id], None));
    assert_eq!(page(behind_late, 2), (vec![early.id], None));
    assert_eq!(reader.clip(late.id).unwrap(), None);
    let nobody = reader.clip_page(Some(&camera("nobody")), None, 5).unwrap();
    assert_eq!((nobody.clips, nobody.next), (vec![], None));
    recorder.close();
}

#[test]
fn what_a_clock_that_was_set_back_puts_into_a_clip_is_held_until_the_clip_goes() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(40_000));
    let mut recorder = open_tight(dir.path(), &clock);
    record(&mut recorder, 0, 0..9);
    let clip = recorder.make_clip(&wish(7, 9)).unwrap();
    // Twenty seconds come twice: the second reel of the second time begins within the clip, the first ends before it.
    for msn in 9..21 {
        accept(&mut recorder, 1, msn, at(msn - 9));
    }
    recorder.keep_room();
    let kept = (3..6).chain(12..15).chain(18..21);
    assert_eq!(msns(dir.path()), kept.collect::<Vec<_>>());
    assert!(recorder.remove_clip(clip.id).unwrap());
    recorder.keep_room();
    assert_eq!(msns(dir.path()), [18, 19, 20]);
}

#[test]
fn a_segment_within_a_clip_that_reads_well_again_is_held_from_then_on() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(40_000));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    record(&mut recorder, 0, 0..12);
    let scrub = |recorder: &mut Recorder| {
        let found = Archive::open(dir.path())
            .unwrap()
            .verify(|_, _| {})
            .unwrap();
        recorder.index_mut().mark_segments(&found).unwrap()
    };
    // The last picture of the second reel, which is all that the clip has of it.
    let path = reel_path(dir.path(), &camera("door"), &NOON.date(), 3);
    let sound = std::fs::read(&path).unwrap();
    let last = bytes_of(&segment(VIDEO, 0, 5));
    let place = sound.windows(last.len()).position(|bytes| bytes == last);
    let mut damaged = sound.clone();
    damaged[place.unwrap() + 20] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    assert_eq!(scrub(&mut recorder), (1, 0));
    recorder.make_clip(&wish(11, 13)).unwrap();
    let holds_it = || held(dir.path()).iter().any(|&(_, reel, _)| reel == 3);
    assert!(!holds_it());
    std::fs::write(&path, sound).unwrap();
    assert_eq!(scrub(&mut recorder), (0, 1));
    assert!(holds_it());
    recorder.close();
    drop(recorder);

    let holds = held(dir.path());
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    rebuild_index(dir.path(), |_, _| {}).unwrap();
    assert_eq!(held(dir.path()), holds);
    open_tight(dir.path(), &clock).keep_room();
    assert_eq!(msns(dir.path()), (3..12).collect::<Vec<_>>());
}

#[test]
fn a_sync_that_fails_while_clips_are_changed_ends_recording_and_says_so() {
    for removes in [false, true] {
        let dir = folder();
        let clock = SimulatedClock::new(NOON.plus_ms(13_000));
        let disk = FaultyDisk::default();
        let mut recorder = open(dir.path(), &clock, Arc::new(disk.clone()), None).unwrap();
        record(&mut recorder, 0, 0..5);
        let clip = recorder.make_clip(&wish(0, 1)).unwrap();
        disk.fail_next_sync();
        let refused = if removes {
            recorder.remove_clip(clip.id).unwrap_err()
        } else {
            recorder.make_clip(&wish(3, 9)).unwrap_err()
        };
        assert!(refused.to_string().contains("takes no change"), "{refused}");
        let RecordingState::Poisoned { reason } = recorder.status().state.clone() else {
            panic!("{:?}", recorder.status().state);
        };
        assert!(
            reason.contains("log/marks-") && reason.contains("sync failed"),
            "{reason}"
        );
        let again = recorder.make_clip(&wish(3, 9)).unwrap_err();
        assert!(again.to_string().contains(&reason), "{again}");
        // Nothing of it holds, and all that was recorded is there.
        assert_eq!(clips(dir.path()), [clip]);
        assert_eq!(msns(dir.path()), (0..5).collect::<Vec<_>>());
    }
}
