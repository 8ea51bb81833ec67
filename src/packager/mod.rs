//! Turns one camera's access units into parts and segments, publishes them to the live window and hands what is to
//! be kept to the store. Keeps the media sequence, the camera's timeline and the civil time of each segment;
//! knows nothing of encoders or HTTP. Called from the encoder's threads, one for each rendition.

mod gaps;
mod run;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::{CameraId, Clock, Wall};
use crate::cmaf::TrackWriter;
use crate::live::LiveCamera;
use crate::media::{
    AccessUnit, InitSegment, Part, RenditionId, Rung, Segment, StreamEvent, TrackKind,
    TrackParameters, ticks_to_seconds,
};
use crate::store::{GapReason, Store};

use gaps::Gaps;
pub use gaps::{GAPS_MAX, Gap};
use run::Run;

/// Packages one camera.
#[derive(Debug)]
pub struct Packager {
    camera: CameraId,
    live: LiveCamera,
    store: Store,
    clock: Arc<dyn Clock>,
    recorded: Mutex<Vec<Rung>>,
    run: Mutex<Option<Run>>,
    /// Each rendition has a lock of its own, taken by its encoder's thread alone while a run lasts.
    tracks: BTreeMap<RenditionId, Mutex<Option<Track>>>,
    gaps: Mutex<Gaps>,
    /// Where an earlier process's recording ends, until what followed is marked.
    recorded_until: Mutex<Option<Wall>>,
    /// Recorded renditions that pause, and where their recording ends.
    shed: Mutex<BTreeMap<RenditionId, Wall>>,
    /// Civil time at which the newest part ends.
    ended_at: Mutex<Option<Wall>>,
    /// Where the next run begins; see [`Store::camera_position`].
    next_run: AtomicU64,
    next_msn: AtomicU64,
    video_parts: AtomicU64,
    refused_units: AtomicU64,
}

#[derive(Debug)]
struct Track {
    writer: TrackWriter,
    init: Arc<InitSegment>,
    run: u64,
    pending: Vec<Part>,
    /// Where the last segment handed to the store ends.
    recorded_until: Option<Wall>,
}

impl Packager {
    /// A packager for `camera` that publishes to `live` and records in `store`; nothing before [`Self::expect`].
    /// Goes on with the media sequence where the store's last recording of this camera ended.
    pub fn new(camera: CameraId, live: LiveCamera, store: Store, clock: Arc<dyn Clock>) -> Self {
        let position = store.camera_position(&camera);
        let recorded_until = store.recorded_until(&camera).unwrap_or_else(|error| {
            tracing::warn!(%camera, %error, "when it was recorded last cannot be told; no gap is marked since then");
            None
        });
        let ids = Rung::ALL
            .into_iter()
            .flat_map(|r| [RenditionId::video(r), RenditionId::audio(r)]);
        Self {
            camera,
            live,
            store,
            clock,
            recorded: Mutex::default(),
            run: Mutex::default(),
            tracks: ids.map(|id| (id, Mutex::default())).collect(),
            gaps: Mutex::default(),
            recorded_until: Mutex::new(recorded_until),
            shed: Mutex::default(),
            ended_at: Mutex::default(),
            next_run: position.next_run.into(),
            next_msn: position.next_msn.into(),
            video_parts: AtomicU64::new(0),
            refused_units: AtomicU64::new(0),
        }
    }

    /// Says what the next run will have: its renditions, and the rungs of which picture and sound go to disk.
    /// Called between runs.
    pub fn expect(&self, renditions: Vec<RenditionId>, recorded: Vec<Rung>) {
        self.live.expect(renditions);
        *lock(&self.recorded) = recorded;
    }

