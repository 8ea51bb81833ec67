//! A movie of keyframes alone, each shown for the same time. Its media is their bytes and nothing else.

use super::clip_writer::{ClipWriteError, MovieHead, description_of};
use super::entry::SampleEntry;
use super::head::{Edit, Track, write_head};
use super::samples::{ListedSample, SampleTable};
use crate::base::Wall;

/// Lists keyframes, whose bytes then follow each other in that order.
#[derive(Debug)]
pub struct TimelapseWriter {
    picture_ticks: u32,
    entries: Vec<SampleEntry>,
    samples: SampleTable,
    media_bytes: u64,
}

impl TimelapseWriter {
    /// Each picture is shown for `picture_ticks` ticks of 90 kHz, at least 1.
    pub fn new(picture_ticks: u32) -> Self {
        Self {
            picture_ticks: picture_ticks.max(1),
            entries: Vec::new(),
            samples: SampleTable::default(),
            media_bytes: 0,
        }
    }

    /// Appends a keyframe of `size_bytes` bytes. Fails with `OtherFormat` and leaves the writer as it was.
    pub fn push(&mut self, entry: &SampleEntry, size_bytes: u32) -> Result<(), ClipWriteError> {
        let description = description_of(&mut self.entries, entry)?;
        self.samples.push(ListedSample {
            start: self.samples.end(),
            duration: self.picture_ticks,
            offset: self.media_bytes,
            size: size_bytes,
            sync: true,
            description,
        });
        self.media_bytes += u64::from(size_bytes);
        Ok(())
    }

    /// Lays the tables out. `created` is when the first picture was recorded.
    pub fn finish(self, created: Wall) -> Result<MovieHead, ClipWriteError> {
        let duration_ticks = self.samples.end();
        let pictures = self.samples.count() as u64;
        if pictures == 0 {
            return Err(ClipWriteError::NoPicture);
        }
        let track = Track {
            entries: self.entries,
            samples: self.samples,
            edit: Edit {
                empty: 0,
                media_time: 0,
                duration: duration_ticks,
            },
        };
        Ok(MovieHead {
            bytes: write_head(created, vec![track], self.media_bytes),
            media_bytes: self.media_bytes,
            duration_ticks,
            pictures,
            sound: false,
        })
    }
}
