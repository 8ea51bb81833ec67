//! Movies made of segments: every sample in its place and time, whatever was recorded.

use proptest::prelude::*;

use super::super::{
    ClipSegment, ClipWriteError, ClipWriter, FragmentHead, Joint, MovieHead, ReadFragment,
    SampleEntry, TimelapseWriter, read_fragment, read_fragment_head, read_init,
};
use super::movie_reader::{ReadMovie, read_movie};
use super::*;
use crate::base::Wall;

/// 2026-11-21T10:00:00Z.
const NOON: Wall = Wall(1_795_255_200_000);
const TICKS_A_SECOND: u64 = TrackParameters::VIDEO_TIMESCALE as u64;

/// A recorded segment in one piece.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) msn: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) fragments: Vec<(u64, ReadFragment)>,
}

impl Recorded {
    pub(super) fn as_segment<'a>(&'a self, entry: &'a SampleEntry) -> ClipSegment<'a> {
        ClipSegment {
            entry,
            bytes_count: self.bytes.len() as u64,
            fragments: &self.fragments,
        }
    }

    fn samples(&self) -> Vec<Vec<u8>> {
        let within = |(start, fragment): &(u64, ReadFragment)| {
            let bytes = self.bytes[*start as usize..].to_vec();
            let samples = fragment.samples.clone();
            samples
                .into_iter()
                .map(move |sample| bytes[sample.offset..][..sample.size_bytes].to_vec())
        };
        self.fragments.iter().flat_map(within).collect()
    }
}

/// Records a run: its sample entry and its segments.
pub(super) fn record(
    parameters: TrackParameters,
    origin: TrackOrigin,
    units: impl IntoIterator<Item = AccessUnit>,
) -> (SampleEntry, Vec<Recorded>) {
    let mut writer = TrackWriter::new(parameters, origin).expect("these can be written");
    let mut parts = push_all(&mut writer, units);
    parts.extend(writer.finish());
    let init = writer.init_segment().bytes;
    let header = read_init(&init).expect("our own header");
    let mut segments: Vec<Recorded> = Vec::new();
    for part in parts {
        if segments
            .last()
            .is_none_or(|segment| segment.msn != part.msn)
        {
            segments.push(Recorded {
                msn: part.msn,
                bytes: Vec::new(),
                fragments: Vec::new(),
            });
        }
        let segment = segments.last_mut().expect("it was pushed above");
        let start = segment.bytes.len() as u64;
        let fragment = read_fragment(&part.bytes, &header).expect("our own fragment");
        segment.fragments.push((start, fragment));
        segment.bytes.extend_from_slice(&part.bytes);
    }
    let entry = SampleEntry::read(&init).expect("our own header");
    (entry, segments)
}

fn origin(msn: u64, timescale: u32, start_ms: u64) -> TrackOrigin {
    TrackOrigin {
        msn,
        start_ticks: start_ms * u64::from(timescale) / 1000,
    }
}

/// A file in one piece.
pub(super) fn file(head: &MovieHead, media: &[&Recorded]) -> Vec<u8> {
    let mut file = head.bytes.to_vec();
    for segment in media {
        file.extend_from_slice(&segment.bytes);
    }
    let media_bytes: usize = media.iter().map(|segment| segment.bytes.len()).sum();
    assert_eq!(head.media_bytes, media_bytes as u64);
    file
}

/// Two runs of pictures and sound, some segments of which are missing.
#[derive(Debug)]
struct Shape {
    fps: u32,
    sample_rate: u32,
    seconds: [u64; 2],
    lost: Vec<u64>,
    lost_sound: Vec<u64>,
    from_ticks: u64,
    to_ticks: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    (
        prop::sample::select(vec![6u32, 10, 15, 24, 25, 30, 50]),
        prop::sample::select(vec![22_050u32, 32_000, 44_100, 48_000]),
        [1u64..12, 0u64..8],
        prop::collection::vec(0u64..10, 0..3),
        prop::collection::vec(0u64..10, 0..4),
        0u64..2 * TICKS_A_SECOND,
        1u64..2 * TICKS_A_SECOND,
    )
        .prop_map(
            |(fps, sample_rate, seconds, lost, lost_sound, from_ticks, to_ticks)| Shape {
                fps,
                sample_rate,
                seconds,
                lost,
                lost_sound,
                from_ticks,
                to_ticks,
            },
        )
}

