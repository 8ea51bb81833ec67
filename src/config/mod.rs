//! The configuration: TOML read once, checked once, handed on as plain options. The only TOML parser.
//! Says nothing of devices that may or may not be there; that shows when they are opened.

mod file;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{CameraId, DigestKind};
use crate::media::{FrameRate, LADDER, PART_TARGET_MS, PixelFormat, Rung, RungSpec};
use crate::store::Retention;

/// The lowest steady frame rate. A part holds a third of a second, and a picture must fit into it (slower cameras'
/// pictures are repeated).
pub const FRAME_RATE_MIN: u32 = 3;
const _: () = assert!(FRAME_RATE_MIN * PART_TARGET_MS >= 1000);

/// Everything a person can set, checked and with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the HTTP server listens.
    pub listen: SocketAddr,
    /// Names that the server is opened by, besides its addresses, this machine's own and those of local networks.
    pub names: Vec<String>,
    /// Where recordings and the index live; `None` leaves the choice to the command line.
    pub data_dir: Option<PathBuf>,
    /// How long recordings are kept.
    pub retention: Retention,
    /// How recordings are digested from now on.
    pub digest: DigestKind,
    /// What is imported or uploaded must be a picture, film or sound.
    pub media_only: bool,
    /// What is encoded, lowest first; at least one rung.
    pub ladder: Vec<RungSpec>,
    /// Steady frame rate of every rendition, at most this; a slower camera sets its own.
    pub frame_rate: FrameRate,
    /// An encoder that must be used, by its GStreamer element; `None` takes the best that passes its trial.
    pub encoder: Option<String>,
    /// Which rungs are recorded.
    pub record: RecordPolicy,
    /// Finished segments that a live playlist lists, 6 to 60.
    pub live_window_segments: usize,
    /// A source that delivers nothing for this long is taken for lost and opened again.
    pub stall_timeout: Duration,
    /// Cameras with settings of their own. Empty: every camera found, as it comes.
    pub cameras: Vec<CameraConfig>,
}

/// Which rungs of a camera go to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordPolicy {
    /// The highest rung that the camera's ladder has.
    Highest,
    /// These, as far as the camera's ladder has them, or its highest if it has none of them; an empty list records
    /// nothing.
    Rungs(Vec<Rung>),
}

impl RecordPolicy {
    /// The rungs to record out of a camera's ladder, lowest first.
    pub fn select(&self, ladder: &[RungSpec]) -> Vec<Rung> {
        let highest = ladder.last().map(|spec| spec.rung);
        let Self::Rungs(rungs) = self else {
            return highest.into_iter().collect();
        };
        let kept: Vec<_> = ladder
            .iter()
            .map(|spec| spec.rung)
            .filter(|rung| rungs.contains(rung))
            .collect();
        if kept.is_empty() && !rungs.is_empty() {
            // A camera that is too small for what was asked for is to be recorded all the same.
            return highest.into_iter().collect();
        }
        kept
    }
}

/// Where a camera's pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSelector {
    /// The built-in test scene.
    Test,
    /// A device node or one of its stable links: `/dev/video0`, `/dev/v4l/by-path/…`.
    Device(PathBuf),
}

impl SourceSelector {
    /// Reads `test` or a path, as the command line and the configuration name sources.
    pub fn parse(text: &str) -> Self {
        match text {
            "test" => Self::Test,
            path => Self::Device(path.into()),
        }
    }
}

/// Which microphone belongs to a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Microphone {
    /// The camera's own, where it has one.
    Own,
    /// No sound.
    Off,
    /// An ALSA device by its name, `hw:CARD=Mic`.
    Alsa(String),
}

/// What a camera's control is to be set to, as a person wrote it; only the camera knows which of these it takes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(
    untagged,
    expecting = "a control takes a whole number, true or false, or the label of a menu's item in quotes"
)]
pub enum ControlSetting {
    /// A number, or the number of a menu's item.
    Integer(i64),
    /// On or off.
    Boolean(bool),
    /// The label of a menu's item: `50 Hz`.
    Label(String),
}

