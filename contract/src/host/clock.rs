//! The wall clock, and the one that nobody sets.

use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Now, in UTC.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Since this machine booted, sleep included.
pub fn uptime() -> Duration {
    // Linux has this clock since 2.6.39 and it cannot fail.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}
