//! Finds the cameras among /dev/video*: what each is, what it offers, which microphone is its own.
//! Opens each node once, only to ask; never streams.

use std::fmt;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use v4l::v4l_sys as sys;

use super::error::OpenError;
use super::identity::{CameraIdentity, CameraNames};
use super::ioctl::{Capability, Planes, RateAnswer, VideoNode};
use super::mode::{FrameRates, Mode, format_of_fourcc, sizes_of};
use super::sysfs::{self, NodePresence};
use crate::base::CameraId;

/// A camera that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraDevice {
    /// Its name in addresses and folders, the same after a reboot or a re-plug.
    pub id: CameraId,
    /// What it calls itself.
    pub name: String,
    /// Its node now; may be another after the next re-plug.
    pub path: PathBuf,
    /// What tells it from its twins.
    pub identity: CameraIdentity,
    /// Whether its pictures come in several memory planes: enumerated here, streamed by GStreamer's v4l2src.
    pub multiplanar: bool,
    /// What it offers, of what we read; empty for an infrared camera, say.
    pub modes: Vec<Mode>,
    /// ALSA's name of the microphone in the same housing: `hw:CARD=C920,DEV=0`.
    pub microphone: Option<String>,
}

impl CameraDevice {
    /// Whether a person means this camera by `text`: its node or a link to it, its id, serial or port.
    pub fn answers_to(&self, text: &str) -> bool {
        self.id.as_str() == text
            || self.identity.port == text
            || self.identity.serial.as_deref() == Some(text)
            || Path::new(text)
                .canonicalize()
                .is_ok_and(|path| path == self.path)
    }
}

impl fmt::Display for CameraDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.id, self.name, self.path.display())
    }
}

/// The cameras that are plugged in now, by node number. Nodes that cannot be opened are said in the log and left out;
/// [`unreadable_nodes`] gives them.
pub fn discover(names: &mut CameraNames) -> Vec<CameraDevice> {
    let found: Vec<_> = sysfs::video_nodes(Path::new(sysfs::SYSFS))
        .iter()
        .filter_map(|node| match inspect(node, Asked::InPassing) {
            Ok(found) => Some(found),
            Err(OpenError::NotACamera { .. } | OpenError::Vanished(_)) => None,
            Err(error) => {
                tracing::warn!(%error, "a video node was left out");
                None
            }
        })
        .collect();
    name(found, &[], names)
}

/// Finds out why `path` is no camera that could be used, or that it is one. For a device that a person named.
pub fn check_device(path: &Path) -> Result<(), OpenError> {
    let (_, planes) = open_camera(path, Asked::ByName)?;
    tracing::debug!(path = %path.display(), ?planes, "is a camera");
    Ok(())
}

/// ALSA's name of the microphone in the housing of the camera at `path`, as it is now.
pub fn find_microphone(path: &Path) -> Option<String> {
    find_microphone_in(Path::new(sysfs::SYSFS), path)
}

fn find_microphone_in(sysfs: &Path, path: &Path) -> Option<String> {
    let node = sysfs::video_nodes(sysfs)
        .into_iter()
        .find(|node| node.path() == path)?;
    node.usb_device()?.microphone()
}

/// What keeps nodes that may be cameras from being used, for instance rights that this user lacks.
pub fn unreadable_nodes() -> Vec<OpenError> {
    sysfs::video_nodes(Path::new(sysfs::SYSFS))
        .iter()
        .filter_map(|node| inspect(node, Asked::InPassing).err())
        .filter(|error| !matches!(error, OpenError::NotACamera { .. } | OpenError::Vanished(_)))
        .collect()
}

/// Whether a person named the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nobody did; it was found.
    InPassing,
    /// It stands in the configuration or on the command line.
    ByName,
}

/// A camera that has no name yet.
pub(super) struct Found {
    identity: CameraIdentity,
    card: String,
    path: PathBuf,
    multiplanar: bool,
    modes: Vec<Mode>,
    microphone: Option<String>,
}

#[cfg(test)]
impl Found {
    /// A camera called "Cam" without a serial, at a port named like its node.
    pub(super) fn for_test(node: &str) -> Self {
        Self {
            identity: CameraIdentity {
                model: "test".to_owned(),
                port: node.to_owned(),
                serial: None,
            },
            card: "Cam".to_owned(),
            path: Path::new("/dev").join(node),
            multiplanar: false,
            modes: Vec::new(),
            microphone: None,
        }
    }
}

