//! How what requests carry is read, of a floor that as a whole needs a runtime and all that it serves.

use std::net::IpAddr;
use std::ops::Range;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use futures_util::FutureExt;
use tower_service::Service;

use crate::base::{CameraId, Wall};
use crate::media::RenditionId;

#[allow(dead_code)]
#[path = "../../src/serve/byte_range.rs"]
mod byte_range;
#[allow(dead_code)]
#[path = "../../src/serve/extract.rs"]
mod extract;
#[allow(dead_code)]
#[path = "../../src/serve/host.rs"]
mod host;
#[allow(dead_code)]
#[path = "../../src/serve/media_response.rs"]
mod media_response;

/// Stands for refusals, of which a status is enough here.
mod problem {
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};

    #[derive(Debug)]
    pub(super) struct Problem(StatusCode);

    impl Problem {
        pub(super) fn bad_request(_: impl Into<String>) -> Self {
            Self(StatusCode::BAD_REQUEST)
        }

        pub(super) fn forbidden(_: impl Into<String>) -> Self {
            Self(StatusCode::FORBIDDEN)
        }

        pub(super) fn not_found(_: impl Into<String>) -> Self {
            Self(StatusCode::NOT_FOUND)
        }

        pub(super) fn misdirected(_: impl Into<String>) -> Self {
            Self(StatusCode::MISDIRECTED_REQUEST)
        }
    }

    impl IntoResponse for Problem {
        fn into_response(self) -> Response {
            self.0.into_response()
        }
    }
}

/// The header fields that say which bytes are wanted; one that no header can hold is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    pub range: &'a [u8],
    pub if_range: Option<&'a [u8]>,
    pub if_none_match: Option<&'a [u8]>,
}

/// What to send of `total` bytes: a stretch or, with `None`, everything; or the status of an answer without any.
pub fn read_range(
    conditions: Conditions<'_>,
    total: u64,
    etag: &str,
) -> Result<Option<Range<u64>>, u16> {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::RANGE, Some(conditions.range)),
        (header::IF_RANGE, conditions.if_range),
        (header::IF_NONE_MATCH, conditions.if_none_match),
    ] {
        insert(&mut headers, name, value);
    }
    match byte_range::wanted(&headers, total, etag) {
        byte_range::Wanted::Whole => Ok(None),
        byte_range::Wanted::Part(part) => Ok(Some(part)),
        byte_range::Wanted::Unsatisfiable => Err(416),
        byte_range::Wanted::NotModified => Err(304),
    }
}

/// Whether a client that sends `value` as what codings it takes is sent gzip.
pub fn accepts_gzip(value: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    insert(&mut headers, header::ACCEPT_ENCODING, Some(value));
    extract::accepts_gzip(&headers)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&[u8]>) {
    if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
        headers.insert(name, value);
    }
}

/// What a request has to get past before anything else.
pub struct Door(Router);

impl Door {
    /// Of a server that listens on `listen` and is also called `own`.
    pub fn new(listen: IpAddr, own: &str) -> Self {
        let names = host::Names::new(listen, &[own.to_owned()]);
        let router = Router::new().fallback(|| async { StatusCode::NO_CONTENT });
        Self(router.layer(from_fn_with_state(names, host::guard)))
    }

    /// Whether it opens to a request for `host`.
    pub fn opens(&mut self, host: &[u8]) -> bool {
        let mut request = Request::new(Body::empty());
        insert(request.headers_mut(), header::HOST, Some(host));
        let answer = self.0.call(request).now_or_never();
        let Ok(answer) = answer.expect("nothing to wait for");
        answer.status() == StatusCode::NO_CONTENT
    }
}

/// A query's parameters, each as one of the readers has it; `None` too for what is refused.
pub struct Query(extract::Query);

impl Query {
    /// Of an address that ends in `?query`, `None` if none can.
    pub fn read(query: &str) -> Option<Self> {
        let request = Request::builder().uri(format!("/?{query}")).body(());
        let (mut parts, ()) = request.ok()?.into_parts();
        let read = extract::Query::from_request_parts(&mut parts, &()).now_or_never();
        read.expect("nothing to wait for").ok().map(Self)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    pub fn camera(&self, name: &str) -> Option<CameraId> {
        self.0.camera(name).ok().flatten()
    }

    pub fn moment(&self, name: &str) -> Option<Wall> {
        self.0.moment(name).ok().flatten()
    }

    pub fn number(&self, name: &str, range: (u32, u32)) -> Option<u32> {
        self.0.number(name, range).ok().flatten()
    }
}

/// The camera and the rendition of an address.
pub fn read_path(camera: &str, rendition: &str) -> (Option<CameraId>, Option<RenditionId>) {
    let path = extract::Path(vec![camera.to_owned(), rendition.to_owned()]);
    (path.camera().ok(), path.rendition().ok())
}

/// What the last name of a media address asks for, and the numbers in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaName {
    Init(u64),
    Segment(u64),
    Part(u64, u32),
}

/// Reads the last name of a media address.
pub fn read_media_name(name: &str) -> Option<MediaName> {
    use media_response::MediaFile;
    Some(match MediaFile::parse(name).ok()? {
        MediaFile::Init(run) => MediaName::Init(run),
        MediaFile::Segment(msn) => MediaName::Segment(msn),
        MediaFile::Part(msn, index) => MediaName::Part(msn, index),
    })
}
