//! What the tracks of a clip's file may leave out, and what they may not.

use proptest::prelude::*;

use super::super::clip_tracks::track_faults;
use super::*;
use crate::media::{RenditionId, Rung};

const PICTURES: RenditionId = RenditionId::video(Rung::High);
const SOUND: RenditionId = RenditionId::audio(Rung::High);

/// A segment of the porch with where its samples lie.
type Placed = (Leaf, Vec<FileRange>);

fn leaf(rendition: RenditionId, run: u64, msn: u64) -> Leaf {
    Leaf {
        camera: "porch".parse().unwrap(),
        rendition,
        run,
        msn,
        wall_start: Wall(0),
        duration_ms: 2000,
        digest: DigestKind::Blake2b256.digest(&[]),
        previous: None,
    }
}

/// Segments of two parts of 100 bytes of samples behind heads of 10, one behind the other.
fn placed(segments: &[(RenditionId, u64, u64)]) -> Vec<Placed> {
    let segments = segments.iter().enumerate();
    let place = |(index, &(rendition, run, msn)): (usize, &(RenditionId, u64, u64))| {
        let start = 1000 + index as u64 * 220;
        let media = vec![(start + 10, 100), (start + 120, 100)];
        (leaf(rendition, run, msn), media)
    };
    segments.map(place).collect()
}

/// Three segments, a gap, three more of the same run, two of the next.
fn pictures() -> Vec<Placed> {
    let numbers = [0, 1, 2, 7, 8, 9].map(|msn| (PICTURES, 3, msn));
    let next_run = [10, 11].map(|msn| (PICTURES, 4, msn));
    placed(&[&numbers[..], &next_run].concat())
}

/// All samples of segments, as a track plays them.
fn all(segments: &[Placed]) -> Vec<FileRange> {
    let ranges = segments.iter().flat_map(|(_, ranges)| ranges);
    ranges.copied().collect()
}

fn faults(segments: &[Placed], tracks: &[Vec<FileRange>]) -> Vec<TrackFault> {
    let media = segments
        .iter()
        .map(|(leaf, ranges)| (leaf, ranges.iter().copied()));
    track_faults(media, tracks)
}

/// What is said of a track of the pictures that plays all but the given stretches, in bytes of samples from the first.
fn without(left_out: &[(u64, u64)]) -> Vec<String> {
    let segments = pictures();
    let mut played = Vec::new();
    let mut position = 0;
    for (start, bytes) in all(&segments) {
        for at in 0..bytes {
            let within = |(from, to): &(u64, u64)| (*from..*to).contains(&(position + at));
            if left_out.iter().any(within) {
                continue;
            }
            match played.last_mut() {
                Some((first, count)) if *first + *count == start + at => *count += 1,
                _ => played.push((start + at, 1)),
            }
        }
        position += bytes;
    }
    let told = faults(&segments, &[played]);
    told.iter().map(ToString::to_string).collect()
}

#[test]
fn samples_may_be_left_out_at_the_ends_and_at_gaps_and_nowhere_else() {
    assert_eq!(without(&[]), [""; 0]);
    // Of the first segment from its start, of the last to its end.
    assert_eq!(without(&[(0, 1)]), [""; 0]);
    assert_eq!(without(&[(0, 200)]), [""; 0]);
    assert_eq!(without(&[(0, 150), (1450, 1600)]), [""; 0]);
    assert_eq!(without(&[(1400, 1600)]), [""; 0]);
    // On both sides of the gap, and of where the runs meet.
    assert_eq!(without(&[(550, 630)]), [""; 0]);
    assert_eq!(without(&[(400, 800)]), [""; 0]);
    assert_eq!(without(&[(1150, 1200)]), [""; 0]);
    assert_eq!(without(&[(1200, 1250)]), [""; 0]);

    let cut = |msn| {
        format!(
            "porch/high segment {msn} of 1970-01-01T00:00:00.000Z is in the file, and some of it does not play"
        )
    };
    assert_eq!(without(&[(0, 201)]), [cut(1)]);
    assert_eq!(without(&[(1399, 1600)]), [cut(10)]);
    assert_eq!(without(&[(1, 2)]), [cut(0)]);
    assert_eq!(without(&[(300, 310)]), [cut(1)]);
    assert_eq!(without(&[(200, 400)]), [cut(1)]);
    assert_eq!(without(&[(300, 400)]), [cut(1)]);
    assert_eq!(without(&[(399, 600)]), [cut(1)]);
    assert_eq!(without(&[(600, 801)]), [cut(8)]);
    // Beside what may be left out, but not in one piece with it.
    assert_eq!(without(&[(500, 510), (550, 600)]), [cut(2)]);
    assert_eq!(without(&[(0, 10), (20, 30)]), [cut(0)]);
}

#[test]
fn a_segment_between_two_gaps_need_not_play() {
    let segments = placed(&[0, 1, 5, 9, 10].map(|msn| (SOUND, 0, msn)));
    let mut played = all(&segments);
    played.drain(4..6);
    assert_eq!(faults(&segments, &[played]), []);
}

