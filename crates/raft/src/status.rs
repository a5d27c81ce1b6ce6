//! What a node tells of itself and of the other members.

use keystead_types::{ClusterId, NodeId};
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;

use crate::member::Member;
use crate::node::Node;

/// What a node does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives the log and has no vote.
    Learner,
    /// Receives the log and votes.
    Follower,
    /// Stands for election.
    Candidate,
    /// Decides the order of the log.
    Leader,
    /// Stops.
    Stopping,
}

/// A look at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The node.
    pub node_id: NodeId,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// What it does there.
    pub role: Role,
    /// Raft's term.
    pub term: u64,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Index of the last log entry.
    pub last_log: Option<u64>,
    /// Index of the last applied entry.
    pub applied: Option<u64>,
    /// Index that the current snapshot covers, and the digest of its plain records, which is the
    /// same on every replica.
    pub snapshot: Option<(u64, [u8; 32])>,
    /// Index up to which the log is purged.
    pub purged: Option<u64>,
    /// Why the node failed, if it has.
    pub failure: Option<String>,
    /// Whether mutations are refused because of the disk.
    pub disk_full: bool,
    /// All members, this node among them.
    pub members: Vec<MemberStatus>,
}

/// A member, as another one knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its node id.
    pub id: NodeId,
    /// Its name and address.
    pub member: Member,
    /// Whether it has a vote.
    pub voter: bool,
    /// Index up to which it has the log; the leader alone knows.
    pub matched: Option<u64>,
}

impl Node {
    /// A look at the node.
    pub fn status(&self) -> Status {
        let core = &self.core;
        let members = self.members();
        let watch = core.raft.metrics();
        let metrics = watch.borrow_watched();
        Status {
            node_id: core.node_id,
            cluster_id: core.codec.cluster_id(),
            role: match metrics.state {
                ServerState::Learner => Role::Learner,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Leader => Role::Leader,
                ServerState::Shutdown => Role::Stopping,
            },
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            last_log: metrics.last_log_index,
            applied: core.published.applied(),
            snapshot: core.snapshots.current_digest(),
            purged: metrics.purged.map(|log_id| log_id.index),
            failure: core.health.failure().map(|reason| reason.to_string()),
            disk_full: core.disk.is_full(core.clock.monotonic()),
            members,
        }
    }

    fn members(&self) -> Vec<MemberStatus> {
        let membership = self.core.membership();
        let leads = self.core.leads();
        let status = |(id, member): (&u64, &Member)| MemberStatus {
            id: NodeId(*id),
            member: member.clone(),
            voter: membership.voter_ids().any(|voter| voter == *id),
            matched: leads.then(|| self.core.matched(NodeId(*id))).flatten(),
        };
        membership.membership().nodes().map(status).collect()
    }
}
