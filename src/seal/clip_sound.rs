//! Where a clip shows pictures and has no sound beside them, and what its records tell of that. Between two records of
//! sound the chain shows that there is none; at the ends of what is heard, and beside times without pictures, somebody
//! may have taken sound out, and nothing shows whether he has. Knows records only: that they are genuine and stand in
//! order is for the proof to say, and that sound stands behind its pictures for `cmaf::HeadCheck`.

use std::collections::BTreeSet;

use super::clip_tracks::goes_on;
use super::leaf::Leaf;
use crate::base::Wall;
use crate::media::TrackKind;

/// A time of which a clip has pictures and no sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Civil time of the first picture without sound.
    pub from: Wall,
    /// Civil time at which the last segment of such pictures ends.
    pub to: Wall,
    /// What is known of it.
    pub kind: SilenceKind,
}

/// What the records of a clip tell of a time without sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SilenceKind {
    /// The box recorded none: the record of the sound behind follows that of the sound before, or is the first of all.
    NotRecorded,
    /// Nothing shows whether it recorded any. So it is with a camera that had no microphone in that run; and with one
    /// segment at an end of an unbroken stretch, where a microphone starts late or is cut before the pictures.
    NotShown,
    /// Nothing shows it, although the run has sound in the clip, and sound does not stop so by itself.
    Missing,
}

/// The times without sound, in the order of the pictures. `leaves` are those of one camera, in the order of a clip.
pub(super) fn silences<'a>(leaves: impl Iterator<Item = &'a Leaf> + Clone) -> Vec<Silence> {
    let is_sound = |leaf: &&Leaf| leaf.rendition.kind == TrackKind::Audio;
    let sounds: Vec<&Leaf> = leaves.clone().filter(is_sound).collect();
    let heard: BTreeSet<_> = sounds.iter().map(|leaf| (leaf.run, leaf.msn)).collect();
    let runs: BTreeSet<_> = sounds.iter().map(|leaf| leaf.run).collect();

    let mut pictures: Vec<(&Leaf, Option<SilenceKind>)> = Vec::new();
    let mut sounds_before = 0;
    for leaf in leaves {
        if is_sound(&leaf) {
            sounds_before += 1;
            continue;
        }
        let before = sounds[..sounds_before].last();
        let kind = match (before, sounds.get(sounds_before)) {
            _ if heard.contains(&(leaf.run, leaf.msn)) => None,
            (Some(before), Some(behind)) if behind.previous == Some(before.hash()) => {
                Some(SilenceKind::NotRecorded)
            }
            (None, Some(behind)) if behind.previous.is_none() => Some(SilenceKind::NotRecorded),
            _ => Some(SilenceKind::NotShown),
        };
        pictures.push((leaf, kind));
    }
    for stretch in pictures.chunk_by_mut(|(before, _), (behind, _)| goes_on(before, behind)) {
        let not_shown = |(_, kind): &(&Leaf, _)| *kind == Some(SilenceKind::NotShown);
        let inner = stretch.get(1..stretch.len() - 1).unwrap_or_default();
        if runs.contains(&stretch[0].0.run) && inner.iter().any(not_shown) {
            let told = stretch.iter_mut().filter(|picture| not_shown(picture));
            told.for_each(|(_, kind)| *kind = Some(SilenceKind::Missing));
        }
    }
    joined(&pictures)
}

/// Pictures of one kind that follow each other are one time.
fn joined(pictures: &[(&Leaf, Option<SilenceKind>)]) -> Vec<Silence> {
    let same = pictures.chunk_by(|(_, before), (_, behind)| before == behind);
    let silence = |pictures: &[(&Leaf, Option<SilenceKind>)]| {
        let ((first, kind), (last, _)) = (pictures.first()?, pictures.last()?);
        Some(Silence {
            from: first.wall_start,
            to: last.wall_start.plus_ms(i64::from(last.duration_ms)),
            kind: (*kind)?,
        })
    };
    same.filter_map(silence).collect()
}
