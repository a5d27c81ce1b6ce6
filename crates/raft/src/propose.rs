//! From any node to the log: a command goes to the leader, as often as it takes.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use keystead_state::{Command, Outcome};
use keystead_types::{NodeId, UnixMillis};
use openraft::errors::{ClientWriteError, RaftError};
use prost::Message;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::member::Member;
use crate::node_core::Core;
use crate::seams::Link;
use crate::time::ReplicatedTime;
use crate::types::{Proposal, TypeConfig};

/// How long one attempt may take before the leader is looked for again.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long to wait before the next attempt.
const RETRY: Duration = Duration::from_millis(20);

/// A question to the replicated clock, and what this node knows that it takes.
type AskTime = fn(
    &ReplicatedTime,
    (NodeId, UnixMillis),
    &[BTreeSet<u64>],
    UnixMillis,
    u64,
    Instant,
) -> UnixMillis;

/// A command of which no outcome is known.
///
/// Except for [`ProposeError::DiskFull`] and [`ProposeError::Sealing`] it may still take effect.
/// Whoever tries again uses the same request id, so that it takes effect once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No node leads, or the one that was asked stopped leading on the way.
    #[error("the region has no leader at the moment")]
    NoLeader {
        /// Who leads, as far as is known.
        leader: Option<NodeId>,
    },
    /// It took too long.
    #[error("the command was not acknowledged in time")]
    Timeout,
    /// The node is stopping or has failed.
    #[error("the node is stopping")]
    Stopped,
    /// Too little free space on the node's disk. Nothing was proposed.
    #[error("the disk of the node is full")]
    DiskFull,
    /// The command could not be encrypted. Nothing was proposed.
    #[error("the command could not be sealed")]
    Sealing,
}

impl ProposeError {
    /// Whether the command may still take effect.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::DiskFull | Self::Sealing)
    }
}

impl Core {
    /// Proposes a command through whichever node leads, and waits until this node has applied it.
    ///
    /// A command with a request id is tried again until it is acknowledged or the time is over:
    /// the state gives a repeated command the result of the first.
    pub(crate) async fn propose(&self, command: Command) -> Result<(Outcome, u64), ProposeError> {
        if self.disk.is_full(self.clock.monotonic()) {
            return Err(ProposeError::DiskFull);
        }
        let deadline = self.clock.monotonic() + self.propose_timeout;
        loop {
            if self.is_stopping() {
                return Err(ProposeError::Stopped);
            }
            let leader = self.leader();
            let here = leader.as_ref().is_some_and(|(id, _)| *id == self.node_id);
            let error = match self.attempt(leader, &command, deadline).await {
                Ok((outcome, index)) => {
                    let applied = timeout_at(deadline, self.published.at_least(index));
                    applied.await.map_err(|_| ProposeError::Timeout)?;
                    return Ok((outcome, index));
                }
                Err(error) => error,
            };
            let failed = error == ProposeError::Sealing || (here && error == ProposeError::Stopped);
            if failed || command.request_id.is_empty() || self.clock.monotonic() + RETRY >= deadline
            {
                return Err(error);
            }
            tracing::debug!(%error, "a command is proposed once more");
            sleep(RETRY).await;
        }
    }

    async fn attempt(
        &self,
        leader: Option<(NodeId, Member)>,
        command: &Command,
        deadline: Instant,
    ) -> Result<(Outcome, u64), ProposeError> {
        let limit = deadline.saturating_duration_since(self.clock.monotonic()).min(ATTEMPT);
        match leader {
            Some((id, _)) if id == self.node_id => self.propose_here(command.clone(), limit).await,
            Some((id, member)) => self.forward(id, &member, command, limit).await,
            None => Err(ProposeError::NoLeader { leader: None }),
        }
    }

    async fn forward(
        &self,
        leader: NodeId,
        member: &Member,
        command: &Command,
        limit: Duration,
    ) -> Result<(Outcome, u64), ProposeError> {
        metrics::counter!("keystead_raft_forwarded_total").increment(1);
        let peer = self.peers.get(leader, member, Link::Request);
        peer.propose(command.clone(), limit).await.unwrap_or_else(|error| {
            tracing::debug!(%error, %leader, "the leader gave no answer to a command");
            Err(ProposeError::NoLeader { leader: Some(leader) })
        })
    }

    /// Proposes a command on this node, which must lead. It sets the command's time.
    pub(crate) async fn propose_here(
        &self,
        mut command: Command,
        limit: Duration,
    ) -> Result<(Outcome, u64), ProposeError> {
        if self.is_stopping() {
            return Err(ProposeError::Stopped);
        }
        if self.disk.is_full(self.clock.monotonic()) {
            return Err(ProposeError::DiskFull);
        }
        command.time_ms = self.time_by(ReplicatedTime::next).0;
        let proposal = self.seal(&command)?;
        let written = timeout(limit, self.raft.client_write(proposal)).await;
        let response = written.map_err(|_| ProposeError::Timeout)?.map_err(propose_error)?;
        let index = response.log_id.index;
        // Only a command's own reply holds an outcome, and this is the reply to a command.
        response.data.0.map(|outcome| (outcome, index)).ok_or(ProposeError::Stopped)
    }

    /// The time that the clocks of a majority have reached, as far as this node knows.
    pub(crate) fn reached_time(&self) -> UnixMillis {
        self.time_by(ReplicatedTime::reached)
    }

    fn time_by(&self, ask: AskTime) -> UnixMillis {
        let own = (self.node_id, self.clock.unix_millis());
        let membership = self.membership();
        let voters = membership.membership().get_joint_config();
        let (floor, shift) = (self.published.view().clock(), self.clock.shift_ms());
        ask(&self.time, own, voters, floor, shift, self.clock.monotonic())
    }

    fn seal(&self, command: &Command) -> Result<Proposal, ProposeError> {
        let mut id = [0; 16];
        self.entropy.fill(&mut id).map_err(|_| ProposeError::Sealing)?;
        let plain = command.encode_to_vec();
        let sealed = self.codec.seal_command(&id, &plain).map_err(|_| ProposeError::Sealing)?;
        Ok(Proposal { id, sealed: Bytes::from(sealed) })
    }
}

fn propose_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ProposeError {
    match error {
        RaftError::APIError(
            ClientWriteError::ForwardToLeader(forward)
            | ClientWriteError::LogEntryDiscarded(forward),
        ) => ProposeError::NoLeader { leader: forward.leader_id.map(NodeId) },
        RaftError::APIError(_) => ProposeError::NoLeader { leader: None },
        RaftError::Fatal(_) => ProposeError::Stopped,
    }
}
