//! A camera's own H.264 as the top rung: gives each picture the place that the camera counts for it, and checks
//! that the stream keeps the ladder's rules, an IDR at the first picture of every segment, no B-frames, a profile that
//! every viewer decodes, and the rung's bitrate. Pure; reads just enough of each access unit.

use std::time::Duration;

use super::cadence::Grid;
use crate::base::Monotonic;
use crate::media::SEGMENT_DURATION_MS;

/// The camera's clock may be this far from ours before a new run sets both to zero again. A crystal that is 50
/// millionths off takes almost three hours for it, a camera at 29.97 on a grid of 30 eight minutes.
const DRIFT_MAX: Duration = Duration::from_millis(500);
/// Who is that far off so early is not imprecise, but gives another rate than it promised.
const DRIFT_EARLY: Duration = Duration::from_secs(30);

/// Bitrates are averaged over so many segments: a single one may be larger.
const RATED_SEGMENTS: u64 = 5;
/// And may be so much above the rung's, as players are told it may.
const BITRATE_PERCENT_MAX: u64 = 125;
/// More than that is a passing commotion in front of the camera unless so many averages in a row are.
const AVERAGES_HIGH_MAX: u32 = 3;

/// `profile_idc` of Baseline and Main (ITU-T H.264 Annex A.2), the profiles of the ladder: browsers do not receive all
/// others everywhere.
const PROFILES: [u8; 2] = [66, 77];

/// Why a camera's own stream cannot be passed on any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    /// It breaks this rule, and will again.
    Rule(&'static str),
    /// The camera's clock has drifted from ours; the stream may go on in a new run.
    Drift,
}

/// What the ladder asks about one access unit (Annex B, ITU-T H.264 §7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kind {
    idr: bool,
    bidirectional: bool,
    /// A parameter set in it says another profile than the ladder's.
    other_profile: bool,
}

/// Watches one run of a camera's stream.
#[derive(Debug)]
pub(super) struct OwnStreamWatch {
    grid: Grid,
    /// The rung's.
    bitrate_bps: u32,
    /// The segment that the account of bytes begins with, and what came since.
    rated_from: u64,
    bytes: u64,
    /// How many averages in a row were too high.
    averages_high: u32,
    sequence: Option<u32>,
    /// Pictures that the camera has counted since the one that has the place `before`.
    ahead: u64,
    /// Place of the picture before; `None` until an IDR has come.
    before: Option<u64>,
    zero: Option<Monotonic>,
    synchronised: bool,
}

impl OwnStreamWatch {
    pub(super) fn new(grid: Grid, bitrate_bps: u32) -> Self {
        Self {
            grid,
            bitrate_bps,
            rated_from: 0,
            bytes: 0,
            averages_high: 0,
            sequence: None,
            ahead: 0,
            before: None,
            zero: None,
            synchronised: false,
        }
    }

    /// Pictures were lost: what follows cannot be decoded before the next IDR.
    pub(super) fn lost(&mut self) {
        self.synchronised = false;
    }

    /// Whether a stream may begin, or go on after a loss, with this access unit. To be asked about every one, with
    /// the camera's count of it.
    pub(super) fn may_enter(&mut self, data: &[u8], sequence: u32) -> bool {
        let step = match self.sequence.replace(sequence) {
            Some(last) => sequence.wrapping_sub(last),
            None => 1,
        };
        // A step back is a driver that started counting anew, and says nothing of losses.
        let step = if step > u32::MAX / 2 { 1 } else { step.max(1) };
        if step > 1 {
            self.lost();
        }
        self.ahead += u64::from(step);
        self.synchronised |= kind(data).idr;
        self.synchronised
    }

