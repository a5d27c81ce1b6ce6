//! AWS-managed keys: one for each account and service, used through that service alone. Nobody
//! changes them; they rotate every year.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_types::{
    AccountId, AliasName, KeyId, KeyManager, KeySpec, KeyState, KeyUsage, Origin, UnixMillis,
};

use super::{Execution, key_id, rotation};
use crate::model::{Alias, Key, Material, MaterialState, Policy};
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Reason};
use crate::records::read_material;
use crate::transition::Transition;

/// The days from one rotation to the next.
const PERIOD_DAYS: u32 = 365;

pub(super) fn create(next: &mut Transition<'_>, op: &proto::CreateManagedKey) -> Execution {
    let key = Key::managed(op).ok_or(Reason::Malformed)?;
    let name = alias_of(&op.service).ok_or(Reason::Malformed)?;
    let material = op.material.clone().and_then(read_material);
    let material = material.filter(Material::is_present).ok_or(Reason::Malformed)?;
    if next.view.account(key.account).is_none() {
        return Err(Reason::AccountNotFound.into());
    }
    if let Some(first) = next.view.alias(key.account, &name) {
        return Ok(created(first.target));
    }
    if next.view.key(&key.id).is_some() {
        return Err(Reason::KeyExists.into());
    }
    let (id, account, now) = (key.id, key.account, next.view.clock);
    let (origin, state) = (key.origin, MaterialState::Current);
    let material = Material { created: now, origin, state, rotation: None, ..material };
    let key = Key {
        created: now,
        materials: Box::new([material]),
        current_material: Some(0),
        policy: next.policy(&op.policy),
        rotation: Some(Box::new(rotation::from_now(next, PERIOD_DAYS))),
        ..key
    };
    next.put_key(key);
    next.put_alias(Alias { account, name, target: id, created: now, updated: now });
    Ok(created(id))
}

impl Key {
    /// The AWS-managed key that a command makes, without its material and the time when it is made;
    /// `None` if the command makes none. Policies may be asked about it before there is one.
    pub fn managed(op: &proto::CreateManagedKey) -> Option<Self> {
        Some(Self {
            id: key_id(op.key.as_ref()).ok().filter(|id| !id.multi_region())?,
            account: AccountId::from_number(op.account)?,
            manager: KeyManager::Aws,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            state: KeyState::Enabled,
            description: op.description.as_str().into(),
            created: UnixMillis::default(),
            materials: Box::default(),
            current_material: None,
            policy: Arc::new(Policy::new(&op.policy, BTreeMap::new())),
            tags: BTreeMap::new(),
            deletion: None,
            pending_window_days: 0,
            multi_region: None,
            rotation: None,
            rights_removed_at: 0,
        })
    }
}

/// The alias of a service's key. A service is named by lower-case letters, digits and hyphens.
fn alias_of(service: &str) -> Option<AliasName> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let named = !service.is_empty() && service.bytes().all(allowed);
    named.then(|| format!("{}{service}", AliasName::RESERVED_PREFIX).parse().ok())?
}

fn created(id: KeyId) -> OutcomeResult {
    let key = proto::KeyRef { id: id.bytes().to_vec(), multi_region: id.multi_region() };
    OutcomeResult::KeyCreated(proto::KeyCreated { key: Some(key) })
}
