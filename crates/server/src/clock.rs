//! The node's clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use keystead_raft::seams::Clock;
use keystead_types::UnixMillis;

/// The node's wall clock, by which requests are judged.
pub(crate) fn now() -> UnixMillis {
    test_clock::shift(ServerClock.unix_millis())
}

/// The clocks of the machine, as consensus sees them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServerClock;

impl Clock for ServerClock {
    fn unix_millis(&self) -> UnixMillis {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = UnixMillis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        test_clock::attack(millis)
    }

    fn shift_ms(&self) -> u64 {
        test_clock::shift(UnixMillis(0)).0
    }
}

#[cfg(all(feature = "test-clock", not(debug_assertions)))]
compile_error!("the feature test-clock moves time and must not be in a release build");

#[cfg(feature = "test-clock")]
mod test_clock {
    use super::UnixMillis;

    /// The seconds that the file named by a variable holds.
    fn seconds(variable: &str) -> i64 {
        let text = std::env::var_os(variable).and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }

    fn moved(time: UnixMillis, seconds: i64) -> UnixMillis {
        UnixMillis(time.0.saturating_add_signed(seconds.saturating_mul(1000)))
    }

    /// A region whose time has passed: the same for all its nodes, and checked by none.
    pub(super) fn shift(time: UnixMillis) -> UnixMillis {
        moved(time, seconds("KEYSTEAD_TEST_CLOCK"))
    }

    /// A machine whose clock is wrong.
    pub(super) fn attack(time: UnixMillis) -> UnixMillis {
        moved(time, seconds("KEYSTEAD_TEST_CLOCK_OFFSET"))
    }
}

#[cfg(not(feature = "test-clock"))]
mod test_clock {
    use super::UnixMillis;

    pub(super) fn shift(time: UnixMillis) -> UnixMillis {
        time
    }

    pub(super) fn attack(time: UnixMillis) -> UnixMillis {
        time
    }
}
