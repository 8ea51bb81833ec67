//! The JSON API, stills, health and metrics.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::appliance::{CameraStatus, StillError};
use super::bounds::Bounds;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::router::Shared;

/// Widths that may be asked for, in pixels.
const STILL_WIDTH: (u32, u32) = (16, 3840);
/// Widths that stills are made in: the next one up from what is asked for, so that those who ask share them.
const STILL_WIDTHS: [u32; 6] = [160, 320, 640, 1280, 1920, 3840];
/// The width that fills a page without weighing much.
const STILL_WIDTH_DEFAULT: u32 = 1280;

/// An answer that is true now and may not be a second later.
pub(super) fn fresh(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

#[derive(Serialize)]
struct Cameras {
    cameras: Vec<CameraStatus>,
}

/// `GET /api/v1/cameras`
pub(super) async fn cameras(State(appliance): State<Shared>) -> Response {
    let cameras = appliance.cameras();
    fresh(Cameras { cameras })
}

#[derive(Serialize)]
struct Now {
    now: String,
}

/// `GET /api/v1/time`: the clock that programme date times are written with.
pub(super) async fn time(State(appliance): State<Shared>) -> Response {
    let now = appliance.clock().wall().to_string();
    fresh(Now { now })
}

/// `GET /healthz`: 200 while the process does its work, 503 when it should be started again.
pub(super) async fn health(State(appliance): State<Shared>) -> impl IntoResponse {
    let health = appliance.health();
    let status = if health.live {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, fresh(health))
}

/// `GET /metrics`
pub(super) async fn metrics(State(appliance): State<Shared>) -> Result<Response, Problem> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = tokio::task::spawn_blocking(move || appliance.metrics())
        .await
        .map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// `GET /api/v1/cameras/{camera}/still.jpg?width=1280`: in the next of [`STILL_WIDTHS`], or the camera's own width if
/// that is less.
pub(super) async fn still(
    State(appliance): State<Shared>,
    State(bounds): State<Bounds>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let camera = path.camera()?;
    let width = asked_width(&query)?;
    let place = bounds.still()?;
    let make = move || {
        // Held to the end also when the client has gone, as the thread is.
        let _place = place;
        appliance.still(&camera, width)
    };
    let still = tokio::task::spawn_blocking(make)
        .await
        .map_err(|error| Problem::internal(&error))?;
    match still {
        Ok(jpeg) => {
            let headers = [
                (header::CONTENT_TYPE, "image/jpeg"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            Ok((headers, jpeg).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

impl From<StillError> for Problem {
    fn from(error: StillError) -> Self {
        match error {
            StillError::UnknownCamera => Self::not_found(error.to_string()),
            StillError::NoPicture(_) => Self::unavailable(error.to_string(), 2),
            StillError::NotDecoded(_) => Self::internal(&error),
            // Which nobody reads.
            StillError::Unwanted => Self::unavailable(error.to_string(), 1),
        }
    }
}

/// The width of a still in pixels, as `?width=` says.
pub(super) fn asked_width(query: &Query) -> Result<u32, Problem> {
    let asked = query.number("width", STILL_WIDTH)?;
    Ok(still_width(asked.unwrap_or(STILL_WIDTH_DEFAULT)))
}

fn still_width(asked: u32) -> u32 {
    let mut widths = STILL_WIDTHS.into_iter();
    widths
        .find(|width| *width >= asked)
        .unwrap_or(STILL_WIDTH.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stills_come_in_a_few_widths_only() {
        for (asked, made) in [
            (16, 160),
            (160, 160),
            (161, 320),
            (1921, 3840),
            (3840, 3840),
        ] {
            assert_eq!(still_width(asked), made);
        }
    }
}
