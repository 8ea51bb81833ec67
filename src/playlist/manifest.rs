//! The DASH manifest of a range of a recording (ISO/IEC 23009-1): static, over the same segments as its HLS playlists,
//! with a Period wherever those have a discontinuity, so that players start their clocks anew there.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::address::init_name;
use super::recording_playlist::{AlignedSegment, RecordedSegment};
use crate::media::{RenditionId, TrackKind, TrackParameters, ticks_to_seconds};

/// A rendition within a range and what is listed of it, as `align_recording` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestTrack {
    /// Which one.
    pub id: RenditionId,
    /// How the segments of each of its runs are coded. A run that is not here is left out.
    pub parameters: BTreeMap<u64, TrackParameters>,
    /// What is listed.
    pub segments: Vec<AlignedSegment>,
}

/// A rendition within a Period.
struct Representation<'a> {
    id: RenditionId,
    parameters: &'a TrackParameters,
    /// Not empty; of one run, without a hole.
    segments: Vec<&'a RecordedSegment>,
}

impl Representation<'_> {
    fn start_s(&self) -> f64 {
        let first = self.segments[0];
        ticks_to_seconds(first.start_ticks, first.timescale)
    }

    fn duration_s(&self) -> f64 {
        let ticks = self.segments.iter().map(|one| one.duration_ticks).sum();
        ticks_to_seconds(ticks, self.segments[0].timescale)
    }
}

/// Renders the manifest. Nothing listed gives a presentation of no Period.
pub fn render_recording_manifest(tracks: &[ManifestTrack]) -> String {
    let periods = periods(tracks);
    let durations: Vec<f64> = periods.values().map(|all| duration_s(all)).collect();
    let mut text = String::new();
    put(
        &mut text,
        format_args!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
             type=\"static\" minBufferTime=\"PT2S\" mediaPresentationDuration=\"PT{:.6}S\">\n",
            durations.iter().fold(0.0, |sum, one| sum + one),
        ),
    );
    let mut start_s = 0.0;
    for ((sequence, all), duration_s) in periods.iter().zip(durations) {
        put(
            &mut text,
            format_args!(
                "  <Period id=\"{sequence}\" start=\"PT{start_s:.6}S\" duration=\"PT{duration_s:.6}S\">\n"
            ),
        );
        // Pictures tell where a Period begins; sound is placed by them.
        let zero_s = all
            .iter()
            .find(|one| one.id.kind == TrackKind::Video)
            .or(all.first())
            .map_or(0.0, Representation::start_s);
        for (kind, name) in [(TrackKind::Video, "video"), (TrackKind::Audio, "audio")] {
            let set = || all.iter().filter(move |one| one.id.kind == kind);
            if set().next().is_some() {
                put(
                    &mut text,
                    format_args!(
                        "    <AdaptationSet contentType=\"{name}\" mimeType=\"{name}/mp4\" segmentAlignment=\"true\" \
                         startWithSAP=\"1\">\n"
                    ),
                );
                set().for_each(|one| write_representation(&mut text, one, zero_s));
                text.push_str("    </AdaptationSet>\n");
            }
        }
        text.push_str("  </Period>\n");
        start_s += duration_s;
    }
    text.push_str("</MPD>\n");
    text
}

/// How long a Period lasts: as its pictures, which the last sample of sound outlasts by a little.
fn duration_s(all: &[Representation<'_>]) -> f64 {
    let longest = |kind| {
        let durations = all.iter().filter(move |one| one.id.kind == kind);
        durations.map(Representation::duration_s).reduce(f64::max)
    };
    longest(TrackKind::Video)
        .or(longest(TrackKind::Audio))
        .unwrap_or(0.0)
}

/// What is listed between discontinuities, by their sequence.
fn periods(tracks: &[ManifestTrack]) -> BTreeMap<u64, Vec<Representation<'_>>> {
    let mut periods: BTreeMap<u64, Vec<Representation<'_>>> = BTreeMap::new();
    let mut sorted: Vec<_> = tracks.iter().collect();
    sorted.sort_by_key(|track| track.id);
    for track in sorted {
        for aligned in &track.segments {
            let Some(parameters) = track.parameters.get(&aligned.segment.run) else {
                continue;
            };
            let all = periods.entry(aligned.discontinuity_sequence).or_default();
            match all.last_mut() {
                Some(last) if last.id == track.id => last.segments.push(&aligned.segment),
                _ => all.push(Representation {
                    id: track.id,
                    parameters,
                    segments: vec![&aligned.segment],
                }),
            }
        }
    }
    periods
}

fn write_representation(text: &mut String, one: &Representation<'_>, zero_s: f64) {
    let first = one.segments[0];
    let details = match one.parameters {
        TrackParameters::Video(video) => format!(
            "width=\"{}\" height=\"{}\" frameRate=\"{}/{}\"",
            video.width, video.height, video.frame_rate.numerator, video.frame_rate.denominator
        ),
        TrackParameters::Audio(audio) => format!("audioSamplingRate=\"{}\"", audio.sample_rate),
    };
    put(
        text,
        format_args!(
            "      <Representation id=\"{id}\" bandwidth=\"{}\" codecs=\"{}\" {details}>\n",
            one.parameters.bitrate_bps().max(1),
            one.parameters.rfc6381(),
            id = one.id,
        ),
    );
    if let TrackParameters::Audio(audio) = one.parameters {
        put(
            text,
            format_args!(
                "        <AudioChannelConfiguration \
                 schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"{}\"/>\n",
                audio.channels
            ),
        );
    }
    put(
        text,
        format_args!(
            "        <SegmentTemplate timescale=\"{}\" presentationTimeOffset=\"{:.0}\" startNumber=\"{}\" \
             initialization=\"{id}/{}\" media=\"{id}/$Number$.m4s\">\n          <SegmentTimeline>\n",
            first.timescale,
            (zero_s * f64::from(first.timescale)).round(),
            first.msn,
            init_name(first.run),
            id = one.id,
        ),
    );
    write_timeline(text, &one.segments);
    text.push_str(
        "          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n",
    );
}

/// Segments of one duration that follow each other are one line (§5.3.9.6).
fn write_timeline(text: &mut String, segments: &[&RecordedSegment]) {
    let mut lines: Vec<(u64, u64, u64)> = Vec::new();
    for segment in segments {
        let (start, duration) = (segment.start_ticks, segment.duration_ticks);
        match lines.last_mut() {
            Some((first, same, more))
                if *same == duration && *first + *same * (*more + 1) == start =>
            {
                *more += 1;
            }
            _ => lines.push((start, duration, 0)),
        }
    }
    for (start, duration, more) in lines {
        put(
            text,
            format_args!("            <S t=\"{start}\" d=\"{duration}\""),
        );
        if more > 0 {
            put(text, format_args!(" r=\"{more}\""));
        }
        text.push_str("/>\n");
    }
}

fn put(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece)
        .expect("writing to a String cannot fail");
}
