//! What systemd hears from us (sd_notify(3)): readiness, a status line, the watchdog. Silent elsewhere.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager that started this process, if any.
#[derive(Clone, Copy, Debug)]
pub struct ServiceManager {
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Reads what the service manager left in the environment.
    pub fn from_environment() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
        }
    }

    /// How often the watchdog wants to be fed at least: half its limit. `None` if nobody watches.
    pub fn watchdog_interval(self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// The appliance serves.
    pub fn ready(self) {
        Self::tell(&[NotifyState::Ready]);
    }

    /// The appliance shuts down in order.
    pub fn stopping(self) {
        Self::tell(&[NotifyState::Stopping]);
    }

    /// Frames advance.
    pub fn feed_watchdog(self) {
        Self::tell(&[NotifyState::Watchdog]);
    }

    /// One line for `systemctl status`.
    pub fn status(self, line: &str) {
        Self::tell(&[NotifyState::Status(line)]);
    }

    fn tell(states: &[NotifyState]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager could not be told");
        }
    }
}
