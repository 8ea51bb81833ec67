//! What the server must be able to ask of the appliance behind it. `app` answers; no handler knows more.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::base::{CameraId, Clock};
use crate::live::LiveCamera;
use crate::media::VideoParameters;
use crate::store::Store;

/// The appliance as its viewers see it. Those methods that take their time say so.
pub trait Appliance: Send + Sync + 'static {
    /// Every camera known, in a stable order, also those that are away.
    fn cameras(&self) -> Vec<CameraStatus>;
    /// The live window of a camera.
    fn live(&self, camera: &CameraId) -> Option<LiveCamera>;
    /// The newest picture as JPEG, at most `width_max` pixels wide. May take some 50 ms: call it where blocking is
    /// allowed, with few widths, of which each is made anew.
    fn still(&self, camera: &CameraId, width_max: u32) -> Result<Bytes, StillError>;
    /// The picture of a recorded keyframe as JPEG, at most `width_max` pixels wide. Takes some 30 ms: call it where
    /// blocking is allowed.
    fn recorded_still(
        &self,
        video: &VideoParameters,
        keyframe: Bytes,
        width_max: u32,
    ) -> Result<Bytes, StillError>;
    /// Recorded keyframes side by side as one JPEG, each `tile_width` pixels wide, a multiple of 16; grey where there is
    /// none. Takes some 30 ms and some 5 ms a picture: call it where blocking is allowed. Asks `is_wanted` between
    /// pictures, and fails with `Unwanted` once that says no.
    fn recorded_strip(
        &self,
        tiles: &[Option<(VideoParameters, Bytes)>],
        tile_width: u32,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Bytes, StillError>;
    /// What works and what does not.
    fn health(&self) -> Health;
    /// Every counter in Prometheus' text format. Reads the index of recordings: call it where blocking is allowed.
    fn metrics(&self) -> String;
    /// The recordings.
    fn store(&self) -> &Store;
    /// The clock that everything is labelled by.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// No picture can be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StillError {
    /// No camera has this name.
    #[error("no such camera")]
    UnknownCamera,
    /// The camera is there by name, but nothing comes from it.
    #[error("the camera shows nothing at the moment: {0}")]
    NoPicture(String),
    /// A recorded picture cannot be shown.
    #[error("the recorded picture cannot be shown: {0}")]
    NotDecoded(String),
    /// Whoever wanted pictures has gone.
    #[error("nobody waits for the pictures any more")]
    Unwanted,
}

/// Whether a camera works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// It was found and its encoder is on its way.
    Starting,
    /// Pictures flow.
    Live,
    /// It is unplugged; it comes back by itself.
    Vanished,
    /// It is there and cannot be used; it is tried again.
    Failed,
}

/// One camera as `GET /api/v1/cameras` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct CameraStatus {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whether it works.
    pub state: CameraState,
    /// Why it does not, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it delivers, once it is open.
    pub mode: Option<ModeStatus>,
    /// The encoder of its highest rung.
    pub encoder: Option<String>,
    /// Its ladder, lowest first.
    pub rungs: Vec<RungStatus>,
    /// Whether there is sound.
    pub sound: bool,
    /// The last times that it was away, oldest first.
    pub gaps: Vec<GapStatus>,
    /// What goes to disk.
    pub recording: RecordingStatus,
}

/// What a camera delivers.
#[derive(Clone, Debug, Serialize)]
pub struct ModeStatus {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `YUYV`, `MJPG`, …
    pub format: String,
    /// Nominal frames a second.
    pub fps: f64,
}

/// One rung.
#[derive(Clone, Debug, Serialize)]
pub struct RungStatus {
    /// `very_low` to `high`.
    pub name: &'static str,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Video bits a second.
    pub bitrate_bps: u32,
    /// False while it is shed.
    pub running: bool,
    /// GStreamer element that encodes it.
    pub encoder: String,
}

/// One time away.
#[derive(Clone, Debug, Serialize)]
pub struct GapStatus {
    /// RFC 3339.
    pub from: String,
    /// RFC 3339; null while it lasts.
    pub to: Option<String>,
    /// Why.
    pub reason: String,
}

/// What of a camera goes to disk.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingStatus {
    /// `recording`, `waiting` for the camera, `off`, `paused` or `failed`.
    pub state: &'static str,
    /// Why it is not recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rungs that are kept.
    pub rungs: Vec<&'static str>,
}

/// `GET /healthz`.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// The process does its work; if not, it should be started again.
    pub live: bool,
    /// At least one camera shows pictures.
    pub ready: bool,
    /// Everything that is wrong, most important first.
    pub problems: Vec<HealthProblem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthProblem {
    /// A stable word for programs: `camera_vanished`, `store_poisoned`.
    pub code: &'static str,
    /// What is wrong, with which part, and what to do.
    pub detail: String,
}
