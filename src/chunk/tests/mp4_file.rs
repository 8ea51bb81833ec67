//! MP4 files made for tests: pictures and sound of noise, laid out as muxers lay them out. Their tables are right,
//! their media is none.

use super::noise;

/// One coded picture or packet of sound.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) bytes: Vec<u8>,
    pub(super) sync: bool,
}

/// How a file is laid out.
#[derive(Clone)]
pub(super) struct Layout {
    /// `moov` before the media, as for the web.
    pub(super) moov_first: bool,
    /// `co64` instead of `stco`.
    pub(super) wide: bool,
    /// Size of what a tagging program writes into `udta`.
    pub(super) tags_bytes: usize,
    /// Pictures in a run, before a run of sound.
    pub(super) pictures_in_run: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            moov_first: true,
            wide: false,
            tags_bytes: 0,
            pictures_in_run: 15,
        }
    }
}

pub(super) const SYNC: u32 = 0x0200_0000;
pub(super) const DELTA: u32 = 0x0101_0000;

/// Pictures of which every `group`th is a sync sample, ten times as large as the others.
pub(super) fn pictures(seed: u64, count: usize, group: usize, delta_bytes: usize) -> Vec<Sample> {
    let picture = |index: usize| {
        let sync = index.is_multiple_of(group);
        let size = delta_bytes + index * 37 % (delta_bytes / 4);
        let size = if sync { size * 10 } else { size };
        Sample {
            bytes: noise(seed * 1_000_003 + index as u64, size),
            sync,
        }
    };
    (0..count).map(picture).collect()
}

/// Packets of sound.
pub(super) fn sounds(seed: u64, count: usize) -> Vec<Sample> {
    let sound = |index: usize| Sample {
        bytes: noise(seed * 7919 + index as u64, 300 + index * 13 % 90),
        sync: true,
    };
    (0..count).map(sound).collect()
}

pub(super) fn boxed(kind: &[u8; 4], pieces: &[&[u8]]) -> Vec<u8> {
    let size: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut out = ((size + 8) as u32).to_be_bytes().to_vec();
    out.extend(kind);
    pieces.iter().for_each(|piece| out.extend(*piece));
    out
}

pub(super) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A file, and where its sync pictures lie.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    pub(super) sync: Vec<u64>,
    pub(super) payloads: Vec<std::ops::Range<u64>>,
}

/// Samples of one track in runs, with the offset of each run from the start of the payload.
#[derive(Default)]
struct Runs {
    offsets: Vec<u64>,
    lengths: Vec<u32>,
    sizes: Vec<u32>,
    sync_numbers: Vec<u32>,
    sync_offsets: Vec<u64>,
}

impl Runs {
    fn append(&mut self, payload: &mut Vec<u8>, run: &[Sample]) {
        self.offsets.push(payload.len() as u64);
        self.lengths.push(run.len() as u32);
        for sample in run {
            self.sizes.push(sample.bytes.len() as u32);
            if sample.sync {
                self.sync_numbers.push(self.sizes.len() as u32);
                self.sync_offsets.push(payload.len() as u64);
            }
            payload.extend(&sample.bytes);
        }
    }

    fn trak(&self, id: u32, handler: &[u8; 4], start: u64, wide: bool) -> Vec<u8> {
        let counted = |values: &[u32]| words(&[&[0, values.len() as u32], values].concat());
        let offsets = self.offsets.iter().map(|offset| offset + start);
        let offsets = match wide {
            true => {
                let places = offsets.flat_map(u64::to_be_bytes).collect::<Vec<_>>();
                let head = words(&[0, self.offsets.len() as u32]);
                boxed(b"co64", &[&head, &places])
            }
            false => {
                let places: Vec<u32> = offsets.map(|offset| offset as u32).collect();
                boxed(b"stco", &[&counted(&places)])
            }
        };
        let mut changes = vec![0, 0];
        let mut length = 0;
        for (index, now) in self.lengths.iter().enumerate() {
            if *now != length {
                changes.extend([index as u32 + 1, *now, 1]);
                changes[1] += 1;
                length = *now;
            }
        }
        let sizes = words(&[&[0, 0, self.sizes.len() as u32], &self.sizes[..]].concat());
        let mut tables = vec![
            boxed(b"stsc", &[&words(&changes)]),
            boxed(b"stsz", &[&sizes]),
            offsets,
        ];
        if handler == b"vide" && self.sync_numbers.len() < self.sizes.len() {
            tables.push(boxed(b"stss", &[&counted(&self.sync_numbers)]));
        }
        trak(id, handler, &tables.concat())
    }
}

fn trak(id: u32, handler: &[u8; 4], tables: &[u8]) -> Vec<u8> {
    let stbl = boxed(b"stbl", &[tables]);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), handler, &[0; 13]]);
    let mdia = boxed(b"mdia", &[&hdlr, &boxed(b"minf", &[&stbl])]);
    let tkhd = boxed(b"tkhd", &[&words(&[7, 0, 0, id]), &[0; 68]]);
    boxed(b"trak", &[&tkhd, &mdia])
}

