//! Plans a time-lapse: which keyframes, evenly over what is recorded. Reads no more than their bytes, so they are not
//! compared with a digest, which is of a whole segment: a damaged picture is one picture of a time-lapse.

use std::sync::Arc;

use super::error::ClipFileError;
use super::fragments::Tables;
use super::plan::nothing;
use super::{ClipFile, ClipFileWish, Piece, TIMELAPSE_SPAN_MS_MAX, Timelapse, best};
use crate::base::Wall;
use crate::cmaf::{ClipWriteError, TimelapseWriter};
use crate::media::{RenditionId, SEGMENT_DURATION_MS, TrackKind};
use crate::store::ProveError;
use crate::store::reader::{Reader, segments, tracks};
use crate::store::recovery::wall_end;

/// Pictures a second at most.
const PICTURES_PER_SECOND_MAX: u64 = 30;
/// Pictures in all: twenty minutes of that.
const PICTURES_MAX: u64 = 36_000;
/// Ticks of 90 kHz in a millisecond.
const TICKS_A_MS: u64 = 90;
/// So much of the index is read at once, in milliseconds.
const WINDOW_MS: i64 = 12 * 3_600_000;

/// Segments that follow each other, each of which starts with a keyframe.
struct Stretch {
    run: u64,
    first_msn: u64,
    count: u64,
    wall_start: Wall,
}

pub(super) fn plan_timelapse(
    reader: &Arc<Reader>,
    wish: &ClipFileWish,
    fast: Timelapse,
) -> Result<ClipFile, ClipFileError> {
    if wish.to <= wish.from {
        return Err(ClipFileError::RangeBackwards);
    }
    if wish.to - wish.from > TIMELAPSE_SPAN_MS_MAX {
        return Err(ClipFileError::RangeTooLong(
            TIMELAPSE_SPAN_MS_MAX / 3_600_000,
        ));
    }
    let (rendition, stretches, to) = chosen_pictures(reader, wish)?;
    let keyframes: u64 = stretches.iter().map(|stretch| stretch.count).sum();
    let (count, picture_ticks) = pace(keyframes, fast);
    let mut writer = TimelapseWriter::new(picture_ticks);
    let mut tables = Tables::new(reader, &wish.camera, rendition);
    let mut pieces = Vec::new();
    let (mut starts, mut media_bytes) = (None, 0);
    for picked in 0..count {
        let (run, msn, at) = nth(&stretches, picked * keyframes / count);
        let found = tables.read(run, msn, at, false)?;
        let keyframe = found
            .fragments
            .first()
            .and_then(|(start, fragment)| Some((start, fragment.samples.first()?)));
        let Some((start, sample)) = keyframe else {
            continue;
        };
        let bytes = sample.size_bytes as u32;
        writer
            .push(found.entry, bytes)
            .map_err(|error| other_format(error, wish, at))?;
        pieces.push(Piece {
            start: media_bytes,
            is_sound: false,
            msn,
            within: Some(start + sample.offset as u64),
            bytes,
        });
        media_bytes += u64::from(bytes);
        starts.get_or_insert(at);
    }
    let starts = starts.ok_or_else(|| nothing(wish))?;
    let head = writer
        .finish(starts)
        .map_err(|error| other_format(error, wish, starts))?;
    Ok(ClipFile {
        reader: Arc::clone(reader),
        camera: wish.camera.clone(),
        rendition,
        sound: None,
        from: starts,
        to: to.min(wish.to),
        missing: Vec::new(),
        head,
        pieces,
        tail: Default::default(),
        unproven: Some(ProveError::Timelapse),
    })
}

/// How many of `keyframes` are shown, and for how many ticks each: as many as there are, up to thirty a second, and so
/// long that all of them last as long as they should.
fn pace(keyframes: u64, fast: Timelapse) -> (u64, u32) {
    let length_ms = match fast {
        Timelapse::LengthMs(length_ms) => u64::from(length_ms),
        Timelapse::Speed(speed) => {
            keyframes * u64::from(SEGMENT_DURATION_MS) / u64::from(speed.max(1))
        }
    };
    let length_ticks = length_ms.max(1) * TICKS_A_MS;
    let count_max = (length_ms * PICTURES_PER_SECOND_MAX).div_ceil(1000);
    let count = keyframes.min(count_max.clamp(1, PICTURES_MAX));
    let ticks = length_ticks.div_ceil(count.max(1));
    (count, u32::try_from(ticks).unwrap_or(u32::MAX))
}

