//! Stretches of a recording as files and as DASH: saved by a client that breaks off, played by players, made by
//! `perch clip` beside the running appliance.

use std::process::Command;

use crate::harness::{Appliance, Response, perch};

fn get(path: &str) -> Response {
    Appliance::shared().get(path)
}

fn json(response: &Response) -> serde_json::Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

fn plus_ms(moment: &str, ms: i64) -> String {
    let moment: jiff::Timestamp = moment.parse().expect("a moment");
    let moved = moment.as_millisecond() + ms;
    jiff::Timestamp::from_millisecond(moved)
        .expect("a moment")
        .to_string()
}

/// The first label of the recording, once seven seconds of it are there.
fn start() -> String {
    let recorded_s = |line: &serde_json::Value| {
        let edge = |name: &str| {
            line["spans"][0][name]
                .as_str()?
                .parse::<jiff::Timestamp>()
                .ok()
        };
        let (from, to) = (edge("from")?, edge("to")?);
        Some(to.as_millisecond() - from.as_millisecond())
    };
    let line = (0..30)
        .map(|_| {
            Appliance::shared().wait_segment("low");
            json(&get("/api/v1/timeline?camera=test&resolution=60"))
        })
        .find(|line| recorded_s(line).is_some_and(|ms| ms >= 7_000))
        .expect("something is recorded");
    line["spans"][0]["from"]
        .as_str()
        .expect("a moment")
        .to_owned()
}

/// Pictures and seconds that ffprobe finds in a file, of which it must not complain.
fn probe(bytes: &[u8]) -> (u64, f64, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mp4");
    std::fs::write(&path, bytes).expect("written");
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries"])
        .args([
            "stream=codec_name,nb_read_frames:format=duration",
            "-of",
            "json",
        ])
        .arg(&path)
        .output()
        .expect("ffprobe is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let number = |value: &serde_json::Value| value.as_str().and_then(|text| text.parse().ok());
    let streams = found["streams"].as_array().expect("streams");
    let codecs: Vec<_> = streams
        .iter()
        .filter_map(|one| one["codec_name"].as_str())
        .collect();
    (
        number(&streams[0]["nb_read_frames"]).expect("a count") as u64,
        number(&found["format"]["duration"]).expect("seconds"),
        codecs.join(" "),
    )
}

/// Verifies a clip with the box's public keys.
fn check_proof(clip: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("clip.mp4");
    std::fs::write(&path, clip).expect("written");
    let key = Appliance::shared().data.join("keys/box.pub");
    let (path, key) = (path.to_str().expect("text"), key.to_str().expect("text"));
    let (is_proven, said) = perch(&["verify", path, "--key", key]);
    assert!(is_proven, "{said}");
}

#[test]
fn a_stretch_is_saved_as_one_file_also_by_a_client_that_breaks_off() {
    let start = start();
    let (from, to) = (plus_ms(&start, 1_500), plus_ms(&start, 5_500));
    let address = format!("/recordings/test/clip.mp4?from={from}&to={to}");
    let whole = get(&address);
    assert_eq!(whole.status, 200, "{}", whole.head);
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let total = whole.body.len();
    assert_eq!(
        whole.header("content-length"),
        Some(total.to_string().as_str())
    );
    let name = whole.header("content-disposition").expect("a name");
    assert!(
        name.starts_with("attachment; filename=\"test_20") && name.ends_with(".mp4\""),
        "{name}"
    );

    let told = json(&get(&address.replace("clip.mp4", "clip.json")));
    assert_eq!(told["bytes"].as_u64(), Some(total as u64));
    assert_eq!(
        (&told["missing"], &told["rendition"]),
        (&serde_json::json!([]), &serde_json::json!("low"))
    );
    // However young it is.
    assert!(
        told["proven"] == true && told["unproven"].is_null(),
        "{told}"
    );
    check_proof(&whole.body);
    let (pictures, duration_s, codecs) = probe(&whole.body);
    assert_eq!(Some(pictures), told["pictures"].as_u64());
    assert!(
        (119..=121).contains(&pictures),
        "{pictures} pictures of four seconds"
    );
    assert!((duration_s - 4.0).abs() < 0.05, "{duration_s}");
    assert_eq!(codecs, "h264 aac");

    let etag = whole.header("etag").expect("a tag");
    let mut joined = Vec::new();
    while joined.len() < total {
        let last = (joined.len() + total / 5).min(total - 1);
        let headers = format!(
            "Range: bytes={}-{last}\r\nIf-Range: {etag}\r\n",
            joined.len()
        );
        let part = Appliance::shared().get_with(&address, &headers);
        assert_eq!(part.status, 206, "{}", part.head);
        let range = format!("bytes {}-{last}/{total}", joined.len());
        assert_eq!(part.header("content-range"), Some(range.as_str()));
        joined.extend(part.body);
    }
    assert!(joined == whole.body);
    for (headers, status) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("Range: bytes={total}-\r\n"), 416),
        (
            "Range: bytes=0-9\r\nIf-Range: \"another\"\r\n".to_owned(),
            200,
        ),
    ] {
        let answer = Appliance::shared().get_with(&address, &headers);
        assert_eq!(answer.status, status, "{headers}");
    }
    let head = Appliance::shared().raw(&format!(
        "HEAD {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        Some(total.to_string().as_str())
    );
}

