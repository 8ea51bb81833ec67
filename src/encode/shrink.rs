//! Shrinks planes of bytes by 3:2 or 2:1, the only steps of the ladder, with averages alone, so that the
//! compiler turns every loop into vector instructions: about a tenth of a general scaler's time.
//! Bilinear, with the samples where the larger picture's centres ask for them.

/// How much smaller, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Two from three.
    ThreeToTwo,
    /// One from two.
    TwoToOne,
}

impl Step {
    /// The step from `from` to `to` pixels. Two pixels more or fewer than the exact step are let pass (854 is
    /// not quite two thirds of 1280): at most two columns at the edge are repeated or left out.
    pub(super) fn between(from: u32, to: u32) -> Option<Self> {
        let near = |exact: u32| exact.abs_diff(from) <= 2;
        if to >= 16 && near(to / 2 * 3 + to % 2 * 2) {
            Some(Self::ThreeToTwo)
        } else if to >= 16 && near(2 * to) {
            Some(Self::TwoToOne)
        } else {
            None
        }
    }
}

/// A plane: rows of `width` groups of `group` bytes (1 for Y, U and V, 2 for interleaved UV).
pub(super) struct Plane<T> {
    pub(super) bytes: T,
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Shrinks planes with `GROUP` interleaved components; keeps its work rows between pictures.
#[derive(Default)]
pub(super) struct Shrinker {
    row: Vec<u8>,
    blended: Vec<u8>,
    mask: Vec<u8>,
}

impl Shrinker {
    /// Fills `to` from `from`.
    pub(super) fn shrink<const GROUP: usize>(
        &mut self,
        from: &Plane<&[u8]>,
        to: &mut Plane<&mut [u8]>,
        step: Step,
    ) {
        let out_bytes = to.width * GROUP;
        let used = match step {
            Step::ThreeToTwo => to.width.div_ceil(2) * 3 * GROUP,
            Step::TwoToOne => to.width * 2 * GROUP,
        };
        // Room for the columns that are missing at the edge, and for the neighbour of the last one.
        let source_bytes = from.width * GROUP;
        self.row.resize(used.max(source_bytes) + GROUP, 0);
        self.blended.resize(used, 0);
        if self.mask.len() != used {
            self.mask = (0..used)
                .map(|n| {
                    if (n / GROUP).is_multiple_of(3) {
                        0xFF
                    } else {
                        0
                    }
                })
                .collect();
        }
        let line = |row: usize| {
            let row = row.min(from.height - 1);
            &from.bytes[row * from.stride..][..source_bytes]
        };
        for (row, out) in to.bytes.chunks_mut(to.stride).take(to.height).enumerate() {
            let near = &mut self.row[..source_bytes];
            match step {
                Step::ThreeToTwo if row % 2 == 0 => {
                    lean(near, line(row / 2 * 3), line(row / 2 * 3 + 1))
                }
                Step::ThreeToTwo => lean(near, line(row / 2 * 3 + 2), line(row / 2 * 3 + 1)),
                Step::TwoToOne => mix(near, line(row * 2), line(row * 2 + 1)),
            }
            for n in source_bytes..self.row.len() {
                self.row[n] = self.row[n - GROUP];
            }
            match step {
                Step::ThreeToTwo => {
                    blend(
                        &mut self.blended,
                        &self.row[..used],
                        &self.row[GROUP..][..used],
                        &self.mask,
                    );
                    for (out, three) in out[..out_bytes]
                        .chunks_mut(2 * GROUP)
                        .zip(self.blended.chunks_exact(3 * GROUP))
                    {
                        out.copy_from_slice(&three[..out.len()]);
                    }
                }
                Step::TwoToOne => halve::<GROUP>(&mut out[..out_bytes], &self.row[..used]),
            }
        }
    }
}

/// Rounds up: one vector instruction.
fn average_up(a: u8, b: u8) -> u8 {
    ((u16::from(a) + u16::from(b) + 1) >> 1) as u8
}

/// Rounds down, so that two averages in a row do not brighten the picture.
fn average_down(a: u8, b: u8) -> u8 {
    !average_up(!a, !b)
}

/// Three quarters of `near`, one of `far`.
fn lean(out: &mut [u8], near: &[u8], far: &[u8]) {
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = average_up(near, average_down(near, far));
    }
}

