//! `perch doctor`: what it finds, and that it leaves nothing behind.

use std::path::Path;
use std::process::Command;

/// Runs it in a folder; returns what it answers programs.
fn examine(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = Command::new("timeout")
        // Every encoder is tried, for five seconds at most.
        .args(["60", env!("CARGO_BIN_EXE_perch"), "doctor", "--json"])
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .current_dir(folder)
        .env_remove("PERCH_CONFIG")
        .env_remove("PERCH_DATA")
        .env_remove("STATE_DIRECTORY")
        .output()
        .expect("it runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .expect("a folder")
        .next()
        .is_none()
}

#[test]
fn it_leaves_nothing_behind_where_nothing_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = examine(folder.path(), &[]);
    assert!(!report["encoders"].as_array().expect("a list").is_empty());
    assert!(is_empty(folder.path()));
}

#[test]
fn configured_sources_are_looked_at_and_the_place_of_a_data_directory_to_be() {
    let (folder, configured) = (tempfile::tempdir(), tempfile::tempdir());
    let (folder, configured) = (folder.expect("a folder"), configured.expect("a folder"));
    let config = configured.path().join("perch.toml");
    let sources = ["/dev/null", "/dev/video-of-nobody", "test"]
        .map(|source| format!("[[cameras]]\nsource = \"{source}\"\n"));
    std::fs::write(&config, sources.concat()).expect("written");
    let config = config.to_str().expect("text");
    let report = examine(folder.path(), &["--config", config, "--data", "none"]);
    let problems = report["problems"].as_array().expect("a list");
    for expected in [
        "/dev/null: not a video device",
        "/dev/video-of-nobody: no such device",
    ] {
        let told = problems.iter().filter_map(|problem| problem.as_str());
        let told = told.filter(|text| text.starts_with(expected));
        assert_eq!(told.count(), 1, "{problems:?}");
    }
    assert!(is_empty(folder.path()));
    let disk = &report["disk"];
    let above = folder.path().canonicalize().expect("its name");
    assert_eq!(disk["path"].as_str().map(Path::new), Some(above.as_path()));
    assert!(disk["owner"].is_string());
}
