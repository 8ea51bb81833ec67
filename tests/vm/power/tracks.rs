//! Which segments of which tracks: the words in which the driver, the watcher, the checker and the judge agree, as
//! JSON `{"one/high": [[0, 57], [1048576, 1048590]]}` with the first and the last number of each stretch.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Segments by `camera/rendition`, in stretches without a hole, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracks(BTreeMap<String, Vec<(u64, u64)>>);

impl Tracks {
    /// Adds a segment behind all that its track has; one that it has already changes nothing.
    pub(crate) fn add(&mut self, track: &str, msn: u64) {
        let stretches = self.0.entry(track.to_owned()).or_default();
        match stretches.last_mut() {
            Some((_, last)) if msn <= *last => {}
            Some((_, last)) if *last + 1 == msn => *last = msn,
            _ => stretches.push((msn, msn)),
        }
    }

    /// How many segments there are.
    pub(crate) fn count(&self) -> u64 {
        let stretches = self.0.values().flatten();
        stretches.map(|(first, last)| last - first + 1).sum()
    }

    /// Those of a track, in order.
    pub(crate) fn numbers(&self, track: &str) -> impl Iterator<Item = u64> {
        let stretches = self.0.get(track).map_or(&[][..], Vec::as_slice);
        stretches.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// Whether a segment is among them.
    pub(crate) fn has(&self, track: &str, msn: u64) -> bool {
        let stretches = self.0.get(track).map_or(&[][..], Vec::as_slice);
        stretches
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&msn))
    }

    /// Those that `others` do not have, by track.
    pub(crate) fn without(&self, others: &Self) -> BTreeMap<&str, Vec<u64>> {
        let mut missing = BTreeMap::new();
        for (track, stretches) in &self.0 {
            let all = stretches.iter().flat_map(|(first, last)| *first..=*last);
            let of_track: Vec<_> = all.filter(|msn| !others.has(track, *msn)).collect();
            if !of_track.is_empty() {
                missing.insert(track.as_str(), of_track);
            }
        }
        missing
    }

    pub(crate) fn to_json(&self) -> Value {
        json!(self.0)
    }

    /// `None` if it is not what [`Self::to_json`] makes.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_know_what_they_have_and_what_others_lack() {
        let mut made = Tracks::default();
        for msn in [3, 4, 5, 5, 9] {
            made.add("one/high", msn);
        }
        made.add("one/low", 0);
        assert_eq!(made.count(), 5);
        assert_eq!(made.numbers("one/high").collect::<Vec<_>>(), [3, 4, 5, 9]);
        assert_eq!(made.numbers("nobody").count(), 0);
        assert_eq!(
            made.to_json(),
            json!({"one/high": [[3, 5], [9, 9]], "one/low": [[0, 0]]})
        );
        assert_eq!(Tracks::from_json(&made.to_json()), Some(made.clone()));
        assert_eq!(Tracks::from_json(&json!({"one": 3})), None);
        let mut recorded = Tracks::default();
        recorded.add("one/high", 3);
        recorded.add("one/high", 4);
        let missing = made.without(&recorded);
        assert_eq!(missing["one/high"], [5, 9]);
        assert_eq!(missing["one/low"], [0]);
    }
}
