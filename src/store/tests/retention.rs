//! Recordings that are over go, whatever fails meanwhile, and nothing else does; what is told of those that stay is
//! what their reels say.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::faults::{check_files, folder};
use super::faulty_disk::{Fault, FaultyDisk};
use super::full_disk::ToldDisk;
use super::made::*;
use crate::base::{Clock, SimulatedClock, Wall};
use crate::store::file_system::{FileSystem, RealFileSystem};
use crate::store::queue::QueuedSegment;
use crate::store::reader::Reader;
use crate::store::recorder::{Recorder, reel_path};
use crate::store::reel_rows::{HOUR_MS, QUARTER_MS};
use crate::store::{Archive, ClipWish, OpenError, Retention, StoreOptions, open_recorder};

/// A reel of three segments is about 3.5 kB: room for some ten of them.
const BYTES_MAX: u64 = 40_000;

fn options(bytes_max: Option<u64>) -> StoreOptions {
    StoreOptions {
        reel_duration: Duration::from_secs(6),
        retention: Retention {
            bytes_max,
            ..patient().retention
        },
        ..patient()
    }
}

pub(super) fn open(
    dir: &Path,
    clock: &SimulatedClock,
    files: Arc<dyn FileSystem>,
    bytes_max: Option<u64>,
) -> Result<Recorder, OpenError> {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Ok(open_recorder(dir, &options(bytes_max), &clock, files)?.0)
}

pub(super) fn accept(recorder: &mut Recorder, run: u64, msn: u64, wall: Wall) {
    for rendition in [VIDEO, AUDIO] {
        recorder.accept(&QueuedSegment {
            camera: camera("door"),
            rendition,
            segment: segment_at(rendition, run, msn, wall),
        });
    }
    recorder.commit();
}

