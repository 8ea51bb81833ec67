//! What reels do not tell of themselves: gaps, clips, numbers set aside, what was deleted, what is damaged. The format
//! of the records in which the journal keeps it; `journal` says when they are written.
//!
//! A file starts with [`MAGIC`]. A record is its size u32, a kind u8 and fields, and a check: the first 8 bytes of the
//! BLAKE2b-256 of everything before it in the record. Integers are big-endian, names stand behind a u16 count, lists of
//! keys behind a u32 count of runs, each a first key i64 and how many follow it without a step u32.

use super::status::{Gap, GapMark, GapReason};
use crate::base::{CameraId, FieldReader, FieldWriter, Wall, blake2b_256};
use crate::chunk::PackId;

/// What a file of marks starts with; the last byte is the version.
pub(super) const MAGIC: [u8; 16] = *b"perch marks\0\0\0\0\x01";

const CHECK_BYTES: usize = 8;

/// No record is larger: a clip of a hundred years' reels is not.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A gap, or what it says now.
    Gap {
        row: i64,
        mark: GapMark,
    },
    /// The gaps of a camera that end by then are over.
    GapsOver {
        camera: CameraId,
        until: Wall,
    },
    /// Numbers set aside for a camera.
    Ceiling {
        camera: CameraId,
        next_run: u64,
        next_msn: u64,
    },
    /// A clip, or reels that one holds as well.
    Clip(ClipMark),
    ClipRemoved {
        id: i64,
    },
    /// Reels that no row names any more: their files are to go.
    Forgotten {
        reels: Vec<i64>,
    },
    /// Segments whose bytes are not what they were, by their keys.
    Damaged {
        segments: Vec<i64>,
    },
    /// Of those, segments that read well again.
    Recovered {
        segments: Vec<i64>,
    },
    /// All that was known when this file was begun stands before.
    Whole,
    /// Chunks whose bytes are not what they were, by where their records start in a pack.
    DamagedChunks {
        pack: PackId,
        offsets: Vec<i64>,
    },
}

/// A clip with reels that it holds. What it holds is what all its marks name together: the first names those that it held
/// when that was written, each later one only those that came to be within it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClipMark {
    pub(super) id: i64,
    pub(super) camera: CameraId,
    pub(super) name: String,
    pub(super) from: Wall,
    pub(super) to: Wall,
    pub(super) made: Wall,
    pub(super) reels: Vec<i64>,
}

