//! Recordings over HLS and DASH: any range of civil time as an ordinary playlist over the bytes that were live once.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;

use super::bounds::Bounds;
use super::extract::{Path, Query};
use super::media_response::{
    MediaFile, manifest as manifest_response, media, playlist as playlist_response,
};
use super::problem::Problem;
use super::router::Shared;
use crate::base::{CameraId, Wall};
use crate::cmaf::read_init;
use crate::media::{RenditionId, TrackKind, TrackParameters};
use crate::playlist::{
    AlignedSegment, ManifestTrack, OpenRendition, RecordedSegment, RecordedTrack, align_recording,
    render_multivariant, render_recording_manifest, render_recording_playlist,
};
use crate::store::{RANGE_MS_MAX, ReadError, RecordedRendition, SegmentEntry, Store};

/// Without `from` a recording shows this much before `to`, in milliseconds.
const SPAN_DEFAULT_MS: i64 = 3_600_000;

/// The range that a request means.
#[derive(Clone, Copy)]
struct Range {
    from: Wall,
    to: Wall,
}

impl Range {
    fn read(query: &Query, now: Wall) -> Result<Self, Problem> {
        let to = query.moment("to")?.unwrap_or(now);
        let from = query
            .moment("from")?
            .unwrap_or(to.plus_ms(-SPAN_DEFAULT_MS));
        if to <= from {
            return Err(Problem::bad_request(format!(
                "to: {to} is not after from: {from}"
            )));
        }
        if from > now {
            return Err(Problem::bad_request(format!(
                "from: {from} lies in the future"
            )));
        }
        // A day is 43,200 segments.
        if to - from > RANGE_MS_MAX {
            return Err(Problem::bad_request(
                "from, to: a range is at most 24 hours long",
            ));
        }
        Ok(Self { from, to })
    }

    /// What stands behind the addresses of the media playlists, so that they mean the same range.
    fn query(self) -> String {
        format!("?from={}&to={}", self.from, self.to)
    }
}

/// Runs a query of the index where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    appliance: Shared,
    read: impl FnOnce(&Store) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(move || read(appliance.store()))
        .await
        .map_err(|error| Problem::internal(&error))?
}

/// A rendition within a range, and what of it is listed.
struct Listed {
    id: RenditionId,
    parameters: TrackParameters,
    segments: Vec<AlignedSegment>,
}

/// What is listed of a range; a problem if that is nothing. Each playlist is made from all renditions, since they
/// have to agree.
fn listed(store: &Store, camera: &CameraId, range: Range) -> Result<Vec<Listed>, Problem> {
    let recording = store.recording(camera, range.from, range.to)?;
    let tracks: Vec<_> = recording.renditions.iter().map(track).collect();
    let aligned = align_recording(&tracks);
    let listed: Vec<_> = recording
        .renditions
        .into_iter()
        .zip(aligned)
        .filter(|(_, segments)| !segments.is_empty())
        .map(|(rendition, segments)| Listed {
            id: rendition.id,
            parameters: rendition.parameters,
            segments,
        })
        .collect();
    if listed.is_empty() {
        let Range { from, to } = range;
        return Err(Problem::not_found(format!(
            "nothing of {camera} is recorded from {from} to {to}"
        )));
    }
    Ok(listed)
}

fn track(rendition: &RecordedRendition) -> RecordedTrack {
    let segment = |entry: &SegmentEntry| RecordedSegment {
        msn: entry.msn,
        run: entry.run,
        wall_start: entry.wall_start,
        start_ticks: entry.start_ticks,
        duration_ticks: entry.duration_ticks,
        timescale: entry.timescale,
    };
    RecordedTrack {
        id: rendition.id,
        segments: rendition.segments.iter().map(segment).collect(),
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::RangeBackwards | ReadError::RangeTooLong(_) => {
                Self::bad_request(error.to_string())
            }
            // Players go on behind a segment that is not there. Where its file lies is for the log alone.
            ReadError::Damaged { .. } => {
                tracing::error!(%error, "a recorded segment cannot be played");
                Self::not_found("this segment is damaged on the disk; the server's log says where")
            }
            ReadError::ItemDamaged { .. } => Self::gone(error.to_string()),
            ReadError::Io { .. } | ReadError::Index(_) => Self::internal(&error),
        }
    }
}

