//! Other regions: who they are, what they are to be told, and how much of theirs has been taken.

mod records;
mod relatives;
mod transition;

use std::sync::Arc;

use keystead_types::{ClusterId, KeyId, Region, UnixMillis};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::model::Key;
use crate::proto::region_message::Kind;
use crate::proto::{RegionMessage, SharedKeyRecord};
use crate::view::View;

pub(crate) use records::{
    identity, load_identity, load_outgoing, load_peer, load_stream, outgoing, peer,
    read_optional_id, read_peer, stream,
};
pub use relatives::{MultiRegion, Replica, Revision};
pub(crate) use relatives::{
    multi_region, read_multi_region, read_replica, read_revision, revision, told_replica,
};
pub(crate) use transition::change;

/// Who this region is to its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionIdentity {
    /// Its signing keys, see [`RegionKeys`](keystead_crypto::region::RegionKeys).
    pub public: Vec<u8>,
    /// The private ones, sealed for the purpose "credential".
    pub sealed_private: Vec<u8>,
    /// When they were made.
    pub created: UnixMillis,
}

/// Another region that an operator connected with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionPeer {
    /// Its name.
    pub region: Region,
    /// The id of its cluster.
    pub cluster: ClusterId,
    /// Its signing keys.
    pub identity: Vec<u8>,
    /// The certificate that those of its nodes are signed by, in DER.
    pub authority: Vec<u8>,
    /// Where it is reached, `host:port`.
    pub endpoints: Vec<String>,
    /// When it was connected.
    pub added: UnixMillis,
}

/// How far the streams of messages to and from a peer have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegionStream {
    /// The name of the stream to the peer.
    pub outgoing: [u8; 16],
    /// Sequence number of the last message in it; 0 if there is none.
    pub sent: u64,
    /// The name of the stream from the peer, once there is one.
    pub incoming: Option<[u8; 16]>,
    /// Sequence number of the last message applied from it.
    pub received: u64,
    /// While this region, which was set back, waits to be told all: what it asked with.
    pub wanted: Option<[u8; 16]>,
    /// What the peer asked with when it was last told all.
    pub answered: Option<[u8; 16]>,
}

impl RegionStream {
    /// The first stream to a peer.
    pub(crate) fn first(random: [u8; 16]) -> Self {
        let outgoing = name_stream(random, 1);
        let (incoming, wanted, answered) = (None, None, None);
        Self { outgoing, sent: 0, incoming, received: 0, wanted, answered }
    }
}

/// The generation of a stream: a region counts those that it begins to a peer.
pub fn stream_generation(name: &[u8; 16]) -> u64 {
    let (generation, _) = name.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*generation)
}

/// The name of a stream: `u64 generation ‖ 8 random bytes`.
pub(crate) fn name_stream(random: [u8; 16], generation: u64) -> [u8; 16] {
    let mut name = random;
    name[..8].copy_from_slice(&generation.to_be_bytes());
    name
}

/// What a region says of the streams between it and a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamCursors {
    /// The name of its stream to the peer.
    pub outgoing: [u8; 16],
    /// Sequence number of the last message in that stream.
    pub sent: u64,
    /// Sequence number of the last message of it that the peer has confirmed.
    pub confirmed: u64,
    /// The name of the stream from the peer, once there is one.
    pub incoming: Option<[u8; 16]>,
    /// Sequence number of the last message applied from it.
    pub received: u64,
}

/// What a region knows of others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Regions {
    pub(crate) identity: Option<Arc<RegionIdentity>>,
    pub(crate) peers: RedBlackTreeMapSync<Region, Arc<RegionPeer>>,
    pub(crate) streams: RedBlackTreeMapSync<Region, RegionStream>,
    /// What peers have not confirmed, by the sequence number.
    pub(crate) outbox: RedBlackTreeMapSync<(Region, u64), Arc<RegionMessage>>,
    /// The multi-Region keys.
    pub(crate) keys: RedBlackTreeSetSync<KeyId>,
}

impl View {
    /// Who this region is to its peers, once it has been given an identity.
    pub fn region_identity(&self) -> Option<&RegionIdentity> {
        self.regions.identity.as_deref()
    }

