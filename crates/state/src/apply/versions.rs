//! Which version of the software's commands understands what.

use keystead_types::Origin;

use crate::proto::command::Operation;
use crate::proto::{CreateKey, EntityKind, KeyRef, PutKeyPolicy};

/// The greatest version of commands and records that this software understands. What a command
/// needs says the command.
pub const CLUSTER_VERSION: u32 = 7;
/// The version that every software understands.
pub const FIRST_VERSION: u32 = 1;

/// Rotation, imported material, and what is known of uses and of lost material.
const LIFE_OF_KEYS: u32 = 2;
/// AWS-managed keys.
const MANAGED_KEYS: u32 = 3;

/// Accounts of services.
const SERVICES: u32 = 4;
/// Uses of keys that are later than the replicated clock.
pub const LATE_USES_VERSION: u32 = 4;

/// Commands that a service forwarded.
pub const FORWARDING_VERSION: u32 = 4;

/// Commands that say which policies narrow their author's session.
pub const SESSION_POLICIES_VERSION: u32 = 5;

/// Calls of services that count once.
pub const FORWARDED_ONCE_VERSION: u32 = 6;

/// Roles, their sessions, and all commands whose author acts in a session.
pub const ROLES_VERSION: u32 = 3;
/// OIDC providers, and all commands whose author acts in a session for which one answered.
pub const OIDC_VERSION: u32 = 4;

/// Multi-Region keys, and regions that share them.
pub const REGIONS_VERSION: u32 = 7;

/// The cluster version that a command needs: members of an older one would stop at it.
pub fn least_version(operation: &Operation) -> u32 {
    match operation {
        Operation::RecordKeyUses(op) if op.ahead_ms > 0 => LATE_USES_VERSION,
        Operation::CreateKey(op) if is_multi_region(op.key.as_ref()) => REGIONS_VERSION,
        Operation::CreateKey(CreateKey { lockout_check: Some(check), .. })
        | Operation::PutKeyPolicy(PutKeyPolicy { lockout_check: Some(check), .. })
            if !check.session_policy.is_empty() =>
        {
            SESSION_POLICIES_VERSION
        }
        Operation::CreateKey(op) if op.origin == u32::from(Origin::External.code()) => LIFE_OF_KEYS,
        Operation::EnableKeyRotation(_)
        | Operation::DisableKeyRotation(_)
        | Operation::RotateKey(_)
        | Operation::RotateDueKeys(_)
        | Operation::ImportMaterial(_)
        | Operation::DeleteMaterial(_)
        | Operation::ExpireMaterials(_)
        | Operation::RecordKeyUses(_)
        | Operation::RecordErased(_) => LIFE_OF_KEYS,
        Operation::CreateAccount(op) if !op.service.is_empty() => SERVICES,
        Operation::CreateManagedKey(_) => MANAGED_KEYS,
        Operation::CreateRole(_)
        | Operation::UpdateRole(_)
        | Operation::UpdateAssumeRolePolicy(_)
        | Operation::RevokeSessions(_)
        | Operation::PutRoleBoundary(_)
        | Operation::DeleteRoleBoundary(_) => ROLES_VERSION,
        Operation::CreateOidcProvider(_)
        | Operation::AddClientId(_)
        | Operation::RemoveClientId(_)
        | Operation::PutThumbprints(_) => OIDC_VERSION,
        Operation::RecordForwarded(_) => FORWARDED_ONCE_VERSION,
        Operation::CreateRegionIdentity(_)
        | Operation::AddRegionPeer(_)
        | Operation::RemoveRegionPeer(_)
        | Operation::ReplicateKey(_)
        | Operation::ReceiveMessages(_)
        | Operation::ConfirmMessages(_)
        | Operation::Resynchronise(_)
        | Operation::UpdatePrimaryRegion(_) => REGIONS_VERSION,
        Operation::RaiseVersion(op) => op.version,
        _ => match entity_kind(operation) {
            Some(EntityKind::Role) => ROLES_VERSION,
            Some(EntityKind::OidcProvider) => OIDC_VERSION,
            _ => FIRST_VERSION,
        },
    }
}

fn is_multi_region(key: Option<&KeyRef>) -> bool {
    key.is_some_and(|key| key.multi_region)
}

/// What one of the commands that are about entities of any kind is about.
fn entity_kind(operation: &Operation) -> Option<EntityKind> {
    let entity = match operation {
        Operation::UpdateEntity(op) => &op.entity,
        Operation::DeleteEntity(op) => &op.entity,
        Operation::TagEntity(op) => &op.entity,
        Operation::UntagEntity(op) => &op.entity,
        Operation::PutInlinePolicy(op) => &op.entity,
        Operation::DeleteInlinePolicy(op) => &op.entity,
        Operation::AttachPolicy(op) => &op.entity,
        Operation::DetachPolicy(op) => &op.entity,
        _ => return None,
    };
    entity.as_ref().map(|entity| entity.kind())
}