/// `GET /recordings/{camera}/master.m3u8?from=&to=`
pub(super) async fn multivariant(
    State(appliance): State<Shared>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let camera = path.camera()?;
    let range = Range::read(&query, appliance.clock().wall())?;
    let text = blocking(appliance, move |store| {
        let renditions = listed(store, &camera, range)?
            .into_iter()
            .map(|track| OpenRendition {
                id: track.id,
                parameters: track.parameters,
                query: range.query(),
            });
        Ok(render_multivariant(&renditions.collect::<Vec<_>>()))
    })
    .await?;
    Ok(playlist_response(text))
}

/// `GET /recordings/{camera}/{rendition}/index.m3u8?from=&to=`
pub(super) async fn playlist(
    State(appliance): State<Shared>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let (camera, rendition) = (path.camera()?, path.rendition()?);
    let range = Range::read(&query, appliance.clock().wall())?;
    let text = blocking(appliance, move |store| {
        let found = listed(store, &camera, range)?;
        let track = found
            .into_iter()
            .find(|track| track.id == rendition)
            .ok_or_else(|| {
                Problem::not_found(format!(
                    "{rendition} of {camera} is not recorded in this range"
                ))
            })?;
        Ok(render_recording_playlist(&track.segments))
    })
    .await?;
    Ok(playlist_response(text))
}

/// `GET /recordings/{camera}/manifest.mpd?from=&to=`
pub(super) async fn manifest(
    State(appliance): State<Shared>,
    path: Path,
    query: Query,
) -> Result<Response, Problem> {
    let camera = path.camera()?;
    let range = Range::read(&query, appliance.clock().wall())?;
    let text = blocking(appliance, move |store| {
        let mut tracks = Vec::new();
        for track in listed(store, &camera, range)? {
            let mut runs: Vec<_> = track.segments.iter().map(|one| one.segment.run).collect();
            runs.dedup();
            let mut parameters = BTreeMap::new();
            for run in runs {
                // Deleted meanwhile, or none of ours: left out.
                let init = store.load_init(&camera, track.id, run)?;
                let header = init.and_then(|init| read_init(&init).ok());
                parameters.extend(header.map(|header| (run, header.parameters)));
            }
            tracks.push(ManifestTrack {
                id: track.id,
                parameters,
                segments: track.segments,
            });
        }
        Ok(render_recording_manifest(&tracks))
    })
    .await?;
    Ok(manifest_response(text))
}

/// `GET /recordings/{camera}/{rendition}/{file}`: headers and segments. Parts are only live.
pub(super) async fn file(
    State(appliance): State<Shared>,
    State(bounds): State<Bounds>,
    path: Path,
) -> Result<Response, Problem> {
    let (camera, rendition) = (path.camera()?, path.rendition()?);
    let name = MediaFile::parse(path.at(2))?;
    let bytes: Option<Bytes> = blocking(appliance, move |store| match name {
        MediaFile::Init(run) => Ok(store.load_init(&camera, rendition, run)?),
        MediaFile::Segment(msn) => {
            let admit = |bytes_count| bounds.recorded(bytes_count);
            let loaded = store.load_segment_admitted(&camera, rendition, msn, admit)?;
            Ok(loaded.map(|(bytes, room)| room.fill(bytes)))
        }
        MediaFile::Part(..) => Ok(None),
    })
    .await?;
    let bytes =
        bytes.ok_or_else(|| Problem::not_found("this is not recorded; reload the playlist"))?;
    Ok(media(vec![bytes], rendition.kind == TrackKind::Audio))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let damaged = ReadError::Damaged {
            path: "/data/reel".into(),
            offset: 0,
            what: "digest mismatch",
        };
        let refused = ReadError::Io {
            path: "/data/reel".into(),
            cause: std::io::ErrorKind::PermissionDenied.into(),
        };
        for (error, expected) in [
            (damaged, StatusCode::NOT_FOUND),
            (ReadError::RangeTooLong(9), StatusCode::BAD_REQUEST),
            (refused, StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let status = Problem::from(error).into_response().status();
            assert_eq!(status, expected);
        }
    }
}
