//! Changes of what a region knows of others, and the messages that changes of keys are to them.

use std::sync::Arc;

use keystead_types::{KeyId, Region};

use super::{
    MultiRegion, RegionIdentity, RegionPeer, RegionStream, identity, outgoing, peer, revision,
    stream,
};
use crate::model::{Key, MaterialState};
use crate::proto::region_message::Kind;
use crate::proto::{self, RegionMessage};
use crate::rows;
use crate::transition::{Transition, delete, put};

impl Transition<'_> {
    pub(crate) fn put_region_identity(&mut self, new: RegionIdentity) {
        self.changes.push(put(rows::region_identity(), identity(&new)));
        self.view.regions.identity = Some(Arc::new(new));
    }

    pub(crate) fn put_region_peer(&mut self, new: RegionPeer) {
        self.changes.push(put(rows::region_peer(&new.region), peer(&new)));
        self.view.regions.peers.insert_mut(new.region.clone(), Arc::new(new));
    }

    pub(crate) fn put_region_stream(&mut self, region: &Region, new: RegionStream) {
        self.changes.push(put(rows::region_stream(region), stream(region, &new)));
        self.view.regions.streams.insert_mut(region.clone(), new);
    }

    pub(crate) fn put_outgoing(&mut self, region: Region, sequence: u64, new: Arc<RegionMessage>) {
        self.changes
            .push(put(rows::outgoing(&region, sequence), outgoing(&region, sequence, &new)));
        self.view.regions.outbox.insert_mut((region, sequence), new);
    }

    pub(crate) fn remove_outgoing(&mut self, region: &Region, sequence: u64) {
        self.view.regions.outbox.remove_mut(&(region.clone(), sequence));
        self.changes.push(delete(rows::outgoing(region, sequence)));
    }

    /// Removes a peer and all that it was still to be told.
    pub(crate) fn remove_region_peer(&mut self, region: &Region) {
        let untold: Vec<u64> = self.view.outbox(region).map(|(sequence, _)| sequence).collect();
        untold.into_iter().for_each(|sequence| self.remove_outgoing(region, sequence));
        self.view.regions.streams.remove_mut(region);
        self.changes.push(delete(rows::region_stream(region)));
        self.view.regions.peers.remove_mut(region);
        self.changes.push(delete(rows::region_peer(region)));
    }

    /// Adds a message to what a peer is to be told; whoever is no peer is told nothing.
    pub(crate) fn tell(&mut self, region: &Region, key: KeyId, kind: Kind) {
        self.tell_of(region, key.bytes().to_vec(), kind);
    }

    /// The same, of a message that is about no key.
    pub(crate) fn tell_of_no_key(&mut self, region: &Region, kind: Kind) {
        self.tell_of(region, Vec::new(), kind);
    }

    fn tell_of(&mut self, region: &Region, key_id: Vec<u8>, kind: Kind) {
        let told_ms = self.view.clock.0;
        self.tell_again(region, Arc::new(RegionMessage { key_id, kind: Some(kind), told_ms }));
    }

    /// The same, of a message that there is already.
    pub(crate) fn tell_again(&mut self, region: &Region, message: Arc<RegionMessage>) {
        let Some(stream) = self.view.region_stream(region).copied() else { return };
        let sequence = stream.sent + 1;
        self.put_region_stream(region, RegionStream { sent: sequence, ..stream });
        self.put_outgoing(region.clone(), sequence, message);
    }

    /// Begins a new stream to a peer, in which nothing has been told yet. What it was still to be
    /// told of the old one comes back; changes do not, since they say what is anyway.
    pub(crate) fn begin_stream(
        &mut self,
        region: &Region,
        new: RegionStream,
    ) -> Vec<Arc<RegionMessage>> {
        let untold: Vec<_> =
            self.view.outbox(region).map(|(at, message)| (at, message.clone())).collect();
        for (sequence, _) in &untold {
            self.remove_outgoing(region, *sequence);
        }
        self.put_region_stream(region, new);
        let mut untold: Vec<_> = untold.into_iter().map(|(_, message)| message).collect();
        untold.retain(|message| !matches!(message.kind, Some(Kind::Change(_)) | None));
        untold
    }

    /// Gives a primary whose shared properties change its next revision, and tells the replicas
    /// that are there. Whatever changes a key comes by here. One without replicas shares with nobody.
    pub(crate) fn note_shared_change(&mut self, old: &Key, new: &mut Key) {
        let has_replicas =
            |key: &Key| key.as_primary().is_some_and(|primary| !primary.replicas.is_empty());
        if !(has_replicas(old) || has_replicas(new)) || !shared_differs(old, new) {
            return;
        }
        let newly_spreads = new.spreads() && !old.spreads();
        let Some(relatives) = new.multi_region.as_deref_mut() else { return };
        if relatives.since.is_some() {
            return;
        }
        relatives.revision = relatives.revision.next();
        if newly_spreads {
            relatives.spreads = Some(relatives.revision);
        }
        self.tell_replicas(new);
        // There may be none that it could wait for.
        self.settle(new);
    }

    /// Tells the replicas of a primary that are there what it shares now.
    pub(crate) fn tell_replicas(&mut self, key: &Key) {
        let Some(relatives) = key.as_primary() else { return };
        for replica in relatives.replicas.iter().filter(|replica| replica.holds.is_some()) {
            self.tell(&replica.region, key.id, change(relatives));
        }
    }

    /// Lets the newest material of a primary encrypt, if every replica that can be told has it.
    /// Whether it does now.
    pub(crate) fn settle(&self, key: &mut Key) -> bool {
        let Some(relatives) = key.multi_region.as_deref() else { return false };
        let Some(spreads) = relatives.spreads else { return false };
        let waits = relatives.replicas.iter().any(|replica| {
            self.view.region_peer(&replica.region).is_some()
                && replica.holds.is_some_and(|holds| holds < spreads)
        });
        if waits {
            return false;
        }
        key.finish_spreading();
        true
    }
}

/// The message that what keys share has changed.
pub(crate) fn change(relatives: &MultiRegion) -> Kind {
    let revisions = (Some(revision(relatives.revision)), relatives.since.map(revision));
    Kind::Change(proto::SharedChange { revision: revisions.0, shared: None, since: revisions.1 })
}

impl Key {
    /// The newest material encrypts from now on.
    fn finish_spreading(&mut self) {
        if let Some(relatives) = self.multi_region.as_deref_mut() {
            relatives.spreads = None;
        }
        let newest = self.materials.iter().position(|one| one.state == MaterialState::Spreading);
        let Some(newest) = newest else { return };
        for material in &mut self.materials {
            if material.state == MaterialState::Current {
                material.state = MaterialState::NonCurrent;
            }
        }
        self.materials[newest].state = MaterialState::Current;
        self.current_material = u32::try_from(newest).ok();
    }
}

/// Whether what a key shares with its replicas is another one: not what only the primary knows of
/// them, nor the wraps.
fn shared_differs(old: &Key, new: &Key) -> bool {
    let relatives = |key: &Key| {
        let regions = |relatives: &MultiRegion| {
            let replicas = relatives.replicas.iter().map(|replica| replica.region.clone());
            (relatives.primary.clone(), replicas.collect::<Vec<_>>())
        };
        key.multi_region.as_deref().map(regions)
    };
    let materials = |key: &Key| {
        let all = key.materials.iter();
        all.map(|one| (one.id, one.state, one.rotation)).collect::<Vec<_>>()
    };
    (old.current_material, &old.rotation) != (new.current_material, &new.rotation)
        || relatives(old) != relatives(new)
        || materials(old) != materials(new)
}
