//! The transport of one life of a node: calls the inboxes of others over the simulated network.

use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt, future, stream};
use keystead_raft::seams::{
    AppendRequest, AppendResponse, Appended, Appends, Cancel, Confirmation, Link, NoAnswer, Peer,
    PeerSnapshot, Pipeline, RpcError, SnapshotResponse, StreamingError, TransferRequest,
    TransferResponse, Transport, Vote, VoteRequest, VoteResponse,
};
use keystead_raft::{Change, ChangeError, Inbox, NotLeading, ProposeError, SnapshotData, Standing};
use keystead_state::{Command, Outcome};
use keystead_types::NodeId;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::network::{HostId, Life, Lost, Network};

/// After so long a connection that brings nothing is given up.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// A lost piece of a stream is sent once more after so long.
const SENT_AGAIN: Duration = Duration::from_millis(200);

/// The address of a host.
pub(super) fn address(host: HostId) -> String {
    format!("host-{host}")
}

/// How one life of a node reaches others.
#[derive(Debug)]
pub(super) struct SimTransport {
    pub(super) network: Arc<Network>,
    pub(super) from: (HostId, Life),
    pub(super) node_id: NodeId,
}

impl Transport for SimTransport {
    fn peer(&self, node_id: Option<NodeId>, address: &str, link: Link) -> Box<dyn Peer> {
        let to = address.strip_prefix("host-").and_then(|number| number.parse().ok());
        Box::new(SimPeer {
            caller: self.node_id,
            // An address that is none leads to a host that is never there.
            way: Way {
                network: Arc::clone(&self.network),
                from: self.from,
                to: to.unwrap_or(HostId::MAX),
                node_id,
                link,
            },
        })
    }
}

/// From one life of a node to a host.
#[derive(Clone)]
struct Way {
    network: Arc<Network>,
    from: (HostId, Life),
    to: HostId,
    node_id: Option<NodeId>,
    link: Link,
}

impl Way {
    /// Carries a message there.
    async fn there(&self) -> Result<(Inbox, Life), Lost> {
        let fate = self.network.fate(self.from.0, self.to, self.link);
        sleep(fate.delay).await;
        if fate.lost || !self.network.passes(self.from, self.to) {
            return Err(Lost::Silently);
        }
        self.network.inbox(self.to, self.node_id).ok_or(Lost::Refused)
    }

    /// Carries an answer of a life back.
    async fn back(&self, life: Life) -> Result<(), Lost> {
        let fate = self.network.fate(self.to, self.from.0, self.link);
        sleep(fate.delay).await;
        if !self.network.is_current(self.to, life) {
            return Err(Lost::Refused);
        }
        let passes = !fate.lost && self.network.passes((self.to, life), self.from.0);
        if passes { Ok(()) } else { Err(Lost::Silently) }
    }

    /// Carries a piece of a stream, in either direction, to a life that must still be there. Of a
    /// stream nothing is lost but all that follows.
    async fn piece(&self, life: Life, there: bool) -> bool {
        let ends = (self.from, (self.to, life));
        let (from, to) = if there { ends } else { (ends.1, ends.0) };
        let fate = self.network.fate(from.0, to.0, self.link);
        sleep(if fate.lost { fate.delay + SENT_AGAIN } else { fate.delay }).await;
        self.network.passes(from, to.0) && self.network.is_current(to.0, to.1)
    }

    /// Asks, and waits for the answer. What was sent goes its way even if the sender is gone.
    async fn ask<T, F>(
        &self,
        limit: Duration,
        ask: impl FnOnce(Inbox) -> F + Send + 'static,
    ) -> Result<T, NoAnswer>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NoAnswer>> + Send,
    {
        let (answer, answered) = oneshot::channel();
        let (way, began) = (self.clone(), Instant::now());
        tokio::spawn(async move {
            let both_ways = async {
                let (inbox, life) = way.there().await?;
                let said = ask(inbox).await;
                way.back(life).await.map(|()| said)
            };
            let said = match both_ways.await {
                Ok(said) => said,
                Err(Lost::Refused) => Err(NoAnswer("nobody is there".into())),
                Err(Lost::Silently) => {
                    sleep_until(began + KEEP_ALIVE).await;
                    Err(NoAnswer("the connection is lost".into()))
                }
            };
            // Nobody waits any more when the limit came first.
            let _ = answer.send(said);
        });
        match timeout(limit, answered).await {
            Ok(Ok(said)) => said,
            Ok(Err(_)) => Err(NoAnswer("the other side failed".into())),
            Err(_) => Err(NoAnswer(format!("no answer within {limit:?}"))),
        }
    }
}

struct SimPeer {
    caller: NodeId,
    way: Way,
}

