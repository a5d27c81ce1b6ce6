//! Between the records of regions on disk and the model in memory.

use std::sync::Arc;

use keystead_types::{Region, UnixMillis};
use prost::Message;

use super::{RegionIdentity, RegionPeer, RegionStream};
use crate::proto::{self, RegionMessage};
use crate::records::read_cluster_id;
use crate::transition::Transition;

pub(crate) fn identity(identity: &RegionIdentity) -> Vec<u8> {
    proto::RegionIdentityRecord {
        public: identity.public.clone(),
        sealed_private: identity.sealed_private.clone(),
        created_ms: identity.created.0,
    }
    .encode_to_vec()
}

pub(crate) fn load_identity(into: &mut Transition<'_>, record: proto::RegionIdentityRecord) {
    into.put_region_identity(RegionIdentity {
        public: record.public,
        sealed_private: record.sealed_private,
        created: UnixMillis(record.created_ms),
    });
}

pub(crate) fn peer(peer: &RegionPeer) -> Vec<u8> {
    proto::RegionPeerRecord {
        region: peer.region.to_string(),
        cluster_id: peer.cluster.bytes().to_vec(),
        identity: peer.identity.clone(),
        authority: peer.authority.clone(),
        endpoints: peer.endpoints.clone(),
        added_ms: peer.added.0,
    }
    .encode_to_vec()
}

pub(crate) fn read_peer(record: proto::RegionPeerRecord) -> Option<RegionPeer> {
    Some(RegionPeer {
        region: record.region.parse().ok()?,
        cluster: read_cluster_id(&record.cluster_id)?,
        identity: record.identity,
        authority: record.authority,
        endpoints: record.endpoints,
        added: UnixMillis(record.added_ms),
    })
}

pub(crate) fn load_peer(into: &mut Transition<'_>, record: proto::RegionPeerRecord) -> Option<()> {
    into.put_region_peer(read_peer(record)?);
    Some(())
}

pub(crate) fn stream(region: &Region, stream: &RegionStream) -> Vec<u8> {
    proto::RegionStreamRecord {
        region: region.to_string(),
        outgoing: stream.outgoing.to_vec(),
        sent: stream.sent,
        incoming: stream.incoming.map(|name| name.to_vec()).unwrap_or_default(),
        received: stream.received,
        wanted: stream.wanted.map(|id| id.to_vec()).unwrap_or_default(),
        answered: stream.answered.map(|id| id.to_vec()).unwrap_or_default(),
    }
    .encode_to_vec()
}

pub(crate) fn load_stream(
    into: &mut Transition<'_>,
    record: proto::RegionStreamRecord,
) -> Option<()> {
    let stream = RegionStream {
        outgoing: record.outgoing.try_into().ok()?,
        sent: record.sent,
        incoming: read_optional_id(&record.incoming)?,
        received: record.received,
        wanted: read_optional_id(&record.wanted)?,
        answered: read_optional_id(&record.answered)?,
    };
    into.put_region_stream(&record.region.parse().ok()?, stream);
    Some(())
}

/// Sixteen bytes or none; `None` for anything else.
#[expect(clippy::option_option, reason = "absent and malformed are two things")]
pub(crate) fn read_optional_id(bytes: &[u8]) -> Option<Option<[u8; 16]>> {
    match bytes {
        [] => Some(None),
        id => Some(Some(id.try_into().ok()?)),
    }
}

pub(crate) fn outgoing(region: &Region, sequence: u64, message: &RegionMessage) -> Vec<u8> {
    let message = Some(message.clone());
    proto::OutgoingRecord { region: region.to_string(), sequence, message }.encode_to_vec()
}

pub(crate) fn load_outgoing(
    into: &mut Transition<'_>,
    record: proto::OutgoingRecord,
) -> Option<()> {
    let region = record.region.parse().ok()?;
    into.put_outgoing(region, record.sequence, Arc::new(record.message?));
    Some(())
}
