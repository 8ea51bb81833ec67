//! The multivariant playlist of a camera or of a recording (draft-pantos-hls-rfc8216bis §4.4.6).
//! Lists the renditions that it is given, nothing else.

use std::fmt::Write;

use super::{VERSION, address::playlist_path};
use crate::media::{RenditionId, Rung, TrackKind, TrackParameters};

/// The one name of the sound in every group: hls.js keeps its buffer when it changes groups by name.
const SOUND_NAME: &str = "sound";
/// A second of an encoder's output may exceed what it was asked for by this much, boxes included.
const PEAK_PERCENT: u64 = 125;
/// What boxes add to the encoder's average.
const AVERAGE_PERCENT: u64 = 105;

/// A rendition that can be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRendition {
    /// Which one.
    pub id: RenditionId,
    /// How it is coded.
    pub parameters: TrackParameters,
    /// What stands behind the playlists' addresses, such as `?from=…&to=…`; empty for the live view.
    pub query: String,
}

/// Renders the playlist: a variant for each picture, lowest first, with the sound of its own rung or of the
/// nearest that there is, lower before higher. Sound alone becomes variants of its own.
pub fn render_multivariant(renditions: &[OpenRendition]) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let of_kind = |kind| {
        let mut found: Vec<_> = renditions.iter().filter(|r| r.id.kind == kind).collect();
        found.sort_by_key(|rendition| rendition.id.rung);
        found
    };
    let (pictures, sounds) = (of_kind(TrackKind::Video), of_kind(TrackKind::Audio));
    if pictures.is_empty() {
        for sound in &sounds {
            write_variant(&mut text, sound, None);
        }
        return text;
    }
    for sound in &sounds {
        write_sound(&mut text, sound);
    }
    for picture in &pictures {
        write_variant(&mut text, picture, sound_for(picture.id.rung, &sounds));
    }
    text
}

/// The sound that goes with a rung. `sounds` is sorted by rung.
fn sound_for<'a>(rung: Rung, sounds: &[&'a OpenRendition]) -> Option<&'a OpenRendition> {
    sounds
        .iter()
        .rfind(|sound| sound.id.rung <= rung)
        .or_else(|| sounds.first())
        .copied()
}

fn write_sound(text: &mut String, sound: &OpenRendition) {
    let (group, uri) = (sound.id, uri(sound));
    let channels = match &sound.parameters {
        TrackParameters::Audio(audio) => audio.channels,
        TrackParameters::Video(_) => 1,
    };
    let line = format!(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{SOUND_NAME}\",DEFAULT=YES,\
         AUTOSELECT=YES,CHANNELS=\"{channels}\",URI=\"{uri}\"\n"
    );
    text.push_str(&line);
}

fn write_variant(text: &mut String, main: &OpenRendition, sound: Option<&OpenRendition>) {
    let tracks = || std::iter::once(main).chain(sound);
    let bitrate_bps: u64 = tracks()
        .map(|track| u64::from(track.parameters.bitrate_bps()))
        .sum();
    let codecs: Vec<_> = tracks().map(|track| track.parameters.rfc6381()).collect();
    let mut line = format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"",
        bitrate_bps * PEAK_PERCENT / 100,
        bitrate_bps * AVERAGE_PERCENT / 100,
        codecs.join(","),
    );
    if let TrackParameters::Video(video) = &main.parameters {
        write!(
            line,
            ",RESOLUTION={}x{},FRAME-RATE={:.3}",
            video.width,
            video.height,
            video.frame_rate.as_f64(),
        )
        .expect("writing to a String cannot fail");
    }
    if let Some(sound) = sound {
        write!(line, ",AUDIO=\"{}\"", sound.id).expect("writing to a String cannot fail");
    }
    text.push_str(&line);
    text.push('\n');
    text.push_str(&uri(main));
    text.push('\n');
}

fn uri(rendition: &OpenRendition) -> String {
    playlist_path(rendition.id) + &rendition.query
}
