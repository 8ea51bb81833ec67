//! One camera's renditions: the packager opens, fills and closes them, any number of viewers read.
//! Locks are held for as long as it takes to clone an `Arc`; rendering and waiting happen outside of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Refusal;
use super::rendered::{PlaylistBody, Rendered};
use super::window::{PublishError, RunMark, Window};
use crate::base::Wall;
use crate::media::{InitSegment, Part, RenditionId};
use crate::playlist::{
    BLOCK_MS_MAX, Directives, Edge, LiveWindow, OpenRendition, ReloadDecision, RenditionReport,
    Scope, decide_reload, render_live_playlist, render_multivariant,
};

/// How long a request waits for the encoder.
const BLOCK_MAX: Duration = Duration::from_millis(BLOCK_MS_MAX as u64);

/// How long viewers wait for the renditions that are still to open once the first has: encoders that start
/// together do so within this, and one that is shed or fails must not keep viewers from the others.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// How much a live window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Finished segments in a playlist; at least 6, so that a delta update has something to skip to.
    pub listed_segments: usize,
    /// Finished segments that can still be fetched after they left the playlist; at least 3. RFC 8216 §6.2.2 asks
    /// for a whole playlist's duration more, which would double the memory: a live viewer who is a whole playlist
    /// behind the edge goes back to it, and the recording has the rest.
    pub lingering_segments: usize,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            listed_segments: 8,
            lingering_segments: 3,
        }
    }
}

/// A camera's live windows. Clones show the same camera.
#[derive(Clone, Debug)]
pub struct LiveCamera {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: LiveOptions,
    state: Mutex<State>,
    /// Counts every change of any rendition, so that what is rendered is known to be current.
    changes: AtomicU64,
    /// Something was published since the run began.
    run_has_parts: AtomicBool,
    multivariant: Mutex<Option<Arc<PlaylistBody>>>,
    /// Wakes who waits for the first rendition to open.
    opened: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    mark: Option<RunMark>,
    /// What the run will have.
    expected: Vec<RenditionId>,
    /// When a rendition opened while none was.
    first_opened_at: Option<Instant>,
    renditions: BTreeMap<RenditionId, Arc<Rendition>>,
}

#[derive(Debug)]
struct Rendition {
    /// Holds the window; waiting viewers are told of each change.
    window: watch::Sender<Arc<Window>>,
    rendered: Mutex<Arc<Rendered>>,
}

