//! What recording costs the disk: bytes written for each byte recorded, by the store's own count and by the kernel's.
//! `cargo bench --bench store_write -- [segments] [folder]` prints one line of JSON. The folder must lie on a real
//! disk: in memory the kernel counts nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use perch::base::{CameraId, SystemClock, Wall};
use perch::media::{
    FrameRate, InitSegment, Part, RenditionId, Rung, Segment, TrackParameters, VideoParameters,
};
use perch::store::{Appended, Store, StoreOptions};

const SEGMENT_BYTES: usize = 1_000_000;
const PARTS: u32 = 6;

fn main() {
    // Cargo hands `--bench` over, too.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let segments: u64 = arguments
        .next()
        .map_or(100, |text| text.parse().expect("a count"));
    let above = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(above).expect("a folder that can be written");

    let camera = CameraId::from_description("bench");
    let rendition = RenditionId::video(Rung::High);
    let init = Arc::new(InitSegment {
        parameters: TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x28]),
            width: 1920,
            height: 1080,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 4_000_000,
        }),
        bytes: Bytes::from(vec![0; 700]),
    });
    let payload = Bytes::from(vec![0x5A; SEGMENT_BYTES / PARTS as usize]);
    let clock = Arc::new(SystemClock);
    let (store, _) = Store::open(dir.path(), StoreOptions::default(), clock).expect("a new store");

    let kernel_before = kernel_write_bytes();
    let start = Instant::now();
    for msn in 0..segments {
        let part = |index: u32| Part {
            msn,
            index,
            start_ticks: msn * 180_000 + u64::from(index) * 30_000,
            duration_ticks: 30_000,
            independent: index == 0,
            last: index + 1 == PARTS,
            bytes: payload.clone(),
        };
        let segment = Arc::new(Segment {
            msn,
            run: 0,
            wall_start: Wall(1_795_255_200_000 + msn as i64 * 2000),
            init: Arc::clone(&init),
            parts: (0..PARTS).map(part).collect(),
        });
        assert_eq!(store.append(&camera, rendition, segment), Appended::Queued);
        // One commit each, as at one segment in two seconds.
        store.flush();
    }
    store.close();
    let seconds = start.elapsed().as_secs_f64();
    let kernel = kernel_write_bytes()
        .zip(kernel_before)
        .map(|(after, before)| after - before);

    let status = store.status();
    assert_eq!(status.segments_committed, segments);
    let ratio = |bytes: u64| bytes as f64 / status.bytes_recorded as f64;
    println!(
        "{}",
        serde_json::json!({
            "segments": segments,
            "bytes_recorded": status.bytes_recorded,
            "written_per_byte": ratio(status.bytes_written),
            "kernel_written_per_byte": kernel.map(ratio),
            "index_bytes_per_segment": status.index_bytes_written as f64 / segments as f64,
            "commits": status.commits,
            "segments_per_second": segments as f64 / seconds,
        })
    );
}

/// Bytes that this process caused to be sent to disks. (proc_pid_io(5), `write_bytes`)
fn kernel_write_bytes() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))?;
    line.parse().ok()
}
