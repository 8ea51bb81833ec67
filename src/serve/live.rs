//! The live view over HLS: playlists that wait for what was asked, parts from memory.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;

use super::extract::Path;
use super::media_response::{MediaFile, compressed_playlist, media};
use super::problem::Problem;
use super::router::Shared;
use crate::live::{LiveCamera, Refusal};
use crate::media::TrackKind;
use crate::playlist::Directives;

fn camera(appliance: &Shared, path: &Path) -> Result<LiveCamera, Problem> {
    let id = path.camera()?;
    appliance
        .live(&id)
        .ok_or_else(|| Problem::not_found(format!("no camera is called {id}")))
}

/// `GET /live/{camera}/master.m3u8`
pub(super) async fn multivariant(
    State(appliance): State<Shared>,
    path: Path,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let camera = camera(&appliance, &path)?;
    let body = camera.wait_multivariant().await.map_err(refusal)?;
    Ok(compressed_playlist(&body, &headers))
}

/// `GET /live/{camera}/{rendition}/index.m3u8`, with the delivery directives of
/// draft-pantos-hls-rfc8216bis §6.2.5.
pub(super) async fn playlist(
    State(appliance): State<Shared>,
    path: Path,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (camera, rendition) = (camera(&appliance, &path)?, path.rendition()?);
    let directives = Directives::parse(query.as_deref().unwrap_or(""))
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let body = camera
        .playlist(rendition, directives)
        .await
        .map_err(refusal)?;
    Ok(compressed_playlist(&body, &headers))
}

/// `GET /live/{camera}/{rendition}/{file}`: headers, segments and parts.
pub(super) async fn file(State(appliance): State<Shared>, path: Path) -> Result<Response, Problem> {
    let (camera, rendition) = (camera(&appliance, &path)?, path.rendition()?);
    let pieces: Vec<Bytes> = match MediaFile::parse(path.at(2))? {
        MediaFile::Init(run) => camera.init(rendition, run).map(|bytes| vec![bytes]),
        MediaFile::Segment(msn) => camera.segment(rendition, msn),
        MediaFile::Part(msn, index) => Some(vec![
            camera.part(rendition, msn, index).await.map_err(refusal)?,
        ]),
    }
    .ok_or_else(|| refusal(Refusal::NotFound))?;
    Ok(media(pieces, rendition.kind == TrackKind::Audio))
}

fn refusal(refusal: Refusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        // 404, not 410: players take a 404 as "try another quality", and the quality may come back.
        Refusal::NotFound | Refusal::Gone => Problem::not_found(detail),
        Refusal::Stalled => Problem::unavailable(detail, 1),
        Refusal::BadRequest(_) => Problem::bad_request(detail),
    }
}