    /// Takes what happened in the encoder. Events of one rendition must come in order.
    pub fn handle(&self, event: StreamEvent) {
        match event {
            StreamEvent::RunStarted { first_picture_at } => {
                let number = self.next_run.fetch_add(1, Ordering::SeqCst);
                let msn = self.next_msn.load(Ordering::SeqCst);
                let started = {
                    let mut run = lock(&self.run);
                    let earlier = run.take();
                    let run = run.insert(Run::new(number, msn, first_picture_at, earlier.as_ref()));
                    self.live.begin_run(number, true);
                    run.label(msn, &*self.clock)
                };
                // These ask the disk.
                let away = lock(&self.gaps).close(started);
                self.mark_stopped(away.as_ref().map_or(started, |gap| gap.from));
                if let Some(gap) = away {
                    self.mark_gap(None, gap.from, started, gap.kind);
                }
            }
            StreamEvent::TrackStarted {
                rendition,
                parameters,
            } => {
                self.start_track(rendition, parameters);
            }
            StreamEvent::Unit { rendition, unit } => self.push(rendition, unit),
            StreamEvent::TrackPaused { rendition } => {
                let recorded_until = self.end_track(rendition);
                if lock(&self.recorded).contains(&rendition.rung) {
                    let from = recorded_until.unwrap_or_else(|| self.clock.wall());
                    lock(&self.shed).insert(rendition, from);
                }
                self.live.close_rendition(rendition);
            }
            StreamEvent::RunEnded { failure } => {
                self.end_run();
                if let Some(failure) = failure {
                    self.mark_away(failure.fault.into(), &failure.reason);
                }
            }
        }
    }

    /// How many parts of pictures were published; grows while frames advance.
    pub fn video_parts_count(&self) -> u64 {
        self.video_parts.load(Ordering::Relaxed)
    }

    /// Access units that could not be placed on the timeline.
    pub fn refused_units_count(&self) -> u64 {
        self.refused_units.load(Ordering::Relaxed)
    }

    /// The last [`GAPS_MAX`] times that this camera was away, oldest first; the last may still be open.
    pub fn gaps(&self) -> Vec<Gap> {
        lock(&self.gaps).list()
    }

    /// Marks the camera as away since its last picture, or from now on if it never showed one, unless it is marked
    /// already. The next run ends the gap.
    pub fn mark_away(&self, kind: GapReason, reason: &str) {
        let from = lock(&self.ended_at).unwrap_or_else(|| self.clock.wall());
        lock(&self.gaps).open(from, kind, reason);
    }

    /// Marks what lasts when the process ends: that the camera is away, if it is. Called once, after the last run.
    /// A camera that is there needs no mark: the next start finds where its recording ends.
    pub fn close(&self) {
        if lock(&self.recorded).is_empty() {
            return;
        }
        let now = self.clock.wall();
        let away = lock(&self.gaps).close(now);
        if let Some(gap) = away {
            self.mark_stopped(gap.from);
            self.mark_gap(None, gap.from, now, gap.kind);
        }
    }

    /// Marks the time from the end of an earlier process's recording to `until`, once.
    fn mark_stopped(&self, until: Wall) {
        let recorded_until = lock(&self.recorded_until).take();
        if let Some(from) = recorded_until
            && !lock(&self.recorded).is_empty()
        {
            self.mark_gap(None, from, until, GapReason::Stopped);
        }
    }

    fn mark_gap(&self, rendition: Option<RenditionId>, from: Wall, to: Wall, reason: GapReason) {
        let gap = crate::store::Gap {
            rendition,
            from,
            to,
            reason,
        };
        self.store.mark_gap(&self.camera, gap);
    }

