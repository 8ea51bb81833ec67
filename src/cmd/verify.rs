//! `perch verify`: whether a recording, or the file of a clip, is what the box signed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::data_dir;
use super::progress::Progress;
use super::{verify_clip, verify_log};
use crate::base::{CameraId, Wall};
use crate::config::Config;
use crate::seal::PublicKeys;
use crate::store::{Archive, RangeReport, load_public_keys};

/// Some of what was asked for is sound but not proven, for instance too young to be signed.
pub(super) const NOT_PROVEN: u8 = 2;

#[derive(Args)]
pub(super) struct Arguments {
    /// The file of a clip, verified without the box.
    #[arg(required_unless_present_any = ["camera", "checkpoints"], conflicts_with_all = ["camera", "from", "to"])]
    file: Option<PathBuf>,
    /// The camera whose recording is verified.
    #[arg(long, value_name = "ID", requires_all = ["from", "to"])]
    camera: Option<CameraId>,
    /// Where the stretch starts, as in 2026-11-21T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<Wall>,
    /// Where the stretch ends.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<Wall>,
    /// Checkpoints that were kept elsewhere, such as a copy of log/checkpoints-hourly: whether the log goes on from them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "camera", "from", "to"])]
    checkpoints: Option<PathBuf>,
    /// The box's public keys [default: keys/box.pub in the data directory].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where recordings are kept [default: ./perch-data, or else /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// JSON for programs.
    #[arg(long)]
    json: bool,
}

fn parse_time(text: &str) -> Result<Wall, String> {
    Wall::parse_rfc3339(text)
        .ok_or_else(|| "write it as in 2026-11-21T10:00:00Z or with +02:00 for Z".to_owned())
}

/// Status 0 if all is proven, 1 if something is wrong, 2 if nothing is wrong but not all is proven.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let dir = data_dir::recorded_in(arguments.data, &Config::default());
    let keys = || {
        let given = arguments.key.clone();
        given.unwrap_or_else(|| dir.join("keys/box.pub"))
    };
    match (arguments.file, arguments.camera, arguments.checkpoints) {
        (Some(file), _, _) => verify_clip::run(&file, &keys(), arguments.json),
        (None, _, Some(kept)) => {
            let archive = Archive::open(&dir)?;
            verify_log::run(&archive, &kept, &keys(), arguments.json)
        }
        (None, Some(camera), None) => {
            let range = arguments.from.zip(arguments.to);
            let range = range.expect("clap asks for both with --camera");
            let given = arguments.key.as_deref().map(load_public_keys).transpose();
            let given = given.context("the file given with --key")?;
            let archive = Archive::open(&dir)?;
            verify_range(&archive, &camera, range, given.as_ref(), arguments.json)
        }
        (None, None, None) => unreachable!("clap asks for one of them"),
    }
}

#[derive(Serialize)]
struct Report {
    proven: bool,
    origin: Option<String>,
    signed_at: Option<String>,
    keys: KeysUsed,
    renditions: Vec<Rendition>,
    gaps: Vec<Gap>,
    faults: Vec<Fault>,
}

/// Whose public keys counted.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeysUsed {
    /// Those that were given.
    Given,
    /// Those that lie in the data directory under test.
    DataDirectory,
}

#[derive(Serialize)]
struct Rendition {
    rendition: String,
    proven: u64,
    unsigned: u64,
    before_the_log: u64,
}

#[derive(Serialize)]
struct Gap {
    rendition: Option<String>,
    from: String,
    to: String,
    reason: &'static str,
}

#[derive(Serialize)]
struct Fault {
    rendition: String,
    msn: u64,
    from: String,
    what: String,
}

impl From<RangeReport> for Report {
    fn from(report: RangeReport) -> Self {
        let proven = report.is_proven();
        Self {
            proven,
            origin: report.signed.as_ref().map(|(origin, _)| origin.to_string()),
            signed_at: report.signed.as_ref().map(|(_, at)| at.to_string()),
            keys: KeysUsed::DataDirectory,
            renditions: report
                .tracks
                .iter()
                .map(|track| Rendition {
                    rendition: track.rendition.to_string(),
                    proven: track.proven,
                    unsigned: track.unsigned,
                    before_the_log: track.before_the_log,
                })
                .collect(),
            gaps: report
                .gaps
                .iter()
                .map(|gap| Gap {
                    rendition: gap.rendition.map(|rendition| rendition.to_string()),
                    from: gap.from.to_string(),
                    to: gap.to.to_string(),
                    reason: gap.reason.name(),
                })
                .collect(),
            faults: report
                .faults
                .into_iter()
                .map(|fault| Fault {
                    rendition: fault.rendition.to_string(),
                    msn: fault.msn,
                    from: fault.wall_start.to_string(),
                    what: fault.what,
                })
                .collect(),
        }
    }
}

fn verify_range(
    archive: &Archive,
    camera: &CameraId,
    range: (Wall, Wall),
    given: Option<&PublicKeys>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new("");
    let report = archive.verify_range(camera, range, given, |done, total| {
        progress.show(done, total);
    })?;
    progress.end();
    let mut report = Report::from(report);
    if given.is_some() {
        report.keys = KeysUsed::Given;
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(match (report.proven, report.faults.is_empty()) {
        (true, _) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(NOT_PROVEN),
    })
}

fn print(report: &Report) {
    if report.renditions.is_empty() {
        println!("nothing of this camera is recorded in this stretch");
    }
    for track in &report.renditions {
        let Rendition {
            rendition,
            proven,
            unsigned,
            before_the_log,
        } = track;
        print!("{rendition}: {proven} segments are what the box signed");
        if *unsigned > 0 {
            print!(", {unsigned} are sound but not signed yet");
        }
        if *before_the_log > 0 {
            print!(", {before_the_log} are sound but were recorded before there was a log");
        }
        println!();
    }
    for gap in &report.gaps {
        let whose = gap.rendition.as_deref().unwrap_or("the whole camera");
        println!(
            "gap of {whose} from {} to {}: {}",
            gap.from, gap.to, gap.reason
        );
    }
    for fault in &report.faults {
        println!(
            "{} segment {} of {}: {}",
            fault.rendition, fault.msn, fault.from, fault.what
        );
    }
    match (&report.origin, &report.signed_at) {
        (Some(origin), Some(at)) => println!("signed by {origin} at {at}"),
        _ => println!("nothing was signed yet, or not with these keys"),
    }
    match report.keys {
        KeysUsed::Given => println!("checked with the keys that were given"),
        KeysUsed::DataDirectory => println!(
            "checked with the keys in the data directory itself, which whoever could alter the recording could have \
             replaced; give a copy of keys/box.pub that was kept elsewhere with --key"
        ),
    }
}
