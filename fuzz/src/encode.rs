//! How a camera's own H.264 is judged, of a floor that as a whole needs GStreamer.

use crate::base::Monotonic;
use crate::media::FrameRate;

#[allow(dead_code)]
#[path = "../../src/encode/cadence.rs"]
mod cadence;
#[allow(dead_code)]
#[path = "../../src/encode/own_h264.rs"]
mod own_h264;

/// Watches one run of a camera's stream.
#[derive(Debug)]
pub struct OwnStream(own_h264::OwnStreamWatch);

impl OwnStream {
    /// Pictures are to come at `rate`, with at most about `bitrate_bps`.
    pub fn new(rate: FrameRate, bitrate_bps: u32) -> Self {
        let grid = cadence::Grid::new(rate);
        Self(own_h264::OwnStreamWatch::new(grid, bitrate_bps))
    }

    /// As the watch has it.
    pub fn may_enter(&mut self, data: &[u8], sequence: u32) -> bool {
        self.0.may_enter(data, sequence)
    }

    /// The place of an access unit, or why the run ends: the rule that is broken, `None` for a drift.
    pub fn judge(
        &mut self,
        data: &[u8],
        captured_at: Monotonic,
    ) -> Result<u64, Option<&'static str>> {
        self.0
            .judge(data, captured_at)
            .map_err(|breach| match breach {
                own_h264::Breach::Rule(rule) => Some(rule),
                own_h264::Breach::Drift => None,
            })
    }
}
