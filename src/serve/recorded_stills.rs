//! Pictures of recordings as JPEG: one of a moment, or a strip of them over a range of time.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::api::asked_width;
use super::appliance::StillError;
use super::bounds::Bounds;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::router::Shared;
use crate::base::{CameraId, Wall};
use crate::cmaf::{read_fragment, read_init};
use crate::media::{TrackKind, TrackParameters, VideoParameters};
use crate::store::Store;

/// Pictures of a strip.
const STRIP_COUNT: (u32, u32) = (1, 60);
const STRIP_COUNT_DEFAULT: u32 = 20;
/// Pixels of each of them across.
const TILE_WIDTH: (u32, u32) = (16, 320);
const TILE_WIDTH_DEFAULT: u32 = 160;

/// A recorded keyframe, with what decodes it.
struct Keyframe {
    video: VideoParameters,
    unit: Bytes,
}

/// Which rendition a picture is taken of.
#[derive(Clone, Copy)]
enum Choice {
    Best,
    Lowest,
}

/// The keyframe at or before a moment, if that moment is recorded.
fn keyframe_at(
    store: &Store,
    bounds: &Bounds,
    camera: &CameraId,
    at: Wall,
    choice: Choice,
) -> Result<Keyframe, Problem> {
    let nothing = || Problem::not_found(format!("no picture of {camera} is recorded at {at}"));
    let recording = store.recording(camera, at, at.plus_ms(1))?;
    // The highest rung comes last; a moment that a set clock brought twice shows its second time.
    let mut pictures = recording
        .renditions
        .iter()
        .filter(|rendition| rendition.id.kind == TrackKind::Video)
        .filter_map(|rendition| Some((rendition.id, rendition.segments.last()?)));
    let found = match choice {
        Choice::Best => pictures.next_back(),
        Choice::Lowest => pictures.next(),
    };
    let (id, entry) = found.ok_or_else(nothing)?;
    let room = bounds.recorded(entry.bytes)?;
    let init = store
        .load_init(camera, id, entry.run)?
        .ok_or_else(nothing)?;
    let segment = store.load_segment(camera, id, entry.msn)?;
    let segment = room.fill(segment.ok_or_else(nothing)?);
    let header = read_init(&init).map_err(|error| Problem::internal(&error))?;
    let fragment = read_fragment(&segment, &header).map_err(|error| Problem::internal(&error))?;
    let (TrackParameters::Video(video), Some(first)) =
        (header.parameters, fragment.samples.first())
    else {
        return Err(nothing());
    };
    Ok(Keyframe {
        video,
        unit: segment.slice(first.offset..first.offset + first.size_bytes),
    })
}

/// `GET /recordings/{camera}/still.jpg?at=&width=`: the recorded keyframe at or before a moment.
pub(super) async fn still(
    State(appliance): State<Shared>,
    State(bounds): State<Bounds>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let camera = path.camera()?;
    let at = query.needed_moment("at")?;
    let width = asked_width(&query)?;
    let place = bounds.still()?;
    let make = move || -> Result<Bytes, Problem> {
        // Held to the end also when the client has gone, as the thread is.
        let _place = place;
        let Keyframe { video, unit } =
            keyframe_at(appliance.store(), &bounds, &camera, at, Choice::Best)?;
        Ok(appliance.recorded_still(&video, unit, width)?)
    };
    let jpeg = tokio::task::spawn_blocking(make)
        .await
        .map_err(|error| Problem::internal(&error))??;
    Ok(picture(jpeg))
}

fn picture(jpeg: Bytes) -> Response {
    // What was recorded at a moment stays what it is, but may be deleted.
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "private, max-age=3600"),
    ];
    (headers, jpeg).into_response()
}

/// `GET /recordings/{camera}/strip.jpg?from=&to=&count=&width=`: pictures of the lowest rendition side by side, each of
/// the middle of its share of the range, grey where nothing is recorded.
pub(super) async fn strip(
    State(appliance): State<Shared>,
    State(bounds): State<Bounds>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let camera = path.camera()?;
    let (from, to) = (query.needed_moment("from")?, query.needed_moment("to")?);
    if to <= from {
        return Err(Problem::bad_request(format!(
            "to: {to} is not after from: {from}"
        )));
    }
    let count = query.number("count", STRIP_COUNT)?;
    let count = i64::from(count.unwrap_or(STRIP_COUNT_DEFAULT));
    let width = query.number("width", TILE_WIDTH)?;
    // Few widths, all of which the pictures' planes divide by.
    let width = width.unwrap_or(TILE_WIDTH_DEFAULT).next_multiple_of(16);
    let place = bounds.strip()?;
    // The page gives strips up while a hand sweeps over its line of time. This future goes with the client, the thread
    // looks whether it has, and the place is soon another's.
    let gone = CancellationToken::new();
    let _asker = gone.clone().drop_guard();
    let make = move || -> Result<Bytes, Problem> {
        let _place = place;
        let is_wanted = || !gone.is_cancelled();
        let mut tiles = Vec::new();
        for index in 0..count {
            if !is_wanted() {
                return Err(StillError::Unwanted.into());
            }
            let share = (to - from) as i128 * i128::from(2 * index + 1) / i128::from(2 * count);
            let at = from.plus_ms(share as i64);
            match keyframe_at(appliance.store(), &bounds, &camera, at, Choice::Lowest) {
                // A copy, so that the rest of its segment goes.
                Ok(Keyframe { video, unit }) => {
                    tiles.push(Some((video, Bytes::copy_from_slice(&unit))));
                }
                Err(problem) if problem.is_not_found() => tiles.push(None),
                Err(problem) => return Err(problem),
            }
        }
        if tiles.iter().all(Option::is_none) {
            return Err(Problem::not_found(format!(
                "no picture of {camera} is recorded at any of these {count} moments from {from} to {to}"
            )));
        }
        Ok(appliance.recorded_strip(&tiles, width, &is_wanted)?)
    };
    let jpeg = tokio::task::spawn_blocking(make)
        .await
        .map_err(|error| Problem::internal(&error))??;
    Ok(picture(jpeg))
}
