//! What a multi-Region key knows of its relatives.

use keystead_types::{KeyState, Origin, Region};

use crate::model::{Key, Material, MaterialState};
use crate::{proto, records};

/// The order of the shared properties of a key. A new primary begins an epoch; whatever a primary
/// changes gets the next number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Revision {
    /// Counts the primaries.
    pub epoch: u64,
    /// Counts the changes by one of them.
    pub number: u64,
}

impl Revision {
    /// That of a new key.
    pub(crate) const FIRST: Self = Self { epoch: 1, number: 1 };

    /// The one that the same primary's next change makes.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        Self { number: self.number + 1, ..self }
    }

    /// The first one of an epoch that comes so much later.
    #[must_use]
    pub(crate) fn first_after(self, epochs: u64) -> Self {
        Self { epoch: self.epoch + epochs, number: 1 }
    }
}

/// A replica, as the primary knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its Region.
    pub region: Region,
    /// Which one it is, of those that the Region had in turn: the revision that it came with.
    pub since: Revision,
    /// The newest revision that it is known to have; `None` until it is there.
    pub holds: Option<Revision>,
}

impl Replica {
    /// Whether it is not known to have anything of what the key shares.
    pub fn is_creating(&self) -> bool {
        self.holds.is_none_or(|holds| holds == Revision::default())
    }
}

/// The relatives of a multi-Region key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRegion {
    /// The Region of the primary.
    pub primary: Region,
    /// The replicas, in the order in which they came.
    pub replicas: Vec<Replica>,
    /// The revision of the key's shared properties.
    pub revision: Revision,
    /// Of a replica: which one it is.
    pub since: Option<Revision>,
    /// Of a primary: the revision that its newest material came with, while it does not encrypt
    /// because not every replica has it.
    pub spreads: Option<Revision>,
    /// Of a primary that waits for the answer of the next one: its Region.
    pub successor: Option<Region>,
}

impl MultiRegion {
    /// The relatives of a new primary, which has none.
    pub(crate) fn alone(region: Region) -> Self {
        Self {
            primary: region,
            replicas: Vec::new(),
            revision: Revision::FIRST,
            since: None,
            spreads: None,
            successor: None,
        }
    }

    /// The replica in a Region.
    pub fn replica(&self, region: &Region) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.region == *region)
    }

    pub(crate) fn replica_mut(&mut self, region: &Region) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.region == *region)
    }
}

impl Key {
    /// The relatives, if this is the primary of a multi-Region key.
    pub fn as_primary(&self) -> Option<&MultiRegion> {
        self.multi_region.as_deref().filter(|relatives| relatives.since.is_none())
    }

    /// The relatives, if this is a replica.
    pub fn as_replica(&self) -> Option<&MultiRegion> {
        self.multi_region.as_deref().filter(|relatives| relatives.since.is_some())
    }

    /// The key is not being updated any more. Imported material may have expired meanwhile.
    pub(crate) fn end_update(&mut self) {
        if self.state == KeyState::Updating {
            self.state = if self.is_whole() { KeyState::Enabled } else { KeyState::PendingImport };
        }
    }

    /// Whether this is a primary that another one is to take over from.
    pub(crate) fn is_succeeded(&self) -> bool {
        self.as_primary().is_some_and(|primary| primary.successor.is_some())
    }

    /// What this key and its relatives share, with the wraps that it has them in here; `None` if it
    /// can have no relatives. Imported material has none: it comes to each Region by itself.
    pub fn shared(&self) -> Option<proto::SharedKeyRecord> {
        let relatives = self.multi_region.as_deref()?;
        let material = |material: &Material| {
            let record = records::material(material);
            match self.origin {
                Origin::External => {
                    proto::MaterialRecord { wrapped: Vec::new(), expires_ms: None, ..record }
                }
                _ => record,
            }
        };
        Some(proto::SharedKeyRecord {
            spec: self.spec.code().into(),
            usage: self.usage.code().into(),
            origin: self.origin.code().into(),
            revision: Some(revision(relatives.revision)),
            primary_region: relatives.primary.to_string(),
            replicas: relatives.replicas.iter().map(told_replica).collect(),
            materials: self.materials.iter().map(material).collect(),
            current_material: self.current_material,
            rotation: self.rotation.as_deref().map(records::rotation),
        })
    }

    /// Whether the newest material waits for replicas to have it.
    pub fn spreads(&self) -> bool {
        self.materials.iter().any(|material| material.state == MaterialState::Spreading)
    }
}

pub(crate) fn revision(revision: Revision) -> proto::RevisionRecord {
    proto::RevisionRecord { epoch: revision.epoch, number: revision.number }
}

pub(crate) fn read_revision(record: proto::RevisionRecord) -> Revision {
    Revision { epoch: record.epoch, number: record.number }
}

/// A replica as others are told of it.
pub(crate) fn told_replica(replica: &Replica) -> proto::ReplicaRecord {
    let (region, since) = (replica.region.to_string(), Some(revision(replica.since)));
    proto::ReplicaRecord { region, since, holds: None }
}

/// A replica that this region is told of.
pub(crate) fn read_replica(record: &proto::ReplicaRecord) -> Option<Replica> {
    Some(Replica {
        region: record.region.parse().ok()?,
        since: record.since.map(read_revision).unwrap_or_default(),
        holds: record.holds.map(read_revision),
    })
}

pub(crate) fn multi_region(relatives: &MultiRegion) -> proto::MultiRegionRecord {
    let replica = |replica: &Replica| proto::ReplicaRecord {
        holds: replica.holds.map(revision),
        ..told_replica(replica)
    };
    // As it was written before there was more to know of them.
    let unknown = |replica: &Replica| (replica.since, replica.holds) == Default::default();
    let (replica_regions, replicas) = if relatives.replicas.iter().all(unknown) {
        (relatives.replicas.iter().map(|one| one.region.to_string()).collect(), Vec::new())
    } else {
        (Vec::new(), relatives.replicas.iter().map(replica).collect())
    };
    let is_first = relatives.revision == Revision::FIRST;
    proto::MultiRegionRecord {
        replica_regions,
        replicas,
        revision: (!is_first).then(|| revision(relatives.revision)),
        primary_region: relatives.primary.to_string(),
        since: relatives.since.map(revision),
        spreads: relatives.spreads.map(revision),
        successor: relatives.successor.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

pub(crate) fn read_multi_region(record: proto::MultiRegionRecord) -> Option<MultiRegion> {
    let unknown = |region: String| {
        Some(Replica { region: region.parse().ok()?, since: Revision::default(), holds: None })
    };
    let known = record.replicas.iter().map(read_replica);
    let replicas = record.replica_regions.into_iter().map(unknown).chain(known);
    Some(MultiRegion {
        primary: record.primary_region.parse().ok()?,
        replicas: replicas.collect::<Option<_>>()?,
        revision: record.revision.map_or(Revision::FIRST, read_revision),
        since: record.since.map(read_revision),
        spreads: record.spreads.map(read_revision),
        successor: match record.successor.as_str() {
            "" => None,
            region => Some(region.parse().ok()?),
        },
    })
}
