//! `perch devices`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{data_dir, table};
use crate::capture::{
    CameraDevice, CameraNames, Control, ControlKind, Mode, OpenError, discover, list_controls,
    unreadable_nodes,
};
use crate::config::Config;

#[derive(Args)]
pub(super) struct Arguments {
    /// Where recordings are kept; the cameras' names are remembered there [default: ./perch-data, or else
    /// /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// JSON for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
pub(super) struct DeviceReport {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) path: PathBuf,
    port: String,
    serial: Option<String>,
    multiplanar: bool,
    microphone: Option<String>,
    pub(super) modes: Vec<String>,
    controls: Vec<ControlReport>,
}

#[derive(Serialize)]
struct ControlReport {
    name: String,
    range: String,
    default: i64,
    value: Option<i64>,
    read_only: bool,
}

/// A video node that may be a camera and that this user cannot use now.
#[derive(Serialize)]
pub(super) struct UnusableNode {
    path: PathBuf,
    /// Names the node and says what to do.
    problem: String,
}

/// What this machine's video nodes turn out to be.
pub(super) struct Nodes {
    pub(super) cameras: Vec<CameraDevice>,
    pub(super) unusable: Vec<OpenError>,
}

impl Nodes {
    /// Asks each node. The cameras have the names that are remembered in a data directory; nothing is written there.
    pub(super) fn look(data_dir: &Path) -> Self {
        let names = CameraNames::recall(&data_dir.join("cameras.json"));
        Self {
            // Without the names that were given, because nobody gave any or this user may not read them, cameras are
            // named as at a first start.
            cameras: discover(&mut names.unwrap_or_default()),
            unusable: unreadable_nodes(),
        }
    }

    pub(super) fn camera_reports(&self) -> Vec<DeviceReport> {
        self.cameras.iter().map(report).collect()
    }

    pub(super) fn unusable_nodes(&self) -> Vec<UnusableNode> {
        let unusable = self.unusable.iter().map(|error| UnusableNode {
            path: error.device().to_owned(),
            problem: error.to_string(),
        });
        unusable.collect()
    }
}

/// What is said instead of cameras where there are none.
pub(super) fn describe_absence(unusable: &[UnusableNode]) -> &'static str {
    match unusable {
        [] => "No camera is plugged in; `perch run` shows the test scene.",
        _ => "No camera can be used; `perch run` shows the test scene until one can.",
    }
}

fn report(device: &CameraDevice) -> DeviceReport {
    // A camera that does not tell its controls is still worth listing.
    let controls = list_controls(&device.path).unwrap_or_default();
    DeviceReport {
        id: device.id.to_string(),
        name: device.name.clone(),
        path: device.path.clone(),
        port: device.identity.port.clone(),
        serial: device.identity.serial.clone(),
        multiplanar: device.multiplanar,
        microphone: device.microphone.clone(),
        modes: device.modes.iter().map(Mode::to_string).collect(),
        controls: controls.iter().map(describe_control).collect(),
    }
}

fn describe_control(control: &Control) -> ControlReport {
    let range = match &control.kind {
        ControlKind::Integer {
            minimum,
            maximum,
            step: 1,
        } => format!("{minimum} to {maximum}"),
        ControlKind::Integer {
            minimum,
            maximum,
            step,
        } => {
            format!("{minimum} to {maximum}, step {step}")
        }
        ControlKind::Boolean => "0 or 1".to_owned(),
        ControlKind::Menu(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|(value, label)| format!("{value} {label}"))
                .collect();
            items.join(", ")
        }
        ControlKind::Button => "button".to_owned(),
        ControlKind::Other => "not set by Perch".to_owned(),
    };
    ControlReport {
        name: control.name.clone(),
        range,
        default: control.default,
        value: control.value,
        read_only: control.read_only,
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let data_dir = data_dir::recorded_in(arguments.data.clone(), &Config::default());
    let nodes = Nodes::look(&data_dir);
    let (cameras, unusable) = (nodes.camera_reports(), nodes.unusable_nodes());
    if arguments.json {
        println!("{}", render_json(&cameras, &unusable)?);
        return Ok(ExitCode::SUCCESS);
    }
    print(&cameras, &unusable);
    Ok(ExitCode::SUCCESS)
}

/// One list: an entry with a `problem` is a node that cannot be used, any other a camera.
fn render_json(cameras: &[DeviceReport], unusable: &[UnusableNode]) -> serde_json::Result<String> {
    let cameras = cameras.iter().map(serde_json::to_value);
    let unusable = unusable.iter().map(serde_json::to_value);
    let entries: Vec<_> = cameras.chain(unusable).collect::<Result<_, _>>()?;
    serde_json::to_string_pretty(&entries)
}

fn print(cameras: &[DeviceReport], unusable: &[UnusableNode]) {
    if cameras.is_empty() {
        println!("{}", describe_absence(unusable));
    }
    for device in cameras {
        println!(
            "{}: {} at {}",
            device.id,
            device.name,
            device.path.display()
        );
        println!("  port {}", device.port);
        if let Some(microphone) = &device.microphone {
            println!("  microphone {microphone}");
        }
        for mode in &device.modes {
            println!("  {mode}");
        }
        if !device.controls.is_empty() {
            let rows = device.controls.iter().map(|control| {
                let value = control
                    .value
                    .map_or_else(|| "?".to_owned(), |value| value.to_string());
                vec![
                    control.name.clone(),
                    value,
                    control.default.to_string(),
                    control.range.clone(),
                ]
            });
            println!(
                "{}",
                table::render(&["control", "value", "default", "takes"], rows)
            );
        }
    }
    for node in unusable {
        println!("{}", node.problem);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::CameraId;
    use crate::capture::CameraIdentity;

    /// A camera without modes at a node, which need not be there.
    pub(in crate::cmd) fn camera(path: &Path) -> CameraDevice {
        CameraDevice {
            id: CameraId::from_description("cam"),
            name: "Cam".to_owned(),
            path: path.to_owned(),
            identity: CameraIdentity {
                model: "test".to_owned(),
                port: "usb-1".to_owned(),
                serial: Some("A1B2".to_owned()),
            },
            multiplanar: false,
            modes: Vec::new(),
            microphone: None,
        }
    }

    #[test]
    fn a_camera_that_may_not_be_opened_is_told_and_not_called_absent() {
        let nodes = Nodes {
            cameras: vec![camera(Path::new("/dev/video-of-nobody"))],
            unusable: vec![OpenError::Permission("/dev/video3".into())],
        };
        let unusable = nodes.unusable_nodes();
        assert!(describe_absence(&[]).contains("plugged in"));
        assert!(!describe_absence(&unusable).contains("plugged in"));
        let text = render_json(&nodes.camera_reports(), &unusable).expect("JSON");
        let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told[0]["id"], "cam");
        assert!(told[0].get("problem").is_none());
        assert_eq!(told[1]["path"], "/dev/video3");
        let problem = told[1]["problem"].as_str().expect("a problem");
        assert!(
            problem.contains("/dev/video3") && problem.contains("group `video`"),
            "{problem}"
        );
    }
}
