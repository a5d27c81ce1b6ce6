//! What regions tell each other of the keys that they share.
//!
//! The leader of a region carries its outbox to each peer: it greets the peer, seals what there is
//! to tell to the keys that the welcome names, and takes what the peer has applied out of the
//! outbox. Nothing of it relies on the connection; see `proto/keystead/region/v1`.

mod courier;
mod grpc;
mod letter;
mod listener;
mod receive;
mod send;
mod session;
mod statement;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use keystead_api::Error;
use keystead_crypto::keyring::Purpose;
use keystead_crypto::region::{RegionIdentity, RegionKeys};
use keystead_state::View;
use keystead_state::proto::{self, command};
use keystead_types::{ClusterId, Region, UnixMillis};

pub use courier::{Courier, LocalCourier};
pub use grpc::GrpcCourier;
pub use listener::{RegionListener, RegionListenerError};
use session::Sessions;

use crate::audit::AuditTrail;
use crate::boot::{self, BootError};
use crate::clock;
use crate::region::RegionServer;

/// The messages, the server and the client of `proto/keystead/region/v1`.
pub mod wire {
    #![allow(missing_docs, unused_qualifications, clippy::pedantic)]
    tonic::include_proto!("keystead.region.v1");
}

/// What the sealed identity is bound to: no access key has this id.
const IDENTITY_BINDING: &[u8] = b"region identity";
/// For so long a process that has just started lets multi-Region keys wait for word of the peers.
const HEARING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Why two regions did not come to speak.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The node has only just started.
    #[error("this node has only just started")]
    Starting,
    /// The region has no identity yet.
    #[error("this region has no identity yet")]
    NoIdentity,
    /// The other region is no peer.
    #[error("the other region is not connected with this one")]
    Stranger,
    /// A statement is not one of the peer to this region, or is no answer to what was asked.
    #[error("a statement of the peer does not hold")]
    Statement,
    /// There is no such session, or not any more.
    #[error("there is no such session")]
    Session,
    /// A letter cannot be read.
    #[error("a letter of the peer cannot be read")]
    Letter,
    /// The library or the random generator failed.
    #[error("the cryptography failed")]
    Crypto,
    /// A command was not acknowledged, or a fresh state was not to be had.
    #[error(transparent)]
    Region(#[from] Error),
    /// The state did not take a command.
    #[error("the state refuses it: {0}")]
    Refused(&'static str),
    /// The peer cannot be reached, or said no.
    #[error("{0}")]
    Peer(String),
}

/// What a node last heard of a peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PeerNews {
    /// When it last gave a good answer.
    pub(crate) heard: Option<UnixMillis>,
    /// Why it was not told anything when that was last tried, if it was not.
    pub(crate) failure: Option<String>,
}

/// What a process knows of the peers of its region.
pub(crate) struct PeerRegions {
    started: Instant,
    identity: OnceLock<Arc<RegionIdentity>>,
    courier: OnceLock<Arc<dyn Courier>>,
    audit: OnceLock<Arc<AuditTrail>>,
    sessions: Sessions,
    news: Mutex<BTreeMap<Region, PeerNews>>,
}

impl PeerRegions {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            identity: OnceLock::new(),
            courier: OnceLock::new(),
            audit: OnceLock::new(),
            sessions: Sessions::default(),
            news: Mutex::default(),
        }
    }

    fn note_heard(&self, region: &Region) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.insert(region.clone(), PeerNews { heard: Some(clock::now()), failure: None });
    }

    /// Notes why a peer was not reached. Whether that is another reason than before.
    fn note_failure(&self, region: &Region, failure: &str) -> bool {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let news = news.entry(region.clone()).or_default();
        news.failure.replace(failure.to_owned()).as_deref() != Some(failure)
    }

    fn news(&self, region: &Region) -> PeerNews {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.get(region).cloned().unwrap_or_default()
    }

    /// Whether all peers have been heard of, or there was time enough for it.
    fn has_heard(&self, view: &View) -> bool {
        if self.started.elapsed() >= HEARING {
            return true;
        }
        view.region_peers().all(|peer| self.news(&peer.region).heard.is_some())
    }
}

impl RegionServer {
    /// Says by what the region reaches its peers; the first word counts.
    pub fn set_courier(&self, courier: Arc<dyn Courier>) {
        let _ = self.peer_regions.courier.set(courier);
    }

    /// Waits, in a process that has just started, until all peers have been heard of, or there was
    /// time enough for it. Whether that took any time.
    pub(crate) async fn hear_peers(&self, view: &View) -> bool {
        let mut waited = false;
        while !self.peer_regions.has_heard(view) {
            tokio::time::sleep(LOOK).await;
            waited = true;
        }
        waited
    }

    /// What this node last heard of a peer.
    pub(crate) fn region_news(&self, peer: &Region) -> PeerNews {
        self.peer_regions.news(peer)
    }

    /// Gives the region an identity, unless it has one, and says what peers know it by.
    ///
    /// # Errors
    /// [`BootError`].
    pub async fn ensure_region_identity(&self) -> Result<Vec<u8>, BootError> {
        if let Some(identity) = self.view().region_identity() {
            return Ok(identity.public.clone());
        }
        let refused = |error: &dyn std::fmt::Display| BootError::Refused(error.to_string());
        let identity = RegionIdentity::generate()?;
        let (public, private) = (identity.public()?, identity.encode()?);
        let sealed_private =
            self.keyring().seal_value(Purpose::Credential, IDENTITY_BINDING, &private)?;
        let create = proto::CreateRegionIdentity { public, sealed_private };
        // Another node may have been faster: its identity counts.
        self.propose_system(command::Operation::CreateRegionIdentity(create))
            .await
            .map_err(|error| refused(&error))?;
        let view = self.view();
        let identity = view.region_identity().ok_or_else(|| refused(&"it was not taken"))?;
        Ok(identity.public.clone())
    }

    /// Connects another region with this one, unless it is.
    ///
    /// # Errors
    /// [`BootError`].
    pub async fn add_region_peer(&self, peer: NewRegionPeer) -> Result<(), BootError> {
        if self.view().region_peer(&peer.region).is_some() {
            return Ok(());
        }
        RegionKeys::parse(&peer.identity)
            .map_err(|_| BootError::Refused("these are no keys of a region".into()))?;
        let record = proto::RegionPeerRecord {
            region: peer.region.to_string(),
            cluster_id: peer.cluster.bytes().to_vec(),
            identity: peer.identity,
            authority: peer.authority,
            endpoints: peer.endpoints,
            added_ms: 0,
        };
        let stream = keystead_crypto::random::bytes::<16>()?.to_vec();
        let add = proto::AddRegionPeer { peer: Some(record), stream };
        boot::propose(self, command::Operation::AddRegionPeer(add)).await
    }

    /// The identity of the region, opened.
    fn region_identity(&self, view: &View) -> Result<Arc<RegionIdentity>, ExchangeError> {
        if let Some(identity) = self.peer_regions.identity.get() {
            return Ok(Arc::clone(identity));
        }
        let stored = view.region_identity().ok_or(ExchangeError::NoIdentity)?;
        let private = self
            .keyring()
            .open_value(Purpose::Credential, IDENTITY_BINDING, &stored.sealed_private)
            .map_err(|_| ExchangeError::Crypto)?;
        let identity = RegionIdentity::decode(&private).map_err(|_| ExchangeError::Crypto)?;
        Ok(Arc::clone(self.peer_regions.identity.get_or_init(|| Arc::new(identity))))
    }
}

/// A region to connect with.
pub struct NewRegionPeer {
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
}
