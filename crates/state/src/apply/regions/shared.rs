//! What keys of one id share: told by the primary, taken by the replicas; and told back by replicas
//! to a primary that was set back.

use keystead_types::{KeyId, KeySpec, KeyState, KeyUsage, Origin, Region};

use super::take_over::take_over;
use crate::model::{Key, Material, MaterialState};
use crate::proto::region_message::Kind;
use crate::proto::{self, SharedKeyRecord};
use crate::records::{code, read_material, read_rotation};
use crate::regions::{self, MultiRegion, Replica, Revision, read_revision, revision};
use crate::transition::Transition;

/// Tells a peer of all keys that have a relative there.
pub(super) fn tell_all(next: &mut Transition<'_>, region: &Region) {
    let keys: Vec<KeyId> = next.view.multi_region_keys().collect();
    for id in keys {
        let Some(key) = next.key(&id) else { continue };
        if let Some(kind) = told(&key, region) {
            next.tell(region, id, kind);
        }
    }
}

/// What there is to tell a peer of a key, so that its relative there is as it should be.
fn told(key: &Key, region: &Region) -> Option<Kind> {
    let relatives = key.multi_region.as_deref()?;
    match relatives.since {
        Some(_) if relatives.primary != *region => None,
        Some(since) if key.state == KeyState::Creating => {
            Some(Kind::Ready(proto::ReplicaReady { since: Some(revision(since)) }))
        }
        Some(_) => Some(regions::change(relatives)),
        None if relatives.successor.as_ref() == Some(region) => Some(take_over(relatives, region)),
        None => relatives.replica(region)?.holds.map(|_| regions::change(relatives)),
    }
}

/// Takes over what a relative tells.
pub(super) fn take_change(
    next: &mut Transition<'_>,
    from: &Region,
    id: KeyId,
    change: &proto::SharedChange,
) {
    let (Some(shared), Some(own)) = (&change.shared, next.view.region().cloned()) else { return };
    let Some(key) = next.key(&id) else { return tell_end(next, from, &own, id, shared) };
    let Some(told) = Told::read(shared).filter(|told| told.is_of(&key)) else { return };
    match change.since.map(read_revision) {
        Some(since) => told_by_replica(next, from, &own, &key, since, &told),
        None => told_by_primary(next, from, &own, &key, &told),
    }
}

/// Tells a primary that its replica is not here.
fn tell_end(
    next: &mut Transition<'_>,
    from: &Region,
    own: &Region,
    id: KeyId,
    shared: &SharedKeyRecord,
) {
    let replica = shared.replicas.iter().find(|replica| replica.region == own.as_str());
    if let Some(since) = replica.map(|replica| replica.since) {
        next.tell(from, id, Kind::End(proto::ReplicaEnd { since }));
    }
}

fn told_by_primary(
    next: &mut Transition<'_>,
    from: &Region,
    own: &Region,
    key: &Key,
    told: &Told<'_>,
) {
    let Some(relatives) = key.multi_region.as_deref() else { return };
    let related = relatives.primary == *from || relatives.replica(from).is_some();
    if !related || told.primary != *from {
        return;
    }
    if key.as_primary().is_some() && relatives.revision.epoch == told.revision.epoch {
        // Both were made primaries by one that was set back between. One of them has to yield.
        if own < from {
            return outlast(next, key.clone());
        }
    } else if told.revision <= relatives.revision {
        return;
    }
    let mut new = key.clone();
    let lacks = told.take_into(&mut new);
    let known = told.replicas.iter().find(|replica| replica.region == *own);
    let since = relatives.since.or(known.map(|known| known.since)).unwrap_or_default();
    let relatives = MultiRegion {
        primary: from.clone(),
        replicas: told.replicas.clone(),
        revision: told.revision,
        since: Some(since),
        spreads: None,
        successor: None,
    };
    let answer = (lacks || known.is_none()).then(|| regions::change(&relatives));
    new.multi_region = Some(Box::new(relatives));
    new.end_update();
    settle_state(&mut new);
    next.put_key(new);
    if let Some(answer) = answer {
        next.tell(from, key.id, answer);
    }
}

/// A primary goes on in an epoch of its own, which ends the other one.
fn outlast(next: &mut Transition<'_>, mut key: Key) {
    let Some(relatives) = key.multi_region.as_deref_mut() else { return };
    relatives.revision = relatives.revision.first_after(1);
    next.put_key(key.clone());
    next.tell_replicas(&key);
}

