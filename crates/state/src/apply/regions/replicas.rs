//! Replicas come and go.

use keystead_types::{
    AccountId, KeyArn, KeyId, KeyManager, KeySpec, KeyState, KeyUsage, Origin, Region, UnixMillis,
};

use crate::apply::keys::refuse_pending_deletion;
use crate::apply::{Execution, done, fresh_customer_key, policies};
use crate::model::Key;
use crate::proto::region_message::Kind;
use crate::proto::{self, Command, Reason};
use crate::quotas::Quotas;
use crate::records::code;
use crate::regions::{self, MultiRegion, Replica, Revision, read_revision, revision};
use crate::transition::Transition;

/// Offers a replica to a peer. The key has it among its replicas from now on; what it shares goes
/// there once the peer has taken the offer.
pub(in crate::apply) fn replicate(
    next: &mut Transition<'_>,
    command: &Command,
    op: &proto::ReplicateKey,
) -> Execution {
    let mut key = fresh_customer_key(next, command.authorised_at, op.key.as_ref())?;
    let region: Region = op.region.parse().map_err(|_| Reason::Malformed)?;
    refuse_unusable(&key)?;
    let own = next.view.region().ok_or(Reason::NotInitialised)?;
    let relatives = key.as_primary().ok_or(Reason::KeyNotPrimary)?;
    if region == *own || relatives.replica(&region).is_some() {
        return Err(Reason::ReplicaExists.into());
    }
    if next.view.region_peer(&region).is_none() {
        return Err(Reason::RegionPeerNotFound.into());
    }
    if let Some(check) = &op.lockout_check {
        let policy = policies::given(next.view, &op.policy)?;
        let resource = KeyArn { region: region.clone(), account: key.account, id: key.id };
        policies::refuse_lockout(next.view, command, check, &resource, &policy)?;
    }
    let since = relatives.revision.next();
    let replica = Replica { region: region.clone(), since, holds: None };
    key.multi_region.iter_mut().for_each(|relatives| relatives.replicas.push(replica.clone()));
    let offer = proto::ReplicaOffer {
        since: Some(revision(since)),
        account: key.account.number(),
        author: command.principal.clone(),
        description: op.description.clone(),
        policy: op.policy.clone(),
        tags: op.tags.clone(),
        shared: None,
    };
    let id = key.id;
    next.put_key(key);
    next.tell(&region, id, Kind::Offer(offer));
    Ok(done())
}

pub(super) fn refuse_unusable(key: &Key) -> Result<(), Reason> {
    refuse_pending_deletion(key)?;
    match key.state {
        KeyState::Disabled => Err(Reason::KeyDisabled),
        KeyState::PendingImport => Err(Reason::KeyPendingImport),
        KeyState::Creating => Err(Reason::KeyCreating),
        KeyState::Updating => Err(Reason::KeyUpdating),
        _ => Ok(()),
    }
}

/// Makes the replica that a primary offers, or tells it why not. Whether there is one now.
pub(super) fn take_offer(
    next: &mut Transition<'_>,
    command: &Command,
    from: &Region,
    id: KeyId,
    offer: &proto::ReplicaOffer,
) -> bool {
    let since = offer.since;
    if next.key(&id).is_some_and(|key| is_offered(&key, from, offer)) {
        // The peer does not know any more that it has offered it.
        next.tell(from, id, Kind::Ready(proto::ReplicaReady { since }));
        return false;
    }
    match replica(next, Quotas::of(command), from, id, offer) {
        Ok(key) => {
            next.put_key(key);
            next.tell(from, id, Kind::Ready(proto::ReplicaReady { since }));
            true
        }
        Err(reason) => {
            let reason = u32::try_from(i32::from(reason)).unwrap_or_default();
            next.tell(from, id, Kind::Refusal(proto::ReplicaRefusal { since, reason }));
            false
        }
    }
}

/// Whether this is the replica of an offer.
fn is_offered(key: &Key, from: &Region, offer: &proto::ReplicaOffer) -> bool {
    let since = offer.since.map(read_revision);
    key.as_replica().is_some_and(|replica| replica.primary == *from && replica.since == since)
}

