//! `perch doctor`: cameras, encoders, disk, clock and port, each looked at for real, with what to do about it.
//! Makes no data directory: one that was made in passing would be taken for the appliance's by all other commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::devices::{self, DeviceReport, Nodes, UnusableNode};
use super::{data_dir, table};
use crate::app;
use crate::base::{Clock, SystemClock, Wall};
use crate::board;
use crate::capture::{OpenError, check_device};
use crate::config::{CameraConfig, Config, SourceSelector};
use crate::encode::{self, EncodeError, EncoderListing, ProbeOptions};
use crate::serve;

/// Before this the clock was surely never set: Perch did not exist. 2026-01-01T00:00:00Z.
const CLOCK_PLAUSIBLE: Wall = Wall(1_767_225_600_000);
/// Less free space than an hour of 4 Mb/s is worth a word, in bytes.
const FREE_BYTES_LOW: u64 = 2 << 30;

#[derive(Args)]
pub(super) struct Arguments {
    /// Configuration file; see perch.example.toml.
    #[arg(long, value_name = "FILE", env = "PERCH_CONFIG")]
    config: Option<PathBuf>,
    /// Where recordings are kept [default: ./perch-data, or else /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// Where the page would be served.
    #[arg(long, value_name = "ADDR:PORT", env = "PERCH_LISTEN")]
    listen: Option<SocketAddr>,
    /// JSON for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    board: String,
    cameras: Vec<DeviceReport>,
    unusable: Vec<UnusableNode>,
    encoders: Vec<EncoderReport>,
    disk: DiskReport,
    clock: ClockReport,
    port: PortReport,
    /// Everything that keeps Perch from working well; empty if all is well.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct EncoderReport {
    element: String,
    boards: &'static str,
    works: bool,
    /// Why not.
    reason: Option<String>,
    trial_ms: Option<u64>,
}

#[derive(Serialize)]
struct DiskReport {
    path: PathBuf,
    /// Name of the user that it belongs to; null if it cannot be looked at.
    owner: Option<String>,
    /// For the user that looks.
    writable: bool,
    free_bytes: u64,
    total_bytes: u64,
}

#[derive(Serialize)]
struct ClockReport {
    now: String,
    plausible: bool,
    /// Whether the system's time service says that it follows a server; null if there is none to ask.
    synchronized: Option<bool>,
}

