//! Whether what stands before a clip's media is what perch writes there: it is made again out of the segments that the
//! media consists of, and compared byte for byte. So no box, table, sample entry or list of edits gets by that perch does
//! not write, and pictures and sound play in full and at the pace at which they were recorded. Taken over as they are
//! found: when the clip was made, where it is cut within its first and last segment, and the parameter sets.
//! Returns an error, never panics, on any head; whoever drives it has shown that the segments are genuine.

use std::collections::BTreeMap;

use super::clip_writer::{ClipSegment, ClipWriteError, ClipWriter, Joint};
use super::difference::{Difference, difference};
use super::entry::SampleEntry;
use super::head::wall_of_seconds;
use crate::base::Wall;
use crate::cmaf::box_walk::{BoxWalk, find};
use crate::cmaf::sample_table::{TrackSamples, read_track};
use crate::cmaf::{ReadError, ReadFragment, ReadHeader};
use crate::media::TrackKind;

/// Pictures and sound of a number get one label. Of two that differ by more than this, in milliseconds, which is what
/// the labels of a reel may drift, one is of another time.
const LABELS_APART_MS_MAX: u64 = 10_000;

/// Why a head is not what perch writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Its tables cannot be read.
    #[error("the tables of the file are not as perch writes them: {0}")]
    Unreadable(#[from] ReadError),
    /// It has something else where perch writes one thing.
    #[error(transparent)]
    Differs(#[from] Difference),
    /// The tracks are not one of pictures, and one of sound behind it or none.
    #[error("track {number} of the file is of the kind `{kind}`, which perch does not write there")]
    OtherTrack {
        /// Which, from 1.
        number: usize,
        /// Its handler.
        kind: String,
    },
    /// Sound lies elsewhere than behind the pictures that were recorded with it.
    #[error("the sound of segment {0} does not stand behind its pictures")]
    SoundApart(u64),
    /// Sound was recorded at another time than the pictures before it.
    #[error("the sound of segment {0} was recorded at another time than its pictures")]
    SoundOfAnotherTime(u64),
    /// The file has sound, and no track for it.
    #[error("the sound that is in the file does not play")]
    NotHeard,
    /// Pictures are left out before this segment, which is not the last.
    #[error("pictures before segment {0} are left out")]
    LeftOutBefore(u64),
    /// The segments make no movie.
    #[error("the segments of the file make no movie: {0}")]
    NoMovie(#[from] ClipWriteError),
}

/// A genuine segment of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedSegment<'a> {
    /// Pictures or sound.
    pub kind: TrackKind,
    /// Run of the camera.
    pub run: u64,
    /// Media sequence number.
    pub msn: u64,
    /// Its label.
    pub wall_start: Wall,
    /// How long it lasts.
    pub duration_ms: u32,
    /// Its size in bytes.
    pub bytes_count: u64,
    /// Its fragments, each with where it begins in the segment, in bytes.
    pub fragments: &'a [(u64, ReadFragment)],
}

/// A head that is made again.
#[derive(Debug)]
pub struct HeadCheck<'a> {
    head: &'a [u8],
    created: Wall,
    pictures: FoundTrack,
    sound: Option<FoundTrack>,
    /// The first picture that the head says is shown, in ticks.
    cut: u64,
    writer: ClipWriter,
    /// Run, number and label of the pictures pushed last.
    last: Option<(u64, u64, Wall)>,
    /// Whether not all pictures pushed last are listed.
    is_cut_behind: bool,
    /// Where in the file the next segment begins.
    at: u64,
}

impl<'a> HeadCheck<'a> {
    /// Reads a head: `ftyp`, `moov`, and the header of `mdat`. Media begins where it ends.
    pub fn new(head: &'a [u8]) -> Result<Self, HeadFault> {
        let moov = find(head, b"moov")?;
        let mut tracks = Vec::new();
        for view in BoxWalk::new(moov) {
            let view = view?;
            if &view.kind == b"trak" {
                tracks.push(FoundTrack::read(view.body, tracks.len() + 1)?);
            }
        }
        let mut tracks = tracks.into_iter();
        let pictures = tracks.next().ok_or(ReadError::MissingBox("trak"))?;
        Ok(Self {
            head,
            created: created(moov)?,
            cut: pictures.cut,
            pictures,
            sound: tracks.next(),
            writer: ClipWriter::default(),
            last: None,
            is_cut_behind: false,
            at: head.len() as u64,
        })
    }

