//! Why a camera could not be opened, and why a run of frames ended. Each variant is something that the
//! owner does differently; each message names the device and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;

/// A camera could not be opened, or its stream could not be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another program holds the stream (EBUSY). Worth trying again later.
    #[error(
        "{}: in use by another program; close that program (`fuser -v {}` names it) and it will be tried again",
        .0.display(), .0.display()
    )]
    Busy(PathBuf),
    /// The path leads to something that takes no pictures (ENOTTY, or the capability is missing).
    #[error("{}: {why}; `perch devices` lists the cameras", device.display())]
    NotACamera {
        /// What was opened.
        device: PathBuf,
        /// What it lacks.
        why: &'static str,
    },
    /// There is no such device, or it went away while it was being opened (ENOENT, ENODEV, ENXIO).
    #[error("{}: no such device, or it was unplugged; it will be taken up again once it is plugged in", .0.display())]
    Vanished(PathBuf),
    /// The user may not open the device (EACCES, EPERM).
    #[error("{}: permission denied; add this user to the group `video` (or adjust the udev rule), then log in again", .0.display())]
    Permission(PathBuf),
    /// None of the camera's modes can be used.
    #[error("{}: no usable mode among {offered}; perch reads I420, NV12, YUYV and MJPG", device.display())]
    NoUsableMode {
        /// The camera.
        device: PathBuf,
        /// What it offers, for the reader.
        offered: String,
    },
    /// The driver refused a step of the set-up for a reason of its own.
    #[error("{}: the driver refused to {step}: {source}; unplug the camera and plug it in again, or choose another mode", device.display())]
    Refused {
        /// The camera.
        device: PathBuf,
        /// What was asked, in words: "start streaming".
        step: &'static str,
        /// What the driver said.
        source: io::Error,
    },
}

impl OpenError {
    /// What was opened, by the name that it was opened by.
    pub fn device(&self) -> &Path {
        match self {
            Self::Busy(device)
            | Self::Vanished(device)
            | Self::Permission(device)
            | Self::NotACamera { device, .. }
            | Self::NoUsableMode { device, .. }
            | Self::Refused { device, .. } => device,
        }
    }

    /// Sorts failures of calls on `device`, made to `step`, by what the owner can do about them.
    pub(super) fn when(device: &Path, step: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::from_io(device, step, source)
    }

    fn from_io(device: &Path, step: &'static str, source: io::Error) -> Self {
        let device = device.to_owned();
        match source.raw_os_error() {
            Some(libc::EBUSY) => Self::Busy(device),
            Some(libc::ENODEV | libc::ENXIO | libc::ENOENT) => Self::Vanished(device),
            Some(libc::EACCES | libc::EPERM) => Self::Permission(device),
            Some(libc::ENOTTY) => Self::NotACamera {
                device,
                why: "not a video device",
            },
            _ => Self::Refused {
                device,
                step,
                source,
            },
        }
    }

    /// Whether the same call may succeed later without anybody changing the configuration.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Vanished(_) | Self::Refused { .. }
        )
    }
}

/// Why no more frames come. Reported exactly once a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The owner asked for it.
    #[error("stopped")]
    Stopped,
    /// The camera was unplugged, or its driver disconnected it (ENODEV).
    #[error("the camera was unplugged")]
    Vanished,
    /// The driver is there but has delivered no usable frame for this long.
    #[error("no frame for {:.1} s; the camera hangs or lost its signal", .0.as_secs_f64())]
    Stalled(Duration),
    /// The driver gave up (EIO and others); its words.
    #[error("the driver failed: {0}")]
    Driver(String),
    /// The frame sink panicked; the panic itself is in the log.
    #[error("the consumer of the frames panicked")]
    SinkPanicked,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: i32, expected: &str) {
        let error = OpenError::from_io(
            Path::new("/dev/video7"),
            "start streaming",
            io::Error::from_raw_os_error(errno),
        );
        let text = error.to_string();
        assert!(text.starts_with("/dev/video7: "), "{text}");
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn each_failure_says_what_to_do() {
        check(libc::EBUSY, "in use by another program");
        check(libc::ENODEV, "unplugged");
        check(libc::ENOENT, "no such device");
        check(libc::EACCES, "group `video`");
        check(libc::ENOTTY, "not a video device");
        check(libc::EINVAL, "refused to start streaming");
    }
}
