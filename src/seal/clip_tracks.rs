//! Whether the tracks of a clip's file play what is proven, in full and in order, and nothing else. Knows places of
//! bytes only; that what lies there is genuine is for the proof to say.

use std::fmt;

use super::clip_order::SegmentName;
use super::leaf::Leaf;
use crate::base::CameraId;
use crate::media::RenditionId;

/// A stretch of a file: its first byte, and how many.
pub type FileRange = (u64, u64);

/// One thing that is wrong with the tracks of a clip's file. Tracks count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackFault {
    /// A track plays bytes that no proven segment of its rendition has.
    NotProven {
        /// Which.
        track: usize,
        /// Where in the file these bytes lie.
        offset: u64,
    },
    /// A track plays a segment, or some of it, after what was recorded later, or again.
    OutOfOrder {
        /// Which track.
        track: usize,
        /// What it plays there.
        segment: SegmentName,
    },
    /// Two tracks play the same rendition.
    Twice {
        /// The second.
        track: usize,
        /// Whose.
        camera: CameraId,
        /// Which.
        rendition: RenditionId,
    },
    /// A track leaves out what nothing allows it to.
    LeftOut(SegmentName),
    /// No track plays a rendition that is proven.
    NotPlayed {
        /// Whose.
        camera: CameraId,
        /// Which.
        rendition: RenditionId,
    },
}

impl fmt::Display for TrackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProven { track, offset } => write!(
                f,
                "track {track} of the file plays what is not proven, from byte {offset} on"
            ),
            Self::OutOfOrder { track, segment } => write!(
                f,
                "track {track} of the file plays {segment} in the wrong place, or again"
            ),
            Self::Twice {
                track,
                camera,
                rendition,
            } => write!(
                f,
                "track {track} of the file plays {camera}/{rendition}, which another track plays"
            ),
            Self::LeftOut(segment) => {
                write!(f, "{segment} is in the file, and some of it does not play")
            }
            Self::NotPlayed { camera, rendition } => {
                write!(f, "{camera}/{rendition} is in the file and does not play")
            }
        }
    }
}

/// What there is to play of one rendition.
struct Rendition<'a> {
    segments: Vec<Segment<'a>>,
    /// Where samples lie, each with its segment.
    media: Vec<(FileRange, usize)>,
    is_played: bool,
}

struct Segment<'a> {
    leaf: &'a Leaf,
    bytes: u64,
    played: u64,
    /// Whether its first and last byte play.
    starts: bool,
    ends: bool,
    /// Whether what plays of it is in one piece.
    is_whole_within: bool,
}

/// Where in a rendition the next sample may lie: the place in `media`, and the byte within that.
type Cursor = (usize, u64);

/// See [`super::ClipEvidence::track_faults`].
pub(super) fn track_faults<'a>(
    media: impl Iterator<Item = (&'a Leaf, impl Iterator<Item = FileRange>)>,
    tracks: &[Vec<FileRange>],
) -> Vec<TrackFault> {
    let mut renditions = renditions(media);
    let mut faults = Vec::new();
    for (number, ranges) in (1..).zip(tracks) {
        let mut ranges = ranges.iter().filter(|(_, bytes)| *bytes > 0).peekable();
        let Some(&&(offset, _)) = ranges.peek() else {
            continue;
        };
        let found = renditions
            .iter_mut()
            .find(|of| of.find((0, 0), offset).is_some());
        let Some(rendition) = found else {
            faults.push(TrackFault::NotProven {
                track: number,
                offset,
            });
            continue;
        };
        let leaf = rendition.segments[0].leaf;
        if rendition.is_played {
            faults.push(TrackFault::Twice {
                track: number,
                camera: leaf.camera.clone(),
                rendition: leaf.rendition,
            });
            continue;
        }
        rendition.is_played = true;
        match rendition.play(number, ranges) {
            Ok(()) => faults.extend(rendition.left_out()),
            Err(fault) => faults.push(fault),
        }
    }
    for rendition in renditions.iter().filter(|of| !of.is_played) {
        let leaf = rendition.segments[0].leaf;
        if rendition.left_out().next().is_some() {
            faults.push(TrackFault::NotPlayed {
                camera: leaf.camera.clone(),
                rendition: leaf.rendition,
            });
        }
    }
    faults
}