/// One file with all samples listed in its `moov`.
pub(super) fn progressive(pictures: &[Sample], sounds: &[Sample], layout: &Layout) -> Made {
    let mut payload = Vec::new();
    let (mut picture_runs, mut sound_runs) = (Runs::default(), Runs::default());
    let run_count = pictures.len().div_ceil(layout.pictures_in_run);
    let sounds_in_run = sounds.len().div_ceil(run_count.max(1)).max(1);
    let mut sound_chunks = sounds.chunks(sounds_in_run);
    for run in pictures.chunks(layout.pictures_in_run) {
        picture_runs.append(&mut payload, run);
        if let Some(run) = sound_chunks.next() {
            sound_runs.append(&mut payload, run);
        }
    }
    let ftyp = boxed(b"ftyp", &[b"isom\0\0\x02\0isommp42"]);
    let moov = |start: u64| {
        let tags = vec![b't'; layout.tags_bytes];
        boxed(
            b"moov",
            &[
                &picture_runs.trak(1, b"vide", start, layout.wide),
                &sound_runs.trak(2, b"soun", start, layout.wide),
                &boxed(b"udta", &[&tags]),
            ],
        )
    };
    let moov_bytes = if layout.moov_first { moov(0).len() } else { 0 };
    let start = (ftyp.len() + moov_bytes + 8) as u64;
    let mdat = boxed(b"mdat", &[&payload]);
    let pieces = match layout.moov_first {
        true => [ftyp, moov(start), mdat],
        false => [ftyp, mdat, moov(start)],
    };
    let sync = picture_runs.sync_offsets.iter();
    let place = start..start + payload.len() as u64;
    Made {
        bytes: pieces.concat(),
        sync: sync.map(|offset| offset + start).collect(),
        payloads: vec![place],
    }
}

/// One file of fragments with `in_fragment` pictures each. The sound's runs follow the pictures'.
pub(super) fn fragmented(pictures: &[Sample], sounds: &[Sample], in_fragment: usize) -> Made {
    let trex = |id| boxed(b"trex", &[&words(&[0, id, 1, 0, 0, DELTA])]);
    let moov = boxed(
        b"moov",
        &[
            &trak(1, b"vide", &[]),
            &trak(2, b"soun", &[]),
            &boxed(b"mvex", &[&trex(1), &trex(2)]),
        ],
    );
    let ftyp = boxed(b"ftyp", &[b"iso5\0\0\x02\0iso5dash"]);
    let mut made = Made {
        bytes: [ftyp, moov].concat(),
        sync: Vec::new(),
        payloads: Vec::new(),
    };
    let fragment_count = pictures.len().div_ceil(in_fragment);
    let mut sounds = sounds.chunks(sounds.len().div_ceil(fragment_count).max(1));
    for (number, run) in pictures.chunks(in_fragment).enumerate() {
        let sound_run = sounds.next().unwrap_or_default();
        let picture_bytes: usize = run.iter().map(|sample| sample.bytes.len()).sum();
        let moof_of = |bytes: usize| moof(number as u32, run, sound_run, bytes, picture_bytes);
        let moof = moof_of(moof_of(0).len());
        let payload: Vec<u8> = run
            .iter()
            .chain(sound_run)
            .flat_map(|s| &s.bytes)
            .copied()
            .collect();
        let start = (made.bytes.len() + moof.len() + 8) as u64;
        let mut offset = start;
        for sample in run {
            if sample.sync {
                made.sync.push(offset);
            }
            offset += sample.bytes.len() as u64;
        }
        made.payloads.push(start..start + payload.len() as u64);
        made.bytes.extend(moof);
        made.bytes.extend(boxed(b"mdat", &[&payload]));
    }
    made
}

fn moof(
    number: u32,
    run: &[Sample],
    sounds: &[Sample],
    bytes: usize,
    picture_bytes: usize,
) -> Vec<u8> {
    // default-base-is-moof; data offset, size and flags of each sample.
    let tfhd = boxed(b"tfhd", &[&words(&[0x2_0000, 1])]);
    let mut trun = vec![0x601, run.len() as u32, bytes as u32 + 8];
    for sample in run {
        trun.extend([
            sample.bytes.len() as u32,
            if sample.sync { SYNC } else { DELTA },
        ]);
    }
    let pictures = boxed(b"traf", &[&tfhd, &boxed(b"trun", &[&words(&trun)])]);
    // Flags for all samples in the header; sizes only in the run.
    let tfhd = boxed(b"tfhd", &[&words(&[0x2_0020, 2, SYNC])]);
    let mut trun = vec![
        0x201,
        sounds.len() as u32,
        (bytes + 8 + picture_bytes) as u32,
    ];
    trun.extend(sounds.iter().map(|sample| sample.bytes.len() as u32));
    let sounds = boxed(b"traf", &[&tfhd, &boxed(b"trun", &[&words(&trun)])]);
    let mfhd = boxed(b"mfhd", &[&words(&[0, number])]);
    boxed(b"moof", &[&mfhd, &pictures, &sounds])
}
