//! Between the records on disk and the model in memory. One function each way per record.

mod grant;
mod key_use;

use std::sync::Arc;

use keystead_types::{
    AccountId, ClusterId, KeyId, KeyManager, KeySpec, KeyState, KeyUsage, MaterialId, Origin,
    UnixMillis,
};
use prost::Message;

use crate::erasures::{Erased, LostMaterial};
use crate::forwarded::Forwarding;
use crate::iam;
use crate::model::{
    Account, Alias, Authority, Credential, DomainKey, Key, KeyUse, Material, MaterialRotation,
    MaterialState, Policy, Rotation, SealedRoot,
};
use crate::proto;
use crate::regions;
use crate::requests::{Remembered, RequestChunk};
use crate::rows;
use crate::transition::Transition;
use crate::view::Cluster;

pub(crate) use grant::{grant, read_grant};

/// A stored row that this version does not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("corrupt or unknown {what} record in the state")]
pub struct CorruptRecord {
    what: &'static str,
}

/// Puts one stored row into the View that is being loaded.
pub(crate) fn load(
    into: &mut Transition<'_>,
    row: &[u8],
    value: &[u8],
) -> Result<(), CorruptRecord> {
    let tag = row.first().copied().unwrap_or_default();
    match tag {
        rows::CLUSTER => {
            let record: proto::ClusterRecord = decode("cluster", value)?;
            into.view.clock = UnixMillis(record.clock_ms);
            into.put_cluster(read_cluster(record).ok_or(corrupt("cluster"))?);
        }
        rows::DOMAIN_KEY => {
            into.put_domain_key(read_domain_key(decode("domain key", value)?));
        }
        rows::AUTHORITY => {
            into.put_authority(read_authority(decode("authority", value)?));
        }
        rows::ACCOUNT => {
            into.put_account(read_account(&decode("account", value)?).ok_or(corrupt("account"))?);
        }
        rows::CREDENTIAL => {
            let record = decode("credential", value)?;
            into.put_credential(read_credential(record).ok_or(corrupt("credential"))?);
        }
        rows::POLICY => {
            let record: proto::PolicyRecord = decode("policy", value)?;
            let principals = record.principals.into_iter().collect();
            let read = if record.trust { Policy::trust } else { Policy::new };
            into.load_policy(Arc::new(read(&record.text, principals)));
        }
        rows::KEY => {
            let record: proto::KeyRecord = decode("key", value)?;
            let policy = into.shared_policy(&record.policy_id).ok_or(corrupt("key"))?;
            into.put_key(read_key(record, policy).ok_or(corrupt("key"))?);
        }
        rows::ALIAS => {
            into.put_alias(read_alias(&decode("alias", value)?).ok_or(corrupt("alias"))?);
        }
        rows::GRANT => {
            into.put_grant(read_grant(decode("grant", value)?).ok_or(corrupt("grant"))?);
        }
        rows::KEY_USE => {
            let found = KeyUse::from_record(&decode("key use", value)?);
            let found = found.filter(|found| into.view.key(&found.key).is_some());
            into.put_use(found.ok_or(corrupt("key use"))?);
        }
        rows::LOST_MATERIAL => {
            let found = LostMaterial::from_record(&decode("lost material", value)?);
            into.put_lost(found.ok_or(corrupt("lost material"))?);
        }
        rows::ERASED => {
            into.put_erased(Erased::from_record(&decode("erased", value)?));
        }
        rows::FORWARDED => {
            let found = Forwarding::from_record(&decode("forwarding", value)?);
            into.put_forwarded(found.ok_or(corrupt("forwarding"))?);
        }
        rows::REQUEST_CHUNK => {
            let number = rows::chunk_of(row).ok_or(corrupt("request chunk"))?;
            let chunk = RequestChunk::read(number, value).ok_or(corrupt("request chunk"))?;
            into.load_requests(number, chunk);
        }
        rows::GROUP => {
            iam::load_group(into, decode("group", value)?).ok_or(corrupt("group"))?;
        }
        rows::MANAGED_POLICY => {
            iam::load_managed_policy(into, decode("managed policy", value)?)
                .ok_or(corrupt("managed policy"))?;
        }
        rows::USER => {
            iam::load_user(into, decode("user", value)?).ok_or(corrupt("user"))?;
        }
        rows::ROLE => {
            iam::load_role(into, decode("role", value)?).ok_or(corrupt("role"))?;
        }
        rows::OIDC_PROVIDER => {
            iam::load_oidc_provider(into, decode("OIDC provider", value)?)
                .ok_or(corrupt("OIDC provider"))?;
        }
        rows::REGION_IDENTITY => {
            regions::load_identity(into, decode("region identity", value)?);
        }
        rows::REGION_PEER => {
            regions::load_peer(into, decode("region peer", value)?)
                .ok_or(corrupt("region peer"))?;
        }
        rows::REGION_STREAM => {
            regions::load_stream(into, decode("region stream", value)?)
                .ok_or(corrupt("region stream"))?;
        }
        rows::OUTGOING => {
            regions::load_outgoing(into, decode("outgoing message", value)?)
                .ok_or(corrupt("outgoing message"))?;
        }
        _ => return Err(corrupt("unknown")),
    }
    Ok(())
}

