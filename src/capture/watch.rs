//! Tells which cameras were plugged in and which went away, within half a second. Reads sysfs four times a second,
//! which costs microseconds and needs neither udev nor rights; opens a node once, when it appears.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::discover::{self, CameraDevice, Found};
use super::error::OpenError;
use super::identity::CameraNames;
use super::sysfs::{self, NodePresence};
use crate::base::CameraId;

/// How often sysfs is read.
const TICK: Duration = Duration::from_millis(250);
/// Attempts at every tick to ask a node what it is; udev may set its rights a moment after it appears.
const EAGER_ATTEMPTS: u32 = 20;
/// Ticks between attempts after those.
const PATIENT_TICKS: u32 = 40;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CameraEvent {
    /// A camera is there, for the first time or again.
    Appeared(Box<CameraDevice>),
    /// A camera went away.
    Vanished(CameraId),
}

/// Takes each event, on the watcher's thread.
pub type CameraEventSink = Box<dyn FnMut(CameraEvent) + Send>;

/// The thread that watches. Stops when dropped.
#[derive(Debug)]
pub struct CameraWatch {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl CameraWatch {
    /// Starts to watch. The cameras that are there already appear first, before this returns.
    pub fn start(names: CameraNames, mut sink: CameraEventSink) -> io::Result<Self> {
        let mut presences = Presences::new(names);
        let nodes = || sysfs::video_nodes(Path::new(sysfs::SYSFS));
        presences
            .tick(nodes(), discover::inspect)
            .into_iter()
            .for_each(&mut sink);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("camera-watch".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    presences
                        .tick(nodes(), discover::inspect)
                        .into_iter()
                        .for_each(&mut sink);
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for CameraWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches for cameras panicked");
        }
    }
}

/// What is known of each node that is there.
struct Presences {
    names: CameraNames,
    known: BTreeMap<NodePresence, Knowledge>,
}

enum Knowledge {
    Camera(Box<CameraDevice>),
    NotACamera,
    /// It could not be asked yet.
    Unclear {
        ticks: u32,
    },
}

impl Presences {
    fn new(names: CameraNames) -> Self {
        Self {
            names,
            known: BTreeMap::new(),
        }
    }

    /// Compares what was known with the nodes that exist now, asks the new ones, and says what changed:
    /// first what went, then what came.
    fn tick(
        &mut self,
        nodes: Vec<NodePresence>,
        mut inspect: impl FnMut(&NodePresence) -> Result<Found, OpenError>,
    ) -> Vec<CameraEvent> {
        let mut events = Vec::new();
        self.known.retain(|node, knowledge| {
            let stays = nodes.contains(node);
            if let (false, Knowledge::Camera(camera)) = (stays, knowledge) {
                events.push(CameraEvent::Vanished(camera.id.clone()));
            }
            stays
        });
        let mut found = Vec::new();
        for node in nodes {
            let ticks = match self.known.get(&node) {
                Some(Knowledge::Camera(_) | Knowledge::NotACamera) => continue,
                Some(&Knowledge::Unclear { ticks }) => ticks + 1,
                None => 1,
            };
            let is_due = ticks <= EAGER_ATTEMPTS || ticks.is_multiple_of(PATIENT_TICKS);
            let knowledge = match is_due.then(|| inspect(&node)) {
                None => Knowledge::Unclear { ticks },
                Some(Ok(camera)) => {
                    found.push((node, camera));
                    continue;
                }
                Some(Err(OpenError::NotACamera { .. })) => Knowledge::NotACamera,
                Some(Err(error)) => {
                    if ticks == EAGER_ATTEMPTS {
                        tracing::warn!(%error, "a video node was left out");
                    }
                    Knowledge::Unclear { ticks }
                }
            };
            self.known.insert(node, knowledge);
        }
        events.extend(self.welcome(found));
        events
    }

