//! Keeps one camera running: opens it when it is there, closes it when it goes, opens it again when it fails, sheds
//! rungs when the machine is short of time. One thread a camera, which blocks on its mailbox; a camera's failure
//! touches no other.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::absence::absence;
use super::camera::{Camera, RunningEncoder};
use super::encoders::Encoders;
use super::lessons::Lessons;
use super::parts_watch::{Flow, PartsWatch};
use super::sound_watch::SoundWatch;
use super::source::{Origin, RunPlan, RunningSource};
use super::thread::{Lifeline, Task};
use crate::adapt::{LoadSample, RungLoad, ShedDecision, ShedPlanner};
use crate::base::{Clock, Monotonic, SystemClock};
use crate::board::CpuLoad;
use crate::capture::{CameraDevice, EndReason};
use crate::config::{Config, RecordPolicy, SourceSelector};
use crate::encode::{Culprit, EncodeReport};
use crate::media::{RunFailure, Rung, StreamEvent};
use crate::serve::CameraState;
use crate::store::GapReason;

/// How often load is looked at while a camera runs: soon enough to shed a rung before its queue overflows.
const TICK: Duration = Duration::from_millis(250);
/// The processors' load is an average over this long: every keyframe is a peak.
const CPU_SPAN: Duration = Duration::from_secs(1);
/// How long a camera that failed rests before it is tried again: short enough to be back within three seconds of
/// being plugged in, even if the first try comes before the driver is ready.
const RETRY: Duration = Duration::from_millis(700);
/// A camera that fails again and again is tried this rarely.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// What an encoder gets beyond the source's own time limit before a run without a new part is given up: more than
/// its start and its longest queue take.
const ENCODER_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of a run is waited for: the encoder's last pictures and the driver. One that takes longer hangs.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// Raw pictures that the encoder lets wait.
const FRAMES_WAITING_MAX: f32 = 4.0;

/// What a supervisor is told.
pub(crate) enum Message {
    /// The camera is plugged in, maybe under another node than before.
    Appeared(Box<CameraDevice>),
    /// The camera was unplugged.
    Vanished,
    /// A node that is no camera, or may not be opened, came or went: maybe the one that the camera is awaited at.
    LookAgain,
    /// The source of run `run` ended by itself.
    SourceEnded { run: u64, reason: EndReason },
    /// The encoder of run `run` ended by itself.
    EncoderEnded { run: u64, failure: RunFailure },
    /// Stop for good.
    Stop,
}

/// Where a supervisor's messages go.
pub(crate) type Mailbox = Sender<Message>;

/// Keeps one camera running until told to stop.
pub(crate) struct Supervisor {
    camera: Arc<Camera>,
    config: Arc<Config>,
    encoders: Arc<Encoders>,
    lifeline: Lifeline,
    sender: Sender<Message>,
    mailbox: Receiver<Message>,
    origin: Option<Origin>,
    /// The end of the last run, while it lasts longer than it should.
    closing: Option<Task>,
    run: u64,
    failures: u32,
    lessons: Lessons,
}

enum Next {
    Stop,
    /// Look at the origin again, after this long.
    Again(Duration),
}

impl Supervisor {
    /// A supervisor for `camera`. Without an origin it waits for [`Message::Appeared`].
    pub(crate) fn new(
        camera: Arc<Camera>,
        config: Arc<Config>,
        encoders: Arc<Encoders>,
        lifeline: Lifeline,
        origin: Option<Origin>,
    ) -> (Self, Mailbox) {
        let (sender, mailbox) = mpsc::channel();
        let supervisor = Self {
            camera,
            config,
            encoders,
            lifeline,
            sender: sender.clone(),
            mailbox,
            origin,
            closing: None,
            run: 0,
            failures: 0,
            lessons: Lessons::default(),
        };
        (supervisor, sender)
    }

    /// Runs until [`Message::Stop`].
    pub(crate) fn run(mut self) {
        let mut rest = Duration::ZERO;
        loop {
            if self.origin.is_none() || !rest.is_zero() {
                match self.wait(rest) {
                    Next::Stop => return,
                    Next::Again(left) if !left.is_zero() => {
                        rest = left;
                        continue;
                    }
                    Next::Again(_) => {}
                }
            }
            match self.run_once() {
                Next::Stop => return,
                Next::Again(pause) => rest = pause,
            }
        }
    }