/// The replica as it is until what it shares comes.
fn replica(
    next: &mut Transition<'_>,
    quotas: Quotas,
    from: &Region,
    id: KeyId,
    offer: &proto::ReplicaOffer,
) -> Result<Key, Reason> {
    let account = AccountId::from_number(offer.account).ok_or(Reason::Malformed)?;
    let shared = offer.shared.as_ref().ok_or(Reason::Malformed)?;
    let owner = next.view.account(account).ok_or(Reason::AccountNotFound)?;
    if owner.service.is_some() {
        return Err(Reason::AccountNotFound);
    }
    if next.view.key(&id).is_some() {
        return Err(Reason::KeyExists);
    }
    if offer.tags.len() > quotas.tags_per_key {
        return Err(Reason::TagLimit);
    }
    if next.view.key_count_of(account) >= quotas.keys_per_account {
        return Err(Reason::KeyLimit);
    }
    let policy = policies::given(next.view, &offer.policy)?;
    Ok(Key {
        id,
        account,
        manager: KeyManager::Customer,
        spec: code(shared.spec, KeySpec::from_code).ok_or(Reason::Malformed)?,
        usage: code(shared.usage, KeyUsage::from_code).ok_or(Reason::Malformed)?,
        origin: code(shared.origin, Origin::from_code).ok_or(Reason::Malformed)?,
        state: KeyState::Creating,
        description: offer.description.as_str().into(),
        created: next.view.clock,
        materials: Box::default(),
        current_material: None,
        policy: next.share_policy(policy),
        tags: offer.tags.clone(),
        deletion: None,
        pending_window_days: 0,
        multi_region: Some(Box::new(MultiRegion {
            primary: from.clone(),
            replicas: Vec::new(),
            revision: Revision::default(),
            since: Some(offer.since.map(read_revision).unwrap_or_default()),
            spreads: None,
            successor: None,
        })),
        rotation: None,
        rights_removed_at: 0,
    })
}

/// A peer has the replica: it gets what the key shares, and all changes of that from now on.
pub(super) fn take_ready(
    next: &mut Transition<'_>,
    from: &Region,
    id: KeyId,
    ready: &proto::ReplicaReady,
) {
    let Some(mut key) = primary_of(next, from, id, ready.since) else { return };
    let Some(relatives) = key.multi_region.as_deref_mut() else { return };
    if let Some(replica) = relatives.replica_mut(from) {
        replica.holds = replica.holds.or(Some(Revision::default()));
    }
    let change = regions::change(relatives);
    next.put_key(key);
    next.tell(from, id, change);
}

/// A peer takes no replica. Whether this region asked for it.
pub(super) fn take_refusal(
    next: &mut Transition<'_>,
    from: &Region,
    id: KeyId,
    refusal: &proto::ReplicaRefusal,
) -> bool {
    let Some(key) = primary_of(next, from, id, refusal.since) else { return false };
    drop_replica(next, key, from);
    true
}

/// The replica of a peer is gone.
pub(super) fn take_end(
    next: &mut Transition<'_>,
    from: &Region,
    id: KeyId,
    end: &proto::ReplicaEnd,
) {
    if let Some(key) = primary_of(next, from, id, end.since) {
        drop_replica(next, key, from);
    }
}

/// The primary whose replica in a peer is this very one.
fn primary_of(
    next: &Transition<'_>,
    from: &Region,
    id: KeyId,
    since: Option<proto::RevisionRecord>,
) -> Option<Key> {
    let since = since.map(read_revision)?;
    let key = next.key(&id)?;
    let replica = key.as_primary()?.replica(from)?;
    (replica.since == since).then(|| Key::clone(&key))
}

fn drop_replica(next: &mut Transition<'_>, mut key: Key, region: &Region) {
    let Some(relatives) = key.multi_region.as_deref_mut() else { return };
    relatives.replicas.retain(|replica| replica.region != *region);
    let last = relatives.replicas.is_empty();
    if last && key.state == KeyState::PendingReplicaDeletion {
        let window = u64::from(key.pending_window_days) * UnixMillis::DAY;
        key.state = KeyState::PendingDeletion;
        key.deletion = Some(next.view.clock.plus(window));
        key.pending_window_days = 0;
    }
    next.settle(&mut key);
    next.put_key(key);
}

/// Whether a primary waits for the answer of its successor in this region.
pub(super) fn is_successor(next: &Transition<'_>, region: &Region) -> bool {
    next.view.multi_region_keys().filter_map(|id| next.view.key(&id)).any(|key| {
        key.as_primary().is_some_and(|primary| primary.successor.as_ref() == Some(region))
    })
}

/// Takes back what was offered to a region that is no peer any more, and lets nothing wait for it.
pub(super) fn forget(next: &mut Transition<'_>, region: &Region) {
    let keys: Vec<KeyId> = next.view.multi_region_keys().collect();
    for id in keys {
        let Some(key) = next.key(&id) else { continue };
        let Some(replica) = key.as_primary().and_then(|relatives| relatives.replica(region)) else {
            continue;
        };
        let mut new = Key::clone(&key);
        if replica.holds.is_none() {
            drop_replica(next, new, region);
            continue;
        }
        next.settle(&mut new);
        // It would wait for its predecessor.
        new.end_update();
        if new != *key {
            next.put_key(new);
        }
    }
}

/// Tells the primary that a replica is gone.
pub(in crate::apply) fn end_of_replica(next: &mut Transition<'_>, key: &Key) {
    let Some(relatives) = key.as_replica() else { return };
    let since = relatives.since.map(revision);
    next.tell(&relatives.primary.clone(), key.id, Kind::End(proto::ReplicaEnd { since }));
}