/// Spans, hours and sizes are those of the closed reels.
pub(super) fn check_summaries(index: &Connection) {
    let mut statement = index
        .prepare(
            "SELECT track, first_msn, wall_ms, wall_ms + end_ms, media_ms, bytes FROM reel
             WHERE bytes IS NOT NULL AND end_ms IS NOT NULL ORDER BY track, first_msn",
        )
        .unwrap();
    let mut rows = statement.query(()).unwrap();
    let mut spans: Vec<(i64, i64, i64, i64, i64)> = Vec::new();
    let (mut hours, mut quarters, mut bytes_in_all) = (BTreeMap::new(), BTreeMap::new(), 0);
    while let Some(row) = rows.next().unwrap() {
        let [track, msn, from, to, media_ms, bytes] =
            std::array::from_fn(|column| row.get::<_, i64>(column).unwrap());
        match spans.last_mut() {
            Some((of, _, last_msn, _, end)) if *of == track && (from - *end).abs() <= 500 => {
                (*last_msn, *end) = (msn, to);
            }
            _ => spans.push((track, msn, msn, from, to)),
        }
        for (sums, bucket_ms) in [(&mut hours, HOUR_MS), (&mut quarters, QUARTER_MS)] {
            let sum: &mut (i64, i64) = sums.entry((track, from.div_euclid(bucket_ms))).or_default();
            *sum = (sum.0 + media_ms, sum.1 + bytes);
        }
        bytes_in_all += bytes;
    }
    let told: Vec<_> = index
        .prepare(
            "SELECT track, first_msn, last_msn, from_ms, to_ms FROM span ORDER BY track, first_msn",
        )
        .unwrap()
        .query_map((), |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(told, spans);
    for (table, sums) in [("hour", hours), ("quarter", quarters)] {
        let told: BTreeMap<_, _> = index
            .prepare(&format!(
                "SELECT track, {table}, media_ms, bytes FROM {table}"
            ))
            .unwrap()
            .query_map((), |row| {
                Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(told, sums, "{table}");
    }
    let told: i64 = index
        .query_row(
            "SELECT coalesce(sum(reel_bytes), 0) FROM camera",
            (),
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(told, bytes_in_all);
}

pub(super) fn msns(dir: &Path) -> Vec<u64> {
    let recording = Reader::new(dir)
        .recording(&camera("door"), Wall(0), Wall(i64::MAX))
        .unwrap();
    let tracks = recording.renditions;
    tracks.first().map_or_else(Vec::new, |track| {
        track.segments.iter().map(|entry| entry.msn).collect()
    })
}

#[test]
fn the_oldest_goes_and_the_newest_stays() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut recorder = open(
        dir.path(),
        &clock,
        Arc::new(RealFileSystem),
        Some(BYTES_MAX),
    )
    .unwrap();
    for msn in 0..60 {
        accept(&mut recorder, msn / 7, msn, NOON.plus_ms(msn as i64 * 2000));
        clock.advance(Duration::from_secs(6));
        recorder.keep_room();
    }
    let before = msns(dir.path());
    assert!(before[0] > 20 && before.len() > 9, "{before:?}");
    assert!(before.iter().copied().eq(before[0]..60), "{before:?}");
    let (expired, bytes) = (
        recorder.status().reels_expired,
        recorder.status().bytes_expired,
    );
    assert!(expired > 10 && bytes > expired * 1000);
    let gone = Reader::new(dir.path()).load_segment(&camera("door"), VIDEO, 3);
    assert_eq!(gone.unwrap(), None);
    // The headers of runs that are gone went with them.
    for run in 0..=8 {
        let header = Reader::new(dir.path())
            .load_init(&camera("door"), VIDEO, run)
            .unwrap();
        assert_eq!(
            header.is_some(),
            run >= before[0] / 7,
            "run {run}, from {}",
            before[0]
        );
    }
    recorder.close();
    drop(recorder);
    check_files(dir.path());

    // With room for nothing at all, the last reel of each track stays.
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), Some(0)).unwrap();
    recorder.keep_room();
    recorder.keep_room();
    drop(recorder);
    check_files(dir.path());
    assert!((1..=3).contains(&msns(dir.path()).len()));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    accept(&mut recorder, 20, 60, NOON.plus_ms(200_000));
    assert_eq!(recorder.status().segments_committed, 2);
}

#[test]
fn the_last_reel_of_a_track_goes_when_it_is_too_old_and_numbers_go_on_above_it() {
    const DAY: Duration = Duration::from_secs(86_400);
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut for_a_day = options(None);
    for_a_day.retention.usual.age_max = Some(DAY);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let opened = || {
        let (recorder, numbers, _) =
            open_recorder(dir.path(), &for_a_day, &shared, Arc::new(RealFileSystem)).unwrap();
        (recorder, numbers)
    };
    // Nothing more comes, so nothing but time ends the reels that are open.
    let end_idle = |recorder: &mut Recorder| {
        clock.advance(Duration::from_secs(3600));
        recorder.keep_room();
        assert!(recorder.commit_due().is_some());
        recorder.commit();
    };
    let (mut recorder, _) = opened();
    for msn in 0..4 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    end_idle(&mut recorder);
    assert_eq!(msns(dir.path()), [0, 1, 2, 3]);
    let wish = ClipWish {
        camera: camera("door"),
        from: NOON,
        to: NOON.plus_ms(1000),
        name: String::new(),
    };
    let clip = recorder.make_clip(&wish).unwrap();
    clock.advance(DAY);
    let keep_room = |recorder: &mut Recorder| {
        // What goes at once is bounded.
        for _ in 0..2 {
            clock.advance(Duration::from_secs(60));
            recorder.keep_room();
        }
    };
    keep_room(&mut recorder);
    // Without the newest, what comes next would be told to follow what the clip keeps.
    assert_eq!(msns(dir.path()), [0, 1, 2, 3]);
    assert!(recorder.remove_clip(clip.id).unwrap());
    keep_room(&mut recorder);
    assert!(msns(dir.path()).is_empty());
    assert_eq!(recorder.status().reels_expired, 4);

    // The same run goes on: its header stays, though its last reel goes before the next has a row.
    accept(&mut recorder, 0, 4, clock.wall());
    end_idle(&mut recorder);
    clock.advance(2 * DAY);
    for rendition in [VIDEO, AUDIO] {
        recorder.accept(&QueuedSegment {
            camera: camera("door"),
            rendition,
            segment: segment_at(rendition, 0, 5, clock.wall()),
        });
    }
    recorder.keep_room();
    assert_eq!(recorder.status().reels_expired, 6);
    recorder.commit();
    assert_eq!(msns(dir.path()), [5]);
    recorder.close();
    drop(recorder);
    check_files(dir.path());

    let (mut recorder, _) = opened();
    clock.advance(2 * DAY);
    recorder.keep_room();
    assert!(msns(dir.path()).is_empty());
    recorder.close();
    drop(recorder);
    let (mut recorder, numbers) = opened();
    let next = numbers.set_aside(&camera("door"));
    assert!(next.next_run > 0 && next.next_msn > 5, "{next:?}");
    accept(&mut recorder, next.next_run, next.next_msn, clock.wall());
    assert_eq!(msns(dir.path()), [next.next_msn]);
    recorder.close();
    drop(recorder);
    check_files(dir.path());
}

#[test]
fn a_day_that_comes_again_after_all_of_it_has_gone_is_recorded() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut for_a_day = options(None);
    for_a_day.retention.usual.age_max = Some(Duration::from_secs(86_400));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (mut recorder, _, _) =
        open_recorder(dir.path(), &for_a_day, &shared, Arc::new(RealFileSystem)).unwrap();
    accept(&mut recorder, 0, 0, NOON);
    clock.advance(Duration::from_secs(3600));
    recorder.keep_room();
    recorder.commit();
    clock.advance(Duration::from_secs(2 * 86_400));
    for _ in 0..2 {
        recorder.keep_room();
    }
    assert!(msns(dir.path()).is_empty());
    let day = dir.path().join("reel/door").join(NOON.date());
    assert!(!day.exists(), "it went with its last reel");
    // The clock was set back.
    for msn in 1..6 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
        clock.advance(Duration::from_secs(60));
    }
    recorder.close();
    drop(recorder);
    assert_eq!(msns(dir.path()).last(), Some(&5));
    check_files(dir.path());
}

