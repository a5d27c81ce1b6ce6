//! Who belongs to the cluster: nodes enrol, get a vote, are removed; leadership moves.
//!
//! Every change is carried out by the leader; any member may be asked and passes it on once.

use std::collections::BTreeSet;
use std::time::Duration;

use keystead_types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant};
use tokio::time::{sleep, timeout};

use crate::member::Member;
use crate::node_core::Core;
use crate::seams::Link;
use crate::types::{StoredMembership, TypeConfig};

/// A learner that lags by no more entries than this gets a vote.
const CAUGHT_UP: u64 = 1000;
/// A member that answered the leader within this time is alive and is not replaced.
const ALIVE: Duration = Duration::from_secs(3);
/// How long a change of the membership may take.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transfer of the leadership may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// A change of the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node wants to be a member. Asked again, it moves on: unknown, learner, voter.
    Enrol {
        /// The node.
        id: NodeId,
        /// Its name and address. A dead member of the same name is replaced.
        member: Member,
        /// It stays without a vote.
        learner: bool,
        /// It was a member before. One that was removed is not taken back.
        returning: bool,
    },
    /// A learner gets a vote.
    Promote(NodeId),
    /// A member goes.
    Remove(NodeId),
    /// Another node shall lead: this one, or the one that has most of the log.
    TransferLeader(Option<NodeId>),
}

/// What the node that was asked about is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// No member.
    Absent,
    /// A member without a vote.
    Learner,
    /// A member with a vote.
    Voter,
}

/// A change that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Nobody leads, or not with a quorum.
    #[error("the region has no leader with a quorum at the moment; try again")]
    NoLeader {
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
    },
    /// It would be wrong.
    #[error("{0}")]
    Refused(String),
}

