//! Answers that carry playlists and media, with the headers that players and caches go by.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::extract::accepts_gzip;
use super::problem::Problem;
use crate::live::PlaylistBody;

/// RFC 8216 §10.
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";

/// A playlist, which is never good for long.
pub(super) fn playlist(text: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, PLAYLIST_TYPE),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-encoding"),
    ];
    (headers, text.into()).into_response()
}

/// A manifest of what is recorded (ISO/IEC 23009-1 §C.1).
pub(super) fn manifest(text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/dash+xml"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-encoding"),
    ];
    (headers, text).into_response()
}

/// A playlist that has been compressed for all viewers who take it so.
pub(super) fn compressed_playlist(body: &PlaylistBody, request: &HeaderMap) -> Response {
    if accepts_gzip(request) {
        let coding = [(header::CONTENT_ENCODING, "gzip")];
        return (coding, playlist(body.gzip.clone())).into_response();
    }
    playlist(body.plain.clone())
}

/// Pieces of CMAF under an address that always means the same bytes. The pieces are sent one after the other
/// from where they lie, not joined first. Kept only by the viewer's own cache: the picture is private.
pub(super) fn media(pieces: Vec<Bytes>, audio: bool) -> Response {
    let bytes_count: usize = pieces.iter().map(Bytes::len).sum();
    let kind = if audio { "audio/mp4" } else { "video/mp4" };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=300, immutable"),
    ];
    let mut pieces = pieces.into_iter();
    let body = match (pieces.next(), pieces.len()) {
        (Some(only), 0) => Body::from(only),
        (first, _) => Body::from_stream(futures_util::stream::iter(
            first
                .into_iter()
                .chain(pieces)
                .map(Ok::<_, std::convert::Infallible>),
        )),
    };
    (headers, [(header::CONTENT_LENGTH, bytes_count)], body).into_response()
}

/// The number in `stem` of an address such as `init-7.mp4`.
pub(super) fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    // `parse` takes a leading `+`; an address must mean one thing only.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// What the last name of a media address asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MediaFile {
    /// `init-{run}.mp4`
    Init(u64),
    /// `{msn}.m4s`
    Segment(u64),
    /// `{msn}.{index}.m4s`
    Part(u64, u32),
}

impl MediaFile {
    /// Reads a name.
    pub(super) fn parse(name: &str) -> Result<Self, Problem> {
        let parsed = if let Some(run) = name
            .strip_prefix("init-")
            .and_then(|n| n.strip_suffix(".mp4"))
        {
            number(run).map(Self::Init)
        } else if let Some(stem) = name.strip_suffix(".m4s") {
            match stem.split_once('.') {
                None => number(stem).map(Self::Segment),
                Some((msn, index)) => number(msn)
                    .zip(number(index))
                    .map(|(m, i)| Self::Part(m, i)),
            }
        } else {
            None
        };
        parsed.ok_or_else(|| Problem::not_found(format!("`{name}` is no segment, part or header")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_names_mean_one_thing_each() {
        for (name, expected) in [
            ("init-7.mp4", Some(MediaFile::Init(7))),
            ("12.m4s", Some(MediaFile::Segment(12))),
            ("12.3.m4s", Some(MediaFile::Part(12, 3))),
            ("+12.m4s", None),
            ("-1.m4s", None),
            (".m4s", None),
            ("1.2.3.m4s", None),
            ("99999999999999999999.m4s", None),
            ("init-.mp4", None),
            ("x.mp4", None),
        ] {
            assert_eq!(MediaFile::parse(name).ok(), expected, "{name}");
        }
    }
}
