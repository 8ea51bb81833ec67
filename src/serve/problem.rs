//! Errors as HTTP says them: a status and a JSON body (RFC 9457). The only place that turns refusals into statuses.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A request that was not granted.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    retry_after_s: Option<u32>,
    kind: Option<Kind>,
    members: BTreeMap<&'static str, u64>,
    lines: Vec<(HeaderName, HeaderValue)>,
}

/// What a problem is besides its status, where somebody has given it a name. (RFC 9457 §3.1.1)
#[derive(Clone, Copy, Debug)]
struct Kind {
    address: &'static str,
    title: &'static str,
}

/// The members of RFC 9457 §3.1; without a kind `type` is `about:blank`, and `title` the status's own phrase. Behind
/// them those of the kind alone (§3.2).
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    members: &'a BTreeMap<&'static str, u64>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after_s: None,
            kind: None,
            members: BTreeMap::new(),
            lines: Vec::new(),
        }
    }

    /// The same under a registered kind: the address that names it, and its title.
    pub(super) fn of_kind(mut self, address: &'static str, title: &'static str) -> Self {
        self.kind = Some(Kind { address, title });
        self
    }

    /// The same with a member that its kind has besides those of all.
    pub(super) fn with_member(mut self, name: &'static str, value: u64) -> Self {
        self.members.insert(name, value);
        self
    }

    /// The same with a header field beside it. One whose value cannot stand in a header is left out.
    pub(super) fn with_line(mut self, name: &'static str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
            self.lines.push((name, value));
        }
        self
    }

    /// 400: the request cannot be understood; `detail` says which part.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 403: not for who asks.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: nothing is there.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Whether nothing is there.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// 405: the address exists, the method does not.
    pub(super) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this address does not answer this method",
        )
    }

    /// 408: the client sends nothing any more.
    pub(super) fn request_timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, detail)
    }

    /// 409: it does not fit what is there.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 410: it was there, and will not be again.
    pub(super) fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, detail)
    }

    /// 412: the client relies on something that does not hold.
    pub(super) fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body is longer than anything that is read here.
    pub(super) fn content_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body is of another kind than is read here.
    pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 416: of the `bytes` that there are, the range holds none.
    pub(super) fn range_not_satisfiable(detail: impl Into<String>, bytes: u64) -> Self {
        // RFC 9110 §15.5.17.
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, detail)
            .with_line("content-range", &format!("bytes */{bytes}"))
    }

    /// 460: the body is not what its checksum says. (tus 1.0, extension checksum)
    pub(super) fn checksum_mismatch(detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(460).expect("three digits are a status");
        let problem = Self::new(status, detail);
        problem.of_kind("about:blank", "Checksum Mismatch")
    }

    /// 423: somebody else has it.
    pub(super) fn locked(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::LOCKED, detail)
    }

    /// 507: the disk is full.
    pub(super) fn insufficient_storage(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, detail)
    }

    /// 421: the name in `Host` is not one that this server goes by.
    pub(super) fn misdirected(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, detail)
    }

    /// 503: it may well work a little later.
    pub(super) fn unavailable(detail: impl Into<String>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// 500: a fault of ours, told in the log.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server failed; its log says why",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let usual = Kind {
            address: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
        };
        let kind = self.kind.unwrap_or(usual);
        let body = Body {
            r#type: kind.address,
            title: kind.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            members: &self.members,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        headers.extend(self.lines);
        response
    }
}
