//! What requests carry: ranges lie in what there is, names and moments that are read mean what they say when they are
//! printed, a reload waits for nothing too far ahead, and no foreign name gets past the door. Numbers come first, then
//! lines, each of which is given to every reader. `./scripts/fuzz requests`

#![no_main]

use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::base::Wall;
use perch_fuzz::media::{PART_TARGET_MS, SEGMENT_DURATION_MS};
use perch_fuzz::playlist::{
    ADVANCE_PARTS_MAX, Directives, Edge, MSN_ADVANCE_MAX, ReloadDecision, ReloadPosition,
    decide_reload, init_name, part_name, segment_name,
};
use perch_fuzz::serve::{
    Conditions, Door, MediaName, Query, accepts_gzip, read_media_name, read_path, read_range,
};

const ETAG: &str = "\"a\"";
const OWN_NAME: &str = "Cams.Example.org";

fn range(line: &[u8], total: u64) {
    let conditions = Conditions {
        range: line,
        ..Conditions::default()
    };
    let plain = read_range(conditions, total, ETAG);
    match &plain {
        Ok(None) | Err(416) => {}
        Ok(Some(part)) => assert!(part.start < part.end && part.end <= total),
        Err(status) => panic!("{status}"),
    }
    let kept = Conditions {
        if_range: Some(ETAG.as_bytes()),
        ..conditions
    };
    assert_eq!(read_range(kept, total, ETAG), plain);
    let conditional = Conditions {
        if_range: Some(line),
        if_none_match: Some(line),
        range: b"bytes=0-0",
    };
    match read_range(conditional, total, ETAG) {
        Err(304) => {
            assert!(line.contains(&b'*') || line.windows(3).any(|tag| tag == ETAG.as_bytes()))
        }
        Ok(Some(part)) => assert!(part == (0..1) && total > 0),
        Ok(None) => {}
        Err(status) => assert!(status == 416 && total == 0),
    }
}

/// What is written as a range is what is read.
fn written_range(first: u64, last: u64, total: u64) {
    let read = |range: String| {
        let range = range.as_bytes();
        read_range(
            Conditions {
                range,
                ..Conditions::default()
            },
            total,
            ETAG,
        )
    };
    let part = |part: std::ops::Range<u64>| {
        if part.is_empty() {
            Err(416)
        } else {
            Ok(Some(part))
        }
    };
    let end = last.saturating_add(1).min(total);
    let expected = if first <= last {
        part(first..end)
    } else {
        Ok(None)
    };
    assert_eq!(read(format!("bytes={first}-{last}")), expected);
    assert_eq!(read(format!("bytes={first}-")), part(first..total));
    assert_eq!(
        read(format!("bytes=-{last}")),
        part(total.saturating_sub(last)..total)
    );
}

/// A name of the internet never passes, whatever it begins with, and what passes on this machine alone does so on the
/// network.
fn host(line: &[u8], port: u16, inside: &mut Door, outside: &mut Door) {
    assert!(!inside.opens(line) || outside.opens(line));
    let is_label = |byte: &u8| !b":[".contains(byte);
    let label: Vec<u8> = line.iter().copied().filter(is_label).collect();
    let port = format!(":{port}");
    for end in [".evil.example", ".evil.example.", ".10.0.0.1.evil"] {
        let name = [&label, end.as_bytes()].concat();
        assert!(!outside.opens(&name) && !outside.opens(&[&name, port.as_bytes()].concat()));
    }
}

fn query(line: &str, (low, high): (u32, u32)) {
    let Some(query) = Query::read(line) else {
        return;
    };
    for name in ["from", "to", "at", "a"] {
        if let Some(moment) = query.moment(name) {
            assert_eq!(
                Wall::parse_rfc3339(&moment.to_string()),
                Some(moment),
                "{moment}"
            );
            let again = Query::read(&format!("x={moment}")).expect("a moment stands in an address");
            assert_eq!(again.moment("x"), Some(moment));
        }
        if let Some(camera) = query.camera(name) {
            assert_eq!(query.get(name), Some(camera.as_str()));
        }
        assert!(
            query
                .number(name, (low, high))
                .is_none_or(|number| (low..=high).contains(&number))
        );
    }
}

