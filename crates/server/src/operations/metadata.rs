//! `KeyMetadata`, as CreateKey and DescribeKey return it, and the parts of it that GetPublicKey has.

use keystead_api::kms;
use keystead_crypto::spec;
use keystead_state::Key;
use keystead_types::{KeyArn, KeySpec, KeyState, KeyUsage, Origin, Region, UnixMillis};

use crate::convert;

/// The metadata of a key.
pub(super) fn key_metadata(key: &Key, region: &Region) -> kms::KeyMetadata {
    let arn = KeyArn { region: region.clone(), account: key.account, id: key.id };
    let algorithms = Algorithms::of(key);
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
        customer_master_key_spec: customer_master_key_spec(key),
        key_spec: convert::member(kms::KeySpec::from_text(key.spec.as_str())),
        encryption_algorithms: algorithms.encryption,
        signing_algorithms: algorithms.signing,
        mac_algorithms: algorithms.mac,
        key_agreement_algorithms: algorithms.agreement,
        encapsulation_algorithms: algorithms.encapsulation,
        multi_region: Some(key.id.multi_region()),
        current_key_material_id: material_id(key),
        expiration_model: convert::member(expiration_model(key)),
        valid_to: expiry(key).map(convert::timestamp),
        multi_region_configuration: multi_region(key),
        pending_deletion_window_in_days: pending_window(key),
        ..Default::default()
    }
}

/// The relatives of a multi-Region key.
fn multi_region(key: &Key) -> Option<kms::MultiRegionConfiguration> {
    let relatives = key.multi_region.as_deref()?;
    let relative = |region: &Region| {
        let arn = KeyArn { region: region.clone(), account: key.account, id: key.id };
        kms::MultiRegionKey { arn: Some(arn.to_string()), region: Some(region.to_string()) }
    };
    let kind = match key.as_replica() {
        Some(_) => kms::MultiRegionKeyType::Replica,
        None => kms::MultiRegionKeyType::Primary,
    };
    Some(kms::MultiRegionConfiguration {
        multi_region_key_type: Some(kind.into()),
        primary_key: Some(relative(&relatives.primary)),
        replica_keys: relatives.replicas.iter().map(|one| relative(&one.region)).collect(),
    })
}

/// The days of the window that begins when the last replica is gone.
fn pending_window(key: &Key) -> Option<i32> {
    let waits = key.state == KeyState::PendingReplicaDeletion;
    waits.then(|| i32::try_from(key.pending_window_days).ok()).flatten()
}

/// The older name of the spec. Its list of names ended before the newer specs came.
pub(super) fn customer_master_key_spec(key: &Key) -> Option<i32> {
    convert::member(kms::CustomerMasterKeySpec::from_text(key.spec.as_str()))
}

/// Whether the imported material of a key expires, as long as all of it is there.
fn expiration_model(key: &Key) -> Option<kms::ExpirationModelType> {
    let imported = key.origin == Origin::External && key.is_whole();
    imported.then(|| match expiry(key) {
        Some(_) => kms::ExpirationModelType::KeyMaterialExpires,
        None => kms::ExpirationModelType::KeyMaterialDoesNotExpire,
    })
}

/// When the first of the materials expires that the key needs, while it has them all.
fn expiry(key: &Key) -> Option<UnixMillis> {
    let needed = key.materials.iter().filter(|material| material.is_lasting());
    needed.filter_map(|material| material.expires).min().filter(|_| key.is_whole())
}

/// Only a symmetric key's material has an id that anybody needs: its ciphertexts name it.
fn material_id(key: &Key) -> Option<String> {
    let material = key.current().filter(|_| key.spec == KeySpec::SymmetricDefault)?;
    Some(material.id.to_string())
}

/// What a key can be used with, as the wire's numbers: one of the lists.
#[derive(Default)]
pub(super) struct Algorithms {
    pub(super) encryption: Vec<i32>,
    pub(super) signing: Vec<i32>,
    pub(super) mac: Vec<i32>,
    pub(super) agreement: Vec<i32>,
    pub(super) encapsulation: Vec<i32>,
}

impl Algorithms {
    /// The algorithms of a key's spec for its usage, in AWS's order.
    pub(super) fn of(key: &Key) -> Self {
        let names = spec::of(key.spec).usage(key.usage).map(spec::Use::algorithms);
        let names = names.unwrap_or_default();
        match key.usage {
            KeyUsage::EncryptDecrypt => Self {
                encryption: numbers(&names, kms::EncryptionAlgorithmSpec::from_text),
                ..Self::default()
            },
            KeyUsage::SignVerify => Self {
                signing: numbers(&names, kms::SigningAlgorithmSpec::from_text),
                ..Self::default()
            },
            KeyUsage::GenerateVerifyMac => {
                Self { mac: numbers(&names, kms::MacAlgorithmSpec::from_text), ..Self::default() }
            }
            KeyUsage::KeyAgreement => Self {
                agreement: numbers(&names, kms::KeyAgreementAlgorithmSpec::from_text),
                ..Self::default()
            },
            KeyUsage::EncapsulateDecapsulate => Self {
                encapsulation: numbers(&names, kms::EncapsulationAlgorithmSpec::from_text),
                ..Self::default()
            },
        }
    }
}

fn numbers<E: Into<i32>>(names: &[&str], member: impl Fn(&str) -> Option<E>) -> Vec<i32> {
    names.iter().filter_map(|name| member(name)).map(Into::into).collect()
}
