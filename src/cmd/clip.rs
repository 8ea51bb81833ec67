//! `perch clip`: a stretch of a recording, or a time-lapse of it, as one MP4 file; also while an appliance records there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use super::data_dir::{self, runs_as_owner};
use super::progress::Progress;
use crate::base::{CameraId, Wall};
use crate::config::Config;
use crate::media::{RenditionId, TrackKind};
use crate::serve::request_proof;
use crate::store::{
    Archive, ClipFile, ClipFileReader, ClipFileWish, ClipLength, ProveError, Reach, Timelapse,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// Whose recording: a name of /api/v1/cameras.
    #[arg(long, value_name = "ID", value_parser = camera)]
    camera: CameraId,
    /// The first moment, as 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    from: Wall,
    /// The moment at which it ends.
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    to: Wall,
    /// Which pictures: very_low, low, medium or high [default: the best that are recorded all the time].
    #[arg(long, value_name = "NAME", value_parser = rendition)]
    rendition: Option<RenditionId>,
    /// A time-lapse of this many seconds, made of keyframes, without sound.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=1200))]
    timelapse: Option<u32>,
    /// The file to write.
    #[arg(short, long, value_name = "FILE.mp4")]
    output: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
    /// Where recordings are kept [default: ./perch-data, or else /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// JSON for programs.
    #[arg(long)]
    json: bool,
}

fn camera(text: &str) -> Result<CameraId, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn moment(text: &str) -> Result<Wall, String> {
    Wall::parse_rfc3339(text)
        .ok_or_else(|| "no moment; write RFC 3339 such as 2026-11-21T08:00:00Z".to_owned())
}

fn rendition(text: &str) -> Result<RenditionId, String> {
    text.parse()
        .ok()
        .filter(|id: &RenditionId| id.kind == TrackKind::Video)
        .ok_or_else(|| "none of very_low, low, medium, high".to_owned())
}

#[derive(Serialize)]
struct Report {
    file: PathBuf,
    camera: String,
    rendition: &'static str,
    sound: Option<&'static str>,
    from: String,
    to: String,
    missing: Vec<Missing>,
    duration_s: f64,
    pictures: u64,
    bytes: u64,
    proven: bool,
    /// Why it is not.
    unproven: Option<String>,
}

#[derive(Serialize)]
struct Missing {
    from: String,
    to: String,
}

impl Report {
    fn new(arguments: &Arguments, file: &ClipFile) -> Self {
        let missing = |(from, to): &(Wall, Wall)| Missing {
            from: from.to_string(),
            to: to.to_string(),
        };
        Self {
            file: arguments.output.clone(),
            camera: arguments.camera.to_string(),
            rendition: file.rendition.name(),
            sound: file.sound().map(|sound| sound.name()),
            from: file.from.to_string(),
            to: file.to.to_string(),
            missing: file.missing.iter().map(missing).collect(),
            duration_s: file.duration_s(),
            pictures: file.pictures(),
            bytes: file.bytes_count(),
            proven: file.unproven().is_none(),
            unproven: file.unproven().map(ToString::to_string),
        }
    }

    fn print(&self) {
        println!(
            "{}: {} of {} from {} to {}, {:.1} s, {:.1} MB{}",
            self.file.display(),
            self.rendition,
            self.camera,
            self.from,
            self.to,
            self.duration_s,
            self.bytes as f64 / 1e6,
            if self.sound.is_some() {
                ""
            } else {
                ", without sound"
            },
        );
        for gap in &self.missing {
            println!(
                "nothing is recorded from {} to {}: the clip goes on behind it",
                gap.from, gap.to
            );
        }
        if let Some(reason) = &self.unproven {
            println!("it carries no proof: {reason}");
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let output = &arguments.output;
    // Before minutes are spent on it.
    if output.exists() && !arguments.force {
        bail!(
            "{}: is there already; --force writes over it",
            output.display()
        );
    }
    let dir = data_dir::recorded_in(arguments.data.clone(), &Config::default());
    let archive = Archive::open(&dir)?;
    let length = arguments.timelapse.map_or(ClipLength::Whole, |seconds| {
        ClipLength::Timelapse(Timelapse::LengthMs(seconds * 1000))
    });
    let wish = ClipFileWish {
        camera: arguments.camera.clone(),
        rendition: arguments.rendition,
        from: arguments.from,
        to: arguments.to,
        length,
    };
    let mut file = archive.clip_file(&wish)?;
    let is_young = matches!(file.unproven(), Some(ProveError::NotYetSigned(_)));
    if is_young && have_signed(&dir, &wish) {
        file = archive.clip_file(&wish)?;
    }
    let report = Report::new(arguments, &file);
    write_whole(Arc::new(file), output, arguments.force)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the appliance that records there, if one does, sign what is too young to be proven. Returns whether it may have.
fn have_signed(dir: &Path, wish: &ClipFileWish) -> bool {
    let reach = Reach::of_holder(dir).ok().flatten();
    // Not whoever has got the address of one that was killed.
    let reach = reach.filter(|reach| runs_as_owner(reach.pid, dir));
    reach.is_some_and(|reach| request_proof(reach.address, wish))
}

/// Writes the file under another name first, so that under its own there is all of it or nothing.
fn write_whole(file: Arc<ClipFile>, output: &Path, force: bool) -> anyhow::Result<()> {
    let name = output
        .file_name()
        .with_context(|| format!("{}: names no file", output.display()))?;
    let mut partial_name = std::ffi::OsString::from(".");
    partial_name.push(name);
    partial_name.push(format!(".{}.part", std::process::id()));
    let partial = Partial(output.with_file_name(partial_name));
    let failed = || format!("{}", partial.0.display());
    let mut target = File::create(&partial.0).with_context(failed)?;
    let total = file.bytes_count();
    let mut reader = ClipFileReader::new(file);
    let mut progress = Progress::new("");
    let mut done = 0;
    while done < total {
        let bytes = reader.read(done)?;
        target.write_all(&bytes).with_context(failed)?;
        done += bytes.len() as u64;
        progress.show(done, total);
    }
    progress.end();
    target.sync_all().with_context(failed)?;
    let into_place = || format!("{}", output.display());
    if force {
        fs::rename(&partial.0, output).with_context(into_place)?;
    } else {
        // Fails, unlike a rename, where another program was faster.
        fs::hard_link(&partial.0, output)
            .or_else(|error| match error.kind() {
                // File systems of memory cards have no second names.
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::Unsupported
                    if !output.exists() =>
                {
                    fs::rename(&partial.0, output)
                }
                _ => Err(error),
            })
            .with_context(into_place)?;
    }
    Ok(())
}

/// A file that goes unless it was given its name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Renamed, it is not there any more.
        let _ = fs::remove_file(&self.0);
    }
}
