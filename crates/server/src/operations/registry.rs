//! All operations, by name.

use std::collections::HashMap;

use keystead_api::Error;

use super::generate_data_key_pair_without_plaintext::GenerateDataKeyPairWithoutPlaintext;
use super::*;
use crate::pipeline::{self, Handling};

/// Runs one operation from raw bytes to raw bytes.
type Handler = fn(Handling) -> pipeline::Answering;

/// What a name stands for.
pub(crate) struct Registry {
    handlers: HashMap<&'static str, Handler>,
    known: HashMap<&'static str, &'static str>,
}

impl Registry {
    /// Every operation that is built, and the names of those that AWS KMS has besides.
    pub(crate) fn new() -> Self {
        let mut registry = Self {
            handlers: HashMap::new(),
            known: keystead_api::operations().iter().map(|op| (op.name, op.name)).collect(),
        };
        visit_all(&mut registry);
        registry
    }

    /// The operation of this name, as the registry spells it, and how to run it.
    ///
    /// # Errors
    /// `UnknownOperationException` for a name that AWS KMS does not have.
    pub(crate) fn find(&self, name: &str) -> Result<(&'static str, Option<Handler>), Error> {
        match self.known.get(name) {
            Some(&name) => Ok((name, self.handlers.get(name).copied())),
            None => Err(keystead_api::messages::unknown_operation()),
        }
    }
}

impl Visit for Registry {
    fn visit<O: Operation>(&mut self) {
        self.handlers.insert(O::NAME, pipeline::handle::<O>);
    }
}

/// What is done with every operation.
pub(super) trait Visit {
    /// Does it.
    fn visit<O: Operation>(&mut self);
}

/// Visits every operation that is built.
pub(super) fn visit_all(visitor: &mut impl Visit) {
    visitor.visit::<cancel_key_deletion::CancelKeyDeletion>();
    visitor.visit::<create_alias::CreateAlias>();
    visitor.visit::<create_grant::CreateGrant>();
    visitor.visit::<create_key::CreateKey>();
    visitor.visit::<decapsulate::Decapsulate>();
    visitor.visit::<decrypt::Decrypt>();
    visitor.visit::<delete_alias::DeleteAlias>();
    visitor.visit::<delete_imported_key_material::DeleteImportedKeyMaterial>();
    visitor.visit::<derive_shared_secret::DeriveSharedSecret>();
    visitor.visit::<describe_key::DescribeKey>();
    visitor.visit::<disable_key::DisableKey>();
    visitor.visit::<disable_key_rotation::DisableKeyRotation>();
    visitor.visit::<enable_key::EnableKey>();
    visitor.visit::<enable_key_rotation::EnableKeyRotation>();
    visitor.visit::<encapsulate::Encapsulate>();
    visitor.visit::<encrypt::Encrypt>();
    visitor.visit::<generate_data_key::GenerateDataKey>();
    visitor.visit::<generate_data_key_pair::GenerateDataKeyPair>();
    visitor.visit::<GenerateDataKeyPairWithoutPlaintext>();
    visitor.visit::<generate_data_key_without_plaintext::GenerateDataKeyWithoutPlaintext>();
    visitor.visit::<generate_mac::GenerateMac>();
    visitor.visit::<generate_random::GenerateRandom>();
    visitor.visit::<get_key_last_usage::GetKeyLastUsage>();
    visitor.visit::<get_key_policy::GetKeyPolicy>();
    visitor.visit::<get_key_rotation_status::GetKeyRotationStatus>();
    visitor.visit::<get_parameters_for_import::GetParametersForImport>();
    visitor.visit::<get_public_key::GetPublicKey>();
    visitor.visit::<import_key_material::ImportKeyMaterial>();
    visitor.visit::<list_aliases::ListAliases>();
    visitor.visit::<list_grants::ListGrants>();
    visitor.visit::<list_key_policies::ListKeyPolicies>();
    visitor.visit::<list_key_rotations::ListKeyRotations>();
    visitor.visit::<list_keys::ListKeys>();
    visitor.visit::<list_resource_tags::ListResourceTags>();
    visitor.visit::<list_retirable_grants::ListRetirableGrants>();
    visitor.visit::<put_key_policy::PutKeyPolicy>();
    visitor.visit::<re_encrypt::ReEncrypt>();
    visitor.visit::<replicate_key::ReplicateKey>();
    visitor.visit::<retire_grant::RetireGrant>();
    visitor.visit::<revoke_grant::RevokeGrant>();
    visitor.visit::<rotate_key_on_demand::RotateKeyOnDemand>();
    visitor.visit::<schedule_key_deletion::ScheduleKeyDeletion>();
    visitor.visit::<sign::Sign>();
    visitor.visit::<tag_resource::TagResource>();
    visitor.visit::<untag_resource::UntagResource>();
    visitor.visit::<update_alias::UpdateAlias>();
    visitor.visit::<update_key_description::UpdateKeyDescription>();
    visitor.visit::<update_primary_region::UpdatePrimaryRegion>();
    visitor.visit::<verify::Verify>();
    visitor.visit::<verify_mac::VerifyMac>();
}
