//! One ordinary MP4 file of a stretch of a recording, made while it is read: planned from the tables of the segments,
//! so that every byte has its place before the first is read, then read segment by segment. Holds the tables in
//! memory, about 50 MB for a day, and never the media. A whole stretch carries the proof that the box recorded it.

mod error;
mod evidence;
mod fragments;
mod keyframes;
mod plan;
mod read;

use std::sync::Arc;

use bytes::Bytes;

pub use self::error::ClipFileError;
pub use self::read::ClipFileReader;

use super::proof::ProveError;
use super::reader::Reader;
use crate::base::{CameraId, DigestKind, Wall};
use crate::cmaf::MovieHead;
use crate::media::{RenditionId, ticks_to_seconds};

/// The longest stretch that a time-lapse is made of, in milliseconds.
const TIMELAPSE_SPAN_MS_MAX: i64 = 31 * 24 * 3_600_000;
/// Less than this between two stretches is no gap to speak of, in milliseconds.
const GAP_MS_MIN: i64 = 50;

/// What a file is to hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClipFileWish {
    /// Whose recording.
    pub camera: CameraId,
    /// Which pictures; without it the best that are recorded for as long as any.
    pub rendition: Option<RenditionId>,
    /// Civil time of the first picture.
    pub from: Wall,
    /// Civil time before which the last picture starts.
    pub to: Wall,
    /// How much of it.
    pub length: ClipLength,
}

/// How much of a stretch a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClipLength {
    /// Every picture, with its sound, as it was recorded; at most a day.
    Whole,
    /// Keyframes alone, evenly chosen; of at most 31 days.
    Timelapse(Timelapse),
}

/// How fast a time-lapse is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timelapse {
    /// So many times as fast as what is recorded; at least 1.
    Speed(u32),
    /// So many milliseconds long; at least 1.
    LengthMs(u32),
}

/// A piece of the file's media: all of a segment, or a keyframe within it.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it begins in the media.
    start: u64,
    is_sound: bool,
    msn: u64,
    /// Where it begins in its segment; a whole segment is compared with its digest.
    within: Option<u64>,
    bytes: u32,
}

/// A file that can be read.
#[derive(Debug)]
pub struct ClipFile {
    reader: Arc<Reader>,
    camera: CameraId,
    /// Which pictures it shows.
    pub rendition: RenditionId,
    /// Whose segments are the sound's.
    sound: Option<RenditionId>,
    /// Civil time of the first picture.
    pub from: Wall,
    /// Civil time at which the last picture ends, or that was asked for, if that is earlier.
    pub to: Wall,
    /// What of the time asked for is not recorded; the file goes on without a break. Empty for a time-lapse.
    pub missing: Vec<(Wall, Wall)>,
    head: MovieHead,
    pieces: Vec<Piece>,
    tail: Bytes,
    /// Why it carries no proof.
    unproven: Option<ProveError>,
}

impl ClipFile {
    /// Plans a file. Reads the index and the tables of the segments. Where the log is not signed yet as far as the
    /// file's proof needs it, `sign` is told up to which leaf, and may have it signed.
    pub(super) fn plan(
        reader: &Arc<Reader>,
        wish: &ClipFileWish,
        sign: &dyn Fn(u64),
    ) -> Result<Self, ClipFileError> {
        match wish.length {
            ClipLength::Whole => plan::plan_clip(reader, wish, sign),
            ClipLength::Timelapse(fast) => keyframes::plan_timelapse(reader, wish, fast),
        }
    }

    /// The segments that the media consists of, in their order, none of a time-lapse.
    pub fn segments(&self) -> impl Iterator<Item = (RenditionId, u64)> {
        let whole = self.pieces.iter().filter(|piece| piece.within.is_none());
        whole.map(|piece| (self.rendition_of(piece), piece.msn))
    }

    /// Why it carries no proof that the box recorded this; `None` if it does.
    pub fn unproven(&self) -> Option<&ProveError> {
        self.unproven.as_ref()
    }

    /// Adds whole boxes behind the media, such as the proof of where it comes from.
    pub fn append_boxes(&mut self, boxes: &[u8]) {
        self.tail = [&self.tail[..], boxes].concat().into();
    }

    /// Its sound, if there is any.
    pub fn sound(&self) -> Option<RenditionId> {
        self.sound.filter(|_| self.head.sound)
    }

    /// Size of the file.
    pub fn bytes_count(&self) -> u64 {
        self.media_start() + self.head.media_bytes + self.tail.len() as u64
    }

    /// Bytes that it takes in memory while it is not read, about.
    pub fn bytes_held(&self) -> usize {
        self.head.bytes.len() + self.tail.len() + size_of_val(&*self.pieces)
    }

    /// How long it plays, in seconds.
    pub fn duration_s(&self) -> f64 {
        ticks_to_seconds(self.head.duration_ticks, 90_000)
    }

    /// How many pictures it shows.
    pub fn pictures(&self) -> u64 {
        self.head.pictures
    }

    /// The same for the same bytes, and for no others: 32 letters.
    pub fn tag(&self) -> String {
        let mut segments = Vec::with_capacity(self.pieces.len() * 9);
        for piece in &self.pieces {
            segments.push(u8::from(piece.is_sound));
            segments.extend(piece.msn.to_be_bytes());
        }
        let names = format!("{} {} {:?}", self.camera, self.rendition, self.sound);
        let digest = DigestKind::Blake2b512.digest_pieces([
            names.as_bytes(),
            &segments,
            &self.head.bytes,
            &self.tail,
        ]);
        let hex = digest.as_bytes()[..16].iter();
        hex.map(|byte| format!("{byte:02x}")).collect()
    }

    /// A name that sorts by camera and time and says when, by this machine's local time: `front_2026-11-21_09-30-00.mp4`.
    pub fn name(&self) -> String {
        format!("{}_{}.mp4", self.camera, self.from.local_name())
    }

    fn media_start(&self) -> u64 {
        self.head.bytes.len() as u64
    }

    fn rendition_of(&self, piece: &Piece) -> RenditionId {
        match self.sound {
            Some(sound) if piece.is_sound => sound,
            _ => self.rendition,
        }
    }
}

/// The best of the given pictures that are recorded for about as long as any of them. `None` of none.
fn best(recorded: impl IntoIterator<Item = (RenditionId, u64)>) -> Option<RenditionId> {
    let mut recorded: Vec<_> = recorded
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    let most = recorded.iter().map(|(_, count)| *count).max()?;
    // The newest segments of the renditions do not come at the same moment.
    recorded.retain(|(_, count)| count + 2 >= most);
    recorded.into_iter().map(|(id, _)| id).max()
}
