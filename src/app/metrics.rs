//! Every counter as Prometheus reads it. Taken when asked for, so that counting costs nothing in between.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::camera::Camera;
use crate::board;
use crate::serve::CameraState;
use crate::store::{Forecast, RecordingState, Store, StoreStatus, Usage};

/// Renders all metrics in the OpenMetrics text format.
pub(crate) fn render(cameras: &[Arc<Camera>], store: &Store) -> String {
    let mut registry = Registry::with_prefix("perch");
    registry.register_collector(Box::new(Snapshot {
        cameras: cameras.to_vec(),
        store: store.status(),
        usage: store.usage().ok(),
    }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)
        .expect("writing to a String cannot fail");
    text
}

struct Snapshot {
    cameras: Vec<Arc<Camera>>,
    store: StoreStatus,
    /// Unless the index cannot be read.
    usage: Option<Usage>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let store = &self.store;
        for (name, help, value) in [
            (
                "store_segment_bytes",
                "Bytes of committed segments",
                store.bytes_recorded,
            ),
            (
                "store_written_bytes",
                "Bytes handed to the disk for them",
                store.bytes_written,
            ),
            (
                "store_segments_committed",
                "Committed segments",
                store.segments_committed,
            ),
            ("store_commits", "Transactions", store.commits),
            (
                "store_segments_shed",
                "Segments given up because the disk is too slow",
                store.segments_shed,
            ),
            (
                "store_segments_dropped",
                "Segments dropped while recording paused",
                store.segments_dropped,
            ),
            (
                "store_segments_refused",
                "Segments that broke the recording's rules",
                store.segments_refused,
            ),
            (
                "store_reels_expired",
                "Reels deleted to make room or because of their age",
                store.reels_expired,
            ),
            (
                "store_expired_bytes",
                "Bytes of the reels deleted",
                store.bytes_expired,
            ),
            (
                "store_scrubbed_bytes",
                "Recorded and imported bytes that were read again and are what they were",
                store.bytes_scrubbed,
            ),
            (
                "store_segments_damaged",
                "Recorded segments that were found damaged",
                store.segments_damaged,
            ),
            (
                "store_chunks_damaged",
                "Chunks of imported files that were found damaged",
                store.chunks_damaged,
            ),
            (
                "store_pack_records_damaged",
                "Records of packs that were found damaged and that the index makes up for",
                store.pack_records_damaged,
            ),
        ] {
            counter(&mut encoder, name, help, &[("", value)])?;
        }
        let recording = u64::from(store.state == RecordingState::Recording);
        gauge(
            &mut encoder,
            "store_recording",
            "1 while recording goes on",
            recording as f64,
        )?;
        gauge(
            &mut encoder,
            "store_free_bytes",
            "Free bytes of the disk",
            store.free_bytes as f64,
        )?;
        gauge(
            &mut encoder,
            "store_segments_queued",
            "Segments waiting",
            store.segments_queued as f64,
        )?;
        if let Some(usage) = &self.usage {
            gauge(
                &mut encoder,
                "store_recordings_bytes",
                "Bytes of all recordings",
                usage.bytes() as f64,
            )?;
            for (name, help, value) in [
                (
                    "store_damaged_chunks",
                    "Chunks of imported files that are damaged now",
                    usage.damage.chunks,
                ),
                (
                    "store_damaged_items",
                    "Imported files that lack some of their bytes now",
                    usage.damage.items,
                ),
            ] {
                gauge(&mut encoder, name, help, value as f64)?;
            }
            let days = match usage.forecast() {
                Forecast::Unknown | Forecast::Steady { .. } => None,
                Forecast::Filling { days_left, .. } => Some(days_left),
                Forecast::Full { .. } => Some(0.0),
            };
            if let Some(days) = days {
                gauge(
                    &mut encoder,
                    "store_days_left",
                    "Days until the oldest recordings begin to go, once that can be told",
                    days,
                )?;
            }
        }
        if let Some(celsius) = board::temperature_celsius() {
            gauge(
                &mut encoder,
                "board_temperature_celsius",
                "Hottest thermal zone",
                f64::from(celsius),
            )?;
        }
        self.encode_cameras(&mut encoder)
    }
}

type CameraCounter = (&'static str, &'static str, fn(&Seen) -> u64);
type RungCounter = (
    &'static str,
    &'static str,
    fn(&crate::encode::RungReport) -> f64,
);

/// What one camera has counted, taken once.
struct Seen {
    capture: crate::capture::CaptureReport,
    runs: u64,
    encode: crate::encode::EncodeReport,
    live: bool,
    refused_units: u64,
    video_parts: u64,
}