    /// The regions that are connected with this one, by name.
    pub fn region_peers(&self) -> impl Iterator<Item = &Arc<RegionPeer>> {
        self.regions.peers.values()
    }

    /// A region that is connected with this one.
    pub fn region_peer(&self, region: &Region) -> Option<&Arc<RegionPeer>> {
        self.regions.peers.get(region)
    }

    /// How far the streams to and from a peer have come.
    pub fn region_stream(&self, region: &Region) -> Option<&RegionStream> {
        self.regions.streams.get(region)
    }

    /// What a peer has not confirmed yet, with the sequence numbers, in their order.
    pub fn outbox(&self, region: &Region) -> impl Iterator<Item = (u64, &Arc<RegionMessage>)> {
        let all = (region.clone(), 0)..=(region.clone(), u64::MAX);
        self.regions.outbox.range(all).map(|((_, sequence), message)| (*sequence, message))
    }

    /// How many messages a peer has not confirmed yet.
    pub fn outbox_len(&self, region: &Region) -> u64 {
        let bounds = self.outbox(region).next().zip(self.region_stream(region));
        bounds.map_or(0, |((first, _), stream)| stream.sent + 1 - first)
    }

    /// A message of the outbox as it goes on its way: with what the key shares now, wrapped as it is
    /// here. An offer has no material: that comes once the replica is there.
    pub fn as_told(&self, message: &RegionMessage) -> RegionMessage {
        let id = message.key_id.as_slice().try_into().map(|id| KeyId::new(id, true));
        let shared = id.ok().and_then(|id| self.key(&id)).and_then(|key| key.shared());
        let mut message = message.clone();
        match &mut message.kind {
            Some(Kind::Offer(offer)) => {
                let materials = Vec::new();
                offer.shared = shared.map(|shared| SharedKeyRecord { materials, ..shared });
            }
            Some(Kind::Change(change)) => change.shared = shared,
            Some(Kind::TakeOver(question)) => question.shared = shared,
            _ => {}
        }
        message
    }

    /// Sequence number of the last message that a peer has confirmed.
    pub fn confirmed(&self, region: &Region) -> u64 {
        let first = self.outbox(region).next().map(|(sequence, _)| sequence - 1);
        first.or(self.region_stream(region).map(|stream| stream.sent)).unwrap_or_default()
    }

    /// What this region says of the streams between it and a peer.
    pub fn stream_cursors(&self, region: &Region) -> Option<StreamCursors> {
        let stream = self.region_stream(region)?;
        Some(StreamCursors {
            outgoing: stream.outgoing,
            sent: stream.sent,
            confirmed: self.confirmed(region),
            incoming: stream.incoming,
            received: stream.received,
        })
    }

    /// Whether a peer knows more of this region's streams than it does itself, which was set back
    /// then: the generation of its newest stream that the peer knows. Nobody finds out twice, while
    /// this region waits to be told all.
    pub fn is_set_back(&self, region: &Region, peer: &StreamCursors) -> Option<u64> {
        let stream = self.region_stream(region).filter(|stream| stream.wanted.is_none())?;
        let own_generation = stream_generation(&stream.outgoing);
        let known = peer.incoming.as_ref().map_or(0, stream_generation);
        let has_sent_more = match peer.incoming {
            Some(name) if name == stream.outgoing => peer.received > stream.sent,
            Some(_) => known >= own_generation,
            None => false,
        };
        let has_confirmed_more = match stream.incoming {
            Some(name) if name == peer.outgoing => peer.confirmed > stream.received,
            other => {
                let newest = other.as_ref().map_or(0, stream_generation);
                peer.confirmed > 0 && stream_generation(&peer.outgoing) >= newest
            }
        };
        (has_sent_more || has_confirmed_more).then_some(known)
    }

    /// Whether this region was set back, and has not yet heard all from a relative of the key.
    pub fn is_behind(&self, key: &Key) -> bool {
        let Some(relatives) = key.multi_region.as_deref() else { return false };
        self.regions.streams.iter().any(|(region, stream)| {
            stream.wanted.is_some()
                && (relatives.primary == *region || relatives.replica(region).is_some())
        })
    }

    /// The multi-Region keys.
    pub fn multi_region_keys(&self) -> impl Iterator<Item = KeyId> {
        self.regions.keys.iter().copied()
    }
}
