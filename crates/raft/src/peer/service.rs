//! The way in: what a peer asks, answered by the [`Inbox`].

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future};
use keystead_types::NodeId;
use tonic::{Request, Response, Status, Streaming};

use super::proto::answer::Told;
use super::proto::question::Asked;
use super::{TO, convert, proto};
use crate::inbox::Inbox;
use crate::machine::SnapshotData;
use crate::membership::{Change, Standing};
use crate::seams::{NoAnswer, PeerSnapshot};
use crate::types::{LogId, SnapshotMeta, StoredMembership, Vote};
use crate::wire::Wire;

/// The node at the other end of a connection, by its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller(pub(super) NodeId);

/// How many questions of one stream are worked on at a time.
const MAX_QUESTIONS: usize = 1024;

/// Answers peers.
#[derive(Clone)]
pub(super) struct PeerService {
    inbox: Inbox,
}

impl PeerService {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self { inbox }
    }

    /// Who calls. The call must be meant for this node.
    fn caller<T>(&self, request: &Request<T>) -> Result<NodeId, Status> {
        let own = self.inbox.node_id().to_string();
        if request.metadata().get(TO).is_some_and(|to| to.as_bytes() != own.as_bytes()) {
            return Err(Status::failed_precondition(format!("this is node {own}")));
        }
        let caller = request.extensions().get::<Caller>();
        caller.map(|caller| caller.0).ok_or_else(|| Status::unauthenticated("no certificate"))
    }

    /// A node that was removed has a certificate still.
    fn member(&self, caller: NodeId) -> Result<(), Status> {
        match self.inbox.standing(caller) {
            Standing::Absent => {
                Err(Status::permission_denied(format!("node {caller} is no member")))
            }
            Standing::Learner | Standing::Voter => Ok(()),
        }
    }

    /// Answers a question; one that gets no answer leaves the others alone.
    async fn answer(
        self,
        caller: NodeId,
        question: proto::Question,
    ) -> Result<proto::Answer, Status> {
        let told = self.tell(caller, question.asked).await;
        let told = told.unwrap_or_else(|status| Told::Refused(status.message().into()));
        Ok(proto::Answer { id: question.id, told: Some(told) })
    }

    async fn tell(&self, caller: NodeId, asked: Option<Asked>) -> Result<Told, Status> {
        match asked.ok_or_else(|| invalid(convert::malformed("an empty question")))? {
            Asked::Confirm(asked) => {
                let vote = convert::vote(asked.vote).map_err(invalid)?;
                own_vote(caller, &vote)?;
                let answer = self.inbox.confirm(vote).await.map_err(stopped)?;
                let (follows, clock_ms) = (answer.follows, answer.clock.0);
                Ok(Told::Confirm(proto::ConfirmResponse { follows, clock_ms }))
            }
            Asked::ReadIndex(asked) => {
                self.member(caller)?;
                let answer = self.inbox.read_index(limit(asked.limit_ms)).await.map_err(stopped)?;
                Ok(Told::ReadIndex(convert::read_index_response(answer)))
            }
            Asked::Understands(proto::UnderstandsRequest {}) => {
                self.member(caller)?;
                let version = self.inbox.understands();
                Ok(Told::Understands(proto::UnderstandsResponse { version }))
            }
            Asked::Propose(asked) => {
                self.member(caller)?;
                let limit = limit(asked.limit_ms);
                let command = convert::read_propose_request(asked).map_err(invalid)?;
                let answer = self.inbox.propose(command, limit).await;
                Ok(Told::Propose(convert::propose_response(answer)))
            }
        }
    }
}

/// A node speaks for itself only.
fn own_vote(caller: NodeId, vote: &Vote) -> Result<(), Status> {
    if vote.leader_id.node_id == caller.0 {
        return Ok(());
    }
    let (named, caller) = (NodeId(vote.leader_id.node_id), caller);
    Err(Status::permission_denied(format!("node {caller} speaks for node {named}")))
}

fn invalid(error: std::io::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: NoAnswer) -> Status {
    Status::unavailable(error.0)
}

