//! The shape of the file as serde sees it, and the checks that turn it into a [`Config`].

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{
    CameraConfig, Config, ControlSetting, FRAME_RATE_MIN, Microphone, RecordPolicy, SourceSelector,
};
use crate::base::{CameraId, DigestKind};
use crate::media::{FrameRate, LADDER, PixelFormat, Rung, RungSpec, SEGMENT_DURATION_MS};
use crate::store::{CameraRetention, Retention};

/// Bits that a macroblock of 16x16 pixels takes in a keyframe at the very least. The coarsest quantiser of H.264 leaves
/// about as many of a picture that is flat, and several times as many of one that shows anything.
const KEYFRAME_BITS_PER_MACROBLOCK: u64 = 8;

/// A value that serde accepts and Perch does not.
pub(super) struct Invalid {
    pub(super) key: String,
    pub(super) message: String,
}

fn invalid(key: impl Into<String>, message: impl Into<String>) -> Invalid {
    Invalid {
        key: key.into(),
        message: message.into(),
    }
}

fn in_range<T: PartialOrd + Display + Copy>(
    key: &str,
    value: T,
    (low, high): (T, T),
) -> Result<T, Invalid> {
    if value < low || value > high {
        return Err(invalid(key, format!("{value} is outside {low} to {high}")));
    }
    Ok(value)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(super) struct File {
    server: Server,
    storage: Storage,
    ladder: Ladder,
    recording: Recording,
    live: Live,
    capture: Capture,
    cameras: Vec<Camera>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Server {
    listen: Option<String>,
    names: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Storage {
    data: Option<PathBuf>,
    free_mb: Option<u64>,
    imports_mb: Option<u64>,
    quota_mb: Option<u64>,
    keep_days: Option<u32>,
    camera_quota_mb: Option<u64>,
    digest: Option<String>,
    accept: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Ladder {
    frame_rate: Option<u32>,
    encoder: Option<String>,
    rungs: Option<Vec<LadderRung>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LadderRung {
    name: String,
    width: Option<u32>,
    height: Option<u32>,
    bitrate_kbps: Option<u32>,
    audio_bitrate_kbps: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Recording {
    rungs: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Live {
    window_segments: Option<usize>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Capture {
    stall_timeout_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Camera {
    source: String,
    id: Option<String>,
    name: Option<String>,
    size: Option<String>,
    format: Option<String>,
    microphone: Option<String>,
    keep_days: Option<u32>,
    quota_mb: Option<u64>,
    #[serde(default)]
    controls: BTreeMap<String, ControlSetting>,
}

impl File {
    pub(super) fn check(self) -> Result<Config, Invalid> {
        let default = Config::default();
        let listen = match self.server.listen {
            None => default.listen,
            Some(text) => text.parse().map_err(|_| {
                invalid(
                    "server.listen",
                    format!("`{text}` is no address; write ADDRESS:PORT, such as 127.0.0.1:8080"),
                )
            })?,
        };
        let frame_rate = match self.ladder.frame_rate {
            None => default.frame_rate,
            Some(rate) => {
                FrameRate::whole(in_range("ladder.frame_rate", rate, (FRAME_RATE_MIN, 60))?)
            }
        };
        let ladder = self.ladder.rungs.map_or(Ok(default.ladder), check_ladder)?;
        let record = match self.recording.rungs {
            None => default.record,
            Some(names) => check_recorded(&names, &ladder)?,
        };
        let usual = CameraRetention {
            age_max: days("storage.keep_days", self.storage.keep_days)?,
            bytes_max: megabytes("storage.camera_quota_mb", self.storage.camera_quota_mb)?,
        };
        let (cameras, of_cameras) = check_cameras(self.cameras, usual)?;
        let retention = Retention {
            free_bytes: megabytes("storage.free_mb", self.storage.free_mb)?,
            others_bytes: megabytes("storage.imports_mb", self.storage.imports_mb)?,
            bytes_max: megabytes("storage.quota_mb", self.storage.quota_mb)?,
            usual,
            cameras: of_cameras,
        };
        Ok(Config {
            listen,
            names: check_names(self.server.names)?,
            data_dir: self.storage.data,
            retention,
            digest: check_digest(self.storage.digest.as_deref())?,
            media_only: match self.storage.accept.as_deref() {
                None | Some("any") => false,
                Some("media") => true,
                Some(other) => {
                    let message = format!("`{other}` is none of any, media");
                    return Err(invalid("storage.accept", message));
                }
            },
            ladder,
            frame_rate,
            encoder: self.ladder.encoder.filter(|name| name != "auto"),
            record,
            live_window_segments: match self.live.window_segments {
                None => default.live_window_segments,
                Some(count) => in_range("live.window_segments", count, (6, 60))?,
            },
            stall_timeout: match self.capture.stall_timeout_s {
                None => default.stall_timeout,
                Some(s) => Duration::from_secs(in_range("capture.stall_timeout_s", s, (1, 60))?),
            },
            cameras,
        })
    }
}

fn check_digest(name: Option<&str>) -> Result<DigestKind, Invalid> {
    match name {
        None => Ok(DigestKind::default()),
        Some("blake2b-512") => Ok(DigestKind::Blake2b512),
        Some("blake2b-256") => Ok(DigestKind::Blake2b256),
        Some(other) => {
            let message = format!("`{other}` is no digest; choose blake2b-512 or blake2b-256");
            Err(invalid("storage.digest", message))
        }
    }
}

/// A name is what stands before the port in `Host`: no scheme, no port, no path, no wildcard.
fn check_names(names: Vec<String>) -> Result<Vec<String>, Invalid> {
    for (i, name) in names.iter().enumerate() {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || !name.bytes().all(fits) {
            let message = format!("`{name}` is no host name; write it as in cams.example.org");
            return Err(invalid(format!("server.names[{i}]"), message));
        }
    }
    Ok(names)
}

fn parse_rung(key: &str, text: &str) -> Result<Rung, Invalid> {
    text.parse().map_err(|()| {
        let names = Rung::ALL.map(Rung::name).join(", ");
        invalid(key, format!("`{text}` is none of {names}"))
    })
}

fn check_ladder(rungs: Vec<LadderRung>) -> Result<Vec<RungSpec>, Invalid> {
    let mut ladder: Vec<RungSpec> = Vec::with_capacity(rungs.len());
    for (i, given) in rungs.into_iter().enumerate() {
        let key = |field: &str| format!("ladder.rungs[{i}].{field}");
        let rung = parse_rung(&key("name"), &given.name)?;
        if let Some(before) = ladder.last().filter(|before| before.rung >= rung) {
            let message = format!(
                "{rung} stands after {}; list each rung once, lowest first",
                before.rung
            );
            return Err(invalid(key("name"), message));
        }
        let usual = LADDER[rung as usize];
        let check = |field: &str, value: Option<u32>, usual: u32, range: (u32, u32)| match value {
            None => Ok(usual),
            Some(value) => in_range(&key(field), value, range),
        };
        let spec = RungSpec {
            rung,
            width: check("width", given.width, usual.width, (64, 3840))?,
            height: check("height", given.height, usual.height, (64, 2160))?,
            video_bitrate_bps: 1000
                * check(
                    "bitrate_kbps",
                    given.bitrate_kbps,
                    usual.video_bitrate_bps / 1000,
                    (50, 50_000),
                )?,
            audio_bitrate_bps: 1000
                * check(
                    "audio_bitrate_kbps",
                    given.audio_bitrate_kbps,
                    usual.audio_bitrate_bps / 1000,
                    (32, 320),
                )?,
        };
        let least_kbps = keyframes_kbps(&spec);
        if spec.video_bitrate_bps / 1000 < least_kbps {
            let message = format!(
                "{} is too little for {}x{}, of which the keyframes alone take {least_kbps}; raise it, or lower width \
                 and height",
                spec.video_bitrate_bps / 1000,
                spec.width,
                spec.height
            );
            return Err(invalid(key("bitrate_kbps"), message));
        }
        for (field, size) in [("width", spec.width), ("height", spec.height)] {
            if size % 2 != 0 {
                return Err(invalid(
                    key(field),
                    format!("{size} is odd; H.264 needs even sizes"),
                ));
            }
        }
        if let Some(before) = ladder.last() {
            for (field, size, smaller) in [
                ("width", spec.width, before.width),
                ("height", spec.height, before.height),
            ] {
                if size < smaller {
                    let message = format!(
                        "{size} is less than the {smaller} of {}, a lower rung",
                        before.rung
                    );
                    return Err(invalid(key(field), message));
                }
            }
        }
        ladder.push(spec);
    }
    if ladder.is_empty() {
        return Err(invalid(
            "ladder.rungs",
            "the list is empty; name at least one rung",
        ));
    }
    Ok(ladder)
}

/// What a rung's keyframes take at the very least, one a segment, in kilobits a second: no encoder can do with less,
/// whatever stands before the camera and however few frames a second it gives.
fn keyframes_kbps(spec: &RungSpec) -> u32 {
    let macroblocks = u64::from(spec.width.div_ceil(16)) * u64::from(spec.height.div_ceil(16));
    // Bits a millisecond are kilobits a second.
    (macroblocks * KEYFRAME_BITS_PER_MACROBLOCK).div_ceil(u64::from(SEGMENT_DURATION_MS)) as u32
}

/// What is recorded must be encoded.
fn check_recorded(names: &[String], ladder: &[RungSpec]) -> Result<RecordPolicy, Invalid> {
    if let [only] = names
        && only == "highest"
    {
        return Ok(RecordPolicy::Highest);
    }
    let mut rungs = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let key = format!("recording.rungs[{i}]");
        let rung = parse_rung(&key, name)?;
        if ladder.iter().all(|spec| spec.rung != rung) {
            let has: Vec<_> = ladder.iter().map(|spec| spec.rung.name()).collect();
            let message = format!(
                "{rung} is not in ladder.rungs, which has {}; name one of these, or add it there",
                has.join(", ")
            );
            return Err(invalid(key, message));
        }
        rungs.push(rung);
    }
    Ok(RecordPolicy::Rungs(rungs))
}

/// Days as a duration, at most a hundred years.
fn days(key: impl Into<String>, days: Option<u32>) -> Result<Option<Duration>, Invalid> {
    let days = days.map(|days| in_range(&key.into(), days, (1, 36_500)));
    Ok(days
        .transpose()?
        .map(|days| Duration::from_secs(u64::from(days) * 86_400)))
}

/// Megabytes of a million bytes, as disks are sold, up to a million million.
fn megabytes(key: impl Into<String>, count: Option<u64>) -> Result<Option<u64>, Invalid> {
    let count = count.map(|count| in_range(&key.into(), count, (1, 1_000_000_000_000)));
    Ok(count.transpose()?.map(|count| count * 1_000_000))
}

type CheckedCameras = (Vec<CameraConfig>, BTreeMap<CameraId, CameraRetention>);

fn check_cameras(cameras: Vec<Camera>, usual: CameraRetention) -> Result<CheckedCameras, Invalid> {
    let mut checked: Vec<CameraConfig> = Vec::with_capacity(cameras.len());
    let mut retention = BTreeMap::new();
    for (i, given) in cameras.into_iter().enumerate() {
        let key = |field: &str| format!("cameras[{i}].{field}");
        let source = SourceSelector::parse(&given.source);
        if checked.iter().any(|camera| camera.source == source) {
            return Err(invalid(
                key("source"),
                format!("{} is named twice", given.source),
            ));
        }
        let id = match given.id {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|e| invalid(key("id"), format!("{e}")))?,
            ),
        };
        let size = match given.size {
            None => None,
            Some(text) => Some(parse_size(&text).ok_or_else(|| {
                invalid(
                    key("size"),
                    format!("`{text}` is no size from 64x64 to 7680x4320; write 1280x720"),
                )
            })?),
        };
        let format = match given.format {
            None => None,
            Some(text) => Some(parse_format(&text).ok_or_else(|| {
                invalid(
                    key("format"),
                    format!("`{text}` is none of I420, NV12, YUYV, MJPG, H264"),
                )
            })?),
        };
        let microphone = match given.microphone.as_deref() {
            None | Some("own") => Microphone::Own,
            Some("off") => Microphone::Off,
            Some(name) => Microphone::Alsa(name.to_owned()),
        };
        let camera = CameraConfig {
            source,
            id,
            name: given.name,
            size,
            format,
            microphone,
            controls: given.controls,
        };
        let id = camera.address_name();
        if checked.iter().any(|other| other.address_name() == id) {
            let message = format!("two cameras would be called {id}; give one an id of its own");
            return Err(invalid(key("id"), message));
        }
        let age_max = days(key("keep_days"), given.keep_days)?;
        let bytes_max = megabytes(key("quota_mb"), given.quota_mb)?;
        if age_max.is_some() || bytes_max.is_some() {
            let is_named = camera.id.is_some() || camera.name.is_some();
            if !is_named && camera.source != SourceSelector::Test {
                let message = "is missing: recordings are kept by it; give the camera one";
                return Err(invalid(key("id"), message));
            }
            let own = CameraRetention {
                age_max: age_max.or(usual.age_max),
                bytes_max: bytes_max.or(usual.bytes_max),
            };
            retention.insert(id, own);
        }
        checked.push(camera);
    }
    Ok((checked, retention))
}

fn parse_size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let size: (u32, u32) = (width.parse().ok()?, height.parse().ok()?);
    ((64..=7680).contains(&size.0) && (64..=4320).contains(&size.1)).then_some(size)
}

fn parse_format(text: &str) -> Option<PixelFormat> {
    use PixelFormat::{H264, I420, Mjpg, Nv12, Yuyv};
    [I420, Nv12, Yuyv, Mjpg, H264]
        .into_iter()
        .find(|format| format.to_string() == text)
}
