//! Where a track of an ordinary MP4 takes its samples from: the tables of a `trak`, read as far as whoever checks
//! a clip needs them (ISO/IEC 14496-12 §8.7). Returns an error, never panics, on any input, and allocates in
//! proportion to it.

use super::box_walk::{find, find_optional};
use super::read::ReadError;

/// More samples than a track of a file has that can be verified: twelve days of sound.
const SAMPLES_MAX: u64 = 1 << 26;

/// One track's samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackSamples {
    /// What the track is: `vide`, `soun` or another handler.
    pub(super) handler: [u8; 4],
    /// How many samples it has.
    pub(super) count: u64,
    /// Where they lie, in decoding order; without those of no bytes.
    pub(super) chunks: Vec<Chunk>,
}

/// Samples that lie behind each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Of the first byte, in the file.
    pub(super) offset: u64,
    /// Bytes of all of them.
    pub(super) bytes: u64,
    /// Number of their sample entry, from 1.
    pub(super) description: u32,
}

impl TrackSamples {
    /// The bytes of its samples in decoding order, as offset in the file and count; those that touch are joined.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for chunk in &self.chunks {
            match ranges.last_mut() {
                Some((start, bytes)) if *start + *bytes == chunk.offset => *bytes += chunk.bytes,
                _ => ranges.push((chunk.offset, chunk.bytes)),
            }
        }
        ranges
    }
}

/// Reads a track, given the body of its `trak`.
pub(super) fn read_track(trak: &[u8]) -> Result<TrackSamples, ReadError> {
    let mdia = find(trak, b"mdia")?;
    let hdlr = find(mdia, b"hdlr")?;
    let handler = hdlr.get(8..12).and_then(|kind| kind.try_into().ok());
    let handler = handler.ok_or(ReadError::MalformedBox("hdlr"))?;
    let stbl = find(find(mdia, b"minf")?, b"stbl")?;
    let sizes = Sizes::read(stbl)?;
    let offsets = read_offsets(stbl)?;
    let chunks = read_chunks(stbl)?;
    Ok(TrackSamples {
        handler,
        count: sizes.count(),
        chunks: lay_out(&sizes, &offsets, &chunks)?,
    })
}

/// Sizes of samples: one for all, or one each.
enum Sizes {
    Same(u32, u64),
    Each(Vec<u32>),
}

impl Sizes {
    fn read(stbl: &[u8]) -> Result<Self, ReadError> {
        let bad = ReadError::MalformedBox("stsz");
        let mut words = Words::full_box(find(stbl, b"stsz")?).ok_or(bad)?;
        let (same, count) = words.next().zip(words.next()).ok_or(bad)?;
        if u64::from(count) > SAMPLES_MAX {
            return Err(ReadError::TooManySamples(count as usize));
        }
        if same != 0 {
            return Ok(Self::Same(same, count.into()));
        }
        let sizes: Vec<u32> = words.take(count as usize).collect();
        (sizes.len() == count as usize)
            .then_some(Self::Each(sizes))
            .ok_or(bad)
    }

    fn count(&self) -> u64 {
        match self {
            Self::Same(_, count) => *count,
            Self::Each(sizes) => sizes.len() as u64,
        }
    }

    /// Bytes of the samples from `first` on, `count` of them.
    fn bytes(&self, first: u64, count: u64) -> Option<u64> {
        match self {
            Self::Same(size, all) => {
                (first.checked_add(count)? <= *all).then_some(u64::from(*size) * count)
            }
            Self::Each(sizes) => {
                let end = first.checked_add(count)? as usize;
                let some = sizes.get(first as usize..end)?;
                Some(some.iter().map(|size| u64::from(*size)).sum())
            }
        }
    }
}

fn read_offsets(stbl: &[u8]) -> Result<Vec<u64>, ReadError> {
    if let Some(body) = find_optional(stbl, b"co64")? {
        let bad = ReadError::MalformedBox("co64");
        let mut words = Words::full_box(body).ok_or(bad)?;
        let count = words.next().ok_or(bad)? as usize;
        let mut offsets = Vec::new();
        while let Some((high, low)) = words.next().zip(words.next())
            && offsets.len() < count
        {
            offsets.push(u64::from(high) << 32 | u64::from(low));
        }
        return (offsets.len() == count).then_some(offsets).ok_or(bad);
    }
    let bad = ReadError::MalformedBox("stco");
    let mut words = Words::full_box(find(stbl, b"stco")?).ok_or(bad)?;
    let count = words.next().ok_or(bad)? as usize;
    let offsets: Vec<u64> = words.take(count).map(u64::from).collect();
    (offsets.len() == count).then_some(offsets).ok_or(bad)
}

