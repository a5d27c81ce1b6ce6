//! Other nodes: what one can be asked.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::machine::SnapshotData;
use crate::types::{ReplicationClosed, RpcError, Snapshot, StreamingError, TypeConfig, Vote};

/// A snapshot on its way to a peer.
pub type PeerSnapshot = Snapshot<SnapshotData>;

/// Ends when a snapshot need not be sent any more.
pub type Cancel = Pin<Box<dyn Future<Output = ReplicationClosed> + Send>>;

/// What a connection is for. Each kind has its own, so that a large transfer never delays the
/// small messages that keep a leader in office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// Log entries and votes.
    Replication,
    /// Heartbeats and the confirmation of reads.
    Heartbeat,
    /// Snapshots.
    Snapshot,
}

/// Reaches other nodes.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// A handle to the node of that id at that address. It connects when it is first used.
    fn peer(&self, node_id: u64, address: &str, link: Link) -> Box<dyn Peer>;
}

/// Another node.
///
/// Every method fails with `Unreachable` when the node did not answer. In particular a node that
/// did not answer has granted nothing.
#[async_trait::async_trait]
pub trait Peer: Send + Sync + 'static {
    /// Log entries or, empty, a heartbeat.
    async fn append(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError>;

    /// Asks for a vote.
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError>;

    /// Asks whether a vote would be granted.
    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError>;

    /// Sends a whole snapshot and waits until it is installed.
    async fn snapshot(
        &mut self,
        vote: Vote,
        snapshot: PeerSnapshot,
        cancel: Cancel,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError>;

    /// Asks the node to become leader.
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError>;
}

/// The transport of a node that is alone: nobody can be reached.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

impl Transport for NoPeers {
    fn peer(&self, node_id: u64, _address: &str, _link: Link) -> Box<dyn Peer> {
        Box::new(Nobody { node_id })
    }
}

struct Nobody {
    node_id: u64,
}

impl Nobody {
    fn unreachable(&self) -> openraft::errors::Unreachable<TypeConfig> {
        let message = format!("node {:016x} cannot be reached: no transport", self.node_id);
        openraft::errors::Unreachable::from_string(message)
    }
}

#[async_trait::async_trait]
impl Peer for Nobody {
    async fn append(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        Err(self.unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        Err(self.unreachable().into())
    }

    async fn snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: PeerSnapshot,
        _cancel: Cancel,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError> {
        Err(self.unreachable().into())
    }

    async fn transfer_leader(
        &mut self,
        _request: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        Err(self.unreachable().into())
    }
}