#[test]
fn a_fault_at_any_operation_loses_nothing_that_is_to_stay_and_leaves_nothing_behind() {
    let run = |disk: &FaultyDisk, dir: &Path| {
        let clock = SimulatedClock::new(NOON);
        let mut recorder = open(dir, &clock, Arc::new(disk.clone()), Some(6_000)).ok()?;
        for msn in 0..10 {
            accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
            clock.advance(Duration::from_secs(5));
            recorder.keep_room();
        }
        recorder.close();
        Some(recorder.status().clone())
    };
    let whole = FaultyDisk::default();
    let dir = folder();
    assert!(run(&whole, dir.path()).unwrap().reels_expired >= 2);
    for fault in [Fault::Full, Fault::Io, Fault::PowerCut] {
        for at in 0..whole.operations() {
            let dir = folder();
            let disk = FaultyDisk::failing(at, fault);
            run(&disk, dir.path());
            disk.lose_what_is_not_synced();
            let clock = SimulatedClock::new(NOON.plus_ms(100_000));
            let real = Arc::new(RealFileSystem);
            let mut recorder = open(dir.path(), &clock, real, Some(6_000)).unwrap();
            recorder.keep_room();
            drop(recorder);
            check_files(dir.path());
            let found = msns(dir.path());
            for &msn in &found {
                let loaded = Reader::new(dir.path()).load_segment(&camera("door"), VIDEO, msn);
                let original = segment_at(VIDEO, 0, msn, NOON.plus_ms(msn as i64 * 2000));
                assert_eq!(loaded.unwrap().unwrap(), bytes_of(&original));
            }
        }
    }
}

