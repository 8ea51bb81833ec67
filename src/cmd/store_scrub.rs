//! `perch store scrub`: every recorded byte read again now, and what is damaged no longer played.

use std::process::ExitCode;

use serde::Serialize;

use super::progress::Progress;
use super::store::{Arguments, VerifiedReport};
use crate::store::scrub_once;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    verified: VerifiedReport,
    /// Segments that this pass took out of what is played; none if a running appliance has to.
    marked: Option<u64>,
}

/// Status 1 if anything is damaged.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new("");
    let report = scrub_once(&arguments.dir(), |done, total| progress.show(done, total))?;
    progress.end();
    let report = Report {
        verified: report.verified.into(),
        marked: report.marked,
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
    }
    Ok(report.verified.exit_code())
}
