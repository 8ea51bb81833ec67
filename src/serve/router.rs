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
use super::host::Names;
use super::problem::Problem;
use super::{api, host, items, live, page, recordings, storage};

/// A request that says something in JSON says it in so many bytes.
const BODY_BYTES_MAX: usize = 16 << 10;

/// What every handler is given.
pub(super) type Shared = Arc<dyn Appliance>;

/// What handlers choose from.
#[derive(Clone)]
struct Surface {
    appliance: Shared,
    bounds: Bounds,
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
        .route("/api/v1/items/{id}/content", get(items::content))
        .route("/recordings/{camera}/still.jpg", get(recordings::still))
        .route("/live/{camera}/master.m3u8", get(live::multivariant))
        .route("/live/{camera}/{rendition}/index.m3u8", get(live::playlist))
        .route("/live/{camera}/{rendition}/{file}", get(live::file))
        .route(
            "/recordings/{camera}/{rendition}/{file}",
            get(recordings::file),
        );
    text.merge(media)
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(Surface {
            appliance,
            bounds: Bounds::new(),
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
