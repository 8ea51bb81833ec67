//! Joins recorded segments of one picture and its sound into the tables of one movie, without touching their bytes:
//! the media of the file is the segments as they were recorded, one behind the other, and the tables point into them.
//! So a clip is made as fast as a disk reads, and each segment in it can be compared with its digest.
//!
//! The time of the movie is that of the pictures. A stretch is what was recorded without a break; the next one follows
//! right behind it, whatever time lay between. Within a stretch pictures and sound keep the times that they were
//! recorded with, so that a stretch never shifts one against the other by more than a sample of sound.

use bytes::Bytes;

use super::entry::SampleEntry;
use super::head::{Edit, MOVIE_TIMESCALE, Track, write_head};
use super::samples::{ListedSample, SampleTable};
use crate::base::Wall;
use crate::cmaf::ReadFragment;

/// Why segments do not make one movie.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClipWriteError {
    /// Pictures of another size, or sound with another count of samples a second.
    #[error("picture or sound changes its format here")]
    OtherFormat,
    /// Nothing was pushed, or nothing of it is shown.
    #[error("there is no picture")]
    NoPicture,
}

/// How a segment of pictures follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// In the same run, with the next number: times go on.
    GoesOn,
    /// Something lies between, which the movie closes up.
    Starts,
}

/// A segment as it lies in its file.
#[derive(Clone, Copy, Debug)]
pub struct ClipSegment<'a> {
    /// How it is decoded.
    pub entry: &'a SampleEntry,
    /// Its size in bytes.
    pub bytes_count: u64,
    /// Its fragments, each with where it begins in the segment, in bytes.
    pub fragments: &'a [(u64, ReadFragment)],
}

/// What stands before the media of a movie, and what the movie is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovieHead {
    /// Everything before the media, the header of `mdat` with it.
    pub bytes: Bytes,
    /// How many bytes of media follow.
    pub media_bytes: u64,
    /// What is shown, in ticks of 90 kHz.
    pub duration_ticks: u64,
    /// How many pictures are shown.
    pub pictures: u64,
    /// Whether there is sound.
    pub sound: bool,
}

/// Where what is being joined lies in time.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Decode time of its first picture, in the run's ticks of 90 kHz.
    recorded: u64,
    /// Where that is shown, in ticks since the first listed picture.
    shown: u64,
}

/// Joins segments. Pictures are pushed in the order of recording, each segment's sound behind them.
#[derive(Debug, Default)]
pub struct ClipWriter {
    media_bytes: u64,
    picture_entries: Vec<SampleEntry>,
    pictures: SampleTable,
    sound_entries: Vec<SampleEntry>,
    sound: SampleTable,
    /// The last segment's sound, until it is known whether it is cut.
    sound_waiting: Vec<ListedSample>,
    stretch: Option<Stretch>,
    /// The first picture that is shown, in ticks since the first that is listed.
    cut: u64,
    pictures_before_cut: u64,
}

impl ClipWriter {
    /// Appends a segment of pictures. Those that start at or after `to_ticks`, counted from the segment's start, are
    /// not listed. Of the very first segment those before the one that is on view at `from_ticks` are decoded, but not
    /// shown. Fails with `OtherFormat` and leaves the writer as it was.
    pub fn push_pictures(
        &mut self,
        segment: &ClipSegment<'_>,
        joint: Joint,
        from_ticks: u64,
        to_ticks: u64,
    ) -> Result<(), ClipWriteError> {
        let description = description_of(&mut self.picture_entries, segment.entry)?;
        let media_start = self.take_place(segment.bytes_count);
        let Some((_, first)) = segment.fragments.first() else {
            return Ok(());
        };
        let starts = joint == Joint::Starts;
        let stretch = match self.stretch {
            Some(stretch) if !starts => stretch,
            _ => {
                self.end_stretch();
                Stretch {
                    recorded: first.start_ticks,
                    shown: self.pictures.end(),
                }
            }
        };
        self.stretch = Some(stretch);
        let is_first = self.pictures.count() == 0;
        let opens = (stretch.shown + first.start_ticks).saturating_sub(stretch.recorded);
        for_each_sample(segment, media_start, description, |recorded, sample| {
            let start = (stretch.shown + recorded).saturating_sub(stretch.recorded);
            if start >= opens.saturating_add(to_ticks) {
                return;
            }
            if is_first && start <= opens.saturating_add(from_ticks) {
                self.cut = start;
                self.pictures_before_cut = self.pictures.count() as u64;
            }
            self.pictures.push(ListedSample { start, ..sample });
        });
        Ok(())
    }

    /// Appends the sound of the pictures pushed last. What is heard before the first picture that is shown, or after
    /// the last of a stretch, is left out. Fails with `OtherFormat` and leaves the writer as it was.
    pub fn push_sound(&mut self, segment: &ClipSegment<'_>) -> Result<(), ClipWriteError> {
        let description = description_of(&mut self.sound_entries, segment.entry)?;
        let media_start = self.take_place(segment.bytes_count);
        let Some(stretch) = self.stretch else {
            return Ok(());
        };
        self.list_waiting(u64::MAX);
        let timescale = segment.entry.timescale();
        let recorded_zero = scale(stretch.recorded, MOVIE_TIMESCALE, timescale);
        let shown = scale(stretch.shown, MOVIE_TIMESCALE, timescale);
        let waiting = &mut self.sound_waiting;
        for_each_sample(segment, media_start, description, |recorded, sample| {
            if let Some(start) = (shown + recorded).checked_sub(recorded_zero) {
                // Sound from before the pictures of its stretch would fall on those of the stretch before.
                if start >= shown {
                    waiting.push(ListedSample { start, ..sample });
                }
            }
        });
        Ok(())
    }

