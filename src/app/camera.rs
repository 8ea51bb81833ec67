//! One camera as the appliance knows it: what it is called, whether it works, and the running parts that viewers
//! are served from. Its supervisor writes the condition, everyone else reads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::base::{CameraId, Clock, Monotonic};
use crate::config::{CameraConfig, RecordPolicy};
use crate::encode::{EncodeError, EncodeReport, Encoder};
use crate::live::LiveCamera;
use crate::media::{FrameFormat, RenditionId, Rung, RungSpec};
use crate::packager::Packager;
use crate::serve::{
    CameraState, CameraStatus, GapStatus, ModeStatus, RecordingStatus, RungStatus, StillError,
};
use crate::store::{RecordingState, Store};

use super::capture_stats::CaptureStats;

/// A still is asked for by every open page; one a second is made.
const STILL_FRESH: std::time::Duration = std::time::Duration::from_secs(1);

/// What is asked of the encoder of a camera's run. Tests put one of their own in its place.
pub(crate) trait RunningEncoder: Send + Sync {
    /// See [`Encoder::report`].
    fn report(&self) -> EncodeReport;
    /// See [`Encoder::set_running`].
    fn set_running(&self, rung: Rung, running: bool);
    /// See [`Encoder::still`].
    fn still(&self, width_max: u32) -> Result<Bytes, EncodeError>;
}

impl RunningEncoder for Encoder {
    fn report(&self) -> EncodeReport {
        Encoder::report(self)
    }

    fn set_running(&self, rung: Rung, running: bool) {
        Encoder::set_running(self, rung, running);
    }

    fn still(&self, width_max: u32) -> Result<Bytes, EncodeError> {
        Encoder::still(self, width_max)
    }
}

/// A camera and what runs for it.
pub(crate) struct Camera {
    pub(crate) id: CameraId,
    pub(crate) config: CameraConfig,
    pub(crate) live: LiveCamera,
    pub(crate) packager: Arc<Packager>,
    pub(crate) stats: CaptureStats,
    condition: Mutex<Condition>,
    encoder: Mutex<Option<Arc<dyn RunningEncoder>>>,
    stills: Mutex<Vec<CachedStill>>,
    clock: Arc<dyn Clock>,
}

struct CachedStill {
    width_max: u32,
    made_at: Monotonic,
    jpeg: Bytes,
}

/// Whether it works, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) name: String,
    pub(crate) state: CameraState,
    pub(crate) reason: Option<String>,
    pub(crate) format: Option<FrameFormat>,
    pub(crate) ladder: Vec<RungSpec>,
    pub(crate) recorded: Vec<Rung>,
    pub(crate) sound: bool,
    /// Its encoder or driver gives no sign of life, and nothing has come since. A fresh process may mend that.
    pub(crate) hangs: bool,
}

impl Camera {
    pub(crate) fn new(
        id: CameraId,
        name: String,
        config: CameraConfig,
        live: LiveCamera,
        store: Store,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let packager = Packager::new(id.clone(), live.clone(), store, Arc::clone(&clock));
        let condition = Condition {
            name,
            state: CameraState::Starting,
            reason: None,
            format: None,
            ladder: Vec::new(),
            recorded: Vec::new(),
            sound: false,
            hangs: false,
        };
        Self {
            id,
            config,
            live,
            packager: Arc::new(packager),
            stats: CaptureStats::default(),
            condition: Mutex::new(condition),
            encoder: Mutex::default(),
            stills: Mutex::default(),
            clock,
        }
    }

    /// A copy of its condition.
    pub(crate) fn condition(&self) -> Condition {
        lock(&self.condition).clone()
    }

