//! All cameras of this machine: who they are, their supervisors, and what viewers are told of them. Cameras that are
//! plugged in later join; none ever leaves but the test scene that stood in for them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::absence::absence;
use super::camera::Camera;
use super::encoders::Encoders;
use super::source::Origin;
use super::supervisor::{Mailbox, Message, Supervisor};
use super::thread::{Lifeline, Task};
use super::{health, metrics};
use crate::base::{CameraId, Clock, SystemClock};
use crate::capture::{CameraDevice, CameraEvent};
use crate::config::{CameraConfig, Config, SourceSelector};
use crate::encode;
use crate::live::{LiveCamera, LiveOptions};
use crate::media::VideoParameters;
use crate::serve::{Appliance, CameraState, CameraStatus, Health, StillError};
use crate::store::Store;

/// How long a machine without pictures may go on before its watchdog is left hungry.
pub(crate) const PROGRESS_PATIENCE: Duration = Duration::from_secs(10);

/// The appliance's cameras.
pub(crate) struct Fleet {
    config: Arc<Config>,
    store: Store,
    encoders: Arc<Encoders>,
    lifeline: Lifeline,
    members: Mutex<BTreeMap<CameraId, Member>>,
    /// Stand-ins that were told to stop.
    leaving: Mutex<Vec<(CameraId, Task)>>,
    /// Whether pictures advance, as the watchdog sees it.
    advances: AtomicBool,
}

struct Member {
    camera: Arc<Camera>,
    mailbox: Mailbox,
    /// `None` once somebody waits for it.
    task: Option<Task>,
    role: Role,
}

/// What a member is in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// A camera, or the test scene that somebody asked for; and the device that it is now, as discovery calls it.
    Camera(Option<CameraId>),
    /// The test scene, until a camera is plugged in.
    StandIn,
}

impl Role {
    fn is(&self, device: &CameraId) -> bool {
        matches!(self, Self::Camera(Some(own)) if own == device)
    }
}

impl Fleet {
    pub(crate) fn new(
        config: Arc<Config>,
        store: Store,
        encoders: Arc<Encoders>,
        lifeline: Lifeline,
    ) -> Self {
        Self {
            config,
            store,
            encoders,
            lifeline,
            members: Mutex::default(),
            leaving: Mutex::default(),
            advances: true.into(),
        }
    }

    /// Starts the test scene and the cameras that the configuration names but that are not plugged in.
    pub(crate) fn start_configured(&self) {
        for camera in &self.config.cameras {
            match &camera.source {
                SourceSelector::Test => self.start_test_scene(camera.clone(), Role::Camera(None)),
                SourceSelector::Device(path) => self.expect(camera.clone(), path),
            }
        }
    }

    /// Whether any camera is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Starts the test scene for as long as no camera is plugged in.
    pub(crate) fn start_stand_in(&self) {
        self.start_test_scene(CameraConfig::plain(SourceSelector::Test), Role::StandIn);
    }

    fn start_test_scene(&self, camera: CameraConfig, role: Role) {
        let id = camera.address_name();
        self.join(
            id,
            "Test scene".to_owned(),
            camera,
            Some(Origin::TestScene),
            role,
        );
    }

    /// Takes what the camera watch saw.
    pub(crate) fn handle(&self, event: CameraEvent) {
        match event {
            CameraEvent::Appeared(device) => self.appear(*device),
            CameraEvent::Vanished(device) => {
                let members = self.members();
                let gone = members.values().find(|member| member.role.is(&device));
                if let Some(member) = gone {
                    member.tell(Message::Vanished);
                }
            }
            // Cameras that nobody named are awaited at no node.
            CameraEvent::Unusable if self.config.cameras.is_empty() => {}
            CameraEvent::Unusable => {
                for member in self.members().values() {
                    member.tell(Message::LookAgain);
                }
            }
        }
    }