fn told_by_replica(
    next: &mut Transition<'_>,
    from: &Region,
    own: &Region,
    key: &Key,
    since: Revision,
    told: &Told<'_>,
) {
    let mut new = key.clone();
    let Some(relatives) = new.multi_region.as_deref_mut() else { return };
    if relatives.since.is_some() || told.primary != *own {
        return;
    }
    let before = relatives.revision;
    let newer = told.revision > before;
    relatives.replicas.retain(|replica| replica.region != *from || replica.since == since);
    match relatives.replica_mut(from) {
        Some(replica) => replica.holds = replica.holds.max(Some(told.revision)),
        None => {
            let (region, holds) = (from.clone(), Some(told.revision));
            relatives.replicas.push(Replica { region, since, holds });
        }
    }
    if newer {
        relatives.revision = told.revision;
        for replica in &told.replicas {
            if relatives.replica(&replica.region).is_none() {
                let holds = Some(Revision::default());
                relatives.replicas.push(Replica { holds, ..replica.clone() });
            }
        }
        told.take_into(&mut new);
    } else {
        told.add_missing_to(&mut new);
    }
    if !new.spreads() {
        new.multi_region.iter_mut().for_each(|relatives| relatives.spreads = None);
    }
    settle_state(&mut new);
    next.put_key(new);
    // If nothing changed by this, the replica has not been told of the primary's either.
    let Some(now) = next.key(&key.id) else { return };
    let Some(relatives) = now.as_primary() else { return };
    if relatives.revision == before.max(told.revision) {
        next.tell(from, key.id, regions::change(relatives));
    }
}

/// A key is usable once it has all its material, and no longer.
fn settle_state(key: &mut Key) {
    key.state = match key.state {
        KeyState::Creating if key.is_whole() => KeyState::Enabled,
        KeyState::Creating => KeyState::PendingImport,
        KeyState::Enabled | KeyState::Disabled if !key.is_whole() => KeyState::PendingImport,
        state => state,
    };
}

/// What a relative tells, read.
pub(super) struct Told<'a> {
    shared: &'a SharedKeyRecord,
    revision: Revision,
    primary: Region,
    replicas: Vec<Replica>,
    materials: Vec<Material>,
}

impl<'a> Told<'a> {
    pub(super) fn read(shared: &'a SharedKeyRecord) -> Option<Self> {
        let replicas = shared.replicas.iter().map(regions::read_replica);
        Some(Self {
            revision: read_revision(shared.revision?),
            primary: shared.primary_region.parse().ok()?,
            replicas: replicas.collect::<Option<_>>()?,
            materials: shared
                .materials
                .iter()
                .cloned()
                .map(read_material)
                .collect::<Option<_>>()?,
            shared,
        })
    }

    /// Whether this can be of the key: the same kind, and with all material that has to come along.
    pub(super) fn is_of(&self, key: &Key) -> bool {
        let kind = (
            code(self.shared.spec, KeySpec::from_code),
            code(self.shared.usage, KeyUsage::from_code),
            code(self.shared.origin, Origin::from_code),
        );
        let complete =
            key.origin == Origin::External || self.materials.iter().all(Material::is_present);
        let current = self.shared.current_material.and_then(|at| usize::try_from(at).ok());
        complete
            && kind == (Some(key.spec), Some(key.usage), Some(key.origin))
            && current.is_none_or(|at| at < self.materials.len())
    }

    /// Gives a key what is told. Material that only the key has stays: it may have been used. Whether
    /// there is such.
    pub(super) fn take_into(&self, key: &mut Key) -> bool {
        let mut materials: Vec<_> =
            self.materials.iter().map(|told| self.as_known(key, told)).collect();
        let told = materials.len();
        if key.origin != Origin::External {
            let is_told = |own: &Material| self.materials.iter().any(|told| told.id == own.id);
            let lacking = key.materials.iter().filter(|own| !is_told(own)).cloned();
            materials
                .extend(lacking.map(|own| Material { state: MaterialState::NonCurrent, ..own }));
        }
        let lacks = materials.len() > told;
        key.materials = materials.into();
        key.current_material = self.shared.current_material;
        key.rotation = self.shared.rotation.map(|rotation| Box::new(read_rotation(rotation)));
        lacks
    }

    /// A material that is told, in the key. Imported ones come to each Region by themselves.
    fn as_known(&self, key: &Key, told: &Material) -> Material {
        if key.origin != Origin::External {
            return told.clone();
        }
        match key.materials.iter().find(|own| own.id == told.id) {
            Some(own) => Material { state: told.state, rotation: told.rotation, ..own.clone() },
            None => Material {
                wrapped: Box::default(),
                expires: None,
                description: Box::default(),
                ..told.clone()
            },
        }
    }

    /// Gives a key the material that only the other one has: it may have been used.
    fn add_missing_to(&self, key: &mut Key) {
        if key.origin == Origin::External {
            return;
        }
        let is_known = |told: &Material| key.materials.iter().any(|own| own.id == told.id);
        let missing: Vec<_> =
            self.materials.iter().filter(|told| !is_known(told)).cloned().collect();
        let mut materials = std::mem::take(&mut key.materials).into_vec();
        materials.extend(
            missing.into_iter().map(|m| Material { state: MaterialState::NonCurrent, ..m }),
        );
        key.materials = materials.into();
    }
}