#[test]
fn a_disk_that_tells_late_of_new_room_loses_no_more_than_it_lacked() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    for msn in 0..60 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    recorder.close();
    drop(recorder);

    let late: Arc<dyn FileSystem> = Arc::new(ToldDisk(Box::new(|| 50_000)));
    let mut short = options(None);
    short.retention.free_bytes = Some(60_000);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (mut recorder, ..) = open_recorder(dir.path(), &short, &shared, late).unwrap();
    for _ in 0..10 {
        recorder.keep_room();
        clock.advance(Duration::from_secs(5));
    }
    let status = recorder.status();
    let reel = status.bytes_expired / status.reels_expired;
    assert!(
        (10_000..10_000 + 2 * reel).contains(&status.bytes_expired),
        "{status:?}"
    );
}

#[test]
fn a_sweep_that_was_cut_short_is_finished_though_its_folder_is_gone() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    drop(open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap());
    let index = Connection::open(dir.path().join("db/index.db")).unwrap();
    let note = "INSERT INTO garbage (path) VALUES ('reel/door/2026-11-01/0000000001.reel')";
    index.execute(note, ()).unwrap();
    drop(open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap());
    let left: u32 = index
        .query_row("SELECT count(*) FROM garbage", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_reel_that_nobody_can_decode_any_more_goes_as_others_do() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    for msn in 0..3 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    // As if the power went while it took more, and the disk changed its header's row.
    drop(recorder);
    let index = Connection::open(dir.path().join("db/index.db")).unwrap();
    index
        .execute("UPDATE run SET parameters = x'00'", ())
        .unwrap();
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), Some(0)).unwrap();
    for msn in 3..9 {
        accept(&mut recorder, 1, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    recorder.keep_room();
    recorder.close();
    let left: u32 = index
        .query_row("SELECT count(*) FROM reel WHERE run = 0", (), |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, 0);
    drop(recorder);
    check_files(dir.path());
}

#[test]
fn no_reel_gets_the_number_of_one_that_went() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let opened = || open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    let mut recorder = opened();
    for msn in 0..5 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    // The power goes, and the disk lost what it had said to have of the newest reels.
    drop(recorder);
    for reel in 3..=4 {
        std::fs::write(
            reel_path(dir.path(), &camera("door"), &NOON.date(), reel),
            b"",
        )
        .unwrap();
    }
    let mut recorder = opened();
    accept(&mut recorder, 1, 6, NOON.plus_ms(12_000));
    recorder.close();
    let index = Connection::open(dir.path().join("db/index.db")).unwrap();
    let mut reels = index.prepare("SELECT id FROM reel ORDER BY id").unwrap();
    let reels = reels.query_map((), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(reels.collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 5, 6]);
}

pub(super) fn wish(from_s: i64, to_s: i64) -> ClipWish {
    ClipWish {
        camera: camera("door"),
        name: "the visitor".to_owned(),
        from: NOON.plus_ms(from_s * 1000),
        to: NOON.plus_ms(to_s * 1000),
    }
}

#[test]
fn what_a_clip_holds_stays_until_the_clip_goes() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(40_000));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), Some(0)).unwrap();
    for msn in 0..18 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    // Segments 4 to 7: of two reels.
    let clip = recorder.make_clip(&wish(9, 15)).unwrap();
    let all = Reader::new(dir.path())
        .clip_page(None, None, 1000)
        .unwrap()
        .clips;
    assert_eq!(all, std::slice::from_ref(&clip));
    assert!(clip.bytes_held > 4 * 1000);
    let other = recorder.make_clip(&wish(8, 10)).unwrap();
    recorder.keep_room();
    assert_eq!(msns(dir.path()), [3, 4, 5, 6, 7, 8, 15, 16, 17]);

    assert!(recorder.remove_clip(clip.id).unwrap());
    assert!(!recorder.remove_clip(clip.id).unwrap());
    clock.advance(Duration::from_secs(5));
    recorder.keep_room();
    assert_eq!(msns(dir.path()), [3, 4, 5, 15, 16, 17]);
    assert!(recorder.remove_clip(other.id).unwrap());
    clock.advance(Duration::from_secs(5));
    recorder.keep_room();
    assert_eq!(msns(dir.path()), [15, 16, 17]);
    recorder.close();
    drop(recorder);
    check_files(dir.path());
}

