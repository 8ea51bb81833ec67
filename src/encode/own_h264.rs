//! A camera's own H.264 as the top rung: checks that it keeps the ladder's rules, an IDR at the first picture
//! of every segment and no B-frames. Pure; reads just enough of each access unit.

use super::cadence::{Grid, Placement};

/// What the ladder asks about one access unit (Annex B, ITU-T H.264 §7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kind {
    idr: bool,
    bidirectional: bool,
}

/// Watches one run of a camera's stream.
#[derive(Debug)]
pub(super) struct OwnStreamWatch {
    grid: Grid,
    /// Place of the picture before; `None` until an IDR has come, and again after a loss.
    before: Option<u64>,
    synchronised: bool,
}

impl OwnStreamWatch {
    pub(super) fn new(grid: Grid) -> Self {
        Self {
            grid,
            before: None,
            synchronised: false,
        }
    }

    /// Pictures were lost: what follows cannot be decoded before the next IDR.
    pub(super) fn lost(&mut self) {
        self.synchronised = false;
    }

    /// Whether a stream may begin, or go on after a loss, with this access unit. To be asked before it is
    /// given a place: what is skipped has none.
    pub(super) fn may_enter(&mut self, data: &[u8]) -> bool {
        self.synchronised |= kind(data).idr;
        self.synchronised
    }

    /// Judges an access unit that entered and was given a place; the error says which rule it breaks.
    pub(super) fn judge(&mut self, data: &[u8], placement: Placement) -> Result<(), String> {
        let Placement::Show { slot, .. } = placement else {
            return Err("its pictures come faster than it promised".to_owned());
        };
        let kind = kind(data);
        if kind.bidirectional {
            return Err("it has B-frames".to_owned());
        }
        let opens = self
            .before
            .is_none_or(|before| self.grid.segment(before) != self.grid.segment(slot));
        if opens && !kind.idr {
            return Err("it has no keyframe where a segment of two seconds begins".to_owned());
        }
        self.before = Some(slot);
        Ok(())
    }
}

fn kind(data: &[u8]) -> Kind {
    let mut kind = Kind::default();
    for unit in annex_b_units(data) {
        match unit.first().map(|header| header & 0x1F) {
            Some(5) => kind.idr = true,
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
        1,
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

    fn check(units: &[(u64, &[u8])], expected: Option<&str>) {
        let mut watch = OwnStreamWatch::new(Grid::new(FrameRate::whole(30)));
        let refusal = units.iter().find_map(|&(slot, data)| {
            let placement = Placement::Show {
                repeat_from: slot,
                slot,
            };
            watch
                .may_enter(data)
                .then(|| watch.judge(data, placement))?
                .err()
        });
        match expected {
            None => assert_eq!(refusal, None),
            Some(part) => assert!(
                refusal.as_ref().is_some_and(|reason| reason.contains(part)),
                "{refusal:?}"
            ),
        }
    }

    #[test]
    fn keyframes_on_the_grid_pass_wherever_else_they_are() {
        check(
            &[
                (0, P),
                (0, IDR),
                (1, P),
                (30, IDR),
                (59, P),
                (60, IDR),
                (61, P),
            ],
            None,
        );
        check(&[(0, IDR), (59, P), (60, P)], Some("no keyframe"));
        check(&[(0, IDR), (1, B)], Some("B-frames"));
    }

    #[test]
    fn after_a_loss_pictures_are_skipped_up_to_the_next_keyframe() {
        let mut watch = OwnStreamWatch::new(Grid::new(FrameRate::whole(30)));
        assert!(!watch.may_enter(P));
        assert!(watch.may_enter(IDR) && watch.may_enter(P));
        watch.lost();
        assert!(!watch.may_enter(P));
        assert!(watch.may_enter(IDR));
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
