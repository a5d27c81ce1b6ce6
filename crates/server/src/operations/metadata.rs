//! `KeyMetadata`, as CreateKey and DescribeKey return it.

use keystead_api::kms;
use keystead_state::Key;
use keystead_types::{KeyArn, KeyState, Region};

use crate::convert;

/// The metadata of a key.
pub(super) fn key_metadata(key: &Key, region: &Region) -> kms::KeyMetadata {
    let arn = KeyArn { region: region.clone(), account: key.account, id: key.id };
    kms::KeyMetadata {
        aws_account_id: Some(key.account.to_string()),
        key_id: Some(key.id.to_string()),
        arn: Some(arn.to_string()),
        creation_date: Some(convert::timestamp(key.created)),
        enabled: Some(key.state == KeyState::Enabled),
        description: Some(key.description.to_string()),
        key_usage: convert::member(kms::KeyUsageType::from_text(key.usage.as_str())),
        key_state: convert::member(kms::KeyState::from_text(key.state.as_str())),
        deletion_date: key.deletion.map(convert::timestamp),
        origin: convert::member(kms::OriginType::from_text(key.origin.as_str())),
        key_manager: convert::member(kms::KeyManagerType::from_text(key.manager.as_str())),
        customer_master_key_spec: convert::member(kms::CustomerMasterKeySpec::from_text(
            key.spec.as_str(),
        )),
        key_spec: convert::member(kms::KeySpec::from_text(key.spec.as_str())),
        encryption_algorithms: vec![kms::EncryptionAlgorithmSpec::SymmetricDefault.into()],
        multi_region: Some(key.id.multi_region()),
        current_key_material_id: key.current().map(|material| material.id.to_string()),
        ..Default::default()
    }
}