    /// Names the new cameras, with those in mind that are there already.
    fn welcome(&mut self, found: Vec<(NodePresence, Found)>) -> Vec<CameraEvent> {
        if found.is_empty() {
            return Vec::new();
        }
        let present: Vec<_> = self
            .known
            .values()
            .filter_map(|knowledge| match knowledge {
                Knowledge::Camera(camera) => Some(&**camera),
                _ => None,
            })
            .collect();
        let (nodes, found): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let cameras = discover::name(found, &present, &mut self.names);
        nodes
            .into_iter()
            .zip(cameras)
            .map(|(node, camera)| {
                let camera = Box::new(camera);
                self.known.insert(node, Knowledge::Camera(camera.clone()));
                CameraEvent::Appeared(camera)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::PathBuf;

    use super::sysfs::tests::plug_in;
    use super::*;

    /// A desk with USB ports, and how often its cameras were opened.
    struct Desk {
        root: tempfile::TempDir,
        presences: Presences,
        opened: Cell<u32>,
    }

    impl Desk {
        fn new() -> Self {
            Self {
                root: tempfile::tempdir().expect("a temporary folder"),
                presences: Presences::new(CameraNames::default()),
                opened: Cell::new(0),
            }
        }

        fn tick(&mut self, answer: impl Fn(&str) -> Result<(), OpenError>) -> Vec<String> {
            let nodes = sysfs::video_nodes(self.root.path());
            let opened = &self.opened;
            let events = self.presences.tick(nodes, |node| {
                opened.set(opened.get() + 1);
                answer(&node.name).map(|()| Found::for_test(&node.name))
            });
            events
                .iter()
                .map(|event| match event {
                    CameraEvent::Appeared(camera) => format!("+{}", camera.id),
                    CameraEvent::Vanished(id) => format!("-{id}"),
                })
                .collect()
        }
    }

    #[test]
    fn cameras_come_and_go_and_come_back_under_their_names() {
        let mut desk = Desk::new();
        assert!(desk.tick(|_| Ok(())).is_empty());
        plug_in(desk.root.path(), "1-1", "video0", false);
        plug_in(desk.root.path(), "1-2", "video2", false);
        assert_eq!(desk.tick(|_| Ok(())), ["+cam".to_owned(), second_name()]);
        assert!(desk.tick(|_| Ok(())).is_empty());
        assert_eq!(desk.opened.get(), 2, "a node is opened once");
        let link = desk.root.path().join("class/video4linux/video2");
        let aside = desk.root.path().join("aside");
        std::fs::rename(&link, &aside).expect("same disk");
        assert_eq!(desk.tick(|_| Ok(())), [second_name().replace('+', "-")]);
        std::fs::rename(&aside, &link).expect("same disk");
        assert_eq!(desk.tick(|_| Ok(())), [second_name()]);
    }

    /// The name that the camera at `video2` gets beside its twin.
    fn second_name() -> String {
        let mut names = CameraNames::default();
        let both = vec![Found::for_test("video0"), Found::for_test("video2")];
        format!("+{}", discover::name(both, &[], &mut names)[1].id)
    }

    #[test]
    fn a_node_without_rights_yet_is_asked_again_but_not_for_ever() {
        let mut desk = Desk::new();
        plug_in(desk.root.path(), "1-1", "video0", false);
        let denied = |_: &str| Err(OpenError::Permission(PathBuf::from("/dev/video0")));
        for _ in 0..EAGER_ATTEMPTS + PATIENT_TICKS {
            assert!(desk.tick(denied).is_empty());
        }
        assert_eq!(desk.opened.get(), EAGER_ATTEMPTS + 1);
        for _ in 0..PATIENT_TICKS - 1 {
            desk.tick(|_| Ok(()));
        }
        assert_eq!(desk.opened.get(), EAGER_ATTEMPTS + 2);
    }

    #[test]
    fn what_is_no_camera_is_asked_once() {
        let mut desk = Desk::new();
        plug_in(desk.root.path(), "1-1", "video1", false);
        for _ in 0..10 {
            let events = desk.tick(|_| {
                Err(OpenError::NotACamera {
                    device: PathBuf::from("/dev/video1"),
                    why: "carries metadata",
                })
            });
            assert!(events.is_empty());
        }
        assert_eq!(desk.opened.get(), 1);
    }
}
