//! `perch store gc`: counts all references again and gives back what nothing needs, on a directory that nobody uses.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::data_dir;
use super::store::{explain, open_store};
use super::table::megabytes;
use crate::base::SystemClock;
use crate::config::Config;
use crate::store::GcReport;

#[derive(Args)]
pub(super) struct Arguments {
    /// Give up imports that were interrupted, too; they could be gone on with otherwise.
    #[arg(long)]
    abandoned: bool,
    /// Where recordings are kept [default: ./perch-data, or else /var/lib/perch].
    #[arg(long, value_name = "DIR", env = "PERCH_DATA")]
    data: Option<PathBuf>,
    /// JSON for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    chunks_counted: u64,
    chunks_miscounted: Vec<ChunkReport>,
    chunks_missing: u64,
    packs_miscounted: u64,
    reels_miscounted: u64,
    abandoned_items: u64,
    packs_removed: u64,
    records_punched: u64,
    bytes_freed: u64,
}

#[derive(Serialize)]
struct ChunkReport {
    chunk: i64,
    refs: i64,
    counted: i64,
}

impl From<GcReport> for Report {
    fn from(report: GcReport) -> Self {
        let GcReport {
            recount,
            abandoned_items,
            packs_removed,
            records_punched,
            bytes_freed,
        } = report;
        let chunks = recount.miscounted.iter().map(|chunk| ChunkReport {
            chunk: chunk.chunk,
            refs: chunk.refs,
            counted: chunk.counted,
        });
        Self {
            chunks_counted: recount.chunks,
            chunks_miscounted: chunks.collect(),
            chunks_missing: recount.missing,
            packs_miscounted: recount.packs_miscounted,
            reels_miscounted: recount.reels_miscounted,
            abandoned_items,
            packs_removed,
            records_punched,
            bytes_freed,
        }
    }
}

/// Status 1 if a count was wrong, or a chunk is missing.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::default();
    let dir = data_dir::recorded_in(arguments.data.clone(), &config);
    data_dir::check_owner(&dir)?;
    let store = open_store(&dir, &config, Arc::new(SystemClock)).map_err(|error| {
        explain(
            error,
            "an appliance does this by itself each week; stop it to do it now",
        )
    })?;
    let report = store.collect_garbage(arguments.abandoned)?;
    store.close();
    let is_clean = report.recount.is_clean();
    let report = Report::from(report);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "{} freed: {} packs removed, {} chunks and lists punched out of others, {} interrupted imports given up",
            megabytes(report.bytes_freed),
            report.packs_removed,
            report.records_punched,
            report.abandoned_items
        );
        println!(
            "{} chunks counted: {} wrong, {} missing; {} packs and {} reels wrong; what was wrong is corrected",
            report.chunks_counted,
            report.chunks_miscounted.len(),
            report.chunks_missing,
            report.packs_miscounted,
            report.reels_miscounted
        );
    }
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
