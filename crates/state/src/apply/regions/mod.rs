//! Regions that are connected, and the messages between them.

mod messages;
mod replicas;
mod resynchronise;
mod shared;
mod take_over;

use keystead_types::Region;

use super::{Execution, done};
use crate::proto::{self, Reason};
use crate::regions::{self, RegionIdentity, RegionPeer, RegionStream};
use crate::transition::Transition;

pub(super) use messages::{confirm, receive};
pub(super) use replicas::{end_of_replica, replicate};
pub(super) use resynchronise::resynchronise;
pub(super) use take_over::update_primary;

pub(super) fn create_identity(
    next: &mut Transition<'_>,
    op: &proto::CreateRegionIdentity,
) -> Execution {
    if next.view.region_identity().is_some() {
        return Err(Reason::RegionIdentityExists.into());
    }
    let (public, sealed_private) = (op.public.clone(), op.sealed_private.clone());
    let created = next.view.clock;
    next.put_region_identity(RegionIdentity { public, sealed_private, created });
    Ok(done())
}

/// Connects a region, and tells it of all keys that have a replica there: it may have been connected
/// before.
pub(super) fn add_peer(next: &mut Transition<'_>, op: &proto::AddRegionPeer) -> Execution {
    let peer = op.peer.clone().and_then(regions::read_peer).ok_or(Reason::Malformed)?;
    let peer = RegionPeer { added: next.view.clock, ..peer };
    let stream = op.stream.as_slice().try_into().map_err(|_| Reason::Malformed)?;
    if next.view.region() == Some(&peer.region) || next.view.cluster_id() == Some(peer.cluster) {
        return Err(Reason::RegionPeerExists.into());
    }
    if next.view.region_peer(&peer.region).is_some() {
        return Err(Reason::RegionPeerExists.into());
    }
    let region = peer.region.clone();
    next.put_region_peer(peer);
    next.put_region_stream(&region, RegionStream::first(stream));
    shared::tell_all(next, &region);
    Ok(done())
}

/// Nothing more goes to the region. Its replicas stay relatives, but nothing waits for them. While a
/// primary waits for the answer of its successor there, nobody could say which of them is the primary.
pub(super) fn remove_peer(next: &mut Transition<'_>, op: &proto::RemoveRegionPeer) -> Execution {
    let region: Region = op.region.parse().map_err(|_| Reason::Malformed)?;
    if next.view.region_peer(&region).is_none() {
        return Err(Reason::RegionPeerNotFound.into());
    }
    if replicas::is_successor(next, &region) {
        return Err(Reason::PrimaryMoving.into());
    }
    next.remove_region_peer(&region);
    replicas::forget(next, &region);
    Ok(done())
}
