//! Sync samples of the pictures in one fragment: a `moof`, whose runs lie in the `mdat` behind it
//! (ISO/IEC 14496-12 §8.8).

use std::ops::Range;

use super::boxes::{BoxPlace, Stop, Walk};
use super::offsets::Offsets;
use super::tables::TrackDefaults;
use crate::chunk::read_at::ReadAt;

/// The bit of a sample's flags that says "no sync sample" (§8.8.3.1).
const NON_SYNC_BIT: u32 = 0x0001_0000;

/// Adds the offsets of a fragment's sync samples to `offsets`; none of them if it is damaged.
pub(super) fn read_moof<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    moof: &BoxPlace,
    tracks: &[TrackDefaults],
    offsets: &mut Offsets,
) -> Result<(), Stop> {
    offsets.all_or_none(|offsets| {
        // Where a track's samples start if neither it nor its runs say so.
        let mut data_end = moof.start;
        let mut offset = moof.body.start;
        while let Some(place) = walk.box_at(offset, moof.body.end)? {
            offset = place.body.end;
            if &place.kind == b"traf" {
                data_end = read_traf(walk, &place.body, moof.start, data_end, tracks, offsets)?;
            }
        }
        Ok(())
    })
}

/// What holds for the runs of a track in this fragment (`tfhd`, §8.8.7).
struct FragmentDefaults {
    track: TrackDefaults,
    base: u64,
}

/// Reads one track's runs, and returns where their data ends.
fn read_traf<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    traf: &Range<u64>,
    moof_start: u64,
    data_end: u64,
    tracks: &[TrackDefaults],
    offsets: &mut Offsets,
) -> Result<u64, Stop> {
    let tfhd = walk.find_required(traf, b"tfhd")?;
    let defaults = read_tfhd(walk, &tfhd, moof_start, data_end, tracks)?;
    let mut position = defaults.base;
    let mut offset = traf.start;
    while let Some(place) = walk.box_at(offset, traf.end)? {
        offset = place.body.end;
        if &place.kind == b"trun" {
            position = read_trun(walk, &place.body, &defaults, position, offsets)?;
        }
    }
    Ok(position)
}

fn read_tfhd<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    tfhd: &Range<u64>,
    moof_start: u64,
    data_end: u64,
    tracks: &[TrackDefaults],
) -> Result<FragmentDefaults, Stop> {
    let mut fields = walk.fields(tfhd);
    let flags = fields.u32()?;
    let track_id = fields.u32()?;
    let known = tracks.iter().find(|track| track.track_id == track_id);
    let mut track = known.copied().unwrap_or_default();
    let base = match flags {
        flags if flags & 0x1 != 0 => fields.u64()?,
        flags if flags & 0x2_0000 != 0 => moof_start,
        _ => data_end,
    };
    if flags & 0x2 != 0 {
        fields.skip(4)?;
    }
    if flags & 0x8 != 0 {
        fields.skip(4)?;
    }
    if flags & 0x10 != 0 {
        track.sample_bytes = fields.u32()?;
    }
    if flags & 0x20 != 0 {
        track.sample_flags = fields.u32()?;
    }
    Ok(FragmentDefaults { track, base })
}

/// Reads one run (`trun`, §8.8.8) that starts at `position` if it does not say otherwise; returns where it ends.
fn read_trun<R: ReadAt + ?Sized>(
    walk: &mut Walk<'_, R>,
    trun: &Range<u64>,
    defaults: &FragmentDefaults,
    position: u64,
    offsets: &mut Offsets,
) -> Result<u64, Stop> {
    let mut fields = walk.fields(trun);
    let flags = fields.u32()?;
    let has = |bit: u32| flags & bit != 0;
    let bytes_if = |bit: u32| if has(bit) { 4 } else { 0 };
    let entry_bytes = [0x100, 0x200, 0x400, 0x800].map(bytes_if).iter().sum();
    let count = fields.count(bytes_if(0x1) + bytes_if(0x4), entry_bytes)?;
    let mut position = position;
    if has(0x1) {
        let data_offset = i64::from(fields.u32()?.cast_signed());
        let moved = defaults.base.checked_add_signed(data_offset);
        position = moved.ok_or(Stop::Malformed)?;
    }
    let mut first_flags = if has(0x4) { Some(fields.u32()?) } else { None };
    for _ in 0..count {
        walk.steps.take()?;
        let mut size = defaults.track.sample_bytes;
        let mut sample_flags = defaults.track.sample_flags;
        fields.skip(bytes_if(0x100))?;
        if has(0x200) {
            size = fields.u32()?;
        }
        if has(0x400) {
            sample_flags = fields.u32()?;
        }
        fields.skip(bytes_if(0x800))?;
        let sample_flags = first_flags.take().unwrap_or(sample_flags);
        if defaults.track.has_pictures && sample_flags & NON_SYNC_BIT == 0 {
            offsets.push(position);
        }
        position = position
            .checked_add(u64::from(size))
            .ok_or(Stop::Malformed)?;
    }
    Ok(position)
}
