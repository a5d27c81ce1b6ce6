//! Handles to other members, kept for as long as their addresses stay.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use keystead_types::NodeId;

use crate::member::Member;
use crate::seams::{Link, Peer, Transport};

/// One handle per member and kind of traffic.
pub(crate) struct Peers {
    transport: Arc<dyn Transport>,
    known: Mutex<BTreeMap<(NodeId, Link), Known>>,
}

struct Known {
    address: String,
    peer: Arc<dyn Peer>,
}

impl Peers {
    pub(crate) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, known: Mutex::new(BTreeMap::new()) }
    }

    /// The handle to a member.
    pub(crate) fn get(&self, id: NodeId, member: &Member, link: Link) -> Arc<dyn Peer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(&(id, link))
            && found.address == member.address
        {
            return Arc::clone(&found.peer);
        }
        let peer: Arc<dyn Peer> = Arc::from(self.transport.peer(Some(id), &member.address, link));
        let address = member.address.clone();
        known.insert((id, link), Known { address, peer: Arc::clone(&peer) });
        peer
    }
}
