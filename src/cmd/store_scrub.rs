//! `perch store scrub`: every recorded and imported byte read again now, and what is damaged no longer given out.

use std::process::ExitCode;

use serde::Serialize;

use super::data_dir::check_owner;
use super::progress::Progress;
use super::store::{Arguments, VerifiedReport};
use crate::store::scrub_once;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    verified: VerifiedReport,
    /// Segments that this pass took out of what is played; none if a running appliance has to.
    marked: Option<u64>,
    /// Segments that read well again and are played again.
    recovered: Option<u64>,
    /// The same of chunks, and those that read well again and are given out again.
    chunks_marked: Option<u64>,
    chunks_recovered: Option<u64>,
    /// Records of packs that were written again from what the index knows.
    records_repaired: Option<u64>,
    /// Reels whose start was written again from what the index knows.
    heads_repaired: Option<u64>,
    /// The journal was written again from what the index knows.
    journal_renewed: Option<bool>,
    /// Tiles of the signed log whose hashes were written again from what lies below them.
    tiles_repaired: Option<u64>,
}

/// Status 1 if anything is damaged.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let dir = arguments.dir();
    check_owner(&dir)?;
    let mut progress = Progress::new("");
    let report = scrub_once(&dir, |done, total| progress.show(done, total))?;
    progress.end();
    let report = Report {
        verified: VerifiedReport::new(
            report.verified,
            report.packs,
            report.journal_damaged,
            report.log,
        ),
        marked: report.marked.map(|marked| marked.segments),
        recovered: report.marked.map(|marked| marked.segments_recovered),
        chunks_marked: report.marked.map(|marked| marked.chunks),
        chunks_recovered: report.marked.map(|marked| marked.chunks_recovered),
        records_repaired: report.marked.map(|marked| marked.records_repaired),
        heads_repaired: report.marked.map(|marked| marked.heads_repaired),
        journal_renewed: report.marked.map(|marked| marked.journal_renewed),
        tiles_repaired: report.marked.map(|marked| marked.tiles_repaired),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.verified.print();
        match report.marked {
            Some(0) => {}
            Some(marked) => println!("{marked} segments are not played any more, and show as lost"),
            None => println!("an appliance runs here, which marks what it finds when it comes by"),
        }
        if let Some(recovered) = report.recovered.filter(|recovered| *recovered > 0) {
            println!("{recovered} segments read well again and are played again");
        }
        if let Some(marked) = report.chunks_marked.filter(|marked| *marked > 0) {
            println!("{marked} chunks are not given out any more");
        }
        if let Some(recovered) = report.chunks_recovered.filter(|recovered| *recovered > 0) {
            println!("{recovered} chunks read well again and are given out again");
        }
        if let Some(repaired) = report.records_repaired.filter(|repaired| *repaired > 0) {
            println!("{repaired} damaged records were written again from what the index knows");
        }
        if let Some(repaired) = report.heads_repaired.filter(|repaired| *repaired > 0) {
            println!(
                "{repaired} damaged starts of reels were written again from what the index knows"
            );
        }
        if report.journal_renewed == Some(true) {
            println!("the journal was written again from what the index knows");
        }
        if let Some(repaired) = report.tiles_repaired.filter(|repaired| *repaired > 0) {
            println!(
                "{repaired} damaged tiles of the signed log were written again from what lies below them"
            );
        }
    }
    Ok(report.verified.exit_code())
}