    /// Where in the file the tracks take their samples from, as offset and count.
    pub fn ranges(&self) -> Vec<Vec<(u64, u64)>> {
        let tracks = [&self.pictures].into_iter().chain(&self.sound);
        tracks.map(|track| track.samples.ranges()).collect()
    }

    /// What fragments of the given kind are read with.
    pub fn fragment_header(&self, kind: TrackKind) -> ReadHeader {
        let track = match (kind, &self.sound) {
            (TrackKind::Audio, Some(sound)) => sound,
            _ => &self.pictures,
        };
        track.entries[0].fragment_header()
    }

    /// Takes the next segment of the media, in the order in which they lie.
    pub fn push(&mut self, segment: &RecordedSegment<'_>) -> Result<(), HeadFault> {
        let RecordedSegment {
            kind,
            run,
            msn,
            wall_start,
            duration_ms,
            bytes_count,
            fragments,
        } = *segment;
        let at = self.at;
        self.at = at.saturating_add(bytes_count);
        let place = at..self.at;
        let left = self.pictures.samples.count;
        let left = left.saturating_sub(self.writer.pictures_listed());
        let assumed;
        let entry = match (kind, &mut self.sound) {
            (TrackKind::Video, _) => self.pictures.entry_of(run, place),
            (TrackKind::Audio, Some(sound)) => sound.entry_of(run, place),
            (TrackKind::Audio, None) => {
                assumed = SampleEntry::assumed_sound(ticks_of(fragments), duration_ms);
                &assumed
            }
        };
        let segment = ClipSegment {
            entry,
            bytes_count,
            fragments,
        };
        if kind == TrackKind::Audio {
            let pictures = self
                .last
                .filter(|(of, number, _)| (*of, *number) == (run, msn));
            let Some((.., label)) = pictures else {
                return Err(HeadFault::SoundApart(msn));
            };
            if wall_start.0.abs_diff(label.0) > LABELS_APART_MS_MAX {
                return Err(HeadFault::SoundOfAnotherTime(msn));
            }
            return Ok(self.writer.push_sound(&segment)?);
        }
        if self.is_cut_behind {
            return Err(HeadFault::LeftOutBefore(msn));
        }
        let goes_on =
            |(of, before, _): (u64, u64, Wall)| of == run && before.checked_add(1) == Some(msn);
        let joint = match self.last.is_some_and(goes_on) {
            true => Joint::GoesOn,
            false => Joint::Starts,
        };
        let end = start_of_sample(fragments, left);
        self.is_cut_behind = end.is_some();
        self.last = Some((run, msn, wall_start));
        let end = end.unwrap_or(u64::MAX);
        Ok(self.writer.push_pictures(&segment, joint, self.cut, end)?)
    }

    /// Compares the head with the one that perch writes before the segments that were pushed.
    pub fn finish(self) -> Result<(), HeadFault> {
        let own = self.writer.finish(self.created)?;
        if own.sound && self.sound.is_none() {
            return Err(HeadFault::NotHeard);
        }
        match difference(self.head, &own.bytes) {
            Some(difference) => Err(difference.into()),
            None => Ok(()),
        }
    }
}

/// A track as the head has it.
#[derive(Debug)]
struct FoundTrack {
    samples: TrackSamples,
    /// At least one.
    entries: Vec<SampleEntry>,
    /// Which entry each run has, from 0.
    chosen: BTreeMap<u64, usize>,
    /// From where on it is shown, in its ticks.
    cut: u64,
}

impl FoundTrack {
    fn read(trak: &[u8], number: usize) -> Result<Self, HeadFault> {
        let samples = read_track(trak)?;
        let expected: &[u8] = match number {
            1 => b"vide",
            2 => b"soun",
            _ => b"",
        };
        if samples.handler != expected {
            let kind = samples.handler.escape_ascii().to_string();
            return Err(HeadFault::OtherTrack { number, kind });
        }
        Ok(Self {
            samples,
            entries: read_entries(trak)?,
            chosen: BTreeMap::new(),
            cut: read_cut(trak)?,
        })
    }

