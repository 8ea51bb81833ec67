//! Which address leads to which handler, and what is true of every answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::appliance::Appliance;
use super::bounds::Bounds;
use super::clip_files::ClipFiles;
use super::clip_plans::ClipPlans;
use super::host::Names;
use super::problem::Problem;
use super::{
    api, clip_files, host, items, live, page, recorded_stills, recordings, storage, uploads,
};
use crate::upload::UPLOADS_ADDRESS;

/// A request that says something in JSON says it in so many bytes.
const BODY_BYTES_MAX: usize = 16 << 10;

/// What every handler is given.
pub(super) type Shared = Arc<dyn Appliance>;

/// What handlers choose from.
#[derive(Clone)]
struct Surface {
    appliance: Shared,
    bounds: Bounds,
    clip_plans: ClipPlans,
}

impl FromRef<Surface> for Shared {
    fn from_ref(surface: &Surface) -> Self {
        Self::clone(&surface.appliance)
    }
}

impl FromRef<Surface> for Bounds {
    fn from_ref(surface: &Surface) -> Self {
        surface.bounds.clone()
    }
}

impl FromRef<Surface> for ClipFiles {
    fn from_ref(surface: &Surface) -> Self {
        Self {
            appliance: Shared::clone(&surface.appliance),
            bounds: surface.bounds.clone(),
            plans: surface.clip_plans.clone(),
        }
    }
}

/// The whole surface as a service that goes by `names`.
pub(super) fn router(appliance: Shared, names: Names) -> Router {
    let text = Router::new()
        .route("/api/v1/cameras", get(api::cameras))
        .route("/api/v1/time", get(api::time))
        .route("/api/v1/timeline", get(storage::timeline))
        .route("/api/v1/store", get(storage::store))
        .route(
            "/api/v1/clips",
            get(storage::clips)
                .post(storage::make_clip)
                .layer(DefaultBodyLimit::max(BODY_BYTES_MAX)),
        )
        .route("/api/v1/clips/{id}", delete(storage::remove_clip))
        .route("/api/v1/items", get(items::items))
        .route(
            "/api/v1/items/{id}",
            get(items::item).delete(items::remove_item),
        )
        .route("/healthz", get(api::health))
        .route("/metrics", get(api::metrics))
        .route("/recordings/{camera}/clip.json", get(clip_files::describe))
        .route(
            "/recordings/{camera}/manifest.mpd",
            get(recordings::manifest),
        )
        .route(
            "/recordings/{camera}/master.m3u8",
            get(recordings::multivariant),
        )
        .route(
            "/recordings/{camera}/{rendition}/index.m3u8",
            get(recordings::playlist),
        )
        .fallback(page::serve)
        .layer(CompressionLayer::new());
    // Media is compressed already, and live playlists bring their own gzip.
    let media = Router::new()
        .route("/api/v1/cameras/{camera}/still.jpg", get(api::still))
        .route(
            "/recordings/{camera}/still.jpg",
            get(recorded_stills::still),
        )
        .route(
            "/recordings/{camera}/strip.jpg",
            get(recorded_stills::strip),
        )
        .route("/recordings/{camera}/clip.mp4", get(clip_files::clip))
        .route(
            "/recordings/{camera}/timelapse.mp4",
            get(clip_files::timelapse),
        )
        .route("/api/v1/clips/{id}/download", get(clip_files::download))
        .route("/api/v1/items/{id}/content", get(items::content))
        .route("/live/{camera}/master.m3u8", get(live::multivariant))
        .route("/live/{camera}/{rendition}/index.m3u8", get(live::playlist))
        .route("/live/{camera}/{rendition}/{file}", get(live::file))
        .route(
            "/recordings/{camera}/{rendition}/{file}",
            get(recordings::file),
        );
    let uploads = Router::new()
        .route(
            UPLOADS_ADDRESS,
            get(uploads::list)
                .post(uploads::create)
                .options(uploads::abilities),
        )
        .route(
            &format!("{UPLOADS_ADDRESS}/{{id}}"),
            get(uploads::show)
                .head(uploads::inspect)
                .patch(uploads::append)
                .delete(uploads::remove)
                .post(uploads::overridden)
                .options(uploads::abilities),
        )
        .layer(middleware::from_fn(uploads::speak));
    text.merge(media)
        .merge(uploads)
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(Surface {
            appliance,
            bounds: Bounds::new(),
            clip_plans: ClipPlans::default(),
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ))
        .layer(middleware::from_fn_with_state(names, host::guard))
}

fn panicked(payload: Box<dyn std::any::Any + Send>) -> Response {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words");
    Problem::internal(&text).into_response()
}