/// Any text comes through a query as it is, and of two the last.
fn written_query(text: &str) {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let query = Query::read(&format!("a=1&b=2&a={encoded}")).expect("an address");
    assert_eq!((query.get("a"), query.get("b")), (Some(text), Some("2")));
}

fn names(line: &str) {
    let (camera, rendition) = read_path(line, line);
    assert!(camera.is_none_or(|camera| camera.as_str() == line));
    assert!(rendition.is_none_or(|rendition| rendition.to_string() == line));
    let name = read_media_name(line);
    let written = name.map(|name| match name {
        MediaName::Init(run) => init_name(run),
        MediaName::Segment(msn) => segment_name(msn),
        MediaName::Part(msn, index) => part_name(msn, index),
    });
    if let Some(written) = written {
        assert_eq!(read_media_name(&written), name);
        assert!(written.len() <= line.len());
    }
    if accepts_gzip(line.as_bytes()) {
        assert!(line.contains("gzip") || line.contains('*'));
    }
}

fn directives(line: &str, edge: Edge, ended: bool) {
    let Ok(read) = Directives::parse(line) else {
        return;
    };
    let Some(position) = read.position else {
        assert_eq!(
            decide_reload(read, Some(edge), ended),
            ReloadDecision::RespondNow
        );
        return;
    };
    let part = position.part.map(|part| format!("&_HLS_part={part}"));
    let skip = if read.skip { "&_HLS_skip=YES" } else { "" };
    let written = format!(
        "_HLS_msn={}{}{skip}",
        position.msn,
        part.unwrap_or_default()
    );
    assert_eq!(Directives::parse(&written), Ok(read));
    // An edge near what is asked for, or else hardly any would be.
    let edge = Edge {
        msn: position.msn.saturating_sub(2).saturating_add(edge.msn % 6),
        ..edge
    };
    match decide_reload(read, Some(edge), ended) {
        ReloadDecision::WaitFor(awaited) => {
            assert!(awaited == position && !ended);
            assert!(position.msn <= edge.msn.saturating_add(MSN_ADVANCE_MAX));
            assert!(parts_ahead(position, edge) <= ADVANCE_PARTS_MAX);
            if let Some(msn) = position.msn.checked_add(1) {
                let later = Edge {
                    msn,
                    part: 0,
                    ..edge
                };
                assert_eq!(
                    decide_reload(read, Some(later), ended),
                    ReloadDecision::RespondNow
                );
            }
        }
        ReloadDecision::RespondNow => {
            assert!(ended || edge.msn >= position.msn);
            let later = Edge {
                part: edge.part.saturating_add(1),
                ..edge
            };
            assert_eq!(
                decide_reload(read, Some(later), ended),
                ReloadDecision::RespondNow
            );
        }
        ReloadDecision::BadRequest(_) => assert!(!ended && edge.msn <= position.msn),
    }
}

/// How many parts the newest has to be followed by until a position is there, in segments of as few as there are.
fn parts_ahead(position: ReloadPosition, edge: Edge) -> u64 {
    let parts = u64::from(SEGMENT_DURATION_MS.div_ceil(PART_TARGET_MS));
    let Some(part) = position.part else {
        return 0;
    };
    ((position.msn - edge.msn) * parts + u64::from(part)).saturating_sub(edge.part.into())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((numbers, lines)) = bytes.split_first_chunk::<20>() else {
        return;
    };
    let word = |at: usize| u64::from_be_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    // Small ones as often as large ones.
    let total = word(0) >> (numbers[16] % 64);
    let other = word(8) >> (numbers[17] % 64);
    written_range(other, word(8), total);
    written_range(other, total, other.wrapping_add(total));
    let edge = Edge {
        msn: total,
        part: (numbers[18] % 16).into(),
        complete: numbers[19] & 1 == 1,
    };
    let mut inside = Door::new(Ipv4Addr::LOCALHOST.into(), OWN_NAME);
    let mut outside = Door::new(Ipv4Addr::UNSPECIFIED.into(), OWN_NAME);
    let written = format!("_HLS_msn={}&_HLS_part={}", other, numbers[17] % 32);
    directives(&written, edge, false);
    for line in lines.split(|&byte| byte == b'\n').take(8) {
        range(line, total);
        host(line, total as u16, &mut inside, &mut outside);
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        query(line, (numbers[16].into(), other as u32));
        written_query(line);
        names(line);
        directives(line, edge, numbers[19] & 2 != 0);
    }
});
