//! Which bytes of a representation a request wants (RFC 9110 §13 and §14). One range; of several the whole is sent,
//! as §14.2 allows.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, header};

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that there are not: 416.
    Unsatisfiable,
    /// Nothing, for the client has it: 304.
    NotModified,
}

/// Reads what is wanted of `total` bytes with this strong `etag`, quotes and all.
pub(super) fn wanted(headers: &HeaderMap, total: u64, etag: &str) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let known = text(header::IF_NONE_MATCH).unwrap_or_default();
    let mut tags = known
        .split(',')
        .map(|tag| tag.trim().trim_start_matches("W/"));
    if tags.any(|tag| tag == etag || tag == "*") {
        return Wanted::NotModified;
    }
    // A date never tells that nothing has changed (§13.1.5 wants a strong validator).
    if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
        return Wanted::Whole;
    }
    text(header::RANGE).map_or(Wanted::Whole, |range| parse(range, total))
}

/// A header that makes no sense is ignored (§14.1.2, §14.2).
fn parse(range: &str, total: u64) -> Wanted {
    let Some((unit, (first, last))) = range
        .split_once('=')
        .and_then(|(unit, set)| Some((unit, set.split_once('-')?)))
    else {
        return Wanted::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let (first, last) = (first.trim(), last.trim());
    let part = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(total),
        (Some(first), None) if last.is_empty() => first..total,
        (None, Some(count)) if first.is_empty() => total.saturating_sub(count)..total,
        _ => return Wanted::Whole,
    };
    if part.is_empty() {
        return Wanted::Unsatisfiable;
    }
    Wanted::Part(part)
}

/// More digits than a number has lie behind every end.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_clients_write_them() {
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=10-", Wanted::Part(10..100)),
            ("bytes=10-19", Wanted::Part(10..20)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=0-18446744073709551615", Wanted::Part(0..100)),
            ("Bytes = 2-4", Wanted::Part(2..5)),
            ("bytes=7-99999999999999999999999", Wanted::Part(7..100)),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=19-10", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=1-b", Wanted::Whole),
            ("", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().expect("a header"));
            assert_eq!(wanted(&headers, 100, "\"a\""), expected, "{range}");
        }
    }

    #[test]
    fn nothing_has_no_part() {
        for range in ["bytes=0-", "bytes=-5"] {
            assert_eq!(parse(range, 0), Wanted::Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn conditions_come_before_the_range() {
        let check = |name: HeaderName, value: &str, expected| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, "bytes=1-2".parse().expect("a header"));
            headers.insert(name, value.parse().expect("a header"));
            assert_eq!(wanted(&headers, 100, "\"a\""), expected, "{value}");
        };
        check(header::IF_RANGE, "\"a\"", Wanted::Part(1..3));
        check(header::IF_RANGE, "\"b\"", Wanted::Whole);
        check(
            header::IF_RANGE,
            "Sat, 21 Nov 2026 10:00:00 GMT",
            Wanted::Whole,
        );
        check(header::IF_NONE_MATCH, "\"b\", W/\"a\"", Wanted::NotModified);
        check(header::IF_NONE_MATCH, "*", Wanted::NotModified);
        check(header::IF_NONE_MATCH, "\"b\"", Wanted::Part(1..3));
        check(header::IF_NONE_MATCH, "\"x\", W/\"a\"", Wanted::NotModified);
    }
}