#[test]
fn other_orders_and_other_bytes_are_told() {
    let segments = pictures();
    let whole = all(&segments);
    let told = |track: Vec<FileRange>| faults(&segments, &[track]);
    let name = |index: usize| SegmentName::of(&segments[index].0);

    let mut swapped = whole.clone();
    swapped.swap(4, 5);
    let out_of_order = |index| TrackFault::OutOfOrder {
        track: 1,
        segment: name(index),
    };
    assert_eq!(told(swapped), [out_of_order(2)]);
    let mut moved = whole.clone();
    moved[2..6].rotate_left(2);
    assert_eq!(told(moved), [out_of_order(1)]);
    let twice = [&whole[..5], &whole[4..]].concat();
    assert_eq!(told(twice), [out_of_order(2)]);

    let not_proven = |offset| TrackFault::NotProven { track: 1, offset };
    let mut foreign = whole.clone();
    foreign[6] = (50_000, 100);
    assert_eq!(told(foreign), [not_proven(50_000)]);
    // Into the head of the next fragment.
    let mut longer = whole.clone();
    longer[6].1 += 1;
    assert_eq!(told(longer), [not_proven(whole[6].0 + 100)]);
    let mut endless = whole.clone();
    endless[15].1 = u64::MAX;
    assert_eq!(told(endless), [not_proven(whole[15].0 + 100)]);
    assert_eq!(told(vec![(0, 5)])[0], not_proven(0));
}

#[test]
fn each_rendition_has_one_track_and_each_track_a_rendition() {
    let interleaved = [0, 1, 2, 3].map(|msn| [(PICTURES, 0, msn), (SOUND, 0, msn)]);
    let segments = placed(interleaved.as_flattened());
    let of = |rendition| {
        let own = segments
            .iter()
            .filter(|(leaf, _)| leaf.rendition == rendition);
        all(&own.cloned().collect::<Vec<_>>())
    };
    let (pictures, sound) = (of(PICTURES), of(SOUND));
    let both = [pictures.clone(), sound.clone()];
    assert_eq!(faults(&segments, &both), []);
    // A track without samples shows nothing.
    let empty = [&both[..], &[vec![]], &[vec![(77, 0)]]].concat();
    assert_eq!(faults(&segments, &empty), []);

    let not_played = TrackFault::NotPlayed {
        camera: "porch".parse().unwrap(),
        rendition: SOUND,
    };
    assert_eq!(faults(&segments, &both[..1]), [not_played]);
    let other = [&both[..], &[vec![(77, 5)]]].concat();
    let not_proven = TrackFault::NotProven {
        track: 3,
        offset: 77,
    };
    assert_eq!(faults(&segments, &other), [not_proven]);
    let again = [&both[..], &both[1..]].concat();
    let twice = TrackFault::Twice {
        track: 3,
        camera: "porch".parse().unwrap(),
        rendition: SOUND,
    };
    assert_eq!(faults(&segments, &again), [twice]);
    // Pictures, and in their midst sound.
    let mut mixed = pictures;
    mixed[3] = sound[3];
    let told = faults(&segments, &[mixed, sound]);
    assert!(matches!(told[..], [TrackFault::NotProven { track: 1, .. }]));

    // A single segment of sound that lies wholly beside the pictures has no track.
    let alone = placed(&[(PICTURES, 0, 0), (SOUND, 0, 0)]);
    assert_eq!(faults(&alone, &[alone[0].1.clone()]), []);
}

proptest! {
    /// A track of the samples from one place to another of a recording without a gap holds if, and only if, less than
    /// its first and last segment is left out; and none holds with a hole.
    #[test]
    fn only_whole_middles_hold(
        count in 1u64..8,
        from in 0u64..400,
        to in 0u64..400,
        hole in prop::option::of((0u64..1600, 1u64..300)),
    ) {
        let numbers: Vec<_> = (0..count).map(|msn| (PICTURES, 0, msn)).collect();
        let segments = placed(&numbers);
        let total = count * 200;
        let end = total.saturating_sub(to);
        let hole = hole.map_or(0..0, |(start, bytes)| start..start + bytes);
        let mut played = Vec::new();
        let mut position = 0;
        for (start, bytes) in all(&segments) {
            for at in 0..bytes {
                let here = position + at;
                if here >= from && here < end && !hole.contains(&here) {
                    played.push((start + at, 1));
                }
            }
            position += bytes;
        }
        let first = played.len();
        let from = if hole.start <= from && from < hole.end { hole.end } else { from };
        let end = if hole.start < end && end <= hole.end { hole.start } else { end };
        let has_hole = hole.start.max(from) < hole.end.min(end);
        let expected = if from >= end {
            count <= 2
        } else {
            !has_hole && from <= 200 && total - end <= 200
        };
        // All of one segment is left out at once, from both of its ends, or none of it.
        prop_assert_eq!(faults(&segments, &[played]).is_empty(), expected, "{} {:?} {}", from, first, end);
    }

    #[test]
    fn any_ranges_are_told_of(tracks in prop::collection::vec(
        prop::collection::vec((any::<u64>(), any::<u64>()), 0..6), 0..4)
    ) {
        let _ = faults(&pictures(), &tracks);
    }
}