/// Asks one node what it is.
pub(super) fn inspect(node: &NodePresence, asked: Asked) -> Result<Found, OpenError> {
    let path = node.path();
    let ((video, capability), planes) = open_camera(&path, asked)?;
    let usb = node.usb_device();
    let identity = CameraIdentity {
        model: usb.as_ref().map_or_else(
            || capability.driver.clone(),
            |usb| format!("{}:{}", usb.vendor, usb.product),
        ),
        port: format!(
            "{}/{}.{}",
            capability.bus_info,
            node.usb_interface(),
            node.index()
        ),
        serial: usb.as_ref().and_then(|usb| usb.serial.clone()),
    };
    Ok(Found {
        identity,
        card: capability.card,
        path,
        multiplanar: planes == Planes::Multi,
        modes: read_modes(&video, planes),
        microphone: usb.and_then(|usb| usb.microphone()),
    })
}

/// Gives each camera that was found beside the `present` ones its name.
pub(super) fn name(
    found: Vec<Found>,
    present: &[&CameraDevice],
    names: &mut CameraNames,
) -> Vec<CameraDevice> {
    let present = present
        .iter()
        .map(|camera| (camera.identity.clone(), &camera.name[..]));
    let present_count = present.len();
    let all: Vec<_> = present
        .chain(
            found
                .iter()
                .map(|found| (found.identity.clone(), &found.card[..])),
        )
        .collect();
    let ids = names.assign(&all).split_off(present_count);
    found
        .into_iter()
        .zip(ids)
        .map(|(found, id)| CameraDevice {
            id,
            name: found.card,
            path: found.path,
            identity: found.identity,
            multiplanar: found.multiplanar,
            modes: found.modes,
            microphone: found.microphone,
        })
        .collect()
}

/// Opens a node and makes sure that it takes pictures.
pub(super) fn open_camera(
    path: &Path,
    asked: Asked,
) -> Result<((VideoNode, Capability), Planes), OpenError> {
    let refused = |step| OpenError::when(path, step);
    let none = |why| OpenError::NotACamera {
        device: path.to_owned(),
        why,
    };
    // Opening a folder, a file without rights or a socket fails for reasons that a camera may have as well.
    if fs::metadata(path).is_ok_and(|found| !found.file_type().is_char_device()) {
        return Err(none("not a video device"));
    }
    let video = VideoNode::open(path).map_err(refused("open"))?;
    let capability = video
        .query_capability()
        .map_err(refused("say what it is"))?;
    let planes = planes_of(capability.device_caps, asked).map_err(none)?;
    let has_input = video.has_input().map_err(refused("say what it shows"))?;
    if !has_input {
        return Err(none("part of an image processor, not a camera"));
    }
    Ok(((video, capability), planes))
}

/// How a node with these capabilities (V4L2_CAP_*) delivers pictures, or what keeps it from being a camera.
fn planes_of(device_caps: u32, asked: Asked) -> Result<Planes, &'static str> {
    let has = |flags: u32| device_caps & flags != 0;
    if has(sys::V4L2_CAP_VIDEO_M2M | sys::V4L2_CAP_VIDEO_M2M_MPLANE) {
        return Err("a codec or scaler, not a camera");
    }
    let capture = sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE;
    let output = sys::V4L2_CAP_VIDEO_OUTPUT | sys::V4L2_CAP_VIDEO_OUTPUT_MPLANE;
    if has(output) && has(capture) {
        return Err("a codec or scaler, not a camera");
    }
    if has(output) {
        return Err("shows pictures, but takes none");
    }
    if !has(capture) {
        return Err(if has(sys::V4L2_CAP_META_CAPTURE) {
            "carries a camera's metadata, not its pictures"
        } else {
            "takes no pictures"
        });
    }
    if has(sys::V4L2_CAP_TOUCH) {
        return Err("a touch panel, not a camera");
    }
    if !has(sys::V4L2_CAP_STREAMING) {
        return Err("does not stream");
    }
    // Delivers nothing until somebody has linked a sensor to it; who names it has done that.
    if has(sys::V4L2_CAP_IO_MC) && asked == Asked::InPassing {
        return Err("needs its media graph set up; name it in the configuration once that is done");
    }
    Ok(if has(sys::V4L2_CAP_VIDEO_CAPTURE) {
        Planes::Single
    } else {
        Planes::Multi
    })
}

/// Every mode of the formats that we read.
fn read_modes(video: &VideoNode, planes: Planes) -> Vec<Mode> {
    let mut modes = Vec::new();
    for fourcc in video.formats(planes) {
        let Some(format) = format_of_fourcc(fourcc) else {
            continue;
        };
        let mut sizes: Vec<_> = video.sizes(fourcc).into_iter().flat_map(sizes_of).collect();
        if sizes.is_empty() && planes == Planes::Single {
            // Capture dongles take the size of their input and list none.
            sizes.extend(video.layout().ok().map(|now| (now.width, now.height)));
        }
        for (width, height) in sizes {
            let mode = Mode {
                format,
                width,
                height,
                rates: read_rates(video, planes, fourcc, width, height),
            };
            if !modes.contains(&mode) {
                modes.push(mode);
            }
        }
    }
    modes
}