    /// The entry of a run, of which a segment lies at `place` in the file. All segments of a run have one.
    fn entry_of(&mut self, run: u64, place: std::ops::Range<u64>) -> &SampleEntry {
        let chunks = &self.samples.chunks;
        let first = chunks.partition_point(|chunk| chunk.offset < place.start);
        let listed = chunks
            .get(first)
            .filter(|chunk| place.contains(&chunk.offset));
        let described = listed.map(|chunk| chunk.description.saturating_sub(1) as usize);
        let described = described.filter(|&entry| entry < self.entries.len());
        let index = match (self.chosen.get(&run), described) {
            (Some(&known), _) => known,
            (None, Some(described)) => {
                self.chosen.insert(run, described);
                described
            }
            (None, None) => 0,
        };
        &self.entries[index]
    }
}

/// The entries of a track, each as perch writes them.
fn read_entries(trak: &[u8]) -> Result<Vec<SampleEntry>, ReadError> {
    let mdia = find(trak, b"mdia")?;
    let mdhd = find(mdia, b"mdhd")?;
    let version = mdhd.first().copied().unwrap_or(0);
    let timescale = field(mdhd, if version == 1 { 20 } else { 12 });
    let timescale = timescale.ok_or(ReadError::MalformedBox("mdhd"))?;
    let stsd = find(find(find(mdia, b"minf")?, b"stbl")?, b"stsd")?;
    let malformed = ReadError::MalformedBox("stsd");
    let mut entries = Vec::new();
    for entry in BoxWalk::new(stsd.get(8..).ok_or(malformed)?) {
        entries.push(SampleEntry::read_own(&entry?, timescale)?);
    }
    match entries.is_empty() {
        true => Err(malformed),
        false => Ok(entries),
    }
}

/// When the clip was made. (§8.2.2)
fn created(moov: &[u8]) -> Result<Wall, ReadError> {
    let mvhd = find(moov, b"mvhd")?;
    let seconds = match mvhd.first() {
        Some(1) => wide_field(mvhd, 4),
        _ => field(mvhd, 4).map(u64::from),
    };
    let created = seconds.and_then(wall_of_seconds);
    created.ok_or(ReadError::MalformedBox("mvhd"))
}

/// Where the first edit begins. (§8.6.6)
fn read_cut(trak: &[u8]) -> Result<u64, ReadError> {
    let elst = find(find(trak, b"edts")?, b"elst")?;
    let cut = match elst.first() {
        Some(1) => wide_field(elst, 16),
        _ => field(elst, 12).map(u64::from),
    };
    cut.ok_or(ReadError::MalformedBox("elst"))
}

fn field(body: &[u8], at: usize) -> Option<u32> {
    let (bytes, _) = body.get(at..)?.split_first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

fn wide_field(body: &[u8], at: usize) -> Option<u64> {
    let (bytes, _) = body.get(at..)?.split_first_chunk()?;
    Some(u64::from_be_bytes(*bytes))
}

fn ticks_of(fragments: &[(u64, ReadFragment)]) -> u64 {
    let ticks = fragments
        .iter()
        .map(|(_, fragment)| fragment.duration_ticks());
    ticks.fold(0, u64::saturating_add)
}

/// When a sample of a segment starts, in ticks since the segment does. `None` if it has no such sample.
fn start_of_sample(fragments: &[(u64, ReadFragment)], number: u64) -> Option<u64> {
    let first = fragments.first()?.1.start_ticks;
    let mut left = number;
    for (_, fragment) in fragments {
        let count = fragment.samples.len() as u64;
        if left >= count {
            left -= count;
            continue;
        }
        let before = fragment.samples.iter().take(left as usize);
        let before: u64 = before.map(|sample| u64::from(sample.duration_ticks)).sum();
        let start = fragment.start_ticks.saturating_add(before);
        return Some(start.saturating_sub(first));
    }
    None
}
