//! What a node answers to other nodes, whatever the transport.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use keystead_state::{Command, Outcome};
use keystead_types::{ClusterId, NodeId};
use openraft::errors::RaftError;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::barrier::{NotLeading, Unavailable};
use crate::machine::SnapshotStore;
use crate::membership::{Change, ChangeError, Standing};
use crate::node_core::Core;
use crate::propose::ProposeError;
use crate::seams::{Appends, Confirmation, NoAnswer, PeerSnapshot};
use crate::types::{TypeConfig, Vote};

/// The side of a node that its peers talk to: each method answers the one of the same name of
/// [`Peer`](crate::seams::Peer).
#[derive(Clone)]
pub struct Inbox(Arc<Core>);

type Answer<T> = Result<T, NoAnswer>;

impl Inbox {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self(core)
    }

    /// The node.
    pub fn node_id(&self) -> NodeId {
        self.0.node_id
    }

    /// Its cluster.
    pub fn cluster_id(&self) -> ClusterId {
        self.0.codec.cluster_id()
    }

    /// What another node is by the membership in effect here.
    pub fn standing(&self, id: NodeId) -> Standing {
        self.0.standing(id)
    }

    pub(crate) fn snapshots(&self) -> &Arc<SnapshotStore> {
        &self.0.snapshots
    }

    /// Log entries or, empty, a heartbeat.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> Answer<AppendEntriesResponse<TypeConfig>> {
        self.0.raft.append_entries(request).await.map_err(no_answer)
    }

    /// The same as a pipeline.
    pub fn append_all(
        &self,
        requests: Appends,
    ) -> BoxStream<'static, Answer<StreamAppendResult<TypeConfig>>> {
        let answers = self.0.raft.stream_append(requests);
        answers.map(|answer| answer.map_err(|error| NoAnswer(error.to_string()))).boxed()
    }

    /// A vote or, with `pre`, whether it would be granted.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn vote(
        &self,
        request: VoteRequest<TypeConfig>,
        pre: bool,
    ) -> Answer<VoteResponse<TypeConfig>> {
        let raft = &self.0.raft;
        let answer = if pre { raft.pre_vote(request).await } else { raft.vote(request).await };
        answer.map_err(no_answer)
    }

    /// A whole snapshot, to be installed.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn snapshot(
        &self,
        vote: Vote,
        snapshot: PeerSnapshot,
    ) -> Answer<SnapshotResponse<TypeConfig>> {
        let installed = self.0.raft.install_full_snapshot(vote, snapshot).await;
        installed.map_err(|error| NoAnswer(error.to_string()))
    }

    /// A request to become leader.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn transfer_leader(
        &self,
        request: TransferLeaderRequest<TypeConfig>,
    ) -> Answer<TransferLeaderResponse<TypeConfig>> {
        let answer = self.0.raft.handle_transfer_leader(request).await;
        answer.map_err(|error| NoAnswer(error.to_string()))
    }

    /// Whether this node has seen no vote above this one, and what its clock says.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn confirm(&self, vote: Vote) -> Answer<Confirmation> {
        let seen = self.0.raft.with_raft_state(|state| *state.vote_ref()).await;
        let seen = seen.map_err(|error| NoAnswer(error.to_string()))?;
        Ok(Confirmation { follows: seen == vote, clock: self.0.clock.unix_millis() })
    }

    /// As leader: an index that includes everything acknowledged before the call.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn read_index(&self, limit: Duration) -> Answer<Result<u64, NotLeading>> {
        if !self.0.leads() {
            return Ok(Err(NotLeading { leader: self.0.leader().map(|(id, _)| id) }));
        }
        match self.0.read_index(self.0.clock.monotonic() + limit).await {
            Ok(index) => Ok(Ok(index)),
            Err(Unavailable::Stopped) => Err(NoAnswer(Unavailable::Stopped.to_string())),
            Err(_) => Ok(Err(NotLeading { leader: None })),
        }
    }

    /// The greatest cluster version that this node's software understands.
    pub fn understands(&self) -> u32 {
        self.0.understands
    }

    /// As leader: proposes a command of another member.
    pub async fn propose(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<(Outcome, u64), ProposeError> {
        self.0.propose_here(command, limit).await
    }

    /// Makes a change of the membership; a node that does not lead passes it on, once: `passed_on`
    /// says that it was.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn change(&self, change: Change, passed_on: bool) -> Result<Standing, ChangeError> {
        if passed_on { self.0.change_here(change).await } else { self.0.change(change).await }
    }
}

fn no_answer(error: RaftError<TypeConfig>) -> NoAnswer {
    NoAnswer(error.to_string())
}
