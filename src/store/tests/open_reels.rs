//! Which reels take more, and how much of the log of segments a start has to read out of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::faults::{check_files, folder};
use super::made::*;
use super::proofs::{check, named};
use super::retention::{check_summaries, open};
use crate::base::{SimulatedClock, Wall};
use crate::media::RenditionId;
use crate::store::file_system::RealFileSystem;
use crate::store::queue::QueuedSegment;
use crate::store::reader::Reader;
use crate::store::recorder::Recorder;
use crate::store::status::GapMark;
use crate::store::{Gap, GapReason, RecordingState};

/// Reels last six seconds, three segments.
fn begin(dir: &Path, clock: &SimulatedClock) -> Recorder {
    open(dir, clock, Arc::new(RealFileSystem), None).unwrap()
}

fn accept(recorder: &mut Recorder, name: &str, rendition: RenditionId, run: u64, msn: u64) {
    recorder.accept(&QueuedSegment {
        camera: camera(name),
        rendition,
        segment: segment(rendition, run, msn),
    });
}

/// Records both renditions as time passes.
fn record(
    recorder: &mut Recorder,
    clock: &SimulatedClock,
    renditions: &[RenditionId],
    msns: std::ops::Range<u64>,
) {
    for msn in msns {
        for &rendition in renditions {
            accept(recorder, "front", rendition, 0, msn);
        }
        recorder.commit();
        clock.advance(Duration::from_secs(2));
        recorder.keep_room();
    }
}

fn first_reel(recorder: &Recorder) -> i64 {
    recorder.index().log_row().unwrap().first_reel
}

fn prove(dir: &Path, run: u64, msns: std::ops::Range<u64>) {
    let (store, report) = super::durable::open_whatever(dir);
    assert!(report.lost.is_empty(), "{report}");
    let proof = store.clip_proof(&camera("front"), &named(msns.clone()));
    check(dir, proof.unwrap(), run, msns);
}

#[test]
fn a_rendition_that_pauses_does_not_keep_the_end_of_the_log_where_it_stopped() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut recorder = begin(dir.path(), &clock);
    record(&mut recorder, &clock, &[VIDEO, AUDIO], 0..1);
    accept(&mut recorder, "gone", VIDEO, 0, 0);
    record(&mut recorder, &clock, &[VIDEO], 1..70);
    // Signed at the end of each minute, and told with the commit behind that.
    assert!(first_reel(&recorder) > 20, "{}", first_reel(&recorder));

    // It comes back in the same run, and plays as if it had had a reel all the time.
    record(&mut recorder, &clock, &[VIDEO, AUDIO], 70..72);
    let commits = recorder.status().commits;
    recorder.commit();
    assert_eq!(recorder.status().commits, commits);
    let recording = Reader::new(dir.path())
        .recording(&camera("front"), Wall(0), Wall(i64::MAX))
        .unwrap();
    let of = |rendition| {
        let mut tracks = recording.renditions.iter();
        let track = tracks.find(|track| track.id == rendition).unwrap();
        let segments = track.segments.iter();
        let found: Vec<_> = segments.map(|entry| (entry.run, entry.msn)).collect();
        found
    };
    assert_eq!(of(AUDIO), [0, 70, 71].map(|msn| (0, msn)));
    assert_eq!(of(VIDEO).len(), 72);
    let index = rusqlite::Connection::open(dir.path().join("db/index.db")).unwrap();
    check_summaries(&index);
    let open = "SELECT count(*) FROM reel WHERE bytes IS NULL";
    let open: i64 = index.query_row(open, (), |row| row.get(0)).unwrap();
    assert_eq!(open, 2);
    drop(recorder);
    prove(dir.path(), 0, 70..72);
    check_files(dir.path());
}

#[test]
fn what_waits_for_a_refused_commit_is_looked_for_where_it_lies() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut recorder = begin(dir.path(), &clock);
    for msn in 0..2 {
        for rendition in [VIDEO, AUDIO] {
            accept(&mut recorder, "front", rendition, 0, msn);
        }
        if msn == 0 {
            recorder.commit();
        }
    }
    // Others take over, and the index has no room to say so.
    for rendition in [VIDEO, AUDIO] {
        accept(&mut recorder, "front", rendition, 1, 2);
    }
    for minute in 0..250 {
        let from = NOON.plus_ms(minute * 60_000);
        let gap = Gap {
            rendition: None,
            from,
            to: from.plus_ms(1000),
            reason: GapReason::CameraGone,
        };
        recorder.mark_gap(GapMark {
            camera: camera("front"),
            gap,
        });
    }
    recorder.limit_index_pages(1);
    recorder.commit();
    let state = recorder.status().state.clone();
    assert!(matches!(state, RecordingState::Paused { .. }), "{state:?}");
    // What was committed before is signed meanwhile.
    clock.advance(Duration::from_secs(61));
    recorder.keep_room();
    recorder.limit_index_pages(1 << 30);
    recorder.commit();
    assert_eq!(recorder.status().segments_committed, 6);
    assert_eq!(recorder.index().log_row().unwrap().size, 2);
    assert_eq!(first_reel(&recorder), 1);
    drop(recorder);
    prove(dir.path(), 0, 0..2);
}
