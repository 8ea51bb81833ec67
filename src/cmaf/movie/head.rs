//! What stands before the media of an ordinary MP4 file: `ftyp`, `moov` and the header of `mdat`
//! (ISO/IEC 14496-12 §8). The tables come first, so that the file plays while it arrives.

use bytes::Bytes;

use super::boxes::{count, full_box, plain_box, sized, u16, u32, u64, version_for};
use super::entry::SampleEntry;
use super::samples::{OffsetFields, SampleTable};
use crate::base::Wall;
use crate::media::{TrackKind, TrackParameters};

/// Ticks a second of the movie's own times: pictures' ticks, so that edits fall on pictures.
pub(super) const MOVIE_TIMESCALE: u32 = TrackParameters::VIDEO_TIMESCALE;

/// Seconds from 1904, where the format counts from, to 1970.
const SECONDS_1904_TO_1970: i64 = 2_082_844_800;
/// The identity as 16.16 and 2.30 fixed point (§8.2.2).
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// 16.16 fixed point.
const ONE: u32 = 0x1_0000;
/// `track_enabled`, `track_in_movie`.
const TRACK_FLAGS: u32 = 3;

/// What of a track is shown (§8.6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Nothing for this long first, in ticks of the movie.
    pub(super) empty: u64,
    /// Then from here, in ticks of the track since its first sample.
    pub(super) media_time: u64,
    /// For this long, in ticks of the movie.
    pub(super) duration: u64,
}

impl Edit {
    fn end(&self) -> u64 {
        self.empty + self.duration
    }
}

/// A track that is complete.
#[derive(Debug)]
pub(super) struct Track {
    /// At least one; all of one kind and timescale.
    pub(super) entries: Vec<SampleEntry>,
    /// Not empty.
    pub(super) samples: SampleTable,
    pub(super) edit: Edit,
}

/// Lays everything before the media out. `created` is when the first picture was recorded, `media_bytes` how much
/// media follows. Times beyond the format's are cut to them.
pub(super) fn write_head(created: Wall, tracks: Vec<Track>, media_bytes: u64) -> Bytes {
    let created_s = created.0.div_euclid(1000) + SECONDS_1904_TO_1970;
    let created_s = u64::try_from(created_s).unwrap_or(0);
    let samples: usize = tracks.iter().map(|track| track.samples.count()).sum();
    // More than the tables ever take; one byte too careful costs four bytes a chunk.
    let head_bytes_max = (1 << 16) + samples as u64 * 64;
    let wide = media_bytes + head_bytes_max > u64::from(u32::MAX);

    let mut out = Vec::with_capacity(1024 + samples * 5);
    plain_box(&mut out, b"ftyp", |out| {
        out.extend_from_slice(b"isom");
        u32(out, 0x200);
        for brand in [b"isom", b"iso2", b"avc1", b"mp41"] {
            out.extend_from_slice(brand);
        }
    });
    let mut offsets: Vec<OffsetFields> = Vec::new();
    plain_box(&mut out, b"moov", |out| {
        write_movie_header(out, created_s, &tracks);
        for (track, number) in tracks.into_iter().zip(1..) {
            offsets.push(write_track(out, created_s, number, track, wide));
        }
    });
    if media_bytes + 8 > u64::from(u32::MAX) {
        u32(&mut out, 1);
        out.extend_from_slice(b"mdat");
        u64(&mut out, media_bytes + 16);
    } else {
        u32(&mut out, media_bytes as u32 + 8);
        out.extend_from_slice(b"mdat");
    }
    let media_start = out.len() as u64;
    for fields in offsets {
        fields.raise(&mut out, media_start);
    }
    Bytes::from(out)
}

/// The moment that a header tells in seconds since 1904; `None` beyond all times.
pub(super) fn wall_of_seconds(seconds: u64) -> Option<Wall> {
    let since_1970 = i64::try_from(seconds).ok()? - SECONDS_1904_TO_1970;
    since_1970.checked_mul(1000).map(Wall)
}

