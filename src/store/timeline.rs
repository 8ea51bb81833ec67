//! A camera's recordings as a line of time, for drawing: where something is recorded and how much, where nothing is
//! and why, what is kept. Reads spans, sums and reels, never segments, so that a year answers in milliseconds.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::clips::{Clip, clips_within};
use super::error::ReadError;
use super::import::{ItemEntry, imports_within};
use super::reader::{Reader, each_gap, earlier, track_end, track_start, tracks};
use super::reel_rows::{HOUR_MS, QUARTER_MS};
use super::status::{Gap, GapReason};
use crate::base::{CameraId, Wall};
use crate::media::RenditionId;

/// Up to this much, in ms, reels are counted one by one; beyond, their sums: two days of a track have 2,880 of them.
const REEL_RANGE_MAX_MS: i64 = 2 * 24 * HOUR_MS;

/// The narrowest bucket, in ms: about a reel.
const BUCKET_MS_MIN: i64 = 60_000;

/// Gaps and spans closer than this part of the bucket that is asked for are drawn as one.
const MERGED_PARTS: i64 = 4;

/// One camera's line of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Width of a bucket, in ms: the one asked for, or the next that can be told.
    pub bucket_ms: i64,
    /// The first label of all that is recorded of the camera.
    pub oldest: Option<Wall>,
    /// Where the newest segment ends.
    pub newest: Option<Wall>,
    /// Where something is recorded, in order, none touching another.
    pub spans: Vec<(Wall, Wall)>,
    /// Where something is missing, by start. Those of one rendition and reason lie further apart than a quarter of the
    /// bucket that was asked for, which bounds how many there are.
    pub gaps: Vec<Gap>,
    /// What is kept, by start; at most a thousand.
    pub clips: Vec<Clip>,
    /// Items that lie on it, by start; at most a thousand.
    pub imports: Vec<ItemEntry>,
    /// How much is recorded; buckets without anything are left out.
    pub density: Vec<Bucket>,
}

/// A piece of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it starts: a multiple of the width.
    pub from: Wall,
    /// Bytes of the reels that start in it, of all renditions.
    pub bytes: u64,
    /// How long the longest of its renditions is recorded, in ms.
    pub media_ms: u64,
}

impl Reader {
    /// A camera's line of time between two labels, in buckets of about `bucket_ms`. Empty for an unknown camera.
    pub(super) fn timeline(
        &self,
        camera: &CameraId,
        from: Wall,
        to: Wall,
        bucket_ms: i64,
    ) -> Result<Timeline, ReadError> {
        if to <= from {
            return Err(ReadError::RangeBackwards);
        }
        self.read(|connection| {
            // By what is asked, not by what can be counted: a break of a second is seen in a minute.
            let merged_ms = bucket_ms / MERGED_PARTS;
            let mut gaps = DrawnGaps::new(merged_ms);
            each_gap(connection, camera, (from, to), |gap| gaps.add(&gap))?;
            let counted = Counted::for_range(to - from, bucket_ms);
            let bucket_ms = counted.bucket_ms(bucket_ms);
            let mut line = Timeline {
                bucket_ms,
                oldest: None,
                newest: None,
                spans: Vec::new(),
                gaps: gaps.into_sorted(),
                clips: clips_within(connection, camera, from, to)?,
                imports: imports_within(connection, camera, from, to)?,
                density: Vec::new(),
            };
            for (_, track) in tracks(connection, camera)? {
                line.newest = line.newest.max(track_end(connection, track)?);
                line.oldest = earlier(line.oldest, track_start(connection, track)?);
                spans(connection, track, from, to, &mut line.spans)?;
                let density = counted.count(connection, track, (from, to), bucket_ms)?;
                line.density = join(&line.density, &density);
            }
            line.spans = merge_spans(line.spans, merged_ms);
            Ok(line)
        })
    }
}

