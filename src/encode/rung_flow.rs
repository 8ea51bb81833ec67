//! One rung on its way through the pipeline: which pictures are let in, where keyframes are forced, and how
//! what comes out becomes events. Shared by the pads' probes, the rung's sink and whoever sheds it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use heapless::HistoryBuf;

use super::cadence::Grid;
use super::outlet::Outlet;
use crate::media::{AccessUnit, RenditionId, RungSpec, StreamEvent, TrackParameters};

/// Units that the lateness figures look back on: a second's worth at 30 a second.
const LATENESS_WINDOW: usize = 30;

/// One coded picture.
pub(super) struct CodedPicture {
    /// Its place on the grid.
    pub(super) slot: u64,
    /// How many places it is shown for, from 1 on.
    pub(super) places: u64,
    pub(super) keyframe: bool,
    pub(super) data: Bytes,
}

/// The state of one rung's video.
pub(super) struct RungFlow {
    pub(super) spec: RungSpec,
    grid: Grid,
    outlet: Arc<Outlet>,
    state: Mutex<State>,
}

struct State {
    wanted: bool,
    /// Pictures are being let in: from a segment's first picture on.
    admitting: bool,
    /// Last place let in, and last place that came out.
    entered: Option<u64>,
    left: Option<u64>,
    /// Last place seen by the encoder's probe.
    encoded: Option<u64>,
    /// The track has begun and not been paused.
    open: bool,
    /// First place after a pause.
    restart_at: Option<u64>,
    keyframe_asked: bool,
    parameters: Option<TrackParameters>,
    units: u64,
    bytes: u64,
    unaligned: u64,
    lateness: HistoryBuf<Duration, LATENESS_WINDOW>,
}

/// What one rung has done.
#[derive(Clone, Debug, Default)]
pub(super) struct FlowReport {
    pub(super) running: bool,
    pub(super) units: u64,
    pub(super) bytes: u64,
    pub(super) unaligned: u64,
    pub(super) in_flight: u64,
    pub(super) lateness_p50: Duration,
    pub(super) lateness_max: Duration,
}

impl RungFlow {
    pub(super) fn new(spec: RungSpec, grid: Grid, outlet: Arc<Outlet>) -> Self {
        Self {
            spec,
            grid,
            outlet,
            state: Mutex::new(State {
                wanted: true,
                admitting: false,
                entered: None,
                left: None,
                encoded: None,
                open: false,
                restart_at: None,
                keyframe_asked: false,
                parameters: None,
                units: 0,
                bytes: 0,
                unaligned: 0,
                lateness: HistoryBuf::new(),
            }),
        }
    }

    /// Whether the picture at `slot` goes on to the encoder.
    pub(super) fn admit(&self, slot: u64) -> bool {
        let mut state = self.lock();
        if !state.wanted {
            state.admitting = false;
            return false;
        }
        if !state.admitting {
            if state.entered.is_some() && !self.grid.opens_segment(slot) {
                return false;
            }
            state.admitting = true;
            state.restart_at = Some(slot);
        }
        state.entered = Some(slot);
        true
    }

    /// Whether the encoder must be asked for a keyframe right before the picture at `slot`. Never before its
    /// first one, which is a keyframe anyway: GStreamer 1.22.0 would ignore every later request.
    pub(super) fn needs_keyframe(&self, slot: u64) -> bool {
        let mut state = self.lock();
        let before = state.encoded.replace(slot);
        let asked = std::mem::take(&mut state.keyframe_asked);
        before.is_some_and(|before| asked || self.grid.segment(before) != self.grid.segment(slot))
    }

    /// Asks for a keyframe at the next picture.
    pub(super) fn force_keyframe(&self) {
        self.lock().keyframe_asked = true;
    }

    /// Lets the rung run or sheds it. It ends with the pictures let in so far, and begins again with the
    /// first picture of a segment.
    pub(super) fn set_running(&self, running: bool) {
        let mut state = self.lock();
        if running && !state.wanted {
            // How late it was when it was shed says nothing about how it does now.
            state.lateness.clear();
        }
        state.wanted = running;
        if !running {
            state.admitting = false;
            self.close_if_emptied(&mut state);
        }
    }

    /// Whether the rung is meant to run.
    pub(super) fn is_wanted(&self) -> bool {
        self.lock().wanted
    }

    /// Takes one coded picture from the encoder.
    pub(super) fn unit(
        &self,
        picture: CodedPicture,
        parameters: impl FnOnce() -> Option<TrackParameters>,
    ) {
        let CodedPicture {
            slot,
            places,
            keyframe,
            data,
        } = picture;
        let rendition = RenditionId::video(self.spec.rung);
        let mut state = self.lock();
        if state.restart_at.is_some_and(|restart| slot >= restart) {
            state.restart_at = None;
            self.close(&mut state);
        }
        if !state.open {
            if state.parameters.is_none() {
                state.parameters = parameters();
            }
            let Some(parameters) = state.parameters.clone().filter(|_| keyframe) else {
                state.unaligned += 1;
                return;
            };
            state.open = true;
            self.outlet.emit(StreamEvent::TrackStarted {
                rendition,
                parameters,
            });
        }
        if self.grid.opens_segment(slot) && !keyframe {
            state.unaligned += 1;
        }
        state.units += 1;
        state.bytes += data.len() as u64;
        state.left = Some(slot);
        self.note_lateness(&mut state, slot);
        let pts_ticks = self.grid.ticks(slot);
        self.outlet.emit(StreamEvent::Unit {
            rendition,
            unit: AccessUnit {
                pts_ticks,
                duration_ticks: (self.grid.ticks(slot + places) - pts_ticks) as u32,
                keyframe,
                data,
            },
        });
        if !state.wanted {
            self.close_if_emptied(&mut state);
        }
    }

