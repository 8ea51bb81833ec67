//! `perch import`: files of this machine become items of the store, each byte stored once. Where an appliance holds the
//! data directory, it is handed the files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::data_dir::{self, check_owner, runs_as_owner};
use super::progress::Progress;
use super::store::open_store;
use super::table::megabytes;
use crate::base::{CameraId, SystemClock, Wall};
use crate::chunk::{ItemName, ItemSource, MediaKind};
use crate::config::Config;
use crate::serve::{HandOver, HandOverStep};
use crate::store::{ImportMeta, Imported, OpenError, Origin, Reach, Store};

#[derive(Args)]
pub(super) struct Arguments {
    /// What to import: films, pictures, sound, or any other file, unless the configuration takes only media.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The camera on whose timeline they are to lie.
    #[arg(long, value_name = "ID")]
    camera: Option<CameraId>,
    /// When their first picture was taken, such as 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "RFC3339", value_parser = moment)]
    at: Option<Wall>,
    /// Configuration file, for `[storage]`; a running appliance goes by its own.
    #[arg(long, value_name = "FILE", env = "PERCH_CONFIG")]
    config: Option<PathBuf>,
    /// Where recordings are kept [default: ./perch-data, or else /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// JSON for programs.
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<Wall, String> {
    Wall::parse_rfc3339(text)
        .ok_or_else(|| "no moment; write RFC 3339 such as 2026-11-21T08:00:00Z".to_owned())
}

#[derive(Serialize)]
#[serde(untagged)]
enum FileReport {
    Imported {
        file: PathBuf,
        id: String,
        name: String,
        media: &'static str,
        bytes: u64,
        new_bytes: u64,
        known_bytes: u64,
        resumed_at: u64,
    },
    Failed {
        file: PathBuf,
        error: String,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = match &arguments.config {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    let dir = data_dir::recorded_in(arguments.data.clone(), &config);
    let mut taker = Taker::of(&dir, &config)?;
    let mut reports = Vec::new();
    for file in &arguments.files {
        let outcome = import(&mut taker, file, arguments);
        if !arguments.json {
            tell(file, &outcome);
        }
        reports.push(report(file, outcome));
    }
    if let Taker::Own(store) = taker {
        store.close();
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    let failed = |report: &FileReport| matches!(report, FileReport::Failed { .. });
    Ok(if reports.iter().any(failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Who stores the files.
enum Taker {
    /// This process.
    Own(Store),
    /// The appliance that holds the data directory.
    Appliance(HandOver),
}

impl Taker {
    fn of(dir: &Path, config: &Config) -> anyhow::Result<Self> {
        if let Err(foreign) = check_owner(dir) {
            // An appliance takes the files from root, too; not whoever has got the address of one that was killed.
            return match Reach::of_holder(dir)? {
                Some(reach) if runs_as_owner(reach.pid, dir) => {
                    Ok(Self::Appliance(HandOver::to_holder(dir)?))
                }
                _ => Err(foreign),
            };
        }
        match open_store(dir, config, Arc::new(SystemClock)) {
            Ok(store) => Ok(Self::Own(store)),
            Err(OpenError::InUse(dir)) => Ok(Self::Appliance(HandOver::to_holder(&dir)?)),
            Err(error) => Err(error.into()),
        }
    }

    fn import(&mut self, file: File, meta: &ImportMeta) -> anyhow::Result<Imported> {
        let name = &meta.name;
        let mut progress = Progress::new(format!("{name}  "));
        let imported = match self {
            Self::Own(store) => store
                .import(file, meta, |at| progress.show(at.done, at.total))
                .map_err(anyhow::Error::from),
            Self::Appliance(appliance) => {
                let mut is_told = false;
                let imported = appliance.import(file, meta, |at| match at.step {
                    // The way to the appliance and into its store is one way.
                    HandOverStep::Sending => progress.show(at.done / 2, at.total),
                    HandOverStep::Storing => progress.show((at.total + at.done) / 2, at.total),
                    HandOverStep::Waiting if is_told => {}
                    HandOverStep::Waiting => {
                        is_told = true;
                        progress.say(&format!("{name}: waiting for the appliance"));
                    }
                });
                if let Ok(imported) = &imported {
                    progress.show(imported.bytes, imported.bytes);
                }
                imported.map_err(anyhow::Error::from)
            }
        };
        progress.end();
        imported
    }
}

/// What a file is called in the store: the last part of its path.
fn name_of(path: &Path) -> anyhow::Result<ItemName> {
    let name = path.file_name().context("it has no name")?;
    let name = name.to_str().context("its name is no UTF-8")?;
    Ok(name.parse()?)
}

fn import(
    taker: &mut Taker,
    path: &Path,
    arguments: &Arguments,
) -> anyhow::Result<(ItemName, Imported)> {
    let name = name_of(path)?;
    // Told apart before it is opened: a pipe would not open until somebody writes to it.
    let metadata = path.metadata().context("it cannot be read")?;
    anyhow::ensure!(
        metadata.is_file(),
        "it is no regular file; name one that has an end"
    );
    let file = File::open(path).context("it cannot be read")?;
    let meta = ImportMeta {
        name: name.clone(),
        source: ItemSource::Import,
        camera: arguments.camera.clone(),
        at: arguments.at,
        origin: Origin::Path(path.canonicalize().context("it cannot be read")?),
    };
    Ok((name, taker.import(file, &meta)?))
}

fn tell(file: &Path, outcome: &anyhow::Result<(ItemName, Imported)>) {
    match outcome {
        Ok((name, imported)) => println!(
            "{name}: {}, {} new, {} known; item {}",
            megabytes(imported.bytes),
            megabytes(imported.new_bytes),
            megabytes(imported.bytes - imported.new_bytes),
            imported.id
        ),
        Err(error) => eprintln!("perch: {}: {error:#}", file.display()),
    }
}

fn report(file: &Path, outcome: anyhow::Result<(ItemName, Imported)>) -> FileReport {
    let file = file.to_owned();
    match outcome {
        Ok((name, imported)) => FileReport::Imported {
            file,
            id: imported.id.to_string(),
            name: name.to_string(),
            media: match imported.media {
                MediaKind::Video => "video",
                MediaKind::Sound => "sound",
                MediaKind::Still => "still",
                MediaKind::Other => "other",
            },
            bytes: imported.bytes,
            new_bytes: imported.new_bytes,
            known_bytes: imported.bytes - imported.new_bytes,
            resumed_at: imported.resumed_at,
        },
        Err(error) => FileReport::Failed {
            file,
            error: format!("{error:#}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_the_last_part_of_its_path() {
        let name = |path: &str| name_of(Path::new(path)).map(|name| name.to_string());
        assert_eq!(name("../films/a b.mp4").expect("a name"), "a b.mp4");
        assert_eq!(name("/films/").expect("a name"), "films");
        for bad in ["..", "/", "a/..", "", "new\nline"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
