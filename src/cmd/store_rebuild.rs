//! `perch store rebuild`: the index of recordings made again from the files alone.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::data_dir::check_owner;
use super::progress::Progress;
use super::store::{Arguments, explain};
use crate::store::{LogFinding, RebuildReport, rebuild_index};

#[derive(Serialize)]
struct Report {
    reels: u64,
    segments: u64,
    gaps: u64,
    clips: u64,
    over: u64,
    damaged: Vec<Damaged>,
    unreadable: Vec<Unreadable>,
    items: u64,
    lost_items: Vec<String>,
    missing_bytes: u64,
    journal: &'static str,
    log: Log,
    old_index: Option<PathBuf>,
}

#[derive(Serialize)]
struct Damaged {
    path: PathBuf,
    offset: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Unreadable {
    path: PathBuf,
    cause: String,
}

#[derive(Serialize)]
struct Log {
    held: u64,
    beyond: u64,
    altered: Vec<String>,
    signed_leaves: Option<u64>,
    signed_at: Option<String>,
    root_holds: bool,
}

impl From<LogFinding> for Log {
    fn from(found: LogFinding) -> Self {
        Self {
            held: found.held,
            beyond: found.beyond,
            altered: found.altered.iter().map(ToString::to_string).collect(),
            signed_leaves: found.signed.map(|(leaves, _)| leaves),
            signed_at: found.signed.map(|(_, at)| at.to_string()),
            root_holds: found.root_holds,
        }
    }
}

impl From<RebuildReport> for Report {
    fn from(report: RebuildReport) -> Self {
        Self {
            reels: report.reels,
            segments: report.segments,
            gaps: report.gaps,
            clips: report.clips,
            over: report.over,
            damaged: report
                .damaged
                .into_iter()
                .map(|stretch| Damaged {
                    path: stretch.path,
                    offset: stretch.offset,
                    bytes: stretch.bytes,
                })
                .collect(),
            unreadable: report
                .unreadable
                .into_iter()
                .map(|reel| Unreadable {
                    path: reel.path,
                    cause: reel.cause,
                })
                .collect(),
            items: report.imports.items,
            lost_items: report
                .imports
                .lost
                .iter()
                .map(ToString::to_string)
                .collect(),
            missing_bytes: report.imports.missing_bytes,
            journal: match (report.journal_missing, report.journal_damaged) {
                (true, _) => "missing",
                (_, true) => "damaged",
                _ => "whole",
            },
            log: report.log.into(),
            old_index: report.old_index,
        }
    }
}

/// Status 1 if anything could not be read or does not agree with the log.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let dir = arguments.dir();
    check_owner(&dir)?;
    let mut progress = Progress::new("");
    let report = rebuild_index(&dir, |done, total| progress.show(done, total))
        .map_err(|error| explain(error, "stop it, and start it again when the index is made"))?;
    progress.end();
    let report = Report::from(report);
    let is_whole = report.damaged.is_empty()
        && report.unreadable.is_empty()
        && report.lost_items.is_empty()
        && report.missing_bytes == 0
        && report.journal == "whole"
        && report.log.altered.is_empty()
        && (report.log.root_holds || report.log.signed_leaves.is_none());
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if is_whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report) {
    println!(
        "{} segments in {} reels, {} gaps, {} clips; {} reels were over and stay so",
        report.segments, report.reels, report.gaps, report.clips, report.over
    );
    if report.items > 0 || !report.lost_items.is_empty() {
        println!("{} imported files", report.items);
    }
    for name in &report.lost_items {
        println!(
            "{name}: part of what it was made of is not known any more; it is not back, and what is left of it is kept: import \
             the same file again, or give it up with `perch store gc --abandoned`"
        );
    }
    if report.missing_bytes > 0 {
        println!(
            "{} bytes of imported files lie in no pack; reading those fails",
            report.missing_bytes
        );
    }
    if report.journal != "whole" {
        println!(
            "the journal in log/ is {}: gaps and clips may be missing",
            report.journal
        );
    }
    for stretch in &report.damaged {
        println!(
            "{}: {} bytes from {} on are no segment",
            stretch.path.display(),
            stretch.bytes,
            stretch.offset
        );
    }
    for reel in &report.unreadable {
        println!(
            "{}: {}; set aside with .unreadable behind its name",
            reel.path.display(),
            reel.cause
        );
    }
    let log = &report.log;
    for segment in &log.altered {
        println!("{segment}: the log holds another record of it");
    }
    match (&log.signed_at, log.root_holds) {
        (None, _) => println!("nothing was signed yet"),
        (Some(at), true) => println!(
            "{} segments are in the log as it was signed at {at}, {} are not yet or were recorded before there was one",
            log.held, log.beyond
        ),
        (Some(at), false) => println!("the log is not the one that was signed at {at}"),
    }
    if let Some(old) = &report.old_index {
        println!("the old index is kept as {}", old.display());
    }
}
