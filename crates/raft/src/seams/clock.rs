//! Time.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use keystead_types::UnixMillis;
use tokio::time::Instant;

/// Where the time comes from.
///
/// The monotonic side is tokio's, because openraft's timers are: under a paused tokio clock both
/// stand still together.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The wall clock. It may jump in both directions.
    fn unix_millis(&self) -> UnixMillis;

    /// Milliseconds by which every time that is proposed is moved after all checks: zero, but for
    /// tests that cannot wait for days.
    fn shift_ms(&self) -> u64 {
        0
    }

    /// The monotonic clock. It never runs backwards.
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_millis(&self) -> UnixMillis {
        // A clock before 1970 is as wrong as a clock at 1970; neither is worth a failure here.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