impl LiveCamera {
    /// A camera with no renditions.
    pub fn new(options: LiveOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                state: Mutex::default(),
                changes: AtomicU64::new(1),
                run_has_parts: AtomicBool::new(false),
                multivariant: Mutex::default(),
                opened: watch::Sender::new(()),
            }),
        }
    }

    // What the producer does.

    /// Says which renditions the next run will have, and closes the others. Viewers who come while it starts
    /// wait for these.
    pub fn expect(&self, expected: Vec<RenditionId>) {
        let open = self.renditions();
        for gone in open.into_iter().filter(|id| !expected.contains(id)) {
            self.close_rendition(gone);
        }
        self.state().expected = expected;
    }

    /// Begins a run: ends the open segment of every rendition. Renditions opened from now on name the header
    /// of `run`; those that it does not have are closed by [`Self::expect`]. `discontinuity` says that
    /// this run does not continue the one before it; media sequence goes on. `run` grows over restarts of
    /// the process, and with it the discontinuity sequence.
    pub fn begin_run(&self, run: u64, discontinuity: bool) {
        let renditions: Vec<_> = {
            let mut state = self.state();
            // A run of which nothing was published leaves no trace that could be discontinuous.
            let has_parts = self.shared.run_has_parts.swap(false, Ordering::AcqRel);
            let discontinuity_sequence = state.mark.map_or(run, |earlier| {
                earlier.discontinuity_sequence + u64::from(discontinuity && has_parts)
            });
            state.mark = Some(RunMark {
                run,
                discontinuity_sequence,
            });
            state.renditions.values().cloned().collect()
        };
        for rendition in renditions {
            self.change(&rendition, Window::complete_last);
        }
    }

    /// Opens a rendition in the run that has begun. One that is open already goes on with the new header;
    /// one that was closed starts over with an empty window.
    pub fn open_rendition(&self, id: RenditionId, init: Arc<InitSegment>) {
        let (mark, rendition) = {
            let mut state = self.state();
            let mark = state.mark.unwrap_or_default();
            if !state.renditions.values().any(|r| r.window().open) {
                state.first_opened_at = Some(Instant::now());
            }
            let rendition = state
                .renditions
                .entry(id)
                .or_insert_with(|| Arc::new(Rendition::new()))
                .clone();
            (mark, rendition)
        };
        self.change(&rendition, |window| {
            if window.open {
                window.continue_in(mark, init);
            } else {
                *window = Window::opened(mark, init);
            }
        });
        self.forget_multivariant();
    }

    /// Closes a rendition that is shed. Waiting viewers are refused with [`Refusal::Gone`]; what was listed
    /// can still be fetched until the rendition opens again.
    pub fn close_rendition(&self, id: RenditionId) {
        if let Some(rendition) = self.rendition(id) {
            self.change(&rendition, |window| {
                window.complete_last();
                window.open = false;
            });
            self.forget_multivariant();
        }
    }

    /// Appends a part to a rendition. `wall_start` is the civil time of the segment's first picture, the
    /// same in every rendition; only that of the segment's first part counts.
    /// Fails, and changes nothing, if the rendition is closed or the part out of order.
    pub fn publish(
        &self,
        id: RenditionId,
        part: Part,
        wall_start: Wall,
    ) -> Result<(), PublishError> {
        let rendition = self.rendition(id).ok_or(PublishError::NotOpen)?;
        let options = self.shared.options;
        let kept_max = options.listed_segments + options.lingering_segments;
        let mut outcome = Ok(());
        rendition.window.send_if_modified(|window| {
            outcome = Arc::make_mut(window).append(part, wall_start, kept_max);
            if outcome.is_ok() {
                self.count_change();
                self.shared.run_has_parts.store(true, Ordering::Release);
            }
            outcome.is_ok()
        });
        outcome
    }

    /// Says that the source has ended for good: every playlist gets its end tag, nobody waits any longer.
    pub fn end(&self) {
        let renditions: Vec<_> = self.state().renditions.values().cloned().collect();
        for rendition in renditions {
            self.change(&rendition, |window| {
                window.complete_last();
                window.ended = true;
            });
        }
    }

    // What viewers ask for.

    /// The renditions that are open, sorted.
    pub fn renditions(&self) -> Vec<RenditionId> {
        let state = self.state();
        let open = state.renditions.iter().filter(|(_, r)| r.window().open);
        open.map(|(id, _)| *id).collect()
    }

    /// The newest part of an open rendition; `None` before its first.
    pub fn edge(&self, id: RenditionId) -> Option<Edge> {
        let window = self.rendition(id)?.window();
        window.open.then(|| window.edge()).flatten()
    }

    /// The multivariant playlist of the open renditions; `None` if none is.
    pub fn multivariant(&self) -> Option<Arc<PlaylistBody>> {
        let mut cached = lock(&self.shared.multivariant);
        if cached.is_none() {
            let open: Vec<_> = self
                .snapshot()
                .into_iter()
                .filter(|(_, window)| window.open)
                .filter_map(|(id, window)| {
                    Some(OpenRendition {
                        id,
                        parameters: window.newest_init()?.parameters.clone(),
                        query: String::new(),
                    })
                })
                .collect();
            if !open.is_empty() {
                let body = PlaylistBody::compress(render_multivariant(&open));
                *cached = Some(Arc::new(body));
            }
        }
        cached.clone()
    }

    /// The same, once the camera shows all that is expected of it, or a second after its first rendition opened:
    /// players never ask again for what the playlist lacked. Refuses with `Stalled` after three target durations.
    pub async fn wait_multivariant(&self) -> Result<Arc<PlaylistBody>, Refusal> {
        let mut opened = self.shared.opened.subscribe();
        let found = async {
            loop {
                opened.mark_unchanged();
                let settled = match self.settles_at() {
                    Some(at) => tokio::time::timeout_at(at, opened.changed()).await.is_err(),
                    None => {
                        opened.changed().await.ok()?;
                        false
                    }
                };
                if settled && let Some(body) = self.multivariant() {
                    return Some(body);
                }
            }
        };
        tokio::time::timeout(BLOCK_MAX, found)
            .await
            .ok()
            .flatten()
            .ok_or(Refusal::Stalled)
    }

    /// From when on the multivariant playlist is worth reading if nothing changes; `None` while nothing is open.
    fn settles_at(&self) -> Option<Instant> {
        let state = self.state();
        let is_open = |id: &RenditionId| state.renditions.get(id).is_some_and(|r| r.window().open);
        if !state.renditions.keys().any(is_open) {
            return None;
        }
        let complete = state.expected.iter().all(is_open);
        let patience = if complete { Duration::ZERO } else { SETTLE_MAX };
        state.first_opened_at.map(|at| at + patience)
    }

    /// A rendition's media playlist, once it has what `directives` ask for. A rendition that has just
    /// opened makes every request wait for its first part.
    /// Refuses with `NotFound`, `Gone`, `BadRequest`, or `Stalled` after three target durations.
    pub async fn playlist(
        &self,
        id: RenditionId,
        directives: Directives,
    ) -> Result<PlaylistBody, Refusal> {
        let rendition = self.rendition(id).ok_or(Refusal::NotFound)?;
        rendition
            .wait(|window| {
                let edge = window.edge();
                match decide_reload(directives, edge, window.ended) {
                    _ if !window.open => Some(Err(Refusal::Gone)),
                    ReloadDecision::BadRequest(error) => Some(Err(error.into())),
                    ReloadDecision::RespondNow if edge.is_some() || window.ended => Some(Ok(())),
                    ReloadDecision::RespondNow | ReloadDecision::WaitFor(_) => None,
                }
            })
            .await?;
        let scope = if directives.skip {
            Scope::Delta
        } else {
            Scope::Full
        };
        Ok(self.rendered(id, &rendition, scope))
    }

    /// The header of a run that the window still holds.
    pub fn init(&self, id: RenditionId, run: u64) -> Option<Bytes> {
        let window = self.rendition(id)?.window();
        window.init(run).map(|init| init.bytes.clone())
    }

    /// A finished segment's bytes, a slice for each part.
    pub fn segment(&self, id: RenditionId, msn: u64) -> Option<Vec<Bytes>> {
        self.rendition(id)?.window().segment_bytes(msn)
    }

    /// A part's bytes. The part that the playlist hints at is waited for; any other that is not there is
    /// refused with `NotFound`. Also refuses with `Gone`, or `Stalled` after three target durations.
    pub async fn part(&self, id: RenditionId, msn: u64, index: u32) -> Result<Bytes, Refusal> {
        let rendition = self.rendition(id).ok_or(Refusal::NotFound)?;
        rendition
            .wait(|window| {
                if let Some(bytes) = window.part_bytes(msn, index) {
                    return Some(Ok(bytes));
                }
                let hinted = window.edge().map(Edge::next) == Some((msn, index));
                match (window.open, hinted && !window.ended) {
                    (false, _) => Some(Err(Refusal::Gone)),
                    (true, false) => Some(Err(Refusal::NotFound)),
                    (true, true) => None,
                }
            })
            .await
    }

    fn rendered(&self, id: RenditionId, rendition: &Rendition, scope: Scope) -> PlaylistBody {
        // Read before the windows are, so that what is rendered is at least this new.
        let change = self.shared.changes.load(Ordering::Acquire);
        let rendered = {
            let mut newest = lock(&rendition.rendered);
            if newest.change < change {
                *newest = Arc::new(Rendered {
                    change,
                    ..Rendered::default()
                });
            }
            newest.clone()
        };
        let form = match scope {
            Scope::Full => &rendered.full,
            Scope::Delta => &rendered.delta,
        };
        form.get_or_init(|| PlaylistBody::compress(self.render(id, rendition, scope)))
            .clone()
    }

    fn render(&self, id: RenditionId, rendition: &Rendition, scope: Scope) -> String {
        let window = rendition.window();
        let reports = self
            .snapshot()
            .into_iter()
            .filter(|(other, window)| *other != id && window.open)
            .filter_map(|(other, window)| {
                Some(RenditionReport {
                    rendition: other,
                    edge: window.edge()?,
                })
            })
            .collect();
        let listed = LiveWindow {
            segments: window.listed(self.shared.options.listed_segments),
            ended: window.ended,
            reports,
        };
        render_live_playlist(&listed, scope)
    }

    fn snapshot(&self) -> Vec<(RenditionId, Arc<Window>)> {
        let state = self.state();
        let renditions = state.renditions.iter();
        renditions.map(|(id, r)| (*id, r.window())).collect()
    }

    fn change(&self, rendition: &Rendition, edit: impl FnOnce(&mut Window)) {
        rendition.window.send_modify(|window| {
            edit(Arc::make_mut(window));
            self.count_change();
        });
    }

    /// Called while the window is being changed: before the waiting viewers wake, so that they find nothing
    /// older rendered.
    fn count_change(&self) {
        self.shared.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn forget_multivariant(&self) {
        *lock(&self.shared.multivariant) = None;
        self.shared.opened.send_replace(());
    }

    fn rendition(&self, id: RenditionId) -> Option<Arc<Rendition>> {
        self.state().renditions.get(&id).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }
}

impl Rendition {
    fn new() -> Self {
        Self {
            window: watch::Sender::new(Arc::default()),
            rendered: Mutex::default(),
        }
    }

    fn window(&self) -> Arc<Window> {
        self.window.borrow().clone()
    }

    /// Waits until `answer` has one. Refuses with `Stalled` when that takes too long.
    async fn wait<T>(
        &self,
        mut answer: impl FnMut(&Window) -> Option<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut changes = self.window.subscribe();
        let mut found = None;
        let waited = tokio::time::timeout(
            BLOCK_MAX,
            changes.wait_for(|window| {
                found = answer(window);
                found.is_some()
            }),
        )
        .await;
        match waited {
            Ok(_) => found.unwrap_or(Err(Refusal::Stalled)),
            Err(_) => Err(Refusal::Stalled),
        }
    }
}

/// The values behind these locks are replaced whole, so a panic elsewhere leaves none half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