impl Mark {
    /// Adds the record to `out`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = FieldWriter::default();
        match self {
            Self::Gap { row, mark } => {
                fields.u8(1);
                fields.i64(*row);
                fields.counted(mark.camera.as_str().as_bytes());
                let rendition = mark.gap.rendition.map(|rendition| rendition.name());
                fields.counted(rendition.unwrap_or_default().as_bytes());
                fields.i64(mark.gap.from.0);
                fields.i64(mark.gap.to.0);
                fields.u8(mark.gap.reason.number());
            }
            Self::GapsOver { camera, until } => {
                fields.u8(2);
                fields.counted(camera.as_str().as_bytes());
                fields.i64(until.0);
            }
            Self::Ceiling {
                camera,
                next_run,
                next_msn,
            } => {
                fields.u8(3);
                fields.counted(camera.as_str().as_bytes());
                fields.u64(*next_run);
                fields.u64(*next_msn);
            }
            Self::Clip(clip) => {
                fields.u8(4);
                fields.i64(clip.id);
                fields.counted(clip.camera.as_str().as_bytes());
                fields.counted(clip.name.as_bytes());
                for time in [clip.from, clip.to, clip.made] {
                    fields.i64(time.0);
                }
                write_keys(&mut fields, &clip.reels);
            }
            Self::ClipRemoved { id } => {
                fields.u8(5);
                fields.i64(*id);
            }
            Self::Forgotten { reels } => {
                fields.u8(6);
                write_keys(&mut fields, reels);
            }
            Self::Damaged { segments } => {
                fields.u8(7);
                write_keys(&mut fields, segments);
            }
            Self::Whole => fields.u8(8),
            Self::DamagedChunks { pack, offsets } => {
                fields.u8(9);
                fields.raw(&pack.0);
                write_keys(&mut fields, offsets);
            }
            Self::Recovered { segments } => {
                fields.u8(10);
                write_keys(&mut fields, segments);
            }
        }
        let start = out.len();
        let size = u32::try_from(fields.0.len()).expect("no clip holds that many reels");
        out.extend(size.to_be_bytes());
        out.extend(fields.0);
        let check = blake2b_256([&out[start..]]);
        out.extend(&check[..CHECK_BYTES]);
    }

    /// Reads a record from the front of `bytes`, which then start behind it. `None` if it is cut off or damaged.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let size = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
        if size > RECORD_BYTES_MAX {
            return None;
        }
        let (sealed, rest) = bytes.split_at_checked(4 + size)?;
        let (check, rest) = rest.split_at_checked(CHECK_BYTES)?;
        if blake2b_256([sealed])[..CHECK_BYTES] != *check {
            return None;
        }
        let mut fields = FieldReader(&sealed[4..]);
        let mark = Self::read_fields(&mut fields)?;
        if !fields.0.is_empty() {
            return None;
        }
        *bytes = rest;
        Some(mark)
    }

    fn read_fields(fields: &mut FieldReader<'_>) -> Option<Self> {
        Some(match fields.u8()? {
            1 => Self::Gap {
                row: fields.i64()?,
                mark: read_gap(fields)?,
            },
            2 => Self::GapsOver {
                camera: read_text(fields)?.parse().ok()?,
                until: Wall(fields.i64()?),
            },
            3 => Self::Ceiling {
                camera: read_text(fields)?.parse().ok()?,
                next_run: fields.u64()?,
                next_msn: fields.u64()?,
            },
            4 => Self::Clip(ClipMark {
                id: fields.i64()?,
                camera: read_text(fields)?.parse().ok()?,
                name: read_text(fields)?,
                from: Wall(fields.i64()?),
                to: Wall(fields.i64()?),
                made: Wall(fields.i64()?),
                reels: read_keys(fields)?,
            }),
            5 => Self::ClipRemoved { id: fields.i64()? },
            6 => Self::Forgotten {
                reels: read_keys(fields)?,
            },
            7 => Self::Damaged {
                segments: read_keys(fields)?,
            },
            8 => Self::Whole,
            9 => Self::DamagedChunks {
                pack: PackId(fields.array()?),
                offsets: read_keys(fields)?,
            },
            10 => Self::Recovered {
                segments: read_keys(fields)?,
            },
            _ => return None,
        })
    }
}

/// Every record of a file up to the first that is cut off or damaged, and where that starts. `None` if it is no file of
/// marks, or one that was not finished when it was begun.
pub(super) fn read_marks(file: &[u8]) -> Option<(Vec<Mark>, usize)> {
    let mut rest = file.strip_prefix(&MAGIC)?;
    let mut marks = Vec::new();
    while let Some(mark) = Mark::read(&mut rest) {
        marks.push(mark);
    }
    let whole = marks.contains(&Mark::Whole);
    whole.then_some((marks, file.len() - rest.len()))
}

fn read_gap(fields: &mut FieldReader<'_>) -> Option<GapMark> {
    let camera = read_text(fields)?.parse().ok()?;
    let rendition = read_text(fields)?;
    Some(GapMark {
        camera,
        gap: Gap {
            rendition: match rendition.as_str() {
                "" => None,
                name => Some(name.parse().ok()?),
            },
            from: Wall(fields.i64()?),
            to: Wall(fields.i64()?),
            reason: GapReason::from_number(fields.u8()?)?,
        },
    })
}

fn read_text(fields: &mut FieldReader<'_>) -> Option<String> {
    String::from_utf8(fields.counted()?.to_vec()).ok()
}