#[test]
fn an_archive_adds_up_and_tells_exactly_what_is_damaged() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(40_000));
    assert!(matches!(
        Archive::open(dir.path()),
        Err(OpenError::NothingRecorded(_))
    ));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    for msn in 0..18 {
        accept(&mut recorder, 0, msn, NOON.plus_ms(msn as i64 * 2000));
    }
    recorder.make_clip(&wish(0, 36)).unwrap();
    // While it records.
    let archive = Archive::open(dir.path()).unwrap();
    let sums = archive.statistics().unwrap();
    let mut last = (0, 0);
    let report = archive.verify(|done, total| last = (done, total)).unwrap();
    let sound = report.bytes_sound;
    assert_eq!((report.segments_sound, report.damaged), (36, vec![]));
    assert_eq!(last, (sound, sound));
    // Reels count with their heads, and the clip as its segments where a reel is not closed.
    let unique = sums.unique_bytes();
    assert!(unique > sound && sums.physical_bytes > unique);
    let clipped = sums.logical_bytes() - unique;
    assert!((sound..=unique).contains(&clipped), "{clipped} of {unique}");
    let clip = recorder.make_clip(&wish(9, 15)).unwrap();
    let within = Reader::new(dir.path())
        .recording(&camera("door"), clip.from, clip.to)
        .unwrap();
    let starting: Vec<u64> = within
        .renditions
        .iter()
        .flat_map(|track| &track.segments)
        .filter(|segment| segment.wall_start >= clip.from)
        .map(|segment| segment.bytes)
        .collect();
    assert_eq!(starting.len(), 6);
    let both = archive.statistics().unwrap();
    assert_eq!(
        both.logical_bytes() - sums.logical_bytes(),
        starting.iter().sum::<u64>()
    );
    recorder.remove_clip(clip.id).unwrap();
    recorder.close();

    // One bit of the fifth segment of the picture, and the last reel of sound cut short.
    let reel = |id: i64| {
        let day = NOON.date();
        reel_path(dir.path(), &camera("door"), &day, id)
    };
    let place = Reader::new(dir.path())
        .recording(&camera("door"), NOON.plus_ms(8_000), NOON.plus_ms(8_001))
        .unwrap();
    assert_eq!(place.renditions[0].segments[0].msn, 4);
    let mut bytes = std::fs::read(reel(3)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(reel(3), &bytes).unwrap();
    let cut = std::fs::read(reel(12)).unwrap();
    std::fs::write(reel(12), &cut[..cut.len() - 1]).unwrap();
    let report = archive.verify(|_, _| {}).unwrap();
    let damaged: Vec<_> = report
        .damaged
        .iter()
        .map(|segment| (segment.rendition, segment.msn, segment.wall_start))
        .collect();
    let at = |msn: u64| NOON.plus_ms(msn as i64 * 2000);
    assert_eq!(damaged, [(VIDEO, 4, at(4)), (AUDIO, 17, at(17))]);
    assert_eq!(report.segments_sound, 34);
}

#[test]
fn what_cannot_be_kept_is_refused_and_nothing_changes() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(40_000));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    accept(&mut recorder, 0, 0, NOON);
    let long = ClipWish {
        name: "n".repeat(201),
        ..wish(0, 1)
    };
    let nobody = ClipWish {
        camera: camera("nobody"),
        ..wish(0, 1)
    };
    for (wish, reason) in [
        (wish(1, 1), "later than"),
        (wish(0, 41), "future"),
        (wish(-86_400, 1), "at most 24 hours"),
        (wish(20, 30), "nothing of this camera"),
        (nobody, "nothing of this camera"),
        (long, "200 characters"),
    ] {
        let refused = recorder.make_clip(&wish).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(
        Reader::new(dir.path())
            .clip_page(None, None, 1000)
            .unwrap()
            .clips,
        []
    );
}