#[tonic::async_trait]
impl proto::peer_server::Peer for PeerService {
    type AppendStream = BoxStream<'static, Result<proto::AppendResponse, Status>>;
    type AskStream = BoxStream<'static, Result<proto::Answer, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<proto::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let caller = self.caller(&request)?;
        // The first request that cannot be read ends the stream, and the leader begins anew.
        let requests = request.into_inner().map(move |request| {
            let request = convert::read_append_request(request?).map_err(invalid)?;
            own_vote(caller, &request.vote)?;
            Ok::<_, Status>(request)
        });
        let requests = requests
            .inspect(|request| {
                if let Err(status) = request {
                    tracing::debug!(%status, "a stream of entries ended");
                }
            })
            .take_while(|request| future::ready(request.is_ok()))
            .filter_map(|request| future::ready(request.ok()));
        let answers = self.inbox.append_all(requests.boxed());
        let answers = answers.map(|answer| match answer {
            Ok(answer) => Ok(convert::pipeline_response(&answer)),
            Err(error) => Err(stopped(error)),
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn heartbeat(
        &self,
        request: Request<proto::AppendRequest>,
    ) -> Result<Response<proto::AppendResponse>, Status> {
        let caller = self.caller(&request)?;
        let request = convert::read_append_request(request.into_inner()).map_err(invalid)?;
        own_vote(caller, &request.vote)?;
        let answer = self.inbox.append(request).await.map_err(stopped)?;
        Ok(Response::new(convert::single_response(&answer)))
    }

    async fn vote(
        &self,
        request: Request<proto::VoteRequest>,
    ) -> Result<Response<proto::VoteResponse>, Status> {
        let caller = self.caller(&request)?;
        let pre = request.get_ref().pre;
        let request = convert::read_vote_request(request.into_inner()).map_err(invalid)?;
        own_vote(caller, &request.vote)?;
        let answer = self.inbox.vote(request, pre).await.map_err(stopped)?;
        Ok(Response::new(convert::vote_response(&answer)))
    }

    async fn transfer_leader(
        &self,
        request: Request<proto::TransferLeaderRequest>,
    ) -> Result<Response<proto::TransferLeaderResponse>, Status> {
        let caller = self.caller(&request)?;
        let request = convert::read_transfer_request(request.into_inner()).map_err(invalid)?;
        own_vote(caller, request.from_leader())?;
        let answer = self.inbox.transfer_leader(request).await.map_err(stopped)?;
        let refusal = answer.err().map(|error| error.to_string());
        Ok(Response::new(proto::TransferLeaderResponse { refusal }))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<proto::SnapshotPart>>,
    ) -> Result<Response<proto::SnapshotResponse>, Status> {
        let caller = self.caller(&request)?;
        let mut parts = request.into_inner();
        let (vote, meta) = read_begin(parts.message().await?)?;
        own_vote(caller, &vote)?;
        let snapshot = PeerSnapshot { meta, snapshot: self.receive(parts).await? };
        let answer = self.inbox.snapshot(vote, snapshot).await.map_err(stopped)?;
        Ok(Response::new(proto::SnapshotResponse { vote: convert::to_bytes(&answer.vote) }))
    }

    async fn ask(
        &self,
        request: Request<Streaming<proto::Question>>,
    ) -> Result<Response<Self::AskStream>, Status> {
        let caller = self.caller(&request)?;
        let service = self.clone();
        let answers = request
            .into_inner()
            .map_ok(move |question| service.clone().answer(caller, question))
            .try_buffer_unordered(MAX_QUESTIONS);
        Ok(Response::new(answers.boxed()))
    }

    async fn change(
        &self,
        request: Request<proto::ChangeRequest>,
    ) -> Result<Response<proto::ChangeResponse>, Status> {
        let caller = self.caller(&request)?;
        let change = convert::read_change_request(request.into_inner()).map_err(invalid)?;
        let is_member = self.inbox.standing(caller) != Standing::Absent;
        let own = matches!(change, Change::Enrol { id, .. } if id == caller);
        if !own && (!is_member || matches!(change, Change::Enrol { .. })) {
            return Err(Status::permission_denied("a node that is no member enrols itself only"));
        }
        // A member has looked for the leader itself.
        let answer = self.inbox.change(change, is_member).await;
        Ok(Response::new(convert::change_response(answer)))
    }
}

impl PeerService {
    async fn receive(
        &self,
        mut parts: Streaming<proto::SnapshotPart>,
    ) -> Result<SnapshotData, Status> {
        use std::io::Write;
        let failed = |error: std::io::Error| Status::internal(error.to_string());
        let snapshots = Arc::clone(self.inbox.snapshots());
        let mut incoming = snapshots.incoming().map_err(failed)?;
        while let Some(part) = parts.message().await? {
            let Some(proto::snapshot_part::Part::Data(data)) = part.part else {
                return Err(invalid(convert::malformed("a snapshot begins twice")));
            };
            let written =
                tokio::task::spawn_blocking(move || incoming.write_all(&data).map(|()| incoming));
            let written = written.await.map_err(|error| Status::internal(error.to_string()))?;
            incoming = written.map_err(failed)?;
        }
        incoming.into_data().map_err(failed)
    }
}

fn read_begin(part: Option<proto::SnapshotPart>) -> Result<(Vote, SnapshotMeta), Status> {
    let Some(proto::snapshot_part::Part::Begin(begin)) = part.and_then(|part| part.part) else {
        return Err(invalid(convert::malformed("a snapshot does not begin")));
    };
    let read = || {
        let last = begin.last.map(|bytes| LogId::decode(bytes, "log id of a peer")).transpose()?;
        let membership = StoredMembership::decode(begin.membership, "membership of a peer")?;
        let meta = SnapshotMeta { last_log_id: last, last_membership: membership };
        Ok((convert::vote(begin.vote)?, meta))
    };
    read().map_err(invalid)
}

fn limit(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}
