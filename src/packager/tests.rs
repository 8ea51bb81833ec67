//! A camera's runs through the packager: what is live, what is recorded, what is a gap.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::{Monotonic, SimulatedClock};
use crate::live::LiveOptions;
use crate::media::{Fault, FrameRate, RunFailure, VideoParameters};
use crate::store::StoreOptions;

const START: Wall = Wall(1_800_000_000_000);
const LOW: RenditionId = RenditionId::video(Rung::Low);
const HIGH: RenditionId = RenditionId::video(Rung::High);
/// Ticks of a picture at 30 a second.
const PICTURE: u64 = 3_000;

struct Rig {
    clock: SimulatedClock,
    live: LiveCamera,
    store: Store,
    packager: Packager,
}

impl Rig {
    fn new(dir: &Path) -> Self {
        Self::at(dir, START)
    }

    fn at(dir: &Path, now: Wall) -> Self {
        let clock = SimulatedClock::new(now);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let (store, _) =
            Store::open(dir, StoreOptions::default(), Arc::clone(&shared)).expect("a store");
        let live = LiveCamera::new(LiveOptions::default());
        let packager = Packager::new(camera(), live.clone(), store.clone(), shared);
        packager.expect(vec![LOW, HIGH], vec![Rung::High]);
        Self {
            clock,
            live,
            store,
            packager,
        }
    }

    /// A run of `pictures` pictures of both rungs that starts now and takes its time.
    fn run(&self, pictures: u64) {
        let first_picture_at = self.clock.monotonic();
        self.packager
            .handle(StreamEvent::RunStarted { first_picture_at });
        for rendition in [LOW, HIGH] {
            let parameters = parameters();
            self.packager.handle(StreamEvent::TrackStarted {
                rendition,
                parameters,
            });
        }
        for picture in 0..pictures {
            for rendition in [LOW, HIGH] {
                self.packager.handle(StreamEvent::Unit {
                    rendition,
                    unit: unit(picture),
                });
            }
            self.clock.advance(Duration::from_nanos(33_333_333));
        }
        self.packager
            .handle(StreamEvent::RunEnded { failure: None });
    }

    /// The gaps that the recording tells of, in whole seconds since the start: the simulated wall clock drops what is
    /// below a millisecond at each picture.
    fn recorded_gaps(&self) -> Vec<(Option<RenditionId>, i64, i64, GapReason)> {
        self.store.close();
        let recording = self
            .store
            .recording(&camera(), START, START.plus_ms(600_000));
        let seconds = |wall: Wall| ((wall - START) as f64 / 1000.0).round() as i64;
        let gaps = recording.expect("a recording").gaps.into_iter();
        gaps.map(|gap| {
            (
                gap.rendition,
                seconds(gap.from),
                seconds(gap.to),
                gap.reason,
            )
        })
        .collect()
    }

    fn recorded(&self) -> Vec<(u64, u64, u64)> {
        self.store.close();
        let (from, to) = (START.plus_ms(-60_000), START.plus_ms(600_000));
        let recording = self
            .store
            .recording(&camera(), from, to)
            .expect("a recording");
        let tracks: Vec<_> = recording.renditions.iter().map(|track| track.id).collect();
        assert_eq!(tracks, [HIGH], "only the recorded rung");
        recording.renditions[0]
            .segments
            .iter()
            .map(|segment| (segment.msn, segment.start_ticks, segment.duration_ticks))
            .collect()
    }
}

fn camera() -> CameraId {
    "cam".parse().expect("a name")
}

fn parameters() -> TrackParameters {
    // The parameter sets of a 64x64 Constrained Baseline stream, by hand: profile 66, level 10.
    let avcc: &[u8] = &[
        1, 66, 0xC0, 10, 0xFF, 0xE1, 0, 4, 0x67, 66, 0xC0, 10, 1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
    ];
    TrackParameters::Video(VideoParameters {
        avcc: Bytes::from_static(avcc),
        width: 64,
        height: 64,
        frame_rate: FrameRate::whole(30),
        bitrate_bps: 500_000,
    })
}

fn unit(picture: u64) -> AccessUnit {
    let keyframe = picture.is_multiple_of(60);
    AccessUnit {
        pts_ticks: picture * PICTURE,
        duration_ticks: PICTURE as u32,
        keyframe,
        data: Bytes::from(vec![
            0,
            0,
            0,
            2,
            if keyframe { 0x65 } else { 0x41 },
            picture as u8,
        ]),
    }
}

#[test]
fn the_recorded_rung_is_recorded_to_its_last_picture_and_the_other_is_only_live() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(dir.path());
    // Two segments, and a third that the end cuts right behind a part.
    rig.run(60 + 60 + 20);
    assert_eq!(
        rig.recorded(),
        [(0, 0, 180_000), (1, 180_000, 180_000), (2, 360_000, 60_000)]
    );
    assert_eq!(rig.live.renditions(), [LOW, HIGH]);
    assert_eq!(rig.live.edge(LOW).map(|edge| edge.msn), Some(2));
}

#[test]
fn a_camera_that_comes_back_leaves_a_gap_and_goes_on_counting() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(dir.path());
    rig.run(60);
    rig.packager.mark_away(GapReason::CameraGone, "unplugged");
    assert_eq!(rig.packager.gaps()[0].to, None);
    rig.clock.advance(Duration::from_secs(10));
    rig.run(60);
    let gaps = rig.packager.gaps();
    assert_eq!((gaps.len(), gaps[0].reason.as_str()), (1, "unplugged"));
    let length_ms = gaps[0].to.expect("it ended") - gaps[0].from;
    assert!((10_000..10_100).contains(&length_ms), "{length_ms}");
    let recorded = rig.recorded();
    assert_eq!(
        recorded.iter().map(|segment| segment.0).collect::<Vec<_>>(),
        [0, 1]
    );
    // Twelve seconds after the first picture, by the clock that orders.
    assert!(recorded[1].1.abs_diff(12 * 90_000) < 90, "{recorded:?}");
}

