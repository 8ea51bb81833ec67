//! Stretches of recordings as ordinary MP4 files, to be saved or played: made while they are sent, of a length that is
//! known before, so that downloads go on where they broke off.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::api::fresh;
use super::bounds::Bounds;
use super::byte_range::{Wanted, wanted};
use super::clip_plans::ClipPlans;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::recordings::blocking;
use super::router::Shared;
use super::storage::{Span, clip_number};
use crate::media::TrackKind;
use crate::store::{
    ClipFile, ClipFileError, ClipFileReader, ClipFileWish, ClipLength, ProveError, Timelapse,
};

/// Seconds that a time-lapse may last.
const LENGTH_S: (u32, u32) = (1, 1200);
/// Without `length` and `speed` a time-lapse lasts so long, in milliseconds.
const LENGTH_DEFAULT_MS: u32 = 60_000;
/// How fast a time-lapse may be.
const SPEED: (u32, u32) = (2, 1_000_000);

impl From<ClipFileError> for Problem {
    fn from(error: ClipFileError) -> Self {
        match error {
            ClipFileError::RangeBackwards
            | ClipFileError::RangeTooLong(_)
            | ClipFileError::OtherFormat { .. } => Self::bad_request(error.to_string()),
            ClipFileError::NothingRecorded { .. }
            | ClipFileError::OtherRendition { .. }
            | ClipFileError::Deleted { .. } => Self::not_found(error.to_string()),
            ClipFileError::NotReadable { .. } => {
                tracing::error!(%error, "a recorded segment cannot be read");
                Self::not_found(error.to_string())
            }
            ClipFileError::Read(error) => error.into(),
        }
    }
}

fn is_picture(id: crate::media::RenditionId) -> bool {
    id.kind == TrackKind::Video
}

fn timelapse_length(query: &Query) -> Result<ClipLength, Problem> {
    let fast = match (
        query.number("length", LENGTH_S)?,
        query.number("speed", SPEED)?,
    ) {
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request(
                "length, speed: the one follows from the other; send one of them",
            ));
        }
        (Some(length_s), None) => Timelapse::LengthMs(length_s * 1000),
        (None, Some(speed)) => Timelapse::Speed(speed),
        (None, None) => Timelapse::LengthMs(LENGTH_DEFAULT_MS),
    };
    Ok(ClipLength::Timelapse(fast))
}

/// What every request for a file needs.
#[derive(Clone)]
pub(super) struct ClipFiles {
    pub(super) appliance: Shared,
    pub(super) bounds: Bounds,
    pub(super) plans: ClipPlans,
}

