//! `perch devices`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::table;
use crate::capture::{
    CameraDevice, CameraNames, Control, ControlKind, Mode, discover, list_controls,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// Where recordings are kept; the cameras' names are remembered there.
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

/// Every camera that is plugged in, with its modes and controls.
pub(super) fn list(names: &mut CameraNames) -> Vec<DeviceReport> {
    discover(names).iter().map(report).collect()
}

/// The names remembered in a data directory; none if there is no such directory yet.
pub(super) fn remembered_names(data_dir: &std::path::Path) -> CameraNames {
    let file = data_dir.join("cameras.json");
    if !file.exists() {
        return CameraNames::default();
    }
    CameraNames::load(&file).unwrap_or_default()
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
    let data_dir = arguments
        .data
        .clone()
        .unwrap_or_else(|| "perch-data".into());
    let devices = list(&mut remembered_names(&data_dir));
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&devices)?);
        return Ok(ExitCode::SUCCESS);
    }
    if devices.is_empty() {
        println!("No camera is plugged in. `perch run` shows the test scene then.");
    }
    for device in &devices {
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
    Ok(ExitCode::SUCCESS)
}
