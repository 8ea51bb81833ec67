//! Reads what a request says into our own types; what does not fit becomes a problem that names the part.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, RawQuery};
use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;

use super::problem::Problem;
use crate::base::{CameraId, Wall};
use crate::media::RenditionId;

/// Entries of a list in one answer, unless another number is asked for.
const LIMIT_DEFAULT: u32 = 100;
/// The most that may be asked for.
const LIMIT_MAX: u32 = 1000;

/// The decoded names in an address's path, in order.
pub(super) struct Path(pub(super) Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = axum::extract::RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad_request(format!("the address: {error}")))?;
        Ok(Self(
            params.iter().map(|(_, value)| value.to_owned()).collect(),
        ))
    }
}

impl Path {
    /// The first name, which is always a camera's.
    pub(super) fn camera(&self) -> Result<CameraId, Problem> {
        self.at(0)
            .parse()
            .map_err(|error| Problem::not_found(format!("{error}")))
    }

    /// The second name, which is always a rendition's.
    pub(super) fn rendition(&self) -> Result<RenditionId, Problem> {
        let text = self.at(1);
        text.parse()
            .map_err(|()| Problem::not_found(format!("`{text}` is no rendition")))
    }

    /// The name at `index`, empty if there is none.
    pub(super) fn at(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }
}

/// The query's parameters, percent-decoded. Of a repeated one the last counts.
pub(super) struct Query(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
        let query = query.unwrap_or_default();
        Ok(Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        ))
    }
}

impl Query {
    /// The text of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A camera's name.
    pub(super) fn camera(&self, name: &str) -> Result<Option<CameraId>, Problem> {
        let parsed = self.get(name).map(str::parse).transpose();
        parsed.map_err(|error| Problem::bad_request(format!("{name}: {error}")))
    }

    /// A moment in RFC 3339. A `+` that arrived undecoded as a space is taken for what was meant.
    pub(super) fn moment(&self, name: &str) -> Result<Option<Wall>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        Wall::parse_rfc3339(&text.replace(' ', "+"))
            .map(Some)
            .ok_or_else(|| {
                Problem::bad_request(format!(
                    "{name}: `{text}` is no moment; write RFC 3339 such as 2026-11-21T08:00:00Z"
                ))
            })
    }

    /// A moment that cannot be left out.
    pub(super) fn needed_moment(&self, name: &str) -> Result<Wall, Problem> {
        self.moment(name)?.ok_or_else(|| {
            Problem::bad_request(format!(
                "{name}: is missing; write RFC 3339 such as 2026-11-21T08:00:00Z"
            ))
        })
    }

    /// A whole number within a range.
    pub(super) fn number(
        &self,
        name: &str,
        (low, high): (u32, u32),
    ) -> Result<Option<u32>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) if (low..=high).contains(&value) => Ok(Some(value)),
            _ => Err(Problem::bad_request(format!(
                "{name}: `{text}` is no whole number from {low} to {high}"
            ))),
        }
    }

    /// How many entries of a list are asked for, by `limit`.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let limit = self.number("limit", (1, LIMIT_MAX))?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT) as usize)
    }
}

/// Whether the client takes gzip (RFC 9110 §12.5.3).
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|v| v.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight
            .trim()
            .strip_prefix("q=")
            .is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q == 0.0));
        matches!(name.trim(), "gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_unless_it_is_refused() {
        for (value, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("*", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::ACCEPT_ENCODING,
                value.parse().expect("a valid header"),
            );
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
    }
}