pub(crate) fn cluster(cluster: &Cluster, clock: UnixMillis) -> Vec<u8> {
    proto::ClusterRecord {
        cluster_id: cluster.id.bytes().to_vec(),
        region: cluster.region.to_string(),
        version: cluster.version,
        clock_ms: clock.0,
        sealed_roots: cluster
            .sealed_roots
            .iter()
            .map(|root| proto::SealedRootRecord {
                seal_id: root.seal_id.clone(),
                check_value: root.check_value.clone(),
                blob: root.blob.clone(),
            })
            .collect(),
        domain_key_epoch: cluster.domain_key_epoch,
        uses_known_since_ms: cluster.uses_known_since.map(|since| since.0),
        losses_known: cluster.losses_known,
    }
    .encode_to_vec()
}

fn read_cluster(record: proto::ClusterRecord) -> Option<Cluster> {
    Some(Cluster {
        id: read_cluster_id(&record.cluster_id)?,
        region: record.region.parse().ok()?,
        version: record.version,
        sealed_roots: record.sealed_roots.into_iter().map(read_sealed_root).collect(),
        domain_key_epoch: record.domain_key_epoch,
        uses_known_since: record.uses_known_since_ms.map(UnixMillis),
        losses_known: record.losses_known,
    })
}

pub(crate) fn read_cluster_id(bytes: &[u8]) -> Option<ClusterId> {
    Some(ClusterId::new(bytes.try_into().ok()?))
}

pub(crate) fn read_sealed_root(record: proto::SealedRootRecord) -> SealedRoot {
    SealedRoot { seal_id: record.seal_id, check_value: record.check_value, blob: record.blob }
}

pub(crate) fn domain_key(key: &DomainKey) -> Vec<u8> {
    proto::DomainKeyRecord {
        epoch: key.epoch,
        wrapped: key.wrapped.clone(),
        created_ms: key.created.0,
    }
    .encode_to_vec()
}

pub(crate) fn read_domain_key(record: proto::DomainKeyRecord) -> DomainKey {
    DomainKey {
        epoch: record.epoch,
        wrapped: record.wrapped,
        created: UnixMillis(record.created_ms),
    }
}

pub(crate) fn authority(authority: &Authority) -> Vec<u8> {
    proto::AuthorityRecord {
        certificate: authority.certificate.clone(),
        sealed_key: authority.sealed_key.clone(),
        created_ms: authority.created.0,
    }
    .encode_to_vec()
}

fn read_authority(record: proto::AuthorityRecord) -> Authority {
    Authority {
        certificate: record.certificate,
        sealed_key: record.sealed_key,
        created: UnixMillis(record.created_ms),
    }
}