    /// Waits for the camera, or for `rest` to pass. Returns what is left to wait.
    fn wait(&mut self, rest: Duration) -> Next {
        let started = Instant::now();
        let message = match &self.origin {
            None => self
                .mailbox
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => self.mailbox.recv_timeout(rest),
        };
        match message {
            Err(RecvTimeoutError::Timeout) => Next::Again(Duration::ZERO),
            Err(RecvTimeoutError::Disconnected) | Ok(Message::Stop) => Next::Stop,
            Ok(Message::Appeared(device)) => {
                self.failures = 0;
                self.lessons.forget_camera();
                self.origin = Some(Origin::Device(*device));
                Next::Again(Duration::ZERO)
            }
            Ok(Message::Vanished) => {
                self.vanish("the camera was unplugged");
                Next::Again(Duration::ZERO)
            }
            Ok(Message::LookAgain) => {
                self.look_again();
                Next::Again(rest.saturating_sub(started.elapsed()))
            }
            // An earlier run's last words.
            Ok(Message::SourceEnded { .. } | Message::EncoderEnded { .. }) => {
                Next::Again(rest.saturating_sub(started.elapsed()))
            }
        }
    }

    /// One run from opening to closing.
    fn run_once(&mut self) -> Next {
        if !self.is_closed(Duration::ZERO) {
            let reason = "the driver or the encoder hangs in the last run; if it stays so, restart Perch, and if that \
                          does not help, the machine";
            return self.fail(GapReason::CameraGone, reason);
        }
        let Some(origin) = &self.origin else {
            return Next::Again(Duration::ZERO);
        };
        self.run += 1;
        let run = self.run;
        self.camera.update(|condition| {
            condition.state = CameraState::Starting;
            condition.reason = None;
        });
        let (packager, on_failure) = (Arc::clone(&self.camera.packager), self.sender.clone());
        let on_end = self.sender.clone();
        let plan = RunPlan {
            config: &self.config,
            camera: &self.camera.config,
            encoders: &self.encoders,
            lessons: &self.lessons,
            events: Arc::new(move |event| {
                if let StreamEvent::RunEnded {
                    failure: Some(failure),
                } = &event
                {
                    let failure = failure.clone();
                    // A supervisor that has stopped listens no more.
                    let _ = on_failure.send(Message::EncoderEnded { run, failure });
                }
                packager.handle(event);
            }),
            ended: Box::new(move |reason| {
                let _ = on_end.send(Message::SourceEnded { run, reason });
            }),
            fitted: &|ladder, sound| self.camera.expect(ladder, sound, &self.config.record),
        };
        let source = match RunningSource::start(origin, plan) {
            Ok(source) => source,
            Err(error) => {
                let (kind, reason) = (error.gap_reason(), error.to_string());
                return self.learn_or_fail(error.culprit(), Duration::ZERO, kind, &reason);
            }
        };
        let started = Instant::now();
        let recorded = self.config.record.select(&source.ladder);
        self.tell_substitute(&recorded);
        let encoder: Arc<dyn RunningEncoder> = source.encoder.clone();
        self.camera.set_encoder(Some(encoder));
        self.camera.update(|condition| {
            condition.format = Some(source.format);
            condition.ladder = source.ladder.clone();
            condition.recorded = recorded.clone();
            condition.sound = source.sound;
        });
        let ended = self.watch(&source, ShedPlanner::new(&source.ladder, &recorded));
        self.camera.set_encoder(None);
        let culprit = source.encoder.report().culprit;
        let ran_for = started.elapsed();
        self.camera.stats.observe(source.report());
        self.camera.stats.finish();
        // On a thread of its own: this one must hear that it is to stop, whatever the driver does.
        let name = format!("close-{}", self.camera.id);
        self.closing = Some(self.lifeline.spawn(&name, move || source.stop()));
        if !self.is_closed(CLOSE_PATIENCE) {
            tracing::error!(camera = %self.camera.id, "the driver or the encoder hangs; the run is left behind");
            self.camera.update(|condition| condition.hangs = true);
        }
        match ended {
            Ended::Stop => Next::Stop,
            Ended::Vanished(reason) => {
                self.vanish(&reason);
                Next::Again(Duration::ZERO)
            }
            Ended::ForSound => {
                let reason = "started again because the microphone can be used now";
                tracing::info!(camera = %self.camera.id, "{reason}");
                self.camera
                    .packager
                    .mark_away(GapReason::EncoderFailed, reason);
                self.lessons.seek_sound();
                Next::Again(Duration::ZERO)
            }
            Ended::Failed(kind, reason) => {
                self.learn_or_fail(culprit.as_ref(), ran_for, kind, &reason)
            }
        }
    }

