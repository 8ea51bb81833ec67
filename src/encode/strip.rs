//! Recorded keyframes side by side in one JPEG: what a line of time shows, for one request instead of many. Pictures that
//! are decoded alike go through one pipeline, so that a strip takes little longer than a still.

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::options::EncodeError;
use super::still::{decode, jpeg};
use crate::media::VideoParameters;

/// What a place without a picture is filled with: luminance and colour differences of a dark grey.
const EMPTY: [u8; 3] = [32, 128, 128];

/// Puts pictures side by side, each `tile_width` pixels wide, as high as the first one's aspect says; `None` leaves its
/// place grey, and so does a picture that cannot be decoded. `tile_width` is a multiple of 16. Blocks for some 30 ms and
/// some 5 ms a picture, and asks between pictures whether anybody still waits. Fails with `Still` if there is no picture,
/// and with `Unwanted` once `is_wanted` says no.
pub fn recorded_strip(
    tiles: &[Option<(VideoParameters, Bytes)>],
    tile_width: u32,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Bytes, EncodeError> {
    let failed = |reason: &str| EncodeError::Still(reason.to_owned());
    let (first, _) = tiles
        .iter()
        .flatten()
        .next()
        .ok_or_else(|| failed("there is no picture"))?;
    let height = u64::from(tile_width) * u64::from(first.height) / u64::from(first.width.max(1));
    let tile_height = (height.clamp(2, u64::from(tile_width) * 4) as u32) & !1;
    let width = tile_width * tiles.len() as u32;
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, tile_height)
        .build()
        .map_err(|_| failed("the strip is too large"))?;
    let mut canvas = vec![0; info.size()];
    for (plane, value) in EMPTY.into_iter().enumerate() {
        let start = info.offset()[plane];
        let end = info.offset().get(plane + 1).copied().unwrap_or(info.size());
        canvas[start..end].fill(value);
    }
    let mut shown = 0;
    let mut place = 0;
    for group in tiles.chunk_by(alike) {
        if !is_wanted() {
            return Err(EncodeError::Unwanted);
        }
        let keyframes: Vec<_> = group
            .iter()
            .flatten()
            .map(|(_, unit)| unit.clone())
            .collect();
        if let Some((video, _)) = group.iter().flatten().next() {
            let size = Some((tile_width, tile_height));
            for (index, sample) in decode(video, &keyframes, size, is_wanted)? {
                copy(&sample, &info, &mut canvas, place + index, tile_width);
                shown += 1;
            }
        }
        place += group.len();
    }
    if shown == 0 {
        return Err(failed("no picture can be decoded"));
    }
    let caps = info
        .to_caps()
        .map_err(|_| failed("the strip has no caps"))?;
    let sample = gst::Sample::builder()
        .buffer(&gst::Buffer::from_slice(canvas))
        .caps(&caps)
        .build();
    jpeg(&sample, width)
}

/// Whether two places are decoded together: both empty, or both with one set of parameters.
fn alike(one: &Option<(VideoParameters, Bytes)>, other: &Option<(VideoParameters, Bytes)>) -> bool {
    match (one, other) {
        (Some((one, _)), Some((other, _))) => {
            (&one.avcc, one.width, one.height) == (&other.avcc, other.width, other.height)
        }
        (None, None) => true,
        _ => false,
    }
}

/// Copies a picture of the tile's size to its place. One of another size stays out.
fn copy(
    sample: &gst::Sample,
    canvas_info: &gst_video::VideoInfo,
    canvas: &mut [u8],
    place: usize,
    tile_width: u32,
) {
    let info = sample
        .caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok());
    let (Some(info), Some(buffer)) = (info, sample.buffer()) else {
        return;
    };
    let fits = (info.width(), info.height()) == (tile_width, canvas_info.height())
        && info.format() == gst_video::VideoFormat::I420;
    let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info) else {
        return;
    };
    if !fits {
        return;
    }
    for plane in 0..3 {
        let shrink = if plane == 0 { 1 } else { 2 };
        let (columns, rows) = (
            tile_width as usize / shrink,
            info.height() as usize / shrink,
        );
        let from_stride = frame.plane_stride()[plane as usize] as usize;
        let to_stride = canvas_info.stride()[plane as usize] as usize;
        let Ok(bytes) = frame.plane_data(plane) else {
            return;
        };
        let start = canvas_info.offset()[plane as usize] + place * columns;
        for row in 0..rows {
            let from = row * from_stride;
            let to = start + row * to_stride;
            if let (Some(from), Some(to)) = (
                bytes.get(from..from + columns),
                canvas.get_mut(to..to + columns),
            ) {
                to.copy_from_slice(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::encode::ladder_tests::{Run, rungs, units};
    use crate::media::{RenditionId, StreamEvent, TrackParameters};

    /// The keyframes of six seconds of the lowest rung, at 0, 2 and 4 s.
    fn tiles() -> Vec<Option<(VideoParameters, Bytes)>> {
        let run = Run::start(None);
        run.push(0..125);
        let events = run.stop();
        let id = RenditionId::video(rungs()[0].rung);
        let video = events.iter().find_map(|event| match event {
            StreamEvent::TrackStarted {
                rendition,
                parameters: TrackParameters::Video(video),
            } if *rendition == id => Some(video.clone()),
            _ => None,
        });
        let video = video.expect("it has begun");
        let units = units(&events, id).into_iter();
        let keyframes = units.filter(|unit| unit.keyframe);
        keyframes
            .map(|unit| Some((video.clone(), unit.data)))
            .collect()
    }

    #[test]
    fn a_strip_that_nobody_waits_for_ends_at_its_next_picture() {
        let tiles = tiles();
        assert_eq!(tiles.len(), 3);
        let strip = recorded_strip(&tiles, 160, &|| true).expect("a strip");
        assert!(strip.starts_with(&[0xFF, 0xD8]));
        let asked = Cell::new(0);
        for patience in 0..3 {
            asked.set(0);
            let is_wanted = || {
                asked.set(asked.get() + 1);
                asked.get() <= patience
            };
            let ended = recorded_strip(&tiles, 160, &is_wanted);
            assert!(matches!(ended, Err(EncodeError::Unwanted)), "{ended:?}");
            assert_eq!(asked.get(), patience + 1);
        }
    }
}
