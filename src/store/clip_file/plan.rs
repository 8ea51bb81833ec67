//! Plans a clip: which pictures and which sound, where each segment goes, and what is missing.

use std::sync::Arc;

use bytes::Bytes;

use super::error::ClipFileError;
use super::evidence::{Collected, parts_of};
use super::fragments::Tables;
use super::{ClipFile, ClipFileWish, GAP_MS_MIN, Piece, best};
use crate::base::Wall;
use crate::cmaf::{ClipWriteError, ClipWriter, Joint};
use crate::media::{RenditionId, TrackKind};
use crate::store::clips::RANGE_MS_MAX;
use crate::store::reader::{Reader, RecordedRendition, Recording, SegmentEntry};
use crate::store::recovery::wall_end;

/// Ticks of 90 kHz in a millisecond.
const TICKS_A_MS: i64 = 90;

pub(super) fn plan_clip(
    reader: &Arc<Reader>,
    wish: &ClipFileWish,
    sign: &dyn Fn(u64),
) -> Result<ClipFile, ClipFileError> {
    let ClipFileWish {
        camera, from, to, ..
    } = wish;
    let (from, to) = (*from, *to);
    if to <= from {
        return Err(ClipFileError::RangeBackwards);
    }
    if to - from > RANGE_MS_MAX {
        return Err(ClipFileError::RangeTooLong(RANGE_MS_MAX / 3_600_000));
    }
    let recording = reader.recording(camera, from, to)?;
    let pictures = chosen_pictures(&recording, wish)?;
    let sound = sound_for(&recording, pictures.id);

    let mut writer = ClipWriter::default();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut evidence = Collected::new();
    let mut seen = Tables::new(reader, camera, pictures.id);
    let mut heard = sound.map(|sound| (Tables::new(reader, camera, sound.id), &sound.segments[..]));
    let mut before: Option<&SegmentEntry> = None;
    for (index, segment) in pictures.segments.iter().enumerate() {
        let at = segment.wall_start;
        let is_last = index + 1 == pictures.segments.len();
        let from_ticks = ticks(from - at);
        let to_ticks = if is_last { ticks(to - at) } else { u64::MAX };
        let joint = match before {
            Some(before) if goes_on(before, segment) => Joint::GoesOn,
            _ => Joint::Starts,
        };
        let found = seen.read(segment.run, segment.msn, at, true)?;
        writer
            .push_pictures(&found.as_segment(), joint, from_ticks, to_ticks)
            .map_err(|error| other_format(error, wish, at))?;
        let parts = parts_of(&found.fragments);
        let start = push_piece(&mut pieces, false, segment.msn, found.bytes_count);
        evidence.push(camera, &mut seen, segment, parts, start);
        before = Some(segment);

        let Some((tables, waiting)) = &mut heard else {
            continue;
        };
        let next = waiting.partition_point(|sound| sound.msn < segment.msn);
        *waiting = &waiting[next..];
        if let Some(sound) = waiting.first()
            && (sound.msn, sound.run) == (segment.msn, segment.run)
        {
            let found = tables.read(sound.run, sound.msn, at, true)?;
            writer
                .push_sound(&found.as_segment())
                .map_err(|error| other_format(error, wish, at))?;
            let parts = parts_of(&found.fragments);
            let start = push_piece(&mut pieces, true, sound.msn, found.bytes_count);
            evidence.push(camera, tables, sound, parts, start);
        }
    }
    let first = pictures.segments[0].wall_start;
    let starts = first.plus_ms((writer.skipped_ticks() as i64 + TICKS_A_MS / 2) / TICKS_A_MS);
    let head = writer
        .finish(starts)
        .map_err(|error| other_format(error, wish, first))?;
    let mut file = ClipFile {
        reader: Arc::clone(reader),
        camera: camera.clone(),
        rendition: pictures.id,
        sound: sound.map(|sound| sound.id),
        from: starts,
        to: pictures.segments.last().map_or(to, end).min(to),
        missing: missing(&pictures.segments, from, to),
        tail: Bytes::new(),
        unproven: None,
        head,
        pieces,
    };
    match evidence.into_box(reader, &file.head, sign) {
        Ok(evidence) => file.append_boxes(&evidence),
        Err(error) => file.unproven = Some(error),
    }
    Ok(file)
}

