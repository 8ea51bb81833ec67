//! What the appliance cannot use: one clear line that names the key, path or address and says what to do, and a
//! non-zero exit.

use std::net::TcpListener;
use std::process::Command;

use crate::harness::{data_dir, perch};

fn check(arguments: &[&str], expected: &[&str]) {
    let (success, said) = perch(arguments);
    assert!(!success, "{arguments:?}");
    for text in expected {
        assert!(
            said.contains(text),
            "{arguments:?} said {said:?}, not {text:?}"
        );
    }
    assert_eq!(said.trim_end().lines().count(), 1, "{said:?}");
    assert!(!said.contains("panicked"), "{said:?}");
}

/// Checks `perch run` with a configuration.
fn check_config(text: &str, expected: &[&str]) {
    let (folder, data) = data_dir();
    let file = folder.path().join("perch.toml");
    std::fs::write(&file, text).expect("written");
    let (file, data) = (file.to_str().expect("text"), data.to_str().expect("text"));
    check(&["config", "check", file], expected);
    check(
        &[
            "run",
            "--config",
            file,
            "--data",
            data,
            "--listen",
            "127.0.0.1:0",
        ],
        expected,
    );
    assert!(!std::path::Path::new(data).exists(), "nothing was made");
}

#[test]
fn a_configuration_that_is_no_good_names_its_key() {
    check_config("[ladder]\nframerate = 30\n", &["perch.toml:2", "framerate"]);
    check_config(
        "[[ladder.rungs]]\nname = \"tiny\"\n",
        &["ladder.rungs[0].name", "very_low"],
    );
    check_config(
        "[[ladder.rungs]]\nname = \"high\"\nwidth = 3840\nheight = 2160\nbitrate_kbps = 50\n",
        &["ladder.rungs[0].bitrate_kbps", "too little", "raise it"],
    );
    check_config("[server\n", &["perch.toml:1"]);
    check(
        &["config", "check", "/nowhere/perch.toml"],
        &["/nowhere/perch.toml", "check the path"],
    );
}

#[test]
fn an_encoder_that_is_none_is_told() {
    check_config(
        "[ladder]\nencoder = \"magicenc\"\n",
        &["ladder.encoder", "magicenc"],
    );
}

#[test]
fn an_encoder_that_is_not_installed_is_told_before_anything_is_made() {
    let (folder, data) = data_dir();
    let file = folder.path().join("perch.toml");
    std::fs::write(&file, "[ladder]\nencoder = \"x264enc\"\n").expect("written");
    let said = Command::new(env!("CARGO_BIN_EXE_perch"))
        .args(["run", "--listen", "127.0.0.1:0", "--source", "test"])
        .arg("--config")
        .arg(&file)
        .arg("--data")
        .arg(&data)
        // As on a machine that lacks the plugins.
        .env("GST_PLUGIN_SYSTEM_PATH_1_0", folder.path())
        .env("GST_REGISTRY_1_0", folder.path().join("registry"))
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(
        !said.status.success() && told.contains("ladder.encoder") && told.contains("not installed"),
        "{told}"
    );
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn what_is_no_camera_is_told_at_once() {
    let (folder, data) = data_dir();
    let data = data.to_str().expect("text");
    let folder = folder.path().to_str().expect("text");
    for device in ["/dev/null", "/etc/hostname", folder] {
        let arguments = [
            "run",
            "--source",
            device,
            "--listen",
            "127.0.0.1:0",
            "--data",
            data,
        ];
        check(&arguments, &[device, "perch devices"]);
    }
}

#[test]
fn a_port_in_use_is_told() {
    let (_folder, data) = data_dir();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let data = data.to_str().expect("text");
    let arguments = [
        "run", "--source", "test", "--listen", &address, "--data", data,
    ];
    check(&arguments, &[&address, "--listen"]);
}

#[test]
fn a_data_directory_that_cannot_be_one_is_told() {
    let (folder, _) = data_dir();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").expect("written");
    for data in [file.to_str().expect("text"), "/proc/perch"] {
        let arguments = [
            "run",
            "--source",
            "test",
            "--listen",
            "127.0.0.1:0",
            "--data",
            data,
        ];
        check(&arguments, &[data, "--data"]);
    }
}