/// Settings of one camera.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraConfig {
    /// Where the pictures come from.
    pub source: SourceSelector,
    /// Its name in addresses; `None` takes one from `name` or the source, see [`Self::address_name`].
    pub id: Option<CameraId>,
    /// Its name for people; `None` takes the device's own.
    pub name: Option<String>,
    /// Width and height that it must deliver, 64x64 to 7680x4320; `None` negotiates.
    pub size: Option<(u32, u32)>,
    /// Pixel format that it must deliver; `None` negotiates.
    pub format: Option<PixelFormat>,
    /// Where its sound comes from.
    pub microphone: Microphone,
    /// V4L2 controls to set once it is open, by name.
    pub controls: BTreeMap<String, ControlSetting>,
}

impl CameraConfig {
    /// A camera with nothing set.
    pub fn plain(source: SourceSelector) -> Self {
        Self {
            source,
            id: None,
            name: None,
            size: None,
            format: None,
            microphone: Microphone::Own,
            controls: BTreeMap::new(),
        }
    }

    /// What it is called where neither the configuration nor the device says: the last part of its source.
    pub fn source_name(&self) -> String {
        match &self.source {
            SourceSelector::Test => "test".to_owned(),
            SourceSelector::Device(path) => path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy()
                .into_owned(),
        }
    }

    /// Its name in addresses: the configured one, else one made from its name for people, else from its source.
    pub fn address_name(&self) -> CameraId {
        self.id
            .clone()
            .unwrap_or_else(|| match (&self.name, &self.source) {
                (Some(name), SourceSelector::Device(_)) => CameraId::from_description(name),
                _ => CameraId::from_description(&self.source_name()),
            })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            names: Vec::new(),
            data_dir: None,
            retention: Retention::default(),
            digest: DigestKind::default(),
            media_only: false,
            ladder: LADDER.to_vec(),
            frame_rate: FrameRate::whole(30),
            encoder: None,
            record: RecordPolicy::Highest,
            live_window_segments: 8,
            stall_timeout: Duration::from_secs(3),
            cameras: Vec::new(),
        }
    }
}