#[derive(Serialize)]
struct PortReport {
    listen: SocketAddr,
    free: bool,
    detail: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut config = match &arguments.config {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    let dir = data_dir::recorded_in(arguments.data.clone(), &config);
    let report = examine(&config, &dir)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn examine(config: &Config, data_dir: &Path) -> anyhow::Result<Report> {
    let mut problems = Vec::new();
    let nodes = Nodes::look(data_dir);
    problems.extend(camera_problems(&nodes, &config.cameras, check_device));
    let disk = examine_disk(data_dir);
    if !disk.writable {
        problems.push(format!(
            "{}: not writable by this user, it belongs to {}; look as root, choose another with --data, or \
             mend its rights",
            disk.path.display(),
            disk.owner.as_deref().unwrap_or("nobody known")
        ));
    } else if disk.free_bytes < FREE_BYTES_LOW {
        problems.push(format!(
            "{}: only {} are free",
            disk.path.display(),
            size(disk.free_bytes)
        ));
    }
    let encoders = examine_encoders(config, data_dir, &mut problems);
    let clock = examine_clock();
    if !clock.plausible {
        problems.push(format!(
            "the clock says {}; set it, or recordings get wrong dates",
            clock.now
        ));
    }
    let port = examine_port(config.listen);
    if !port.free {
        problems.push(port.detail.clone());
    }
    let version = env!("CARGO_PKG_VERSION");
    let board = board::board_name();
    Ok(Report {
        version,
        board,
        cameras: nodes.camera_reports(),
        unusable: nodes.unusable_nodes(),
        encoders,
        disk,
        clock,
        port,
        problems,
    })
}

/// What keeps cameras from being used, those that the configuration names among them; `check` opens one of these.
fn camera_problems(
    nodes: &Nodes,
    configured: &[CameraConfig],
    check: impl Fn(&Path) -> Result<(), OpenError>,
) -> Vec<String> {
    let modeless = nodes
        .cameras
        .iter()
        .filter(|camera| camera.modes.is_empty());
    let modeless = modeless
        .map(|camera| format!("{}: offers no mode that Perch reads", camera.path.display()));
    let unusable = nodes.unusable.iter().map(OpenError::to_string);
    let is_told = |named: &Path| {
        let node = named.canonicalize().ok();
        let mut told = nodes.unusable.iter();
        told.any(|error| node.as_deref() == Some(error.device()))
    };
    let is_found = |named: &Path| {
        let text = named.to_string_lossy();
        nodes.cameras.iter().any(|camera| camera.answers_to(&text))
    };
    let named = configured
        .iter()
        .filter_map(|camera| match &camera.source {
            SourceSelector::Device(path) => Some(path.as_path()),
            SourceSelector::Test => None,
        })
        .filter(|named| !is_told(named) && !is_found(named))
        .filter_map(|named| check(named).err())
        .map(|error| error.to_string());
    modeless.chain(unusable).chain(named).collect()
}

fn examine_encoders(
    config: &Config,
    data_dir: &Path,
    problems: &mut Vec<String>,
) -> Vec<EncoderReport> {
    // What anybody else left there, the appliance could not replace.
    let folder = data_dir::is_own(data_dir).then(|| app::verdict_folder(data_dir));
    let options = app::probe_options(
        folder.as_deref(),
        config.encoder.as_deref(),
        &config.ladder,
        config.frame_rate,
    );
    let listings = match encode::list_encoders(&options) {
        Ok(listings) => listings,
        Err(error) => {
            problems.push(error.to_string());
            return Vec::new();
        }
    };
    let reports: Vec<_> = listings.iter().map(encoder_report).collect();
    if !reports.iter().any(|report| report.works) {
        problems.push(no_encoder(&listings, &options));
    } else if let Some(name) = &config.encoder {
        let chosen = listings.iter().zip(&reports);
        let chosen = chosen.filter(|(listing, _)| listing.entry.element == name);
        problems.extend(encoder_problem(name, chosen.map(|(_, report)| report)));
    }
    reports
}

/// What to do where no encoder works: software that is there and refuses is asked for too much.
fn no_encoder(listings: &[EncoderListing], options: &ProbeOptions) -> String {
    let refused = listings.iter().filter_map(|listing| {
        let reason = listing.verdict.as_ref()?.refusal.as_deref()?;
        let is_software = listing.entry.is_software();
        is_software.then(|| format!("{}: {reason}", listing.entry.element))
    });
    let reasons: Vec<_> = refused.collect();
    if reasons.is_empty() {
        return "no H.264 encoder works; install GStreamer's x264 or openh264 plugin".to_owned();
    }
    let error = EncodeError::RungRefused {
        spec: options.task.spec,
        reasons: reasons.join("; "),
    };
    error.to_string()
}

/// What keeps the encoder that the configuration names from being used; `found` are its devices.
fn encoder_problem<'a>(
    name: &str,
    found: impl Iterator<Item = &'a EncoderReport>,
) -> Option<String> {
    let mut reasons = Vec::new();
    for report in found {
        reasons.push(report.reason.as_deref()?);
    }
    let reason = match reasons.is_empty() {
        true => "Perch knows no such encoder".to_owned(),
        false => reasons.join("; "),
    };
    Some(format!(
        "ladder.encoder: `{name}` cannot be used ({reason}); choose \"auto\", or one that works"
    ))
}

fn encoder_report(listing: &EncoderListing) -> EncoderReport {
    let refusal = match &listing.verdict {
        None => Some("not installed".to_owned()),
        Some(verdict) => verdict.refusal.clone(),
    };
    EncoderReport {
        element: listing
            .factory
            .clone()
            .unwrap_or_else(|| listing.entry.element.to_owned()),
        boards: listing.entry.boards,
        works: refusal.is_none(),
        reason: refusal,
        trial_ms: listing.verdict.as_ref().map(|verdict| verdict.trial_ms),
    }
}

/// Looks at the data directory, or at the nearest folder above that exists, since `perch run` makes the rest.
fn examine_disk(data_dir: &Path) -> DiskReport {
    let absolute = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let path = absolute
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(&absolute)
        .to_owned();
    let writable =
        nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK).is_ok() && path.is_dir();
    let (free_bytes, total_bytes) = nix::sys::statvfs::statvfs(&path).map_or((0, 0), |disk| {
        let block = disk.fragment_size();
        (disk.blocks_available() * block, disk.blocks() * block)
    });
    DiskReport {
        owner: data_dir::owner_name(&path),
        path,
        writable,
        free_bytes,
        total_bytes,
    }
}

