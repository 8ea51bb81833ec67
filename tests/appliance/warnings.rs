//! What the appliance can use, but warns of in its log.

use crate::harness::{Appliance, data_dir};

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let warning = "everybody who reaches this address sees the cameras";
    for (listen, count) in [("127.0.0.1:0", 0), ("0.0.0.0:0", 1)] {
        let (_folder, data) = data_dir();
        let perch = Appliance::start_at(&data, listen, "");
        // Before anything is served; so it stands there by now if ever.
        let told = perch.logged(warning);
        assert_eq!(told.len(), count, "{listen}: {told:?}");
        assert!(told.iter().all(|line| line.contains(" WARN ")), "{told:?}");
    }
}

#[test]
fn a_camera_too_small_for_what_is_to_be_recorded_is_recorded_at_its_highest() {
    let (_folder, data) = data_dir();
    let perch = Appliance::start_with(&data, "[recording]\nrungs = [\"medium\", \"high\"]\n");
    let msn = perch.wait_segment("low");
    let told = perch.logged("its highest is recorded instead");
    assert_eq!(told.len(), 1, "{told:?}");
    for text in [
        " WARN ",
        "camera=test",
        "asked=medium, high",
        "recorded=low",
    ] {
        assert!(told[0].contains(text), "{told:?}");
    }
    let cameras = perch.get("/api/v1/cameras");
    let cameras: serde_json::Value = serde_json::from_slice(&cameras.body).expect("JSON");
    let recording = &cameras["cameras"][0]["recording"];
    assert_eq!(recording["state"], "recording", "{recording}");
    assert_eq!(recording["rungs"], serde_json::json!(["low"]));
    let (status, _) = perch.stop();
    assert!(status.success(), "{status}");
    let perch = Appliance::start(&data);
    let recorded = perch.get(&format!("/recordings/test/low/{msn}.m4s"));
    assert_eq!(recorded.status, 200);
}
