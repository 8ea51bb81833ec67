//! The HTTP surface over a real socket, with a real encoder behind it: what players and clients that lie get to see.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Appliance, Response, hinted};

fn get(path: &str) -> Response {
    Appliance::shared().get(path)
}

fn get_with(path: &str, headers: &str) -> Response {
    Appliance::shared().get_with(path, headers)
}

#[test]
fn every_quality_is_listed_and_plays_from_its_playlist() {
    let master = get("/live/test/master.m3u8");
    assert_eq!(master.status, 200);
    assert_eq!(
        master.header("content-type"),
        Some("application/vnd.apple.mpegurl")
    );
    let variants: Vec<_> = master
        .text()
        .lines()
        .filter(|l| !l.starts_with('#'))
        .collect();
    assert_eq!(variants, ["very_low/index.m3u8", "low/index.m3u8"]);
    for variant in variants {
        let playlist = get(&format!("/live/test/{variant}"));
        assert_eq!(playlist.status, 200);
        assert_eq!(playlist.header("cache-control"), Some("no-cache"));
        let folder = variant.split('/').next().expect("a folder");
        let named: Vec<_> = playlist
            .text()
            .lines()
            .filter(|line| line.starts_with("#EXT-X-PART:") || line.starts_with("#EXT-X-MAP"))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert!(named.len() >= 2, "{}", playlist.text());
        for name in named {
            let media = get(&format!("/live/test/{folder}/{name}"));
            assert_eq!(
                (media.status, media.header("content-type")),
                (200, Some("video/mp4")),
                "{name}"
            );
            assert_eq!(
                media.header("content-length"),
                Some(media.body.len().to_string().as_str())
            );
            assert!(
                media
                    .header("cache-control")
                    .is_some_and(|c| c.contains("immutable"))
            );
        }
    }
}

#[test]
fn a_blocking_reload_has_the_part_that_was_asked_for_and_a_hinted_part_comes_whole() {
    let before = get("/live/test/low/index.m3u8");
    let (msn, part) = hinted(before.text());
    let after = get(&format!(
        "/live/test/low/index.m3u8?_HLS_msn={msn}&_HLS_part={part}"
    ));
    assert_eq!(after.status, 200);
    let (msn_after, part_after) = hinted(after.text());
    assert!((msn_after, part_after) > (msn, part), "{}", after.text());
    let next = get(&format!("/live/test/low/{msn_after}.{part_after}.m4s"));
    assert_eq!((next.status, &next.body[4..8]), (200, &b"moof"[..]));
    let declared = u32::from_be_bytes(next.body[..4].try_into().expect("four bytes")) as usize;
    let mdat = u32::from_be_bytes(
        next.body[declared..declared + 4]
            .try_into()
            .expect("four bytes"),
    );
    assert_eq!(
        declared + mdat as usize,
        next.body.len(),
        "one whole fragment"
    );
}

#[test]
fn parts_joined_are_the_segments_bytes() {
    let (msn, _) = hinted(get("/live/test/very_low/index.m3u8").text());
    // The segment is complete once the next one has its first part.
    let next = msn + 1;
    assert_eq!(
        get(&format!(
            "/live/test/very_low/index.m3u8?_HLS_msn={next}&_HLS_part=0"
        ))
        .status,
        200
    );
    let segment = get(&format!("/live/test/very_low/{msn}.m4s"));
    assert_eq!(segment.status, 200);
    let joined: Vec<u8> = (0..6)
        .flat_map(|index| get(&format!("/live/test/very_low/{msn}.{index}.m4s")).body)
        .collect();
    assert!(segment.body == joined);
}

