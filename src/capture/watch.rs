//! Tells which cameras were plugged in and which went away, within half a second. Reads sysfs four times a second,
//! which costs microseconds and needs neither udev nor rights; opens a node once, when it appears and udev, where it
//! runs, has made its links.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::discover::{self, Asked, CameraDevice, Found};
use super::error::OpenError;
use super::identity::CameraNames;
use super::sysfs::{self, NodePresence};
use crate::base::CameraId;

/// How often sysfs is read.
const TICK: Duration = Duration::from_millis(250);
/// Ticks that udev gets to make a new node's links, by which a person may have named it: some 20 ms is usual, and a
/// camera is to be back within three seconds of being plugged in.
const UDEV_TICKS: u32 = 7;
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
    /// A node that is no camera, or that could not be asked for seconds, came or went: who waits for a camera under a
    /// node's name finds out why none comes.
    Unusable,
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
    /// Starts to watch. The cameras that are there already appear first, before this returns; that may take as long
    /// as udev does with them. `named` are nodes, or links to them, that a person wants as cameras even if nobody
    /// would take them for such unasked. A panic drops `sink` on the watcher's thread.
    pub fn start(
        names: CameraNames,
        named: Vec<PathBuf>,
        mut sink: CameraEventSink,
    ) -> io::Result<Self> {
        let mut presences = Presences::new(names);
        let mut tick = move || {
            let nodes = sysfs::video_nodes(Path::new(sysfs::SYSFS));
            presences
                .tick(nodes, |node, ticks| look_at(node, ticks, &named))
                .into_iter()
                .for_each(&mut sink);
            presences.awaits_udev()
        };
        while tick() {
            thread::sleep(TICK);
        }
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("camera-watch".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    tick();
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

/// What a look at a node brought.
enum Look {
    /// Udev is still at work on it.
    AwaitsUdev,
    Asked(Result<Found, OpenError>),
}

/// Looks at a node that has been there for `ticks`, counted from 1.
fn look_at(node: &NodePresence, ticks: u32, named: &[PathBuf]) -> Look {
    if ticks <= UDEV_TICKS && node.awaits_udev(Path::new(sysfs::UDEV)) {
        return Look::AwaitsUdev;
    }
    let path = node.path();
    // Only now are the links what they will be.
    let is_named = named
        .iter()
        .any(|name| name.canonicalize().is_ok_and(|name| name == path));
    let asked = if is_named {
        Asked::ByName
    } else {
        Asked::InPassing
    };
    Look::Asked(discover::inspect(node, asked))
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
    AwaitsUdev {
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
        mut look_at: impl FnMut(&NodePresence, u32) -> Look,
    ) -> Vec<CameraEvent> {
        let mut events = Vec::new();
        let mut unusable_changed = false;
        self.known.retain(|node, knowledge| {
            let stays = nodes.contains(node);
            match knowledge {
                _ if stays => {}
                Knowledge::Camera(camera) => {
                    events.push(CameraEvent::Vanished(camera.id.clone()));
                }
                Knowledge::NotACamera | Knowledge::Unclear { .. } => unusable_changed = true,
                Knowledge::AwaitsUdev { .. } => {}
            }
            stays
        });
        let mut found = Vec::new();
        for node in nodes {
            let ticks = match self.known.get(&node) {
                Some(Knowledge::Camera(_) | Knowledge::NotACamera) => continue,
                Some(&(Knowledge::Unclear { ticks } | Knowledge::AwaitsUdev { ticks })) => {
                    ticks + 1
                }
                None => 1,
            };
            let is_due = ticks <= EAGER_ATTEMPTS || ticks.is_multiple_of(PATIENT_TICKS);
            let knowledge = match is_due.then(|| look_at(&node, ticks)) {
                None => Knowledge::Unclear { ticks },
                Some(Look::AwaitsUdev) => Knowledge::AwaitsUdev { ticks },
                Some(Look::Asked(Ok(camera))) => {
                    found.push((node, camera));
                    continue;
                }
                Some(Look::Asked(Err(OpenError::NotACamera { .. }))) => {
                    unusable_changed = true;
                    Knowledge::NotACamera
                }
                Some(Look::Asked(Err(error))) => {
                    if ticks == EAGER_ATTEMPTS {
                        tracing::warn!(%error, "a video node was left out");
                        unusable_changed = true;
                    }
                    Knowledge::Unclear { ticks }
                }
            };
            self.known.insert(node, knowledge);
        }
        events.extend(self.welcome(found));
        // Last: a camera that came is not asked after any more.
        events.extend(unusable_changed.then_some(CameraEvent::Unusable));
        events
    }

    /// Whether udev is still at work on some node.
    fn awaits_udev(&self) -> bool {
        let mut known = self.known.values();
        known.any(|knowledge| matches!(knowledge, Knowledge::AwaitsUdev { .. }))
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
            self.tick_looking(|node, _| {
                Look::Asked(answer(&node.name).map(|()| Found::for_test(&node.name)))
            })
        }

        fn tick_looking(
            &mut self,
            mut look: impl FnMut(&NodePresence, u32) -> Look,
        ) -> Vec<String> {
            let nodes = sysfs::video_nodes(self.root.path());
            let opened = &self.opened;
            let events = self.presences.tick(nodes, |node, ticks| {
                opened.set(opened.get() + 1);
                look(node, ticks)
            });
            events
                .iter()
                .map(|event| match event {
                    CameraEvent::Appeared(camera) => format!("+{}", camera.id),
                    CameraEvent::Vanished(id) => format!("-{id}"),
                    CameraEvent::Unusable => "?".to_owned(),
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
        for tick in 1..=EAGER_ATTEMPTS + PATIENT_TICKS {
            let expected: &[&str] = if tick == EAGER_ATTEMPTS { &["?"] } else { &[] };
            assert_eq!(desk.tick(denied), expected, "tick {tick}");
        }
        assert_eq!(desk.opened.get(), EAGER_ATTEMPTS + 1);
        for _ in 0..PATIENT_TICKS - 1 {
            desk.tick(|_| Ok(()));
        }
        assert_eq!(desk.opened.get(), EAGER_ATTEMPTS + 2);
    }

    #[test]
    fn a_node_appears_once_udev_has_made_its_links() {
        let mut desk = Desk::new();
        plug_in(desk.root.path(), "1-1", "video0", false);
        let not_yet = |_: &NodePresence, ticks: u32| {
            if ticks < 3 {
                return Look::AwaitsUdev;
            }
            Look::Asked(Ok(Found::for_test("video0")))
        };
        for _ in 0..2 {
            assert!(desk.tick_looking(not_yet).is_empty());
            assert!(desk.presences.awaits_udev());
        }
        assert_eq!(desk.tick_looking(not_yet), ["+cam"]);
        assert!(!desk.presences.awaits_udev());
    }

    #[test]
    fn what_is_no_camera_is_asked_once_and_told_when_it_comes_and_goes() {
        let mut desk = Desk::new();
        plug_in(desk.root.path(), "1-1", "video1", false);
        let none = |_: &str| {
            Err(OpenError::NotACamera {
                device: PathBuf::from("/dev/video1"),
                why: "carries metadata",
            })
        };
        assert_eq!(desk.tick(none), ["?"]);
        for _ in 0..10 {
            assert!(desk.tick(none).is_empty());
        }
        assert_eq!(desk.opened.get(), 1);
        let link = desk.root.path().join("class/video4linux/video1");
        std::fs::rename(link, desk.root.path().join("aside")).expect("same disk");
        assert_eq!(desk.tick(none), ["?"]);
    }
}
