//! The JSON API, stills, health and metrics.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::appliance::{CameraStatus, StillError};
use super::extract::{Path, Query};
use super::problem::Problem;
use super::router::Shared;

/// Widths that a still may have, in pixels.
const STILL_WIDTH: (u32, u32) = (16, 3840);
/// The width that fills a page without weighing much.
const STILL_WIDTH_DEFAULT: u32 = 1280;

#[derive(Serialize)]
pub(super) struct Cameras {
    cameras: Vec<CameraStatus>,
}

/// `GET /api/v1/cameras`
pub(super) async fn cameras(State(appliance): State<Shared>) -> impl IntoResponse {
    (
        [(header::CACHE_CONTROL, "no-store")],
        Json(Cameras {
            cameras: appliance.cameras(),
        }),
    )
}

#[derive(Serialize)]
pub(super) struct Now {
    now: String,
}

/// `GET /api/v1/time`: the clock that programme date times are written with.
pub(super) async fn time(State(appliance): State<Shared>) -> impl IntoResponse {
    let now = appliance.clock().wall().to_string();
    ([(header::CACHE_CONTROL, "no-store")], Json(Now { now }))
}

/// `GET /healthz`: 200 while the process does its work, 503 when it should be started again.
pub(super) async fn health(State(appliance): State<Shared>) -> impl IntoResponse {
    let health = appliance.health();
    let status = if health.live {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(health))
}

/// `GET /metrics`
pub(super) async fn metrics(State(appliance): State<Shared>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], appliance.metrics())
}

/// `GET /api/v1/cameras/{camera}/still.jpg?width=1280`
pub(super) async fn still(
    State(appliance): State<Shared>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let camera = path.camera()?;
    let width = query
        .number("width", STILL_WIDTH)?
        .unwrap_or(STILL_WIDTH_DEFAULT);
    let still = tokio::task::spawn_blocking(move || appliance.still(&camera, width))
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
        Err(error @ StillError::UnknownCamera) => Err(Problem::not_found(error.to_string())),
        Err(error @ StillError::NoPicture(_)) => Err(Problem::unavailable(error.to_string(), 2)),
    }
}