    /// Says when a camera that is too small for what is to be recorded begins to be recorded at its highest rung.
    fn tell_substitute(&self, recorded: &[Rung]) {
        let RecordPolicy::Rungs(asked) = &self.config.record else {
            return;
        };
        let are_asked = recorded.iter().all(|rung| asked.contains(rung));
        if are_asked || self.camera.condition().recorded == recorded {
            return;
        }
        let names = |rungs: &[Rung]| {
            let names: Vec<_> = rungs.iter().map(|rung| rung.name()).collect();
            names.join(", ")
        };
        tracing::warn!(
            camera = %self.camera.id, asked = %names(asked), recorded = %names(recorded),
            "the camera has none of the qualities of recording.rungs; its highest is recorded instead"
        );
    }

    /// Whether the last run has let its source go; waits for that until `limit`.
    fn is_closed(&mut self, limit: Duration) -> bool {
        if let Some(closing) = &self.closing
            && !closing.ends_within(limit)
        {
            return false;
        }
        self.closing = None;
        true
    }

    /// Watches a run until something ends it.
    fn watch(&mut self, source: &RunningSource, mut planner: ShedPlanner) -> Ended {
        let mut load = LoadWatch::default();
        let patience = self.config.stall_timeout + ENCODER_PATIENCE;
        let parts = self.camera.packager.video_parts_count();
        let mut parts = PartsWatch::new(parts, Instant::now(), patience);
        let mut sound = SoundWatch::new(Instant::now());
        let mut next_tick = Instant::now() + TICK;
        loop {
            let patience = next_tick.saturating_duration_since(Instant::now());
            match self.mailbox.recv_timeout(patience) {
                Err(RecvTimeoutError::Timeout) => {
                    next_tick += TICK;
                    let count = self.camera.packager.video_parts_count();
                    match parts.observe(count, Instant::now()) {
                        Flow::Awaited => {}
                        Flow::Flows => self.delivers(),
                        Flow::Silent => return self.silence(source),
                    }
                    if sound.observe(source.sound, Instant::now(), || self.can_have_sound()) {
                        return Ended::ForSound;
                    }
                    self.camera.stats.observe(source.report());
                    let now = SystemClock.monotonic();
                    self.tick(&*source.encoder, &mut load, &mut planner, now);
                }
                Err(RecvTimeoutError::Disconnected) | Ok(Message::Stop) => return Ended::Stop,
                Ok(Message::Vanished) => {
                    return Ended::Vanished("the camera was unplugged".to_owned());
                }
                // It went and came faster than its run noticed.
                Ok(Message::Appeared(device)) => {
                    self.lessons.forget_camera();
                    self.origin = Some(Origin::Device(*device));
                    let reason = "the camera was plugged in again".to_owned();
                    return Ended::Failed(GapReason::CameraGone, reason);
                }
                Ok(Message::SourceEnded { run, reason }) if run == self.run => {
                    return Ended::Failed(GapReason::CameraGone, reason.to_string());
                }
                Ok(Message::EncoderEnded { run, failure }) if run == self.run => {
                    return Ended::Failed(failure.fault.into(), failure.reason);
                }
                Ok(
                    Message::SourceEnded { .. } | Message::EncoderEnded { .. } | Message::LookAgain,
                ) => {}
            }
        }
    }

    /// Whether the next run would have sound.
    fn can_have_sound(&self) -> bool {
        let is_free = |origin: &Origin| origin.has_free_microphone(&self.camera.config);
        self.lessons.wants_sound(Instant::now()) && self.origin.as_ref().is_some_and(is_free)
    }

    fn delivers(&mut self) {
        self.failures = 0;
        self.lessons.note_delivery();
        self.camera.update(|condition| {
            condition.state = CameraState::Live;
            condition.reason = None;
            condition.hangs = false;
        });
    }

    /// The end of a run that has published nothing for too long. A source with a thread of its own would have said
    /// if it were to blame.
    fn silence(&self, source: &RunningSource) -> Ended {
        if source.is_pipeline() {
            let reason = "the camera delivers no pictures".to_owned();
            return Ended::Failed(GapReason::CameraGone, reason);
        }
        self.camera.update(|condition| condition.hangs = true);
        let reason = "nothing comes out of the encoder".to_owned();
        Ended::Failed(GapReason::EncoderFailed, reason)
    }

