//! Which cluster version all members understand.

use std::time::Duration;

use futures::future;
use keystead_types::NodeId;

use crate::node_core::Core;
use crate::seams::Link;

/// How long a member may take to answer.
const LIMIT: Duration = Duration::from_secs(1);

impl Core {
    /// On the leader: the greatest version that every member understands. A member of a software
    /// that does not know the question gives no answer to it.
    pub(crate) async fn understood_by_all(&self) -> Option<u32> {
        if !self.leads() {
            return None;
        }
        let membership = self.membership();
        let others = membership.membership().nodes().filter(|(id, _)| **id != self.node_id.0);
        let asked = others.map(|(id, member)| {
            let peer = self.peers.get(NodeId(*id), member, Link::Request);
            async move { peer.understands(LIMIT).await }
        });
        let told = future::try_join_all(asked).await;
        let told = told.inspect_err(|error| {
            tracing::debug!(%error, "a member does not say which cluster version it understands");
        });
        told.ok()?.into_iter().chain([self.understands]).min()
    }
}
