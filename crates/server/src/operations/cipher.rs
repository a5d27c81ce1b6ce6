//! What Encrypt, Decrypt and ReEncrypt have in common: an algorithm of either kind.

use std::collections::BTreeMap;

use bytes::Bytes;
use keystead_api::{Error, ErrorCode, kms, messages};
use keystead_crypto::blob::ParsedBlob;
use keystead_crypto::spec;
use keystead_state::Key;
use keystead_types::{EncryptionAlgorithm, KeySpec};
use zeroize::Zeroizing;

use super::private_key::{self, failed, named};
use super::symmetric::{self, Sealed};
use crate::pipeline::Call;

/// The algorithm that a request names; symmetric unless stated.
pub(super) fn algorithm(
    algorithm: kms::EncryptionAlgorithmSpec,
) -> Result<EncryptionAlgorithm, Error> {
    match algorithm {
        kms::EncryptionAlgorithmSpec::Unspecified => Ok(EncryptionAlgorithm::SymmetricDefault),
        stated => named(stated.as_text()),
    }
}

/// The same, for the audit record.
pub(super) fn recorded(algorithm: kms::EncryptionAlgorithmSpec) -> &'static str {
    self::algorithm(algorithm).map_or("", EncryptionAlgorithm::as_str)
}

/// The same, for an answer.
pub(super) fn answered(algorithm: EncryptionAlgorithm) -> Option<i32> {
    crate::convert::member(kms::EncryptionAlgorithmSpec::from_text(algorithm.as_str()))
}

/// Refuses a context that cannot be one, or where none counts.
pub(super) fn check_context(
    algorithm: EncryptionAlgorithm,
    context: &BTreeMap<String, String>,
) -> Result<(), Error> {
    match algorithm {
        EncryptionAlgorithm::SymmetricDefault => symmetric::context(context).map(|_| ()),
        _ if context.is_empty() => Ok(()),
        _ => Err(messages::context_not_taken(algorithm)),
    }
}

/// Refuses a ciphertext that another key made than the one the request names, as far as it tells.
pub(super) fn check_made_by(
    call: &Call<'_>,
    key: &Key,
    algorithm: EncryptionAlgorithm,
    ciphertext: &[u8],
) -> Result<(), Error> {
    if algorithm != EncryptionAlgorithm::SymmetricDefault {
        return Ok(());
    }
    match ParsedBlob::parse(ciphertext) {
        Ok(blob) if blob.key_id() == key.id => Ok(()),
        Ok(_) => Err(messages::incorrect_key())
            .inspect_err(|_| tracing::debug!(request = %call.request_id(), "another key's blob")),
        Err(_) if key.spec == KeySpec::SymmetricDefault => {
            Err(Error::bare(ErrorCode::InvalidCiphertextException))
        }
        // That the algorithm is none of the key's is what the caller has to know.
        Err(_) => Ok(()),
    }
}

/// Refuses an algorithm that the key does not have.
pub(super) fn suits(
    key: &Key,
    algorithm: EncryptionAlgorithm,
) -> Result<&'static spec::Encryption, Error> {
    spec::of(key.spec)
        .encryption(algorithm)
        .ok_or_else(|| messages::algorithm_incompatible(algorithm, key.spec))
}

/// The same, with a plaintext.
pub(super) fn takes(
    key: &Key,
    algorithm: EncryptionAlgorithm,
    plaintext: &[u8],
) -> Result<(), Error> {
    let max = suits(key, algorithm)?.max_plaintext;
    if plaintext.len() <= max {
        return Ok(());
    }
    Err(messages::plaintext_too_long(algorithm, key.spec, max))
}

/// Encrypts under a key's current material.
pub(super) fn encrypt(
    call: &Call<'_>,
    key: &Key,
    algorithm: EncryptionAlgorithm,
    context: &BTreeMap<String, String>,
    plaintext: &[u8],
) -> Result<(Bytes, Option<String>), Error> {
    if algorithm == EncryptionAlgorithm::SymmetricDefault {
        let Sealed { blob, material_id } = symmetric::encrypt(call, key, context, plaintext)?;
        return Ok((blob, Some(material_id)));
    }
    takes(key, algorithm, plaintext)?;
    let material = private_key::material(call, key)?;
    let ciphertext = material.encrypt(algorithm, plaintext).map_err(failed)?;
    Ok((ciphertext.into(), None))
}

/// Opens a ciphertext; the material's id where the ciphertext names a material.
///
/// # Errors
/// `InvalidCiphertextException`, without a word on why.
pub(super) async fn decrypt(
    call: &Call<'_>,
    key: &Key,
    algorithm: EncryptionAlgorithm,
    context: &BTreeMap<String, String>,
    ciphertext: &Bytes,
) -> Result<(Zeroizing<Vec<u8>>, Option<String>), Error> {
    if algorithm == EncryptionAlgorithm::SymmetricDefault {
        let (plaintext, material_id) = symmetric::decrypt(call, key, context, ciphertext)?;
        return Ok((plaintext, Some(material_id)));
    }
    let ciphertext = ciphertext.clone();
    let work = move |material: &keystead_crypto::material::KeyMaterial| {
        material.decrypt(algorithm, &ciphertext)
    };
    Ok((private_key::with(call, key, work).await?, None))
}
