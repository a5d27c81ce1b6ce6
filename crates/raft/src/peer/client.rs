//! The way out: one HTTP/2 connection per peer and kind of traffic.

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures::future::{self, Either};
use futures::{FutureExt, Stream, StreamExt, stream};
use hyper_util::rt::TokioIo;
use keystead_state::{Command, Outcome};
use keystead_types::{NodeId, UnixMillis};
use openraft::errors::{NetworkError, Unreachable};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use super::proto::answer::Told;
use super::proto::peer_client::PeerClient;
use super::proto::question::Asked;
use super::questions::Questions;
use super::{MAX_MESSAGE, PeerIdentity, TO, convert, proto};
use crate::barrier::NotLeading;
use crate::machine::SnapshotData;
use crate::membership::{Change, ChangeError, Standing};
use crate::propose::ProposeError;
use crate::seams::{
    Appended, Appends, Cancel, Confirmation, Link, NoAnswer, Peer, PeerSnapshot, Pipeline,
    Transport,
};
use crate::types::{RpcError, StreamingError, TypeConfig, Vote};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long a peer may take to put entries on its disk.
const APPEND_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a snapshot in one message.
const SNAPSHOT_CHUNK: usize = 256 << 10;

/// Reaches other members by gRPC, once it has a certificate.
#[derive(Default)]
pub struct GrpcTransport {
    identity: Arc<ArcSwapOption<PeerIdentity>>,
}

impl GrpcTransport {
    /// A transport of a node that has no certificate yet, and reaches nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the node its certificate.
    pub fn identify(&self, identity: Arc<PeerIdentity>) {
        self.identity.store(Some(identity));
    }
}

impl fmt::Debug for GrpcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTransport").field("identity", &self.identity.load()).finish()
    }
}

impl Transport for GrpcTransport {
    fn peer(&self, node_id: Option<NodeId>, address: &str, _link: Link) -> Box<dyn Peer> {
        let identity = Arc::clone(&self.identity);
        let connect = Connect { identity, address: address.to_owned(), node_id };
        Box::new(GrpcPeer { node_id, client: connect.client(), questions: Questions::default() })
    }
}

/// How a connection to one peer is made.
#[derive(Clone)]
struct Connect {
    identity: Arc<ArcSwapOption<PeerIdentity>>,
    address: String,
    node_id: Option<NodeId>,
}

impl Connect {
    fn client(self) -> Option<PeerClient<Channel>> {
        // The scheme is that of HTTP/2 inside of TLS, which the connector makes.
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).ok()?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(8 << 20);
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
            let connect = self.clone();
            async move { connect.connect().await.map(TokioIo::new) }
        }));
        let client = PeerClient::new(channel);
        Some(client.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
    }

    async fn connect(self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let identity = self.identity.load_full();
        let identity = identity.ok_or_else(|| io::Error::other("no certificate yet"))?;
        let name = identity.server_name(self.node_id);
        let name = name.ok_or_else(|| io::Error::other("a node id makes no name"))?;
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(identity.client_config()).connect(name, stream).await
    }
}

struct GrpcPeer {
    node_id: Option<NodeId>,
    // `None` where the address is none.
    client: Option<PeerClient<Channel>>,
    questions: Questions,
}

impl GrpcPeer {
    fn client(&self) -> Result<PeerClient<Channel>, NoAnswer> {
        self.client.clone().ok_or_else(|| NoAnswer("its address is none".into()))
    }

    /// A call that says for whom it is.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(id) = self.node_id
            && let Ok(value) = MetadataValue::try_from(id.to_string())
        {
            request.metadata_mut().insert(TO, value);
        }
        request
    }

    async fn ask(&self, asked: Asked, limit: Duration) -> Result<Told, NoAnswer> {
        let open = |questions| {
            let (mut client, request) = (self.client()?, self.request(questions));
            Ok(async move { client.ask(request).await })
        };
        self.questions.ask(asked, limit, open).await
    }
}

fn beside() -> NoAnswer {
    NoAnswer("the answer is to another question".into())
}

/// What one call gave, within its time.
async fn answered<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, NoAnswer> {
    match timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(NoAnswer(format!("{}: {}", status.code(), status.message()))),
        Err(_) => Err(NoAnswer(format!("no answer within {limit:?}"))),
    }
}

