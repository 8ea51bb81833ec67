//! A camera's own H.264: keyframes and B-frames are found wherever they were put, and in any stream places grow, lie
//! where the camera's clock says, and every segment opens with a keyframe. `./scripts/fuzz own_h264`

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use perch_fuzz::base::Monotonic;
use perch_fuzz::encode::OwnStream;
use perch_fuzz::media::FrameRate;

/// Macroblocks of the largest picture that a level allows (ITU-T H.264 table A-1, level 6).
const MACROBLOCKS_MAX: u32 = 139_264;
const BITRATE_BPS: u32 = 500_000;
const B_FRAMES: &str = "it has B-frames";

fn watch() -> OwnStream {
    OwnStream::new(FrameRate::whole(30), BITRATE_BPS)
}

/// Start codes do not overlap, so whatever follows one is a unit's header.
fn has_idr(data: &[u8]) -> bool {
    data.windows(4)
        .any(|window| window[..3] == [0, 0, 1] && window[3] & 0x1F == 5)
}

/// Any bytes as an access unit.
fn read(data: &[u8]) {
    assert_eq!(watch().may_enter(data, 0), has_idr(data));
    let _ = watch().judge(data, Monotonic(0));
}

/// An access unit of slices and other units, in order, and what is to be found in it.
fn read_laid_out(mut bytes: &[u8]) {
    let (mut data, mut idr, mut bidirectional) = (Vec::new(), false, false);
    while let Some((&[header, mb0, mb1, mb2, slice_type, count], rest)) = bytes.split_first_chunk()
    {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(count)));
        bytes = rest;
        let first_mb = u32::from_be_bytes([0, mb0, mb1, mb2]) % MACROBLOCKS_MAX;
        let slice_type = u32::from(slice_type % 10);
        idr |= header & 0x1F == 5;
        bidirectional |= header & 0x1F == 1 && matches!(slice_type, 1 | 6);
        let mut unit = vec![header];
        unit.extend(packed(
            &[exp_golomb(first_mb), exp_golomb(slice_type)].concat(),
        ));
        unit.extend(payload);
        data.extend(&[0, 0, 0, 1][usize::from(count & 1)..]);
        data.extend(escaped(&unit));
    }
    assert_eq!(watch().may_enter(&data, 0), idr);
    let judged = watch().judge(&data, Monotonic(0));
    assert_eq!(judged == Err(Some(B_FRAMES)), bidirectional, "{data:x?}");
}

/// ue(v), a byte a bit (§9.1).
fn exp_golomb(value: u32) -> Vec<u8> {
    let bits = (value + 1).ilog2();
    let digits = (0..=bits).rev().map(|bit| ((value + 1) >> bit & 1) as u8);
    std::iter::repeat_n(0, bits as usize)
        .chain(digits)
        .collect()
}

fn packed(bits: &[u8]) -> Vec<u8> {
    let byte = |bits: &[u8]| (0..8).fold(0, |byte, at| byte << 1 | bits.get(at).unwrap_or(&1));
    bits.chunks(8).map(byte).collect()
}

/// With the bytes that keep start codes out of a unit (§7.3.1).
fn escaped(unit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &byte in unit {
        if byte <= 3 && bytes.ends_with(&[0, 0]) {
            bytes.push(3);
        }
        bytes.push(byte);
    }
    bytes
}

/// A stream: what each picture is, how far the camera counts, and how long it takes.
fn watch_stream(bytes: &[u8]) {
    let Some((&[rate], pictures)) = bytes.split_first_chunk() else {
        return;
    };
    let rate = match rate {
        0 => FrameRate {
            numerator: 30_000,
            denominator: 1_001,
        },
        rate => FrameRate::whole(rate.into()),
    };
    let at = |slot: u64| {
        let units = u128::from(slot) * u128::from(rate.denominator) * 1_000_000_000;
        Duration::from_nanos((units / u128::from(rate.numerator)) as u64)
    };
    let segment = |slot: u64| slot * u64::from(rate.denominator) / (2 * u64::from(rate.numerator));
    let mut watch = OwnStream::new(rate, BITRATE_BPS);
    let (mut sequence, mut captured_at) = (0u32, Monotonic(0));
    let mut before: Option<(u64, Monotonic)> = None;
    for (picture, is_first) in pictures.chunks_exact(3).zip((0..).map(|n| n == 0)) {
        let what = picture[0];
        // Most cameras count by one, or not at all; some lose pictures, and some start anew.
        let lost = match picture[1] {
            counted @ 0..=250 => u32::from(counted % 4).saturating_sub(1),
            far => 1 << (far % 4 * 7),
        };
        sequence = match picture[1] {
            0 => sequence,
            255 if sequence < 1 << 30 => 0,
            _ => sequence.wrapping_add(lost + 1),
        };
        let jitter = Duration::from_millis(u64::from(picture[2]));
        captured_at = captured_at.after(at(u64::from(lost) + 1) + jitter / 8);
        let mut data = match what % 4 {
            0 => vec![0, 0, 1, 0x65, 0b1011_0000],
            _ => vec![0, 0, 1, 0x41, 0b1001_1000],
        };
        data.resize(data.len() + usize::from(what) * 64, 0xFF);
        let entered = watch.may_enter(&data, sequence);
        let misses = is_first || (lost > 0 && picture[1] != 255);
        assert!(has_idr(&data) || !entered || !misses);
        if !entered {
            continue;
        }
        let Ok(slot) = watch.judge(&data, captured_at) else {
            return;
        };
        let zero = before.map_or(captured_at, |(_, zero)| zero);
        let off = captured_at.since(zero).abs_diff(at(slot));
        assert!(off <= Duration::from_millis(501), "{off:?} at {slot}");
        match before {
            None => assert!(slot == 0 && has_idr(&data)),
            Some((before, _)) => {
                assert!(before < slot);
                assert!(segment(before) == segment(slot) || has_idr(&data));
            }
        }
        before = Some((slot, zero));
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    read_laid_out(bytes);
    watch_stream(bytes);
});