fn spans(
    connection: &Connection,
    track: i64,
    from: Wall,
    to: Wall,
    found: &mut Vec<(Wall, Wall)>,
) -> Result<(), ReadError> {
    let mut closed = connection.prepare_cached(
        "SELECT from_ms, to_ms FROM span WHERE track = ? AND to_ms > ? AND from_ms < ?",
    )?;
    let mut rows = closed.query(params![track, from.0, to.0])?;
    while let Some(row) = rows.next()? {
        found.push((Wall(row.get(0)?), Wall(row.get(1)?)));
    }
    // The open one: it starts where the newest span ends, or after a break.
    let open: Option<i64> = connection
        .prepare_cached(
            "SELECT max(wall_ms) FROM reel INDEXED BY reel_open WHERE track = ? AND bytes IS NULL",
        )?
        .query_row([track], |row| row.get(0))?;
    if let (Some(start), Some(end)) = (open.map(Wall), track_end(connection, track)?)
        && start < to
        && end > from
    {
        found.push((start, end));
    }
    Ok(())
}

/// Out of what density is counted: the coarsest that the buckets bear.
#[derive(Clone, Copy)]
enum Counted {
    Reels,
    Hours,
    Quarters,
}

impl Counted {
    fn for_range(range_ms: i64, bucket_ms: i64) -> Self {
        if range_ms <= REEL_RANGE_MAX_MS {
            Self::Reels
        } else if bucket_ms < QUARTER_MS {
            Self::Hours
        } else {
            Self::Quarters
        }
    }

    /// The width of buckets nearest to the one wished that these can tell.
    fn bucket_ms(self, wished_ms: i64) -> i64 {
        match self {
            Self::Reels => wished_ms.max(BUCKET_MS_MIN),
            Self::Hours => wished_ms.max(HOUR_MS).div_euclid(HOUR_MS) * HOUR_MS,
            Self::Quarters => wished_ms.max(QUARTER_MS).div_euclid(QUARTER_MS) * QUARTER_MS,
        }
    }

    fn count(
        self,
        connection: &Connection,
        track: i64,
        (from, to): (Wall, Wall),
        bucket_ms: i64,
    ) -> rusqlite::Result<Vec<Bucket>> {
        let (sql, unit_ms) = match self {
            Self::Reels => (
                "SELECT wall_ms, bytes, media_ms FROM reel
                 WHERE track = ? AND wall_ms >= ? AND wall_ms < ? AND media_ms IS NOT NULL ORDER BY wall_ms",
                1,
            ),
            Self::Hours => (
                "SELECT hour, bytes, media_ms FROM hour
                 WHERE track = ? AND hour >= ? AND hour < ? ORDER BY hour",
                HOUR_MS,
            ),
            Self::Quarters => (
                "SELECT quarter, bytes, media_ms FROM quarter
                 WHERE track = ? AND quarter >= ? AND quarter < ? ORDER BY quarter",
                QUARTER_MS,
            ),
        };
        // Whole buckets, of which the range may begin within the first.
        let first = from.0.div_euclid(bucket_ms) * bucket_ms / unit_ms;
        let end = to.0.div_euclid(unit_ms) + i64::from(to.0.rem_euclid(unit_ms) > 0);
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![track, first, end])?;
        let mut density = Vec::new();
        while let Some(row) = rows.next()? {
            let start: i64 = row.get(0)?;
            add(
                &mut density,
                bucket_ms,
                start * unit_ms,
                row.get(1)?,
                row.get(2)?,
            );
        }
        Ok(density)
    }
}

/// Adds what starts at `wall_ms`, not before what was added last.
fn add(density: &mut Vec<Bucket>, bucket_ms: i64, wall_ms: i64, bytes: u64, media_ms: u64) {
    let from = Wall(wall_ms.div_euclid(bucket_ms) * bucket_ms);
    match density.last_mut() {
        Some(last) if last.from == from => {
            last.bytes += bytes;
            last.media_ms += media_ms;
        }
        _ => density.push(Bucket {
            from,
            bytes,
            media_ms,
        }),
    }
}

