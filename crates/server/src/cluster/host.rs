//! What a member says to nodes that want to join.

use std::sync::Arc;

use keystead_crypto::seal::SealedRoot;
use keystead_raft::peer::join::{Admission, Greeting, JoinHost};
use keystead_types::NodeId;

use crate::region::RegionServer;

/// A member, as those who join see it.
pub struct MemberHost {
    region: Arc<RegionServer>,
    name: String,
}

impl MemberHost {
    /// The member with this name.
    pub fn new(region: Arc<RegionServer>, name: String) -> Self {
        Self { region, name }
    }
}

#[tonic::async_trait]
impl JoinHost for MemberHost {
    fn greet(&self) -> Greeting {
        // What a member is does not depend on whether it has a leader at the moment.
        Greeting { name: self.name.clone(), member: true }
    }

    async fn admit(&self, node: NodeId, public_key: &[u8]) -> Result<Admission, String> {
        admission(&self.region, node, public_key)
    }
}

/// What a new node needs: a certificate, and the root key under each seal.
///
/// # Errors
/// A sentence about why there is none.
pub fn admission(
    region: &RegionServer,
    node: NodeId,
    public_key: &[u8],
) -> Result<Admission, String> {
    let view = region.view();
    let cluster_id = view.cluster_id().ok_or("this member has not learnt its state yet")?;
    let authority = region.authority().map_err(|error| error.to_string())?;
    let certificate = authority.sign(node, public_key).map_err(|error| error.to_string())?;
    let roots = view.sealed_roots().iter().map(|root| SealedRoot {
        seal_id: root.seal_id.clone(),
        check_value: root.check_value.clone(),
        blob: root.blob.clone(),
    });
    tracing::info!(%node, "a certificate was signed for a new node");
    Ok(Admission {
        cluster_id,
        region: region.name().clone(),
        certificate,
        authority: authority.certificate().to_vec(),
        roots: roots.collect(),
    })
}