fn examine_clock() -> ClockReport {
    let now = SystemClock.wall();
    // systemd-timesyncd's marks: the folder while it runs, the file once it follows a server.
    let timesync = Path::new("/run/systemd/timesync");
    let synchronized = timesync
        .exists()
        .then(|| timesync.join("synchronized").exists());
    ClockReport {
        now: now.to_string(),
        plausible: now > CLOCK_PLAUSIBLE,
        synchronized,
    }
}

fn examine_port(listen: SocketAddr) -> PortReport {
    match serve::bind(listen) {
        Ok(_) => PortReport {
            listen,
            free: true,
            detail: format!("{listen}: free"),
        },
        Err(error) => PortReport {
            listen,
            free: false,
            detail: error.to_string(),
        },
    }
}

fn size(bytes: u64) -> String {
    const GIB: f64 = (1_u64 << 30) as f64;
    format!("{:.1} GiB", bytes as f64 / GIB)
}

fn print(report: &Report) {
    println!("Perch {} on {}\n", report.version, report.board);
    let rows = report.cameras.iter().map(|camera| {
        let modes = match camera.modes.len() {
            0 => "none that Perch reads".to_owned(),
            count => format!("{count}, such as {}", camera.modes[0]),
        };
        vec![
            camera.id.clone(),
            camera.name.clone(),
            camera.path.display().to_string(),
            modes,
        ]
    });
    if report.cameras.is_empty() {
        println!("{}\n", devices::describe_absence(&report.unusable));
    } else {
        println!(
            "{}\n",
            table::render(&["camera", "name", "device", "modes"], rows)
        );
    }
    let rows = report.encoders.iter().map(|encoder| {
        let verdict = match (&encoder.reason, encoder.trial_ms) {
            (None, Some(ms)) => format!("works (trial {ms} ms)"),
            (None, None) => "works".to_owned(),
            (Some(reason), _) => reason.clone(),
        };
        vec![encoder.element.clone(), encoder.boards.to_owned(), verdict]
    });
    println!(
        "{}\n",
        table::render(&["encoder", "boards", "verdict"], rows)
    );
    let synchronized = match report.clock.synchronized {
        Some(true) => "follows a time server",
        Some(false) => "does not follow a time server yet",
        None => "no time service to ask",
    };
    let rows = [
        vec![
            "disk".to_owned(),
            format!(
                "{}: {} free of {}, belongs to {}",
                report.disk.path.display(),
                size(report.disk.free_bytes),
                size(report.disk.total_bytes),
                report.disk.owner.as_deref().unwrap_or("nobody known")
            ),
        ],
        vec![
            "clock".to_owned(),
            format!("{} ({synchronized})", report.clock.now),
        ],
        vec!["port".to_owned(), report.port.detail.clone()],
    ];
    println!("{}\n", table::render(&["what", "state"], rows));
    if report.problems.is_empty() {
        println!("All is well.");
    }
    for problem in &report.problems {
        println!("Problem: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::devices::tests::camera;
    use crate::encode::{EncoderChoice, TABLE, Verdict};

    /// The problems of these nodes, with these sources configured, all of which are busy.
    fn check(nodes: &Nodes, configured: &[&Path], expected: &[&str]) {
        let configured: Vec<_> = configured
            .iter()
            .map(|path| CameraConfig::plain(SourceSelector::parse(&path.to_string_lossy())))
            .collect();
        let told = camera_problems(nodes, &configured, |path| {
            Err(OpenError::Busy(path.to_owned()))
        });
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(
                told.contains(expected) && !told.contains('\n'),
                "{told:?}, not {expected:?}"
            );
        }
    }

    #[test]
    fn an_encoder_that_is_asked_for_and_cannot_be_used_is_a_problem() {
        let report = |reason: Option<&str>| EncoderReport {
            element: "v4l2h264enc".to_owned(),
            boards: "one",
            works: reason.is_none(),
            reason: reason.map(str::to_owned),
            trial_ms: None,
        };
        let problem = |found: &[EncoderReport]| encoder_problem("v4l2h264enc", found.iter());
        assert_eq!(problem(&[report(Some("busy")), report(None)]), None);
        for (found, reason) in [
            (&[][..], "knows no such"),
            (&[report(Some("not installed"))], "not installed"),
        ] {
            let problem = problem(found).expect("a problem");
            assert!(
                problem.contains("ladder.encoder") && problem.contains(reason),
                "{problem}"
            );
        }
    }

    #[test]
    fn software_that_refuses_a_rung_need_not_be_installed() {
        let config = Config::default();
        let options = app::probe_options(None, None, &config.ladder, config.frame_rate);
        let listing = |entry, refusal: Option<&str>| EncoderListing {
            entry,
            factory: refusal.map(|_| "any".to_owned()),
            verdict: refusal.map(|reason| Verdict {
                refusal: Some(reason.to_owned()),
                trial_ms: 5,
            }),
        };
        let (hardware, software) = (&TABLE[0], EncoderChoice::software().entry);
        let listings = [
            listing(hardware, Some("no device")),
            listing(software, None),
        ];
        assert!(no_encoder(&listings, &options).contains("install"));
        let listings = [listing(software, Some("9 bytes do not keep to 8 b/s"))];
        let told = no_encoder(&listings, &options);
        for part in ["ladder.rungs", "`high`, 1920x1080", "do not keep to"] {
            assert!(told.contains(part) && !told.contains("install"), "{told}");
        }
    }

    #[test]
    fn what_keeps_a_camera_from_being_used_is_a_problem_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().canonicalize().expect("its name");
        let [node, link, found] = ["video3", "by-path", "video4"].map(|name| folder.join(name));
        std::fs::write(&node, "").expect("a file");
        std::fs::write(&found, "").expect("a file");
        std::os::unix::fs::symlink(&node, &link).expect("a link");
        let mut nodes = Nodes {
            cameras: Vec::new(),
            unusable: Vec::new(),
        };
        check(&nodes, &[], &[]);
        check(&nodes, &[Path::new("test")], &[]);
        check(&nodes, &[&node], &["video3: in use by another program"]);
        nodes.unusable = vec![OpenError::Permission(node.clone())];
        let denied = "video3: permission denied";
        for configured in [&[][..], &[node.as_path()], &[link.as_path()]] {
            check(&nodes, configured, &[denied]);
        }
        check(&nodes, &[&found], &[denied, "video4: in use"]);
        nodes.cameras = vec![camera(&found)];
        // Opened already, under whatever name.
        for named in [&found, Path::new("A1B2")] {
            check(&nodes, &[named], &["video4: offers no mode", denied]);
        }
    }
}