fn write_movie_header(out: &mut Vec<u8>, created_s: u64, tracks: &[Track]) {
    let duration = tracks.iter().map(|track| track.edit.end()).max();
    let duration = duration.unwrap_or(0);
    let version = version_for(duration.max(created_s));
    full_box(out, b"mvhd", version, 0, |out| {
        sized(out, version, created_s);
        sized(out, version, created_s);
        u32(out, MOVIE_TIMESCALE);
        sized(out, version, duration);
        u32(out, ONE);
        u16(out, 0x100);
        out.extend_from_slice(&[0; 10]);
        MATRIX.iter().for_each(|value| u32(out, *value));
        out.extend_from_slice(&[0; 24]);
        count(out, tracks.len() + 1);
    });
}

fn write_track(
    out: &mut Vec<u8>,
    created_s: u64,
    number: u32,
    track: Track,
    wide: bool,
) -> OffsetFields {
    let Track {
        entries,
        samples,
        edit,
    } = track;
    let first = &entries[0];
    let timescale = first.timescale();
    let is_video = first.kind() == TrackKind::Video;
    let (width, height) = first.picture_size().unwrap_or((0, 0));
    let media_duration = samples.end() - samples.start();
    let mut offsets = None;
    plain_box(out, b"trak", |out| {
        let version = version_for(edit.end().max(created_s));
        full_box(out, b"tkhd", version, TRACK_FLAGS, |out| {
            sized(out, version, created_s);
            sized(out, version, created_s);
            u32(out, number);
            u32(out, 0);
            sized(out, version, edit.end());
            out.extend_from_slice(&[0; 8]);
            u16(out, 0);
            u16(out, 0);
            u16(out, if is_video { 0 } else { 0x100 });
            u16(out, 0);
            MATRIX.iter().for_each(|value| u32(out, *value));
            u32(out, width << 16);
            u32(out, height << 16);
        });
        write_edits(out, edit);
        plain_box(out, b"mdia", |out| {
            let version = version_for(media_duration.max(created_s));
            full_box(out, b"mdhd", version, 0, |out| {
                sized(out, version, created_s);
                sized(out, version, created_s);
                u32(out, timescale);
                sized(out, version, media_duration);
                // `und`, five bits a letter.
                u16(out, 0x55C4);
                u16(out, 0);
            });
            full_box(out, b"hdlr", 0, 0, |out| {
                u32(out, 0);
                out.extend_from_slice(if is_video { b"vide" } else { b"soun" });
                out.extend_from_slice(&[0; 12]);
                out.extend_from_slice(if is_video { b"picture\0" } else { b"sound\0" });
            });
            plain_box(out, b"minf", |out| {
                if is_video {
                    full_box(out, b"vmhd", 0, 1, |out| out.extend_from_slice(&[0; 8]));
                } else {
                    full_box(out, b"smhd", 0, 0, |out| out.extend_from_slice(&[0; 4]));
                }
                plain_box(out, b"dinf", |out| {
                    full_box(out, b"dref", 0, 0, |out| {
                        count(out, 1);
                        full_box(out, b"url ", 0, 1, |_| ());
                    });
                });
                offsets = Some(samples.write(out, &entries, !is_video, wide));
            });
        });
    });
    offsets.expect("the tables were written above")
}

fn write_edits(out: &mut Vec<u8>, edit: Edit) {
    let largest = edit.media_time.max(edit.duration).max(edit.empty);
    // A media time is signed: −1 is an empty edit.
    let version = u8::from(largest > i32::MAX as u64);
    plain_box(out, b"edts", |out| {
        full_box(out, b"elst", version, 0, |out| {
            count(out, if edit.empty > 0 { 2 } else { 1 });
            if edit.empty > 0 {
                sized(out, version, edit.empty);
                let nothing: &[u8] = if version == 1 { &[0xFF; 8] } else { &[0xFF; 4] };
                out.extend_from_slice(nothing);
                u32(out, ONE);
            }
            sized(out, version, edit.duration);
            sized(out, version, edit.media_time);
            u32(out, ONE);
        });
    });
}
