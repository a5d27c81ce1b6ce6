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
        registry.add::<cancel_key_deletion::CancelKeyDeletion>();
        registry.add::<create_alias::CreateAlias>();
        registry.add::<create_grant::CreateGrant>();
        registry.add::<create_key::CreateKey>();
        registry.add::<decapsulate::Decapsulate>();
        registry.add::<decrypt::Decrypt>();
        registry.add::<delete_alias::DeleteAlias>();
        registry.add::<derive_shared_secret::DeriveSharedSecret>();
        registry.add::<describe_key::DescribeKey>();
        registry.add::<disable_key::DisableKey>();
        registry.add::<enable_key::EnableKey>();
        registry.add::<encapsulate::Encapsulate>();
        registry.add::<encrypt::Encrypt>();
        registry.add::<generate_data_key::GenerateDataKey>();
        registry.add::<generate_data_key_pair::GenerateDataKeyPair>();
        registry.add::<GenerateDataKeyPairWithoutPlaintext>();
        registry.add::<generate_data_key_without_plaintext::GenerateDataKeyWithoutPlaintext>();
        registry.add::<generate_mac::GenerateMac>();
        registry.add::<generate_random::GenerateRandom>();
        registry.add::<get_key_policy::GetKeyPolicy>();
        registry.add::<get_key_rotation_status::GetKeyRotationStatus>();
        registry.add::<get_public_key::GetPublicKey>();
        registry.add::<list_aliases::ListAliases>();
        registry.add::<list_grants::ListGrants>();
        registry.add::<list_key_policies::ListKeyPolicies>();
        registry.add::<list_keys::ListKeys>();
        registry.add::<list_resource_tags::ListResourceTags>();
        registry.add::<list_retirable_grants::ListRetirableGrants>();
        registry.add::<put_key_policy::PutKeyPolicy>();
        registry.add::<re_encrypt::ReEncrypt>();
        registry.add::<retire_grant::RetireGrant>();
        registry.add::<revoke_grant::RevokeGrant>();
        registry.add::<schedule_key_deletion::ScheduleKeyDeletion>();
        registry.add::<sign::Sign>();
        registry.add::<tag_resource::TagResource>();
        registry.add::<untag_resource::UntagResource>();
        registry.add::<update_alias::UpdateAlias>();
        registry.add::<update_key_description::UpdateKeyDescription>();
        registry.add::<verify::Verify>();
        registry.add::<verify_mac::VerifyMac>();
        registry
    }

    fn add<O: Operation>(&mut self) {
        self.handlers.insert(O::NAME, pipeline::handle::<O>);
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