/// What a shape's movie must show: each picture's bytes, when on the camera's clock, and whether its stretch starts.
struct Made {
    movie: ReadMovie,
    file: Vec<u8>,
    /// Samples of each stretch of pictures that must be listed, with the camera's time in ticks.
    stretches: Vec<Vec<(u64, Vec<u8>)>>,
    /// Every sample of sound, by its bytes, with the camera's time in ticks of its own and its stretch.
    sounds: Vec<(usize, u64, Vec<u8>)>,
}

fn make(shape: &Shape) -> Option<Made> {
    let mut writer = ClipWriter::default();
    let mut media = Vec::new();
    let mut stretches: Vec<Vec<(u64, Vec<u8>)>> = Vec::new();
    let mut sounds = Vec::new();
    let mut everything = Vec::new();
    for (run, seconds) in shape.seconds.into_iter().enumerate() {
        let msn = run as u64 * 100;
        // The second run starts somewhere off the first's grid.
        let start_ms = run as u64 * 100_777;
        let pictures = record(
            video(shape.fps),
            origin(msn, 90_000, start_ms),
            pictures(shape.fps, seconds * u64::from(shape.fps)).map(move |unit| AccessUnit {
                data: format!("{run} picture {}", unit.pts_ticks).into(),
                ..unit
            }),
        );
        let sound_count = seconds * u64::from(shape.sample_rate) / 1024;
        let sound = record(
            audio(shape.sample_rate),
            origin(msn, shape.sample_rate, start_ms),
            sounds_named(run, sound_count),
        );
        everything.push((run, msn, pictures, sound));
    }
    let listed: Vec<_> = everything
        .iter()
        .flat_map(|(run, base, pictures, sound)| {
            pictures
                .1
                .iter()
                .map(move |segment| (*run, *base, pictures, sound, segment))
        })
        .filter(|(run, base, .., segment)| *run == 1 || !shape.lost.contains(&(segment.msn - base)))
        .collect();
    let mut before: Option<u64> = None;
    let last_msn = listed.last()?.4.msn;
    for (run, base, (entry, _), (sound_entry, sound), segment) in listed {
        let goes_on = before.is_some_and(|before| before + 1 == segment.msn);
        let joint = if goes_on {
            Joint::GoesOn
        } else {
            Joint::Starts
        };
        let to_ticks = if segment.msn == last_msn {
            shape.to_ticks
        } else {
            u64::MAX
        };
        let clip_segment = segment.as_segment(entry);
        writer
            .push_pictures(&clip_segment, joint, shape.from_ticks, to_ticks)
            .expect("one format");
        media.push(segment);
        if !goes_on {
            stretches.push(Vec::new());
        }
        let start = segment.fragments[0].1.start_ticks;
        let mut time = start;
        let durations = segment
            .fragments
            .iter()
            .flat_map(|(_, fragment)| &fragment.samples);
        for (bytes, sample) in segment.samples().into_iter().zip(durations) {
            if time < start.saturating_add(to_ticks) {
                stretches.last_mut()?.push((time, bytes));
            }
            time += u64::from(sample.duration_ticks);
        }
        let heard = sound.iter().find(|heard| {
            heard.msn == segment.msn
                && (run == 1 || !shape.lost_sound.contains(&(heard.msn - base)))
        });
        if let Some(heard) = heard {
            writer
                .push_sound(&heard.as_segment(sound_entry))
                .expect("one format");
            media.push(heard);
            let mut time = heard.fragments[0].1.start_ticks;
            for bytes in heard.samples() {
                sounds.push((stretches.len() - 1, time, bytes));
                time += 1024;
            }
        }
        before = Some(segment.msn);
    }
    let head = writer.finish(NOON).ok()?;
    let file = file(&head, &media);
    let movie = read_movie(&file);
    assert_eq!(movie.duration, head.duration_ticks);
    assert_eq!(movie.tracks.len(), 1 + usize::from(head.sound));
    Some(Made {
        movie,
        file,
        stretches,
        sounds,
    })
}