#[test]
fn a_timeline_tells_spans_breaks_and_how_much_is_recorded() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON.plus_ms(400_000));
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    for msn in (0..30).chain(90..120) {
        accept(
            &mut recorder,
            msn / 60,
            msn,
            NOON.plus_ms(msn as i64 * 2000),
        );
    }
    recorder.make_clip(&wish(10, 20)).unwrap();
    let reader = Reader::new(dir.path());
    let (from, to) = (NOON.plus_ms(-60_000), NOON.plus_ms(400_000));
    let line = reader.timeline(&camera("door"), from, to, 60_000).unwrap();
    let moment = |s: i64| NOON.plus_ms(s * 1000);
    assert_eq!((line.oldest, line.newest), (Some(NOON), Some(moment(240))));
    assert_eq!(
        line.spans,
        [(moment(0), moment(60)), (moment(180), moment(240))]
    );
    assert_eq!(line.clips.len(), 1);
    let buckets: Vec<_> = line
        .density
        .iter()
        .map(|bucket| (bucket.from, bucket.media_ms))
        .collect();
    // What is still being written is not counted yet.
    assert_eq!(buckets, [(moment(0), 60_000), (moment(180), 54_000)]);
    let week = reader
        .timeline(&camera("door"), from, to.plus_ms(7 * 24 * HOUR_MS), 1)
        .unwrap();
    assert_eq!(week.bucket_ms, HOUR_MS);
    assert_eq!(week.density.len(), 1);
    let bytes: u64 = line.density.iter().map(|bucket| bucket.bytes).sum();
    assert_eq!(
        (week.density[0].bytes, week.density[0].media_ms),
        (bytes, 114_000)
    );
    // From far away quarters of a day are enough, and all of the first bucket counts.
    let half_a_day = 2 * QUARTER_MS + HOUR_MS;
    let year = reader
        .timeline(
            &camera("door"),
            NOON,
            to.plus_ms(365 * 24 * HOUR_MS),
            half_a_day,
        )
        .unwrap();
    assert_eq!(year.bucket_ms, 2 * QUARTER_MS);
    let sums: Vec<_> = year
        .density
        .iter()
        .map(|b| (b.from, b.bytes, b.media_ms))
        .collect();
    let morning = Wall(NOON.0 - NOON.0.rem_euclid(2 * QUARTER_MS));
    assert_eq!(sums, [(morning, bytes, 114_000)]);

    // As finely as is asked, though a bucket is a minute.
    accept(&mut recorder, 1, 123, NOON.plus_ms(246_000));
    let fine = reader.timeline(&camera("door"), from, to, 1_000).unwrap();
    assert_eq!((fine.bucket_ms, fine.spans.len()), (60_000, 3));

    let nothing = reader.timeline(&camera("nobody"), from, to, 1).unwrap();
    assert_eq!((nothing.spans.len(), nothing.newest), (0, None));
    assert!(reader.timeline(&camera("door"), to, from, 1).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn summaries_are_those_of_the_reels_whatever_comes_and_goes(
        steps in proptest::collection::vec((0u8..10, 0usize..8), 1..60),
    ) {
        let dir = folder();
        let clock = SimulatedClock::new(NOON);
        let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
        let (mut msn, mut run, mut wall) = (0, 0, NOON);
        for (kind, which) in steps {
            match kind {
                // Another run, after a while in which the clock may have been set back.
                0 => (run, wall) = (run + 1, wall.plus_ms((which as i64 - 2) * 1_700_000)),
                1 => {
                    let index = recorder.index_mut();
                    let closed: Vec<i64> = index
                        .connection()
                        .prepare("SELECT id FROM reel WHERE bytes IS NOT NULL ORDER BY id")
                        .unwrap()
                        .query_map((), |row| row.get(0))
                        .unwrap()
                        .map(Result::unwrap)
                        .collect();
                    if let Some(reel) = closed.get(which) {
                        index.forget_reels(&[*reel]).unwrap();
                    }
                }
                _ => {
                    accept(&mut recorder, run, msn, wall);
                    (msn, wall) = (msn + 1, wall.plus_ms(2000));
                }
            }
            check_summaries(recorder.index_mut().connection());
        }
    }
}
