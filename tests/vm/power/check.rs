//! Looks at a data directory after a power cut, inside the machine: what the store's recovery says, what is recorded
//! then, whether every byte of it is what it was, whether index and files agree, and whether recording goes on.
//! Tells all of it as one line of JSON; the judge outside knows what it should be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use perch::base::{CameraId, SystemClock};
use perch::media::RenditionId;
use perch::store::{Appended, RecoveryReport, Store, StoreOptions};
use serde_json::{Value, json};

use super::drive::{FOREVER, options};
use super::items::look_at_items;
use super::made::{segment, segment_bytes, track_name, tracks};
use super::tracks::Tracks;
use perch::base::Wall;

/// Whose directory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Made segments: every byte is known.
    Driver,
    /// The appliance itself: digests tell.
    Perch,
}

/// Checks a directory and writes into it.
pub(crate) fn check(dir: &Path, who: Who) -> Value {
    match check_or_fail(dir, who) {
        Ok(found) => found,
        Err(error) => json!({"error": error}),
    }
}

fn check_or_fail(dir: &Path, who: Who) -> Result<Value, String> {
    let mut wrong = Vec::new();
    let before = reel_files(dir)?;
    let (store, report) = open(dir, who)?;
    let after = reel_files(dir)?;
    let (bytes_before, bytes_after): (u64, u64) = (before.values().sum(), after.values().sum());
    let bytes_told: u64 = report.discarded.iter().map(|tail| tail.bytes).sum();
    if bytes_before - bytes_after != bytes_told {
        let gone = bytes_before - bytes_after;
        wrong.push(format!(
            "{gone} bytes of reels are gone, {bytes_told} were told"
        ));
    }
    let cameras = folders(&dir.join("reel"));
    let mut recorded = Tracks::default();
    for camera in &cameras {
        look_at(&store, camera, who, &mut recorded, &mut wrong)?;
    }
    let mut items = Tracks::default();
    if who == Who::Driver {
        items = look_at_items(&store, &mut wrong)?;
        go_on(&store, &mut wrong);
    }
    drop(store);

    check_index(dir, &mut wrong)?;
    let (_store, again) = open(dir, who)?;
    if !again.is_clean() {
        wrong.push(format!("opened once more: {again}"));
    }
    Ok(json!({
        "recorded": recorded.to_json(),
        "items": items.to_json(),
        "discarded": discarded(&report),
        "lost": report.lost.iter().map(|lost| {
            format!("{} {}", track_name(&lost.camera, lost.rendition), lost.msn)
        }).collect::<Vec<_>>(),
        "unreadable": report.unreadable.len(),
        "bytes_cut": bytes_told,
        "report": report.to_string(),
        "wrong": wrong,
    }))
}

fn open(dir: &Path, who: Who) -> Result<(Store, RecoveryReport), String> {
    let options = match who {
        Who::Driver => options(),
        // The lock goes with what a close waits for, and machines that are emulated take their time.
        Who::Perch => StoreOptions {
            close_timeout: options().close_timeout,
            ..StoreOptions::default()
        },
    };
    Store::open(dir, options, Arc::new(SystemClock)).map_err(|error| error.to_string())
}

/// The whole segments that recovery found and cut off.
fn discarded(report: &RecoveryReport) -> Value {
    let mut segments = Tracks::default();
    let tails = report.discarded.iter();
    let mut all: Vec<_> = tails.flat_map(|tail| &tail.segments).collect();
    all.sort_by_key(|segment| segment.msn);
    for segment in all {
        segments.add(&track_name(&segment.camera, segment.rendition), segment.msn);
    }
    segments.to_json()
}