    /// Stops every camera, all at the same time, and waits for them until `deadline`. Who has not stopped by then,
    /// for instance because a driver holds its thread, is named and left. The lifeline is cut before this.
    pub(crate) fn stop(&self, deadline: Instant) {
        let mut tasks = std::mem::take(&mut *lock(&self.leaving));
        for (id, member) in self.members().iter_mut() {
            member.tell(Message::Stop);
            tasks.extend(member.task.take().map(|task| (id.clone(), task)));
        }
        for (id, task) in tasks {
            if !task.ends_within(deadline.saturating_duration_since(Instant::now())) {
                tracing::warn!(camera = %id, "the camera did not stop in time; it is left behind");
            }
        }
        for camera in self.cameras() {
            camera.packager.close();
        }
    }

    /// Every camera, for metrics and health.
    pub(crate) fn cameras(&self) -> Vec<Arc<Camera>> {
        self.members()
            .values()
            .map(|member| Arc::clone(&member.camera))
            .collect()
    }

    /// A configured camera that is not there yet waits under its own name.
    fn expect(&self, camera: CameraConfig, path: &Path) {
        let name = camera.name.clone().unwrap_or_else(|| camera.source_name());
        let id = camera.address_name();
        let (state, reason) = absence(path);
        if let Some(camera) = self.join(id, name, camera, None, Role::Camera(None)) {
            camera.update(|condition| {
                condition.state = state;
                condition.reason = Some(reason);
            });
        }
    }

    fn appear(&self, device: CameraDevice) {
        if let Some((id, mailbox)) = self.member_of(&device) {
            if let Some(member) = self.members().get_mut(&id) {
                member.role = Role::Camera(Some(device.id.clone()));
                let name = member
                    .camera
                    .config
                    .name
                    .clone()
                    .unwrap_or_else(|| device.name.clone());
                member.camera.update(|condition| condition.name = name);
            }
            let _ = mailbox.send(Message::Appeared(Box::new(device)));
            return;
        }
        if !self.config.cameras.is_empty() {
            return tracing::info!(%device, "a camera that the configuration does not name is left alone");
        }
        let camera = CameraConfig::plain(SourceSelector::Device(device.path.clone()));
        let (id, name, role) = (
            device.id.clone(),
            device.name.clone(),
            Role::Camera(Some(device.id.clone())),
        );
        self.join(id, name, camera, Some(Origin::Device(device)), role);
    }

    /// Which member a device is: the one that it was before, or the one that the configuration means by it.
    fn member_of(&self, device: &CameraDevice) -> Option<(CameraId, Mailbox)> {
        let members = self.members();
        let is_meant = |member: &Member| match &member.camera.config.source {
            SourceSelector::Test => false,
            SourceSelector::Device(path) if !self.config.cameras.is_empty() => {
                device.answers_to(&path.to_string_lossy())
            }
            SourceSelector::Device(_) => false,
        };
        members
            .iter()
            .find(|(_, member)| member.role.is(&device.id) || is_meant(member))
            .map(|(id, member)| (id.clone(), member.mailbox.clone()))
    }

