//! What reading packs again has shown, as `perch store verify` and `scrub` tell it.

use std::path::PathBuf;

use serde::Serialize;

use super::table::megabytes;
use crate::store::PacksReport;

#[derive(Serialize)]
pub(super) struct PacksVerified {
    packs: u64,
    chunks_sound: u64,
    bytes_sound: u64,
    quarantined: u64,
    damaged: Vec<ChunkReport>,
    records_damaged: Vec<RecordReport>,
    damaged_items: Vec<ItemReport>,
    unnamed: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ChunkReport {
    path: PathBuf,
    offset: u64,
    bytes: u32,
    what: String,
}

#[derive(Serialize)]
struct RecordReport {
    path: PathBuf,
    offset: u64,
    what: String,
}

#[derive(Serialize)]
struct ItemReport {
    name: String,
    bytes: u64,
}

impl From<PacksReport> for PacksVerified {
    fn from(report: PacksReport) -> Self {
        let chunks = report.damaged.into_iter().map(|chunk| ChunkReport {
            path: chunk.path,
            offset: chunk.offset,
            bytes: chunk.bytes,
            what: chunk.what,
        });
        let records = report.records_damaged.into_iter();
        let records = records.map(|record| RecordReport {
            path: record.path,
            offset: record.offset,
            what: record.what,
        });
        let items = report.items.into_iter().map(|item| ItemReport {
            name: item.name.to_string(),
            bytes: item.bytes,
        });
        Self {
            packs: report.packs,
            chunks_sound: report.chunks_sound,
            bytes_sound: report.bytes_sound,
            quarantined: report.quarantined,
            damaged: chunks.collect(),
            records_damaged: records.collect(),
            damaged_items: items.collect(),
            unnamed: report.unnamed,
        }
    }
}

impl PacksVerified {
    /// Whether nothing was found that had not been found before.
    pub(super) fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.records_damaged.is_empty()
    }

    pub(super) fn print(&self) {
        println!(
            "{} chunks in {} packs, {}: sound; {} damaged; {} were found damaged before",
            self.chunks_sound,
            self.packs,
            megabytes(self.bytes_sound),
            self.damaged.len(),
            self.quarantined
        );
        for chunk in &self.damaged {
            println!(
                "a chunk of {} bytes: {} in {} at byte {}",
                chunk.bytes,
                chunk.what,
                chunk.path.display(),
                chunk.offset
            );
        }
        for record in &self.records_damaged {
            println!(
                "{} in {} at byte {}; only a rebuilt index would need it",
                record.what,
                record.path.display(),
                record.offset
            );
        }
        for item in &self.damaged_items {
            println!(
                "{}: {} bytes are damaged; import the same file again to mend it",
                item.name, item.bytes
            );
        }
        for pack in &self.unnamed {
            println!(
                "{}: the index does not name it: an import writes it, or did when perch last ended; the next start \
                 removes it",
                pack.display()
            );
        }
    }
}
