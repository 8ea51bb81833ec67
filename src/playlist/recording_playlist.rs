//! The media playlist of a range of a recording: an ordinary VOD playlist over the recorded segments,
//! with a discontinuity wherever a run ends or something is missing.

use std::fmt::Write;

use super::{
    TARGET_DURATION_S, VERSION,
    address::{init_name, segment_name},
};
use crate::base::Wall;
use crate::media::ticks_to_seconds;

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

/// Renders the playlist of `segments`, oldest first. Nothing recorded gives an ended, empty playlist.
pub fn render_recording_playlist(segments: &[RecordedSegment]) -> String {
    let longest_s = segments
        .iter()
        .map(|segment| segment.duration_s().round() as u32)
        .fold(TARGET_DURATION_S, u32::max);
    let first_msn = segments.first().map_or(0, |segment| segment.msn);
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{longest_s}\n\
         #EXT-X-MEDIA-SEQUENCE:{first_msn}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n"
    );
    let mut earlier: Option<&RecordedSegment> = None;
    for segment in segments {
        let continues = earlier.is_some_and(|earlier| segment.continues(earlier));
        if !continues {
            if earlier.is_some() {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            text.push_str(&format!("#EXT-X-MAP:URI=\"{}\"\n", init_name(segment.run)));
        }
        writeln!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{:.5},\n{}",
            segment.wall_start,
            segment.duration_s(),
            segment_name(segment.msn),
        )
        .expect("writing to a String cannot fail");
        earlier = Some(segment);
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}
