//! What all parts of a running node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keystead_state::View;
use keystead_types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{Raft, ServerState};
use tokio::time::Instant;

use crate::barrier::Unavailable;
use crate::codec::Codec;
use crate::disk::DiskGuard;
use crate::health::Health;
use crate::machine::{Machine, Published, SnapshotStore};
use crate::member::Member;
use crate::peers::Peers;
use crate::rounds::Waiting;
use crate::seams::{Clock, Entropy};
use crate::time::ReplicatedTime;
use crate::types::{StoredMembership, TypeConfig};

/// The inside of a node.
pub(crate) struct Core {
    pub(crate) node_id: NodeId,
    pub(crate) member: Member,
    /// The greatest cluster version that this node answers for.
    pub(crate) understands: u32,
    pub(crate) raft: Raft<TypeConfig, Machine>,
    pub(crate) servers: WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
    pub(crate) codec: Codec,
    pub(crate) snapshots: Arc<SnapshotStore>,
    pub(crate) published: Arc<Published>,
    pub(crate) health: Health,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) disk: DiskGuard,
    pub(crate) peers: Peers,
    pub(crate) time: ReplicatedTime,
    /// Requests of this node that wait for a View.
    pub(crate) views: Arc<Waiting<Arc<View>>>,
    /// Requests of all members that wait for this node, as their leader, to confirm an index.
    pub(crate) indexes: Arc<Waiting<u64>>,
    pub(crate) propose_timeout: Duration,
    pub(crate) stopping: AtomicBool,
}

impl Core {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The membership that is in effect here.
    pub(crate) fn membership(&self) -> Arc<StoredMembership> {
        Arc::clone(&self.servers.borrow_watched().membership_config)
    }

    /// Who leads, as far as this node knows.
    pub(crate) fn leader(&self) -> Option<(NodeId, Member)> {
        let servers = self.servers.borrow_watched();
        let id = servers.current_leader?;
        if id == self.node_id.0 && servers.state != ServerState::Leader {
            return None;
        }
        let member = servers.membership_config.membership().get_node(&id)?.clone();
        Some((NodeId(id), member))
    }

    /// Whether this node leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.servers.borrow_watched().state == ServerState::Leader
    }

    /// Whether this node leads as the only voter: then nothing is acknowledged that it has not
    /// applied, and there is nobody to ask.
    ///
    /// Safe without a round trip. `Node::start` has applied what earlier lives acknowledged; a
    /// membership of one is in effect only after everything before it was applied here; and
    /// before another voter can lead, this node has to commit a joint membership, which shows
    /// here first.
    pub(crate) fn decides_alone(&self) -> bool {
        if self.is_stopping() || self.health.failure().is_some() {
            return false;
        }
        let servers = self.servers.borrow_watched();
        let alone = match servers.membership_config.membership().get_joint_config().as_slice() {
            [voters] => voters.len() == 1 && voters.contains(&self.node_id.0),
            _ => false,
        };
        alone && servers.state == ServerState::Leader
    }

    /// On the leader: an index that includes everything acknowledged before this call.
    pub(crate) async fn read_index(&self, deadline: Instant) -> Result<u64, Unavailable> {
        match self.decides_alone().then(|| self.published.applied()).flatten() {
            Some(applied) => Ok(applied),
            None => self.indexes.pass(deadline).await,
        }
    }

    /// Asks all voters for their clocks, by the way of a confirmation that nobody else needs, and
    /// tells of those that are off.
    pub(crate) async fn compare_clocks(&self) {
        let now = self.clock.monotonic();
        self.time.observe(self.published.view().clock(), self.clock.shift_ms(), now);
        if !self.leads() || self.is_stopping() {
            return;
        }
        // Whether it was confirmed is of no interest; the reports are noted on the way.
        let _ = self.read_index(now + Duration::from_secs(1)).await;
        let membership = self.membership();
        for voters in membership.membership().get_joint_config() {
            for (id, off) in self.time.astray(voters, self.clock.monotonic()) {
                metrics::gauge!("keystead_raft_clock_offset_ms", "node" => id.to_string())
                    .set(off as f64);
                tracing::error!(node = %id, off_ms = off, "a clock is wrong: check its NTP");
            }
        }
    }
}