/// Neighbouring reels have neighbouring keys, so that most lists are a few runs.
fn write_keys(fields: &mut FieldWriter, keys: &[i64]) {
    let mut runs: Vec<(i64, u32)> = Vec::new();
    for &key in keys {
        match runs.last_mut() {
            Some((first, more)) if *first + i64::from(*more) + 1 == key => *more += 1,
            _ => runs.push((key, 0)),
        }
    }
    fields.u32(u32::try_from(runs.len()).expect("no clip holds that many reels"));
    for (first, more) in runs {
        fields.i64(first);
        fields.u32(more);
    }
}

fn read_keys(fields: &mut FieldReader<'_>) -> Option<Vec<i64>> {
    /// A record has a check, so that only what we wrote gets here; but a run takes few bytes for many keys.
    const KEYS_MAX: u64 = 1 << 24;
    let mut keys = Vec::new();
    for _ in 0..fields.u32()? {
        let (first, more) = (fields.i64()?, fields.u32()?);
        if keys.len() as u64 + u64::from(more) >= KEYS_MAX {
            return None;
        }
        let last = first.checked_add(i64::from(more))?;
        keys.extend(first..=last);
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::{RenditionId, Rung};

    fn any_mark() -> impl Strategy<Value = Mark> {
        let keys = || prop::collection::vec(0..50i64, 0..20);
        let times = any::<(i64, i64, i64)>();
        (0..10u8, any::<(i64, u64, u64)>(), times, keys(), ".{0,20}").prop_map(
            |(kind, (id, run, msn), (one, two, three), keys, name)| {
                let camera = || CameraId::from_description("front");
                match kind {
                    0 => Mark::Gap {
                        row: id,
                        mark: GapMark {
                            camera: camera(),
                            gap: Gap {
                                rendition: (one % 2 == 0).then_some(RenditionId::video(Rung::High)),
                                from: Wall(one),
                                to: Wall(two),
                                reason: GapReason::Lost,
                            },
                        },
                    },
                    1 => Mark::GapsOver {
                        camera: camera(),
                        until: Wall(one),
                    },
                    2 => Mark::Ceiling {
                        camera: camera(),
                        next_run: run,
                        next_msn: msn,
                    },
                    3 => Mark::Clip(ClipMark {
                        id,
                        camera: camera(),
                        name,
                        from: Wall(one),
                        to: Wall(two),
                        made: Wall(three),
                        reels: keys,
                    }),
                    4 => Mark::ClipRemoved { id },
                    5 => Mark::Forgotten { reels: keys },
                    6 => Mark::Damaged { segments: keys },
                    7 => Mark::DamagedChunks {
                        pack: PackId([run as u8; 16]),
                        offsets: keys,
                    },
                    8 => Mark::Recovered { segments: keys },
                    _ => Mark::Whole,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn marks_read_back_up_to_where_a_file_is_cut_or_damaged(
            marks in prop::collection::vec(any_mark(), 1..12),
            at: prop::sample::Index,
            bit in 0..8u8,
        ) {
            let mut file = MAGIC.to_vec();
            Mark::Whole.encode(&mut file);
            let mut ends = vec![file.len()];
            for mark in &marks {
                mark.encode(&mut file);
                ends.push(file.len());
            }
            let (read, end) = read_marks(&file).unwrap();
            prop_assert_eq!(&read[1..], &marks[..]);
            prop_assert_eq!(end, file.len());

            let cut = at.index(file.len());
            let whole = ends.iter().filter(|end| **end <= cut).count();
            match read_marks(&file[..cut]) {
                Some((read, end)) => {
                    prop_assert_eq!((read.len(), end), (whole, ends[whole - 1]));
                }
                None => prop_assert_eq!(whole, 0),
            }
            let mut flipped = file.clone();
            flipped[cut] ^= 1 << bit;
            match read_marks(&flipped) {
                Some((read, end)) => prop_assert_eq!((read.len(), end), (whole, ends[whole - 1])),
                None => prop_assert_eq!(whole, 0),
            }
        }
    }
}