/// The configuration cannot be used. Its text is one line that names the file and the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or may not be read.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or holds a key that does not exist or a value of the wrong kind.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value is outside its range or contradicts another.
    #[error("{}: {key}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, such as `ladder.rungs[2].bitrate_kbps`.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Checks a configuration's text; `path` is what errors name.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: file::File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.as_bytes()[..start.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            let message = error.message().replace('\n', " ");
            ConfigError::Syntax {
                path: path.to_owned(),
                line: line + 1,
                message,
            }
        })?;
        file.check()
            .map_err(|file::Invalid { key, message }| ConfigError::Value {
                path: path.to_owned(),
                key,
                message,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("perch.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn the_annotated_example_is_valid_and_says_the_defaults() {
        let example = include_str!("../../perch.example.toml");
        let config = parse(example).expect("the example is valid");
        assert_eq!(
            config,
            Config {
                data_dir: config.data_dir.clone(),
                ..Config::default()
            }
        );
        // Each commented-out setting must be valid as well once somebody takes its `#` away.
        let all: String = example
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n")
            .collect();
        let config = parse(&all).expect("every commented-out setting is valid");
        assert_eq!(config.cameras.len(), 2);
        assert_eq!(config.ladder.len(), 4);
    }

    #[test]
    fn each_error_is_one_line_that_names_the_key() {
        for (text, expected) in [
            ("listn = 1", "perch.toml:1: unknown field `listn`"),
            ("\n[server]\nlisten = 8080", "perch.toml:3: invalid type"),
            (
                "[server]\nlisten = \"here\"",
                "server.listen: `here` is no address",
            ),
            (
                "[server]\nnames = [\"cams\", \"http://cams/\"]",
                "server.names[1]: `http://cams/` is no host name",
            ),
            (
                "[storage]\naccept = \"films\"",
                "storage.accept: `films` is none of any, media",
            ),
            (
                "[storage]\ndigest = \"md5\"",
                "storage.digest: `md5` is no digest; choose blake2b-512 or blake2b-256",
            ),
            (
                "[ladder]\nframe_rate = 0",
                "ladder.frame_rate: 0 is outside 3 to 60",
            ),
            (
                "[[ladder.rungs]]\nname = \"tiny\"",
                "ladder.rungs[0].name: `tiny` is none of very_low, low, medium, high",
            ),
            (
                "[[ladder.rungs]]\nname = \"low\"\nbitrate_kbps = 5",
                "ladder.rungs[0].bitrate_kbps: 5 is outside 50 to 50000",
            ),
            (
                "[[ladder.rungs]]\nname = \"high\"\nwidth = 3840\nheight = 2160\nbitrate_kbps = 129",
                "ladder.rungs[0].bitrate_kbps: 129 is too little for 3840x2160, of which the keyframes alone take 130; raise it",
            ),
            (
                "[[ladder.rungs]]\nname = \"low\"\n[[ladder.rungs]]\nname = \"low\"",
                "ladder.rungs[1].name: low stands after low; list each rung once, lowest first",
            ),
            (
                "[recording]\nrungs = [\"top\"]",
                "recording.rungs[0]: `top` is none of",
            ),
            (
                "[[ladder.rungs]]\nname = \"low\"\n[recording]\nrungs = [\"low\", \"high\"]",
                "recording.rungs[1]: high is not in ladder.rungs, which has low; name one of these, or add it there",
            ),
            (
                "[[cameras]]\nsource = \"test\"\n[cameras.controls]\nzoom = 1.5",
                "a control takes a whole number, true or false, or the label",
            ),
            (
                "[[cameras]]\nsource = \"test\"\nid = \"A b\"",
                "cameras[0].id: `A b` is no camera name",
            ),
            (
                "[[cameras]]\nsource = \"test\"\n[[cameras]]\nsource = \"test\"",
                "cameras[1].source: test is named twice",
            ),
            (
                "[[cameras]]\nsource = \"/dev/video0\"\nsize = \"big\"",
                "cameras[0].size: `big` is no size",
            ),
            (
                "[[cameras]]\nsource = \"test\"\nsize = \"60000x60000\"",
                "cameras[0].size: `60000x60000` is no size from 64x64 to 7680x4320",
            ),
            (
                "[[cameras]]\nsource = \"/dev/video0\"\nname = \"Door\"\n[[cameras]]\nsource = \"/dev/video2\"\nname = \"Door\"",
                "cameras[1].id: two cameras would be called door; give one an id of its own",
            ),
            (
                "[[ladder.rungs]]\nname = \"very_low\"\nwidth = 1920\nheight = 1080\n[[ladder.rungs]]\nname = \"high\"\nwidth = 640\nheight = 360",
                "ladder.rungs[1].width: 640 is less than the 1920 of very_low, a lower rung",
            ),
            (
                "[live]\nwindow_segments = 2",
                "live.window_segments: 2 is outside 6 to 60",
            ),
        ] {
            let error = parse(text).expect_err(text);
            assert!(
                error.contains(expected),
                "{text:?} gave {error:?}, not {expected:?}"
            );
            assert!(!error.contains('\n'), "{error:?}");
        }
    }

    #[test]
    fn little_is_not_too_little() {
        for (width, height, kbps) in [(3840, 2160, 130), (1920, 1080, 50), (64, 64, 50)] {
            let text = format!(
                "[[ladder.rungs]]\nname = \"high\"\nwidth = {width}\nheight = {height}\nbitrate_kbps = {kbps}"
            );
            assert!(parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_recorded_rung_is_the_highest_the_camera_has() {
        let ladder = &LADDER[..2];
        assert_eq!(RecordPolicy::Highest.select(ladder), [Rung::Low]);
        let wanted = RecordPolicy::Rungs(vec![Rung::High, Rung::VeryLow]);
        assert_eq!(wanted.select(ladder), [Rung::VeryLow]);
        assert_eq!(RecordPolicy::Rungs(Vec::new()).select(ladder), []);
    }

    #[test]
    fn a_camera_too_small_for_the_rungs_to_record_is_recorded_at_its_highest() {
        let wanted = RecordPolicy::Rungs(vec![Rung::Medium, Rung::High]);
        assert_eq!(wanted.select(&LADDER[..2]), [Rung::Low]);
        assert_eq!(wanted.select(&LADDER[..3]), [Rung::Medium]);
    }

    #[test]
    fn controls_are_set_as_people_write_them() {
        let text = "[[cameras]]\nsource = \"/dev/video0\"\n\
                    controls = { zoom = 3, focus_auto = false, power_line_frequency = \"50 Hz\" }";
        let config = parse(text).expect("it is valid");
        let controls = &config.cameras[0].controls;
        let expected = [
            ("focus_auto", ControlSetting::Boolean(false)),
            (
                "power_line_frequency",
                ControlSetting::Label("50 Hz".to_owned()),
            ),
            ("zoom", ControlSetting::Integer(3)),
        ];
        let found = controls
            .iter()
            .map(|(name, setting)| (&name[..], setting.clone()));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
