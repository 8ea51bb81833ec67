//! The table of a track's samples (ISO/IEC 14496-12 §8.6 and §8.7), grown one by one in a few bytes each.

use super::boxes::{count, full_box, plain_box, u32, u64};

/// A sample as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListedSample {
    /// When it is decoded and shown, in ticks since the start of the movie's media.
    pub(super) start: u64,
    /// In ticks; at least 1.
    pub(super) duration: u32,
    /// Of its first byte, from the first byte of the media.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) size: u32,
    /// Decodes by itself.
    pub(super) sync: bool,
    /// Which sample entry, from 1.
    pub(super) description: u32,
}

/// The samples of one track.
#[derive(Debug, Default)]
pub(super) struct SampleTable {
    first_start: u64,
    last: Option<ListedSample>,
    /// How many samples in a row last how long; without the last sample, whose end is known last.
    durations: Vec<(u32, u32)>,
    sizes: Vec<u32>,
    /// Numbers, from 1, of those that decode by themselves.
    sync: Vec<u32>,
    /// Where samples that lie behind each other begin.
    chunks: Vec<u64>,
    /// From which chunk on, from 1, a chunk has how many samples of which description.
    chunk_runs: Vec<(u32, u32, u32)>,
    /// Samples in the last chunk.
    chunk_samples: u32,
}

/// Places in the written bytes that are to be raised by where the media starts.
pub(super) struct OffsetFields {
    /// Of the first field.
    pub(super) at: usize,
    /// How many there are.
    pub(super) count: usize,
    /// Whether they have 64 bits.
    pub(super) wide: bool,
}

impl SampleTable {
    /// Lists a sample. What lies between it and the one before belongs to the one before, which is cut short where they
    /// overlap; a sample that starts no later than the one before is left out.
    pub(super) fn push(&mut self, sample: ListedSample) {
        let last = self.last;
        match last {
            Some(last) if sample.start <= last.start => return,
            Some(last) => self.add_duration(sample.start - last.start),
            None => self.first_start = sample.start,
        }
        let follows = last.is_some_and(|last| {
            last.offset + u64::from(last.size) == sample.offset
                && last.description == sample.description
        });
        self.sizes.push(sample.size);
        if sample.sync {
            self.sync.push(self.sizes.len() as u32);
        }
        if follows {
            self.chunk_samples += 1;
        } else {
            self.close_chunk();
            self.chunks.push(sample.offset);
            self.chunk_samples = 1;
        }
        self.last = Some(sample);
    }

    fn add_duration(&mut self, ticks: u64) {
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        match self.durations.last_mut() {
            Some((count, same)) if *same == ticks => *count += 1,
            _ => self.durations.push((1, ticks)),
        }
    }

    /// Notes what the last chunk holds.
    fn close_chunk(&mut self) {
        let Some(last) = self.last else { return };
        let run = (self.chunk_samples, last.description);
        let same = self.chunk_runs.last().map(|run| (run.1, run.2));
        if same != Some(run) {
            let number = self.chunks.len() as u32;
            self.chunk_runs.push((number, run.0, run.1));
        }
    }

    pub(super) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// When the first sample starts, in ticks.
    pub(super) fn start(&self) -> u64 {
        self.first_start
    }

    /// When the last sample ends, in ticks.
    pub(super) fn end(&self) -> u64 {
        self.last
            .map_or(0, |last| last.start + u64::from(last.duration))
    }

    /// Whether a sample can be started with only where it is listed so.
    fn has_delta_samples(&self) -> bool {
        self.sync.len() < self.sizes.len()
    }

    /// Appends `stbl` with the given sample entries. `rolls` says that what comes out of each sample is whole only
    /// behind the sample before (§10.1), as with AAC. Returns where the chunks' offsets stand.
    pub(super) fn write(
        mut self,
        out: &mut Vec<u8>,
        entries: &[impl AsRef<[u8]>],
        rolls: bool,
        wide: bool,
    ) -> OffsetFields {
        self.close_chunk();
        if let Some(last) = self.last {
            self.add_duration(u64::from(last.duration));
        }
        let mut fields = OffsetFields {
            at: 0,
            count: self.chunks.len(),
            wide,
        };
        plain_box(out, b"stbl", |out| {
            full_box(out, b"stsd", 0, 0, |out| {
                count(out, entries.len());
                for entry in entries {
                    out.extend_from_slice(entry.as_ref());
                }
            });
            full_box(out, b"stts", 0, 0, |out| {
                count(out, self.durations.len());
                for (samples, ticks) in &self.durations {
                    u32(out, *samples);
                    u32(out, *ticks);
                }
            });
            if self.has_delta_samples() {
                full_box(out, b"stss", 0, 0, |out| {
                    count(out, self.sync.len());
                    self.sync.iter().for_each(|number| u32(out, *number));
                });
            }
            full_box(out, b"stsc", 0, 0, |out| {
                count(out, self.chunk_runs.len());
                for (first_chunk, samples, description) in &self.chunk_runs {
                    u32(out, *first_chunk);
                    u32(out, *samples);
                    u32(out, *description);
                }
            });
            full_box(out, b"stsz", 0, 0, |out| {
                u32(out, 0);
                count(out, self.sizes.len());
                self.sizes.iter().for_each(|size| u32(out, *size));
            });
            full_box(out, if wide { b"co64" } else { b"stco" }, 0, 0, |out| {
                count(out, self.chunks.len());
                fields.at = out.len();
                for offset in &self.chunks {
                    if wide {
                        u64(out, *offset);
                    } else {
                        u32(
                            out,
                            u32::try_from(*offset).expect("`wide` is chosen for larger ones"),
                        );
                    }
                }
            });
            if rolls {
                write_roll_group(out, self.sizes.len());
            }
        });
        fields
    }
}

/// All samples in one group of type `roll` with a distance of −1 (§8.9, §10.1).
fn write_roll_group(out: &mut Vec<u8>, samples: usize) {
    full_box(out, b"sgpd", 1, 0, |out| {
        out.extend_from_slice(b"roll");
        u32(out, 2);
        count(out, 1);
        out.extend_from_slice(&(-1i16).to_be_bytes());
    });
    full_box(out, b"sbgp", 0, 0, |out| {
        out.extend_from_slice(b"roll");
        count(out, 1);
        count(out, samples);
        u32(out, 1);
    });
}

impl OffsetFields {
    /// Adds where the media starts to each of them.
    pub(super) fn raise(&self, bytes: &mut [u8], by: u64) {
        let width = if self.wide { 8 } else { 4 };
        let fields = &mut bytes[self.at..self.at + self.count * width];
        for field in fields.chunks_exact_mut(width) {
            if let Ok(wide) = <[u8; 8]>::try_from(&*field) {
                field.copy_from_slice(&(u64::from_be_bytes(wide) + by).to_be_bytes());
            } else if let Ok(narrow) = <[u8; 4]>::try_from(&*field) {
                let raised = u64::from(u32::from_be_bytes(narrow)) + by;
                let raised = u32::try_from(raised).expect("`wide` is chosen for larger ones");
                field.copy_from_slice(&raised.to_be_bytes());
            }
        }
    }
}