    pub(super) fn report(&self) -> FlowReport {
        let state = self.lock();
        let mut sorted = state.lateness.as_slice().to_vec();
        sorted.sort_unstable();
        let in_flight = match (state.entered, state.left) {
            (Some(entered), Some(left)) => entered.saturating_sub(left),
            (Some(entered), None) => entered + 1,
            _ => 0,
        };
        FlowReport {
            running: state.wanted,
            units: state.units,
            bytes: state.bytes,
            unaligned: state.unaligned,
            in_flight,
            lateness_p50: sorted.get(sorted.len() / 2).copied().unwrap_or_default(),
            lateness_max: sorted.last().copied().unwrap_or_default(),
        }
    }

    fn close_if_emptied(&self, state: &mut State) {
        if state.entered == state.left {
            self.close(state);
        }
    }

    fn close(&self, state: &mut State) {
        if std::mem::take(&mut state.open) {
            self.outlet.emit(StreamEvent::TrackPaused {
                rendition: RenditionId::video(self.spec.rung),
            });
        }
    }

    fn note_lateness(&self, state: &mut State, slot: u64) {
        let Some(zero) = self.outlet.zero() else {
            return;
        };
        let shown = zero.after(Duration::from_nanos(self.grid.nanoseconds(slot)));
        state.lateness.write(self.outlet.now().since(shown));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Monotonic, SystemClock};
    use crate::media::{FrameRate, LADDER, VideoParameters};

    /// A rung at 30 pictures a second and the events it has sent, as text.
    fn flow() -> (RungFlow, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let outlet = Arc::new(Outlet::new(
            Arc::new(move |event| {
                let text = match event {
                    StreamEvent::TrackStarted { .. } => "start".to_owned(),
                    StreamEvent::TrackPaused { .. } => "pause".to_owned(),
                    StreamEvent::Unit { unit, .. } => format!("{}", unit.pts_ticks / 3_000),
                    _ => return,
                };
                sink.lock().expect("no test panics here").push(text);
            }),
            Arc::new(SystemClock),
        ));
        outlet.begin(Monotonic(0));
        let grid = Grid::new(FrameRate::whole(30));
        (RungFlow::new(LADDER[0], grid, outlet), said)
    }

    fn parameters() -> Option<TrackParameters> {
        Some(TrackParameters::Video(VideoParameters {
            avcc: Bytes::new(),
            width: 426,
            height: 240,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 500_000,
        }))
    }

    fn encode(flow: &RungFlow, slot: u64) {
        let key = flow.needs_keyframe(slot);
        unit(flow, slot, key || slot == 0);
    }

    fn unit(flow: &RungFlow, slot: u64, keyframe: bool) {
        let picture = CodedPicture {
            slot,
            places: 1,
            keyframe,
            data: Bytes::new(),
        };
        flow.unit(picture, parameters);
    }

    #[test]
    fn a_shed_rung_ends_after_what_it_took_in_and_returns_at_a_segment() {
        let (flow, said) = flow();
        assert!(flow.admit(0) && flow.admit(1));
        encode(&flow, 0);
        flow.set_running(false);
        assert!(!flow.admit(2));
        encode(&flow, 1);
        flow.set_running(true);
        for slot in 3..60 {
            assert!(!flow.admit(slot), "{slot}");
        }
        assert!(flow.admit(60));
        encode(&flow, 60);
        assert_eq!(
            *said.lock().expect("unpoisoned"),
            ["start", "0", "1", "pause", "start", "60"]
        );
    }

    #[test]
    fn a_pause_that_nothing_waits_for_is_said_at_once() {
        let (flow, said) = flow();
        assert!(flow.admit(0));
        encode(&flow, 0);
        flow.set_running(false);
        flow.set_running(false);
        assert_eq!(*said.lock().expect("unpoisoned"), ["start", "0", "pause"]);
    }

    #[test]
    fn a_rung_that_resumes_before_its_pictures_are_out_still_starts_anew() {
        let (flow, said) = flow();
        assert!(flow.admit(59));
        flow.set_running(false);
        assert!(!flow.admit(60));
        flow.set_running(true);
        assert!(flow.admit(120));
        unit(&flow, 59, true);
        unit(&flow, 120, true);
        assert_eq!(
            *said.lock().expect("unpoisoned"),
            ["start", "59", "pause", "start", "120"]
        );
    }

    #[test]
    fn a_rung_that_comes_back_is_not_judged_by_how_late_it_was() {
        // The run's first picture is as old as the machine: everything is late.
        let (flow, _) = flow();
        assert!(flow.admit(0));
        encode(&flow, 0);
        flow.set_running(true);
        assert!(flow.report().lateness_p50 > Duration::ZERO);
        flow.set_running(false);
        flow.set_running(true);
        assert_eq!(flow.report().lateness_p50, Duration::ZERO);
    }

    #[test]
    fn keyframes_are_forced_on_the_grid_and_on_request_but_never_first() {
        let (flow, _) = flow();
        flow.force_keyframe();
        let forced: Vec<u64> = (0..130)
            .filter(|&slot| {
                if slot == 100 {
                    flow.force_keyframe();
                }
                flow.needs_keyframe(slot)
            })
            .collect();
        assert_eq!(forced, [60, 100, 120]);
    }

    #[test]
    fn a_track_never_starts_on_a_picture_that_needs_another() {
        let (flow, said) = flow();
        assert!(flow.admit(0) && flow.admit(1));
        unit(&flow, 0, false);
        unit(&flow, 1, true);
        assert_eq!(*said.lock().expect("unpoisoned"), ["start", "1"]);
        assert_eq!(flow.report().unaligned, 1);
    }
}