    /// Judges an access unit that entered and gives it its place: as far from the one before as the camera counts.
    /// Time stamps would not do: a camera whose clock is a little slow or fast would skip or double a place now and
    /// then, and its keyframes would leave the grid.
    pub(super) fn judge(&mut self, data: &[u8], captured_at: Monotonic) -> Result<u64, Breach> {
        let kind = kind(data);
        if kind.bidirectional {
            return Err(Breach::Rule("it has B-frames"));
        }
        if kind.other_profile {
            return Err(Breach::Rule("its profile is neither Baseline nor Main"));
        }
        let ahead = std::mem::take(&mut self.ahead);
        let slot = self.before.map_or(0, |before| before + ahead);
        let elapsed = captured_at.since(*self.zero.get_or_insert(captured_at));
        let counted = Duration::from_nanos(self.grid.nanoseconds(slot));
        if elapsed.abs_diff(counted) > DRIFT_MAX {
            return Err(if elapsed < DRIFT_EARLY {
                Breach::Rule("its pictures come faster or slower than it promised")
            } else {
                Breach::Drift
            });
        }
        let opens = self
            .before
            .is_none_or(|before| self.grid.segment(before) != self.grid.segment(slot));
        if opens && !kind.idr {
            let rule = "it has no keyframe where a segment of two seconds begins";
            return Err(Breach::Rule(rule));
        }
        if opens && self.exceeds_bitrate(self.grid.segment(slot)) {
            let rule = "its bitrate is higher than `ladder.rungs` allow for its size";
            return Err(Breach::Rule(rule));
        }
        self.bytes += data.len() as u64;
        self.before = Some(slot);
        Ok(slot)
    }

    /// Whether the segments before `segment` were too large for so long that it is the stream's nature.
    fn exceeds_bitrate(&mut self, segment: u64) -> bool {
        let segments = segment - self.rated_from;
        if segments < RATED_SEGMENTS {
            return false;
        }
        self.rated_from = segment;
        let bits = std::mem::take(&mut self.bytes) * 8;
        let allowed =
            u64::from(self.bitrate_bps) * segments * u64::from(SEGMENT_DURATION_MS) / 1_000;
        self.averages_high = match bits > allowed * BITRATE_PERCENT_MAX / 100 {
            true => self.averages_high + 1,
            false => 0,
        };
        self.averages_high >= AVERAGES_HIGH_MAX
    }
}

fn kind(data: &[u8]) -> Kind {
    let mut kind = Kind::default();
    for unit in annex_b_units(data) {
        match unit.first().map(|header| header & 0x1F) {
            Some(5) => kind.idr = true,
            // `profile_idc` is the first byte of a sequence parameter set (§7.3.2.1.1).
            Some(7) => kind.other_profile |= unit.get(1).is_some_and(|idc| !PROFILES.contains(idc)),
            Some(1) => kind.bidirectional |= slice_is_bidirectional(&unit[1..]),
            _ => {}
        }
    }
    kind
}

/// The NAL units between start codes. A trailing zero byte may stay with a unit.
fn annex_b_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next_code = |from: usize| {
        let found = data
            .get(from..)?
            .windows(3)
            .position(|window| window == [0, 0, 1])?;
        Some(from + found)
    };
    let mut at = next_code(0).map(|code| code + 3);
    std::iter::from_fn(move || {
        let start = at?;
        let end = next_code(start);
        at = end.map(|code| code + 3);
        data.get(start..end.unwrap_or(data.len()))
    })
}