/// Half of each.
fn mix(out: &mut [u8], a: &[u8], b: &[u8]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = average_down(a, b);
    }
}

/// Of each pair of neighbours three quarters of the left where `mask` is set, else of the right.
fn blend(out: &mut [u8], left: &[u8], right: &[u8], mask: &[u8]) {
    for (((out, &left), &right), &mask) in out.iter_mut().zip(left).zip(right).zip(mask) {
        let near = left & mask | right & !mask;
        *out = average_up(near, average_down(left, right));
    }
}

fn halve<const GROUP: usize>(out: &mut [u8], row: &[u8]) {
    if GROUP == 1 {
        for (out, pair) in out.iter_mut().zip(row.chunks_exact(2)) {
            *out = average_up(pair[0], pair[1]);
        }
    } else {
        for (out, pair) in out.chunks_exact_mut(GROUP).zip(row.chunks_exact(2 * GROUP)) {
            for (n, out) in out.iter_mut().enumerate() {
                *out = average_up(pair[n], pair[n + GROUP]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shrinks a picture whose value at (x, y) is `value` and compares each pixel with what lies at its centre.
    fn check<const GROUP: usize>(
        from: (usize, usize),
        to: (usize, usize),
        value: fn(f64, f64) -> f64,
        tolerance: f64,
    ) {
        let stride = from.0 * GROUP + 5;
        let mut bytes = vec![0u8; stride * from.1];
        for y in 0..from.1 {
            for x in 0..from.0 {
                bytes[y * stride + x * GROUP..][..GROUP]
                    .fill(value(x as f64 + 0.5, y as f64 + 0.5).round() as u8);
            }
        }
        let step = Step::between(from.0 as u32, to.0 as u32).expect("a step of the ladder");
        assert_eq!(Step::between(from.1 as u32, to.1 as u32), Some(step));
        let factor = if step == Step::TwoToOne { 2.0 } else { 1.5 };
        let mut out = vec![0u8; (to.0 * GROUP + 3) * to.1];
        let source = Plane {
            bytes: &bytes[..],
            stride,
            width: from.0,
            height: from.1,
        };
        let mut target = Plane {
            bytes: &mut out[..],
            stride: to.0 * GROUP + 3,
            width: to.0,
            height: to.1,
        };
        Shrinker::default().shrink::<GROUP>(&source, &mut target, step);
        for y in 0..to.1 {
            for x in 0..to.0 - 1 {
                let expected = value((x as f64 + 0.5) * factor, (y as f64 + 0.5) * factor);
                for part in 0..GROUP {
                    let got = f64::from(out[y * (to.0 * GROUP + 3) + x * GROUP + part]);
                    assert!(
                        (got - expected).abs() <= tolerance,
                        "({x},{y}): {got}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn ramps_stay_where_they_are_at_every_step_of_the_ladder() {
        let slope: fn(f64, f64) -> f64 = |x, y| 20.0 + x * 0.1 + y * 0.2;
        check::<1>((384, 216), (256, 144), slope, 1.0);
        check::<1>((1280, 720), (854, 480), |x, _| 20.0 + x * 0.1, 1.0);
        check::<1>((854, 480), (426, 240), |x, _| 20.0 + x * 0.1, 1.0);
        check::<2>((192, 108), (128, 72), slope, 1.0);
        check::<2>((128, 72), (64, 36), slope, 1.0);
    }

    #[test]
    fn flat_pictures_keep_their_value_exactly() {
        for value in [
            (|_, _| 16.0) as fn(f64, f64) -> f64,
            |_, _| 235.0,
            |_, _| 0.0,
            |_, _| 255.0,
        ] {
            check::<1>((96, 96), (64, 64), value, 0.0);
            check::<1>((96, 96), (48, 48), value, 0.0);
        }
    }

    #[test]
    fn other_ratios_are_left_to_a_general_scaler() {
        for (from, to) in [
            (1920, 1920),
            (1920, 640),
            (1920, 854),
            (640, 426 + 8),
            (24, 8),
        ] {
            assert_eq!(Step::between(from, to), None, "{from} to {to}");
        }
        assert_eq!(Step::between(1280, 854), Some(Step::ThreeToTwo));
        assert_eq!(Step::between(854, 426), Some(Step::TwoToOne));
        assert_eq!(Step::between(640, 427), Some(Step::ThreeToTwo));
    }
}
