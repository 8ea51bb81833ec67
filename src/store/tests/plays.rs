//! A reel is a media file: ffprobe plays it as it lies on the disk.

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;

use super::durable::open;
use super::made::*;
use crate::cmaf::{TrackOrigin, TrackWriter};
use crate::media::{AccessUnit, Part, Segment, TrackParameters};

/// Whole AAC frames of silence: a channel pair element with nothing in it, then the end.
const SILENCE: &[u8] = &[0x21, 0x10, 0x04, 0x60, 0x8C, 0x1C];

#[test]
fn a_reel_plays_in_ffprobe_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let front = camera("front");
    let TrackParameters::Audio(parameters) = init(AUDIO, 128_000).parameters.clone() else {
        panic!()
    };
    let parameters = TrackParameters::Audio(parameters);
    let origin = TrackOrigin {
        msn: 0,
        start_ticks: 0,
    };
    let mut writer = TrackWriter::new(parameters, origin).unwrap();
    let init = Arc::new(writer.init_segment());
    let mut parts = Vec::new();
    for index in 0..300 {
        let unit = AccessUnit {
            pts_ticks: index * 1024,
            duration_ticks: 1024,
            keyframe: true,
            data: Bytes::from_static(SILENCE),
        };
        parts.extend(writer.push(unit).unwrap());
    }
    parts.extend(writer.finish());

    let store = open(dir.path());
    let segments: Vec<Vec<Part>> = parts
        .chunk_by(|a, b| a.msn == b.msn)
        .map(<[_]>::to_vec)
        .collect();
    assert!(segments.len() > 3);
    for parts in segments {
        let msn = parts[0].msn;
        let wall_start = NOON.plus_ms(msn as i64 * 2000);
        let segment = Segment {
            msn,
            run: 0,
            wall_start,
            init: Arc::clone(&init),
            parts,
        };
        store.append(&front, AUDIO, Arc::new(segment));
        store.flush();
    }
    let folder = dir.path().join("reel/front").join(NOON.date());
    let reel = std::fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // While it is still open, as well.
    for _ in 0..2 {
        let output = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-count_frames",
                "-show_entries",
                "stream=nb_read_frames",
            ])
            .args(["-of", "csv=p=0", "-f", "mp4"])
            .arg(&reel)
            .output()
            .expect("ffprobe must be installed to run the tests");
        let told = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert_eq!((told.trim(), &*complaints), ("300", ""));
        store.close();
    }
}
