//! Other nodes: what one can be asked.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::BoxStream;
use keystead_state::{Command, Outcome};
use keystead_types::{NodeId, UnixMillis};

use crate::barrier::NotLeading;
use crate::machine::SnapshotData;
use crate::membership::{Change, ChangeError, Standing};
use crate::propose::ProposeError;
use crate::types::{Snapshot, TypeConfig};

/// The messages, so that a transport outside of this crate can name them.
pub use crate::types::{
    AppendRequest, AppendResponse, ReplicationClosed, RpcError, SnapshotResponse, StreamAppended,
    StreamingError, TransferRequest, TransferResponse, Vote, VoteRequest, VoteResponse,
};

/// A snapshot on its way to a peer.
pub type PeerSnapshot = Snapshot<SnapshotData>;

/// Ends when a snapshot need not be sent any more.
pub type Cancel = Pin<Box<dyn Future<Output = ReplicationClosed> + Send>>;

/// Requests of replication, in order.
pub type Appends = BoxStream<'static, AppendRequest>;

/// Their answers, in the same order.
pub type Appended = BoxStream<'static, Result<StreamAppended, RpcError>>;

/// What a connection is for. Each kind has its own, so that a large transfer never delays the
/// small messages that keep a leader in office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Log entries and votes.
    Replication,
    /// Heartbeats and the confirmation of reads.
    Heartbeat,
    /// Snapshots.
    Snapshot,
    /// Commands and changes of the membership on their way to the leader.
    Request,
}

/// Reaches other nodes.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// A handle to the node of that id at that address; without an id, to whichever member is
    /// there. It connects when it is first used.
    fn peer(&self, node_id: Option<NodeId>, address: &str, link: Link) -> Box<dyn Peer>;
}

/// A node gave no answer. Whether it got the question is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(pub String);

/// What a voter says about a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether it has seen no vote above the leader's.
    pub follows: bool,
    /// Its wall clock.
    pub clock: UnixMillis,
}

/// Another node.
///
/// Every method fails with `Unreachable` or [`NoAnswer`] when the node did not answer within
/// `limit`. In particular a node that did not answer has granted nothing.
#[async_trait::async_trait]
pub trait Peer: Send + Sync + 'static {
    /// Log entries or, empty, a heartbeat.
    async fn append(
        &self,
        request: AppendRequest,
        limit: Duration,
    ) -> Result<AppendResponse, RpcError>;

    /// The same as a pipeline, over a transport that keeps the order; `limit` is for each answer.
    /// `None`: this transport has none, and the requests go one by one.
    fn pipeline(&self) -> Option<&dyn Pipeline>;

    /// Asks for a vote; with `pre` only whether it would be granted.
    async fn vote(
        &self,
        request: VoteRequest,
        pre: bool,
        limit: Duration,
    ) -> Result<VoteResponse, RpcError>;

    /// Sends a whole snapshot and waits until it is installed.
    async fn snapshot(
        &self,
        vote: Vote,
        snapshot: PeerSnapshot,
        cancel: Cancel,
        limit: Duration,
    ) -> Result<SnapshotResponse, StreamingError>;

    /// Asks the node to become leader.
    async fn transfer_leader(
        &self,
        request: TransferRequest,
        limit: Duration,
    ) -> Result<TransferResponse, RpcError>;

    /// Asks a voter whether it still follows the leader with this vote.
    async fn confirm(&self, vote: Vote, limit: Duration) -> Result<Confirmation, NoAnswer>;

    /// Asks the leader for an index that includes everything acknowledged before the call.
    async fn read_index(&self, limit: Duration) -> Result<Result<u64, NotLeading>, NoAnswer>;

    /// Asks a member for the greatest cluster version that its software understands.
    async fn understands(&self, limit: Duration) -> Result<u32, NoAnswer>;

    /// Hands a command to the leader.
    async fn propose(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Result<(Outcome, u64), ProposeError>, NoAnswer>;

    /// Hands a change of the membership to the leader.
    async fn change(
        &self,
        change: Change,
        limit: Duration,
    ) -> Result<Result<Standing, ChangeError>, NoAnswer>;
}

/// Replication without waiting for each answer.
#[async_trait::async_trait]
pub trait Pipeline: Send + Sync {
    /// Sends the requests as they come and gives their answers in the same order.
    async fn append_all(&self, requests: Appends, limit: Duration) -> Result<Appended, RpcError>;
}

/// The transport of a node that is alone: nobody can be reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

impl Transport for NoPeers {
    fn peer(&self, _node_id: Option<NodeId>, address: &str, _link: Link) -> Box<dyn Peer> {
        Box::new(Nobody { address: address.to_owned() })
    }
}

struct Nobody {
    address: String,
}

impl Nobody {
    fn why(&self) -> String {
        format!("{:?} cannot be reached: this node has no transport", self.address)
    }

    fn unreachable(&self) -> openraft::errors::Unreachable<TypeConfig> {
        openraft::errors::Unreachable::from_string(self.why())
    }
}

#[async_trait::async_trait]
impl Peer for Nobody {
    async fn append(
        &self,
        _request: AppendRequest,
        _limit: Duration,
    ) -> Result<AppendResponse, RpcError> {
        Err(self.unreachable().into())
    }

    fn pipeline(&self) -> Option<&dyn Pipeline> {
        None
    }

    async fn vote(
        &self,
        _request: VoteRequest,
        _pre: bool,
        _limit: Duration,
    ) -> Result<VoteResponse, RpcError> {
        Err(self.unreachable().into())
    }

    async fn snapshot(
        &self,
        _vote: Vote,
        _snapshot: PeerSnapshot,
        _cancel: Cancel,
        _limit: Duration,
    ) -> Result<SnapshotResponse, StreamingError> {
        Err(self.unreachable().into())
    }

    async fn transfer_leader(
        &self,
        _request: TransferRequest,
        _limit: Duration,
    ) -> Result<TransferResponse, RpcError> {
        Err(self.unreachable().into())
    }

    async fn confirm(&self, _vote: Vote, _limit: Duration) -> Result<Confirmation, NoAnswer> {
        Err(NoAnswer(self.why()))
    }

    async fn read_index(&self, _limit: Duration) -> Result<Result<u64, NotLeading>, NoAnswer> {
        Err(NoAnswer(self.why()))
    }

    async fn understands(&self, _limit: Duration) -> Result<u32, NoAnswer> {
        Err(NoAnswer(self.why()))
    }

    async fn propose(
        &self,
        _command: Command,
        _limit: Duration,
    ) -> Result<Result<(Outcome, u64), ProposeError>, NoAnswer> {
        Err(NoAnswer(self.why()))
    }

    async fn change(
        &self,
        _change: Change,
        _limit: Duration,
    ) -> Result<Result<Standing, ChangeError>, NoAnswer> {
        Err(NoAnswer(self.why()))
    }
}
