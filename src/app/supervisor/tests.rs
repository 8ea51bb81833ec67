//! What a supervisor does with its camera, as far as that takes neither a device nor an encoder.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::*;
use crate::app::health;
use crate::base::CameraId;
use crate::config::CameraConfig;
use crate::encode::{EncodeError, RungReport};
use crate::live::{LiveCamera, LiveOptions};
use crate::media::LADDER;
use crate::store::{RecordingState, Store, StoreOptions, StoreStatus};

/// A supervisor of a camera called `door` that is not there, and its mailbox.
fn supervisor(folder: &Path, source: SourceSelector) -> (Supervisor, Mailbox) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, _) =
        Store::open(folder, StoreOptions::default(), Arc::clone(&clock)).expect("an empty store");
    let camera = Camera::new(
        CameraId::from_description("door"),
        "Door".to_owned(),
        CameraConfig::plain(source),
        LiveCamera::new(LiveOptions::default()),
        store,
        clock,
    );
    let encoders = Encoders::new(None, folder.join("encoders"));
    Supervisor::new(
        Arc::new(camera),
        Arc::new(Config::default()),
        Arc::new(encoders),
        Lifeline::default(),
        None,
    )
}

/// An encoder of the whole ladder, as far as its report tells.
struct ToldEncoder(Mutex<EncodeReport>);

impl ToldEncoder {
    /// One that keeps up.
    fn punctual() -> Self {
        let rungs = LADDER.map(|spec| RungReport {
            rung: spec.rung,
            encoder: "told".to_owned(),
            running: true,
            units: 0,
            bytes: 0,
            unaligned: 0,
            in_flight: 0,
            lateness_p50: Duration::from_millis(60),
            lateness_max: Duration::from_millis(60),
        });
        Self(Mutex::new(EncodeReport {
            rungs: rungs.to_vec(),
            ..EncodeReport::default()
        }))
    }

    fn lock(&self) -> MutexGuard<'_, EncodeReport> {
        self.0.lock().expect("no test panicked with it")
    }
}

impl RunningEncoder for ToldEncoder {
    fn report(&self) -> EncodeReport {
        self.lock().clone()
    }

    fn set_running(&self, rung: Rung, running: bool) {
        let mut report = self.lock();
        let mut rungs = report.rungs.iter_mut();
        let found = rungs.find(|told| told.rung == rung);
        found.expect("a rung of the ladder").running = running;
    }

    fn still(&self, _width_max: u32) -> Result<Bytes, EncodeError> {
        Err(EncodeError::NoPicture)
    }
}

#[test]
fn an_overload_pauses_the_costliest_rung_that_is_not_recorded_until_there_is_room_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (supervisor, _mailbox) = supervisor(folder.path(), SourceSelector::Test);
    let encoder = Arc::new(ToldEncoder::punctual());
    let told: Arc<dyn RunningEncoder> = encoder.clone();
    let camera = Arc::clone(&supervisor.camera);
    camera.set_encoder(Some(told));
    camera.update(|condition| condition.ladder = LADDER.to_vec());
    let mut planner = ShedPlanner::new(&LADDER, &[Rung::High]);
    // The processors are idle, and not asked how idle for as long as this takes.
    let mut load = LoadWatch {
        cpu_measured_at: Some(Instant::now() + Duration::from_secs(3_600)),
        ..LoadWatch::default()
    };
    let mut ticks = 0;
    let mut run_for = |seconds: u32| {
        for _ in 0..4 * seconds {
            ticks += 1;
            let now = Monotonic::default().after(TICK * ticks);
            supervisor.tick(&*encoder, &mut load, &mut planner, now);
        }
    };
    let check = |expected: [bool; 4], problems: &[&str]| {
        let status = camera.status(&RecordingState::Recording);
        let running: Vec<_> = status.rungs.iter().map(|rung| rung.running).collect();
        assert_eq!(running, expected);
        let health = health::check(&[Arc::clone(&camera)], &StoreStatus::default(), true);
        let told = health.problems.iter().map(|problem| problem.code);
        assert_eq!(told.collect::<Vec<_>>(), problems);
        let details = health.problems.iter().map(|problem| &problem.detail[..]);
        for detail in details {
            // As the page's table calls it.
            assert!(detail.starts_with("door: 720p paused, "), "{detail}");
        }
    };

    run_for(2);
    check([true; 4], &[]);
    encoder.lock().frames_waiting = 4;
    run_for(1);
    check([true, true, false, true], &["rungs_shed"]);
    // What was lost stays counted, but is lost only once.
    encoder.lock().frames_waiting = 0;
    encoder.lock().frames_dropped = 7;
    run_for(5);
    check([true, true, false, true], &["rungs_shed"]);
    run_for(4);
    check([true; 4], &[]);
}

#[test]
fn a_camera_that_is_awaited_says_what_comes_in_its_place_and_when_that_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = folder.path().join("video1");
    let source = SourceSelector::Device(node.clone());
    let (mut supervisor, mailbox) = supervisor(&folder.path().join("data"), source);
    supervisor.vanish("the camera was unplugged");
    let mut check = |expected_state: CameraState, expected: &str| {
        mailbox.send(Message::LookAgain).expect("it listens");
        supervisor.wait(Duration::ZERO);
        let condition = supervisor.camera.condition();
        let reason = condition.reason.expect("a reason");
        assert_eq!(condition.state, expected_state, "{reason}");
        assert!(reason.contains(expected), "{reason}");
    };
    check(CameraState::Vanished, "the camera was unplugged");
    std::fs::write(&node, "").expect("room");
    check(CameraState::Failed, "not a video device");
    std::fs::remove_file(&node).expect("it is there");
    check(CameraState::Vanished, "is not plugged in");
}