fn renditions<'a>(
    media: impl Iterator<Item = (&'a Leaf, impl Iterator<Item = FileRange>)>,
) -> Vec<Rendition<'a>> {
    let mut renditions: Vec<Rendition<'a>> = Vec::new();
    for (leaf, ranges) in media {
        let same = |of: &Rendition<'_>| {
            let first = of.segments[0].leaf;
            (&first.camera, first.rendition) == (&leaf.camera, leaf.rendition)
        };
        let at = renditions.iter().position(same).unwrap_or_else(|| {
            renditions.push(Rendition {
                segments: Vec::new(),
                media: Vec::new(),
                is_played: false,
            });
            renditions.len() - 1
        });
        let Rendition {
            segments, media, ..
        } = &mut renditions[at];
        let ranges = ranges.filter(|(_, bytes)| *bytes > 0);
        let before = media.len();
        media.extend(ranges.map(|range| (range, segments.len())));
        segments.push(Segment {
            leaf,
            bytes: media[before..].iter().map(|((_, bytes), _)| bytes).sum(),
            played: 0,
            starts: false,
            ends: false,
            is_whole_within: true,
        });
    }
    renditions
}

impl Rendition<'_> {
    /// Where a byte of the file lies in what there is to play, at or behind a cursor.
    fn find(&self, (from, within): Cursor, offset: u64) -> Option<Cursor> {
        let later = self.media.iter().enumerate().skip(from);
        later
            .filter_map(|(index, ((start, bytes), _))| {
                let distance = offset.checked_sub(*start)?;
                let is_behind = index > from || distance >= within;
                (distance < *bytes && is_behind).then_some((index, distance))
            })
            .next()
    }

    /// Notes what a track plays.
    fn play<'r>(
        &mut self,
        track: usize,
        ranges: impl Iterator<Item = &'r FileRange>,
    ) -> Result<(), TrackFault> {
        let mut cursor = (0, 0);
        for &(mut offset, mut left) in ranges {
            while left > 0 {
                let Some((index, within)) = self.find(cursor, offset) else {
                    return Err(self.misplaced(track, offset));
                };
                let ((_, bytes), of) = self.media[index];
                let is_first = index == 0 || self.media[index - 1].1 != of;
                let is_last = self.media.get(index + 1).is_none_or(|next| next.1 != of);
                let count = left.min(bytes - within);
                let segment = &mut self.segments[of];
                let goes_on = (index, within) == cursor;
                segment.is_whole_within &= segment.played == 0 || goes_on;
                segment.starts |= is_first && within == 0;
                segment.ends |= is_last && within + count == bytes;
                segment.played += count;
                cursor = if within + count == bytes {
                    (index + 1, 0)
                } else {
                    (index, within + count)
                };
                left -= count;
                offset = offset.saturating_add(count);
            }
        }
        Ok(())
    }

    fn misplaced(&self, track: usize, offset: u64) -> TrackFault {
        match self.find((0, 0), offset) {
            Some((index, _)) => TrackFault::OutOfOrder {
                track,
                segment: SegmentName::of(self.segments[self.media[index].1].leaf),
            },
            None => TrackFault::NotProven { track, offset },
        }
    }

    /// The segments that do not play in full, without those that need not: what is left out of a segment lies at a
    /// side of it where the one before or behind does not go on with it.
    fn left_out(&self) -> impl Iterator<Item = TrackFault> {
        let open = |index: usize| {
            let behind = self.segments.get(index);
            let before = index.checked_sub(1).map(|before| &self.segments[before]);
            !before
                .zip(behind)
                .is_some_and(|(before, behind)| goes_on(before.leaf, behind.leaf))
        };
        let is_fault = move |(index, segment): &(usize, &Segment<'_>)| {
            let (open_start, open_end) = (open(*index), open(index + 1));
            if segment.played == segment.bytes {
                return false;
            }
            if segment.played == 0 {
                return !open_start && !open_end;
            }
            !segment.is_whole_within
                || (!segment.starts && !open_start)
                || (!segment.ends && !open_end)
        };
        let segments = self.segments.iter().enumerate().filter(is_fault);
        segments.map(|(_, segment)| TrackFault::LeftOut(SegmentName::of(segment.leaf)))
    }
}

/// Whether nothing can lie between two segments.
pub(super) fn goes_on(before: &Leaf, behind: &Leaf) -> bool {
    before.run == behind.run && before.msn.checked_add(1) == Some(behind.msn)
}
