//! `perch store stats|verify|scrub|rebuild`: looks at recordings, also while an appliance records there; `rebuild` only
//! while none does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::data_dir;
use super::progress::Progress;
use super::store_log::LogVerified;
use super::store_packs::PacksVerified;
use super::table::{self, megabytes};
use super::{store_gc, store_rebuild, store_scrub};
use crate::base::Clock;
use crate::config::Config;
use crate::store::{
    Archive, LogReport, OpenError, PacksReport, Reach, Statistics, Store, StoreOptions,
    VerifyReport,
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// How many bytes are recorded, and how many the disk holds for them.
    Stats(Arguments),
    /// Read every recorded segment and every imported chunk again and compare them with their digests and the index, and
    /// the signed log with itself. Status 1 if any is damaged.
    Verify(Arguments),
    /// The same, and what is damaged is no longer given out. Beside a running appliance it only tells. Status 1 if any
    /// is.
    Scrub(Arguments),
    /// Make the index of recordings again from the files alone. Refused while an appliance runs there.
    Rebuild(Arguments),
    /// Count all references again and give back what nothing needs. Status 1 if a count was wrong.
    Gc(store_gc::Arguments),
}

#[derive(Args)]
pub(super) struct Arguments {
    /// Where recordings are kept [default: ./perch-data, or else /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// JSON for programs.
    #[arg(long)]
    pub(super) json: bool,
}

impl Arguments {
    /// The data directory.
    pub(super) fn dir(&self) -> PathBuf {
        data_dir::recorded_in(self.data.clone(), &Config::default())
    }

    pub(super) fn open(&self) -> anyhow::Result<Archive> {
        Ok(Archive::open(&self.dir())?)
    }
}

/// Opens a directory to change it. Deletes no recording and takes no upload: how long those are kept and what is taken
/// is the appliance's affair.
pub(super) fn open_store(
    dir: &Path,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<Store, OpenError> {
    let options = StoreOptions {
        // Imports leave it its room.
        retention: config.retention.clone(),
        deletes: false,
        imports_uploads: false,
        media_only: config.media_only,
        ..StoreOptions::default()
    };
    Store::open(dir, options, clock).map(|(store, _)| store)
}

/// Says who is in the way if somebody is, and what to do `instead`.
pub(super) fn explain(error: OpenError, instead: &str) -> anyhow::Error {
    let OpenError::InUse(dir) = &error else {
        return error.into();
    };
    let who = match Reach::of_holder(dir) {
        Ok(Some(Reach { address, pid })) => {
            format!("the appliance at http://{address}/ (process {pid}) runs there")
        }
        _ => "another perch process uses it".to_owned(),
    };
    anyhow::anyhow!("data directory {}: {who}; {instead}", dir.display())
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stats(arguments) => stats(&arguments),
        Command::Verify(arguments) => verify(&arguments),
        Command::Scrub(arguments) => store_scrub::run(&arguments),
        Command::Rebuild(arguments) => store_rebuild::run(&arguments),
        Command::Gc(arguments) => store_gc::run(&arguments),
    }
}

#[derive(Serialize)]
struct StatsReport {
    logical_bytes: u64,
    unique_bytes: u64,
    physical_bytes: u64,
    dedup_ratio: f64,
    sources: Vec<SourceReport>,
    damaged: DamagedNow,
}

/// What the disk has damaged and what is therefore not given out.
#[derive(Serialize)]
struct DamagedNow {
    segments: u64,
    chunks: u64,
    chunk_bytes: u64,
    items: u64,
}

#[derive(Serialize)]
struct SourceReport {
    source: &'static str,
    logical_bytes: u64,
    unique_bytes: u64,
}

impl From<Statistics> for StatsReport {
    fn from(statistics: Statistics) -> Self {
        Self {
            logical_bytes: statistics.logical_bytes(),
            unique_bytes: statistics.unique_bytes(),
            physical_bytes: statistics.physical_bytes,
            dedup_ratio: statistics.dedup_ratio(),
            damaged: DamagedNow {
                segments: statistics.damage.segments,
                chunks: statistics.damage.chunks,
                chunk_bytes: statistics.damage.chunk_bytes,
                items: statistics.damage.items,
            },
            sources: statistics
                .sources
                .into_iter()
                .map(|source| SourceReport {
                    source: source.name,
                    logical_bytes: source.logical_bytes,
                    unique_bytes: source.unique_bytes,
                })
                .collect(),
        }
    }
}

