//! The live media playlist of one rendition, whole or as a delta update (draft-pantos-hls-rfc8216bis §4.4.3,
//! §6.2.5.1). Rendered from a window that `live` owns, once for each change.

use std::fmt::Write;

use super::{
    CAN_SKIP_UNTIL_MS, HOLD_BACK_MS, PART_HOLD_BACK_MS, PARTS_LISTED_MS, TARGET_DURATION_S,
    VERSION,
    address::{init_name, part_name, playlist_path, segment_name},
    seconds,
};
use crate::base::Wall;
use crate::media::{PART_TARGET_MS, RenditionId};

/// The newest part of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Media sequence number of its segment.
    pub msn: u64,
    /// Its index in the segment.
    pub part: u32,
    /// The segment has all its parts.
    pub complete: bool,
}

impl Edge {
    /// Segment and index of the part that comes next, which the playlist hints at.
    pub fn next(self) -> (u64, u32) {
        if self.complete {
            (self.msn + 1, 0)
        } else {
            (self.msn, self.part + 1)
        }
    }
}

/// A part as it is listed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedPart {
    /// In seconds.
    pub duration_s: f64,
    /// Opens its segment with a keyframe.
    pub independent: bool,
}

/// A segment as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedSegment {
    /// Media sequence number.
    pub msn: u64,
    /// Its run, which names the header.
    pub run: u64,
    /// How many discontinuities precede it since the camera began, its own included.
    pub discontinuity_sequence: u64,
    /// How many of them lie between it and the segment before it: 0 when it continues that one, more than
    /// 1 when this rendition had no segment of the run in between. 0 for the first of a window.
    pub discontinuities: u64,
    /// Civil time of its first picture.
    pub wall_start: Wall,
    /// It has all its parts.
    pub complete: bool,
    /// Its parts so far, in order; never empty.
    pub parts: Vec<ListedPart>,
}

impl ListedSegment {
    fn duration_s(&self) -> f64 {
        self.parts.iter().map(|part| part.duration_s).sum()
    }
}

/// How far another rendition of the same camera has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenditionReport {
    /// Which one.
    pub rendition: RenditionId,
    /// Its newest part.
    pub edge: Edge,
}

/// What a live playlist lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveWindow {
    /// Oldest first, msn growing by 1; only the last may be incomplete.
    pub segments: Vec<ListedSegment>,
    /// Nothing more will come.
    pub ended: bool,
    /// The camera's other renditions.
    pub reports: Vec<RenditionReport>,
}

/// Which of the playlist's forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every segment.
    Full,
    /// The oldest replaced by EXT-X-SKIP. The same as `Full` while none is old enough.
    Delta,
}

/// Renders the playlist. An empty window gives a playlist without segments.
pub fn render_live_playlist(window: &LiveWindow, scope: Scope) -> String {
    let mut text = String::with_capacity(4096);
    let first = window.segments.first();
    let discontinuity_sequence = first.map_or(0, |segment| {
        // While the tags themselves are still listed they must not be counted (§4.4.3.3).
        segment.discontinuity_sequence - segment.discontinuities
    });
    write_head(
        &mut text,
        first.map_or(0, |s| s.msn),
        discontinuity_sequence,
    );

    let from_end_s = seconds_before_end(&window.segments);
    let skipped = match scope {
        Scope::Full => 0,
        Scope::Delta => skipped_count(&window.segments, &from_end_s),
    };
    if skipped > 0 {
        line(
            &mut text,
            format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"),
        );
    }
    let mut run = skipped
        .checked_sub(1)
        .map(|last_skipped| window.segments[last_skipped].run);
    for (segment, &from_end_s) in window.segments.iter().zip(&from_end_s).skip(skipped) {
        let with_parts = from_end_s <= f64::from(PARTS_LISTED_MS) / 1000.0 && !window.ended;
        write_segment(&mut text, segment, run != Some(segment.run), with_parts);
        run = Some(segment.run);
    }
    if window.ended {
        text.push_str("#EXT-X-ENDLIST\n");
    } else if let Some(last) = window.segments.last() {
        let (msn, index) = Edge {
            msn: last.msn,
            part: last.parts.len().saturating_sub(1) as u32,
            complete: last.complete,
        }
        .next();
        let uri = part_name(msn, index);
        line(
            &mut text,
            format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\""),
        );
    }
    if !window.ended {
        for report in &window.reports {
            write_report(&mut text, report);
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .and_then(|()| text.write_char('\n'))
        .expect("writing to a String cannot fail");
}

fn write_head(text: &mut String, media_sequence: u64, discontinuity_sequence: u64) {
    line(text, format_args!("#EXTM3U\n#EXT-X-VERSION:{VERSION}"));
    line(
        text,
        format_args!("#EXT-X-TARGETDURATION:{TARGET_DURATION_S}"),
    );
    line(
        text,
        format_args!(
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},HOLD-BACK={},CAN-SKIP-UNTIL={}",
            seconds(PART_HOLD_BACK_MS),
            seconds(HOLD_BACK_MS),
            seconds(CAN_SKIP_UNTIL_MS),
        ),
    );
    line(
        text,
        format_args!("#EXT-X-PART-INF:PART-TARGET={}", seconds(PART_TARGET_MS)),
    );
    line(text, format_args!("#EXT-X-MEDIA-SEQUENCE:{media_sequence}"));
    line(
        text,
        format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}"),
    );
}

/// Seconds from each segment's start to the end of the playlist.
fn seconds_before_end(segments: &[ListedSegment]) -> Vec<f64> {
    let mut from_end_s = vec![0.0; segments.len()];
    let mut total = 0.0;
    for (slot, segment) in from_end_s.iter_mut().zip(segments).rev() {
        total += segment.duration_s();
        *slot = total;
    }
    from_end_s
}

/// How many of the oldest segments end before the skip boundary.
fn skipped_count(segments: &[ListedSegment], from_end_s: &[f64]) -> usize {
    let boundary_s = f64::from(CAN_SKIP_UNTIL_MS) / 1000.0;
    segments
        .iter()
        .zip(from_end_s)
        .take_while(|(segment, from_end_s)| {
            segment.complete && **from_end_s - segment.duration_s() >= boundary_s
        })
        .count()
}

fn write_segment(text: &mut String, segment: &ListedSegment, with_map: bool, with_parts: bool) {
    for _ in 0..segment.discontinuities {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    if with_map {
        let uri = init_name(segment.run);
        line(text, format_args!("#EXT-X-MAP:URI=\"{uri}\""));
    }
    line(
        text,
        format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", segment.wall_start),
    );
    // An open segment has nothing else to show for itself.
    if with_parts || !segment.complete {
        for (index, part) in segment.parts.iter().enumerate() {
            let uri = part_name(segment.msn, index as u32);
            let duration_s = part.duration_s;
            let mark = if part.independent {
                ",INDEPENDENT=YES"
            } else {
                ""
            };
            line(
                text,
                format_args!("#EXT-X-PART:DURATION={duration_s:.5},URI=\"{uri}\"{mark}"),
            );
        }
    }
    if segment.complete {
        let (duration_s, uri) = (segment.duration_s(), segment_name(segment.msn));
        line(text, format_args!("#EXTINF:{duration_s:.5},\n{uri}"));
    }
}

fn write_report(text: &mut String, report: &RenditionReport) {
    let uri = playlist_path(report.rendition);
    let Edge { msn, part, .. } = report.edge;
    line(
        text,
        format_args!("#EXT-X-RENDITION-REPORT:URI=\"../{uri}\",LAST-MSN={msn},LAST-PART={part}"),
    );
}