/// Every segment of a camera, read and compared.
fn look_at(
    store: &Store,
    camera: &CameraId,
    who: Who,
    recorded: &mut Tracks,
    wrong: &mut Vec<String>,
) -> Result<(), String> {
    let recording = store
        .recording(camera, Wall(0), FOREVER)
        .map_err(|error| error.to_string())?;
    let mut last = None;
    for rendition in &recording.renditions {
        let name = track_name(camera, rendition.id);
        for entry in &rendition.segments {
            let place = format!("{name} {}", entry.msn);
            match store.load_segment(camera, rendition.id, entry.msn) {
                Ok(Some(bytes)) if who == Who::Perch => {
                    if bytes.len() as u64 != entry.bytes {
                        wrong.push(format!("{place}: {} bytes", bytes.len()));
                    }
                }
                Ok(Some(bytes)) => {
                    let made = segment_bytes(camera, rendition.id, entry.run, entry.msn);
                    if bytes != made {
                        wrong.push(format!("{place}: not what was made"));
                    }
                }
                Ok(None) => wrong.push(format!("{place}: listed and not there")),
                Err(error) => wrong.push(format!("{place}: {error}")),
            }
            recorded.add(&name, entry.msn);
            last = last.max(Some(entry.msn));
        }
        let runs = rendition.segments.iter().map(|entry| entry.run);
        for run in runs.collect::<std::collections::BTreeSet<_>>() {
            if !matches!(store.load_init(camera, rendition.id, run), Ok(Some(_))) {
                wrong.push(format!("{name}: run {run} has no header"));
            }
        }
    }
    let position = store.camera_position(camera);
    if last.is_some_and(|last| position.next_msn <= last) {
        wrong.push(format!("{camera}: numbers would repeat: {position:?}"));
    }
    Ok(())
}

/// Records one more segment of each track.
fn go_on(store: &Store, wrong: &mut Vec<String>) {
    let mut positions = BTreeMap::new();
    for (camera, rendition) in tracks() {
        let position = *positions
            .entry(camera.clone())
            .or_insert_with(|| store.camera_position(&camera));
        let segment = segment(&camera, rendition, position.next_run, position.next_msn);
        if store.append(&camera, rendition, segment) != Appended::Queued {
            wrong.push(format!("{camera}: nothing is taken any more"));
        }
    }
    store.flush();
    for (camera, rendition) in tracks() {
        if !is_there(store, &camera, rendition, positions[&camera].next_msn) {
            let (name, status) = (track_name(&camera, rendition), store.status());
            wrong.push(format!("{name}: recording does not go on: {status:?}"));
        }
    }
}

fn is_there(store: &Store, camera: &CameraId, rendition: RenditionId, msn: u64) -> bool {
    matches!(store.load_segment(camera, rendition, msn), Ok(Some(_)))
}

/// The index is sound, and names each reel with its size, and nothing else lies there.
fn check_index(dir: &Path, wrong: &mut Vec<String>) -> Result<(), String> {
    let sqlite = |error: rusqlite::Error| format!("index: {error}");
    let connection = rusqlite::Connection::open(dir.join("db/index.db")).map_err(sqlite)?;
    let sound: String = connection
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .map_err(sqlite)?;
    if sound != "ok" {
        wrong.push(format!("index: {sound}"));
    }
    let mut statement = connection
        .prepare("SELECT printf('%010d.reel', id), bytes FROM reel")
        .map_err(sqlite)?;
    let named: BTreeMap<String, Option<u64>> = statement
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .map_err(sqlite)?;
    let files = reel_files(dir)?;
    for (file, bytes) in &files {
        let said = named.get(file).copied().flatten();
        if said != Some(*bytes) {
            wrong.push(format!("{file}: {bytes} bytes, {said:?} by the index"));
        }
    }
    for name in named.keys().filter(|name| !files.contains_key(*name)) {
        wrong.push(format!("{name}: in the index, and not there"));
    }
    Ok(())
}

/// The cameras that have a folder.
fn folders(above: &Path) -> Vec<CameraId> {
    let entries = std::fs::read_dir(above).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut cameras: Vec<CameraId> = names.filter_map(|name| name.parse().ok()).collect();
    cameras.sort();
    cameras
}

/// Names and sizes of all reels; names are numbers that no two have.
fn reel_files(dir: &Path) -> Result<BTreeMap<String, u64>, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.join("reel")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let io = |error: std::io::Error| format!("{}: {error}", folder.display());
            let entry = entry.map_err(io)?;
            let metadata = entry.metadata().map_err(io)?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                let name = entry.file_name().to_string_lossy().into_owned();
                found.insert(name, metadata.len());
            }
        }
    }
    Ok(found)
}
