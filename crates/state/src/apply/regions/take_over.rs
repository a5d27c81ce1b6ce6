//! A replica becomes the primary, in two steps: the old primary asks and waits, the new one answers.
//! From the question on, the old one changes nothing that is shared; from the answer on, it is a
//! replica. Whatever a primary says is fenced by its epoch.

use keystead_types::{KeyId, KeyState, Region};

use super::replicas::refuse_unusable;
use super::shared::Told;
use crate::apply::{Execution, done, fresh_customer_key};
use crate::model::Key;
use crate::proto::region_message::Kind;
use crate::proto::{self, Reason};
use crate::regions::{
    MultiRegion, Replica, Revision, read_replica, read_revision, revision, told_replica,
};
use crate::transition::Transition;

/// Asks the region of a replica to become the primary.
pub(in crate::apply) fn update_primary(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::UpdatePrimaryRegion,
) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    let region: Region = op.region.parse().map_err(|_| Reason::Malformed)?;
    let relatives = key.as_primary().ok_or(Reason::KeyNotPrimary)?;
    if relatives.successor.as_ref() == Some(&region) {
        return Ok(done());
    }
    refuse_unusable(&key)?;
    relatives.replica(&region).ok_or(Reason::ReplicaNotFound)?;
    // Its region would not hear of another primary than the one that offered it.
    if relatives.replicas.iter().any(Replica::is_creating) {
        return Err(Reason::KeyCreating.into());
    }
    if next.view.region_peer(&region).is_none() {
        return Err(Reason::RegionPeerNotFound.into());
    }
    let question = take_over(relatives, &region);
    key.state = KeyState::Updating;
    key.multi_region.iter_mut().for_each(|relatives| relatives.successor = Some(region.clone()));
    let id = key.id;
    next.put_key(key);
    next.tell(&region, id, question);
    Ok(done())
}

/// The question to the successor of a primary.
pub(super) fn take_over(relatives: &MultiRegion, successor: &Region) -> Kind {
    let since = relatives.revision.first_after(1);
    let holds = Some(revision(Revision::default()));
    let old = Replica { region: relatives.primary.clone(), since, holds: None };
    let old = proto::ReplicaRecord { holds, ..told_replica(&old) };
    let others = relatives.replicas.iter().filter(|replica| replica.region != *successor);
    let others = others.map(|replica| proto::ReplicaRecord {
        holds: replica.holds.map(revision),
        ..told_replica(replica)
    });
    let replicas = others.chain([old]).collect();
    Kind::TakeOver(proto::TakeOver { revision: Some(revision(since)), shared: None, replicas })
}

/// Becomes the primary, or says that it cannot be. Whether it is now.
pub(super) fn take_take_over(
    next: &mut Transition<'_>,
    from: &Region,
    id: KeyId,
    op: &proto::TakeOver,
) -> bool {
    let Some(first) = op.revision.map(read_revision) else { return false };
    let key = next.key(&id);
    let epoch = key.as_deref().and_then(|key| key.multi_region.as_deref());
    if epoch.is_some_and(|relatives| relatives.revision.epoch >= first.epoch) {
        // It has been answered.
        return false;
    }
    if let Some(key) = key.and_then(|key| successor(next, from, &key, first, op)) {
        next.put_key(key);
        return true;
    }
    let refusal = proto::TakeOverRefusal { revision: Some(revision(first)) };
    next.tell(from, id, Kind::TakeOverRefusal(refusal));
    false
}

/// The key as the primary that it is to be, if it can be one.
fn successor(
    next: &Transition<'_>,
    from: &Region,
    key: &Key,
    first: Revision,
    op: &proto::TakeOver,
) -> Option<Key> {
    let relatives = key.as_replica()?;
    if relatives.primary != *from || key.state != KeyState::Enabled {
        return None;
    }
    let told = Told::read(op.shared.as_ref()?).filter(|told| told.is_of(key))?;
    let replicas: Vec<_> = op.replicas.iter().map(read_replica).collect::<Option<_>>()?;
    // Of those that it could not reach it would never hear.
    if replicas.iter().any(|replica| next.view.region_peer(&replica.region).is_none()) {
        return None;
    }
    let mut new = key.clone();
    told.take_into(&mut new);
    new.state = KeyState::Updating;
    new.multi_region = Some(Box::new(MultiRegion {
        primary: next.view.region()?.clone(),
        replicas,
        revision: first,
        since: None,
        spreads: new.spreads().then(|| first.next()),
        successor: None,
    }));
    Some(new)
}

/// The successor does not want to: the old primary goes on, in an epoch in which nobody can take
/// over any more what was offered.
pub(super) fn take_refusal(
    next: &mut Transition<'_>,
    from: &Region,
    id: KeyId,
    refusal: &proto::TakeOverRefusal,
) {
    let Some(refused) = refusal.revision.map(read_revision) else { return };
    let Some(key) = next.key(&id) else { return };
    let mut key = Key::clone(&key);
    let Some(relatives) = key.multi_region.as_deref_mut() else { return };
    let asked = relatives.revision.first_after(1);
    if relatives.successor.as_ref() != Some(from) || refused != asked {
        return;
    }
    relatives.successor = None;
    relatives.revision = asked.first_after(1);
    key.end_update();
    next.put_key(key.clone());
    next.tell_replicas(&key);
}

/// Ends the update of a new primary whose predecessor has become its replica.
pub(super) fn finish(key: &mut Key, region: &Region) {
    let Some(relatives) = key.as_primary().filter(|primary| primary.successor.is_none()) else {
        return;
    };
    let epoch = relatives.revision.epoch;
    let predecessor = relatives.replica(region).filter(|replica| {
        replica.since == Revision { epoch, number: 1 }
            && replica.holds.is_some_and(|holds| holds.epoch == epoch)
    });
    if predecessor.is_some() {
        key.end_update();
    }
}
