//! Sync samples of the pictures in a file whose `moov` lists every sample (ISO/IEC 14496-12 §8.5 to §8.7).

use std::ops::Range;

use super::boxes::{Fields, Stop, Walk};
use super::offsets::Offsets;
use crate::chunk::read_at::ReadAt;

/// More tracks than this no file has on purpose.
const TRACKS_MAX: usize = 64;

/// What fragments need to know of a track (`trex`, §8.8.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TrackDefaults {
    pub(super) track_id: u32,
    pub(super) has_pictures: bool,
    pub(super) sample_bytes: u32,
    pub(super) sample_flags: u32,
}

/// Reads a `moov`: adds the offsets of its sync samples to `offsets`, and says how fragments are to be read.
/// A track that is damaged adds nothing, and leaves the others as they are.
pub(super) fn read_moov<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    moov: &Range<u64>,
    offsets: &mut Offsets,
) -> Result<Vec<TrackDefaults>, Stop> {
    let mut tracks: Vec<TrackDefaults> = Vec::new();
    let mut offset = moov.start;
    while let Some(place) = walk.box_at(offset, moov.end)? {
        offset = place.body.end;
        if &place.kind == b"trak" && tracks.len() < TRACKS_MAX {
            match read_trak(walk, &place.body, offsets) {
                Ok(track) => tracks.push(track),
                Err(Stop::Malformed) => {}
                Err(stop) => return Err(stop),
            }
        }
    }
    if let Some(mvex) = walk.find(moov, b"mvex")? {
        read_mvex(walk, &mvex, &mut tracks)?;
    }
    Ok(tracks)
}

fn read_trak<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    trak: &Range<u64>,
    offsets: &mut Offsets,
) -> Result<TrackDefaults, Stop> {
    let tkhd = walk.find_required(trak, b"tkhd")?;
    let mut fields = walk.fields(&tkhd);
    let version = fields.u32()? >> 24;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    let track_id = fields.u32()?;
    let mdia = walk.find_required(trak, b"mdia")?;
    let hdlr = walk.find_required(&mdia, b"hdlr")?;
    let mut fields = walk.fields(&hdlr);
    fields.skip(8)?;
    let has_pictures = fields.u32()? == u32::from_be_bytes(*b"vide");
    if has_pictures {
        let minf = walk.find_required(&mdia, b"minf")?;
        let stbl = walk.find_required(&minf, b"stbl")?;
        offsets.all_or_none(|offsets| read_samples(walk, &stbl, offsets))?;
    }
    Ok(TrackDefaults {
        track_id,
        has_pictures,
        ..TrackDefaults::default()
    })
}

fn read_mvex<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    mvex: &Range<u64>,
    tracks: &mut [TrackDefaults],
) -> Result<(), Stop> {
    let mut offset = mvex.start;
    while let Some(place) = walk.box_at(offset, mvex.end)? {
        offset = place.body.end;
        if &place.kind != b"trex" {
            continue;
        }
        let mut fields = walk.fields(&place.body);
        fields.skip(4)?;
        let track_id = fields.u32()?;
        fields.skip(8)?;
        let (sample_bytes, sample_flags) = (fields.u32()?, fields.u32()?);
        for track in tracks.iter_mut().filter(|track| track.track_id == track_id) {
            track.sample_bytes = sample_bytes;
            track.sample_flags = sample_flags;
        }
    }
    Ok(())
}

/// Goes along the samples in the order of their numbers, which is that of their places in each run, and notes where
/// the sync samples lie. `stz2`, which no writer of pictures uses, is not read.
fn read_samples<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    stbl: &Range<u64>,
    offsets: &mut Offsets,
) -> Result<(), Stop> {
    let Some(mut sizes) = SampleSizes::open(walk, stbl)? else {
        return Ok(());
    };
    let mut runs = RunOffsets::open(walk, stbl)?;
    let mut run_lengths = RunLengths::open(walk, stbl)?;
    let mut sync = SyncNumbers::open(walk, stbl)?;
    let mut number = 0;
    let mut run_number = 0;
    while let Some(mut offset) = runs.next()? {
        walk.steps.take()?;
        run_number += 1;
        for _ in 0..run_lengths.of_run(run_number)? {
            walk.steps.take()?;
            number += 1;
            if number > sizes.samples_count || sync.is_over() {
                return Ok(());
            }
            if sync.holds(number)? {
                offsets.push(offset);
            }
            let size = u64::from(sizes.next()?);
            offset = offset.checked_add(size).ok_or(Stop::Malformed)?;
        }
    }
    Ok(())
}

/// `stsz` (§8.7.3): one size for all, or one each.
struct SampleSizes<'a, R: ?Sized> {
    fields: Fields<'a, R>,
    same: u32,
    samples_count: u32,
}

