//! How busy and how hot the machine is.

use std::fs;

/// Share of all processors in use between two readings of `/proc/stat`.
#[derive(Debug, Default)]
pub struct CpuLoad {
    busy: u64,
    total: u64,
}

impl CpuLoad {
    /// The share in use since the last call, 0 to 1; 0 at the first.
    pub fn measure(&mut self) -> f32 {
        let Some((busy, total)) = fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|s| parse(&s))
        else {
            return 0.0;
        };
        let first = self.total == 0;
        let (busy_delta, total_delta) = (
            busy.saturating_sub(self.busy),
            total.saturating_sub(self.total),
        );
        (self.busy, self.total) = (busy, total);
        if first || total_delta == 0 {
            0.0
        } else {
            busy_delta as f32 / total_delta as f32
        }
    }
}

/// Busy and total jiffies of the `cpu` line (proc(5)). Idle and waiting for disks count as free; what a hypervisor
/// gave to others counts as busy, since it is not ours to have.
fn parse(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map_while(|f| f.parse().ok())
        .collect();
    // guest and guest_nice (fields 8 and 9) are already within user and nice.
    let total: u64 = fields.iter().take(8).sum();
    let idle = fields.get(3)? + fields.get(4)?;
    Some((total - idle, total))
}

/// The hottest thermal zone in degrees Celsius, where the board has one.
pub fn temperature_celsius() -> Option<f32> {
    let zones = fs::read_dir("/sys/class/thermal").ok()?;
    zones
        .flatten()
        .filter_map(|zone| fs::read_to_string(zone.path().join("temp")).ok())
        .filter_map(|text| text.trim().parse::<f32>().ok())
        .map(|millidegrees| millidegrees / 1000.0)
        .max_by(f32::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_proc_stat_tells_busy_and_total() {
        let stat = "cpu  100 5 45 800 50 0 10 40 7 0\ncpu0 1 1 1 1\n";
        assert_eq!(parse(stat), Some((200, 1050)));
        assert_eq!(parse("intr 1 2 3"), None);
        assert_eq!(parse("cpu  1 2"), None);
    }
}
