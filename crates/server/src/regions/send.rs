//! The side that tells: the leader of a region, to each of its peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_crypto::random;
use keystead_crypto::region::seal_letter;
use keystead_state::proto::{self, command, outcome};
use keystead_state::{RegionPeer, View};
use keystead_types::Region;
use prost::Message;
use tokio::task::JoinHandle;

use super::ExchangeError;
use super::receive::{FRESH, read_cursors};
use super::wire::{Cursors, Delivery, Greeting, Receipt, Signed, Telling, Welcome};
use crate::audit::AuditTrail;
use crate::metrics;
use crate::region::RegionServer;

/// How often a peer is greeted by a leader that has nothing to tell.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How often it is looked whether there is anything to tell.
const LOOK: Duration = Duration::from_millis(20);
/// How long is waited after a failure. Tests make many of them.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 500 });
/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What one delivery has of messages, and of bytes in them, at most.
const MESSAGES_AT_ONCE: usize = 200;
const BYTES_AT_ONCE: usize = 512 * 1024;

impl RegionServer {
    /// Tells all peers what they are to know, for ever.
    pub async fn run_region_exchange(self: Arc<Self>, audit: Arc<AuditTrail>) {
        let _ = self.peer_regions.audit.set(audit);
        let mut tellers: BTreeMap<Region, JoinHandle<()>> = BTreeMap::new();
        loop {
            let view = self.view();
            tellers.retain(|region, teller| {
                let stays = view.region_peer(region).is_some() && !teller.is_finished();
                if !stays {
                    teller.abort();
                }
                stays
            });
            for peer in view.region_peers() {
                let (entries, age_ms) = self.region_lag(&view, &peer.region);
                metrics::region_lag(&peer.region, entries, age_ms);
                tellers.entry(peer.region.clone()).or_insert_with(|| {
                    tokio::spawn(Arc::clone(&self).tell_peer(peer.region.clone()))
                });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Tells one peer, for as long as it is one.
    async fn tell_peer(self: Arc<Self>, region: Region) {
        let mut greeted: Option<Instant> = None;
        loop {
            let view = self.view();
            let Some(peer) = view.region_peer(&region).cloned() else { return };
            // Every node has to hear of each peer once; then the leader speaks for all.
            let idle = greeted.is_some_and(|greeted| {
                let waits = self.node().leads() && view.outbox(&region).next().is_some();
                !waits && (greeted.elapsed() < HEARTBEAT || !self.node().leads())
            });
            if idle {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            match tokio::time::timeout(PATIENCE, self.exchange(&peer)).await {
                Ok(Ok(())) => {
                    greeted = Some(Instant::now());
                    continue;
                }
                Ok(Err(error)) => self.note_failure(&region, &error.to_string()),
                Err(_) => self.note_failure(&region, "no answer in time"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn note_failure(&self, peer: &Region, error: &str) {
        metrics::region_failure(peer);
        if self.peer_regions.note_failure(peer, error) {
            tracing::warn!(region = %self.name(), %peer, error, "a peer was not told");
        }
    }

    /// How much waits for a peer: messages, and the age of the oldest one in milliseconds.
    pub(crate) fn region_lag(&self, view: &View, peer: &Region) -> (u64, u64) {
        let oldest = view.outbox(peer).next().map(|(_, message)| message.told_ms);
        let age = oldest.map_or(0, |told| self.node().time().0.saturating_sub(told));
        (view.outbox_len(peer), age)
    }

    /// Greets a peer, learns whether either was set back, and tells what there is to tell.
    pub(super) async fn exchange(&self, peer: &RegionPeer) -> Result<(), ExchangeError> {
        let courier = self.peer_regions.courier.get();
        let courier = courier.ok_or_else(|| ExchangeError::Peer("there is no way to it".into()))?;
        let view = self.view();
        let nonce = random::bytes::<32>().map_err(|_| ExchangeError::Crypto)?.to_vec();
        let between = Some(self.between(&view, peer)?);
        let greeting = Greeting { between, nonce: nonce.clone() };
        let answer = courier.greet(peer, self.sign(&view, &greeting)?).await?;
        let welcome: Welcome = self.read_from(&view, peer, &answer)?;
        if welcome.nonce != nonce {
            return Err(ExchangeError::Statement);
        }
        let cursors = welcome.cursors.as_ref().ok_or(ExchangeError::Statement)?;
        let view = self.barrier(Instant::now() + FRESH).await?;
        if self.resynchronise(&view, &peer.region, cursors).await? {
            self.peer_regions.note_heard(&peer.region);
            return Ok(());
        }
        self.peer_regions.note_heard(&peer.region);
        if !self.node().leads() {
            return Ok(());
        }
        let Some(telling) = self.telling(&view, &peer.region)? else { return Ok(()) };
        let (stream, count) = (telling.stream.clone(), telling.messages.len());
        let letter = seal_letter(&welcome.receiver, &answer.statement, &telling.encode_to_vec())
            .map_err(|_| ExchangeError::Crypto)?;
        let between = Some(self.between(&view, peer)?);
        let delivery = Delivery { between, session: welcome.session.clone(), letter };
        let answer = courier.deliver(peer, self.sign(&view, &delivery)?).await?;
        let receipt: Receipt = self.read_from(&view, peer, &answer)?;
        if receipt.session != welcome.session {
            return Err(ExchangeError::Statement);
        }
        metrics::region_messages(&peer.region, count);
        let (region, through) = (peer.region.to_string(), receipt.through);
        let confirm = proto::ConfirmMessages { region, stream, through };
        self.propose_taken(command::Operation::ConfirmMessages(confirm)).await
    }

    /// A statement of this very peer.
    fn read_from<S: super::statement::Statement>(
        &self,
        view: &View,
        peer: &RegionPeer,
        signed: &Signed,
    ) -> Result<S, ExchangeError> {
        let (from, statement) = self.read_statement::<S>(view, signed)?;
        if from.region == peer.region { Ok(statement) } else { Err(ExchangeError::Statement) }
    }

    /// Begins a new stream if this region was set back, or the peer was and asks. Whether it did.
    async fn resynchronise(
        &self,
        view: &View,
        peer: &Region,
        cursors: &Cursors,
    ) -> Result<bool, ExchangeError> {
        let known = read_cursors(cursors).ok_or(ExchangeError::Statement)?;
        let stream = view.region_stream(peer).ok_or(ExchangeError::Stranger)?;
        let after = view.is_set_back(peer, &known);
        let random = || random::bytes::<16>().map_err(|_| ExchangeError::Crypto);
        let asks = !cursors.wanted.is_empty()
            && stream.answered.is_none_or(|answered| answered[..] != cursors.wanted[..]);
        if after.is_none() && !asks {
            return Ok(false);
        }
        let wanted = if after.is_some() { random()?.to_vec() } else { Vec::new() };
        let answered = if asks { cursors.wanted.clone() } else { Vec::new() };
        if after.is_some() {
            tracing::warn!(region = %self.name(), %peer, "this region was set back, and asks its peer");
        }
        let command = proto::Resynchronise {
            region: peer.to_string(),
            stream: random()?.to_vec(),
            after: after.unwrap_or_default(),
            wanted,
            answered,
        };
        self.propose_taken(command::Operation::Resynchronise(command)).await?;
        Ok(true)
    }

    /// The next messages to a peer, if there are any.
    fn telling(&self, view: &View, peer: &Region) -> Result<Option<Telling>, ExchangeError> {
        let Some(stream) = view.region_stream(peer) else { return Ok(None) };
        let (mut messages, mut first, mut bytes) = (Vec::new(), 0, 0);
        for (sequence, message) in view.outbox(peer).take(MESSAGES_AT_ONCE) {
            let message = self.open_message(view, message)?;
            bytes += message.encoded_len();
            if messages.is_empty() {
                first = sequence;
            } else if bytes > BYTES_AT_ONCE {
                break;
            }
            messages.push(message);
        }
        let stream = stream.outgoing.to_vec();
        Ok((!messages.is_empty()).then_some(Telling { stream, first, messages }))
    }

    async fn propose_taken(&self, operation: command::Operation) -> Result<(), ExchangeError> {
        match self.propose_system(operation).await?.outcome.result {
            Some(outcome::Result::Rejected(rejected)) => {
                Err(ExchangeError::Refused(rejected.reason().as_str_name()))
            }
            _ => Ok(()),
        }
    }
}
