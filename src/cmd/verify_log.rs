//! `perch verify --checkpoints`: whether the log goes on from checkpoints that were kept elsewhere.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde::Serialize;

use super::verify::NOT_PROVEN;
use crate::store::{Archive, CheckpointsReport, load_public_keys};

#[derive(Serialize)]
struct Report {
    proven: bool,
    held: u64,
    too_old: u64,
    not_signed: u64,
    contradicted: Vec<Contradicted>,
}

#[derive(Serialize)]
struct Contradicted {
    signed_at: String,
    segments: u64,
}

impl From<CheckpointsReport> for Report {
    fn from(report: CheckpointsReport) -> Self {
        let CheckpointsReport {
            held,
            too_old,
            not_signed,
            contradicted,
        } = report;
        Self {
            proven: held > 0 && too_old == 0 && not_signed == 0 && contradicted.is_empty(),
            held,
            too_old,
            not_signed,
            contradicted: contradicted
                .into_iter()
                .map(|(signed_at, segments)| Contradicted {
                    signed_at: signed_at.to_string(),
                    segments,
                })
                .collect(),
        }
    }
}

/// Status 0 if the log goes on from all of them, 1 if not, 2 if of some nobody can tell any more.
pub(super) fn run(
    archive: &Archive,
    kept: &Path,
    keys: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let keys = load_public_keys(keys).context("name the box's public keys with --key")?;
    let report = Report::from(archive.verify_checkpoints(kept, &keys)?);
    let in_all =
        report.held + report.too_old + report.not_signed + report.contradicted.len() as u64;
    ensure!(in_all > 0, "there are no checkpoints in {}", kept.display());
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(
        match (report.proven, report.not_signed, &report.contradicted[..]) {
            (true, ..) => ExitCode::SUCCESS,
            (false, 0, []) => ExitCode::from(NOT_PROVEN),
            _ => ExitCode::FAILURE,
        },
    )
}

fn print(report: &Report) {
    println!("{} checkpoints are of this log", report.held);
    if report.too_old > 0 {
        println!(
            "{} are of recordings that are gone, and cannot be compared any more",
            report.too_old
        );
    }
    if report.not_signed > 0 {
        println!(
            "{} are damaged, or were not signed with these keys",
            report.not_signed
        );
    }
    for one in &report.contradicted {
        println!(
            "the one of {} over {} segments is not of this log, which was cut or written anew",
            one.signed_at, one.segments
        );
    }
}