const CAMERA_COUNTERS: &[CameraCounter] = &[
    ("capture_frames", "Raw pictures captured", |s| {
        s.capture.frames
    }),
    (
        "capture_frames_lost",
        "Pictures the driver never delivered",
        |s| s.capture.lost,
    ),
    (
        "capture_frames_damaged",
        "Pictures the driver marked as damaged",
        |s| s.capture.damaged + s.capture.empty,
    ),
    (
        "capture_frame_copies",
        "Raw pictures that were copied because the encoders held all others",
        |s| s.capture.copied,
    ),
    (
        "encode_frame_copies",
        "Raw pictures that the largest quality's encoder got in other memory than the source's, though it takes them as they are",
        |s| s.encode.frames_copied,
    ),
    ("capture_runs_ended", "Times that the source ended", |s| {
        s.runs
    }),
    (
        "encode_frames_dropped",
        "Pictures dropped because the encoders were behind",
        |s| s.encode.frames_dropped,
    ),
    (
        "encode_frames_repeated",
        "Pictures shown again to keep the rate",
        |s| s.encode.frames_repeated,
    ),
    (
        "encode_frames_surplus",
        "Pictures left out because they came faster than the steady rate",
        |s| s.encode.frames_surplus,
    ),
    (
        "encode_frames_malformed",
        "Pictures refused because their shape was not the promised one",
        |s| s.encode.frames_malformed,
    ),
    (
        "encode_sound_blocks_dropped",
        "Blocks of sound dropped because the encoders were behind",
        |s| s.encode.blocks_dropped,
    ),
    ("encode_sound_gaps", "Gaps in the sound", |s| {
        s.encode.sound_gaps
    }),
    (
        "packager_units_refused",
        "Access units that fit nowhere",
        |s| s.refused_units,
    ),
    ("packager_video_parts", "Parts published", |s| s.video_parts),
];

const RUNG_METRICS: &[RungCounter] = &[
    ("encode_units", "Access units of this run", |r| {
        r.units as f64
    }),
    (
        "encode_lateness_p50_seconds",
        "Capture to access unit, median",
        |r| r.lateness_p50.as_secs_f64(),
    ),
    (
        "encode_lateness_max_seconds",
        "Capture to access unit, largest",
        |r| r.lateness_max.as_secs_f64(),
    ),
    ("encode_rung_running", "0 while it is shed", |r| {
        f64::from(u8::from(r.running))
    }),
];

impl Snapshot {
    fn encode_cameras(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let seen: Vec<_> = self
            .cameras
            .iter()
            .map(|camera| {
                let (capture, runs) = camera.stats.total();
                let seen = Seen {
                    capture,
                    runs,
                    encode: camera.encode_report().unwrap_or_default(),
                    live: camera.condition().state == CameraState::Live,
                    refused_units: camera.packager.refused_units_count(),
                    video_parts: camera.packager.video_parts_count(),
                };
                (camera.id.as_str(), seen)
            })
            .collect();
        for (name, help, value) in CAMERA_COUNTERS {
            let values: Vec<_> = seen.iter().map(|(id, seen)| (*id, value(seen))).collect();
            counter(encoder, name, help, &values)?;
        }
        let kind = ConstGauge::<f64>::new(0.0).metric_type();
        let help = "1 while pictures flow";
        let mut family = encoder.encode_descriptor("camera_live", help, None, kind)?;
        for (id, seen) in &seen {
            let live = f64::from(u8::from(seen.live));
            ConstGauge::new(live).encode(family.encode_family(&[("camera", *id)])?)?;
        }
        for (name, help, value) in RUNG_METRICS {
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (id, seen) in &seen {
                for rung in &seen.encode.rungs {
                    let labels = [("camera", *id), ("rung", rung.rung.name())];
                    ConstGauge::new(value(rung)).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// A counter with a value for each camera, or one value without a camera's name.
fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: &[(&str, u64)],
) -> fmt::Result {
    let kind = ConstCounter::<u64>::new(0).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None::<&Unit>, kind)?;
    for (camera, value) in values {
        let constant = ConstCounter::new(*value);
        if camera.is_empty() {
            constant.encode(family.encode_family(&NO_LABELS)?)?;
        } else {
            constant.encode(family.encode_family(&[("camera", *camera)])?)?;
        }
    }
    Ok(())
}

const NO_LABELS: [(&str, &str); 0] = [];

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let constant = ConstGauge::new(value);
    let mut family = encoder.encode_descriptor(name, help, None, constant.metric_type())?;
    constant.encode(family.encode_family(&NO_LABELS)?)
}