/// Reads `first_mb_in_slice` and `slice_type` (§7.3.3, both ue(v)); types 1 and 6 are B.
fn slice_is_bidirectional(payload: &[u8]) -> bool {
    let mut bits = payload
        .iter()
        .take(12)
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut exp_golomb = || {
        let zeros = bits.by_ref().take_while(|&bit| bit == 0).count();
        (zeros < 32).then(|| {
            (0..zeros).fold(1u64, |value, _| {
                value << 1 | u64::from(bits.next().unwrap_or(0))
            }) - 1
        })
    };
    exp_golomb();
    matches!(exp_golomb(), Some(1 | 6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;

    const IDR: &[u8] = &[
        0,
        0,
        0,
        1,
        0x67,
        66,
        2,
        0,
        0,
        1,
        0x68,
        3,
        0,
        0,
        1,
        0x65,
        0b1011_0000,
        7,
    ];
    /// first_mb 0 (`1`), slice_type 5 (`00110`): P.
    const P: &[u8] = &[0, 0, 0, 1, 0x41, 0b1001_1000, 9];
    /// first_mb 0 (`1`), slice_type 6 (`00111`): B.
    const B: &[u8] = &[0, 0, 0, 1, 0x01, 0b1001_1100, 9];

    const MS: u64 = 1_000_000;
    const BITRATE_BPS: u32 = 500_000;

    /// Feeds pictures without a gap to a watch, each captured when its place says.
    fn check(units: &[&[u8]], expected: Option<&str>) {
        let grid = Grid::new(FrameRate::whole(30));
        let mut watch = OwnStreamWatch::new(grid, BITRATE_BPS);
        let breach = units.iter().zip(0..).find_map(|(data, sequence)| {
            let captured_at = Monotonic(5_000 * MS + grid.nanoseconds(sequence.into()));
            watch
                .may_enter(data, sequence)
                .then(|| watch.judge(data, captured_at))?
                .err()
        });
        match (expected, breach) {
            (None, None) => {}
            (Some(part), Some(Breach::Rule(rule))) => assert!(rule.contains(part), "{rule}"),
            (_, other) => panic!("{other:?}"),
        }
    }

    /// `count` pictures with keyframes every `gop` of them.
    fn stream(gop: usize, count: usize) -> Vec<&'static [u8]> {
        (0..count)
            .map(|n| if n % gop == 0 { IDR } else { P })
            .collect()
    }

    /// How a camera fares that gives a picture every `period_ns` on a grid of 30 a second, keyframes every 60 of
    /// them: when it is stopped, in seconds, and why.
    fn check_rate(period_ns: u64, expected: Option<(u64, Breach)>) {
        let mut watch = OwnStreamWatch::new(Grid::new(FrameRate::whole(30)), BITRATE_BPS);
        let stopped = (0..30_000u32).find_map(|n| {
            let data = if n % 60 == 0 { IDR } else { P };
            assert!(watch.may_enter(data, n));
            // The bus delivers with some jitter.
            let at = u64::from(n) * period_ns + u64::from(n * 7_919 % 9) * MS;
            match watch.judge(data, Monotonic(at)) {
                Ok(slot) => {
                    assert_eq!(slot, u64::from(n));
                    None
                }
                Err(breach) => Some((at / 1_000_000_000, breach)),
            }
        });
        assert_eq!(stopped, expected, "{period_ns} ns");
    }

    #[test]
    fn a_camera_that_is_a_little_fast_or_slow_keeps_its_stream() {
        let period = 33_333_333;
        // 50 millionths either way: a thousand seconds make 50 ms.
        check_rate(period - period / 20_000, None);
        check_rate(period + period / 20_000, None);
        // 29.97 pictures a second.
        check_rate(33_366_667, Some((492, Breach::Drift)));
    }

    #[test]
    fn a_camera_at_another_rate_than_promised_is_refused() {
        let rule = Breach::Rule("its pictures come faster or slower than it promised");
        check_rate(16_666_667, Some((0, rule)));
        check_rate(66_666_667, Some((1, rule)));
    }

    #[test]
    fn a_camera_that_stalls_without_counting_begins_anew() {
        let mut watch = OwnStreamWatch::new(Grid::new(FrameRate::whole(1)), BITRATE_BPS);
        let mut judge = |n: u32, at: Duration| {
            assert!(watch.may_enter(IDR, n));
            watch.judge(IDR, Monotonic(at.as_nanos() as u64))
        };
        for n in 0..60 {
            assert_eq!(judge(n, Duration::from_secs(n.into())), Ok(n.into()));
        }
        assert_eq!(judge(60, Duration::from_secs(62)), Err(Breach::Drift));
    }

    #[test]
    fn lost_pictures_leave_their_places_empty() {
        let grid = Grid::new(FrameRate::whole(30));
        let mut watch = OwnStreamWatch::new(grid, BITRATE_BPS);
        let mut place = |sequence: u32, data| {
            let at = Monotonic(grid.nanoseconds(sequence.wrapping_sub(u32::MAX - 9).into()));
            watch
                .may_enter(data, sequence)
                .then(|| watch.judge(data, at))
        };
        let first = u32::MAX - 9;
        assert_eq!(place(first, IDR), Some(Ok(0)));
        assert_eq!(place(first + 1, P), Some(Ok(1)));
        assert_eq!(place(first + 5, P), None);
        // The driver's count passes its end meanwhile.
        for n in 6..60 {
            assert_eq!(place(first.wrapping_add(n), P), None);
        }
        assert_eq!(place(first.wrapping_add(60), IDR), Some(Ok(60)));
        assert_eq!(place(first.wrapping_add(61), P), Some(Ok(61)));
    }

    #[test]
    fn keyframes_on_the_grid_pass_wherever_else_they_are() {
        check(&stream(60, 130), None);
        check(&stream(30, 130), None);
        check(&[&[P, P][..], &stream(30, 130)].concat(), None);
        check(&stream(50, 60), None);
        check(&stream(50, 61), Some("no keyframe"));
        check(&stream(200, 130), Some("no keyframe"));
        check(&[IDR, B], Some("B-frames"));
    }

    #[test]
    fn only_the_ladders_profiles_pass() {
        for (profile, expected) in [
            (66, None),
            (77, None),
            (88, Some("neither Baseline nor Main")),
            (100, Some("neither Baseline nor Main")),
        ] {
            let mut first = IDR.to_vec();
            first[5] = profile;
            check(&[&first[..], P], expected);
        }
        // A camera may change its mind.
        let high = [&[0, 0, 1, 0x67, 100, 0, 40][..], IDR].concat();
        let changed = [stream(60, 60), vec![&high[..]]].concat();
        check(&changed, Some("neither Baseline nor Main"));
    }

    /// After how many pictures a stream at 10 a second is refused, whose keyframes have `keyframe` bytes by the number of
    /// their segment, and all other pictures 5000.
    fn check_bitrate(keyframe: impl Fn(usize) -> usize, expected: Option<usize>) {
        let padded = |unit: &[u8], bytes| [unit, &vec![0xFF; bytes - unit.len()]].concat();
        let grid = Grid::new(FrameRate::whole(10));
        let mut watch = OwnStreamWatch::new(grid, BITRATE_BPS);
        let stopped = (0..1200usize).find(|&n| {
            let data = match n % 20 {
                0 => padded(IDR, keyframe(n / 20)),
                _ => padded(P, 5_000),
            };
            assert!(watch.may_enter(&data, n as u32));
            let judged = watch.judge(&data, Monotonic(grid.nanoseconds(n as u64)));
            if let Err(breach) = judged {
                assert!(matches!(breach, Breach::Rule(rule) if rule.contains("bitrate")));
            }
            judged.is_err()
        });
        assert_eq!(stopped, expected);
    }

    #[test]
    fn a_stream_above_its_rungs_bitrate_is_refused_after_half_a_minute() {
        // Two seconds of it are 125,000 bytes, and 156,250 are let pass.
        check_bitrate(|_| 61_250, None);
        check_bitrate(|_| 61_251, Some(300));
        // Twenty seconds in thirty are too much, and five segments in a hundred.
        check_bitrate(
            |segment| if segment % 15 < 10 { 90_000 } else { 20_000 },
            None,
        );
        check_bitrate(
            |segment| if segment == 7 { 5_000_000 } else { 20_000 },
            None,
        );
    }

    #[test]
    fn after_a_loss_pictures_are_skipped_up_to_the_next_keyframe() {
        let mut watch = OwnStreamWatch::new(Grid::new(FrameRate::whole(30)), BITRATE_BPS);
        assert!(!watch.may_enter(P, 0));
        assert!(watch.may_enter(IDR, 1) && watch.may_enter(P, 2));
        watch.lost();
        assert!(!watch.may_enter(P, 3));
        assert!(watch.may_enter(IDR, 4));
        assert!(!watch.may_enter(P, 6), "one is missing");
        assert!(watch.may_enter(IDR, 7));
        assert!(watch.may_enter(P, 0), "the driver counts anew");
    }

    #[test]
    fn nonsense_is_neither_a_keyframe_nor_a_panic() {
        for data in [
            &[][..],
            &[0, 0, 1],
            &[0, 0, 0, 1, 0x41],
            &[0, 0, 1, 0x41, 0, 0, 0],
            &[0xFF; 40],
            &[0; 40],
        ] {
            assert_eq!(kind(data), Kind::default(), "{data:?}");
        }
    }
}