/// First chunk, counted from 1, of each run of chunks with the same number of samples of the same entry, that number, and
/// the entry's.
fn read_chunks(stbl: &[u8]) -> Result<Vec<(u32, u32, u32)>, ReadError> {
    let bad = ReadError::MalformedBox("stsc");
    let mut words = Words::full_box(find(stbl, b"stsc")?).ok_or(bad)?;
    let count = words.next().ok_or(bad)? as usize;
    let mut runs: Vec<(u32, u32, u32)> = Vec::new();
    while runs.len() < count {
        let first = words.next().ok_or(bad)?;
        let samples = words.next().ok_or(bad)?;
        let description = words.next().ok_or(bad)?;
        let in_order = match runs.last() {
            None => first == 1,
            Some((before, ..)) => first > *before,
        };
        if !in_order {
            return Err(bad);
        }
        runs.push((first, samples, description));
    }
    Ok(runs)
}

fn lay_out(
    sizes: &Sizes,
    offsets: &[u64],
    runs: &[(u32, u32, u32)],
) -> Result<Vec<Chunk>, ReadError> {
    let bad = ReadError::MalformedBox("stsc");
    let mut chunks = Vec::new();
    let (mut sample, mut run) = (0, 0);
    for (number, &offset) in (1u64..).zip(offsets) {
        while runs
            .get(run + 1)
            .is_some_and(|next| number >= u64::from(next.0))
        {
            run += 1;
        }
        let (_, samples, description) = *runs.get(run).ok_or(bad)?;
        let bytes = sizes.bytes(sample, samples.into()).ok_or(bad)?;
        sample += u64::from(samples);
        let end = offset.checked_add(bytes);
        end.ok_or(ReadError::MalformedBox("stco"))?;
        if bytes > 0 {
            chunks.push(Chunk {
                offset,
                bytes,
                description,
            });
        }
    }
    (sample == sizes.count()).then_some(chunks).ok_or(bad)
}

/// The 32-bit words of a box's body, highest byte first.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    /// Those behind version and flags.
    fn full_box(body: &'a [u8]) -> Option<Self> {
        body.get(4..).map(Self)
    }
}

impl Iterator for Words<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn iso_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn track(stsz: &[u32], stsc: &[u32], stco: &[u32]) -> Vec<u8> {
        let stbl = [
            iso_box(b"stsz", &words(&[&[0], stsz].concat())),
            iso_box(b"stsc", &words(&[&[0], stsc].concat())),
            iso_box(b"stco", &words(&[&[0], stco].concat())),
        ];
        let stbl = iso_box(b"stbl", &stbl.concat());
        let hdlr = iso_box(b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let mdia = [hdlr, iso_box(b"minf", &stbl)].concat();
        iso_box(b"mdia", &mdia)
    }

    fn ranges(stsz: &[u32], stsc: &[u32], stco: &[u32]) -> Option<Vec<(u64, u64)>> {
        let track = read_track(&track(stsz, stsc, stco)).ok()?;
        assert_eq!(&track.handler, b"vide");
        Some(track.ranges())
    }

    #[test]
    fn samples_of_all_chunks_are_laid_out_in_order() {
        let sizes = [0, 5, 10, 11, 12, 13, 14];
        let found = ranges(&sizes, &[2, 1, 2, 1, 3, 1, 1], &[3, 100, 121, 500]);
        assert_eq!(found, Some(vec![(100, 21 + 25), (500, 14)]));
        let found = ranges(&[7, 4], &[1, 1, 2, 1], &[2, 50, 64]);
        assert_eq!(found, Some(vec![(50, 28)]));
    }

    #[test]
    fn tables_that_contradict_each_other_are_refused() {
        for (stsz, stsc, stco) in [
            (&[0, 2, 10][..], &[1, 1, 2, 1][..], &[1, 100][..]),
            (&[0, 2, 10, 11], &[1, 1, 3, 1], &[1, 100]),
            (&[0, 2, 10, 11], &[1, 1, 1, 1], &[1, 100]),
            (&[0, 2, 10, 11], &[1, 2, 2, 1], &[1, 100]),
            (&[0, 2, 10, 11], &[0], &[1, 100]),
            (&[0, 2, 10, 11], &[1, 1, 2, 1], &[2, 100]),
            (&[0, u32::MAX], &[1, 1, 2, 1], &[1, 100]),
        ] {
            assert_eq!(ranges(stsz, stsc, stco), None, "{stsz:?} {stsc:?} {stco:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            at: prop::sample::Index,
        ) {
            let _ = read_track(&bytes);
            let mut real = track(&[0, 2, 10, 11], &[1, 1, 2, 1], &[1, 100]);
            let at = at.index(real.len());
            real[at] = real[at].wrapping_add(bytes.len() as u8);
            let _ = read_track(&real);
        }
    }
}
