//! Start, stop, start again.

use std::time::Duration;

use crate::harness::{Appliance, data_dir};

#[test]
fn a_stop_is_clean_and_quick_and_a_restart_goes_on_with_what_was_committed() {
    let (_folder, data) = data_dir();
    let first = Appliance::start(&data);
    assert!(
        first.greeting.starts_with("Perch is at http://127.0.0.1:"),
        "{}",
        first.greeting
    );
    let msn = first.wait_segment("low");
    let live = first.get(&format!("/live/test/low/{msn}.m4s")).body;
    let (status, took) = first.stop();
    assert!(status.success(), "{status}");
    // The promise is two seconds, which limits hold whatever hangs; the rest is for the process's own end.
    assert!(took < Duration::from_millis(2_500), "{took:?}");

    let second = Appliance::start(&data);
    let recorded = second.get(&format!("/recordings/test/low/{msn}.m4s"));
    assert_eq!(recorded.status, 200);
    assert!(
        recorded.body == live,
        "live and recording are the same bytes"
    );
    let playlist = second.get("/recordings/test/low/index.m3u8");
    assert!(
        playlist.text().contains(&format!("\n{msn}.m4s\n")),
        "{}",
        playlist.text()
    );
    // The segment that the stop cut short was closed and committed too.
    assert!(
        playlist.text().contains(&format!("\n{}.m4s\n", msn + 1)),
        "{}",
        playlist.text()
    );
    assert!(
        second.wait_segment("low") > msn + 1,
        "media sequence never goes back"
    );
}

#[test]
fn large_blocks_go_back_to_the_system_when_they_are_freed() {
    let perch = Appliance::shared();
    let environment = std::fs::read(format!("/proc/{}/environ", perch.pid())).expect("its own");
    let mut variables = environment.split(|byte| *byte == 0);
    assert!(
        variables.any(|variable| variable == b"MALLOC_MMAP_THRESHOLD_=131072"),
        "see malloc in mallopt(3)"
    );
}

#[test]
fn two_processes_never_share_a_data_directory() {
    let (_folder, data) = data_dir();
    let first = Appliance::start(&data);
    let data = data.to_str().expect("text");
    let arguments = [
        "run",
        "--source",
        "test",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data,
    ];
    let (success, said) = crate::harness::perch(&arguments);
    assert!(
        !success && said.contains(data) && said.contains("--data"),
        "{said}"
    );
    assert_eq!(first.get("/healthz").status, 200);
}