/// Milliseconds behind a segment's start as ticks, 0 before it.
fn ticks(ms: i64) -> u64 {
    u64::try_from(ms.saturating_mul(TICKS_A_MS)).unwrap_or(0)
}

/// Appends a whole segment; returns where it begins in the media.
fn push_piece(pieces: &mut Vec<Piece>, is_sound: bool, msn: u64, bytes_count: u64) -> u64 {
    let start = pieces
        .last()
        .map_or(0, |piece| piece.start + u64::from(piece.bytes));
    pieces.push(Piece {
        start,
        is_sound,
        msn,
        within: None,
        bytes: u32::try_from(bytes_count).expect("parts are bounded, and a segment has few"),
    });
    start
}

/// Whether nothing lies between two segments that could be missing: a hole within a run is a camera that gave no
/// picture for a moment, and the one before it stays.
fn goes_on(before: &SegmentEntry, segment: &SegmentEntry) -> bool {
    before.run == segment.run && before.msn + 1 == segment.msn
}

fn other_format(error: ClipWriteError, wish: &ClipFileWish, at: Wall) -> ClipFileError {
    match error {
        ClipWriteError::OtherFormat => ClipFileError::OtherFormat { at },
        ClipWriteError::NoPicture => nothing(wish),
    }
}

pub(super) fn nothing(wish: &ClipFileWish) -> ClipFileError {
    ClipFileError::NothingRecorded {
        camera: wish.camera.clone(),
        from: wish.from,
        to: wish.to,
    }
}

fn chosen_pictures<'a>(
    recording: &'a Recording,
    wish: &ClipFileWish,
) -> Result<&'a RecordedRendition, ClipFileError> {
    let pictures = || {
        let all = recording.renditions.iter();
        all.filter(|track| track.id.kind == TrackKind::Video && !track.segments.is_empty())
    };
    let counts = pictures().map(|track| (track.id, track.segments.len() as u64));
    let best = best(counts).ok_or_else(|| nothing(wish))?;
    let id = wish.rendition.unwrap_or(best);
    pictures()
        .find(|track| track.id == id)
        .ok_or_else(|| ClipFileError::OtherRendition {
            camera: wish.camera.clone(),
            rendition: id,
            recorded: pictures().map(|track| track.id).collect(),
        })
}

/// The sound of the pictures' rung, or of the nearest that there is, lower before higher.
fn sound_for(recording: &Recording, pictures: RenditionId) -> Option<&RecordedRendition> {
    let sounds = || {
        let all = recording.renditions.iter();
        all.filter(|track| track.id.kind == TrackKind::Audio && !track.segments.is_empty())
    };
    sounds()
        .rfind(|sound| sound.id.rung <= pictures.rung)
        .or_else(|| sounds().next())
}

fn end(segment: &SegmentEntry) -> Wall {
    wall_end(
        segment.wall_start,
        segment.duration_ticks,
        segment.timescale,
    )
}

/// What of `from` to `to` lies outside of the stretches.
fn missing(segments: &[SegmentEntry], from: Wall, to: Wall) -> Vec<(Wall, Wall)> {
    let mut gaps = Vec::new();
    let mut known = from;
    let mut before: Option<&SegmentEntry> = None;
    for segment in segments {
        if !before.is_some_and(|before| goes_on(before, segment)) {
            gaps.push((known, segment.wall_start));
        }
        known = end(segment);
        before = Some(segment);
    }
    gaps.push((known, to));
    gaps.retain(|(from, to)| *to - *from >= GAP_MS_MIN);
    gaps
}
