//! What is recorded and how much room it takes: a camera's line of time, clips that are kept, the disk and its
//! forecast.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::api::fresh;
use super::extract::{Path, Query};
use super::items::ItemShown;
use super::problem::Problem;
use super::recordings::blocking;
use super::router::Shared;
use crate::base::Wall;
use crate::store::{
    CameraUsage, Clip, ClipError, ClipWish, Forecast, Gap, GapReason, ListPlace, RecordingState,
    Source, Usage,
};

/// Without `from` a line of time shows this much before `to`, in ms.
const SPAN_DEFAULT_MS: i64 = 24 * 3_600_000;
/// Without `resolution` a line has so many buckets.
const BUCKETS_DEFAULT: i64 = 600;
/// A line has no more buckets than this, whatever is asked for.
const BUCKETS_MAX: i64 = 20_000;
/// The longest line, in ms: over ten years.
const SPAN_MAX_MS: i64 = 11 * 366 * 24 * 3_600_000;
/// Seconds of a bucket that may be asked for.
const RESOLUTION_S: (u32, u32) = (1, 366 * 86_400);

/// A stretch of time as programs read it.
#[derive(Serialize)]
pub(super) struct Span {
    from: String,
    to: String,
}

impl Span {
    pub(super) fn new(from: Wall, to: Wall) -> Self {
        Self {
            from: from.to_string(),
            to: to.to_string(),
        }
    }
}

#[derive(Serialize)]
struct GapShown {
    #[serde(flatten)]
    span: Span,
    reason: &'static str,
}

#[derive(Serialize)]
struct BucketShown {
    from: String,
    bytes: u64,
    media_s: f64,
}

#[derive(Serialize)]
struct ClipShown {
    id: i64,
    camera: String,
    name: String,
    #[serde(flatten)]
    span: Span,
    /// Bytes of the reels that it holds.
    bytes: u64,
    made: String,
    /// The address of its file.
    download: String,
}

impl From<Clip> for ClipShown {
    fn from(clip: Clip) -> Self {
        Self {
            id: clip.id,
            camera: clip.camera.to_string(),
            name: clip.name,
            span: Span::new(clip.from, clip.to),
            bytes: clip.bytes_held,
            made: clip.made.to_string(),
            download: format!("/api/v1/clips/{}/download", clip.id),
        }
    }
}

#[derive(Serialize)]
struct TimelineShown {
    camera: String,
    #[serde(flatten)]
    span: Span,
    resolution_s: f64,
    oldest: Option<String>,
    newest: Option<String>,
    spans: Vec<Span>,
    gaps: Vec<GapShown>,
    losses: Vec<Span>,
    clips: Vec<ClipShown>,
    imports: Vec<ItemShown>,
    density: Vec<BucketShown>,
}

fn text(moment: Option<Wall>) -> Option<String> {
    moment.map(|moment| moment.to_string())
}

/// `GET /api/v1/timeline?camera=&from=&to=&resolution=`
pub(super) async fn timeline(
    State(appliance): State<Shared>,
    query: Query,
) -> Result<Response, Problem> {
    let camera = query
        .camera("camera")?
        .ok_or_else(|| Problem::bad_request("camera: is missing; /api/v1/cameras lists them"))?;
    let now = appliance.clock().wall();
    let to = query.moment("to")?.unwrap_or(now);
    let from = query.moment("from")?;
    let from = from.unwrap_or(to.plus_ms(-SPAN_DEFAULT_MS));
    let span_ms = to - from;
    if span_ms <= 0 {
        return Err(Problem::bad_request(format!(
            "to: {to} is not after from: {from}"
        )));
    }
    if from > now {
        return Err(Problem::bad_request(format!(
            "from: {from} lies in the future"
        )));
    }
    if span_ms > SPAN_MAX_MS {
        return Err(Problem::bad_request(
            "from, to: a line of time is at most eleven years long",
        ));
    }
    let asked_s = query.number("resolution", RESOLUTION_S)?;
    let bucket_ms = asked_s
        .map_or(span_ms / BUCKETS_DEFAULT, |s| i64::from(s) * 1000)
        .max(span_ms / BUCKETS_MAX);
    let shown = blocking(appliance, move |store| {
        let line = store.timeline(&camera, from, to, bucket_ms)?;
        let (losses, gaps): (Vec<Gap>, Vec<Gap>) = line
            .gaps
            .into_iter()
            .partition(|gap| gap.reason == GapReason::Lost);
        Ok(TimelineShown {
            camera: camera.to_string(),
            span: Span::new(from, to),
            resolution_s: line.bucket_ms as f64 / 1000.0,
            oldest: text(line.oldest),
            newest: text(line.newest),
            spans: line
                .spans
                .into_iter()
                .map(|(from, to)| Span::new(from, to))
                .collect(),
            gaps: gaps
                .into_iter()
                .map(|gap| GapShown {
                    span: Span::new(gap.from, gap.to),
                    reason: gap.reason.name(),
                })
                .collect(),
            losses: losses
                .into_iter()
                .map(|gap| Span::new(gap.from, gap.to))
                .collect(),
            clips: line.clips.into_iter().map(ClipShown::from).collect(),
            imports: line.imports.iter().map(ItemShown::from).collect(),
            density: line
                .density
                .into_iter()
                .map(|bucket| BucketShown {
                    from: bucket.from.to_string(),
                    bytes: bucket.bytes,
                    media_s: bucket.media_ms as f64 / 1000.0,
                })
                .collect(),
        })
    })
    .await?;
    Ok(fresh(shown))
}

