//! The read barrier: proof that a View includes everything acknowledged before a moment.
//!
//! ```text
//! any node    request ─► round ─► read index from the leader ─► wait until the View includes it
//! the leader  read index ─► round ─► a majority of the voters still follow this leader
//! ```
//!
//! Openraft's own confirmation is an empty append, which a follower answers only once its log is
//! on disk. Here a voter is asked whether it has seen a higher vote, which its memory tells: a
//! leader that was replaced before the round began is not confirmed, because the majority that
//! elected the other one and the majority that confirms have a voter in common, and that voter
//! knows the higher vote. So whatever was acknowledged before the round was committed by this
//! leader or an earlier one, and stands at or below its commit index, provided that an entry of
//! its own term is committed.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use keystead_state::View;
use keystead_types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use tokio::time::{Instant, timeout_at};

use crate::node_core::Core;
use crate::rounds::Confirm;
use crate::seams::Link;
use crate::types::{LogId, StoredMembership, TypeConfig, Vote};

/// Why no View could be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The region has no leader with a quorum.
    #[error("the region has no leader with a quorum at the moment")]
    NoLeader,
    /// The deadline came first.
    #[error("the state could not be confirmed in time")]
    Timeout,
    /// The node is stopping or has failed.
    #[error("the node is stopping")]
    Stopped,
}

/// The node that was asked does not lead, or not with a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node does not lead")]
pub struct NotLeading {
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
}

type Servers = WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>;

/// Confirms a View, on any node.
pub(crate) struct ConfirmView {
    core: Arc<Core>,
    servers: Servers,
}

impl ConfirmView {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { servers: core.raft.server_metrics(), core }
    }

    async fn read_index(&self, attempt: Instant) -> Result<u64, Unavailable> {
        let Some((leader, member)) = self.core.leader() else { return Err(Unavailable::NoLeader) };
        if leader == self.core.node_id {
            let index = self.core.read_index(attempt).await;
            // A leader whose followers are silent is none, and may be one again: the next attempt
            // tells.
            return index.map_err(|error| match error {
                Unavailable::Timeout => Unavailable::NoLeader,
                error => error,
            });
        }
        let peer = self.core.peers.get(leader, &member, Link::Heartbeat);
        let limit = attempt.saturating_duration_since(self.core.clock.monotonic());
        let began = self.core.clock.monotonic();
        match peer.read_index(limit).await {
            Ok(Ok(index)) => {
                let took = self.core.clock.monotonic().saturating_duration_since(began);
                metrics::histogram!("keystead_raft_read_index_seconds").record(took);
                Ok(index)
            }
            Ok(Err(NotLeading { .. })) => Err(Unavailable::NoLeader),
            Err(error) => {
                tracing::debug!(%error, %leader, "the leader confirmed nothing");
                Err(Unavailable::NoLeader)
            }
        }
    }
}

#[async_trait::async_trait]
impl Confirm for ConfirmView {
    type Proof = Arc<View>;

    async fn confirm(&self, attempt: Instant, latest: Instant) -> Result<Arc<View>, Unavailable> {
        if cfg!(feature = "danger-skip-barrier") {
            return Ok(self.core.published.view());
        }
        let index = self.read_index(attempt).await?;
        let applied = self.core.published.at_least(index);
        timeout_at(latest, applied).await.map_err(|_| Unavailable::Timeout)
    }

    async fn leader_changed(&mut self) -> Option<bool> {
        leader_changed(&mut self.servers).await
    }
}

/// Confirms an index, on the leader.
pub(crate) struct ConfirmLeader {
    core: Arc<Core>,
    servers: Servers,
}

/// What a leader knows of itself, taken in one moment.
struct Office {
    vote: Vote,
    committed: Option<LogId>,
    membership: Arc<StoredMembership>,
}

impl ConfirmLeader {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { servers: core.raft.server_metrics(), core }
    }

    async fn office(&self) -> Result<Office, Unavailable> {
        let taken = self.core.raft.with_raft_state(|state| Office {
            vote: *state.vote_ref(),
            committed: state.cluster_committed().copied(),
            membership: Arc::clone(state.membership_state.effective()),
        });
        taken.await.map_err(|_| Unavailable::Stopped)
    }
}

#[async_trait::async_trait]
impl Confirm for ConfirmLeader {
    type Proof = u64;

    async fn confirm(&self, attempt: Instant, _latest: Instant) -> Result<u64, Unavailable> {
        let office = self.office().await?;
        let leads = office.vote.committed && office.vote.leader_id.node_id == self.core.node_id.0;
        // Before an entry of its own term is committed, a leader does not know what is.
        let own = office.committed.filter(|id| id.leader_id == office.vote.leader_id);
        let Some(committed) = own.filter(|_| leads) else { return Err(Unavailable::NoLeader) };
        let followed = majority_follows(&self.core, office.vote, &office.membership, attempt);
        if followed.await { Ok(committed.index) } else { Err(Unavailable::NoLeader) }
    }

    async fn leader_changed(&mut self) -> Option<bool> {
        leader_changed(&mut self.servers).await
    }
}

/// Asks the other voters whether they follow this vote, until a majority does: of each set of
/// voters while the membership changes. Notes what their clocks say.
async fn majority_follows(
    core: &Core,
    vote: Vote,
    membership: &StoredMembership,
    attempt: Instant,
) -> bool {
    let began = core.clock.monotonic();
    let limit = attempt.saturating_duration_since(began);
    let mut followers = vec![core.node_id.0];
    let others = membership.voter_ids().filter(|id| *id != core.node_id.0);
    let mut answers: FuturesUnordered<_> = others
        .filter_map(|id| {
            let member = membership.membership().get_node(&id)?;
            let peer = core.peers.get(NodeId(id), member, Link::Heartbeat);
            Some(async move { (id, peer.confirm(vote, limit).await) })
        })
        .collect();
    let sets = membership.membership().get_joint_config();
    let enough = |followers: &[u64]| {
        sets.iter().all(|voters| {
            let count = followers.iter().filter(|id| voters.contains(id)).count();
            count > voters.len() / 2
        })
    };
    while !enough(&followers) {
        let Some((id, answer)) = answers.next().await else { return false };
        let Ok(answer) = answer else { continue };
        core.time.report(NodeId(id), answer.clock, core.clock.monotonic());
        if answer.follows {
            followers.push(id);
        }
    }
    let took = core.clock.monotonic().saturating_duration_since(began);
    metrics::histogram!("keystead_raft_confirm_seconds").record(took);
    true
}

async fn leader_changed(servers: &mut Servers) -> Option<bool> {
    servers.changed().await.ok()?;
    Some(servers.borrow_and_update().current_leader.is_some())
}