#[test]
fn a_delta_playlist_comes_when_asked_and_playlists_are_compressed_for_those_who_take_it() {
    let gzip = get_with("/live/test/low/index.m3u8", "Accept-Encoding: gzip\r\n");
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&gzip.body[..])
        .read_to_string(&mut text)
        .expect("gzip");
    assert!(text.starts_with("#EXTM3U"));
    let plain = get_with("/live/test/low/index.m3u8", "Accept-Encoding: gzip;q=0\r\n");
    assert_eq!(plain.header("content-encoding"), None);
    // A delta skips what is twelve seconds old, so there has to be something that old.
    let delta = (0..12).find_map(|_| {
        Appliance::shared().wait_segment("low");
        let delta = get("/live/test/low/index.m3u8?_HLS_skip=YES");
        assert_eq!(delta.status, 200);
        delta.text().contains("#EXT-X-SKIP:").then_some(delta)
    });
    let delta = delta.expect("a delta");
    let skipped: usize = delta
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS="))
        .and_then(|count| count.parse().ok())
        .expect("a count");
    let listed = |text: &str| text.matches("#EXTINF:").count();
    let full = get("/live/test/low/index.m3u8");
    assert!(skipped >= 1 && listed(full.text()) >= skipped + listed(delta.text()));
}

