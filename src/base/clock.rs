//! Two kinds of time and who tells them. [`Monotonic`] orders events, [`Wall`] labels them for people;
//! no arithmetic mixes the two. The pure modules take a time as an argument, the edges ask a [`Clock`].

use std::fmt;
use std::ops::Sub;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A moment of CLOCK_MONOTONIC in nanoseconds, the clock that V4L2 stamps frames with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This moment moved later by `by`.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0 + by.as_nanos() as u64)
    }

    /// Time from `earlier` to this moment; zero if `earlier` lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment of civil time: milliseconds since 1970-01-01T00:00:00Z. May jump when the clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

impl Wall {
    /// Reads RFC 3339 (`2026-11-21T08:30:00Z`, an offset or fractions of a second allowed).
    /// `None` if it is anything else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        Some(Self(stamp.as_millisecond()))
    }

    /// This moment moved by `ms` milliseconds, which may be negative.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Local time as this machine has it, for names of files: `2026-11-21_09-30-00`.
    pub fn local_name(self) -> String {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        let local = stamp.to_zoned(jiff::tz::TimeZone::system());
        local.strftime("%Y-%m-%d_%H-%M-%S").to_string()
    }

    /// The UTC date as `2026-11-21`, which sorts as time does.
    pub fn date(self) -> String {
        self.to_string()[..10].to_owned()
    }

    /// The form that HTTP's header fields have: `Sat, 21 Nov 2026 08:30:00 GMT`. (RFC 9110 §5.6.7)
    pub fn http_date(self) -> String {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T08:30:00.123Z`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{stamp:.3}")
    }
}

impl Sub for Wall {
    type Output = i64;

    /// Milliseconds from `earlier` to this moment.
    fn sub(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

/// Tells both times. Shared by threads.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, on the clock that never jumps.
    fn monotonic(&self) -> Monotonic;
    /// Now, on the clock that people read.
    fn wall(&self) -> Wall;

    /// The label of a moment of the near past or future, by today's offset between the clocks.
    fn wall_at(&self, moment: Monotonic) -> Wall {
        let (monotonic, wall) = (self.monotonic(), self.wall());
        wall.plus_ms((moment.0 as i64 - monotonic.0 as i64).div_euclid(1_000_000))
    }
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> Monotonic {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
            .expect("CLOCK_MONOTONIC exists on every Linux");
        Monotonic(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
    }

    fn wall(&self) -> Wall {
        Wall(jiff::Timestamp::now().as_millisecond())
    }
}

/// A clock that moves only when told to. Clones show the same time.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    monotonic_ns: Arc<AtomicU64>,
    wall_ms: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// Starts at monotonic zero and the given wall time.
    pub fn new(wall: Wall) -> Self {
        Self {
            monotonic_ns: Arc::default(),
            wall_ms: Arc::new(AtomicI64::new(wall.0)),
        }
    }

    /// Lets both clocks run on by `by`.
    pub fn advance(&self, by: Duration) {
        self.monotonic_ns
            .fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
        self.wall_ms
            .fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    /// Sets the wall clock, as NTP or a person would; the monotonic clock does not notice.
    pub fn set_wall(&self, wall: Wall) {
        self.wall_ms.store(wall.0, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.monotonic_ns.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Wall {
        Wall(self.wall_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_reads_back_what_it_prints() {
        for ms in [0, 1_700_000_000_123, 4_102_444_800_000] {
            assert_eq!(Wall::parse_rfc3339(&Wall(ms).to_string()), Some(Wall(ms)));
        }
        assert_eq!(
            Wall(1_763_712_000_005).to_string(),
            "2025-11-21T08:00:00.005Z"
        );
        assert_eq!(Wall(1_763_712_000_005).date(), "2025-11-21");
        let http = Wall(1_763_712_000_005).http_date();
        assert_eq!(http, "Fri, 21 Nov 2025 08:00:00 GMT");
        assert!(Wall(i64::MAX).http_date().ends_with(" GMT"));
    }

    #[test]
    fn wall_refuses_what_is_not_rfc3339() {
        for text in [
            "",
            "yesterday",
            "2026-11-21",
            "2026-13-01T00:00:00Z",
            "2026-11-21T08:00:00",
        ] {
            assert_eq!(Wall::parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(
            Wall::parse_rfc3339("1970-01-01T01:00:00+01:00"),
            Some(Wall(0))
        );
    }

    #[test]
    fn a_jump_of_the_wall_clock_moves_labels_but_not_the_order() {
        let clock = SimulatedClock::new(Wall(1_000_000));
        clock.advance(Duration::from_secs(2));
        let moment = clock.monotonic();
        assert_eq!(clock.wall_at(moment), Wall(1_002_000));
        clock.set_wall(Wall(5_000_000));
        assert_eq!(clock.monotonic(), moment);
        assert_eq!(clock.wall_at(moment), Wall(5_000_000));
    }
}
