//! What differs between the segments that a clip should hold and those that it does: told by digests alone, so that
//! each segment which was altered, taken out, put in or moved is named.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::leaf::Leaf;
use crate::base::{CameraId, Digest, Wall};
use crate::media::{RenditionId, TrackKind};

/// Which segment, in words that its owner knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentName {
    /// The camera.
    pub camera: CameraId,
    /// Picture or sound of which rung.
    pub rendition: RenditionId,
    /// Media sequence number.
    pub msn: u64,
    /// Civil time of its first picture.
    pub wall_start: Wall,
}

impl SegmentName {
    pub(super) fn of(leaf: &Leaf) -> Self {
        Self {
            camera: leaf.camera.clone(),
            rendition: leaf.rendition,
            msn: leaf.msn,
            wall_start: leaf.wall_start,
        }
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            camera,
            rendition,
            msn,
            wall_start,
        } = self;
        write!(f, "{camera}/{rendition} segment {msn} of {wall_start}")
    }
}

/// One thing that is wrong with the segments of a clip. Positions count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentFault {
    /// In its place is something that the box did not record so.
    Altered(SegmentName),
    /// The proof has it, the clip does not.
    Missing(SegmentName),
    /// It is whole, but in another place.
    Moved {
        /// Which.
        segment: SegmentName,
        /// Where it stands.
        found: usize,
        /// Where it belongs.
        belongs: usize,
    },
    /// The clip has something at this position that the proof does not know.
    Foreign(usize),
    /// The box recorded something between the segment before, of the same rendition, and this one, which clip and
    /// proof do not tell of; or the two stand in the wrong order.
    LeftOutBefore(SegmentName),
}

impl fmt::Display for SegmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered(segment) => write!(f, "{segment} was altered"),
            Self::Missing(segment) => write!(f, "{segment} is missing"),
            Self::Moved {
                segment,
                found,
                belongs,
            } => write!(f, "{segment} was moved from place {belongs} to {found}"),
            Self::Foreign(position) => {
                write!(f, "what stands in place {position} was put in")
            }
            Self::LeftOutBefore(segment) => {
                write!(f, "what was recorded right before {segment} was left out")
            }
        }
    }
}

/// Breaks of the chain that runs through the leaves of each rendition. Sound may break where numbers are left out by the
/// pictures: a clip has none of what was heard while its pictures paused.
pub(super) fn chain_faults<'a>(leaves: impl IntoIterator<Item = &'a Leaf>) -> Vec<SegmentFault> {
    let mut last: HashMap<_, (&Leaf, usize)> = HashMap::new();
    let mut faults = Vec::new();
    let mut pauses = 0;
    for leaf in leaves {
        let track = (&leaf.camera, leaf.rendition);
        let is_sound = leaf.rendition.kind == TrackKind::Audio;
        let before = last.get(&track).copied();
        if let Some((before, pauses_then)) = before {
            pauses += usize::from(!is_sound && before.msn.saturating_add(1) < leaf.msn);
            let may_break = is_sound && pauses > pauses_then;
            if leaf.previous != Some(before.hash()) && !may_break {
                faults.push(SegmentFault::LeftOutBefore(SegmentName::of(leaf)));
            }
        }
        last.insert(track, (leaf, pauses));
    }
    faults
}

/// What is wrong with the segments found, in the order in which they should stand.
pub(super) fn order_faults(expected: &[&Leaf], found: &[Digest]) -> Vec<SegmentFault> {
    let places = places(expected, found);
    let anchors = longest_in_order(&places);
    let name = |place: usize| SegmentName::of(expected[place]);

    let mut taken = vec![false; expected.len()];
    let mut moved = vec![None; expected.len()];
    for (position, place) in places.iter().enumerate() {
        if let Some(place) = *place {
            taken[place] = true;
            moved[place] = anchors
                .binary_search(&(position, place))
                .is_err()
                .then_some(position);
        }
    }
    let mut faults = Vec::new();
    let (mut from_position, mut from_place) = (0, 0);
    let end = (found.len(), expected.len());
    for &(position, place) in anchors.iter().chain([&end]) {
        // Between two segments in order: what is unknown stands for what is missing, as far as it goes.
        let mut unknown = (from_position..position)
            .filter(|position| places[*position].is_none())
            .collect::<VecDeque<_>>();
        for between in from_place..place {
            if !taken[between] {
                faults.push(match unknown.pop_front() {
                    Some(_) => SegmentFault::Altered(name(between)),
                    None => SegmentFault::Missing(name(between)),
                });
            } else if let Some(found) = moved[between] {
                faults.push(SegmentFault::Moved {
                    segment: name(between),
                    found,
                    belongs: between,
                });
            }
        }
        faults.extend(unknown.into_iter().map(SegmentFault::Foreign));
        (from_position, from_place) = (position + 1, place + 1);
    }
    faults
}

/// For each segment found, the place that it belongs to. Equal segments stay where they stand, if they may.
fn places(expected: &[&Leaf], found: &[Digest]) -> Vec<Option<usize>> {
    let at_home = |place: usize| found.get(place) == Some(&expected[place].digest);
    let mut free: HashMap<Digest, VecDeque<usize>> = HashMap::new();
    for place in (0..expected.len()).filter(|place| !at_home(*place)) {
        let digest = expected[place].digest;
        free.entry(digest).or_default().push_back(place);
    }
    let place_of = |(position, digest): (usize, &Digest)| {
        if position < expected.len() && at_home(position) {
            Some(position)
        } else {
            free.get_mut(digest)?.pop_front()
        }
    };
    found.iter().enumerate().map(place_of).collect()
}

/// The longest choice of segments whose places grow as their positions do, as (position, place): the others are those
/// that were moved. (Fredman, On computing the length of longest increasing subsequences, 1975)
fn longest_in_order(places: &[Option<usize>]) -> Vec<(usize, usize)> {
    // For each length, the choice of that length that ends lowest: its last pair.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    // For each position, the pair before it in the longest choice that ends there.
    let mut before = vec![None; places.len()];
    for (position, place) in places.iter().enumerate() {
        let Some(place) = *place else {
            continue;
        };
        let length = ends.partition_point(|(_, end)| *end < place);
        before[position] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = (position, place),
            None => ends.push((position, place)),
        }
    }
    let last = ends.last().copied();
    let mut chosen: Vec<_> =
        std::iter::successors(last, |(position, _)| before[*position]).collect();
    chosen.reverse();
    chosen
}