/// The segment at a place among those of all stretches, with its run and its label.
fn nth(stretches: &[Stretch], mut index: u64) -> (u64, u64, Wall) {
    for stretch in stretches {
        if index < stretch.count {
            let behind_ms = index * u64::from(SEGMENT_DURATION_MS);
            let at = stretch.wall_start.plus_ms(behind_ms as i64);
            return (stretch.run, stretch.first_msn + index, at);
        }
        index -= stretch.count;
    }
    unreachable!("the place is below the sum of all counts")
}

fn other_format(error: ClipWriteError, wish: &ClipFileWish, at: Wall) -> ClipFileError {
    match error {
        ClipWriteError::OtherFormat => ClipFileError::OtherFormat { at },
        ClipWriteError::NoPicture => nothing(wish),
    }
}

/// Which pictures, their stretches, and when the last ends.
fn chosen_pictures(
    reader: &Reader,
    wish: &ClipFileWish,
) -> Result<(RenditionId, Vec<Stretch>, Wall), ClipFileError> {
    let mut found = Vec::new();
    for (id, track) in reader.read(|connection| tracks(connection, &wish.camera))? {
        if id.kind == TrackKind::Video && wish.rendition.is_none_or(|wanted| wanted == id) {
            let (stretches, to) = stretches(reader, track, wish.from, wish.to)?;
            found.push((id, stretches, to));
        }
    }
    let count = |stretches: &[Stretch]| stretches.iter().map(|stretch| stretch.count).sum();
    let best = best(
        found
            .iter()
            .map(|(id, stretches, _)| (*id, count(stretches))),
    );
    let chosen = found.into_iter().find(|(id, ..)| Some(*id) == best);
    chosen.ok_or_else(|| nothing(wish))
}

/// What is recorded of a track, looked up in windows so that a month takes no more memory than half a day.
fn stretches(
    reader: &Reader,
    track: i64,
    from: Wall,
    to: Wall,
) -> Result<(Vec<Stretch>, Wall), ClipFileError> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let (mut start, mut last_end) = (from, from);
    while start < to {
        let end = start.plus_ms(WINDOW_MS).min(to);
        let (_, found) = reader.read(|connection| segments(connection, track, start, end))?;
        for segment in found {
            last_end = wall_end(
                segment.wall_start,
                segment.duration_ticks,
                segment.timescale,
            );
            match stretches.last_mut() {
                // Seen already: it lies across the windows' border, or the clock was set back.
                Some(last) if segment.msn < last.first_msn + last.count => {}
                Some(last)
                    if segment.run == last.run && segment.msn == last.first_msn + last.count =>
                {
                    last.count += 1;
                }
                _ => stretches.push(Stretch {
                    run: segment.run,
                    first_msn: segment.msn,
                    count: 1,
                    wall_start: segment.wall_start,
                }),
            }
        }
        start = end;
    }
    Ok((stretches, last_end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lapse_lasts_as_long_as_it_should() {
        for (keyframes, fast, expected) in [
            // A day in a minute: thirty a second.
            (43_200, Timelapse::LengthMs(60_000), (1800, 3000)),
            // An hour in two minutes has no more than 1800 keyframes.
            (1800, Timelapse::LengthMs(120_000), (1800, 6000)),
            (1800, Timelapse::Speed(60), (1800, 3000)),
            (1800, Timelapse::Speed(120), (900, 3000)),
            (1, Timelapse::Speed(1000), (1, 180)),
            (10, Timelapse::LengthMs(1), (1, 90)),
            (0, Timelapse::LengthMs(1), (0, 90)),
            (
                u64::from(u32::MAX),
                Timelapse::Speed(1),
                (36_000, 21_474_837),
            ),
        ] {
            let (count, ticks) = pace(keyframes, fast);
            assert_eq!(count, expected.0, "{keyframes} {fast:?}");
            if expected.0 != 36_000 {
                assert_eq!(ticks, expected.1, "{keyframes} {fast:?}");
            }
        }
    }
}