/// One call: its client's method, its message, its time.
macro_rules! call {
    ($peer:expr, $method:ident, $message:expr, $limit:expr) => {{
        let (mut client, request) = ($peer.client()?, $peer.request($message));
        answered($limit, client.$method(request)).await
    }};
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<NoAnswer> for Unreachable<TypeConfig> {
    fn from(error: NoAnswer) -> Self {
        Self::from_string(error.0)
    }
}

impl From<NoAnswer> for RpcError {
    fn from(error: NoAnswer) -> Self {
        Unreachable::from(error).into()
    }
}

impl From<NoAnswer> for StreamingError {
    fn from(error: NoAnswer) -> Self {
        Unreachable::from(error).into()
    }
}

#[async_trait::async_trait]
impl Peer for GrpcPeer {
    async fn append(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        limit: Duration,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let message = convert::append_request(&request);
        let answer = call!(self, heartbeat, message, limit)?;
        let answer = convert::read_single_response(answer);
        Ok(answer.map_err(NoAnswer::from)?)
    }

    fn pipeline(&self) -> Option<&dyn Pipeline> {
        Some(self)
    }

    async fn vote(
        &self,
        request: VoteRequest<TypeConfig>,
        pre: bool,
        limit: Duration,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let message = convert::vote_request(&request, pre);
        let answer = call!(self, vote, message, limit)?;
        Ok(convert::read_vote_response(answer).map_err(NoAnswer::from)?)
    }

    async fn snapshot(
        &self,
        vote: Vote,
        snapshot: PeerSnapshot,
        cancel: Cancel,
        limit: Duration,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError> {
        let begin = proto::SnapshotBegin {
            vote: convert::to_bytes(&vote),
            last: snapshot.meta.last_log_id.as_ref().map(convert::to_bytes),
            membership: convert::to_bytes(&snapshot.meta.last_membership),
        };
        let parts = stream::once(future::ready(part(proto::snapshot_part::Part::Begin(begin))))
            .chain(chunks(snapshot.snapshot));
        let sending = async { call!(self, snapshot, parts, limit) };
        match future::select(sending.boxed(), cancel).await {
            Either::Left((answer, _)) => {
                let vote = convert::vote(answer?.vote).map_err(NoAnswer::from)?;
                Ok(SnapshotResponse::new(vote))
            }
            Either::Right((closed, _)) => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &self,
        request: TransferLeaderRequest<TypeConfig>,
        limit: Duration,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let message = convert::transfer_request(&request);
        let answer = call!(self, transfer_leader, message, limit)?;
        match answer.refusal {
            None => Ok(Ok(())),
            Some(why) => Err(NetworkError::from_string(why).into()),
        }
    }

    async fn confirm(&self, vote: Vote, limit: Duration) -> Result<Confirmation, NoAnswer> {
        let asked = Asked::Confirm(proto::ConfirmRequest { vote: convert::to_bytes(&vote) });
        let Told::Confirm(answer) = self.ask(asked, limit).await? else { return Err(beside()) };
        Ok(Confirmation { follows: answer.follows, clock: UnixMillis(answer.clock_ms) })
    }

    async fn read_index(&self, limit: Duration) -> Result<Result<u64, NotLeading>, NoAnswer> {
        let asked = Asked::ReadIndex(proto::ReadIndexRequest { limit_ms: millis(limit) });
        let Told::ReadIndex(answer) = self.ask(asked, limit).await? else { return Err(beside()) };
        Ok(convert::read_read_index_response(answer)?)
    }

    async fn understands(&self, limit: Duration) -> Result<u32, NoAnswer> {
        let asked = Asked::Understands(proto::UnderstandsRequest {});
        let Told::Understands(answer) = self.ask(asked, limit).await? else { return Err(beside()) };
        Ok(answer.version)
    }

    async fn propose(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Result<(Outcome, u64), ProposeError>, NoAnswer> {
        let command = Bytes::from(command.encode_to_vec());
        let asked = Asked::Propose(proto::ProposeRequest { command, limit_ms: millis(limit) });
        let Told::Propose(answer) = self.ask(asked, limit).await? else { return Err(beside()) };
        Ok(convert::read_propose_response(answer)?)
    }

    async fn change(
        &self,
        change: Change,
        limit: Duration,
    ) -> Result<Result<Standing, ChangeError>, NoAnswer> {
        let message = convert::change_request(change);
        Ok(convert::read_change_response(call!(self, change, message, limit)?)?)
    }
}

#[async_trait::async_trait]
impl Pipeline for GrpcPeer {
    async fn append_all(&self, requests: Appends, limit: Duration) -> Result<Appended, RpcError> {
        let (mut client, request) = (self.client()?, self.request(Outgoing(requests)));
        let call = client.append(request);
        Ok(read(answered(limit.max(APPEND_TIMEOUT), call).await?))
    }
}

/// Requests in the form in which they are sent. A type of its own, because the compiler cannot
/// tell of a mapped stream that it may be sent to another thread.
struct Outgoing(Appends);

impl Stream for Outgoing {
    type Item = proto::AppendRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.0.poll_next_unpin(cx);
        next.map(|request| request.map(|request| convert::append_request(&request)))
    }
}

fn read(answers: Streaming<proto::AppendResponse>) -> Appended {
    let answers = stream::unfold(Some(answers), |answers| async {
        let mut answers = answers?;
        let answer = match answers.next().await? {
            Ok(answer) => convert::read_pipeline_response(answer).map_err(NoAnswer::from),
            Err(status) => Err(NoAnswer(format!("{}: {}", status.code(), status.message()))),
        };
        // After the first failure nothing is known about what follows.
        let rest = answer.is_ok().then_some(answers);
        Some((answer.map_err(RpcError::from), rest))
    });
    answers.boxed()
}

fn part(part: proto::snapshot_part::Part) -> proto::SnapshotPart {
    proto::SnapshotPart { part: Some(part) }
}

/// The bytes of a snapshot. A failure to read ends the stream early; the receiver notices,
/// because a snapshot says where it ends.
fn chunks(data: SnapshotData) -> impl Stream<Item = proto::SnapshotPart> + Send + 'static {
    stream::unfold(data.reader(), |mut reader| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = Vec::with_capacity(SNAPSHOT_CHUNK);
            let taken = reader.by_ref().take(SNAPSHOT_CHUNK as u64).read_to_end(&mut chunk);
            (taken.map(|_| chunk), reader)
        });
        match read.await.ok()? {
            (Ok(chunk), _) if chunk.is_empty() => None,
            (Ok(chunk), reader) => {
                Some((part(proto::snapshot_part::Part::Data(chunk.into())), reader))
            }
            (Err(error), _) => {
                tracing::error!(%error, "a snapshot cannot be read");
                None
            }
        }
    })
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
