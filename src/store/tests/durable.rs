//! What was recorded is there after a restart, byte for byte, and recording goes on above it.

use std::path::Path;
use std::sync::Arc;

use super::made::*;
use crate::base::{SimulatedClock, Wall};
use crate::store::{Appended, GapReason, ReadError, RecordingState, Store};

pub(super) fn open(dir: &Path) -> Store {
    let (store, report) = Store::open(dir, patient(), Arc::new(SimulatedClock::new(NOON))).unwrap();
    assert!(report.is_clean(), "{report}");
    store
}

#[test]
fn what_was_recorded_reads_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let camera = camera("front");
    let store = open(dir.path());
    for msn in 0..40 {
        for rendition in [VIDEO, AUDIO] {
            let appended = store.append(&camera, rendition, segment(rendition, 0, msn));
            assert_eq!(appended, Appended::Queued);
            store.flush();
        }
    }
    store.mark_gap(
        &camera,
        NOON.plus_ms(90_000),
        NOON.plus_ms(95_000),
        GapReason::CameraGone,
    );
    store.close();
    store.close();
    assert_eq!(
        store.append(&camera, VIDEO, segment(VIDEO, 0, 41)),
        Appended::Refused
    );
    assert_eq!(store.status().segments_committed, 80);
    assert_eq!(store.status().state, RecordingState::Recording);

    let again = open(dir.path());
    for store in [store, again] {
        let (from, to) = (NOON.plus_ms(10_000), NOON.plus_ms(75_000));
        let recording = store.recording(&camera, from, to).unwrap();
        assert_eq!(recording.gaps, []);
        let ids: Vec<_> = recording.renditions.iter().map(|track| track.id).collect();
        assert_eq!(ids, [VIDEO, AUDIO]);
        for track in recording.renditions {
            assert_eq!(track.parameters, init(track.id, 2_000_000).parameters);
            let msns: Vec<_> = track.segments.iter().map(|entry| entry.msn).collect();
            assert_eq!(msns, (5..38).collect::<Vec<_>>());
            for entry in track.segments {
                let original = segment(track.id, 0, entry.msn);
                assert_eq!(entry.wall_start, original.wall_start);
                assert_eq!(entry.start_ticks, original.start_ticks());
                assert_eq!(entry.duration_ticks, original.duration_ticks());
                assert_eq!(entry.timescale, original.init.parameters.timescale());
                assert_eq!(entry.bytes, original.bytes_count() as u64);
                let loaded = store
                    .load_segment(&camera, track.id, entry.msn)
                    .unwrap()
                    .unwrap();
                assert_eq!(loaded, bytes_of(&original));
            }
            let header = store.load_init(&camera, track.id, 0).unwrap().unwrap();
            assert_eq!(header, init(track.id, 2_000_000).bytes);
        }
        let gaps = store
            .recording(&camera, NOON, NOON.plus_ms(91_000))
            .unwrap()
            .gaps;
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].reason, GapReason::CameraGone);
        for msn in [40, 400, u64::MAX] {
            assert_eq!(store.load_segment(&camera, VIDEO, msn).unwrap(), None);
            assert_eq!(store.load_init(&camera, VIDEO, msn).unwrap(), None);
        }
        let backwards = store.recording(&camera, NOON, Wall(0));
        assert!(matches!(backwards, Err(ReadError::RangeBackwards)));
    }
}
