//! An index as a year of four cameras leaves it: a segment in each 2 s, 63 million of them, without the reels. Rows go
//! in one after the other in the order in which a recorder writes them, for that decides how full pages become.
//! `cargo bench --bench store_year -- FOLDER [DAYS]` makes the data directory FOLDER and prints one line of JSON.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use perch::base::{CameraId, SystemClock, Wall};
use perch::media::{
    FrameRate, InitSegment, Part, RenditionId, Rung, Segment, TrackParameters, VideoParameters,
};
use perch::store::{Store, StoreOptions};
use rusqlite::{Connection, Transaction, params};

const CAMERAS: usize = 4;
const DAYS: u64 = 365;
const SEGMENT_MS: i64 = 2000;
const SEGMENTS_A_DAY: u64 = 43_200;
const SEGMENTS_A_REEL: u64 = 30;
const TICKS_A_SEGMENT: u64 = 180_000;
const HOUR_MS: i64 = 3_600_000;
/// The camera was away for three segments, twice a day.
const SEGMENTS_BETWEEN_GAPS: u64 = SEGMENTS_A_DAY / 2;
const SEGMENTS_IN_GAP: u64 = 3;
/// The disk was too slow for the first camera once an hour: for a picture of another rung and its sound in turn.
const SHED_A_DAY: u64 = 24;
/// `GapReason::CameraGone` and `GapReason::DiskSlow`, as the index spells them.
const CAMERA_GONE: i64 = 1;
const DISK_SLOW: i64 = 4;
/// What 4 Mb/s make in 2 s, give or take; a trailer lies behind each in the reel.
const SEGMENT_BYTES: u64 = 1_000_000;
const TRAILER_BYTES: u64 = 104;

/// One camera's recording as it grows.
struct Track {
    id: i64,
    camera: i64,
    reel: i64,
    reel_start_ms: i64,
    /// In the open reel.
    segments: u64,
    offset: u64,
    msn: u64,
    /// Of the span that goes on.
    span_msn: u64,
    span_start_ms: i64,
    bytes: u64,
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let dir = PathBuf::from(arguments.next().expect("a folder"));
    let days: u64 = arguments
        .next()
        .map_or(DAYS, |text| text.parse().expect("a count of days"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.expect("a clock that is set").as_millis() as i64;
    let start_ms = (now_ms / SEGMENT_MS - (days * SEGMENTS_A_DAY) as i64) * SEGMENT_MS;

    let begun = Instant::now();
    record_first_segments(&dir, Wall(start_ms));
    let (segments, reels) = fill(&dir, start_ms + SEGMENT_MS, days * SEGMENTS_A_DAY - 1);
    let index = std::fs::metadata(dir.join("db/index.db")).expect("the index");
    println!(
        "{}",
        serde_json::json!({
            "cameras": CAMERAS,
            "days": days,
            "segments": segments,
            "reels": reels,
            "index_bytes": index.len(),
            "index_bytes_per_segment": index.len() as f64 / segments as f64,
            "from_ms": start_ms,
            "to_ms": now_ms,
            "seconds": begun.elapsed().as_secs_f64(),
        })
    );
}

/// Lets the store itself make the tables and everything that is written once a camera.
fn record_first_segments(dir: &Path, wall_start: Wall) {
    let (store, _) = Store::open(dir, StoreOptions::default(), Arc::new(SystemClock))
        .expect("a folder that can be written");
    let init = Arc::new(InitSegment {
        parameters: TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x28]),
            width: 1920,
            height: 1080,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 4_000_000,
        }),
        bytes: Bytes::from(vec![0; 700]),
    });
    for camera in 0..CAMERAS {
        let segment = Segment {
            msn: 0,
            run: 0,
            wall_start,
            init: Arc::clone(&init),
            parts: vec![Part {
                msn: 0,
                index: 0,
                start_ticks: 0,
                duration_ticks: TICKS_A_SEGMENT as u32,
                independent: true,
                last: true,
                bytes: Bytes::from(vec![0x5A; 1000]),
            }],
        };
        let camera = CameraId::from_description(&format!("camera {camera}"));
        store.append(&camera, RenditionId::video(Rung::High), Arc::new(segment));
    }
    store.close();
}

