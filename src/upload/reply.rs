//! What an answer's header fields tell of an upload, in the client's own protocol.

use super::checksum::ALGORITHMS;
use super::delivery::{SIZE_BYTES_MAX, UploadKind, UploadState};
use super::dialect::{DRAFT_DATA, Dialect, Interop};
use super::id::UploadId;
use super::request::upload_address;
use crate::base::Wall;

/// Everything that is done beyond tus' core.
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation";

/// A header field of an answer.
pub type Line = (&'static str, String);

/// An upload as an answer tells it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its name.
    pub id: UploadId,
    /// What is there.
    pub state: UploadState,
    /// The client's metadata, as it came.
    pub metadata: &'a str,
    /// The parts that it is joined from.
    pub parts: &'a [UploadId],
    /// How long it stays.
    pub lifetime: Lifetime,
}

/// How long an upload stays if nothing is added to it.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// The time of the answer.
    pub now: Wall,
    /// When it goes.
    pub until: Wall,
}

/// The versions that are spoken, for a client that speaks none of them.
pub fn versions() -> Vec<Line> {
    vec![("Tus-Version", "1.0.0".to_owned())]
}

/// The answer to `OPTIONS`.
pub fn abilities() -> Vec<Line> {
    let mut lines = versions();
    lines.extend([
        ("Tus-Resumable", "1.0.0".to_owned()),
        ("Tus-Extension", EXTENSIONS.to_owned()),
        ("Tus-Max-Size", SIZE_BYTES_MAX.to_string()),
        ("Tus-Checksum-Algorithm", ALGORITHMS.to_owned()),
        ("Accept-Patch", DRAFT_DATA.to_owned()),
        ("Upload-Limit", format!("max-size={SIZE_BYTES_MAX}")),
    ]);
    lines
}

/// The answer to a request that began an upload.
pub fn created(dialect: Dialect, told: &Told<'_>) -> Vec<Line> {
    let mut lines = appended(dialect, told);
    lines.push(("Location", upload_address(told.id)));
    lines
}

/// The answer to a request that added to an upload.
pub fn appended(dialect: Dialect, told: &Told<'_>) -> Vec<Line> {
    let mut lines = common(dialect);
    lines.push(("Upload-Offset", told.state.offset.to_string()));
    match dialect {
        Dialect::Tus if told.state.is_complete => {}
        Dialect::Tus => lines.push(("Upload-Expires", told.lifetime.until.http_date())),
        Dialect::Draft(interop) => {
            lines.push(completeness(interop, told.state.is_complete));
            lines.extend(limit(interop, told.lifetime));
        }
    }
    lines
}

/// The answer to a request that asks how far an upload is.
pub fn inspected(dialect: Dialect, told: &Told<'_>) -> Vec<Line> {
    let mut lines = appended(dialect, told);
    match told.state.length {
        Some(length) => lines.push(("Upload-Length", length.to_string())),
        None if dialect == Dialect::Tus => {
            lines.push(("Upload-Defer-Length", "1".to_owned()));
        }
        None => {}
    }
    if dialect == Dialect::Tus {
        if !told.metadata.is_empty() {
            lines.push(("Upload-Metadata", told.metadata.to_owned()));
        }
        lines.extend(concatenation(told).map(|text| ("Upload-Concat", text)));
    }
    lines
}

fn common(dialect: Dialect) -> Vec<Line> {
    vec![match dialect {
        Dialect::Tus => ("Tus-Resumable", "1.0.0".to_owned()),
        Dialect::Draft(interop) => {
            let number = interop.number().to_string();
            ("Upload-Draft-Interop-Version", number)
        }
    }]
}

fn completeness(interop: Interop, is_complete: bool) -> Line {
    let say = |yes: bool| if yes { "?1" } else { "?0" }.to_owned();
    if interop.says_incomplete() {
        ("Upload-Incomplete", say(!is_complete))
    } else {
        ("Upload-Complete", say(is_complete))
    }
}

fn limit(interop: Interop, lifetime: Lifetime) -> Option<Line> {
    let name = interop.lifetime_name()?;
    let seconds = (lifetime.until - lifetime.now).max(0) / 1000;
    let text = format!("max-size={SIZE_BYTES_MAX}, {name}={seconds}");
    Some(("Upload-Limit", text))
}

fn concatenation(told: &Told<'_>) -> Option<String> {
    match told.state.kind {
        UploadKind::Single => None,
        UploadKind::Partial => Some("partial".to_owned()),
        UploadKind::Final => {
            let addresses: Vec<_> = told.parts.iter().copied().map(upload_address).collect();
            Some(format!("final;{}", addresses.join(" ")))
        }
    }
}
