//! All cameras of this machine: who they are, their supervisors, and what viewers are told of them. Cameras that are
//! plugged in later join; none ever leaves, since its recordings stay.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use super::camera::Camera;
use super::encoders::Encoders;
use super::source::Origin;
use super::supervisor::{Mailbox, Message, Supervisor};
use super::thread::Lifeline;
use super::{health, metrics};
use crate::base::{CameraId, Clock, SystemClock};
use crate::capture::{CameraDevice, CameraEvent};
use crate::config::{CameraConfig, Config, SourceSelector};
use crate::live::{LiveCamera, LiveOptions};
use crate::serve::{Appliance, CameraState, CameraStatus, Health, StillError};
use crate::store::Store;

/// The test scene's name in addresses.
const TEST_CAMERA: &str = "test";

/// The appliance's cameras.
pub(crate) struct Fleet {
    config: Arc<Config>,
    store: Store,
    encoders: Arc<Encoders>,
    lifeline: Lifeline,
    members: Mutex<BTreeMap<CameraId, Member>>,
}

struct Member {
    camera: Arc<Camera>,
    mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
    /// The device that it is now, as discovery calls it; for cameras that the configuration renames.
    device: Option<CameraId>,
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
        }
    }

    /// Starts the test scene and the cameras that the configuration names but that are not plugged in.
    pub(crate) fn start_configured(&self) {
        for camera in &self.config.cameras {
            match &camera.source {
                SourceSelector::Test => self.start_test_scene(camera.clone()),
                SourceSelector::Device(path) => self.expect(camera.clone(), path),
            }
        }
    }

    /// Whether any camera is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Starts the test scene, for a machine without a camera or by configuration.
    pub(crate) fn start_test_scene(&self, camera: CameraConfig) {
        let id = camera
            .id
            .clone()
            .unwrap_or_else(|| CameraId::from_description(TEST_CAMERA));
        self.join(
            id,
            "Test scene".to_owned(),
            camera,
            Some(Origin::TestScene),
            None,
        );
    }

    /// Takes what the camera watch saw.
    pub(crate) fn handle(&self, event: CameraEvent) {
        match event {
            CameraEvent::Appeared(device) => self.appear(*device),
            CameraEvent::Vanished(device) => {
                let members = self.members();
                let gone = members
                    .values()
                    .find(|member| member.device.as_ref() == Some(&device));
                if let Some(member) = gone {
                    member.tell(Message::Vanished);
                }
            }
        }
    }

    /// Stops every camera, all at the same time.
    pub(crate) fn stop(&self) {
        let threads: Vec<_> = {
            let mut members = self.members();
            members
                .values()
                .for_each(|member| member.tell(Message::Stop));
            members
                .values_mut()
                .filter_map(|member| member.thread.take())
                .collect()
        };
        for thread in threads {
            // A panic in there has been reported by the thread itself.
            let _ = thread.join();
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
        let file = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = camera
            .name
            .clone()
            .or(file)
            .unwrap_or_else(|| path.display().to_string());
        let id = camera
            .id
            .clone()
            .unwrap_or_else(|| CameraId::from_description(&name));
        let reason = format!(
            "{} is not plugged in; it starts by itself once it is",
            path.display()
        );
        if let Some(camera) = self.join(id, name, camera, None, None) {
            camera.update(|condition| {
                condition.state = CameraState::Vanished;
                condition.reason = Some(reason);
            });
        }
    }

    fn appear(&self, device: CameraDevice) {
        if let Some((id, mailbox)) = self.member_of(&device) {
            if let Some(member) = self.members().get_mut(&id) {
                member.device = Some(device.id.clone());
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
        let (id, name, known) = (device.id.clone(), device.name.clone(), device.id.clone());
        self.join(id, name, camera, Some(Origin::Device(device)), Some(known));
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
            .find(|(_, member)| member.device.as_ref() == Some(&device.id) || is_meant(member))
            .map(|(id, member)| (id.clone(), member.mailbox.clone()))
    }

    fn join(
        &self,
        id: CameraId,
        name: String,
        config: CameraConfig,
        origin: Option<Origin>,
        device: Option<CameraId>,
    ) -> Option<Arc<Camera>> {
        let mut members = self.members();
        if members.contains_key(&id) {
            tracing::error!(camera = %id, "two cameras have this name; give one an id of its own in the configuration");
            return None;
        }
        let options = LiveOptions {
            listed_segments: self.config.live_window_segments,
            ..LiveOptions::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let name = config.name.clone().unwrap_or(name);
        let live = LiveCamera::new(options);
        let camera = Arc::new(Camera::new(
            id.clone(),
            name,
            config,
            live,
            self.store.clone(),
            clock,
        ));
        let (supervisor, mailbox) = Supervisor::new(
            Arc::clone(&camera),
            Arc::clone(&self.config),
            Arc::clone(&self.encoders),
            origin,
        );
        let thread = self
            .lifeline
            .spawn(&format!("camera-{id}"), move || supervisor.run());
        let member = Member {
            camera: Arc::clone(&camera),
            mailbox,
            thread: Some(thread),
            device,
        };
        members.insert(id, member);
        Some(camera)
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<CameraId, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.cameras()
            .iter()
            .any(|camera| at_work.contains(&camera.condition().state))
    }
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

    fn health(&self) -> Health {
        health::check(&Self::cameras(self), &self.store.status())
    }

    fn metrics(&self) -> String {
        metrics::render(&Self::cameras(self), &self.store.status())
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }
}

/// How long a machine without pictures may go on before its watchdog is left hungry.
pub(crate) const PROGRESS_PATIENCE: Duration = Duration::from_secs(10);