#[async_trait::async_trait]
impl Peer for SimPeer {
    async fn append(
        &self,
        request: AppendRequest,
        limit: Duration,
    ) -> Result<AppendResponse, RpcError> {
        Ok(self.way.ask(limit, |inbox| async move { inbox.append(request).await }).await?)
    }

    fn pipeline(&self) -> Option<&dyn Pipeline> {
        Some(self)
    }

    async fn vote(
        &self,
        request: VoteRequest,
        pre: bool,
        limit: Duration,
    ) -> Result<VoteResponse, RpcError> {
        Ok(self.way.ask(limit, move |inbox| async move { inbox.vote(request, pre).await }).await?)
    }

    async fn snapshot(
        &self,
        vote: Vote,
        snapshot: PeerSnapshot,
        cancel: Cancel,
        limit: Duration,
    ) -> Result<SnapshotResponse, StreamingError> {
        let mut bytes = Vec::new();
        let read = snapshot.snapshot.reader().read_to_end(&mut bytes);
        read.map_err(|error| NoAnswer(error.to_string()))?;
        let snapshot = PeerSnapshot { snapshot: SnapshotData::from_bytes(bytes), ..snapshot };
        let sending =
            self.way.ask(limit, move |inbox| async move { inbox.snapshot(vote, snapshot).await });
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = sending => {
                let answer = answer?;
                self.way.network.count_snapshot();
                Ok(answer)
            }
        }
    }

    async fn transfer_leader(
        &self,
        request: TransferRequest,
        limit: Duration,
    ) -> Result<TransferResponse, RpcError> {
        Ok(self.way.ask(limit, |inbox| async move { inbox.transfer_leader(request).await }).await?)
    }

    async fn confirm(&self, vote: Vote, limit: Duration) -> Result<Confirmation, NoAnswer> {
        self.way.ask(limit, move |inbox| async move { inbox.confirm(vote).await }).await
    }

    async fn read_index(&self, limit: Duration) -> Result<Result<u64, NotLeading>, NoAnswer> {
        self.way.ask(limit, move |inbox| async move { inbox.read_index(limit).await }).await
    }

    async fn understands(&self, limit: Duration) -> Result<u32, NoAnswer> {
        self.way.ask(limit, move |inbox| async move { Ok(inbox.understands()) }).await
    }

    async fn propose(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Result<(Outcome, u64), ProposeError>, NoAnswer> {
        let ask = move |inbox: Inbox| async move { Ok(inbox.propose(command, limit).await) };
        self.way.ask(limit, ask).await
    }

    async fn change(
        &self,
        change: Change,
        limit: Duration,
    ) -> Result<Result<Standing, ChangeError>, NoAnswer> {
        let caller = self.caller;
        let ask = move |inbox: Inbox| async move {
            // A member has looked for the leader itself.
            let is_member = inbox.standing(caller) != Standing::Absent;
            Ok(inbox.change(change, is_member).await)
        };
        self.way.ask(limit, ask).await
    }
}

#[async_trait::async_trait]
impl Pipeline for SimPeer {
    async fn append_all(&self, requests: Appends, limit: Duration) -> Result<Appended, RpcError> {
        let (way, began) = (self.way.clone(), Instant::now());
        let (inbox, life) = match way.there().await {
            Ok(there) => there,
            Err(Lost::Refused) => return Err(NoAnswer("nobody is there".into()).into()),
            Err(Lost::Silently) => {
                sleep_until(began + limit.min(KEEP_ALIVE)).await;
                return Err(NoAnswer("no connection".into()).into());
            }
        };
        let broken = Arc::new(AtomicBool::new(false));
        let (outward, breaks) = (way.clone(), Arc::clone(&broken));
        let carried = requests.then(move |request| {
            let (way, broken) = (outward.clone(), Arc::clone(&breaks));
            async move {
                let arrived = way.piece(life, true).await;
                broken.fetch_or(!arrived, Ordering::Relaxed);
                arrived.then_some(request)
            }
        });
        let carried = carried.take_while(|request| future::ready(request.is_some()));
        let carried = carried.filter_map(future::ready);
        let answers = inbox.append_all(carried.boxed());
        let answers = stream::unfold(Some(answers), move |answers| {
            let (way, broken) = (way.clone(), Arc::clone(&broken));
            async move {
                let mut answers = answers?;
                let error = match answers.next().await {
                    Some(Ok(answer)) if way.piece(life, false).await => {
                        return Some((Ok(answer), Some(answers)));
                    }
                    Some(Err(error)) => error,
                    None if !broken.load(Ordering::Relaxed) => return None,
                    Some(Ok(_)) | None => {
                        sleep(KEEP_ALIVE).await;
                        NoAnswer("the connection is lost".into())
                    }
                };
                Some((Err(error.into()), None))
            }
        });
        Ok(answers.boxed())
    }
}