impl ClipFiles {
    /// What a request asks for.
    fn wish(
        &self,
        path: &Path,
        query: &Query,
        length: ClipLength,
    ) -> Result<ClipFileWish, Problem> {
        let now = self.appliance.clock().wall();
        let (from, to) = (query.needed_moment("from")?, query.needed_moment("to")?);
        if from > now {
            return Err(Problem::bad_request(format!(
                "from: {from} lies in the future"
            )));
        }
        let rendition = match query.get("rendition") {
            None => None,
            Some(text) => match text.parse() {
                Ok(id) if is_picture(id) => Some(id),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "rendition: `{text}` is none of very_low, low, medium, high"
                    )));
                }
            },
        };
        Ok(ClipFileWish {
            camera: path.camera()?,
            rendition,
            from,
            to,
            length,
        })
    }

    /// A planned file and the place that whoever sends it holds.
    async fn planned(
        &self,
        wish: ClipFileWish,
    ) -> Result<(Arc<ClipFile>, OwnedSemaphorePermit), Problem> {
        let place = self.bounds.clip_file()?;
        if let Some(file) = self.plans.get(&wish) {
            return Ok((file, place));
        }
        let (plans, now) = (self.plans.clone(), self.appliance.clock().wall());
        blocking(Arc::clone(&self.appliance), move |store| {
            let file = Arc::new(store.clip_file(&wish)?);
            plans.put(wish, &file, now);
            Ok((file, place))
        })
        .await
    }

    async fn send(self, wish: ClipFileWish, request: &HeaderMap) -> Result<Response, Problem> {
        let (file, place) = self.planned(wish.clone()).await?;
        let total = file.bytes_count();
        let etag = format!("\"{}\"", file.tag());
        let (status, part) = match wanted(request, total, &etag) {
            Wanted::Whole => (StatusCode::OK, 0..total),
            Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Wanted::NotModified => {
                return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
            }
            Wanted::Unsatisfiable => {
                let detail = format!("the file has {total} bytes, none of which is in this range");
                return Err(Problem::range_not_satisfiable(detail, total));
            }
        };
        let headers = [
            (header::CONTENT_TYPE, "video/mp4".to_owned()),
            (header::CONTENT_LENGTH, (part.end - part.start).to_string()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, etag),
            // What was recorded stays what it is, but may be deleted, or asked for before its end.
            (header::CACHE_CONTROL, "private, no-cache".to_owned()),
            (
                header::CONTENT_DISPOSITION,
                // Cameras' names are letters, digits and hyphens.
                format!("attachment; filename=\"{}\"", file.name()),
            ),
        ];
        let range = (status == StatusCode::PARTIAL_CONTENT).then(|| {
            let text = format!("bytes {}-{}/{total}", part.start, part.end - 1);
            [(header::CONTENT_RANGE, text)]
        });
        let sending = Sending {
            reader: ClipFileReader::new(file),
            offset: part.start,
            end: part.end,
            plans: self.plans,
            wish,
            _place: place,
        };
        let body = Body::from_stream(futures_util::stream::unfold(sending, Sending::next));
        let mut response = (status, headers, body).into_response();
        if let Some([(name, value)]) = range
            && let Ok(value) = value.parse()
        {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

/// `GET /recordings/{camera}/clip.mp4?from=&to=&rendition=`
pub(super) async fn clip(
    State(files): State<ClipFiles>,
    path: Path,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = files.wish(&path, &query, ClipLength::Whole)?;
    files.send(wish, &headers).await
}

/// `GET /recordings/{camera}/timelapse.mp4?from=&to=&length=|speed=&rendition=`
pub(super) async fn timelapse(
    State(files): State<ClipFiles>,
    path: Path,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wish = files.wish(&path, &query, timelapse_length(&query)?)?;
    files.send(wish, &headers).await
}

/// `GET /api/v1/clips/{id}/download`
pub(super) async fn download(
    State(files): State<ClipFiles>,
    path: Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = clip_number(&path)?;
    let appliance = Arc::clone(&files.appliance);
    let clip = blocking(appliance, move |store| Ok(store.clip(id)?))
        .await?
        .ok_or_else(|| Problem::not_found(format!("there is no clip `{id}`")))?;
    let wish = ClipFileWish {
        camera: clip.camera,
        rendition: None,
        from: clip.from,
        to: clip.to,
        length: ClipLength::Whole,
    };
    files.send(wish, &headers).await
}

#[derive(Serialize)]
struct ClipFileShown {
    camera: String,
    rendition: &'static str,
    sound: Option<&'static str>,
    #[serde(flatten)]
    span: Span,
    missing: Vec<Span>,
    duration_s: f64,
    pictures: u64,
    bytes: u64,
    name: String,
    /// Whether it carries the proof that the box recorded it, and why it does not.
    proven: bool,
    unproven: Option<String>,
}

/// Why a file carries no proof. Where in the box lies what cannot be read is for the log alone.
fn why(error: &ProveError) -> String {
    match error {
        ProveError::Read(_) | ProveError::Keys(_) => {
            tracing::error!(%error, "a clip carries no proof");
            "what proves it cannot be read; the server's log says why".to_owned()
        }
        error => error.to_string(),
    }
}

/// `GET /recordings/{camera}/clip.json?from=&to=&rendition=`: what the file is, what it lacks and whether it is proven.
pub(super) async fn describe(
    State(files): State<ClipFiles>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let wish = files.wish(&path, &query, ClipLength::Whole)?;
    let camera = wish.camera.to_string();
    let (file, _place) = files.planned(wish).await?;
    Ok(fresh(ClipFileShown {
        camera,
        rendition: file.rendition.name(),
        sound: file.sound().map(|sound| sound.name()),
        span: Span::new(file.from, file.to),
        missing: file
            .missing
            .iter()
            .map(|(from, to)| Span::new(*from, *to))
            .collect(),
        duration_s: file.duration_s(),
        pictures: file.pictures(),
        bytes: file.bytes_count(),
        name: file.name(),
        proven: file.unproven().is_none(),
        unproven: file.unproven().map(why),
    }))
}

/// A file on its way: one segment in memory at a time, the next when this one has been taken.
struct Sending {
    reader: ClipFileReader,
    offset: u64,
    end: u64,
    plans: ClipPlans,
    wish: ClipFileWish,
    _place: OwnedSemaphorePermit,
}

impl Sending {
    /// The next bytes. After an error the connection breaks off, which tells the client that it has not got all.
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        if self.offset >= self.end {
            return None;
        }
        let read = tokio::task::spawn_blocking(move || {
            let bytes = self.reader.read(self.offset);
            (bytes, self)
        });
        let (bytes, mut sending) = read.await.ok()?;
        let bytes = match bytes {
            Ok(bytes) if !bytes.is_empty() => {
                let left = usize::try_from(sending.end - sending.offset).unwrap_or(usize::MAX);
                let bytes = bytes.slice(..bytes.len().min(left));
                sending.offset += bytes.len() as u64;
                Ok(bytes)
            }
            Ok(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Err(error) => {
                tracing::error!(%error, camera = %sending.wish.camera, "a clip cannot be sent to its end");
                sending.plans.forget(&sending.wish);
                Err(std::io::Error::other(error.to_string()))
            }
        };
        if bytes.is_err() {
            sending.offset = sending.end;
        }
        Some((bytes, sending))
    }
}
