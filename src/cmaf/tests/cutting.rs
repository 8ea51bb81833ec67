//! Where parts and segments end.

use super::super::{PART_BYTES_MAX, UNIT_BYTES_MAX, WriteError};
use super::*;

/// `(msn, index, duration_ticks, independent, last)` of each part.
fn shapes(parts: &[Part]) -> Vec<(u64, u32, u32, bool, bool)> {
    parts
        .iter()
        .map(|p| (p.msn, p.index, p.duration_ticks, p.independent, p.last))
        .collect()
}

#[test]
fn thirty_pictures_a_second_make_six_parts_of_ten() {
    let mut writer = writer(video(30));
    let parts = push_all(&mut writer, pictures(30, 120));
    let expected: Vec<_> = (0..12)
        .map(|i| (7 + i / 6, (i % 6) as u32, 30_000, i % 6 == 0, i % 6 == 5))
        .collect();
    assert_eq!(shapes(&parts), expected);
    assert_eq!(parts[0].start_ticks, 1_000_000);
    assert_eq!(parts[6].start_ticks, 1_180_000);
    assert_eq!(writer.finish(), None);
}

#[test]
fn a_part_is_closed_with_its_last_unit_not_with_the_next() {
    let mut writer = writer(video(30));
    assert!(push_all(&mut writer, pictures(30, 9)).is_empty());
    let tenth = pictures(30, 10).last().expect("there are ten");
    assert_eq!(writer.push(tenth).map(|parts| parts.len()), Ok(1));
}

#[test]
fn sound_is_cut_at_the_frame_whose_end_reaches_the_grid() {
    let mut writer = writer(audio(48_000));
    let parts = push_all(&mut writer, sounds(188));
    let full = 15 * 1024;
    let durations: Vec<_> = parts.iter().map(|p| (p.msn, p.duration_ticks)).collect();
    let mut expected = vec![(7, full); 6];
    expected.push((7, 4 * 1024));
    expected.extend([(8, full); 6]);
    expected.push((8, 4 * 1024));
    assert_eq!(durations, expected);
    assert_eq!(parts.iter().filter(|p| p.last).count(), 2);
    assert!(parts.iter().all(|p| p.independent == (p.index == 0)));
}

#[test]
fn finish_closes_what_is_open_as_the_end_of_its_segment() {
    let mut writer = writer(video(30));
    push_all(&mut writer, pictures(30, 13));
    let part = writer.finish().expect("three pictures are open");
    assert_eq!(shapes(&[part]), [(7, 1, 9_000, false, true)]);
    assert_eq!(writer.finish(), None);
}

#[test]
fn rendition_resuming_mid_run_starts_at_the_first_keyframe_on_the_grid() {
    let mut writer = writer(video(30));
    let parts = push_all(&mut writer, pictures(30, 130).skip(25));
    assert_eq!(writer.dropped_units(), 35);
    assert_eq!((parts[0].msn, parts[0].index), (8, 0));
    assert!(parts[0].independent);
    assert_eq!(parts[0].start_ticks, 1_180_000);
}

#[test]
fn without_a_keyframe_on_the_grid_the_segment_is_dropped_and_counted() {
    let mut writer = writer(video(30));
    let units = pictures(30, 190).map(|unit| AccessUnit {
        // The forced keyframe in the middle does not lie on the grid and opens nothing.
        keyframe: (unit.keyframe && unit.pts_ticks != 180_000) || unit.pts_ticks == 270_000,
        ..unit
    });
    let parts = push_all(&mut writer, units);
    assert_eq!(writer.dropped_units(), 60);
    let msns: Vec<_> = parts.iter().map(|part| part.msn).collect();
    assert_eq!(msns, [7, 7, 7, 7, 7, 7, 9, 9, 9, 9, 9, 9, 10]);
}

#[test]
fn a_keyframe_inside_a_segment_does_not_make_its_part_independent() {
    let mut writer = writer(video(30));
    let units = pictures(30, 60).map(|unit| AccessUnit {
        keyframe: unit.keyframe || unit.pts_ticks == 90_000,
        ..unit
    });
    let parts = push_all(&mut writer, units);
    let independent: Vec<_> = parts.iter().map(|p| p.independent).collect();
    assert_eq!(independent, [true, false, false, false, false, false]);
}

#[test]
fn a_jump_ahead_closes_the_open_part_first() {
    let mut writer = writer(video(30));
    let units = pictures(30, 20).filter(|unit| !(4..6).contains(&(unit.pts_ticks / 3000)));
    let parts = push_all(&mut writer, units);
    assert_eq!(
        shapes(&parts),
        [(7, 0, 12_000, true, false), (7, 1, 30_000, false, false)]
    );
    assert_eq!(parts[1].start_ticks, 1_000_000 + 6 * 3000);
}