    /// Adds a member, unless its name is taken or the appliance stops.
    fn join(
        &self,
        id: CameraId,
        name: String,
        config: CameraConfig,
        origin: Option<Origin>,
        role: Role,
    ) -> Option<Arc<Camera>> {
        if !self.has_place(&self.members(), &id) {
            return None;
        }
        let options = LiveOptions {
            listed_segments: self.config.live_window_segments,
            ..LiveOptions::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let name = config.name.clone().unwrap_or(name);
        let live = LiveCamera::new(options);
        // Waits for the disk, so nobody who looks for a camera may have to wait for this.
        let camera = Arc::new(Camera::new(
            id.clone(),
            name,
            config,
            live,
            self.store.clone(),
            clock,
        ));
        let mut members = self.members();
        if !self.has_place(&members, &id) {
            return None;
        }
        let (supervisor, mailbox) = Supervisor::new(
            Arc::clone(&camera),
            Arc::clone(&self.config),
            Arc::clone(&self.encoders),
            self.lifeline.clone(),
            origin,
        );
        let task = self
            .lifeline
            .spawn(&format!("camera-{id}"), move || supervisor.run());
        let member = Member {
            camera: Arc::clone(&camera),
            mailbox,
            task: Some(task),
            role,
        };
        members.insert(id, member);
        self.dismiss_stand_in(&mut members);
        Some(camera)
    }

    fn has_place(&self, members: &BTreeMap<CameraId, Member>, id: &CameraId) -> bool {
        let taken = members.contains_key(id);
        if taken {
            tracing::error!(camera = %id, "two cameras have this name; give one an id of its own in the configuration");
        }
        // Whoever joins later than the stop would never be told to.
        !taken && !self.lifeline.token().is_cancelled()
    }

    /// Lets the stand-in go once there is a camera. What was recorded of it stays where it is, under its address.
    fn dismiss_stand_in(&self, members: &mut BTreeMap<CameraId, Member>) {
        if members.values().all(|member| member.role == Role::StandIn) {
            return;
        }
        for (id, member) in members.extract_if(.., |_, member| member.role == Role::StandIn) {
            tracing::info!(camera = %id, "a camera is plugged in; the test scene leaves");
            member.tell(Message::Stop);
            lock(&self.leaving).extend(member.task.map(|task| (id, task)));
        }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<CameraId, Member>> {
        lock(&self.members)
    }

    fn camera(&self, id: &CameraId) -> Option<Arc<Camera>> {
        self.members()
            .get(id)
            .map(|member| Arc::clone(&member.camera))
    }

    /// How many parts of pictures all cameras have published; grows while frames advance.
    pub(crate) fn progress(&self) -> u64 {
        self.cameras()
            .iter()
            .map(|camera| camera.packager.video_parts_count())
            .sum()
    }

    /// Whether some camera should be delivering now.
    pub(crate) fn expects_progress(&self) -> bool {
        let at_work = [CameraState::Starting, CameraState::Live];
        self.cameras().iter().any(|camera| {
            let condition = camera.condition();
            condition.hangs || at_work.contains(&condition.state)
        })
    }

    /// Takes the watchdog's verdict, for whoever asks after the appliance's health.
    pub(crate) fn set_advances(&self, advances: bool) {
        self.advances.store(advances, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Member {
    fn tell(&self, message: Message) {
        // Its supervisor listens until it is told to stop; after that there is nothing to tell.
        let _ = self.mailbox.send(message);
    }
}

impl Appliance for Fleet {
    fn cameras(&self) -> Vec<CameraStatus> {
        let recording = self.store.status().state;
        Self::cameras(self)
            .iter()
            .map(|camera| camera.status(&recording))
            .collect()
    }

    fn live(&self, camera: &CameraId) -> Option<LiveCamera> {
        self.camera(camera).map(|camera| camera.live.clone())
    }

    fn still(&self, camera: &CameraId, width_max: u32) -> Result<Bytes, StillError> {
        self.camera(camera)
            .ok_or(StillError::UnknownCamera)?
            .still(width_max)
    }

    fn recorded_still(
        &self,
        video: &VideoParameters,
        keyframe: Bytes,
        width_max: u32,
    ) -> Result<Bytes, StillError> {
        encode::recorded_still(video, keyframe, width_max)
            .map_err(|error| StillError::NotDecoded(error.to_string()))
    }

    fn recorded_strip(
        &self,
        tiles: &[Option<(VideoParameters, Bytes)>],
        tile_width: u32,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Bytes, StillError> {
        encode::recorded_strip(tiles, tile_width, is_wanted).map_err(|error| match error {
            encode::EncodeError::Unwanted => StillError::Unwanted,
            error => StillError::NotDecoded(error.to_string()),
        })
    }

    fn health(&self) -> Health {
        let advances = self.advances.load(Ordering::Relaxed);
        health::check(&Self::cameras(self), &self.store.status(), advances)
    }

    fn metrics(&self) -> String {
        metrics::render(&Self::cameras(self), &self.store)
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::store::StoreOptions;

    const LONG: Duration = Duration::from_secs(60);

    /// A fleet whose cameras wait to be plugged in, and its data directory.
    fn fleet() -> (tempfile::TempDir, Fleet) {
        fleet_of(Vec::new())
    }

    /// The same with these cameras in its configuration.
    fn fleet_of(cameras: Vec<CameraConfig>) -> (tempfile::TempDir, Fleet) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, _) =
            Store::open(folder.path(), StoreOptions::default(), clock).expect("an empty store");
        let encoders = Encoders::new(None, folder.path().join("encoders"));
        let lifeline = Lifeline::default();
        let config = Arc::new(Config {
            cameras,
            ..Config::default()
        });
        let fleet = Fleet::new(config, store, Arc::new(encoders), lifeline);
        (folder, fleet)
    }

    fn join(fleet: &Fleet, name: &str, role: Role) -> bool {
        let (id, config) = (
            CameraId::from_description(name),
            CameraConfig::plain(SourceSelector::Test),
        );
        let joined = fleet.join(id, name.to_owned(), config, None, role);
        joined.is_some()
    }

    fn names(fleet: &Fleet) -> Vec<String> {
        let cameras = Fleet::cameras(fleet);
        cameras.iter().map(|camera| camera.id.to_string()).collect()
    }

    #[test]
    fn a_test_scene_that_stands_in_leaves_when_a_camera_is_plugged_in() {
        let (_folder, fleet) = fleet();
        assert!(join(&fleet, "test", Role::StandIn));
        assert_eq!(names(&fleet), ["test"]);
        assert!(join(&fleet, "door", Role::Camera(None)));
        assert_eq!(names(&fleet), ["door"]);
        // As if the camera had come while the scene was being started.
        assert!(join(&fleet, "test", Role::StandIn));
        assert_eq!(names(&fleet), ["door"]);
        fleet.stop(Instant::now() + LONG);
    }

    #[test]
    fn a_test_scene_that_was_asked_for_stays() {
        let (_folder, fleet) = fleet();
        assert!(join(&fleet, "test", Role::Camera(None)));
        assert!(join(&fleet, "door", Role::Camera(None)));
        assert_eq!(names(&fleet), ["door", "test"]);
        fleet.stop(Instant::now() + LONG);
    }

    #[test]
    fn a_camera_whose_driver_hangs_does_not_hold_the_stop() {
        let (_folder, fleet) = fleet();
        assert!(join(&fleet, "door", Role::Camera(None)));
        let (release, held) = mpsc::channel::<()>();
        let stuck = fleet
            .lifeline
            .spawn("stuck", move || assert!(held.recv().is_err()));
        let hangs = CameraId::from_description("hangs");
        lock(&fleet.leaving).push((hangs, stuck));
        fleet.stop(Instant::now());
        drop(release);
    }

    #[test]
    fn no_camera_joins_an_appliance_that_stops() {
        let (_folder, fleet) = fleet();
        fleet.lifeline.token().cancel();
        assert!(!join(&fleet, "door", Role::Camera(None)));
        assert!(fleet.is_empty());
    }

    #[test]
    fn a_configured_camera_whose_node_turns_out_to_be_none_says_so() {
        let nodes = tempfile::tempdir().expect("a temporary folder");
        let node = nodes.path().join("video1");
        let source = SourceSelector::Device(node.clone());
        let (_folder, fleet) = fleet_of(vec![CameraConfig::plain(source)]);
        fleet.start_configured();
        let camera = Arc::clone(&Fleet::cameras(&fleet)[0]);
        assert_eq!(camera.condition().state, CameraState::Vanished);
        std::fs::write(&node, "").expect("room");
        fleet.handle(CameraEvent::Unusable);
        fleet.stop(Instant::now() + LONG);
        let condition = camera.condition();
        assert_eq!(condition.state, CameraState::Failed);
        let reason = condition.reason.expect("a reason");
        assert!(reason.contains("not a video device"), "{reason}");
    }

    #[test]
    fn a_camera_that_hangs_is_to_advance_even_while_it_counts_as_failed() {
        let (_folder, fleet) = fleet();
        assert!(join(&fleet, "door", Role::Camera(None)));
        let camera = &Fleet::cameras(&fleet)[0];
        camera.update(|condition| condition.state = CameraState::Failed);
        assert!(!fleet.expects_progress());
        camera.update(|condition| condition.hangs = true);
        assert!(fleet.expects_progress());
        fleet.stop(Instant::now() + LONG);
    }
}
