//! The streams of messages: what comes is applied once and in order, what was confirmed goes.

use keystead_types::{KeyId, Region};

use super::{replicas, shared, take_over};
use crate::apply::{Execution, done};
use crate::model::Key;
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::region_message::Kind;
use crate::proto::{self, Command, Reason};
use crate::regions::{RegionStream, Revision, read_revision, stream_generation};
use crate::transition::Transition;

/// Applies messages of a peer. Nothing in a message can stop the stream: what makes no sense in the
/// state as it is, is passed over.
pub(in crate::apply) fn receive(
    next: &mut Transition<'_>,
    command: &Command,
    op: &proto::ReceiveMessages,
) -> Execution {
    let (region, mut stream) = stream(next, &op.region)?;
    let name = op.stream.as_slice().try_into().map_err(|_| Reason::Malformed)?;
    if stream.incoming != Some(name) {
        let generation = stream.incoming.as_ref().map_or(0, stream_generation);
        if stream_generation(&name) <= generation {
            return Err(Reason::MessagesMissing.into());
        }
        // The peer has begun anew.
        stream = RegionStream { incoming: Some(name), received: 0, ..stream };
    }
    if op.first == 0 || op.first > stream.received + 1 {
        return Err(Reason::MessagesMissing.into());
    }
    let mut received = proto::MessagesReceived::default();
    for (sequence, message) in (op.first..).zip(&op.messages) {
        if sequence <= stream.received {
            continue;
        }
        stream.received = sequence;
        match &message.kind {
            Some(Kind::AllTold(told)) => {
                stream.wanted = stream.wanted.filter(|wanted| told.wanted != *wanted);
            }
            Some(kind) => take(next, command, &region, &message.key_id, kind, &mut received),
            None => {}
        }
    }
    received.through = stream.received;
    // What was taken may have told this peer something.
    let sent = next.view.region_stream(&region).map_or(stream.sent, |now| now.sent);
    next.put_region_stream(&region, RegionStream { sent, ..stream });
    Ok(OutcomeResult::MessagesReceived(received))
}

fn take(
    next: &mut Transition<'_>,
    command: &Command,
    from: &Region,
    id: &[u8],
    kind: &Kind,
    received: &mut proto::MessagesReceived,
) {
    let Ok(bytes) = id.try_into() else { return };
    let name = proto::KeyRef { id: id.to_vec(), multi_region: true };
    let id = KeyId::new(bytes, true);
    match kind {
        Kind::Offer(offer) => {
            if replicas::take_offer(next, command, from, id, offer) {
                received.created.push(name);
            }
        }
        Kind::Ready(ready) => replicas::take_ready(next, from, id, ready),
        Kind::Change(change) => {
            let before = revision_of(next, id);
            shared::take_change(next, from, id, change);
            if revision_of(next, id) != before {
                received.synchronised.push(name);
            }
        }
        Kind::Refusal(refusal) => {
            if replicas::take_refusal(next, from, id, refusal) {
                let reason = i32::try_from(refusal.reason).unwrap_or_default();
                received.refused.push(proto::RefusedReplica { key: Some(name), reason });
            }
        }
        Kind::End(end) => replicas::take_end(next, from, id, end),
        Kind::TakeOver(question) => {
            if take_over::take_take_over(next, from, id, question) {
                received.primaries.push(name);
            }
        }
        Kind::TakeOverRefusal(refusal) => take_over::take_refusal(next, from, id, refusal),
        // It is of no key.
        Kind::AllTold(_) => {}
    }
}

fn revision_of(next: &Transition<'_>, id: KeyId) -> Option<Revision> {
    Some(next.key(&id)?.multi_region.as_deref()?.revision)
}

/// Takes out of the outbox what the peer has applied.
pub(in crate::apply) fn confirm(
    next: &mut Transition<'_>,
    op: &proto::ConfirmMessages,
) -> Execution {
    let (region, stream) = stream(next, &op.region)?;
    if op.stream != stream.outgoing || op.through > stream.sent {
        return Err(Reason::MessagesMissing.into());
    }
    let confirmed: Vec<_> = next
        .view
        .outbox(&region)
        .take_while(|(sequence, _)| *sequence <= op.through)
        .map(|(sequence, message)| (sequence, message.clone()))
        .collect();
    for (sequence, message) in confirmed {
        next.remove_outgoing(&region, sequence);
        if let Some(Kind::Change(change)) = &message.kind
            && let Ok(id) = message.key_id.as_slice().try_into()
        {
            let revision = change.revision.map(read_revision).unwrap_or_default();
            holds(next, KeyId::new(id, true), &region, revision);
        }
    }
    Ok(done())
}

/// Notes that a replica has a revision; with the last one, new material may begin to encrypt.
pub(super) fn holds(next: &mut Transition<'_>, id: KeyId, region: &Region, revision: Revision) {
    let Some(key) = next.key(&id) else { return };
    let mut key = Key::clone(&key);
    let Some(relatives) = key.multi_region.as_deref_mut() else { return };
    let Some(replica) = relatives.replica_mut(region) else { return };
    replica.holds = replica.holds.max(Some(revision));
    next.settle(&mut key);
    take_over::finish(&mut key, region);
    next.put_key(key);
}

/// A connected peer, and how far its streams have come.
pub(super) fn stream(
    next: &Transition<'_>,
    region: &str,
) -> Result<(Region, RegionStream), Reason> {
    let region: Region = region.parse().map_err(|_| Reason::Malformed)?;
    let stream = next.view.region_stream(&region).copied();
    Ok((region, stream.ok_or(Reason::RegionPeerNotFound)?))
}