fn stats(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let report = StatsReport::from(arguments.open()?.statistics()?);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = report.sources.iter().map(|source| {
        vec![
            source.source.to_owned(),
            megabytes(source.logical_bytes),
            megabytes(source.unique_bytes),
        ]
    });
    println!("{}", table::render(&["content", "as seen", "stored"], rows));
    println!(
        "{} on the disk, the index with it; each byte stored is seen {:.2} times",
        megabytes(report.physical_bytes),
        report.dedup_ratio
    );
    let damaged = &report.damaged;
    if damaged.segments + damaged.chunks > 0 {
        println!(
            "damaged by the disk: {} segments, and {} of {} imported files in {} chunks",
            damaged.segments,
            megabytes(damaged.chunk_bytes),
            damaged.items,
            damaged.chunks
        );
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
pub(super) struct VerifiedReport {
    segments_sound: u64,
    bytes_sound: u64,
    quarantined: u64,
    damaged: Vec<DamageReport>,
    heads_damaged: Vec<HeadReport>,
    journal_damaged: bool,
    log: LogVerified,
    packs: PacksVerified,
}

#[derive(Serialize)]
struct DamageReport {
    camera: String,
    rendition: String,
    from: String,
    to: String,
    path: PathBuf,
    offset: u64,
    what: String,
}

/// A reel that does not start as it did.
#[derive(Serialize)]
struct HeadReport {
    path: PathBuf,
    what: String,
}

impl VerifiedReport {
    pub(super) fn new(
        report: VerifyReport,
        packs: PacksReport,
        journal_damaged: bool,
        log: LogReport,
    ) -> Self {
        Self {
            packs: packs.into(),
            journal_damaged,
            log: log.into(),
            segments_sound: report.segments_sound,
            bytes_sound: report.bytes_sound,
            quarantined: report.quarantined,
            damaged: report
                .damaged
                .into_iter()
                .map(|segment| DamageReport {
                    camera: segment.camera.to_string(),
                    rendition: segment.rendition.to_string(),
                    from: segment.wall_start.to_string(),
                    to: segment.wall_end.to_string(),
                    path: segment.path,
                    offset: segment.offset,
                    what: segment.what,
                })
                .collect(),
            heads_damaged: report
                .heads_damaged
                .into_iter()
                .map(|head| HeadReport {
                    path: head.path,
                    what: head.what,
                })
                .collect(),
        }
    }
}

fn verify(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let archive = arguments.open()?;
    let mut progress = Progress::new("");
    let segments = archive.verify(|done, total| progress.show(done, total))?;
    let packs = archive.verify_packs(|done, total| progress.show(done, total))?;
    let journal_damaged = !archive.is_journal_sound()?;
    let log = archive.verify_log_files(|done, total| progress.show(done, total));
    progress.end();
    let report = VerifiedReport::new(segments, packs, journal_damaged, log);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(report.exit_code())
}

impl VerifiedReport {
    pub(super) fn print(&self) {
        println!(
            "{} segments, {}: sound; {} damaged; {} were found damaged before",
            self.segments_sound,
            megabytes(self.bytes_sound),
            self.damaged.len(),
            self.quarantined
        );
        for segment in &self.damaged {
            println!(
                "{} {} from {} to {}: {} in {} at byte {}",
                segment.camera,
                segment.rendition,
                segment.from,
                segment.to,
                segment.what,
                segment.path.display(),
                segment.offset
            );
        }
        for head in &self.heads_damaged {
            println!("{}: {}", head.path.display(), head.what);
        }
        if self.journal_damaged {
            println!("the journal in log/ is damaged, which only `perch store rebuild` needs");
        }
        self.log.print();
        self.packs.print();
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        let is_sound = self.damaged.is_empty()
            && self.heads_damaged.is_empty()
            && !self.journal_damaged
            && self.log.is_sound()
            && self.packs.is_sound();
        if is_sound {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemClock;
    use crate::store::{NewUpload, UploadPhase};
    use crate::upload::{Metadata, UploadKind};

    #[test]
    fn what_changes_a_directory_leaves_its_uploads_to_the_appliance() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.retention.free_bytes = Some(0);
        let store = open_store(dir.path(), &config, Arc::new(SystemClock)).expect("it opens");
        let empty = NewUpload {
            kind: UploadKind::Single,
            length: Some(0),
            is_complete: true,
            metadata: Metadata::parse("filename YS5tcDQ=").expect("it is well formed"),
            parts: Vec::new(),
        };
        let id = store.begin_upload(empty).expect("there is room").id;
        store.collect_garbage(false).expect("it is counted");
        let upload = store.upload(id).expect("readable").expect("it is known");
        assert_eq!(upload.phase, UploadPhase::Complete);
        store.close();
    }
}
