//! How much comes in a day: what was recorded counts as long as it tells what is to come.

use std::sync::Arc;

use super::faults::folder;
use super::made::*;
use super::retention::{accept, open};
use crate::base::SimulatedClock;
use crate::store::file_system::{DiskSpace, RealFileSystem};
use crate::store::reader::Reader;
use crate::store::{Forecast, Retention};

const MINUTE_MS: i64 = 60_000;

#[test]
fn a_camera_that_is_gone_fills_the_disk_no_more() {
    let dir = folder();
    let clock = SimulatedClock::new(NOON);
    let mut recorder = open(dir.path(), &clock, Arc::new(RealFileSystem), None).unwrap();
    for minute in 0..12 {
        let at = NOON.plus_ms(minute as i64 * MINUTE_MS);
        accept(&mut recorder, 0, minute, at);
    }
    recorder.close();
    let last = NOON.plus_ms(11 * MINUTE_MS + 2000);
    let usage_after = |minutes: i64| {
        let space = DiskSpace {
            free: 1 << 40,
            total: 1 << 41,
        };
        let now = last.plus_ms(minutes * MINUTE_MS);
        Reader::new(dir.path())
            .usage(&Retention::default(), space, now)
            .unwrap()
    };
    let rate_after = |minutes| usage_after(minutes).cameras[0].bytes_per_day.unwrap();
    let bytes = usage_after(0).bytes() as f64;
    // As if it went on like in those eleven minutes; also by a clock that was set back.
    let rate = rate_after(0);
    assert!(rate > 100.0 * bytes, "{rate} of {bytes}");
    assert_eq!((rate_after(60), rate_after(-5_000)), (rate, rate));
    // Then with what came of it, as long as that came within the last day.
    assert_eq!(rate_after(61), bytes);
    let forecast = usage_after(61).forecast();
    assert!(matches!(forecast, Forecast::Filling { .. }), "{forecast:?}");
    let part = rate_after(24 * 60 - 5);
    assert!(0.0 < part && part < bytes, "{part} of {bytes}");
    assert_eq!(rate_after(24 * 60), 0.0);
    assert_eq!(usage_after(24 * 60).forecast(), Forecast::Unknown);
}
