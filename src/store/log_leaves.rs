//! The leaves of the log of segments as the reels tell them: in the trailer behind each segment.

use std::path::Path;

use rusqlite::{Connection, params};

use super::archive::OpenReel;
use super::parameters::decode_parameters;
use super::recorder::reel_path;
use super::reel::read_trailer;
use super::reel_writer::Place;
use super::rows::REEL_SEGMENTS_MAX;
use super::segment_log::leaf_of;
use crate::base::CameraId;
use crate::media::RenditionId;
use crate::seal::Leaf;

pub(super) type TrackKey = (CameraId, RenditionId);

/// Of the reels of each track the first, with 0 for its value.
const OLDEST_REELS: &str = "reel.id IN (SELECT (SELECT id FROM reel WHERE track = track.id
    ORDER BY first_msn LIMIT 1) FROM track) AND ?1 = 0";

/// What reels say of the log.
#[derive(Default)]
pub(super) struct ReadLeaves {
    /// Track, index, leaf.
    pub(super) leaves: Vec<(TrackKey, u64, Leaf)>,
    /// Trailers that could be read, also those of earlier leaves, or of segments that were recorded before there was a
    /// log.
    pub(super) trailers: u64,
}

/// The leaves from `first_leaf` on of the reels of which a condition on their rows and a value holds, as far as their
/// trailers can be read; those of a track in their order.
pub(super) fn leaves_of_reels(
    dir: &Path,
    open: OpenReel<'_>,
    connection: &Connection,
    (condition, value): (&str, i64),
    first_leaf: u64,
) -> rusqlite::Result<ReadLeaves> {
    let mut reels = connection.prepare(&format!(
        "SELECT reel.id, camera.name, track.rendition, reel.day, run.parameters
         FROM reel JOIN track ON track.id = reel.track JOIN camera ON camera.id = track.camera
         JOIN run ON run.track = reel.track AND run.run = reel.run
         WHERE {condition} ORDER BY reel.id"
    ))?;
    let mut places = connection
        .prepare(
            "SELECT offset, bytes, id FROM segment WHERE id >= ?1 AND id < ?2
             UNION ALL SELECT offset, bytes, id FROM damaged WHERE id >= ?1 AND id < ?2 ORDER BY id",
        )?;
    let mut rows = reels.query([value])?;
    let mut read = ReadLeaves::default();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (camera, rendition): (String, String) = (row.get(1)?, row.get(2)?);
        let (day, parameters): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
        let (Ok(camera), Ok(rendition), Some(parameters)) = (
            camera.parse::<CameraId>(),
            rendition.parse::<RenditionId>(),
            decode_parameters(&parameters),
        ) else {
            continue;
        };
        let path = reel_path(dir, &camera, &day, id);
        let Ok(opened) = open(&path) else {
            continue;
        };
        let first_key = id * REEL_SEGMENTS_MAX as i64;
        let places = places.query_map(
            params![first_key, first_key + REEL_SEGMENTS_MAX as i64],
            |row| {
                // A damaged row may say anything; what is impossible is not found in the file.
                Ok(Place {
                    offset: row.get::<_, i64>(0)? as u64,
                    bytes: row.get::<_, i64>(1)? as u64,
                })
            },
        )?;
        for place in places {
            let Some((trailer, _)) = read_trailer(&*opened.file, place?, opened.bytes) else {
                continue;
            };
            read.trailers += 1;
            let leaf = leaf_of(&camera, rendition, parameters.timescale(), &trailer);
            if let Some((index, leaf)) = leaf.filter(|(index, _)| *index >= first_leaf) {
                let track = (camera.clone(), rendition);
                read.leaves.push((track, index, leaf));
            }
        }
    }
    Ok(read)
}

/// The first leaf of what is recorded, as far as it can be read. `None` if nothing is.
pub(super) fn oldest_leaf(
    dir: &Path,
    open: OpenReel<'_>,
    connection: &Connection,
) -> rusqlite::Result<Option<u64>> {
    let read = leaves_of_reels(dir, open, connection, (OLDEST_REELS, 0), 0)?;
    Ok(read.leaves.iter().map(|(_, index, _)| *index).min())
}
