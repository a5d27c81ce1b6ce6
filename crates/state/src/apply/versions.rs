//! Which version of the software's commands understands what.

use keystead_types::Origin;

use crate::proto::command::Operation;

/// The greatest version of commands and records that this software understands. What a command
/// needs says the command.
pub const CLUSTER_VERSION: u32 = 3;
/// The version that every software understands.
pub const FIRST_VERSION: u32 = 1;

/// Rotation, imported material, and what is known of uses and of lost material.
const LIFE_OF_KEYS: u32 = 2;
/// AWS-managed keys.
const MANAGED_KEYS: u32 = 3;

/// The cluster version that a command needs: members of an older one would stop at it.
pub fn least_version(operation: &Operation) -> u32 {
    match operation {
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
        Operation::CreateManagedKey(_) => MANAGED_KEYS,
        Operation::RaiseVersion(op) => op.version,
        _ => FIRST_VERSION,
    }
}
