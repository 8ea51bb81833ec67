//! The line of time, clips and the disk's forecast over HTTP, on recordings that are being made meanwhile.

use crate::harness::{Appliance, Response};

fn get(path: &str) -> Response {
    Appliance::shared().get(path)
}

fn json(response: &Response) -> serde_json::Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

fn post_clip(kind: &str, body: &str) -> Response {
    Appliance::shared().raw(&format!(
        "POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn delete(path: &str) -> Response {
    Appliance::shared().raw(&format!(
        "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    ))
}

/// The line of time once something is recorded.
fn recorded_line() -> serde_json::Value {
    (0..20)
        .map(|_| {
            Appliance::shared().wait_segment("low");
            json(&get("/api/v1/timeline?camera=test&resolution=60"))
        })
        .find(|line| {
            line["spans"]
                .as_array()
                .is_some_and(|spans| !spans.is_empty())
        })
        .expect("something is recorded")
}

#[test]
fn a_stretch_of_the_timeline_is_kept_as_a_clip_until_that_is_removed() {
    let line = recorded_line();
    assert_eq!(line["resolution_s"], 60.0);
    let span = &line["spans"][0];
    let body = serde_json::json!({
        "camera": "test", "from": span["from"], "to": span["to"], "name": "the visitor",
    });
    let made = post_clip("application/json", &body.to_string());
    assert_eq!(made.status, 201, "{}", made.text());
    let clip = json(&made);
    let address = format!("/api/v1/clips/{}", clip["id"]);
    assert_eq!(made.header("location"), Some(&address[..]));
    assert_eq!(
        (&clip["name"], &clip["from"]),
        (&body["name"], &span["from"])
    );

    let all = json(&get("/api/v1/clips"));
    let listed = all["clips"].as_array().expect("a list");
    assert!(listed.contains(&clip));
    // In pieces as well, the newest first.
    let mut starts = Vec::new();
    let mut page = json(&get("/api/v1/clips?limit=1"));
    while page["clips"][0] != clip {
        starts.push(page["clips"][0]["from"].to_string());
        let next = page["next"].as_str().expect("the clip is still to come");
        page = json(&get(&format!("/api/v1/clips?limit=1&before={next}")));
        assert_eq!(page["clips"].as_array().map(Vec::len), Some(1));
    }
    starts.push(clip["from"].to_string());
    assert!(starts.is_sorted_by(|later, earlier| later >= earlier));
    assert_eq!(
        json(&get("/api/v1/clips?camera=nobody"))["clips"],
        serde_json::json!([])
    );
    let marked = json(&get("/api/v1/timeline?camera=test"));
    assert_eq!(marked["clips"][0]["id"], clip["id"]);

    assert_eq!(delete(&address).status, 204);
    let again = delete(&address);
    assert_eq!(again.status, 404);
    again.problem();
}

#[test]
fn the_disk_and_its_forecast_are_told() {
    let store = json(&get("/api/v1/store"));
    assert_eq!(store["state"], "recording");
    let disk = &store["disk"];
    let bytes = |name: &str| disk[name].as_u64().expect("a number");
    assert!(bytes("total_bytes") >= bytes("free_bytes") && bytes("keep_free_bytes") > 0);
    recorded_line();
    let recorded = json(&get("/api/v1/store"));
    assert!(recorded["recordings"]["bytes"].as_u64() > Some(0));
    let sum = |name: &str| recorded[name].as_u64().expect("a number");
    assert!(sum("logical_bytes") >= sum("unique_bytes") && sum("unique_bytes") > 0);
    assert!(sum("physical_bytes") > sum("unique_bytes"));
    let sources = recorded["sources"].as_array().expect("a list");
    let names: Vec<_> = sources.iter().map(|one| &one["source"]).collect();
    assert_eq!(names, ["recordings", "clips", "imports", "uploads"]);
    assert!(recorded["dedup_ratio"].as_f64() >= Some(1.0));
    // Too little is recorded to tell.
    assert_eq!(store["forecast"]["state"], "unknown");
    let metrics = get("/metrics");
    assert!(metrics.text().contains("\nperch_store_recordings_bytes{} "));
    assert!(!metrics.text().contains("perch_store_days_left"));
}

#[test]
fn what_cannot_be_kept_or_told_gets_a_problem() {
    let clip = |from: &str, to: &str| format!(r#"{{"camera":"test","from":"{from}","to":"{to}"}}"#);
    let (early, late) = ("2001-01-01T00:00:00Z", "2001-01-01T00:01:00Z");
    for (kind, body, status, detail) in [
        ("text/plain", clip(early, late), 415, "application/json"),
        ("application/json", "{".to_owned(), 400, "body"),
        ("application/json", clip("soon", late), 400, "from"),
        ("application/json", clip(late, early), 400, "later than"),
        (
            "application/json",
            clip(early, "2999-01-01T00:00:00Z"),
            400,
            "future",
        ),
        (
            "application/json",
            clip("2000-12-31T00:00:59Z", late),
            400,
            "at most 24 hours",
        ),
        ("application/json", clip(early, late), 404, "nothing"),
        ("application/json", " ".repeat(20_000), 413, "16 KiB"),
    ] {
        let response = post_clip(kind, &body);
        assert_eq!(response.status, status, "{body}");
        let found = response.problem();
        assert!(found.contains(detail), "{body}: {found}");
    }
    assert_eq!(delete("/api/v1/clips/x").status, 404);
    for (path, status, detail) in [
        ("/api/v1/timeline", 400, "camera"),
        ("/api/v1/timeline?camera=..%2f", 400, "camera"),
        (
            "/api/v1/timeline?camera=test&resolution=0",
            400,
            "resolution",
        ),
        (
            "/api/v1/timeline?camera=test&from=2999-01-01T00:00:00Z",
            400,
            "not after",
        ),
        (
            "/api/v1/timeline?camera=test&from=2999-01-01T00:00:00Z&to=2999-01-02T00:00:00Z",
            400,
            "future",
        ),
        (
            "/api/v1/timeline?camera=test&from=1001-01-01T00:00:00Z",
            400,
            "eleven years",
        ),
        ("/api/v1/clips?camera=%20", 400, "camera"),
        ("/api/v1/clips?limit=1001", 400, "from 1 to 1000"),
        ("/api/v1/clips?before=yesterday", 400, "before"),
    ] {
        let response = get(path);
        assert_eq!(response.status, status, "{path}");
        let found = response.problem();
        assert!(found.contains(detail), "{path}: {found}");
    }
}

#[test]
fn a_recorded_moment_has_a_picture_and_any_other_has_none() {
    let line = recorded_line();
    let from = line["spans"][0]["from"].as_str().expect("a moment");
    let still = get(&format!("/recordings/test/still.jpg?at={from}&width=160"));
    assert_eq!(still.status, 200, "{}", still.head);
    assert_eq!(still.header("content-type"), Some("image/jpeg"));
    assert_eq!(&still.body[..2], [0xFF, 0xD8], "JPEG begins with SOI");
    for (path, status, detail) in [
        ("/recordings/test/still.jpg", 400, "at"),
        ("/recordings/test/still.jpg?at=noon", 400, "at"),
        (
            "/recordings/test/still.jpg?at=2001-01-01T00:00:00Z",
            404,
            "no picture",
        ),
        (
            "/recordings/nobody/still.jpg?at=2001-01-01T00:00:00Z",
            404,
            "no picture",
        ),
    ] {
        let response = get(path);
        assert_eq!(response.status, status, "{path}");
        let found = response.problem();
        assert!(found.contains(detail), "{path}: {found}");
    }
}