/// Two renditions' buckets as one line: their bytes together, the longer of their times.
fn join(one: &[Bucket], other: &[Bucket]) -> Vec<Bucket> {
    let mut joined = [one, other].concat();
    joined.sort_by_key(|bucket| bucket.from);
    joined.dedup_by(|later, kept| {
        let same = later.from == kept.from;
        if same {
            kept.bytes += later.bytes;
            kept.media_ms = kept.media_ms.max(later.media_ms);
        }
        same
    });
    joined
}

fn merge_spans(mut spans: Vec<(Wall, Wall)>, merged_ms: i64) -> Vec<(Wall, Wall)> {
    spans.sort_unstable();
    let mut merged: Vec<(Wall, Wall)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from - last.1 <= merged_ms.max(1) => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Gaps as they are drawn: those of one rendition and reason that lie no further apart than `apart_ms` are one. Where a
/// disk is too slow all the time, those of pictures and of sound come in turn, a hundred thousand in a year.
struct DrawnGaps {
    apart_ms: i64,
    /// Of each kind, in order and further apart than that.
    kinds: BTreeMap<GapKind, Vec<(Wall, Wall)>>,
}

/// What is missing, and why.
type GapKind = (Option<RenditionId>, GapReason);

impl DrawnGaps {
    fn new(apart_ms: i64) -> Self {
        Self {
            apart_ms,
            kinds: BTreeMap::new(),
        }
    }

    /// Adds one that ends no earlier than any before it.
    fn add(&mut self, gap: &Gap) {
        let drawn = self.kinds.entry((gap.rendition, gap.reason)).or_default();
        let apart_ms = self.apart_ms;
        let (mut from, mut to) = (gap.from, gap.to);
        // A long one reaches back over several.
        while let Some(before) = drawn.pop_if(|before| from - before.1 <= apart_ms) {
            from = from.min(before.0);
            to = to.max(before.1);
        }
        drawn.push((from, to));
    }

    fn into_sorted(self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for ((rendition, reason), drawn) in self.kinds {
            gaps.extend(drawn.into_iter().map(|(from, to)| Gap {
                rendition,
                from,
                to,
                reason,
            }));
        }
        gaps.sort_by_key(|gap| gap.from);
        gaps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::Rung;

    const PICTURE: Option<RenditionId> = Some(RenditionId::video(Rung::High));
    const SOUND: Option<RenditionId> = Some(RenditionId::audio(Rung::High));

    fn gap(rendition: Option<RenditionId>, reason: GapReason, from: i64, to: i64) -> Gap {
        Gap {
            rendition,
            from: Wall(from),
            to: Wall(to),
            reason,
        }
    }

    /// As they are drawn, out of the order in which the index has them.
    fn drawn(mut gaps: Vec<Gap>, apart_ms: i64) -> Vec<Gap> {
        gaps.sort_by_key(|gap| gap.to);
        let mut drawn = DrawnGaps::new(apart_ms);
        gaps.iter().for_each(|gap| drawn.add(gap));
        drawn.into_sorted()
    }

    #[test]
    fn gaps_of_picture_and_sound_in_turn_are_as_few_as_can_be_drawn() {
        const DAY_MS: i64 = 24 * HOUR_MS;
        let slow = |rendition, at| gap(rendition, GapReason::DiskSlow, at, at + 2_000);
        let in_turn = (0..365 * 200).map(|number| {
            let rendition = if number % 2 == 0 { PICTURE } else { SOUND };
            slow(rendition, number * (DAY_MS / 200))
        });
        let all: Vec<Gap> = in_turn.collect();
        // A year on a page of 600 pixels.
        let year = drawn(all.clone(), 365 * DAY_MS / 600);
        assert_eq!(year.len(), 2);
        let last = (365 * 200 - 2) * (DAY_MS / 200);
        assert_eq!(year[0], gap(PICTURE, GapReason::DiskSlow, 0, last + 2_000));
        // Exactly, from near by, in the order of their starts.
        assert_eq!(drawn(all.clone(), 1_000), all);
    }

    #[test]
    fn a_gap_is_merged_with_those_of_its_rendition_and_reason_alone() {
        use GapReason::{CameraGone, DiskSlow};
        let picture = |from, to| gap(PICTURE, DiskSlow, from, to);
        let others = [
            gap(SOUND, DiskSlow, 5, 15),
            gap(None, DiskSlow, 12, 22),
            gap(PICTURE, CameraGone, 13, 21),
        ];
        let all = [
            &[picture(0, 10)][..],
            &others,
            &[picture(20, 30), picture(41, 50)],
        ]
        .concat();
        let expected = [&[picture(0, 30)][..], &others, &[picture(41, 50)]].concat();
        assert_eq!(drawn(all.clone(), 10), expected);
        assert_eq!(drawn(all.clone(), 9), all);
        // A clock that was set back: one that ends last began first.
        let long = [
            picture(10, 11),
            picture(30, 31),
            picture(50, 51),
            picture(25, 60),
        ];
        assert_eq!(drawn(long.to_vec(), 5), [picture(10, 11), picture(25, 60)]);
    }

    proptest! {
        #[test]
        fn merged_gaps_lose_none_and_cover_nothing_far_from_one(
            raw in proptest::collection::vec((0usize..3, 0i64..2_000, 1i64..60), 0..60),
            apart_ms in 0i64..100,
        ) {
            let kinds = [
                (PICTURE, GapReason::DiskSlow),
                (SOUND, GapReason::DiskSlow),
                (SOUND, GapReason::RungShed),
            ];
            let made = raw.iter().map(|&(kind, from, ms)| {
                let (rendition, reason) = kinds[kind];
                gap(rendition, reason, from, from + ms)
            });
            let real: Vec<Gap> = made.collect();
            let merged = drawn(real.clone(), apart_ms);
            prop_assert!(merged.is_sorted_by_key(|gap| gap.from));
            for (rendition, reason) in kinds {
                let of = |gaps: &[Gap]| -> Vec<(i64, i64)> {
                    let kind = gaps.iter().filter(|gap| (gap.rendition, gap.reason) == (rendition, reason));
                    kind.map(|gap| (gap.from.0, gap.to.0)).collect()
                };
                let (real, merged) = (of(&real), of(&merged));
                for &(from, to) in &real {
                    prop_assert!(merged.iter().any(|gap| gap.0 <= from && to <= gap.1));
                }
                for &(from, to) in &merged {
                    prop_assert!(real.iter().any(|gap| gap.0 == from));
                    prop_assert!(real.iter().any(|gap| gap.1 == to));
                    for moment in from..to {
                        let near = |gap: &(i64, i64)| gap.0 - apart_ms..=gap.1 + apart_ms;
                        prop_assert!(real.iter().any(|gap| near(gap).contains(&moment)));
                    }
                }
                // Which bounds their number.
                prop_assert!(merged.windows(2).all(|two| two[1].0 - two[0].1 > apart_ms));
            }
        }
    }

    fn bucket(from: i64, bytes: u64, media_ms: u64) -> Bucket {
        Bucket {
            from: Wall(from),
            bytes,
            media_ms,
        }
    }

    #[test]
    fn renditions_make_one_line() {
        let video = [bucket(0, 10, 5), bucket(60, 10, 5), bucket(180, 1, 1)];
        let audio = [bucket(60, 2, 6), bucket(120, 2, 6)];
        let line = [
            bucket(0, 10, 5),
            bucket(60, 12, 6),
            bucket(120, 2, 6),
            bucket(180, 1, 1),
        ];
        assert_eq!(join(&video, &audio), line);
        assert_eq!(join(&audio, &video), line);
    }

    #[test]
    fn spans_of_all_renditions_become_those_without_a_break() {
        let spans = [(0, 10), (10, 20), (5, 12), (30, 40)].map(|(a, b)| (Wall(a), Wall(b)));
        let merged = [(0, 20), (30, 40)].map(|(a, b)| (Wall(a), Wall(b)));
        assert_eq!(merge_spans(spans.to_vec(), 0), merged);
        assert_eq!(merge_spans(spans.to_vec(), 10), [(Wall(0), Wall(40))]);
    }
}
