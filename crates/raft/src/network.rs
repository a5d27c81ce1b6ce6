//! Openraft's network on a [`Transport`].

use std::future::Future;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use keystead_types::NodeId;
use openraft::base::{BoxFuture, BoxStream};
use openraft::network::{RPCOption, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{RaftNetworkFactory, RaftNetworkV2};

use crate::machine::SnapshotData;
use crate::member::Member;
use crate::seams::{Link, Peer, PeerSnapshot, Transport};
use crate::types::{ReplicationClosed, RpcError, StreamingError, TypeConfig, Vote};

/// Makes one client per peer and kind of traffic.
pub(crate) struct Network {
    transport: Arc<dyn Transport>,
}

impl Network {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    fn client(&self, target: u64, member: &Member, link: Link) -> Client {
        Client { peer: self.transport.peer(Some(NodeId(target)), &member.address, link) }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, member: &Member) -> Client {
        self.client(target, member, Link::Replication)
    }

    async fn new_heartbeat_client(&mut self, target: u64, member: &Member) -> Client {
        self.client(target, member, Link::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: u64, member: &Member) -> Client {
        self.client(target, member, Link::Snapshot)
    }
}

/// One peer.
pub(crate) struct Client {
    peer: Box<dyn Peer>,
}

/// What openraft's `stream_append` gives.
type Answers<'s> =
    Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RpcError>>, RpcError>;

/// Every method is passed on. Openraft's default for `pre_vote` would grant without asking.
impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        self.peer.append(request, option.hard_ttl()).await
    }

    fn stream_append<'s, S>(&'s mut self, input: S, option: RPCOption) -> BoxFuture<'s, Answers<'s>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        Box::pin(async move {
            if let Some(pipeline) = self.peer.pipeline() {
                let answers = pipeline.append_all(input.boxed(), option.hard_ttl()).await?;
                return Ok(answers as BoxStream<'s, _>);
            }
            stream_append_sequential(self, input, option).await
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.peer.vote(request, false, option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.peer.vote(request, true, option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: PeerSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError> {
        self.peer.snapshot(vote, snapshot, Box::pin(cancel), option.hard_ttl()).await
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        self.peer.transfer_leader(request, option.hard_ttl()).await
    }
}
