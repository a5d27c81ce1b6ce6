//! How what is said gets to a peer.

use std::sync::{Arc, Weak};

use keystead_state::RegionPeer;

use super::wire::Signed;
use super::{ExchangeError, NewRegionPeer};
use crate::boot::BootError;
use crate::region::RegionServer;

/// Carries statements to a peer and the answers back. It is trusted with nothing.
#[async_trait::async_trait]
pub trait Courier: Send + Sync {
    /// Carries a greeting, and the welcome back.
    ///
    /// # Errors
    /// The peer is not reached, or does not answer.
    async fn greet(&self, peer: &RegionPeer, greeting: Signed) -> Result<Signed, ExchangeError>;

    /// Carries a delivery, to the node that gave the welcome, and the receipt back.
    ///
    /// # Errors
    /// The peer is not reached, or does not answer.
    async fn deliver(&self, peer: &RegionPeer, delivery: Signed) -> Result<Signed, ExchangeError>;
}

/// Between regions of one process.
pub struct LocalCourier {
    regions: Vec<Weak<RegionServer>>,
}

impl LocalCourier {
    /// A courier between these.
    pub fn new(regions: &[Arc<RegionServer>]) -> Self {
        Self { regions: regions.iter().map(Arc::downgrade).collect() }
    }

    /// Connects the regions of one process with each other, unless they are.
    ///
    /// # Errors
    /// [`BootError`].
    pub async fn connect(regions: &[Arc<RegionServer>]) -> Result<(), BootError> {
        let courier: Arc<dyn Courier> = Arc::new(Self::new(regions));
        for region in regions {
            region.set_courier(Arc::clone(&courier));
            for peer in regions.iter().filter(|peer| peer.name() != region.name()) {
                let identity = peer.ensure_region_identity().await?;
                let cluster = peer.view().cluster_id();
                let cluster = cluster.ok_or_else(|| BootError::Refused("it has no id".into()))?;
                let (authority, endpoints) = (Vec::new(), Vec::new());
                let region_name = peer.name().clone();
                let peer =
                    NewRegionPeer { region: region_name, cluster, identity, authority, endpoints };
                region.add_region_peer(peer).await?;
            }
        }
        Ok(())
    }

    fn find(&self, peer: &RegionPeer) -> Result<Arc<RegionServer>, ExchangeError> {
        let mut regions = self.regions.iter().filter_map(Weak::upgrade);
        let found = regions.find(|region| *region.name() == peer.region);
        found.ok_or_else(|| ExchangeError::Peer(format!("{} is not served here", peer.region)))
    }
}

#[async_trait::async_trait]
impl Courier for LocalCourier {
    async fn greet(&self, peer: &RegionPeer, greeting: Signed) -> Result<Signed, ExchangeError> {
        self.find(peer)?.welcome(&greeting).await
    }

    async fn deliver(&self, peer: &RegionPeer, delivery: Signed) -> Result<Signed, ExchangeError> {
        self.find(peer)?.take_delivery(&delivery).await
    }
}