    fn track(&self, rendition: RenditionId) -> MutexGuard<'_, Option<Track>> {
        lock(
            self.tracks
                .get(&rendition)
                .expect("every rendition has its track"),
        )
    }

    fn start_track(&self, rendition: RenditionId, parameters: TrackParameters) {
        let (run, origin) = match &*lock(&self.run) {
            Some(run) => (run.number(), run.origin(parameters.timescale())),
            None => return tracing::error!(%rendition, "a track started before its run; dropped"),
        };
        match TrackWriter::new(parameters, origin) {
            Ok(writer) => {
                let init = Arc::new(writer.init_segment());
                self.live.open_rendition(rendition, Arc::clone(&init));
                *self.track(rendition) = Some(Track {
                    writer,
                    init,
                    run,
                    pending: Vec::new(),
                    recorded_until: None,
                });
            }
            Err(error) => {
                tracing::error!(camera = %self.camera, %rendition, %error, "the encoder's parameters are unusable");
            }
        }
    }

    fn push(&self, rendition: RenditionId, unit: AccessUnit) {
        let mut slot = self.track(rendition);
        let Some(track) = slot.as_mut() else { return };
        match track.writer.push(unit) {
            Ok(parts) => parts
                .into_iter()
                .for_each(|part| self.publish(rendition, track, part)),
            Err(error) => {
                let count = self.refused_units.fetch_add(1, Ordering::Relaxed);
                if count.is_power_of_two() || count == 0 {
                    tracing::warn!(camera = %self.camera, %rendition, %error, count, "an access unit was refused");
                }
            }
        }
    }

    fn publish(&self, rendition: RenditionId, track: &mut Track, part: Part) {
        let Some(wall_start) = self.label(part.msn) else {
            return;
        };
        self.next_msn.fetch_max(part.msn + 1, Ordering::SeqCst);
        if rendition.kind == TrackKind::Video {
            self.video_parts.fetch_add(1, Ordering::Relaxed);
            *lock(&self.ended_at) = Some(self.clock.wall());
        }
        if let Err(error) = self.live.publish(rendition, part.clone(), wall_start) {
            tracing::warn!(camera = %self.camera, %rendition, %error, "a part could not be published");
        }
        if !lock(&self.recorded).contains(&rendition.rung) {
            return;
        }
        if part.index == 0
            && let Some(from) = lock(&self.shed).remove(&rendition)
        {
            self.mark_gap(Some(rendition), from, wall_start, GapReason::RungShed);
        }
        // A gap may end a segment without a last part.
        if track
            .pending
            .first()
            .is_some_and(|first| first.msn != part.msn)
        {
            self.record_pending(rendition, track);
        }
        let ended = part.last;
        track.pending.push(part);
        if ended {
            self.record_pending(rendition, track);
        }
    }

    /// Hands the collected parts to the store as one segment.
    fn record_pending(&self, rendition: RenditionId, track: &mut Track) {
        let parts = std::mem::take(&mut track.pending);
        let Some(msn) = parts.first().map(|part| part.msn) else {
            return;
        };
        let Some(wall_start) = self.label(msn) else {
            return;
        };
        let init = Arc::clone(&track.init);
        let segment = Segment {
            msn,
            run: track.run,
            wall_start,
            init,
            parts,
        };
        let timescale = segment.init.parameters.timescale();
        let seconds = ticks_to_seconds(segment.duration_ticks(), timescale);
        track.recorded_until = Some(wall_start.plus_ms((seconds * 1000.0).round() as i64));
        // What becomes of it is the store's to count and to tell.
        let _ = self
            .store
            .append(&self.camera, rendition, Arc::new(segment));
    }

    fn label(&self, msn: u64) -> Option<Wall> {
        lock(&self.run)
            .as_mut()
            .map(|run| run.label(msn, &*self.clock))
    }

    fn end_run(&self) {
        for rendition in self.tracks.keys() {
            self.end_track(*rendition);
        }
        let ended = lock(&self.ended_at).unwrap_or_else(|| self.clock.wall());
        for (rendition, from) in std::mem::take(&mut *lock(&self.shed)) {
            self.mark_gap(Some(rendition), from, ended, GapReason::RungShed);
        }
    }

    /// Ends a track with all that it was given. Returns where its recording ends, if any of it was recorded.
    fn end_track(&self, rendition: RenditionId) -> Option<Wall> {
        let mut track = self.track(rendition).take()?;
        if let Some(part) = track.writer.finish() {
            self.publish(rendition, &mut track, part);
        }
        self.record_pending(rendition, &mut track);
        track.recorded_until
    }
}

/// A lock whose holder panicked still guards consistent data here: each critical section is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