    /// Where the next segment goes in the media.
    fn take_place(&mut self, bytes_count: u64) -> u64 {
        let start = self.media_bytes;
        self.media_bytes += bytes_count;
        start
    }

    /// The stretch ends with the pictures that are listed.
    fn end_stretch(&mut self) {
        if let Some(entry) = self.sound_entries.first() {
            let end = scale(self.pictures.end(), MOVIE_TIMESCALE, entry.timescale());
            self.list_waiting(end);
        }
    }

    /// Lists the sound that waits, up to `end` in its ticks, from one sample before the cut: a decoder of AAC needs
    /// the sample before to make the first whole.
    fn list_waiting(&mut self, end: u64) {
        let Some(entry) = self.sound_entries.first() else {
            return;
        };
        let cut = scale(self.cut, MOVIE_TIMESCALE, entry.timescale());
        for sample in self.sound_waiting.drain(..) {
            let is_needed = sample.start + 2 * u64::from(sample.duration) > cut;
            if sample.start < end && is_needed {
                self.sound.push(sample);
            }
        }
    }

    /// How much of the first segment is not shown, in ticks of 90 kHz.
    pub fn skipped_ticks(&self) -> u64 {
        self.cut
    }

    /// How many pictures are listed so far, those that are not shown among them.
    pub(super) fn pictures_listed(&self) -> u64 {
        self.pictures.count() as u64
    }

    /// Lays the tables out. `created` is when the first picture was recorded.
    pub fn finish(mut self, created: Wall) -> Result<MovieHead, ClipWriteError> {
        self.end_stretch();
        let end = self.pictures.end();
        if end <= self.cut {
            return Err(ClipWriteError::NoPicture);
        }
        let duration_ticks = end - self.cut;
        let pictures = self.pictures.count() as u64 - self.pictures_before_cut;
        let mut tracks = vec![Track {
            entries: self.picture_entries,
            samples: self.pictures,
            edit: Edit {
                empty: 0,
                media_time: self.cut,
                duration: duration_ticks,
            },
        }];
        let sound = self.sound_entries.first().and_then(|entry| {
            let edit = sound_edit(&self.sound, entry.timescale(), self.cut, end)?;
            Some((edit, self.sound))
        });
        let has_sound = sound.is_some();
        tracks.extend(sound.map(|(edit, samples)| Track {
            entries: self.sound_entries,
            samples,
            edit,
        }));
        Ok(MovieHead {
            bytes: write_head(created, tracks, self.media_bytes),
            media_bytes: self.media_bytes,
            duration_ticks,
            pictures,
            sound: has_sound,
        })
    }
}

/// What of the sound is heard while pictures from `cut` to `end` are shown; `None` if that is nothing.
fn sound_edit(sound: &SampleTable, timescale: u32, cut: u64, end: u64) -> Option<Edit> {
    if sound.count() == 0 {
        return None;
    }
    let heard_from = scale(cut, MOVIE_TIMESCALE, timescale);
    let first = sound.start().max(heard_from);
    let last = sound.end().min(scale(end, MOVIE_TIMESCALE, timescale));
    let empty = scale(first - heard_from, timescale, MOVIE_TIMESCALE);
    let duration = scale(last.checked_sub(first)?, timescale, MOVIE_TIMESCALE);
    // What was rounded down at the cut must not make the sound outlast the pictures.
    let duration = duration.min((end - cut).saturating_sub(empty));
    (duration > 0).then(|| Edit {
        empty,
        media_time: first - sound.start(),
        duration,
    })
}

/// Calls `list` with each sample's decode time in its run and the sample as it lies in the media.
fn for_each_sample(
    segment: &ClipSegment<'_>,
    media_start: u64,
    description: u32,
    mut list: impl FnMut(u64, ListedSample),
) {
    for (fragment_start, fragment) in segment.fragments {
        let mut recorded = fragment.start_ticks;
        for sample in &fragment.samples {
            list(
                recorded,
                ListedSample {
                    start: 0,
                    duration: sample.duration_ticks.max(1),
                    offset: media_start + fragment_start + sample.offset as u64,
                    size: sample.size_bytes as u32,
                    sync: sample.sync,
                    description,
                },
            );
            recorded += u64::from(sample.duration_ticks);
        }
    }
}

/// The number of a sample entry, from 1, among those of its track; takes it in if it is new.
pub(super) fn description_of(
    entries: &mut Vec<SampleEntry>,
    entry: &SampleEntry,
) -> Result<u32, ClipWriteError> {
    if let Some(first) = entries.first()
        && !first.shares_track_with(entry)
    {
        return Err(ClipWriteError::OtherFormat);
    }
    let known = entries.iter().position(|known| known.decodes_like(entry));
    let index = known.unwrap_or_else(|| {
        entries.push(entry.clone());
        entries.len() - 1
    });
    Ok(index as u32 + 1)
}

/// Ticks of one timescale in another, rounded down.
pub(super) fn scale(ticks: u64, from: u32, to: u32) -> u64 {
    let scaled = u128::from(ticks) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