#[test]
fn a_jump_over_the_grid_ends_the_segment() {
    let mut writer = writer(video(30));
    let units = pictures(30, 70).filter(|unit| !(53..60).contains(&(unit.pts_ticks / 3000)));
    let parts = push_all(&mut writer, units);
    let tail = &shapes(&parts)[5..];
    assert_eq!(
        tail,
        [(7, 5, 9_000, false, true), (8, 0, 30_000, true, false)]
    );
}

#[test]
fn a_unit_after_a_gap_can_close_two_parts() {
    let mut writer = writer(video(30));
    push_all(&mut writer, pictures(30, 53));
    let closed = writer.push(unit(59 * 3000, 3000, false)).expect("in order");
    assert_eq!(
        shapes(&closed),
        [(7, 5, 9_000, false, false), (7, 6, 3_000, false, true)]
    );
}

#[test]
fn rounding_of_timestamps_neither_drifts_nor_opens_gaps() {
    let mut writer = writer(video(30));
    let jitter = [0, 1, 0, 2, 1];
    let units = pictures(30, 180)
        .enumerate()
        .map(|(index, unit)| AccessUnit {
            // Truncated nanoseconds fall short, also on the grid itself.
            pts_ticks: unit.pts_ticks.saturating_sub(jitter[index % 5]),
            ..unit
        });
    let parts = push_all(&mut writer, units);
    assert_eq!(parts.len(), 18);
    assert_eq!(writer.dropped_units(), 0);
    for pair in parts.windows(2) {
        let end = pair[0].start_ticks + u64::from(pair[0].duration_ticks);
        assert_eq!(end, pair[1].start_ticks);
    }
}

#[test]
fn sound_that_starts_a_little_late_still_opens_its_segment() {
    let late = |ticks: u64| {
        let mut writer = writer(audio(48_000));
        let units = sounds(60).map(|unit| AccessUnit {
            pts_ticks: unit.pts_ticks + ticks,
            ..unit
        });
        push_all(&mut writer, units)
            .first()
            .map(|part| part.start_ticks)
    };
    assert_eq!(late(4_800), Some(1_004_800));
    assert_eq!(late(30_000), None);
}

fn check_refused(unit: AccessUnit, expected: WriteError) {
    let mut writer = writer(video(30));
    push_all(&mut writer, pictures(30, 5));
    assert_eq!(writer.push(unit), Err(expected));
    // The writer goes on as if nothing had happened.
    let parts = push_all(&mut writer, pictures(30, 60).skip(5));
    assert_eq!(parts.len(), 6);
    assert_eq!(parts[0].duration_ticks, 30_000);
}

#[test]
fn bad_units_are_refused_and_leave_the_writer_as_it_was() {
    let next = 5 * 3000;
    for pts_ticks in [0, next - 3000, next - 1600] {
        let expected = WriteError::TimestampWentBackwards {
            pts_ticks,
            expected_ticks: next,
        };
        check_refused(unit(pts_ticks, 3000, false), expected);
    }
    for duration_ticks in [0, 30_061, u32::MAX] {
        let expected = WriteError::DurationOutOfRange {
            duration_ticks,
            ticks_max: 30_060,
        };
        check_refused(unit(next, duration_ticks, false), expected);
    }
    for bytes in [0, UNIT_BYTES_MAX + 1] {
        let huge = AccessUnit {
            data: vec![0; bytes].into(),
            ..unit(next, 3000, false)
        };
        check_refused(huge, WriteError::SizeOutOfRange { bytes });
    }
    let pts_ticks = u64::MAX - 5;
    check_refused(
        unit(pts_ticks, 3000, false),
        WriteError::TimestampBeyondTimeline { pts_ticks },
    );
}

#[test]
fn a_part_is_closed_before_it_grows_past_its_bound() {
    let mut writer = writer(video(30));
    let data = Bytes::from(vec![0; UNIT_BYTES_MAX]);
    let units = pictures(30, 10).map(|unit| AccessUnit {
        data: data.clone(),
        ..unit
    });
    let parts = push_all(&mut writer, units);
    assert_eq!(parts[0].duration_ticks, 4 * 3000);
    assert!(
        parts
            .iter()
            .all(|part| part.bytes.len() < PART_BYTES_MAX + 4096)
    );
}

#[test]
fn parameters_that_fit_no_header_are_refused() {
    let TrackParameters::Video(good) = video(30) else {
        unreachable!("video gives video")
    };
    let check = |change: fn(&mut VideoParameters)| {
        let mut bad = good.clone();
        change(&mut bad);
        let origin = TrackOrigin {
            msn: 0,
            start_ticks: 0,
        };
        let outcome = TrackWriter::new(TrackParameters::Video(bad), origin);
        assert!(matches!(outcome, Err(WriteError::InvalidParameters(_))));
    };
    check(|video| video.avcc = Bytes::new());
    check(|video| video.avcc = video.avcc.slice(..9));
    check(|video| video.width = 70_000);
    check(|video| video.height = 0);
    check(|video| video.frame_rate.numerator = 0);
    check(|video| video.frame_rate.denominator = 0);
}
