//! For every steady or troubled flow of units: what is read back is what went in.

use proptest::prelude::*;

use super::super::{read_fragment, read_init};
use super::*;
use crate::media::{PART_TARGET_MS, SEGMENT_DURATION_MS};

/// What a unit becomes in its fragment: decode time, duration, sync, bytes.
type Seen = (u64, u32, bool, Vec<u8>);

fn read_back(parameters: &TrackParameters, init: &[u8], parts: &[Part]) -> Vec<Seen> {
    let header = read_init(init).expect("our own header reads back");
    assert_eq!(&header.parameters, parameters);
    let file: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
    let (mut rest, mut seen, mut sequence) = (&file[..], Vec::new(), 0);
    for part in parts {
        let fragment = read_fragment(rest, &header).expect("our own fragment reads back");
        assert_eq!(fragment.sequence, sequence + 1);
        assert_eq!(fragment.start_ticks, part.start_ticks);
        assert_eq!(fragment.duration_ticks(), u64::from(part.duration_ticks));
        assert_eq!(fragment.bytes_count, part.bytes.len());
        let mut time = fragment.start_ticks;
        for sample in &fragment.samples {
            let data = rest[sample.offset..][..sample.size_bytes].to_vec();
            seen.push((time, sample.duration_ticks, sample.sync, data));
            time += u64::from(sample.duration_ticks);
        }
        sequence = fragment.sequence;
        rest = &rest[fragment.bytes_count..];
    }
    assert!(rest.is_empty());
    seen
}

fn expected(units: &[AccessUnit]) -> Vec<Seen> {
    units
        .iter()
        .map(|unit| {
            let time = 1_000_000 + unit.pts_ticks;
            (time, unit.duration_ticks, unit.keyframe, unit.data.to_vec())
        })
        .collect()
}

/// Writes all units, checks that they read back and that the parts keep the rules of a steady flow.
fn check_steady(parameters: TrackParameters, units: Vec<AccessUnit>) {
    let mut writer = writer(parameters.clone());
    let mut parts = push_all(&mut writer, units.iter().cloned());
    parts.extend(writer.finish());
    let init = writer.init_segment();
    assert_eq!(
        read_back(&parameters, &init.bytes, &parts),
        expected(&units)
    );

    let timescale = u64::from(parameters.timescale());
    let unit_ticks = u64::from(units[0].duration_ticks);
    for part in &parts {
        let ticks = u64::from(part.duration_ticks);
        assert!(ticks * 1000 <= u64::from(PART_TARGET_MS) * timescale);
        if !part.last {
            assert!(ticks * 100_000 >= u64::from(PART_TARGET_MS) * timescale * 85);
        }
        assert_eq!(part.independent, part.index == 0);
    }
    for pair in parts.windows(2) {
        let end = pair[0].start_ticks + u64::from(pair[0].duration_ticks);
        assert_eq!(end, pair[1].start_ticks, "tfdt is contiguous");
        let follows = if pair[0].last {
            (pair[0].msn + 1, 0)
        } else {
            (pair[0].msn, pair[0].index + 1)
        };
        assert_eq!((pair[1].msn, pair[1].index), follows);
    }
    // Every segment but the last ends within a unit after the grid; a picture's exactly on it.
    for part in parts.iter().rev().skip(1).filter(|part| part.last) {
        let end = part.start_ticks + u64::from(part.duration_ticks) - 1_000_000;
        let grid = (part.msn - 6) * timescale * u64::from(SEGMENT_DURATION_MS) / 1000;
        let late = end - grid;
        assert!(late < unit_ticks);
        if matches!(parameters, TrackParameters::Video(_)) {
            assert_eq!(late, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn steady_pictures_come_back_and_keep_the_rules(
        frames_per_second in prop::sample::select(vec![3, 6, 9, 10, 12, 15, 18, 24, 25, 30, 48, 50, 60]),
        count in 1u64..400,
    ) {
        check_steady(video(frames_per_second), pictures(frames_per_second, count).collect());
    }

    #[test]
    fn steady_sound_comes_back_and_keeps_the_rules(
        sample_rate in prop::sample::select(vec![16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]),
        count in 1u64..700,
    ) {
        check_steady(audio(sample_rate), sounds(count).collect());
    }

    #[test]
    fn whatever_is_lost_or_unexpected_the_rest_comes_back(
        lost in prop::collection::vec(any::<bool>(), 300),
        extra_keys in prop::collection::vec(prop::bool::weighted(0.1), 300),
    ) {
        let parameters = video(30);
        let mut writer = writer(parameters.clone());
        let units: Vec<_> = pictures(30, 300)
            .enumerate()
            .filter(|(index, _)| index % 60 == 0 || !lost[*index] || index % 7 != 0)
            .map(|(index, unit)| AccessUnit { keyframe: unit.keyframe || extra_keys[index], ..unit })
            .collect();
        let mut parts = push_all(&mut writer, units.iter().cloned());
        parts.extend(writer.finish());
        prop_assert_eq!(read_back(&parameters, &writer.init_segment().bytes, &parts), expected(&units));
        for pair in parts.windows(2) {
            prop_assert!(pair[1].msn == pair[0].msn && pair[1].index == pair[0].index + 1
                || pair[1].msn == pair[0].msn + 1 && pair[1].index == 0);
        }
    }
}
