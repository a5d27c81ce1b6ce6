//! The node's wall clock, and the time that is proposed to the log.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use keystead_types::UnixMillis;

/// The node's clock.
pub(crate) fn now() -> UnixMillis {
    test_clock::shift(system())
}

fn system() -> UnixMillis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// The proposer's side of the replicated clock.
///
/// It follows the node's clock, but runs ahead of the last proposed time by at most the monotonic
/// time since plus one second: a wall clock that jumps cannot end a deletion window early.
#[derive(Debug, Default)]
pub(crate) struct ProposedTime {
    last: Mutex<Option<(UnixMillis, Instant)>>,
}

const SLACK_MS: u64 = 1000;

impl ProposedTime {
    /// The time to propose now, not before `floor`, the replicated clock as it stands.
    pub(crate) fn next(&self, floor: UnixMillis) -> UnixMillis {
        let at = Instant::now();
        // A panic while holding the lock cannot leave the pair half written.
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wall = system();
        let time = match *last {
            None => wall,
            Some((time, since)) => {
                let elapsed = at.duration_since(since).as_millis();
                let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
                wall.min(time.plus(elapsed.saturating_add(SLACK_MS))).max(time)
            }
        };
        *last = Some((time, at));
        test_clock::shift(time).max(floor)
    }
}

#[cfg(all(feature = "test-clock", not(debug_assertions)))]
compile_error!("the feature test-clock moves time and must not be in a release build");

#[cfg(feature = "test-clock")]
mod test_clock {
    use super::UnixMillis;

    /// Adds the seconds that the file named by `KEYSTEAD_TEST_CLOCK` holds.
    pub(super) fn shift(time: UnixMillis) -> UnixMillis {
        let seconds = std::env::var_os("KEYSTEAD_TEST_CLOCK")
            .and_then(|path| std::fs::read_to_string(path).ok())
            .and_then(|text| text.trim().parse::<u64>().ok());
        time.plus(seconds.unwrap_or_default().saturating_mul(1000))
    }
}

#[cfg(not(feature = "test-clock"))]
mod test_clock {
    use super::UnixMillis;

    pub(super) fn shift(time: UnixMillis) -> UnixMillis {
        time
    }
}