#[test]
fn a_restart_never_repeats_a_sequence_number() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = Rig::new(dir.path());
    first.run(120);
    first.store.close();
    let newest = first.live.edge(HIGH).expect("an edge").msn;
    drop(first);
    let second = Rig::new(dir.path());
    second.run(60);
    assert!(second.live.edge(HIGH).expect("an edge").msn > newest);
}

#[test]
fn a_rung_that_the_next_run_does_not_have_is_closed() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(dir.path());
    rig.run(60);
    rig.packager.expect(vec![LOW], vec![Rung::Low]);
    assert_eq!(rig.live.renditions(), [LOW]);
}

#[test]
fn a_unit_that_fits_nowhere_is_counted_and_costs_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(dir.path());
    rig.packager.handle(StreamEvent::RunStarted {
        first_picture_at: Monotonic(0),
    });
    rig.packager.handle(StreamEvent::TrackStarted {
        rendition: HIGH,
        parameters: parameters(),
    });
    for picture in [0, 1, 2, 1, 3, 4, 5, 6, 7, 8, 9] {
        rig.packager.handle(StreamEvent::Unit {
            rendition: HIGH,
            unit: unit(picture),
        });
    }
    assert_eq!(rig.packager.refused_units_count(), 1);
    assert_eq!(rig.packager.video_parts_count(), 1);
}

#[test]
fn the_time_between_a_stop_and_the_next_start_is_a_gap() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = Rig::new(dir.path());
    first.run(60);
    first.packager.close();
    assert_eq!(first.recorded_gaps(), []);
    drop(first);
    let second = Rig::at(dir.path(), START.plus_ms(30_000));
    second.run(60);
    // Another run is none of it.
    second.run(60);
    assert_eq!(second.recorded_gaps(), [(None, 2, 30, GapReason::Stopped)]);
    drop(second);
    let unrecorded = Rig::at(dir.path(), START.plus_ms(60_000));
    unrecorded.packager.expect(vec![LOW], vec![]);
    unrecorded.run(60);
    assert_eq!(unrecorded.recorded_gaps().len(), 1);
}

#[test]
fn a_camera_that_was_away_over_a_restart_leaves_no_time_unexplained() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = Rig::new(dir.path());
    first.run(60);
    first.packager.mark_away(GapReason::CameraGone, "unplugged");
    first.clock.advance(Duration::from_secs(10));
    first.packager.close();
    first.store.close();
    drop(first);
    let second = Rig::at(dir.path(), START.plus_ms(30_000));
    second
        .packager
        .mark_away(GapReason::CameraGone, "not there yet");
    second.clock.advance(Duration::from_secs(20));
    second.run(60);
    assert_eq!(
        second.recorded_gaps(),
        [
            (None, 2, 12, GapReason::CameraGone),
            (None, 12, 30, GapReason::Stopped),
            (None, 30, 50, GapReason::CameraGone),
        ]
    );
}

#[test]
fn a_recorded_rung_that_pauses_keeps_its_last_picture_and_marks_the_pause() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(dir.path());
    let first_picture_at = rig.clock.monotonic();
    rig.packager
        .handle(StreamEvent::RunStarted { first_picture_at });
    let start = |rendition| {
        let parameters = parameters();
        rig.packager.handle(StreamEvent::TrackStarted {
            rendition,
            parameters,
        });
    };
    start(LOW);
    start(HIGH);
    for picture in 0..300 {
        // Both amid a part and a segment, and the second pause until the run ends.
        if [85, 265].contains(&picture) {
            let rendition = HIGH;
            rig.packager.handle(StreamEvent::TrackPaused { rendition });
        }
        if picture == 180 {
            start(HIGH);
        }
        for rendition in [LOW, HIGH] {
            let unit = unit(picture);
            rig.packager.handle(StreamEvent::Unit { rendition, unit });
        }
        rig.clock.advance(Duration::from_nanos(33_333_333));
    }
    rig.packager.handle(StreamEvent::RunEnded { failure: None });
    assert_eq!(
        rig.recorded_gaps(),
        [
            (Some(HIGH), 3, 6, GapReason::RungShed),
            (Some(HIGH), 9, 10, GapReason::RungShed),
        ]
    );
    assert_eq!(
        rig.recorded(),
        [
            (0, 0, 180_000),
            (1, 180_000, 75_000),
            (3, 540_000, 180_000),
            (4, 720_000, 75_000)
        ]
    );
}

#[test]
fn a_gap_after_a_run_that_failed_says_who_failed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let rig = Rig::new(dir.path());
    for fault in [Fault::Source, Fault::Encoder] {
        rig.run(60);
        let reason = "it broke".to_owned();
        let failure = Some(RunFailure { fault, reason });
        rig.packager.handle(StreamEvent::RunEnded { failure });
        // Whoever closes the run comes too late.
        rig.packager.mark_away(GapReason::EncoderFailed, "again");
        rig.clock.advance(Duration::from_secs(4));
    }
    rig.run(60);
    assert_eq!(
        rig.recorded_gaps(),
        [
            (None, 2, 6, GapReason::CameraGone),
            (None, 8, 12, GapReason::EncoderFailed),
        ]
    );
}