impl<'a, R: ReadAt + ?Sized> SampleSizes<'a, R> {
    fn open(walk: &mut Walk<'a, R>, stbl: &Range<u64>) -> Result<Option<Self>, Stop> {
        let Some(stsz) = walk.find(stbl, b"stsz")? else {
            return Ok(None);
        };
        let mut fields = walk.fields(&stsz);
        fields.skip(4)?;
        let same = fields.u32()?;
        let samples_count = fields.count(0, if same == 0 { 4 } else { 0 })?;
        Ok(Some(Self {
            fields,
            same,
            samples_count,
        }))
    }

    fn next(&mut self) -> Result<u32, Stop> {
        match self.same {
            0 => self.fields.u32(),
            same => Ok(same),
        }
    }
}

/// `stco` or `co64` (§8.7.5): where each run of samples (a chunk, in the standard's words) starts in the file.
struct RunOffsets<'a, R: ?Sized> {
    fields: Fields<'a, R>,
    wide: bool,
    left: u32,
}

impl<'a, R: ReadAt + ?Sized> RunOffsets<'a, R> {
    fn open(walk: &mut Walk<'a, R>, stbl: &Range<u64>) -> Result<Self, Stop> {
        let (body, wide) = match walk.find(stbl, b"stco")? {
            Some(stco) => (stco, false),
            None => (walk.find_required(stbl, b"co64")?, true),
        };
        let mut fields = walk.fields(&body);
        fields.skip(4)?;
        let left = fields.count(0, if wide { 8 } else { 4 })?;
        Ok(Self { fields, wide, left })
    }

    fn next(&mut self) -> Result<Option<u64>, Stop> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let offset = match self.wide {
            true => self.fields.u64()?,
            false => u64::from(self.fields.u32()?),
        };
        Ok(Some(offset))
    }
}

/// `stsc` (§8.7.4): how many samples each run has, told where it changes.
struct RunLengths<'a, R: ?Sized> {
    fields: Fields<'a, R>,
    left: u32,
    /// Of the runs now.
    length: u32,
    /// The next run at which the length changes, and to what.
    next: Option<(u32, u32)>,
}

impl<'a, R: ReadAt + ?Sized> RunLengths<'a, R> {
    fn open(walk: &mut Walk<'a, R>, stbl: &Range<u64>) -> Result<Self, Stop> {
        let stsc = walk.find_required(stbl, b"stsc")?;
        let mut fields = walk.fields(&stsc);
        fields.skip(4)?;
        let left = fields.count(0, 12)?;
        let mut lengths = Self {
            fields,
            left,
            length: 0,
            next: None,
        };
        lengths.advance()?;
        Ok(lengths)
    }

    fn advance(&mut self) -> Result<(), Stop> {
        self.next = None;
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.next = Some((self.fields.u32()?, self.fields.u32()?));
            self.fields.skip(4)?;
        }
        Ok(())
    }

    /// Asked for 1, 2, 3 and so on.
    fn of_run(&mut self, number: u32) -> Result<u32, Stop> {
        if let Some((first, length)) = self.next
            && first == number
        {
            self.length = length;
            self.advance()?;
        }
        Ok(self.length)
    }
}

/// `stss` (§8.6.2): the numbers of the sync samples; without it, all are.
struct SyncNumbers<'a, R: ?Sized> {
    listed: Option<(Fields<'a, R>, u32)>,
    next: Option<u32>,
}

impl<'a, R: ReadAt + ?Sized> SyncNumbers<'a, R> {
    fn open(walk: &mut Walk<'a, R>, stbl: &Range<u64>) -> Result<Self, Stop> {
        let listed = match walk.find(stbl, b"stss")? {
            None => None,
            Some(stss) => {
                let mut fields = walk.fields(&stss);
                fields.skip(4)?;
                let count = fields.count(0, 4)?;
                Some((fields, count))
            }
        };
        let mut sync = Self { listed, next: None };
        sync.advance()?;
        Ok(sync)
    }

    fn advance(&mut self) -> Result<(), Stop> {
        self.next = None;
        if let Some((fields, left)) = &mut self.listed
            && let Some(fewer) = left.checked_sub(1)
        {
            *left = fewer;
            self.next = Some(fields.u32()?);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.listed.is_some() && self.next.is_none()
    }

    /// Asked for 1, 2, 3 and so on. Numbers that do not ascend are `Malformed`.
    fn holds(&mut self, number: u32) -> Result<bool, Stop> {
        if self.listed.is_none() {
            return Ok(true);
        }
        let holds = self.next == Some(number);
        if holds {
            self.advance()?;
            if self.next.is_some_and(|next| next <= number) {
                return Err(Stop::Malformed);
            }
        }
        Ok(holds)
    }
}