/// Goes on where the first segments ended. Returns how many segments and reels there are.
fn fill(dir: &Path, start_ms: i64, steps: u64) -> (u64, u64) {
    let mut index =
        Connection::open(dir.join("db/index.db")).expect("the index that was just made");
    // The rig may lose what it writes; what it leaves is the same.
    index
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
        .expect("SQLite takes its settings");
    let tracks = "SELECT track.id, camera FROM track ORDER BY track.id";
    let mut tracks: Vec<Track> = index
        .prepare(tracks)
        .and_then(|mut found| {
            let rows = found.query_map((), |row| {
                Ok(Track {
                    id: row.get(0)?,
                    camera: row.get(1)?,
                    reel: 0,
                    reel_start_ms: start_ms,
                    segments: 0,
                    offset: 0,
                    msn: 1,
                    span_msn: 1,
                    span_start_ms: start_ms,
                    bytes: 0,
                })
            })?;
            rows.collect()
        })
        .expect("tracks");
    assert_eq!(tracks.len(), CAMERAS);
    let mut reels: i64 = index
        .query_row("SELECT max(id) FROM reel", (), |row| row.get(0))
        .expect("the first reels");

    let mut segments = CAMERAS as u64;
    let mut step = 0;
    while step < steps {
        // As the recorder's log is brought into the index from time to time.
        let transaction = index.transaction().expect("a transaction");
        let until = (step + SEGMENTS_A_DAY).min(steps);
        while step < until {
            let wall_ms = start_ms + step as i64 * SEGMENT_MS;
            let steps_between = SEGMENTS_A_DAY / SHED_A_DAY;
            if step.is_multiple_of(steps_between) {
                let shed = match (step / steps_between) % 2 {
                    0 => RenditionId::video(Rung::Medium),
                    _ => RenditionId::audio(Rung::Medium),
                };
                let (camera, to_ms) = (tracks[0].camera, wall_ms + SEGMENT_MS);
                add_gap(
                    &transaction,
                    camera,
                    Some(shed),
                    (wall_ms, to_ms),
                    DISK_SLOW,
                );
            }
            for (number, track) in tracks.iter_mut().enumerate() {
                let phase = (step + number as u64 * 1000) % SEGMENTS_BETWEEN_GAPS;
                if phase < SEGMENTS_IN_GAP {
                    if phase == 0 && step > 0 {
                        close_reel(&transaction, track);
                        end_span(&transaction, track, wall_ms);
                    }
                    track.span_start_ms = wall_ms + SEGMENT_MS;
                    track.span_msn = track.msn;
                    continue;
                }
                if track.segments == 0 {
                    reels += 1;
                    begin_reel(&transaction, track, reels, wall_ms);
                }
                add_segment(&transaction, track, wall_ms);
                segments += 1;
                if track.segments == SEGMENTS_A_REEL {
                    close_reel(&transaction, track);
                }
            }
            step += 1;
        }
        transaction.commit().expect("the day's rows");
    }
    let transaction = index.transaction().expect("a transaction");
    for track in &mut tracks {
        close_reel(&transaction, track);
        finish(&transaction, track, start_ms + steps as i64 * SEGMENT_MS);
    }
    // Rows alone: there are no reels to be signed or read again.
    let log = "UPDATE log SET first_reel = ?1 + 1, scrubbed_reel = ?1";
    insert(&transaction, log, [reels]);
    transaction.commit().expect("the last rows");
    index
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
        .expect("the log is brought in");
    (segments, reels as u64)
}

fn begin_reel(index: &Transaction<'_>, track: &mut Track, id: i64, wall_ms: i64) {
    (track.reel, track.reel_start_ms, track.offset) = (id, wall_ms, 1000);
    let reel = "INSERT INTO reel (id, track, run, day, first_msn, wall_ms, start_ticks) VALUES (?, ?, 0, ?, ?, ?, ?)";
    let values = params![
        id,
        track.id,
        Wall(wall_ms).date(),
        track.msn,
        wall_ms,
        track.msn * TICKS_A_SEGMENT
    ];
    insert(index, reel, values);
}