#[test]
fn a_clip_says_where_its_file_is() {
    let start = start();
    let body = serde_json::json!({
        "camera": "test", "from": plus_ms(&start, 1_000), "to": plus_ms(&start, 4_000), "name": "to be taken along",
    });
    let body = body.to_string();
    let made = Appliance::shared().raw(&format!(
        "POST /api/v1/clips HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(made.status, 201, "{}", made.text());
    let clip = json(&made);
    let file = get(clip["download"].as_str().expect("an address"));
    assert_eq!(file.status, 200, "{}", file.head);
    let (pictures, ..) = probe(&file.body);
    assert!((89..=91).contains(&pictures), "{pictures}");
    let gone = get("/api/v1/clips/999999/download");
    assert_eq!(gone.status, 404);
    gone.problem();
}

#[test]
fn a_stretch_plays_over_dash() {
    let start = start();
    let address = format!(
        "/recordings/test/manifest.mpd?from={}&to={}",
        plus_ms(&start, 100),
        plus_ms(&start, 3_900)
    );
    let manifest = get(&address);
    assert_eq!(manifest.status, 200, "{}", manifest.head);
    assert_eq!(
        manifest.header("content-type"),
        Some("application/dash+xml")
    );
    let text = manifest.text();
    assert_eq!(text.matches("<Period ").count(), 1, "{text}");
    assert_eq!(text.matches("<Representation ").count(), 2, "{text}");
    // Both segments that the range touches.
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(Appliance::shared().url(&address))
        .args(["-map", "0:v:0", "-f", "framecrc", "-"])
        .output()
        .expect("ffmpeg is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let shown = String::from_utf8_lossy(&output.stdout);
    let pictures = shown.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(pictures, 120);
}

#[test]
fn a_stretch_becomes_a_time_lapse_and_a_strip() {
    let start = start();
    // Labels are the clock's, to a millisecond: the fourth picture may bear one that is early by that.
    let range = format!("from={start}&to={}", plus_ms(&start, 5_500));
    let file = get(&format!("/recordings/test/timelapse.mp4?{range}&length=1"));
    assert_eq!(file.status, 200, "{}", file.head);
    let (pictures, duration_s, codecs) = probe(&file.body);
    assert_eq!((pictures, duration_s, codecs.as_str()), (3, 1.0, "h264"));

    let strip = get(&format!(
        "/recordings/test/strip.jpg?{range}&count=5&width=90"
    ));
    assert_eq!(strip.status, 200, "{}", strip.head);
    assert_eq!(strip.header("content-type"), Some("image/jpeg"));
    let frame = strip
        .body
        .windows(2)
        .position(|two| two == [0xFF, 0xC0])
        .expect("a frame");
    let size = |at: usize| u16::from_be_bytes([strip.body[frame + at], strip.body[frame + at + 1]]);
    assert_eq!((size(7), size(5)), (5 * 96, 54));
}

#[test]
fn what_is_no_file_gets_a_problem() {
    let start = start();
    let (early, late) = ("2001-01-01T00:00:00Z", "2001-01-01T00:01:00Z");
    let next = plus_ms(&start, 2_000);
    for (path, status, detail) in [
        ("clip.mp4".to_owned(), 400, "from"),
        (
            format!("clip.mp4?from={early}&to={late}"),
            404,
            "no picture",
        ),
        (
            format!("clip.mp4?from={late}&to={early}"),
            400,
            "later than",
        ),
        (format!("clip.mp4?from={early}&to={start}"), 400, "24 hours"),
        (
            format!("clip.mp4?from={start}&to={next}&rendition=audio-low"),
            400,
            "very_low",
        ),
        (
            format!("clip.mp4?from={start}&to={next}&rendition=high"),
            404,
            "low is",
        ),
        (
            format!("timelapse.mp4?from={early}&to={late}"),
            404,
            "no picture",
        ),
        (
            format!("timelapse.mp4?from={start}&to={next}&speed=1"),
            400,
            "speed",
        ),
        (
            format!("timelapse.mp4?from={start}&to={next}&speed=9&length=9"),
            400,
            "one of them",
        ),
        (
            format!("strip.jpg?from={early}&to={late}"),
            404,
            "no picture",
        ),
        (
            format!("strip.jpg?from={start}&to={next}&count=61"),
            400,
            "count",
        ),
        (
            format!("strip.jpg?from={late}&to={early}"),
            400,
            "not after",
        ),
        (
            format!("manifest.mpd?from={early}&to={late}"),
            404,
            "nothing of test",
        ),
    ] {
        let response = get(&format!("/recordings/test/{path}"));
        assert_eq!(response.status, status, "{path}");
        let found = response.problem();
        assert!(found.contains(detail), "{path}: {found}");
    }
}

#[test]
fn perch_clip_writes_a_file_beside_the_running_appliance() {
    let start = start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = folder.path().join("visitor.mp4");
    let data = &Appliance::shared().data;
    let clip = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_perch"))
            .args(["clip", "--camera", "test", "--json", "--data"])
            .arg(data)
            .arg("-o")
            .arg(&output)
            .args(more)
            .output()
            .expect("it runs")
    };
    let (before, to) = (plus_ms(&start, -3_000), plus_ms(&start, 2_500));
    let range = ["--from", &before, "--to", &to];
    let made = clip(&range);
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    // Three seconds are missing, and that is said.
    assert_eq!(report["missing"].as_array().map(Vec::len), Some(1));
    let bytes = std::fs::read(&output).expect("the file");
    assert_eq!(report["bytes"].as_u64(), Some(bytes.len() as u64));
    assert!((74..=76).contains(&probe(&bytes).0));

    // What nobody asked for yet: the appliance has it signed.
    let line = json(&get("/api/v1/timeline?camera=test&resolution=60"));
    let newest = line["newest"].as_str().expect("a moment");
    let (young, end) = (plus_ms(newest, -4_500), plus_ms(newest, -2_500));
    let made = clip(&["--force", "--from", &young, "--to", &end]);
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert!(
        report["proven"] == true && report["unproven"].is_null(),
        "{report}"
    );
    let bytes = std::fs::read(&output).expect("the file");
    check_proof(&bytes);

    let again = clip(&range);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
    let lapse = clip(&[&range[..], &["--force", "--timelapse", "2"]].concat());
    assert!(lapse.status.success(), "{lapse:?}");
    assert_ne!(std::fs::read(&output).expect("the file"), bytes);
    assert!(
        !clip(&[
            "--force",
            "--from",
            "2001-01-01T00:00:00Z",
            "--to",
            "2001-01-01T00:01:00Z"
        ])
        .status
        .success()
    );
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").collect();
    assert_eq!(left.len(), 1, "nothing half-made stays");
}