    /// Changes its condition; says so in the log when the state or its reason is new.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Condition)) {
        let mut condition = lock(&self.condition);
        let (state, reason) = (condition.state, condition.reason.clone());
        change(&mut condition);
        if (condition.state, &condition.reason) == (state, &reason) {
            return;
        }
        let reason = condition.reason.as_deref().unwrap_or("");
        match condition.state {
            CameraState::Starting | CameraState::Live => {
                tracing::info!(camera = %self.id, state = ?condition.state, reason, "camera");
            }
            CameraState::Vanished | CameraState::Failed => {
                tracing::warn!(camera = %self.id, state = ?condition.state, reason, "camera");
            }
        }
    }

    /// Prepares the packager for a run with this ladder.
    pub(crate) fn expect(&self, ladder: &[RungSpec], sound: bool, record: &RecordPolicy) {
        let rungs = || ladder.iter().map(|spec| spec.rung);
        let mut renditions: Vec<_> = rungs().map(RenditionId::video).collect();
        if sound {
            renditions.extend(rungs().map(RenditionId::audio));
        }
        self.packager.expect(renditions, record.select(ladder));
    }

    /// Changes the encoder that reports and stills come from.
    pub(crate) fn set_encoder(&self, encoder: Option<Arc<dyn RunningEncoder>>) {
        *lock(&self.encoder) = encoder;
    }

    /// The running encoder's counters.
    pub(crate) fn encode_report(&self) -> Option<EncodeReport> {
        lock(&self.encoder).as_ref().map(|encoder| encoder.report())
    }

    /// The newest picture as JPEG, made at most once a second for each width.
    pub(crate) fn still(&self, width_max: u32) -> Result<Bytes, StillError> {
        // Held while a still is made, so that a crowd asking at once costs one picture.
        let mut cached = lock(&self.stills);
        let now = self.clock.monotonic();
        cached.retain(|still| now.since(still.made_at) < STILL_FRESH);
        if let Some(still) = cached.iter().find(|still| still.width_max == width_max) {
            return Ok(still.jpeg.clone());
        }
        let encoder = lock(&self.encoder).clone().ok_or_else(|| {
            let condition = self.condition();
            StillError::NoPicture(
                condition
                    .reason
                    .unwrap_or_else(|| "it is starting".to_owned()),
            )
        })?;
        let jpeg = encoder
            .still(width_max)
            .map_err(|error| StillError::NoPicture(error.to_string()))?;
        cached.push(CachedStill {
            width_max,
            made_at: now,
            jpeg: jpeg.clone(),
        });
        Ok(jpeg)
    }

    /// What the API shows of it.
    pub(crate) fn status(&self, recording: &RecordingState) -> CameraStatus {
        let condition = self.condition();
        let report = self.encode_report();
        let running = |rung: Rung| {
            report
                .as_ref()
                .and_then(|report| report.rungs.iter().find(|r| r.rung == rung))
        };
        let rungs: Vec<_> = condition
            .ladder
            .iter()
            .map(|spec| RungStatus {
                name: spec.rung.name(),
                width: spec.width,
                height: spec.height,
                bitrate_bps: spec.video_bitrate_bps,
                running: running(spec.rung).is_some_and(|rung| rung.running),
                encoder: running(spec.rung)
                    .map(|rung| rung.encoder.clone())
                    .unwrap_or_default(),
            })
            .collect();
        let gaps = self.packager.gaps().into_iter().map(|gap| GapStatus {
            from: gap.from.to_string(),
            to: gap.to.map(|to| to.to_string()),
            reason: gap.reason,
        });
        CameraStatus {
            id: self.id.to_string(),
            name: condition.name.clone(),
            state: condition.state,
            reason: condition.reason.clone(),
            mode: condition.format.map(|format| ModeStatus {
                width: format.shape.width,
                height: format.shape.height,
                format: format.shape.format.to_string(),
                fps: format.rate.as_f64(),
            }),
            encoder: rungs
                .last()
                .map(|rung| rung.encoder.clone())
                .filter(|name| !name.is_empty()),
            rungs,
            sound: condition.sound,
            gaps: gaps.collect(),
            recording: recording_status(&condition, recording),
        }
    }
}

fn recording_status(condition: &Condition, recording: &RecordingState) -> RecordingStatus {
    let rungs: Vec<_> = condition.recorded.iter().map(|rung| rung.name()).collect();
    let (state, reason) = match recording {
        _ if rungs.is_empty() && !condition.ladder.is_empty() => ("off", None),
        RecordingState::Paused { reason, .. } => ("paused", Some(reason.clone())),
        RecordingState::Poisoned { reason } => ("failed", Some(reason.clone())),
        RecordingState::Recording if condition.state == CameraState::Live => ("recording", None),
        RecordingState::Recording => ("waiting", condition.reason.clone()),
    };
    RecordingStatus {
        state,
        reason,
        rungs,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::LADDER;

    fn check(state: CameraState, store: &RecordingState, expected: (&str, Option<&str>)) {
        let condition = Condition {
            name: "Door".to_owned(),
            state,
            reason: (state != CameraState::Live).then(|| "unplugged".to_owned()),
            format: None,
            ladder: LADDER.to_vec(),
            recorded: vec![Rung::High],
            sound: false,
            hangs: false,
        };
        let status = recording_status(&condition, store);
        assert_eq!((status.state, status.reason.as_deref()), expected);
    }

    #[test]
    fn only_a_live_camera_is_said_to_be_recorded() {
        let goes_on = RecordingState::Recording;
        check(CameraState::Live, &goes_on, ("recording", None));
        let waits = ("waiting", Some("unplugged"));
        check(CameraState::Vanished, &goes_on, waits);
        check(CameraState::Failed, &goes_on, waits);
        check(CameraState::Starting, &goes_on, waits);
    }

    #[test]
    fn a_disk_that_failed_matters_more_than_a_camera_that_is_away() {
        let poisoned = RecordingState::Poisoned {
            reason: "fsync failed".to_owned(),
        };
        let expected = ("failed", Some("fsync failed"));
        check(CameraState::Vanished, &poisoned, expected);
    }
}
