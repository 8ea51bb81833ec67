//! Reads the tables of a movie as the standard says them, with none of the writer's code: what a player sees.

use super::super::box_walk::{BoxWalk, find, find_optional};

pub(super) struct ReadMovie {
    /// In ticks of the movie.
    pub(super) duration: u64,
    pub(super) tracks: Vec<ReadTrack>,
}

pub(super) struct ReadTrack {
    pub(super) entries: usize,
    pub(super) edit: ReadEdit,
    pub(super) samples: Vec<SeenSample>,
    /// Where the first sample would be if the cut were at 0 of the recording's first picture: media time of the cut
    /// and the empty edit before it, against the cut of the pictures, in ticks of the track.
    pub(super) origin: u64,
    pub(super) rolls: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadEdit {
    pub(super) empty: u64,
    pub(super) media_time: u64,
    pub(super) duration: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct SeenSample {
    pub(super) start: u64,
    pub(super) offset: u64,
    pub(super) size: u32,
    pub(super) sync: bool,
    pub(super) description: u32,
}

fn at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}

fn wide_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

/// Timescale and duration of `mvhd` and `mdhd`.
fn times(body: &[u8]) -> (u32, u64) {
    if body[0] == 1 {
        (at(body, 20), wide_at(body, 24))
    } else {
        (at(body, 12), u64::from(at(body, 16)))
    }
}

pub(super) fn read_movie(file: &[u8]) -> ReadMovie {
    // `mdat` may be longer than what is here of it.
    let end = at(file, 0) as usize;
    let moov_end = end + at(file, end) as usize;
    let moov = find(&file[..moov_end], b"moov").expect("moov");
    let (movie_scale, duration) = times(find(moov, b"mvhd").expect("mvhd"));
    let tracks: Vec<_> = BoxWalk::new(moov)
        .map(|view| view.expect("a box"))
        .filter(|view| &view.kind == b"trak")
        .map(|view| read_track(view.body))
        .collect();
    let cut = tracks[0].1.edit.media_time;
    let tracks = tracks
        .into_iter()
        .map(|(timescale, mut track)| {
            let scaled = |ticks: u64| ticks * u64::from(timescale) / u64::from(movie_scale);
            let origin = scaled(cut) + scaled(track.edit.empty);
            track.origin = origin - track.edit.media_time;
            track
        })
        .collect();
    ReadMovie { duration, tracks }
}

fn read_track(trak: &[u8]) -> (u32, ReadTrack) {
    let elst = find(find(trak, b"edts").expect("edts"), b"elst").expect("elst");
    let mut edit = ReadEdit::default();
    let wide = elst[0] == 1;
    for index in 0..at(elst, 4) as usize {
        let (duration, media_time) = if wide {
            (
                wide_at(elst, 8 + 20 * index),
                wide_at(elst, 16 + 20 * index) as i64,
            )
        } else {
            let time = at(elst, 12 + 12 * index) as i32;
            (u64::from(at(elst, 8 + 12 * index)), i64::from(time))
        };
        match u64::try_from(media_time) {
            Ok(media_time) => (edit.media_time, edit.duration) = (media_time, duration),
            Err(_) => edit.empty = duration,
        }
    }
    let mdia = find(trak, b"mdia").expect("mdia");
    let (timescale, media_duration) = times(find(mdia, b"mdhd").expect("mdhd"));
    let stbl = find(find(mdia, b"minf").expect("minf"), b"stbl").expect("stbl");
    let table = |kind| find(stbl, kind).expect("a table");
    let stts = table(b"stts");
    let durations: Vec<u32> = (0..at(stts, 4) as usize)
        .flat_map(|index| vec![at(stts, 12 + 8 * index); at(stts, 8 + 8 * index) as usize])
        .collect();
    let stsz = table(b"stsz");
    let sizes: Vec<u32> = (0..at(stsz, 8) as usize)
        .map(|index| at(stsz, 12 + 4 * index))
        .collect();
    assert_eq!(durations.len(), sizes.len());
    let sync: Option<Vec<u32>> = find_optional(stbl, b"stss").expect("boxes").map(|stss| {
        (0..at(stss, 4) as usize)
            .map(|index| at(stss, 8 + 4 * index))
            .collect()
    });
    let offsets: Vec<u64> = match find_optional(stbl, b"co64").expect("boxes") {
        Some(co64) => (0..at(co64, 4) as usize)
            .map(|index| wide_at(co64, 8 + 8 * index))
            .collect(),
        None => {
            let stco = table(b"stco");
            (0..at(stco, 4) as usize)
                .map(|index| u64::from(at(stco, 8 + 4 * index)))
                .collect()
        }
    };
    let stsc = table(b"stsc");
    let runs: Vec<[u32; 3]> = (0..at(stsc, 4) as usize)
        .map(|index| [0, 4, 8].map(|field| at(stsc, 8 + 12 * index + field)))
        .collect();
    let (mut samples, mut start, mut index) = (Vec::new(), 0, 0);
    for (mut offset, chunk) in offsets.into_iter().zip(1u32..) {
        let [_, in_chunk, description] = *runs.iter().rfind(|run| run[0] <= chunk).expect("a run");
        for _ in 0..in_chunk {
            samples.push(SeenSample {
                start,
                offset,
                size: sizes[index],
                sync: sync
                    .as_ref()
                    .is_none_or(|sync| sync.contains(&(index as u32 + 1))),
                description,
            });
            start += u64::from(durations[index]);
            offset += u64::from(sizes[index]);
            index += 1;
        }
    }
    assert_eq!(samples.len(), sizes.len(), "the chunks hold all samples");
    assert_eq!(start, media_duration);
    assert!(edit.media_time <= media_duration);
    let track = ReadTrack {
        entries: at(table(b"stsd"), 4) as usize,
        edit,
        samples,
        origin: 0,
        rolls: find_optional(stbl, b"sbgp").expect("boxes").is_some(),
    };
    (timescale, track)
}
