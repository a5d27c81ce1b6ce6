//! Regions that operators connect with each other.

use keystead_state::proto::{self as state, command};
use keystead_types::{ClusterId, Region};
use tonic::Status;

use super::proto;
use super::service::refused;
use crate::boot;
use crate::cluster;
use crate::region::RegionServer;
use crate::regions::NewRegionPeer;

/// Endpoints that a peer may have.
const MAX_ENDPOINTS: usize = 16;

/// What peers have to know of a region, which gets an identity if it has none.
pub(super) async fn card(region: &RegionServer) -> Result<proto::RegionCard, Status> {
    let cluster = region.view().cluster_id();
    let cluster = cluster.ok_or_else(|| Status::unavailable("the region has no id yet"))?;
    let identity = region.ensure_region_identity().await.map_err(refused)?;
    let authority = cluster::ensure_authority(region, cluster).await;
    let authority = authority.map_err(|error| Status::internal(error.to_string()))?;
    Ok(proto::RegionCard {
        region: region.name().to_string(),
        cluster_id: cluster.bytes().to_vec(),
        identity,
        authority: authority.certificate().to_vec(),
    })
}

/// Connects a region with the one whose card this is.
pub(super) async fn add(
    region: &RegionServer,
    request: &proto::AddRegionPeerRequest,
) -> Result<(), Status> {
    let invalid = |text: &str| Status::invalid_argument(text.to_owned());
    let card = request.peer.as_ref().ok_or_else(|| invalid("there is no card"))?;
    let name: Region = card.region.parse().map_err(|_| invalid("the card names no Region"))?;
    let cluster = card.cluster_id.as_slice().try_into();
    let cluster = cluster.map(ClusterId::new).map_err(|_| invalid("the card names no cluster"))?;
    if !(1..=MAX_ENDPOINTS).contains(&request.endpoints.len()) {
        return Err(invalid("say 1 to 16 endpoints at which it is reached"));
    }
    if let Some(known) = region.view().region_peer(&name) {
        let text = match known.cluster == cluster {
            true => format!("{name} is connected already; remove it to connect it otherwise"),
            false => format!("{name} is connected, and another cluster than the card's"),
        };
        return Err(Status::already_exists(text));
    }
    // What is told is signed by it.
    region.ensure_region_identity().await.map_err(refused)?;
    let peer = NewRegionPeer {
        region: name,
        cluster,
        identity: card.identity.clone(),
        authority: card.authority.clone(),
        endpoints: request.endpoints.clone(),
    };
    region.add_region_peer(peer).await.map_err(refused)
}

/// Tells a region nothing more.
pub(super) async fn remove(region: &RegionServer, peer: &str) -> Result<(), Status> {
    let remove = state::RemoveRegionPeer { region: peer.to_owned() };
    boot::propose(region, command::Operation::RemoveRegionPeer(remove)).await.map_err(refused)
}

/// The regions that are connected, as this node knows them.
pub(super) fn list(region: &RegionServer) -> proto::ListRegionPeersResponse {
    let (view, status) = (region.view(), region.node().status());
    let peers = view.region_peers().map(|peer| {
        let (waiting, oldest_ms) = region.region_lag(&view, &peer.region);
        let news = region.region_news(&peer.region);
        proto::RegionPeer {
            region: peer.region.to_string(),
            cluster_id: peer.cluster.bytes().to_vec(),
            endpoints: peer.endpoints.clone(),
            added_ms: peer.added.0,
            waiting,
            oldest_ms,
            heard_ms: news.heard.map(|heard| heard.0),
            failure: news.failure,
            asked: view.region_stream(&peer.region).is_some_and(|stream| stream.wanted.is_some()),
        }
    });
    let name_of = |id| status.members.iter().find(|known| known.id == id);
    proto::ListRegionPeersResponse {
        region: region.name().to_string(),
        node: name_of(status.node_id).map(|own| own.member.name.clone()).unwrap_or_default(),
        leader: status.leader.and_then(name_of).map(|leader| leader.member.name.clone()),
        peers: peers.collect(),
    }
}