pub(crate) fn account(account: &Account) -> Vec<u8> {
    proto::AccountRecord {
        account: account.id.number(),
        created_ms: account.created.0,
        suspended: account.suspended,
        rights_removed_at: account.rights_removed_at,
        sessions_valid_after_ms: account.sessions_valid_after.0,
        service: account.service.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
    .encode_to_vec()
}

fn read_account(record: &proto::AccountRecord) -> Option<Account> {
    Some(Account {
        id: AccountId::from_number(record.account)?,
        created: UnixMillis(record.created_ms),
        suspended: record.suspended,
        rights_removed_at: record.rights_removed_at,
        sessions_valid_after: UnixMillis(record.sessions_valid_after_ms),
        service: match record.service.as_str() {
            "" => None,
            name => Some(name.parse().ok()?),
        },
    })
}

pub(crate) fn credential(credential: &Credential) -> Vec<u8> {
    proto::CredentialRecord {
        access_key_id: credential.id.to_string(),
        account: credential.account.number(),
        sealed_secret: credential.sealed_secret.clone(),
        created_ms: credential.created.0,
        active: credential.active,
        rights_removed_at: credential.rights_removed_at,
        version: credential.version,
        user_id: credential.user.map(|id| id.to_string()).unwrap_or_default(),
    }
    .encode_to_vec()
}

fn read_credential(record: proto::CredentialRecord) -> Option<Credential> {
    Some(Credential {
        id: record.access_key_id.parse().ok()?,
        account: AccountId::from_number(record.account)?,
        user: match record.user_id.as_str() {
            "" => None,
            id => Some(id.parse().ok()?),
        },
        sealed_secret: record.sealed_secret,
        created: UnixMillis(record.created_ms),
        active: record.active,
        rights_removed_at: record.rights_removed_at,
        version: record.version,
    })
}

pub(crate) fn policy(policy: &Policy) -> Vec<u8> {
    let (text, principals) = (policy.text.clone(), policy.principals.clone());
    proto::PolicyRecord { text, principals, trust: policy.is_trust() }.encode_to_vec()
}

pub(crate) fn key(key: &Key) -> Vec<u8> {
    proto::KeyRecord {
        id: key.id.bytes().to_vec(),
        multi_region: key.id.multi_region(),
        account: key.account.number(),
        manager: key.manager.code().into(),
        spec: key.spec.code().into(),
        usage: key.usage.code().into(),
        origin: key.origin.code().into(),
        state: key.state.code().into(),
        description: key.description.to_string(),
        created_ms: key.created.0,
        materials: key.materials.iter().map(material).collect(),
        current_material: key.current_material,
        policy_id: key.policy.id.to_vec(),
        tags: key.tags.clone(),
        deletion_ms: key.deletion.map(|deletion| deletion.0),
        pending_window_days: key.pending_window_days,
        multi_region_configuration: key.multi_region.as_deref().map(regions::multi_region),
        rights_removed_at: key.rights_removed_at,
        rotation: key.rotation.as_deref().map(rotation),
    }
    .encode_to_vec()
}

fn read_key(record: proto::KeyRecord, policy: Arc<Policy>) -> Option<Key> {
    let multi_region = match record.multi_region_configuration {
        Some(relatives) => Some(Box::new(regions::read_multi_region(relatives)?)),
        None => None,
    };
    Some(Key {
        id: KeyId::new(record.id.try_into().ok()?, record.multi_region),
        account: AccountId::from_number(record.account)?,
        manager: code(record.manager, KeyManager::from_code)?,
        spec: code(record.spec, KeySpec::from_code)?,
        usage: code(record.usage, KeyUsage::from_code)?,
        origin: code(record.origin, Origin::from_code)?,
        state: code(record.state, KeyState::from_code)?,
        description: record.description.into(),
        created: UnixMillis(record.created_ms),
        materials: record.materials.into_iter().map(read_material).collect::<Option<_>>()?,
        current_material: record.current_material,
        policy,
        tags: record.tags,
        deletion: record.deletion_ms.map(UnixMillis),
        pending_window_days: record.pending_window_days,
        multi_region,
        rights_removed_at: record.rights_removed_at,
        rotation: record.rotation.map(|rotation| Box::new(read_rotation(rotation))),
    })
}

pub(crate) fn rotation(rotation: &Rotation) -> proto::RotationRecord {
    proto::RotationRecord { period_days: rotation.period_days, next_ms: rotation.next.0 }
}

pub(crate) fn read_rotation(record: proto::RotationRecord) -> Rotation {
    Rotation { period_days: record.period_days, next: UnixMillis(record.next_ms) }
}

pub(crate) fn material(material: &Material) -> proto::MaterialRecord {
    let state = match material.state {
        MaterialState::Current => proto::MaterialState::Current,
        MaterialState::NonCurrent => proto::MaterialState::NonCurrent,
        MaterialState::PendingRotation => proto::MaterialState::PendingRotation,
        MaterialState::Spreading => proto::MaterialState::Spreading,
    };
    proto::MaterialRecord {
        id: material.id.bytes().to_vec(),
        wrapped: material.wrapped.to_vec(),
        origin: material.origin.code().into(),
        state: state.into(),
        created_ms: material.created.0,
        expires_ms: material.expires.map(|expires| expires.0),
        description: material.description.to_string(),
        rotation: material.rotation.map(|rotation| proto::MaterialRotationRecord {
            at_ms: rotation.at.0,
            on_demand: rotation.on_demand,
        }),
    }
}

pub(crate) fn read_material(record: proto::MaterialRecord) -> Option<Material> {
    let state = match proto::MaterialState::try_from(record.state).ok()? {
        proto::MaterialState::Current => MaterialState::Current,
        proto::MaterialState::NonCurrent => MaterialState::NonCurrent,
        proto::MaterialState::PendingRotation => MaterialState::PendingRotation,
        proto::MaterialState::Spreading => MaterialState::Spreading,
        proto::MaterialState::Unspecified => return None,
    };
    Some(Material {
        id: MaterialId::new(record.id.try_into().ok()?),
        wrapped: record.wrapped.into(),
        origin: code(record.origin, Origin::from_code)?,
        state,
        created: UnixMillis(record.created_ms),
        expires: record.expires_ms.map(UnixMillis),
        description: record.description.into(),
        rotation: record.rotation.map(|rotation| MaterialRotation {
            at: UnixMillis(rotation.at_ms),
            on_demand: rotation.on_demand,
        }),
    })
}

pub(crate) fn alias(alias: &Alias) -> Vec<u8> {
    proto::AliasRecord {
        account: alias.account.number(),
        name: alias.name.to_string(),
        key_id: alias.target.bytes().to_vec(),
        key_multi_region: alias.target.multi_region(),
        created_ms: alias.created.0,
        updated_ms: alias.updated.0,
    }
    .encode_to_vec()
}

fn read_alias(record: &proto::AliasRecord) -> Option<Alias> {
    Some(Alias {
        account: AccountId::from_number(record.account)?,
        name: record.name.parse().ok()?,
        target: KeyId::new(record.key_id.as_slice().try_into().ok()?, record.key_multi_region),
        created: UnixMillis(record.created_ms),
        updated: UnixMillis(record.updated_ms),
    })
}

/// The request in a row of its own, which earlier versions wrote.
pub(crate) fn read_single_request(value: &[u8]) -> Result<Remembered, CorruptRecord> {
    Remembered::read(decode("request", value)?).ok_or(corrupt("request"))
}

pub(crate) fn code<T>(code: u32, member: impl Fn(u16) -> Option<T>) -> Option<T> {
    member(u16::try_from(code).ok()?)
}

fn decode<M: Message + Default>(what: &'static str, value: &[u8]) -> Result<M, CorruptRecord> {
    M::decode(value).map_err(|_| corrupt(what))
}

pub(crate) fn corrupt(what: &'static str) -> CorruptRecord {
    CorruptRecord { what }
}