#[derive(Serialize)]
struct Clips {
    clips: Vec<ClipShown>,
    /// What to ask for as `before` to see those of earlier recordings; null at the end.
    next: Option<String>,
}

/// `GET /api/v1/clips?camera=&limit=&before=`: those of the newest recordings first.
pub(super) async fn clips(
    State(appliance): State<Shared>,
    query: Query,
) -> Result<Response, Problem> {
    let (camera, limit) = (query.camera("camera")?, query.limit()?);
    let before = query.get("before").map(str::parse::<ListPlace>).transpose();
    let before = before.map_err(|()| {
        Problem::bad_request("before: is no place of the list; send the `next` of an answer")
    })?;
    let page = blocking(appliance, move |store| {
        Ok(store.clip_page(camera.as_ref(), before, limit)?)
    })
    .await?;
    Ok(fresh(Clips {
        clips: page.clips.into_iter().map(ClipShown::from).collect(),
        next: page.next.map(|place| place.to_string()),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClip {
    camera: String,
    from: String,
    to: String,
    #[serde(default)]
    name: String,
}

impl NewClip {
    fn wish(self) -> Result<ClipWish, Problem> {
        let moment = |field: &str, text: &str| {
            Wall::parse_rfc3339(text).ok_or_else(|| {
                Problem::bad_request(format!(
                    "{field}: `{text}` is no moment; write RFC 3339 such as 2026-11-21T08:00:00Z"
                ))
            })
        };
        Ok(ClipWish {
            camera: self
                .camera
                .parse()
                .map_err(|error| Problem::bad_request(format!("camera: {error}")))?,
            from: moment("from", &self.from)?,
            to: moment("to", &self.to)?,
            name: self.name,
        })
    }
}

/// `POST /api/v1/clips`: keeps a stretch of a recording.
pub(super) async fn make_clip(
    State(appliance): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    // Pages of other sites cannot send this type without asking first (Fetch standard, CORS-safelisted types).
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().map(str::trim) == Some("application/json"));
    if !is_json {
        return Err(Problem::unsupported_media_type(
            "send application/json with camera, from, to and name",
        ));
    }
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::content_too_large("the body is larger than 16 KiB")
        }
        _ => Problem::bad_request(format!("the body: {}", error.body_text())),
    })?;
    let wish = serde_json::from_slice::<NewClip>(&body)
        .map_err(|error| Problem::bad_request(format!("the body: {error}")))?
        .wish()?;
    let clip = blocking(appliance, move |store| Ok(store.make_clip(wish)?)).await?;
    let place = HeaderValue::from_str(&format!("/api/v1/clips/{}", clip.id))
        .map_err(|error| Problem::internal(&error))?;
    let mut response = (StatusCode::CREATED, fresh(ClipShown::from(clip))).into_response();
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

/// The number in `/api/v1/clips/{id}`.
pub(super) fn clip_number(path: &Path) -> Result<i64, Problem> {
    path.at(0).parse().map_err(|_| no_such_clip(path))
}

fn no_such_clip(path: &Path) -> Problem {
    Problem::not_found(format!("there is no clip `{}`", path.at(0)))
}

/// `DELETE /api/v1/clips/{id}`
pub(super) async fn remove_clip(
    State(appliance): State<Shared>,
    path: Path,
) -> Result<Response, Problem> {
    let id = clip_number(&path)?;
    if !blocking(appliance, move |store| Ok(store.remove_clip(id)?)).await? {
        return Err(no_such_clip(&path));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl From<ClipError> for Problem {
    fn from(error: ClipError) -> Self {
        match error {
            ClipError::NothingRecorded => Self::not_found(error.to_string()),
            ClipError::NotWritable(_) => Self::unavailable(error.to_string(), 5),
            ClipError::RangeBackwards
            | ClipError::InTheFuture
            | ClipError::TooLong(_)
            | ClipError::InvalidName => Self::bad_request(error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct StoreShown {
    state: &'static str,
    reason: Option<String>,
    disk: DiskShown,
    recordings: RecordingsShown,
    cameras: Vec<CameraShown>,
    forecast: ForecastShown,
    logical_bytes: u64,
    unique_bytes: u64,
    physical_bytes: u64,
    dedup_ratio: f64,
    sources: Vec<SourceShown>,
    damaged: DamageShown,
}

/// One kind of content, as it would be if everything were stored for itself, and as it is.
#[derive(Serialize)]
struct SourceShown {
    source: &'static str,
    logical_bytes: u64,
    unique_bytes: u64,
}

impl From<&Source> for SourceShown {
    fn from(source: &Source) -> Self {
        Self {
            source: source.name,
            logical_bytes: source.logical_bytes,
            unique_bytes: source.unique_bytes,
        }
    }
}

/// What the disk has damaged and what is therefore not given out.
#[derive(Serialize)]
struct DamageShown {
    segments: u64,
    chunks: u64,
    chunk_bytes: u64,
    items: u64,
}

#[derive(Serialize)]
struct DiskShown {
    total_bytes: u64,
    free_bytes: u64,
    keep_free_bytes: u64,
}

#[derive(Serialize)]
struct RecordingsShown {
    bytes: u64,
    quota_bytes: Option<u64>,
    oldest: Option<String>,
    newest: Option<String>,
}

#[derive(Serialize)]
struct CameraShown {
    id: String,
    bytes: u64,
    quota_bytes: Option<u64>,
    keep_days: Option<f64>,
    oldest: Option<String>,
    newest: Option<String>,
    bytes_per_day: Option<f64>,
}

#[derive(Serialize)]
struct ForecastShown {
    state: &'static str,
    bytes_per_day: f64,
    full_at: Option<String>,
    days_left: Option<f64>,
    reach_days: Option<f64>,
}

impl From<&CameraUsage> for CameraShown {
    fn from(usage: &CameraUsage) -> Self {
        let days = |age: Duration| age.as_secs_f64() / 86_400.0;
        Self {
            id: usage.camera.to_string(),
            bytes: usage.bytes,
            quota_bytes: usage.limits.bytes_max,
            keep_days: usage.limits.age_max.map(days),
            oldest: text(usage.oldest),
            newest: text(usage.newest),
            bytes_per_day: usage.bytes_per_day,
        }
    }
}

impl ForecastShown {
    fn new(usage: &Usage, now: Wall) -> Self {
        let (state, days_left, reach_days) = match usage.forecast() {
            Forecast::Unknown => ("unknown", None, None),
            Forecast::Filling {
                days_left,
                reach_days,
            } => ("filling", Some(days_left), Some(reach_days)),
            Forecast::Full { reach_days } => ("full", None, Some(reach_days)),
            Forecast::Steady { reach_days } => ("steady", None, Some(reach_days)),
        };
        Self {
            state,
            bytes_per_day: usage.bytes_per_day(),
            full_at: text(days_left.map(|days| now.plus_ms((days * 86_400_000.0) as i64))),
            days_left,
            reach_days,
        }
    }
}

/// `GET /api/v1/store`
pub(super) async fn store(State(appliance): State<Shared>) -> Result<Response, Problem> {
    let now = appliance.clock().wall();
    let shown = blocking(appliance, move |store| {
        let usage = store.usage()?;
        let statistics = store.statistics()?;
        let (state, reason) = match store.status().state {
            RecordingState::Recording => ("recording", None),
            RecordingState::Paused { reason, .. } => ("paused", Some(reason)),
            RecordingState::Poisoned { reason } => ("failed", Some(reason)),
        };
        let cameras = || usage.cameras.iter();
        Ok(StoreShown {
            state,
            reason,
            disk: DiskShown {
                total_bytes: usage.disk_bytes,
                free_bytes: usage.free_bytes,
                keep_free_bytes: usage.keep_free_bytes,
            },
            recordings: RecordingsShown {
                bytes: usage.bytes(),
                quota_bytes: usage.bytes_max,
                oldest: text(cameras().filter_map(|camera| camera.oldest).min()),
                newest: text(cameras().filter_map(|camera| camera.newest).max()),
            },
            cameras: cameras().map(CameraShown::from).collect(),
            forecast: ForecastShown::new(&usage, now),
            logical_bytes: statistics.logical_bytes(),
            unique_bytes: statistics.unique_bytes(),
            physical_bytes: statistics.physical_bytes,
            dedup_ratio: statistics.dedup_ratio(),
            sources: statistics.sources.iter().map(SourceShown::from).collect(),
            damaged: DamageShown {
                segments: usage.damage.segments,
                chunks: usage.damage.chunks,
                chunk_bytes: usage.damage.chunk_bytes,
                items: usage.damage.items,
            },
        })
    })
    .await?;
    Ok(fresh(shown))
}
