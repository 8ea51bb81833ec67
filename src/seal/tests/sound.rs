//! What is said of pictures without sound: what the chain shows, what nothing shows, and what is missing.

use proptest::prelude::*;

use super::super::clip_order::chain_faults;
use super::super::clip_sound::silences;
use super::SilenceKind::{Missing, NotRecorded, NotShown};
use super::*;
use crate::media::{RenditionId, Rung};

const PICTURES: RenditionId = RenditionId::video(Rung::High);
const SOUND: RenditionId = RenditionId::audio(Rung::High);

/// The records of a clip: `s` is a segment with sound, `-` one without, a space one that is not there, `x` sound that
/// is not, as its pictures were not recorded, and `/` begins the next run. `is_first` tells whether no sound was recorded
/// before.
fn leaves(pattern: &str, is_first: bool) -> Vec<Leaf> {
    let mut previous = (!is_first).then_some(NodeHash([1; 32]));
    let mut before = None;
    let (mut run, mut msn, mut leaves) = (0, 0, Vec::new());
    for letter in pattern.chars() {
        let mut push = |rendition, previous| {
            let leaf = Leaf {
                camera: "porch".parse().unwrap(),
                rendition,
                run,
                msn,
                wall_start: Wall(msn as i64 * 2000),
                duration_ms: 2000,
                digest: DigestKind::Blake2b256.digest(&[]),
                previous,
            };
            let hash = leaf.hash();
            leaves.push(leaf);
            Some(hash)
        };
        match letter {
            '/' => {
                run += 1;
                continue;
            }
            ' ' => {}
            'x' => previous = Some(NodeHash([msn as u8; 32])),
            _ => before = push(PICTURES, before),
        }
        if letter == 's' {
            previous = push(SOUND, previous);
        }
        msn += 1;
    }
    leaves
}

/// The first segment and that behind the last of each silence.
fn told(pattern: &str, is_first: bool) -> Vec<(i64, i64, SilenceKind)> {
    let leaves = leaves(pattern, is_first);
    let silences = silences(leaves.iter()).into_iter();
    silences
        .map(|silence| (silence.from.0 / 2000, silence.to.0 / 2000, silence.kind))
        .collect()
}

#[test]
fn pictures_with_their_sound_are_not_spoken_of() {
    for pattern in ["", "s", "sss", "ss  ss", "ss/ss", "s/s s"] {
        assert_eq!(told(pattern, false), [], "{pattern}");
    }
}

#[test]
fn a_clip_without_any_sound_is_told_as_one_silence() {
    assert_eq!(told("---", false), [(0, 3, NotShown)]);
    assert_eq!(told("--- -- -/--", true), [(0, 10, NotShown)]);
}

#[test]
fn the_chain_shows_what_was_not_recorded_between_sounds_and_before_the_first_of_all() {
    assert_eq!(told("s--s", false), [(1, 3, NotRecorded)]);
    assert_eq!(told("ss--/--- -/--ss", false), [(2, 11, NotRecorded)]);
    assert_eq!(told("---ss", true), [(0, 3, NotRecorded)]);
    // Of another rendition it shows nothing.
    let mut other = leaves("s---s", false);
    let last = other.last_mut().unwrap();
    last.rendition = RenditionId::audio(Rung::Low);
    last.previous = Some(NodeHash([9; 32]));
    let found = silences(other.iter());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, Missing);
}

#[test]
fn a_segment_at_an_end_of_a_stretch_may_lack_its_sound_and_no_more() {
    assert_eq!(told("-ss", false), [(0, 1, NotShown)]);
    assert_eq!(told("ss-", false), [(2, 3, NotShown)]);
    assert_eq!(
        told("-s-", false),
        [(0, 1, NotShown), (2, 3, NotShown)],
        "at both"
    );
    assert_eq!(told("--ss", false), [(0, 2, Missing)]);
    assert_eq!(told("ss--", false), [(2, 4, Missing)]);
    assert_eq!(told("s-----", false), [(1, 6, Missing)]);
    // Beside a gap, each stretch for itself.
    assert_eq!(told("ss- --", false), [(2, 6, NotShown)]);
    assert_eq!(told("ss- ---", false), [(2, 3, NotShown), (4, 7, Missing)]);
}

#[test]
fn sound_that_was_recorded_without_pictures_leaves_no_fault() {
    let faults = |pattern| chain_faults(&leaves(pattern, false));
    for pattern in ["ssxss", "s/xx/s-ss", "ss x ss", "x-sxs-x"] {
        assert_eq!(faults(pattern), [], "{pattern}");
    }
    assert_eq!(told("ssxss", false), []);
    // Beside such a time nothing shows what was recorded.
    assert_eq!(told("ss-xss", false), [(2, 3, NotShown)]);
    assert_eq!(told("s--xss", false), [(1, 3, Missing)]);
    assert_eq!(told("ssxs--", false), [(4, 6, Missing)]);
    // But between pictures that follow each other sound does not break off.
    let mut cut = leaves("ss/sss", false);
    cut.retain(|leaf| leaf.rendition == PICTURES || leaf.msn != 2);
    assert_eq!(chain_faults(&cut).len(), 1);
    // Nor do pictures.
    let mut cut = leaves("sxsss", false);
    cut.retain(|leaf| leaf.msn != 3);
    assert_eq!(chain_faults(&cut).len(), 1);
}

#[test]
fn a_run_without_any_sound_had_no_microphone_as_far_as_is_known() {
    assert_eq!(told("----/ss", false), [(0, 4, NotShown)]);
    assert_eq!(told("ss/-----", false), [(2, 7, NotShown)]);
    assert_eq!(told("ss--/---", false), [(2, 4, Missing), (4, 7, NotShown)]);
}

proptest! {
    /// Whatever lies where: each picture without sound is told once and no other is; sound that was cut off from an end
    /// by more than a segment of its stretch is never taken for what was recorded.
    #[test]
    fn every_picture_without_sound_is_told(pattern in "[-s /]{0,30}", is_first in any::<bool>()) {
        let silent = pattern.chars().filter(|letter| *letter != '/');
        let silent: Vec<i64> = (0..).zip(silent).filter(|(_, l)| *l == '-').map(|(at, _)| at).collect();
        let told = told(&pattern, is_first);
        let within = |msn: &i64| told.iter().filter(|(from, to, _)| (from..to).contains(&msn)).count();
        prop_assert!(silent.iter().all(|msn| within(msn) == 1));
        let heard = (0..).zip(pattern.chars().filter(|letter| *letter != '/'));
        let heard: Vec<i64> = heard.filter(|(_, l)| *l == 's').map(|(at, _)| at).collect();
        prop_assert!(heard.iter().all(|msn| within(msn) == 0));
        for (from, to, kind) in told {
            let is_between = heard.iter().any(|at| *at >= to) && (is_first || heard.iter().any(|at| *at < from));
            prop_assert_eq!(kind == NotRecorded, is_between);
        }
    }
}
