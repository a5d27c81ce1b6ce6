//! The side that is told.

use std::time::{Duration, Instant};

use keystead_crypto::random;
use keystead_crypto::region::Receiver;
use keystead_state::proto::{self, command, outcome};
use keystead_state::{View, stream_generation};
use keystead_types::Region;
use prost::Message;

use super::ExchangeError;
use super::session::Session;
use super::wire::{Cursors, Delivery, Greeting, Receipt, Signed, Telling, Welcome};
use crate::audit::{AuditTrail, KeyEvent};
use crate::propose;
use crate::region::RegionServer;

/// How long a fresh View may take.
pub(super) const FRESH: Duration = Duration::from_secs(5);

impl RegionServer {
    /// Answers a greeting with the keys for one letter.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn welcome(&self, signed: &Signed) -> Result<Signed, ExchangeError> {
        let view = self.barrier(Instant::now() + FRESH).await?;
        let (peer, greeting) = self.read_statement::<Greeting>(&view, signed)?;
        let receiver = Receiver::generate().map_err(|_| ExchangeError::Crypto)?;
        let session = random::bytes::<16>().map_err(|_| ExchangeError::Crypto)?;
        let welcome = Welcome {
            between: Some(self.between(&view, &peer)?),
            nonce: greeting.nonce,
            session: session.to_vec(),
            receiver: receiver.public().to_vec(),
            cursors: Some(cursors(&view, &peer.region).ok_or(ExchangeError::Stranger)?),
        };
        let signed = self.sign(&view, &welcome)?;
        let waiting = Session::new(peer.region.clone(), receiver, signed.statement.clone());
        self.peer_regions.sessions.add(session, waiting);
        Ok(signed)
    }

    /// Takes what a peer tells, and says how far it has been applied.
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub async fn take_delivery(&self, signed: &Signed) -> Result<Signed, ExchangeError> {
        let view = self.barrier(Instant::now() + FRESH).await?;
        let (peer, delivery) = self.read_statement::<Delivery>(&view, signed)?;
        let session = self.peer_regions.sessions.take(&delivery.session, &peer.region);
        let session = session.ok_or(ExchangeError::Session)?;
        let letter = session.receiver.open(&session.bound, &delivery.letter);
        let letter = letter.map_err(|_| ExchangeError::Letter)?;
        let telling = Telling::decode(&**letter).map_err(|_| ExchangeError::Letter)?;
        let messages = telling.messages.into_iter();
        let messages = messages.map(|message| self.wrap_message(&view, message));
        let receive = proto::ReceiveMessages {
            region: peer.region.to_string(),
            stream: telling.stream,
            first: telling.first,
            messages: messages.collect::<Result<_, _>>()?,
        };
        let audit = self.peer_regions.audit.get().ok_or(ExchangeError::Starting)?;
        let applied = self.propose_system(command::Operation::ReceiveMessages(receive)).await?;
        let through = match applied.outcome.result {
            Some(outcome::Result::MessagesReceived(received)) => {
                self.record_received(audit, &received);
                received.through
            }
            Some(outcome::Result::Rejected(rejected)) => {
                return Err(ExchangeError::Refused(rejected.reason().as_str_name()));
            }
            _ => return Err(ExchangeError::Statement),
        };
        let between = Some(self.between(&view, &peer)?);
        self.sign(&view, &Receipt { between, session: delivery.session, through })
    }
}

impl RegionServer {
    /// Writes down what peers had done to keys. The peer cannot be kept from knowing of it when the
    /// trail cannot be written.
    fn record_received(&self, audit: &AuditTrail, received: &proto::MessagesReceived) {
        let view = self.view();
        for (keys, operation) in [
            (&received.created, "CreateKey"),
            (&received.primaries, "UpdatePrimaryRegion"),
            (&received.synchronised, "SynchronizeMultiRegionKey"),
        ] {
            let ids = keys.iter().filter_map(|key| propose::ref_id(Some(key)));
            for key in ids.filter_map(|id| view.key(&id)) {
                let written = KeyEvent::by_relative(self.name(), key, operation)
                    .and_then(|event| audit.append(&event).map_err(|error| error.to_string()));
                if let Err(error) = written {
                    tracing::error!(error, key = %key.id, operation, "not in the audit trail");
                }
            }
        }
    }
}

/// What this region says of the streams between it and a peer.
fn cursors(view: &View, peer: &Region) -> Option<Cursors> {
    let wanted = view.region_stream(peer)?.wanted;
    let own = view.stream_cursors(peer)?;
    Some(Cursors {
        outgoing: own.outgoing.to_vec(),
        sent: own.sent,
        confirmed: own.confirmed,
        incoming: own.incoming.map(|name| name.to_vec()).unwrap_or_default(),
        received: own.received,
        wanted: wanted.map(|id| id.to_vec()).unwrap_or_default(),
    })
}

/// What a peer says of them; `None` if it makes no sense.
pub(super) fn read_cursors(cursors: &Cursors) -> Option<keystead_state::StreamCursors> {
    let incoming = match cursors.incoming.as_slice() {
        [] => None,
        name => Some(name.try_into().ok()?),
    };
    let outgoing: [u8; 16] = cursors.outgoing.as_slice().try_into().ok()?;
    // Generations are counted: one near the end of the numbers is no count.
    let sane = |name: &[u8; 16]| stream_generation(name) < u64::MAX / 2;
    if !sane(&outgoing) || !incoming.as_ref().is_none_or(sane) {
        return None;
    }
    let Cursors { sent, confirmed, received, .. } = *cursors;
    Some(keystead_state::StreamCursors { outgoing, sent, confirmed, incoming, received })
}
