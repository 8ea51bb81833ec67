//! Sound that was taken out of a clip is not passed over; and a clip of a box whose sound comes and goes is not refused.

use proptest::prelude::*;

use super::joined::{Workshop, is_sound};
use super::*;
use crate::media::RenditionId;
use crate::seal::Leaf;
use crate::store::tests::fragments::front;
use crate::store::{ClipFileError, ClipFileWish};

/// Five segments, and three of another run.
fn workshop() -> (Porch, Workshop) {
    let porch = Porch::with(|store| {
        for rendition in [LOW, SOUND] {
            record(store, rendition, 0, 1280, [0, 0, 5], NOON);
            record(store, rendition, 1, 1280, [9, 9, 12], NOON.plus_ms(30_000));
        }
    });
    let workshop = Workshop::new(&porch, &[front()]);
    (porch, workshop)
}

fn silences(report: &Report) -> Vec<(i64, i64, Because)> {
    let seconds = |time: &str| {
        let time = crate::base::Wall::parse_rfc3339(time).unwrap();
        (time - NOON) / 1000
    };
    let all = report.without_sound.iter();
    all.map(|told| (seconds(&told.from), seconds(&told.to), told.because))
        .collect()
}

#[test]
fn sound_that_was_taken_out_from_either_end_is_missed() {
    let (porch, workshop) = workshop();
    let kept = |keep: &dyn Fn(u64) -> bool| {
        let forged = workshop.forge(|leaf: &Leaf| !is_sound(leaf) || keep(leaf.msn));
        let report = porch.verify(&forged).unwrap();
        let told = silences(&report);
        (report.proven, report.faults, told)
    };
    assert_eq!(kept(&|_| true), (true, vec![], vec![]));
    let missing = Because::Missing;
    for (msns, from, to) in [(2..12, 0, 4), (4..12, 0, 8), (0..10, 32, 36)] {
        let cut = kept(&|msn| msns.contains(&msn));
        assert_eq!(cut, (false, vec![], vec![(from, to, missing)]));
    }
    let both = vec![(0, 4, missing), (32, 36, missing)];
    assert_eq!(kept(&|msn| (2..10).contains(&msn)), (false, vec![], both));
    // One at an end may be the camera's; it is told all the same.
    let told = vec![(0, 2, Because::NotShown), (34, 36, Because::NotShown)];
    assert_eq!(kept(&|msn| (1..11).contains(&msn)), (true, vec![], told));
    // In the midst the chain breaks.
    let (is_proven, faults, _) = kept(&|msn| msn != 3);
    assert!(!is_proven && faults[0].contains("left out"), "{faults:?}");
    // Of a whole run it is told.
    let told = vec![(0, 10, Because::NotShown)];
    assert_eq!(kept(&|msn| msn >= 9), (true, vec![], told));
}

#[test]
fn what_is_without_sound_is_said_in_words_and_for_programs() {
    let (porch, workshop) = workshop();
    let mute = porch.holds(&workshop.forge(|leaf| !is_sound(leaf)));
    assert_eq!(silences(&mute), [(0, 36, Because::NotShown)]);
    let said = mute.to_string();
    assert!(said.ends_with(", without sound\n"), "{said}");
    assert!(said.contains("nothing shows whether the box recorded any"));
    let json = serde_json::to_value(&mute).unwrap();
    assert_eq!(json["sound"], false);
    assert_eq!(json["without_sound"][0]["because"], "not_shown");

    let whole = porch.holds(&workshop.forge(|_| true));
    assert!(!whole.to_string().contains("without sound"));
    assert_eq!(serde_json::to_value(&whole).unwrap()["sound"], true);

    let cut = workshop.forge(|leaf| !is_sound(leaf) || leaf.msn < 2);
    let cut = porch.verify(&cut).unwrap();
    assert!(!cut.proven && cut.faults.is_empty());
    let said = cut.to_string();
    assert!(
        said.contains("that its sound is whole is not proven"),
        "{said}"
    );
    assert!(!said.contains("this is what"), "{said}");
}

/// How one run of a camera went.
#[derive(Clone, Debug)]
struct Run {
    segments: u64,
    has_microphone: bool,
    /// Its sound comes too late for the first segment.
    is_late: bool,
    /// A segment that the better pictures lack, or all from there on.
    gap: Option<(u64, bool)>,
    /// A segment of which no sound came.
    pause: Option<u64>,
}

fn run() -> impl Strategy<Value = Run> {
    let gap = prop::option::of((0u64..6, any::<bool>()));
    let pause = prop::option::weighted(0.3, 0u64..6);
    (1u64..6, any::<bool>(), any::<bool>(), gap, pause).prop_map(
        |(segments, has_microphone, is_late, gap, pause)| Run {
            segments,
            has_microphone,
            is_late,
            gap,
            pause,
        },
    )
}

/// Records runs a second apart; returns how long they took, in ms.
fn record_runs(store: &Store, runs: &[Run]) -> i64 {
    let (mut base, mut start) = (0, NOON);
    for (number, run) in (0..).zip(runs) {
        for nth in 0..run.segments {
            let one = |rendition: RenditionId, width: u32| {
                let msns = [base, base + nth, base + nth + 1];
                record(store, rendition, number, width, msns, start);
            };
            one(LOW, 1280);
            let is_lacking = |(at, for_good)| nth == at || (for_good && nth > at);
            if !run.gap.is_some_and(is_lacking) {
                one(HIGH, 1920);
            }
            let is_heard = !(run.is_late && nth == 0) && run.pause != Some(nth);
            if run.has_microphone && is_heard {
                one(SOUND, 0);
            }
        }
        base += run.segments;
        start = start.plus_ms(run.segments as i64 * 2000 + 1000);
    }
    start - NOON
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_clip_as_perch_writes_it_is_never_refused(
        runs in prop::collection::vec(run(), 1..4),
        wishes in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, any::<bool>()), 8),
    ) {
        let mut lasted_ms = 0;
        let porch = Porch::with(|store| lasted_ms = record_runs(store, &runs));
        let archive = Archive::open(porch.dir.path()).unwrap();
        let within = |share: f64| (share * lasted_ms as f64) as i64;
        let has_pauses = runs.iter().any(|run| run.pause.is_some());
        for (one, other, wants_high) in wishes {
            let (from, to) = (within(one.min(other)), within(one.max(other)) + 1);
            let wish = ClipFileWish { rendition: wants_high.then_some(HIGH), ..wish(from, to) };
            let file = match archive.clip_file(&wish) {
                Ok(file) => file,
                Err(ClipFileError::NothingRecorded { .. } | ClipFileError::OtherRendition { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            prop_assert!(file.unproven().is_none(), "{:?}", file.unproven());
            let report = porch.verify(&read_all(&Arc::new(file), 0)).unwrap();
            prop_assert!(report.faults.is_empty(), "{:?}", report.faults);
            // Two segments at an end are more than a microphone lacks that is late or pulled.
            prop_assert!(report.proven || has_pauses, "{}", report);
        }
    }
}