    /// Looks at the load of a run, and sheds a rung or lets one come back.
    fn tick(
        &self,
        encoder: &dyn RunningEncoder,
        load: &mut LoadWatch,
        planner: &mut ShedPlanner,
        now: Monotonic,
    ) {
        let sample = load.sample(&encoder.report());
        match planner.observe(&sample, now) {
            None => {}
            Some(ShedDecision::Shed(rung)) => {
                tracing::warn!(
                    camera = %self.camera.id, %rung, cpu_busy = sample.cpu_busy, dropped = sample.frames_dropped,
                    "the machine cannot keep up; this quality pauses"
                );
                encoder.set_running(rung, false);
            }
            Some(ShedDecision::Restore(rung)) => {
                tracing::info!(camera = %self.camera.id, %rung, "there is room again; this quality comes back");
                encoder.set_running(rung, true);
            }
        }
    }

    fn vanish(&mut self, reason: &str) {
        self.origin = None;
        self.camera
            .packager
            .mark_away(GapReason::CameraGone, reason);
        self.camera.update(|condition| {
            condition.state = CameraState::Vanished;
            condition.hangs = false;
            condition.reason = Some(format!(
                "{reason}; it comes back by itself once it is plugged in"
            ));
        });
    }

    /// Finds out anew why a camera does not come that is awaited at a node.
    fn look_again(&self) {
        let SourceSelector::Device(path) = &self.camera.config.source else {
            return;
        };
        if self.origin.is_some() {
            return;
        }
        let (state, reason) = absence(path);
        self.camera.update(|condition| {
            // Of a camera that is still away it is known already how it went.
            if (condition.state, state) != (CameraState::Vanished, CameraState::Vanished) {
                condition.state = state;
                condition.reason = Some(reason);
            }
        });
    }

    /// Starts again at once if the next run avoids what ended this one; fails otherwise.
    fn learn_or_fail(
        &mut self,
        culprit: Option<&Culprit>,
        ran_for: Duration,
        kind: GapReason,
        reason: &str,
    ) -> Next {
        let (id, now) = (&self.camera.id, Instant::now());
        if self.lessons.learn(id, culprit, reason, ran_for, now) {
            self.camera.packager.mark_away(kind, reason);
            return Next::Again(Duration::ZERO);
        }
        self.fail(kind, reason)
    }

    fn fail(&mut self, kind: GapReason, reason: &str) -> Next {
        self.camera.packager.mark_away(kind, reason);
        self.camera.update(|condition| {
            condition.state = CameraState::Failed;
            condition.reason = Some(reason.to_owned());
        });
        // The first tries follow each other quickly, as a camera that was just plugged in needs.
        let pause = RETRY * 2_u32.saturating_pow(self.failures.saturating_sub(3));
        self.failures += 1;
        Next::Again(pause.min(RETRY_MAX))
    }
}

enum Ended {
    Stop,
    Vanished(String),
    /// The run lacks sound that the next one can have.
    ForSound,
    Failed(GapReason, String),
}

/// Turns the encoder's running totals into samples of what happened since the last one.
#[derive(Default)]
struct LoadWatch {
    cpu: CpuLoad,
    cpu_busy: f32,
    cpu_measured_at: Option<Instant>,
    frames_dropped: u64,
    frames_lost: u64,
}

impl LoadWatch {
    fn sample(&mut self, report: &EncodeReport) -> LoadSample {
        let dropped = report.frames_dropped.saturating_sub(self.frames_dropped);
        self.frames_dropped = report.frames_dropped;
        let lost = report.frames_lost.saturating_sub(self.frames_lost);
        self.frames_lost = report.frames_lost;
        if self
            .cpu_measured_at
            .is_none_or(|at| at.elapsed() >= CPU_SPAN)
        {
            self.cpu_busy = self.cpu.measure();
            self.cpu_measured_at = Some(Instant::now());
        }
        let rungs = report.rungs.iter().filter(|rung| rung.running);
        LoadSample {
            frames_dropped: dropped,
            frames_lost: lost,
            queue_fill: report.frames_waiting as f32 / FRAMES_WAITING_MAX,
            cpu_busy: self.cpu_busy,
            rungs: rungs
                .map(|rung| RungLoad {
                    rung: rung.rung,
                    lateness: rung.lateness_p50,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
