//! Live playlists, whole and as deltas.

use super::super::*;
use crate::base::Wall;
use crate::media::{RenditionId, Rung};

fn segment(msn: u64, parts: usize, complete: bool) -> ListedSegment {
    let part = |index| ListedPart {
        duration_s: 30_000.0 / 90_000.0,
        independent: index == 0,
    };
    ListedSegment {
        msn,
        run: 3,
        discontinuity_sequence: 3,
        discontinuities: 0,
        wall_start: Wall(1_763_712_000_000 + msn as i64 * 2_000),
        complete,
        parts: (0..parts).map(part).collect(),
    }
}

/// `count` finished segments from `first` and an open one of two parts.
fn window(first: u64, count: u64) -> LiveWindow {
    let mut segments: Vec<_> = (first..first + count)
        .map(|m| segment(m, 6, true))
        .collect();
    segments.push(segment(first + count, 2, false));
    LiveWindow {
        segments,
        ..LiveWindow::default()
    }
}

#[test]
fn a_small_window_reads_as_the_protocol_asks() {
    let mut small = window(100, 1);
    small.segments[1].discontinuities = 1;
    small.segments[1].discontinuity_sequence = 4;
    small.segments[1].run = 4;
    small.reports.push(RenditionReport {
        rendition: RenditionId::video(Rung::High),
        edge: Edge {
            msn: 101,
            part: 2,
            complete: false,
        },
    });
    let expected = r#"#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002,HOLD-BACK=6.000,CAN-SKIP-UNTIL=12.000
#EXT-X-PART-INF:PART-TARGET=0.334
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-MAP:URI="init-3.mp4"
#EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:03:20.000Z
#EXT-X-PART:DURATION=0.33333,URI="100.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.33333,URI="100.1.m4s"
#EXT-X-PART:DURATION=0.33333,URI="100.2.m4s"
#EXT-X-PART:DURATION=0.33333,URI="100.3.m4s"
#EXT-X-PART:DURATION=0.33333,URI="100.4.m4s"
#EXT-X-PART:DURATION=0.33333,URI="100.5.m4s"
#EXTINF:2.00000,
100.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-4.mp4"
#EXT-X-PROGRAM-DATE-TIME:2025-11-21T08:03:22.000Z
#EXT-X-PART:DURATION=0.33333,URI="101.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.33333,URI="101.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="101.2.m4s"
#EXT-X-RENDITION-REPORT:URI="../high/index.m3u8",LAST-MSN=101,LAST-PART=2
"#;
    assert_eq!(render_live_playlist(&small, Scope::Full), expected);
}

#[test]
fn the_discontinuity_stays_counted_once_as_it_leaves() {
    let check = |hidden: usize, expected: &str| {
        let mut listed = window(10, 3);
        for (index, segment) in listed.segments.iter_mut().enumerate() {
            segment.discontinuity_sequence = 5 + u64::from(index >= 1);
            segment.discontinuities = u64::from(index == 1);
        }
        listed.segments.drain(..hidden);
        let text = render_live_playlist(&listed, Scope::Full);
        assert!(text.contains(expected), "{hidden}: {text}");
    };
    check(0, "#EXT-X-DISCONTINUITY-SEQUENCE:5\n");
    check(1, "#EXT-X-DISCONTINUITY-SEQUENCE:5\n#EXT-X-DISCONTINUITY\n");
    check(2, "#EXT-X-DISCONTINUITY-SEQUENCE:6\n#EXT-X-MAP");
}

#[test]
fn hold_backs_keep_their_distance_from_the_targets() {
    const {
        assert!(PART_HOLD_BACK_MS >= 3 * crate::media::PART_TARGET_MS);
        assert!(HOLD_BACK_MS >= 3 * TARGET_DURATION_S * 1000);
        assert!(CAN_SKIP_UNTIL_MS >= 6 * TARGET_DURATION_S * 1000);
    }
}

#[test]
fn parts_are_listed_near_the_edge_alone_and_never_in_fragments_of_a_segment() {
    let text = render_live_playlist(&window(20, 12), Scope::Full);
    let with_parts: Vec<_> = (20..33)
        .filter(|m| text.contains(&format!("{m}.0.m4s")))
        .collect();
    assert_eq!(with_parts, [30, 31, 32]);
    for msn in [30, 31] {
        assert!(text.contains(&format!("{msn}.5.m4s")));
    }
}

/// What a client does with a delta: the skipped segments come from the playlist it has.
fn merge(old: &str, delta: &str) -> String {
    let segments = |text: &str| {
        let body = text
            .split_once("#EXT-X-DISCONTINUITY-SEQUENCE:")
            .expect("is there")
            .1;
        let body = body.split_once('\n').expect("the line ends").1.to_owned();
        let lines = body.lines().map(str::to_owned);
        let mut segments = vec![vec![]];
        for line in lines {
            let ends = !line.starts_with('#');
            segments.last_mut().expect("never empty").push(line);
            if ends {
                segments.push(vec![]);
            }
        }
        segments
    };
    let first = |text: &str| -> usize {
        let tail = text
            .split_once("#EXT-X-MEDIA-SEQUENCE:")
            .expect("is there")
            .1;
        tail.lines()
            .next()
            .expect("a number")
            .parse()
            .expect("a number")
    };
    let (head, tail) = delta
        .split_once("#EXT-X-SKIP:SKIPPED-SEGMENTS=")
        .expect("a delta");
    let (skipped, tail) = tail.split_once('\n').expect("the line ends");
    let skipped: usize = skipped.parse().expect("a number");
    let gone = first(delta) - first(old);
    let kept: Vec<_> = segments(old)[gone..gone + skipped].concat();
    // Which of the segments that leave named the header is the client's to remember.
    let map = old
        .lines()
        .find(|line| line.starts_with("#EXT-X-MAP"))
        .expect("a header");
    let map = if kept[0].starts_with("#EXT-X-MAP") {
        String::new()
    } else {
        format!("{map}\n")
    };
    let kept: Vec<_> = kept
        .iter()
        .filter(|line| !line.starts_with("#EXT-X-PART:"))
        .cloned()
        .collect();
    format!("{head}{map}{}\n{tail}", kept.join("\n"))
}

#[test]
fn delta_merged_with_the_old_playlist_equals_the_full_one() {
    for later in 0..4 {
        let old = render_live_playlist(&window(50, 12), Scope::Full);
        let now = window(50 + later, 12);
        let delta = render_live_playlist(&now, Scope::Delta);
        assert_eq!(merge(&old, &delta), render_live_playlist(&now, Scope::Full));
        assert!(delta.len() < old.len());
    }
}

#[test]
fn a_window_shorter_than_the_skip_boundary_has_no_delta() {
    let short = window(0, 6);
    assert_eq!(
        render_live_playlist(&short, Scope::Delta),
        render_live_playlist(&short, Scope::Full)
    );
    assert!(
        render_live_playlist(&window(0, 7), Scope::Delta)
            .contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n")
    );
}

#[test]
fn an_ended_source_hints_at_nothing() {
    let mut ended = window(0, 3);
    ended.ended = true;
    ended.segments[3].complete = true;
    let text = render_live_playlist(&ended, Scope::Full);
    assert!(text.ends_with("#EXTINF:0.66667,\n3.m4s\n#EXT-X-ENDLIST\n"));
    assert!(!text.contains("PRELOAD-HINT"));
}

#[test]
fn an_empty_window_is_still_a_playlist() {
    let text = render_live_playlist(&LiveWindow::default(), Scope::Full);
    assert!(text.starts_with("#EXTM3U\n"));
    assert!(!text.contains("HINT"));
}
