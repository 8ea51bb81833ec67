//! Sound of one bitrate on its way out: the AAC encoders that Perch knows, and how their output becomes
//! access units without a gap in ticks.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gstreamer as gst;

use super::outlet::Outlet;
use crate::media::{
    AccessUnit, AudioFormat, AudioParameters, RenditionId, Rung, StreamEvent, TrackParameters,
};

/// Samples of each channel in one AAC-LC frame (ISO/IEC 14496-3 §4.5.1.1).
pub(super) const FRAME_SAMPLES: u64 = 1_024;
/// Time stamps this far from the count are a gap in the input; less is rounding. In samples at 48 kHz: 30 ms.
const GAP_SAMPLES: u64 = 1_440;

/// An AAC encoder.
#[derive(Debug)]
pub(super) struct AacEntry {
    pub(super) element: &'static str,
    /// What it must be told; what this version does not know is left out.
    pub(super) fixed: &'static [(&'static str, &'static str)],
    /// The sample format it takes.
    pub(super) format: &'static str,
    /// How much later than its time stamps say a sample leaves the decoder; the encoders do not tell.
    pub(super) delay_samples: u32,
}

/// The AAC encoders, best first. voaacenc and avenc_aac with its fast coder cost the same (1.2 % of a core for
/// 64 kb/s on the bench machine), but avenc_aac loads all of libavcodec: 85 ms of a start.
pub(super) const AAC_TABLE: &[AacEntry] = &[
    AacEntry {
        element: "fdkaacenc",
        fixed: &[],
        format: "S16LE",
        delay_samples: 2_048,
    },
    AacEntry {
        element: "voaacenc",
        fixed: &[],
        format: "S16LE",
        delay_samples: 1_600,
    },
    AacEntry {
        element: "avenc_aac",
        fixed: &[("aac-coder", "fast")],
        format: "F32LE",
        delay_samples: 1_024,
    },
];

/// The best AAC encoder that is installed.
pub(super) fn choose_aac() -> Option<&'static AacEntry> {
    AAC_TABLE
        .iter()
        .find(|entry| gst::ElementFactory::find(entry.element).is_some())
}

/// The state of one AAC encoding and the rungs that carry it.
pub(super) struct SoundFlow {
    rungs: Vec<Rung>,
    format: AudioFormat,
    bitrate_bps: u32,
    delay_samples: u32,
    outlet: Arc<Outlet>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_ticks: Option<u64>,
    begun: bool,
    units: u64,
    gaps: u64,
}

impl SoundFlow {
    pub(super) fn new(
        rungs: Vec<Rung>,
        format: AudioFormat,
        bitrate_bps: u32,
        delay_samples: u32,
        outlet: Arc<Outlet>,
    ) -> Self {
        Self {
            rungs,
            format,
            bitrate_bps,
            delay_samples,
            outlet,
            state: Mutex::default(),
        }
    }

    /// Takes one AAC frame that the encoder stamped `ns` nanoseconds after the first picture. Frames from before it
    /// and repetitions of what was heard are dropped.
    pub(super) fn unit(&self, ns: i64, data: Bytes, asc: impl FnOnce() -> Option<Bytes>) {
        let stamped = (i128::from(ns) * i128::from(self.format.sample_rate) + 500_000_000)
            .div_euclid(1_000_000_000);
        let stamped = stamped - i128::from(self.delay_samples);
        let Ok(stamped) = u64::try_from(stamped) else {
            return;
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pts_ticks = match state.next_ticks {
            Some(next) if next.abs_diff(stamped) <= GAP_SAMPLES => next,
            Some(next) if stamped < next => return,
            Some(_) => {
                state.gaps += 1;
                stamped
            }
            None => stamped,
        };
        if !state.begun {
            let Some(asc) = asc() else { return };
            state.begun = true;
            for &rung in &self.rungs {
                self.outlet.emit(StreamEvent::TrackStarted {
                    rendition: RenditionId::audio(rung),
                    parameters: TrackParameters::Audio(AudioParameters {
                        asc: asc.clone(),
                        sample_rate: self.format.sample_rate,
                        channels: self.format.channels,
                        bitrate_bps: self.bitrate_bps,
                    }),
                });
            }
        }
        state.next_ticks = Some(pts_ticks + FRAME_SAMPLES);
        state.units += 1;
        for &rung in &self.rungs {
            self.outlet.emit(StreamEvent::Unit {
                rendition: RenditionId::audio(rung),
                unit: AccessUnit {
                    pts_ticks,
                    duration_ticks: FRAME_SAMPLES as u32,
                    keyframe: true,
                    data: data.clone(),
                },
            });
        }
    }

    /// Units sent and gaps met.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.units, state.gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemClock;

    fn check(stamps_ns: &[i64], expected: &[u64]) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let outlet = Outlet::new(
            Arc::new(move |event| {
                if let StreamEvent::Unit { unit, .. } = event {
                    sink.lock()
                        .expect("no test panics here")
                        .push(unit.pts_ticks);
                }
            }),
            Arc::new(SystemClock),
        );
        let format = AudioFormat {
            sample_rate: 48_000,
            channels: 2,
        };
        let flow = SoundFlow::new(vec![Rung::Low], format, 128_000, 0, Arc::new(outlet));
        for &ns in stamps_ns {
            flow.unit(ns, Bytes::new(), || Some(Bytes::from_static(&[0x11, 0x90])));
        }
        assert_eq!(*heard.lock().expect("unpoisoned"), expected);
    }

    #[test]
    fn rounded_stamps_do_not_tear_the_sound() {
        check(
            &[0, 21_333_333, 42_666_667, 64_400_000],
            &[0, 1_024, 2_048, 3_072],
        );
    }

    #[test]
    fn sound_from_before_the_first_picture_is_dropped() {
        check(&[-21_000_000, -1_000_000, 20_333_333], &[976]);
    }

    #[test]
    fn a_gap_in_the_input_is_a_gap_and_an_echo_is_dropped() {
        check(
            &[0, 500_000_000, 100_000_000, 521_333_333],
            &[0, 24_000, 25_024],
        );
    }
}
