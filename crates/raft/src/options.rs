//! What a node is made of.

use std::sync::Arc;
use std::time::Duration;

use keystead_crypto::keyring::Keyring;
use keystead_state::CLUSTER_VERSION;
use keystead_types::ClusterId;
use openraft::{Config, ConfigError, SnapshotPolicy};

use crate::disk::DiskGuard;
use crate::format::Format;
use crate::machine::SnapshotStore;
use crate::member::Member;
use crate::seams::{Clock, Entropy, NoPeers, Store, SystemClock, SystemEntropy, Transport};

/// Everything that a node is given.
#[derive(Debug)]
pub struct NodeOptions {
    /// Who it is.
    pub format: Format,
    /// Its disk.
    pub store: Arc<dyn Store>,
    /// Where it keeps its snapshot.
    pub snapshots: SnapshotStore,
    /// The keys that its log and state are sealed with.
    pub keyring: Arc<Keyring>,
    /// How it reaches other nodes.
    pub transport: Arc<dyn Transport>,
    /// Its name, and the address at which other nodes reach it.
    pub member: Member,
    /// The greatest cluster version that it answers for; that of this software, but in tests.
    pub understands: u32,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How much of its disk stays free.
    pub disk: DiskGuard,
    /// Raft's timings and sizes.
    pub timings: Timings,
    /// How fresh what a request sees must be.
    pub reads: Reads,
    /// How long a proposal may take before its fate is left open.
    pub propose_timeout: Duration,
}

impl NodeOptions {
    /// A node that is alone, with the system's time and randomness and no watch on its disk.
    pub fn alone(
        format: Format,
        store: Arc<dyn Store>,
        snapshots: SnapshotStore,
        keyring: Arc<Keyring>,
    ) -> Self {
        Self {
            format,
            store,
            snapshots,
            keyring,
            transport: Arc::new(NoPeers),
            member: Member::default(),
            understands: CLUSTER_VERSION,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            disk: DiskGuard::off(),
            timings: Timings::default(),
            reads: Reads::Strict,
            propose_timeout: Duration::from_secs(10),
        }
    }
}

/// How fresh what a request sees must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// It includes everything acknowledged before the request came.
    #[default]
    Strict,
    /// It includes everything acknowledged so long before the request came.
    Bounded(Duration),
}

/// Raft's timings and sizes.
///
/// An outage after the loss of a leader lasts up to twice `election_max`. `heartbeat` is also the
/// time that a peer has to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// Between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// The shortest time without a leader after which a node stands for election.
    pub election_min: Duration,
    /// The longest.
    pub election_max: Duration,
    /// Entries after which a snapshot is made at the earliest.
    pub snapshot_every: u64,
    /// Rows of snapshots that may be written for each entry: with a state of more rows than that,
    /// snapshots are made more seldom, and the log is longer.
    pub snapshot_rows_per_entry: u64,
    /// Entries kept although a snapshot covers them, so that a peer that was away for a moment
    /// needs no snapshot.
    pub keep_entries: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(400),
            snapshot_every: 50_000,
            snapshot_rows_per_entry: 2,
            keep_entries: 20_000,
        }
    }
}

/// How long sending and installing one snapshot may take.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);

impl Timings {
    /// # Errors
    /// The timings contradict each other.
    pub(crate) fn config(&self, cluster_id: ClusterId) -> Result<Config, ConfigError> {
        Config {
            cluster_name: cluster_id.to_string(),
            heartbeat_interval: millis(self.heartbeat),
            election_timeout_min: millis(self.election_min),
            election_timeout_max: millis(self.election_max),
            install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
            max_payload_entries: 1024,
            max_append_entries: Some(4096),
            // A peer that lags less gets entries, one that lags more a snapshot.
            replication_lag_threshold: self.snapshot_every.saturating_mul(2),
            // See `background::make_snapshots`.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.keep_entries,
            enable_pre_vote: Some(true),
            // A restarted leader must be elected again before it leads.
            enable_leader_restore: Some(false),
            allow_log_reversion: None,
            ..Config::default()
        }
        .validate()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