fn add_segment(index: &Transaction<'_>, track: &mut Track, wall_ms: i64) {
    // Encoders do not hit the rate to the byte.
    let bytes = SEGMENT_BYTES + track.msn * 7919 % 100_000;
    let values = params![
        track.reel * 256 + track.segments as i64,
        track.offset,
        bytes,
        wall_ms - track.reel_start_ms,
        track.segments * TICKS_A_SEGMENT,
        TICKS_A_SEGMENT
    ];
    insert(
        index,
        "INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)",
        values,
    );
    track.offset += bytes + TRAILER_BYTES;
    track.segments += 1;
    track.msn += 1;
}

fn close_reel(index: &Transaction<'_>, track: &mut Track) {
    if track.segments == 0 {
        return;
    }
    let media_ms = track.segments as i64 * SEGMENT_MS;
    let close = "UPDATE reel SET bytes = ?, end_ms = ?, media_ms = ? WHERE id = ?";
    insert(
        index,
        close,
        params![track.offset, media_ms, media_ms, track.reel],
    );
    for (table, bucket_ms) in [("hour", HOUR_MS), ("quarter", 6 * HOUR_MS)] {
        let sum = format!(
            "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET media_ms = media_ms + ?3, bytes = bytes + ?4"
        );
        let bucket = track.reel_start_ms / bucket_ms;
        insert(
            index,
            &sum,
            params![track.id, bucket, media_ms, track.offset],
        );
    }
    track.bytes += track.offset;
    track.segments = 0;
}

/// A span ends before a gap.
fn end_span(index: &Transaction<'_>, track: &Track, wall_ms: i64) {
    let last: i64 = index
        .query_row(
            "SELECT max(first_msn) FROM reel WHERE track = ?",
            [track.id],
            |row| row.get(0),
        )
        .expect("a reel");
    let span =
        "INSERT INTO span (track, first_msn, last_msn, from_ms, to_ms) VALUES (?, ?, ?, ?, ?)";
    insert(
        index,
        span,
        params![track.id, track.span_msn, last, track.span_start_ms, wall_ms],
    );
    let gap_end = wall_ms + SEGMENTS_IN_GAP as i64 * SEGMENT_MS;
    add_gap(index, track.camera, None, (wall_ms, gap_end), CAMERA_GONE);
}

fn add_gap(
    index: &Transaction<'_>,
    camera: i64,
    rendition: Option<RenditionId>,
    (from_ms, to_ms): (i64, i64),
    reason: i64,
) {
    let gap = "INSERT INTO gap (camera, rendition, from_ms, to_ms, reason) VALUES (?, ?, ?, ?, ?)";
    let rendition = rendition.map(RenditionId::name);
    insert(
        index,
        gap,
        params![camera, rendition, from_ms, to_ms, reason],
    );
}

/// The last span, a hundred clips over the year, and the camera's sum.
fn finish(index: &Transaction<'_>, track: &Track, end_ms: i64) {
    end_span(index, track, end_ms);
    let (first_ms, day_ms) = (end_ms - 364 * 24 * HOUR_MS, 24 * HOUR_MS);
    for clip in 0..100 {
        let from_ms = first_ms + clip * day_ms * 7 / 2;
        let row = "INSERT INTO clip (camera, name, from_ms, to_ms, made_ms) VALUES (?, 'visitor', ?, ?, ?)";
        insert(
            index,
            row,
            params![track.camera, from_ms, from_ms + 30_000, end_ms],
        );
    }
    let sum =
        "UPDATE camera SET reel_bytes = reel_bytes + ?, next_msn = max(next_msn, ?) WHERE id = ?";
    insert(index, sum, params![track.bytes, track.msn, track.camera]);
}

fn insert(index: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) {
    index
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}
