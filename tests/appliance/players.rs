//! Players that are not ours: ffmpeg's and GStreamer's HLS clients on live view and recording.

use std::process::Command;

use crate::harness::{Appliance, data_dir};

/// Pictures that ffprobe decodes within `seconds` of an address; fails on any complaint of the decoder.
fn decoded_pictures(url: &str, seconds: u32) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames"])
        .args(["-read_intervals", &format!("%+{seconds}")])
        .args([
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
            url,
        ])
        .output()
        .expect("ffprobe is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{url}: {errors}"
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .next()
        .and_then(|count| count.trim().trim_end_matches(',').parse().ok())
        .unwrap_or(0)
}

#[test]
fn ffmpeg_plays_every_live_quality_with_sound() {
    let appliance = Appliance::shared();
    appliance.wait_segment("low");
    for rendition in ["very_low", "low"] {
        let count = decoded_pictures(
            &appliance.url(&format!("/live/test/{rendition}/index.m3u8")),
            3,
        );
        assert!(count >= 60, "{rendition}: {count}");
    }
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_name",
            "-of",
            "csv=p=0",
        ])
        .arg(appliance.url("/live/test/master.m3u8"))
        .output()
        .expect("ffprobe is installed");
    let codecs = String::from_utf8_lossy(&output.stdout);
    assert!(
        codecs.contains("h264") && codecs.contains("aac"),
        "{codecs}"
    );
}

#[test]
fn ffmpeg_plays_a_recording_over_a_restart() {
    let (_folder, data) = data_dir();
    let first = Appliance::start(&data);
    first.wait_segment("low");
    first.stop();
    let second = Appliance::start(&data);
    second.wait_segment("low");
    // What is committed is listed at the latest one commit later.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let count = decoded_pictures(&second.url("/recordings/test/low/index.m3u8"), 60);
    assert!(count >= 120, "{count}");
}

#[test]
fn gstreamer_plays_live_view_and_recording() {
    let appliance = Appliance::shared();
    appliance.wait_segment("low");
    appliance.wait_segment("low");
    std::thread::sleep(std::time::Duration::from_secs(3));
    for path in ["/live/test/master.m3u8", "/recordings/test/master.m3u8"] {
        // The sink ends the pipeline after 60 pictures; one that gets none is ended by timeout(1). hlsdemux2 plays
        // only within such a bin; its log of the elements that it makes shows that it is what was taken.
        let output = Command::new("timeout")
            .args(["60", "gst-launch-1.0", "-q", "playbin3", "flags=video"])
            .arg(format!("uri={}", appliance.url(path)))
            .args(["video-sink=fakesink num-buffers=60"])
            .envs([
                ("GST_DEBUG", "GST_ELEMENT_FACTORY:4"),
                ("GST_DEBUG_NO_COLOR", "1"),
            ])
            .output()
            .expect("gst-launch-1.0 is installed");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path}: {} {log}", output.status);
        assert!(
            log.contains("\"hlsdemux2\""),
            "{path}: another played it: {log}"
        );
    }
}
