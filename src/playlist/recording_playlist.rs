//! The media playlists of a range of a recording: ordinary VOD playlists over the recorded segments, with a
//! discontinuity wherever a run ends or something is missing. Players keep one clock for each discontinuity, so every
//! rendition has the same ones (draft-pantos-hls-rfc8216bis §6.2.4).

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{
    TARGET_DURATION_S, VERSION,
    address::{init_name, segment_name},
};
use crate::base::Wall;
use crate::media::{RenditionId, TrackKind, ticks_to_seconds};

/// A recorded segment as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedSegment {
    /// Media sequence number, which names the file.
    pub msn: u64,
    /// Its run, which names the header.
    pub run: u64,
    /// Civil time of its first picture.
    pub wall_start: Wall,
    /// Decode time of its first sample, in ticks.
    pub start_ticks: u64,
    /// In ticks.
    pub duration_ticks: u64,
    /// Ticks a second; at least 1.
    pub timescale: u32,
}

impl RecordedSegment {
    fn duration_s(&self) -> f64 {
        ticks_to_seconds(self.duration_ticks, self.timescale)
    }

    /// Whether a decoder can go on from `earlier` into this segment: the same run, the next number, and no
    /// hole of more than a hundredth of a second.
    fn continues(&self, earlier: &Self) -> bool {
        let expected_ticks = earlier.start_ticks + earlier.duration_ticks;
        self.run == earlier.run
            && self.msn == earlier.msn + 1
            && self.start_ticks.abs_diff(expected_ticks) <= u64::from(self.timescale) / 100
    }
}

/// What is recorded of one rendition in a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedTrack {
    /// Which one.
    pub id: RenditionId,
    /// Oldest first, msn growing.
    pub segments: Vec<RecordedSegment>,
}

/// A recorded segment in its place among those of all renditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlignedSegment {
    /// What is listed.
    pub segment: RecordedSegment,
    /// How many discontinuities precede it in the range, over all renditions, its own included.
    pub discontinuity_sequence: u64,
}

/// A set of tracks, a bit for each by its index; there are two of each rung at most.
type TrackSet = u16;

/// What is recorded under one msn.
#[derive(Default)]
struct Moment {
    run: u64,
    tracks: TrackSet,
    /// Those whose decoders can go on from the msn before.
    continuing: TrackSet,
}

/// Chooses what is listed of each track and counts the discontinuities, the same for all tracks. Every picture is
/// listed; sound only with the picture of its rung, except in runs that have none: a player that joins what lacks
/// different times would play them apart. The answer has the order of `tracks`; a track of which nothing can be
/// listed is empty.
pub fn align_recording(tracks: &[RecordedTrack]) -> Vec<Vec<AlignedSegment>> {
    let mut moments: BTreeMap<u64, Moment> = BTreeMap::new();
    let mut pictures: BTreeMap<_, TrackSet> = BTreeMap::new();
    for (index, track) in tracks.iter().enumerate() {
        let bit = 1 << index;
        let mut earlier: Option<&RecordedSegment> = None;
        for segment in &track.segments {
            if track.id.kind == TrackKind::Video {
                pictures.insert((segment.run, track.id.rung), bit);
            }
            let moment = moments.entry(segment.msn).or_default();
            moment.run = segment.run;
            moment.tracks |= bit;
            if earlier.is_some_and(|earlier| segment.continues(earlier)) {
                moment.continuing |= bit;
            }
            earlier = Some(segment);
        }
    }
    let mut places: BTreeMap<u64, (TrackSet, u64)> = BTreeMap::new();
    for (msn, moment) in &moments {
        let playable = tracks.iter().enumerate().filter(|(_, track)| {
            let needed = pictures.get(&(moment.run, track.id.rung)).unwrap_or(&0);
            moment.tracks & needed == *needed
        });
        let listed = playable.fold(0, |set, (index, _)| set | 1 << index) & moment.tracks;
        if listed == 0 {
            continue;
        }
        let sequence = match places.last_key_value() {
            None => 0,
            Some((_, (before, sequence))) => {
                let continues = *before == listed && moment.continuing & listed == listed;
                sequence + u64::from(!continues)
            }
        };
        places.insert(*msn, (listed, sequence));
    }
    let aligned = tracks.iter().enumerate().map(|(index, track)| {
        let placed = track.segments.iter().filter_map(|segment| {
            let (listed, discontinuity_sequence) = *places.get(&segment.msn)?;
            (listed & (1 << index) != 0).then_some(AlignedSegment {
                segment: *segment,
                discontinuity_sequence,
            })
        });
        placed.collect()
    });
    aligned.collect()
}

/// Renders the playlist of `segments`, oldest first. Nothing recorded gives an ended, empty playlist.
pub fn render_recording_playlist(segments: &[AlignedSegment]) -> String {
    let longest_s = segments
        .iter()
        .map(|aligned| aligned.segment.duration_s().round() as u32)
        .fold(TARGET_DURATION_S, u32::max);
    let first = segments.first();
    let first_msn = first.map_or(0, |aligned| aligned.segment.msn);
    let mut sequence = first.map_or(0, |aligned| aligned.discontinuity_sequence);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{longest_s}\n\
         #EXT-X-MEDIA-SEQUENCE:{first_msn}\n#EXT-X-DISCONTINUITY-SEQUENCE:{sequence}\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    for (index, aligned) in segments.iter().enumerate() {
        let segment = &aligned.segment;
        // Several in a row where the other renditions went on without this one.
        for _ in sequence..aligned.discontinuity_sequence {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if index == 0 || sequence < aligned.discontinuity_sequence {
            text.push_str(&format!("#EXT-X-MAP:URI=\"{}\"\n", init_name(segment.run)));
        }
        sequence = aligned.discontinuity_sequence;
        writeln!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{:.5},\n{}",
            segment.wall_start,
            segment.duration_s(),
            segment_name(segment.msn),
        )
        .expect("writing to a String cannot fail");
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}