fn read_rates(
    video: &VideoNode,
    planes: Planes,
    fourcc: u32,
    width: u32,
    height: u32,
) -> FrameRates {
    let answers = video.rates(fourcc, width, height);
    if let Some(&RateAnswer::Range { slowest, fastest }) = answers.first() {
        return FrameRates::Range { slowest, fastest };
    }
    let discrete: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            RateAnswer::Discrete(rate) => Some(rate),
            RateAnswer::Range { .. } => None,
        })
        .collect();
    match (discrete.is_empty(), video.rate(planes)) {
        (false, _) => FrameRates::Discrete(discrete),
        (true, Some(now)) => FrameRates::Discrete(vec![now]),
        (true, None) => FrameRates::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_that_take_pictures_are_cameras() {
        let streaming = sys::V4L2_CAP_STREAMING;
        let check = |flags: u32, expected: Result<Planes, &str>| {
            assert_eq!(
                planes_of(flags, Asked::InPassing)
                    .map_err(|why| why.split(' ').next().expect("a word")),
                expected,
                "{flags:#x}"
            );
        };
        check(sys::V4L2_CAP_VIDEO_CAPTURE | streaming, Ok(Planes::Single));
        check(
            sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE | streaming,
            Ok(Planes::Multi),
        );
        check(sys::V4L2_CAP_META_CAPTURE | streaming, Err("carries"));
        check(sys::V4L2_CAP_VIDEO_OUTPUT | streaming, Err("shows"));
        check(sys::V4L2_CAP_VIDEO_M2M | streaming, Err("a"));
        check(sys::V4L2_CAP_VIDEO_M2M_MPLANE | streaming, Err("a"));
        check(
            sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_VIDEO_OUTPUT | streaming,
            Err("a"),
        );
        check(sys::V4L2_CAP_RADIO | sys::V4L2_CAP_TUNER, Err("takes"));
        check(sys::V4L2_CAP_VIDEO_CAPTURE, Err("does"));
        check(
            sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_TOUCH | streaming,
            Err("a"),
        );
    }

    #[test]
    fn a_node_of_a_media_graph_is_a_camera_only_if_somebody_names_it() {
        for (capture, planes) in [
            (sys::V4L2_CAP_VIDEO_CAPTURE, Planes::Single),
            (sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE, Planes::Multi),
        ] {
            let flags = capture | sys::V4L2_CAP_STREAMING | sys::V4L2_CAP_IO_MC;
            let why = planes_of(flags, Asked::InPassing).expect_err("nobody named it");
            assert!(why.contains("media graph"), "{why}");
            assert_eq!(planes_of(flags, Asked::ByName), Ok(planes));
        }
    }

    #[test]
    fn a_camera_answers_to_all_its_names() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("by-path");
        std::os::unix::fs::symlink("/dev/null", &link).expect("room");
        let mut names = CameraNames::default();
        let mut found = Found::for_test("null");
        found.identity.serial = Some("A1B2".to_owned());
        let camera = &name(vec![found], &[], &mut names)[0];
        for text in ["cam", "null", "A1B2", "/dev/null", &link.to_string_lossy()] {
            assert!(camera.answers_to(text), "{text}");
        }
        for text in ["", "Cam", "/dev/zero", "/dev/nonexistent"] {
            assert!(!camera.answers_to(text), "{text}");
        }
    }

    #[test]
    fn a_microphone_is_found_whenever_its_driver_comes() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let find = || find_microphone_in(root.path(), Path::new("/dev/video2"));
        assert_eq!(find(), None);
        sysfs::tests::plug_in(root.path(), "1-2", "video2", false);
        assert_eq!(find(), None);
        let usb = root.path().join("devices/pci0/usb1/1-2");
        let card = usb.join("1-2:1.2/sound/card3");
        std::fs::create_dir_all(card.join("pcmC3D0c")).expect("room");
        std::fs::write(card.join("id"), "C920\n").expect("room");
        assert_eq!(find().as_deref(), Some("hw:CARD=C920,DEV=0"));
    }

    #[test]
    fn a_named_device_that_is_no_camera_is_said_to_be_none() {
        let check = |path: &str, expected: &str| {
            let error = check_device(Path::new(path)).expect_err(path).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("/dev/null", "not a video device");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [file, socket] = ["file", "socket"].map(|name| folder.path().join(name));
        std::fs::write(&file, "").expect("room");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("room");
        for path in [folder.path(), file.as_path(), socket.as_path()] {
            check(&path.to_string_lossy(), "not a video device");
        }
        check("/dev/video-of-nobody", "no such device");
    }
}