#[test]
fn a_recordings_playlists_are_compressed_for_those_who_take_it() {
    let recorded = (0..10).any(|_| {
        Appliance::shared().wait_segment("low");
        get("/recordings/test/master.m3u8").status == 200
    });
    assert!(recorded);
    for playlist in ["master.m3u8", "low/index.m3u8"] {
        let path = format!("/recordings/test/{playlist}");
        let gzip = get_with(&path, "Accept-Encoding: gzip\r\n");
        assert_eq!(gzip.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(gzip.header("vary"), Some("accept-encoding"));
        assert_eq!(get(&path).header("content-encoding"), None);
    }
}

#[test]
fn malformed_requests_get_a_problem_that_says_what_is_wrong() {
    for (path, status, detail) in [
        ("/live/test/low/index.m3u8?_HLS_part=1", 400, "_HLS_msn"),
        ("/live/test/low/index.m3u8?_HLS_msn=x", 400, "_HLS_msn"),
        (
            "/live/test/low/index.m3u8?_HLS_msn=18446744073709551615",
            400,
            "_HLS_msn",
        ),
        ("/live/test/low/index.m3u8?_HLS_msn=-1", 400, "_HLS_msn"),
        ("/live/test/ultra/index.m3u8", 404, "ultra"),
        ("/live/nobody/master.m3u8", 404, "nobody"),
        ("/live/..%2f..%2fetc/master.m3u8", 404, "camera name"),
        ("/live/%ff/master.m3u8", 400, "address"),
        ("/live/test/low/999999.m4s", 404, "live window"),
        ("/live/test/low/999999.0.m4s", 404, "live window"),
        ("/live/test/low/passwd", 404, "passwd"),
        ("/recordings/test/master.m3u8?from=yesterday", 400, "from"),
        (
            "/recordings/test/master.m3u8?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            400,
            "not after",
        ),
        (
            "/recordings/test/master.m3u8?from=2999-01-01T00:00:00Z&to=2999-01-01T01:00:00Z",
            400,
            "future",
        ),
        (
            "/recordings/test/master.m3u8?from=2001-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
            400,
            "24 hours",
        ),
        (
            "/recordings/test/master.m3u8?from=2001-01-01T00:00:00Z&to=2001-01-01T01:00:00Z",
            404,
            "nothing",
        ),
        ("/recordings/test/high/1.0.m4s", 404, "not recorded"),
        ("/api/v1/cameras/test/still.jpg?width=9999999", 400, "width"),
        ("/api/v1/cameras/nobody/still.jpg", 404, "no such camera"),
        ("/api/v1/nothing", 404, "address"),
        ("/../../etc/passwd", 404, "address"),
    ] {
        let response = get(path);
        assert_eq!(response.status, status, "{path}");
        let found = response.problem();
        assert!(found.contains(detail), "{path}: {found}");
    }
    let post = Appliance::shared().raw("POST /live/test/master.m3u8 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(post.status, 405);
    post.problem();
    let post = Appliance::shared().raw(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(
        (post.status, post.header("allow")),
        (405, Some("GET, HEAD"))
    );
    // RFC 9112 §3.2.
    let nameless = Appliance::shared().raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(nameless.status, 400);
    assert!(nameless.problem().contains("Host"));
}

#[test]
fn a_foreign_name_for_this_machine_is_turned_away() {
    let request = "GET /api/v1/cameras HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let response = Appliance::shared().raw(request);
    assert_eq!(response.status, 421);
    let detail = response.problem();
    assert!(detail.contains("evil.example") && detail.contains("server.names"));
}

#[test]
fn a_page_of_another_site_is_turned_away_and_a_link_is_followed() {
    let from = |mode| {
        let headers = format!("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: {mode}\r\n");
        get_with("/api/v1/cameras", &headers)
    };
    let refused = from("no-cors");
    assert_eq!(refused.status, 403);
    assert!(refused.problem().contains("another site"));
    let followed = from("navigate");
    assert_eq!(
        (
            followed.status,
            followed.header("cross-origin-resource-policy")
        ),
        (200, Some("same-origin"))
    );
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a small frame");
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
    frame.extend(payload);
    frame
}

#[test]
fn http_2_is_spoken_to_those_who_begin_with_it() {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    // HPACK (RFC 7541): GET and http from its table, then :path and :authority as literals.
    let mut fields = vec![0x82, 0x86];
    for (name, value) in [(4, "/live/test/master.m3u8"), (1, "localhost")] {
        fields.extend([name, value.len() as u8]);
        fields.extend(value.as_bytes());
    }
    let mut stream = TcpStream::connect(Appliance::shared().address).expect("connected");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    request.extend(frame(SETTINGS, 0, 0, &[]));
    request.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields));
    stream.write_all(&request).expect("sent");

    let (mut kinds, mut status, mut body) = (Vec::new(), None, Vec::new());
    loop {
        let mut head = [0_u8; 9];
        stream.read_exact(&mut head).expect("a frame");
        let [_, high, low, kind, flags, ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        stream.read_exact(&mut payload).expect("its payload");
        kinds.push(kind);
        match kind {
            HEADERS => status = payload.first().copied(),
            DATA => body.extend(payload),
            _ => continue,
        }
        if flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(kinds[0], SETTINGS, "the server's preface");
    assert_eq!(status, Some(0x88), ":status 200 by HPACK's table");
    let text = String::from_utf8(body).expect("text");
    assert!(
        text.starts_with("#EXTM3U") && text.ends_with("index.m3u8\n"),
        "{text}"
    );
}

#[test]
fn the_page_the_api_and_the_counters_answer() {
    let page = get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html"))
    );
    assert!(page.header("content-security-policy").is_some());
    let tag = page.header("etag").expect("a tag").to_owned();
    assert_eq!(
        get_with("/", &format!("If-None-Match: {tag}\r\n")).status,
        304
    );

    let cameras: serde_json::Value =
        serde_json::from_slice(&get("/api/v1/cameras").body).expect("JSON");
    assert_eq!(cameras["cameras"][0]["id"], "test");
    assert_eq!(
        cameras["cameras"][0]["rungs"].as_array().map(Vec::len),
        Some(2)
    );

    // The first picture may still be on its way.
    let still = (0..50)
        .map(|_| get("/api/v1/cameras/test/still.jpg?width=320"))
        .find(|still| {
            std::thread::sleep(Duration::from_millis(100));
            still.status == 200
        });
    let still = still.expect("a still");
    assert_eq!(&still.body[..2], [0xFF, 0xD8], "JPEG begins with SOI");

    let health: serde_json::Value = serde_json::from_slice(&get("/healthz").body).expect("JSON");
    assert_eq!(health["live"], true);
    let metrics = get("/metrics");
    for line in [
        "perch_capture_frame_copies_total{camera=\"test\"} 0",
        "perch_encode_frame_copies_total{camera=\"test\"} 0",
        "# TYPE perch_camera_live gauge",
        "perch_camera_live{camera=\"test\"} 1.0",
    ] {
        assert!(metrics.text().lines().any(|l| l == line), "{line}");
    }
    assert!(metrics.text().ends_with("# EOF\n"));
}
