//! Files imported on the command line, and what an appliance then makes of them.

use std::process::Command;

use crate::harness::{Appliance, data_dir, perch};

/// Runs `perch` with these arguments to its end; returns what it answered for programs.
pub(crate) fn answer(arguments: &[&str]) -> serde_json::Value {
    let output = Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_perch")])
        .args(arguments)
        .arg("--json")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    json(&String::from_utf8_lossy(&output.stdout))
}

pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn imported_files_are_counted_once_and_served_until_they_are_removed() {
    let (folder, data) = data_dir();
    let film = folder.path().join("film.mp4");
    let noise = (0..300_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    let bytes: Vec<u8> = b"\0\0\0\x18ftypisom\0\0\0\0isommp42"
        .iter()
        .copied()
        .chain(noise)
        .collect();
    std::fs::write(&film, &bytes).expect("a file");
    let (film, data_text) = (film.to_str().expect("text"), data.to_str().expect("text"));
    let when = ["--camera", "test", "--at", "2026-11-21T08:00:00Z"];
    let told = answer(&[&["import", film, film, "--data", data_text][..], &when].concat());
    assert_eq!(told[0]["new_bytes"], bytes.len());
    assert_eq!(
        (&told[1]["new_bytes"], &told[1]["media"]),
        (&0.into(), &"video".into())
    );
    let (done, said) = perch(&["import", "/dev/null", "..", film, "--data", data_text]);
    assert!(!done && said.contains("no regular file"), "{said}");
    let report = answer(&["store", "gc", "--data", data_text]);
    assert_eq!(report["bytes_freed"], 0);
    let sums = answer(&["store", "stats", "--data", data_text]);
    assert_eq!(sums["unique_bytes"], bytes.len());
    assert_eq!(sums["dedup_ratio"], 3.0);

    let appliance = Appliance::start(&data);
    let items = json(appliance.get("/api/v1/items").text());
    let item = &items["items"][0];
    assert_eq!(
        (&item["name"], &item["media"]),
        (&"film.mp4".into(), &"video".into())
    );
    let line = "/api/v1/timeline?camera=test&from=2026-11-21T07:59:59Z&to=2026-11-21T08:00:01Z";
    let line = json(appliance.get(line).text());
    assert_eq!(line["imports"].as_array().map(Vec::len), Some(2));
    let address = format!("/api/v1/items/{}", item["id"].as_str().expect("an id"));
    assert_eq!(json(appliance.get(&address).text())["id"], item["id"]);
    let content = format!("{address}/content");
    let whole = appliance.get(&content);
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert!(whole.body == bytes);
    let part = appliance.get_with(&content, "Range: bytes=100-299\r\n");
    assert_eq!((part.status, part.body == bytes[100..300]), (206, true));
    let first = json(appliance.get("/api/v1/items?limit=1").text());
    assert_eq!(first["items"][0]["id"], item["id"]);
    let delete =
        format!("DELETE {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(appliance.raw(&delete).status, 204);
    for gone in [&address, &content, "/api/v1/items/x"] {
        let refused = appliance.get(gone);
        assert_eq!(refused.status, 404);
        refused.problem();
    }
    // The list goes on behind it all the same.
    let next = first["next"].as_str().expect("there is more");
    let second = json(
        appliance
            .get(&format!("/api/v1/items?limit=1&before={next}"))
            .text(),
    );
    assert_eq!(second["items"][0]["id"], items["items"][1]["id"]);
    let gone = format!(
        "/api/v1/items?before={}",
        item["id"].as_str().expect("an id")
    );
    let gone = appliance.get(&gone);
    assert_eq!(gone.status, 410);
    gone.problem();
    assert_eq!(appliance.get("/api/v1/items?before=x").status, 400);
}