impl Core {
    /// Makes a change, through whichever node leads.
    pub(crate) async fn change(&self, change: Change) -> Result<Standing, ChangeError> {
        match self.leader() {
            Some((id, _)) if id == self.node_id => self.change_here(change).await,
            Some((id, member)) => {
                let peer = self.peers.get(id, &member, Link::Request);
                peer.change(change, CHANGE_TIMEOUT).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, leader = %id, "the leader gave no answer to a change");
                    Err(ChangeError::NoLeader { leader: Some(id) })
                })
            }
            None => Err(ChangeError::NoLeader { leader: None }),
        }
    }

    /// Makes a change on this node, which must lead.
    pub(crate) async fn change_here(&self, change: Change) -> Result<Standing, ChangeError> {
        if !self.leads() {
            let leader = self.leader().map(|(id, _)| id);
            return Err(ChangeError::NoLeader { leader });
        }
        match change {
            Change::Enrol { id, member, learner, returning } => {
                if returning && self.standing(id) == Standing::Absent {
                    return refused(format!(
                        "node {id} was removed from its cluster; empty its data folder to join"
                    ));
                }
                self.enrol(id, member, learner).await
            }
            Change::Promote(id) => self.promote(id).await,
            Change::Remove(id) => self.remove(id).await,
            Change::TransferLeader(to) => self.transfer(to).await,
        }
    }

    /// What a node is by the membership in effect.
    pub(crate) fn standing(&self, id: NodeId) -> Standing {
        let membership = self.membership();
        if membership.voter_ids().any(|voter| voter == id.0) {
            Standing::Voter
        } else if membership.membership().get_node(&id.0).is_some() {
            Standing::Learner
        } else {
            Standing::Absent
        }
    }

    /// Whether this node has been a member: by a membership that was committed, so that all who
    /// lead from then on know whether it still is one.
    pub(crate) async fn was_member(&self) -> bool {
        let id = self.node_id.0;
        let known = self.raft.with_raft_state(move |state| {
            state.membership_state.committed().membership().get_node(&id).is_some()
        });
        // A node that has stopped asks nobody.
        known.await.unwrap_or_default()
    }

    async fn enrol(
        &self,
        id: NodeId,
        member: Member,
        learner: bool,
    ) -> Result<Standing, ChangeError> {
        let membership = self.membership();
        let known = membership.membership().get_node(&id.0);
        match (self.standing(id), known) {
            (Standing::Absent, _) => {
                self.replaceable(id, &member.name)?;
                tracing::info!(node = %id, %member, "a new member learns the log");
                let nodes = [(id.0, member)].into_iter().collect();
                self.apply_change(ChangeMembers::AddNodes(nodes)).await?;
            }
            (_, Some(known)) if *known != member => {
                tracing::info!(node = %id, %member, "a member has a new name or address");
                let nodes = [(id.0, member)].into_iter().collect();
                self.apply_change(ChangeMembers::SetNodes(nodes)).await?;
            }
            (Standing::Learner, _) if !learner && self.has_caught_up(id) => {
                return self.promote(id).await;
            }
            // What gave it its vote was interrupted, and nobody else will end it.
            (Standing::Voter, _)
                if is_changing(&membership) && next_voters(&membership).contains(&id.0) =>
            {
                return self.promote(id).await;
            }
            _ => {}
        }
        Ok(self.standing(id))
    }

    /// Gives a learner a vote, and takes it from a dead member of the same name.
    async fn promote(&self, id: NodeId) -> Result<Standing, ChangeError> {
        let membership = self.membership();
        match self.standing(id) {
            Standing::Voter if !is_changing(&membership) => return Ok(Standing::Voter),
            Standing::Voter => {}
            Standing::Absent => return Err(no_member(id)),
            Standing::Learner if !self.has_caught_up(id) => {
                return refused(format!("node {id} has not caught up with the log yet"));
            }
            Standing::Learner => {}
        }
        let name = membership.membership().get_node(&id.0).map(|member| member.name.clone());
        let replaced = self.replaceable(id, &name.unwrap_or_default())?;
        let voters: BTreeSet<u64> = next_voters(&membership)
            .into_iter()
            .filter(|voter| !replaced.contains(voter))
            .chain([id.0])
            .collect();
        tracing::info!(node = %id, "a member gets a vote");
        self.apply_change(ChangeMembers::ReplaceAllVoters(voters)).await?;
        let stale: BTreeSet<u64> = replaced
            .into_iter()
            .filter(|old| self.standing(NodeId(*old)) == Standing::Learner)
            .collect();
        if !stale.is_empty() {
            self.apply_change(ChangeMembers::RemoveNodes(stale)).await?;
        }
        Ok(self.standing(id))
    }

    async fn remove(&self, id: NodeId) -> Result<Standing, ChangeError> {
        let one = BTreeSet::from([id.0]);
        match self.standing(id) {
            Standing::Absent => return Err(no_member(id)),
            Standing::Learner => self.apply_change(ChangeMembers::RemoveNodes(one)).await?,
            Standing::Voter if self.membership().voter_ids().count() == 1 => {
                return refused("the only voter cannot be removed".into());
            }
            Standing::Voter if id == self.node_id => {
                return refused(
                    "the leader cannot be removed: transfer the leadership first".into(),
                );
            }
            Standing::Voter => self.apply_change(ChangeMembers::RemoveVoters(one)).await?,
        }
        tracing::info!(node = %id, "a member was removed");
        Ok(self.standing(id))
    }

    /// The other members of this name, which must be dead.
    fn replaceable(&self, id: NodeId, name: &str) -> Result<Vec<u64>, ChangeError> {
        let membership = self.membership();
        let same = membership
            .membership()
            .nodes()
            .filter(|(other, member)| **other != id.0 && !name.is_empty() && member.name == name);
        let same: Vec<u64> = same.map(|(other, _)| *other).collect();
        match same.iter().find(|other| self.is_alive(**other)) {
            Some(other) => refused(format!(
                "node {} is called {name:?}, too, and is alive; give each node a name of its own",
                NodeId(*other)
            )),
            None => Ok(same),
        }
    }

    fn is_alive(&self, id: u64) -> bool {
        let watch = self.raft.metrics();
        let metrics = watch.borrow_watched();
        let answered = metrics.heartbeat.as_ref().and_then(|answers| answers.get(&id).copied());
        id == self.node_id.0 || answered.flatten().is_some_and(|at| at.elapsed() < ALIVE)
    }

    /// Whether a member has nearly all of the log.
    fn has_caught_up(&self, id: NodeId) -> bool {
        let last = self.raft.metrics().borrow_watched().last_log_index.unwrap_or_default();
        self.matched(id).is_some_and(|matched| matched + CAUGHT_UP >= last)
    }

    /// On the leader: the index up to which a member has the log.
    pub(crate) fn matched(&self, id: NodeId) -> Option<u64> {
        let watch = self.raft.metrics();
        let metrics = watch.borrow_watched();
        if id == self.node_id {
            return metrics.last_log_index;
        }
        let matched = metrics.replication.as_ref()?.get(&id.0)?.as_ref()?.index;
        Some(matched)
    }

    async fn transfer(&self, to: Option<NodeId>) -> Result<Standing, ChangeError> {
        let membership = self.membership();
        let others = || membership.voter_ids().map(NodeId).filter(|id| *id != self.node_id);
        let to = match to {
            Some(id) if id == self.node_id => return Ok(Standing::Voter),
            Some(id) if others().any(|voter| voter == id) => id,
            Some(id) => return refused(format!("node {id} has no vote and cannot lead")),
            None => others()
                .filter(|id| self.is_alive(id.0))
                .max_by_key(|id| self.matched(*id))
                .ok_or_else(|| ChangeError::Refused("no other voter is alive".into()))?,
        };
        let stopped = |_| ChangeError::NoLeader { leader: None };
        self.raft.trigger().transfer_leader(to.0).await.map_err(stopped)?;
        let moved = async {
            while self.leader().is_none_or(|(leader, _)| leader == self.node_id) {
                sleep(POLL).await;
            }
        };
        match timeout(TRANSFER_TIMEOUT, moved).await {
            Ok(()) => Ok(Standing::Voter),
            Err(_) => refused(format!("node {to} did not take the leadership over in time")),
        }
    }

    /// Hands the leadership over, if this node has it and anybody can take it.
    pub(crate) async fn hand_over(&self) {
        if !self.leads() || self.decides_alone() {
            return;
        }
        match self.transfer(None).await {
            Ok(_) => tracing::info!("the leadership was handed over"),
            Err(error) => tracing::warn!(%error, "the leadership was not handed over"),
        }
    }

    async fn apply_change(&self, change: ChangeMembers<u64, Member>) -> Result<(), ChangeError> {
        let changing = self.raft.change_membership(change, false);
        match timeout(CHANGE_TIMEOUT, changing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(change_error(error)),
            Err(_) => Err(ChangeError::NoLeader { leader: None }),
        }
    }
}

/// Whether a change of the voters is under way, or was when its leader ended.
fn is_changing(membership: &StoredMembership) -> bool {
    membership.membership().get_joint_config().len() > 1
}

/// The voters; while they change, those that there are to be. A vote that a change takes from a node
/// must not come back with the next one.
fn next_voters(membership: &StoredMembership) -> BTreeSet<u64> {
    membership.membership().get_joint_config().last().cloned().unwrap_or_default()
}

fn no_member(id: NodeId) -> ChangeError {
    ChangeError::Refused(format!("node {id} is no member of this cluster"))
}

fn refused<T>(why: String) -> Result<T, ChangeError> {
    Err(ChangeError::Refused(why))
}

fn change_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ChangeError {
    match error {
        RaftError::APIError(
            ClientWriteError::ForwardToLeader(forward)
            | ClientWriteError::LogEntryDiscarded(forward),
        ) => ChangeError::NoLeader { leader: forward.leader_id.map(NodeId) },
        RaftError::APIError(error) => ChangeError::Refused(error.to_string()),
        RaftError::Fatal(_) => ChangeError::NoLeader { leader: None },
    }
}
