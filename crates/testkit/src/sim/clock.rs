//! The wall clocks: one that is true, and those of the hosts, which may be attacked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use keystead_raft::seams::Clock;
use keystead_types::UnixMillis;
use tokio::time::Instant;

/// What a true clock says when the simulation begins.
const BEGINNING: UnixMillis = UnixMillis(1_800_000_000_000);

/// What a true clock says.
pub(super) fn true_time(began: Instant) -> UnixMillis {
    let passed = began.elapsed().as_millis();
    BEGINNING.plus(u64::try_from(passed).unwrap_or(u64::MAX))
}

/// The clock of a host.
#[derive(Debug, Clone)]
pub(super) struct HostClock {
    began: Instant,
    off_ms: Arc<AtomicI64>,
}

impl HostClock {
    /// A clock that is right.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, off_ms: Arc::default() }
    }

    /// Sets it wrong by so much.
    pub(super) fn set_off(&self, by_ms: i64) {
        self.off_ms.store(by_ms, Ordering::Relaxed);
    }
}

impl Clock for HostClock {
    fn unix_millis(&self) -> UnixMillis {
        let off = self.off_ms.load(Ordering::Relaxed);
        UnixMillis(true_time(self.began).0.saturating_add_signed(off))
    }
}