fn sounds_named(run: usize, count: u64) -> impl Iterator<Item = AccessUnit> {
    sounds(count).map(move |unit| AccessUnit {
        data: format!("{run} sound {}", unit.pts_ticks).into(),
        ..unit
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_sample_is_in_its_place_and_keeps_its_time_within_its_stretch(shape in shapes()) {
        let Some(made) = make(&shape) else { return Ok(()) };
        let Made { movie, file, stretches, sounds } = made;
        let bytes_of = |offset: u64, size: u32| &file[offset as usize..][..size as usize];
        let pictures = &movie.tracks[0];
        let expected: Vec<_> = stretches.iter().flatten().collect();
        prop_assert_eq!(pictures.samples.len(), expected.len());
        let (mut shown, mut index) = (0, 0);
        // Where each stretch begins in the movie, and on the camera's clock.
        let mut begins = Vec::new();
        for stretch in &stretches {
            begins.push((shown, stretch.first().map_or(0, |(time, _)| *time)));
            for (time, bytes) in stretch {
                let sample = &pictures.samples[index];
                prop_assert_eq!(bytes_of(sample.offset, sample.size), &bytes[..]);
                prop_assert_eq!(sample.start, shown + time - stretch[0].0);
                index += 1;
            }
            if let Some((last, _)) = stretch.last() {
                shown += last - stretch[0].0 + u64::from(90_000 / shape.fps);
            }
        }
        // The first picture shown is the one on view at the wanted moment.
        let cut = movie.tracks[0].edit.media_time;
        let on_view = pictures.samples.iter().rfind(|sample| {
            sample.start <= shape.from_ticks && sample.start < 2 * TICKS_A_SECOND
        });
        let in_first = expected.iter().take_while(|(time, _)| *time < stretches[0][0].0 + 2 * TICKS_A_SECOND).count();
        prop_assert!(cut <= shape.from_ticks || in_first == 1);
        prop_assert_eq!(Some(cut), on_view.map(|sample| sample.start.min(pictures.samples[in_first - 1].start)));
        prop_assert_eq!(movie.tracks[0].edit.empty, 0);
        prop_assert_eq!(movie.duration, shown - cut);

        let Some(sound) = movie.tracks.get(1) else { return Ok(()) };
        let rate = u64::from(shape.sample_rate);
        let mut end = None;
        for sample in &sound.samples {
            let bytes = bytes_of(sample.offset, sample.size);
            let (stretch, time, _) = sounds.iter().find(|(.., known)| known == bytes).expect("recorded");
            let (shown, recorded) = begins[*stretch];
            // In the movie as far behind its stretch's first picture as it was recorded, but for rounding.
            let behind_ns = |ticks: u64, scale: u64| i128::from(ticks) * 1_000_000_000 / i128::from(scale);
            let expected = behind_ns(*time, rate) - behind_ns(recorded, 90_000);
            let found = behind_ns(sample.start + sound.origin, rate) - behind_ns(shown, 90_000);
            prop_assert!((expected - found).abs() <= 3 * 1_000_000_000 / i128::from(rate), "{} {}", expected, found);
            prop_assert!(end.is_none_or(|end| end <= sample.start));
            end = Some(sample.start + 1);
        }
        // One sample before the cut, no more; and nothing is heard that the pictures do not last for.
        prop_assert!(sound.edit.media_time <= 2 * 1024);
        prop_assert!(sound.edit.empty + sound.edit.duration <= movie.duration);
        prop_assert!(sound.rolls);
    }

    #[test]
    fn the_head_of_a_fragment_tells_what_the_whole_does(
        count in 1u64..40,
        fps in prop::sample::select(vec![6u32, 25, 60]),
        flipped in prop::option::of((0usize..400, 1u8..)),
    ) {
        let mut writer = writer(video(fps));
        let header = read_init(&writer.init_segment().bytes).expect("our own");
        let mut parts = push_all(&mut writer, pictures(fps, count));
        parts.extend(writer.finish());
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        if let Some((at, bits)) = flipped
            && let Some(byte) = bytes.get_mut(at)
        {
            *byte ^= bits;
        }
        let mut known = 0;
        let told = loop {
            match read_fragment_head(&bytes[..known], bytes.len() as u64, &header) {
                Ok(FragmentHead::Needs(more)) => {
                    prop_assert!(more > known && more <= bytes.len());
                    known = more;
                }
                told => break told,
            }
        };
        match (told, read_fragment(&bytes, &header)) {
            (Ok(FragmentHead::Whole(told)), Ok(whole)) => prop_assert_eq!(told, whole),
            (Err(_), Err(_)) => {}
            (told, whole) => prop_assert!(false, "{:?} {:?}", told, whole),
        }
    }
}

#[test]
fn another_size_is_refused_and_another_parameter_set_is_not() {
    let units = || pictures(30, 60);
    let (entry, segments) = record(video(30), origin(0, 90_000, 0), units());
    let changed = |change: fn(&mut VideoParameters)| {
        let TrackParameters::Video(mut parameters) = video(30) else {
            unreachable!("it is video")
        };
        change(&mut parameters);
        record(
            TrackParameters::Video(parameters),
            origin(9, 90_000, 0),
            units(),
        )
        .0
    };
    let mut writer = ClipWriter::default();
    let mut push = |entry: &SampleEntry| {
        let segment = segments[0].as_segment(entry);
        writer.push_pictures(&segment, Joint::Starts, 0, u64::MAX)
    };
    assert_eq!(push(&entry), Ok(()));
    let wide = changed(|video| video.width = 640);
    assert_eq!(push(&wide), Err(ClipWriteError::OtherFormat));
    let other_bitrate = changed(|video| video.bitrate_bps = 9);
    assert_eq!(push(&other_bitrate), Ok(()));
    let mut other_sps = AVCC.to_vec();
    other_sps[12] ^= 1;
    let other_sps = move || Bytes::from(other_sps.clone());
    let TrackParameters::Video(mut parameters) = video(30) else {
        unreachable!("it is video")
    };
    parameters.avcc = other_sps();
    let (other, _) = record(
        TrackParameters::Video(parameters),
        origin(9, 90_000, 0),
        units(),
    );
    assert_eq!(push(&other), Ok(()));
    let head = writer.finish(NOON).expect("three segments");
    let movie = read_movie(&file(&head, &[&segments[0], &segments[0], &segments[0]]));
    assert_eq!(movie.tracks[0].entries, 2);
    let descriptions: Vec<_> = movie.tracks[0]
        .samples
        .iter()
        .map(|sample| sample.description)
        .collect();
    assert_eq!(descriptions, [vec![1; 120], vec![2; 60]].concat());
}

#[test]
fn nothing_makes_no_movie() {
    assert_eq!(
        ClipWriter::default().finish(NOON),
        Err(ClipWriteError::NoPicture)
    );
    assert_eq!(
        TimelapseWriter::new(3000).finish(NOON),
        Err(ClipWriteError::NoPicture)
    );
}

#[test]
fn offsets_beyond_four_gigabytes_get_the_fields_for_it() {
    let (entry, segments) = record(video(30), origin(0, 90_000, 0), pictures(30, 60));
    let mut writer = ClipWriter::default();
    let huge = ClipSegment {
        bytes_count: 3 << 30,
        ..segments[0].as_segment(&entry)
    };
    for joint in [Joint::Starts, Joint::Starts] {
        writer
            .push_pictures(&huge, joint, 0, u64::MAX)
            .expect("one format");
    }
    let head = writer.finish(NOON).expect("two segments");
    assert_eq!(head.media_bytes, 6 << 30);
    let movie = read_movie(&head.bytes);
    let offset = segments[0].fragments[0].1.samples[0].offset as u64;
    let media_start = head.bytes.len() as u64;
    assert_eq!(movie.tracks[0].samples[0].offset, media_start + offset);
    assert_eq!(
        movie.tracks[0].samples[60].offset,
        media_start + (3 << 30) + offset
    );
}

#[test]
fn a_time_lapse_shows_each_keyframe_for_the_same_time() {
    let (entry, segments) = record(video(30), origin(0, 90_000, 0), pictures(30, 300));
    let mut writer = TimelapseWriter::new(3000);
    let keyframes: Vec<_> = segments
        .iter()
        .map(|segment| segment.samples().swap_remove(0))
        .collect();
    for keyframe in &keyframes {
        writer
            .push(&entry, keyframe.len() as u32)
            .expect("one format");
    }
    let head = writer.finish(NOON).expect("five pictures");
    let file = [&head.bytes[..], &keyframes.concat()].concat();
    let movie = read_movie(&file);
    assert_eq!(movie.duration, 5 * 3000);
    for ((sample, keyframe), index) in movie.tracks[0].samples.iter().zip(&keyframes).zip(0u64..) {
        assert_eq!(
            &file[sample.offset as usize..][..sample.size as usize],
            keyframe
        );
        assert_eq!((sample.start, sample.sync), (index * 3000, true));
    }
}
