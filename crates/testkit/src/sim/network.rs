//! The simulated network: who reaches whom, how long it takes, what gets lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use keystead_raft::Inbox;
use keystead_raft::seams::Link;
use keystead_types::NodeId;

use super::mix;

/// A place for a node. It stays when the node crashes, and even when its disk is lost.
pub(super) type HostId = usize;

/// One life of a node, from a start to a crash. Every life has another number.
pub(super) type Life = u64;

/// Between any two hosts, in each direction for itself.
pub(super) struct Network {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lives: BTreeMap<HostId, Life>,
    inboxes: BTreeMap<HostId, Inbox>,
    // How many faults cut this direction at the moment.
    cuts: BTreeMap<(HostId, HostId), u32>,
    storms: u32,
    sent: BTreeMap<(HostId, HostId, Link), u64>,
    snapshots: u64,
}

/// What becomes of one message.
pub(super) struct Fate {
    pub(super) delay: Duration,
    pub(super) lost: bool,
}

/// A message that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nobody listens there; the sender learns it at once.
    Refused,
    /// The sender learns it by waiting.
    Silently,
}

struct Weather {
    slowest: Duration,
    loss: f64,
}

const CALM: Weather = Weather { slowest: Duration::from_millis(8), loss: 0.002 };
const STORM: Weather = Weather { slowest: Duration::from_millis(120), loss: 0.1 };
const QUICKEST: Duration = Duration::from_micros(200);
/// A snapshot is large.
const SNAPSHOT_FACTOR: u32 = 30;

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    /// A host begins a life; it can send.
    pub(super) fn begin(&self, host: HostId, life: Life) {
        self.lock().lives.insert(host, life);
    }

    /// A host can be reached.
    pub(super) fn listen(&self, host: HostId, inbox: Inbox) {
        self.lock().inboxes.insert(host, inbox);
    }

    /// The life of a host is over: what it has sent does not arrive any more.
    pub(super) fn end(&self, host: HostId) {
        let mut state = self.lock();
        state.lives.remove(&host);
        state.inboxes.remove(&host);
    }

    pub(super) fn is_current(&self, host: HostId, life: Life) -> bool {
        self.lock().lives.get(&host) == Some(&life)
    }

    /// Nothing gets from one host to the other until [`Network::join`].
    pub(super) fn cut(&self, from: HostId, to: HostId) {
        *self.lock().cuts.entry((from, to)).or_default() += 1;
    }

    /// Ends one [`Network::cut`].
    pub(super) fn join(&self, from: HostId, to: HostId) {
        if let Some(cuts) = self.lock().cuts.get_mut(&(from, to)) {
            *cuts = cuts.saturating_sub(1);
        }
    }

    /// Messages are slow and get lost until [`Network::end_storm`].
    pub(super) fn begin_storm(&self) {
        self.lock().storms += 1;
    }

    /// Ends one [`Network::begin_storm`].
    pub(super) fn end_storm(&self) {
        let mut state = self.lock();
        state.storms = state.storms.saturating_sub(1);
    }

    /// The fate of the next message on a link.
    ///
    /// It follows from the message's number on its link and from nothing else, so that the order
    /// in which tasks of one moment run does not change what happens to others.
    pub(super) fn fate(&self, from: HostId, to: HostId, link: Link) -> Fate {
        let mut state = self.lock();
        let weather = if state.storms > 0 { STORM } else { CALM };
        let number = state.sent.entry((from, to, link)).or_default();
        *number += 1;
        let way = [from as u64, to as u64, link as u64, *number];
        let mut rng = Rng::with_seed(mix(self.seed, &way));
        // Most are quick, some are slow.
        let slow = weather.slowest.mul_f64(rng.f64().powi(2));
        let factor = if link == Link::Snapshot { SNAPSHOT_FACTOR } else { 1 };
        Fate { delay: (QUICKEST + slow) * factor, lost: rng.f64() < weather.loss }
    }

    /// A snapshot was sent and installed.
    pub(super) fn count_snapshot(&self) {
        self.lock().snapshots += 1;
    }

    /// How many snapshots were sent and installed.
    pub(super) fn snapshots(&self) -> u64 {
        self.lock().snapshots
    }

    /// Whether a message of this life of a host arrives at another host now.
    pub(super) fn passes(&self, from: (HostId, Life), to: HostId) -> bool {
        let state = self.lock();
        let cut = state.cuts.get(&(from.0, to)).is_some_and(|cuts| *cuts > 0);
        state.lives.get(&from.0) == Some(&from.1) && !cut
    }

    /// Who answers at a host. A node is reached by its own id only.
    pub(super) fn inbox(&self, host: HostId, id: Option<NodeId>) -> Option<(Inbox, Life)> {
        let state = self.lock();
        let inbox = state.inboxes.get(&host)?;
        let is_meant = id.is_none_or(|id| id == inbox.node_id());
        Some((inbox.clone(), *state.lives.get(&host)?)).filter(|_| is_meant)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("seed", &self.seed).finish_non_exhaustive()
    }
}
