//! What the operations with `SYMMETRIC_DEFAULT` keys have in common.

use std::collections::BTreeMap;

use bytes::Bytes;
use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::blob::{self, ParsedBlob};
use keystead_crypto::context::CanonicalContext;
use keystead_state::Key;
use keystead_types::EncryptionAlgorithm;
use zeroize::Zeroizing;

use crate::pipeline::Call;

/// A new ciphertext, with the id of the material that made it.
pub(super) struct Sealed {
    pub(super) blob: Bytes,
    pub(super) material_id: String,
}

/// The encryption context of a request in its canonical form.
pub(super) fn context(pairs: &BTreeMap<String, String>) -> Result<CanonicalContext, Error> {
    CanonicalContext::from_map(pairs)
        .map_err(|error| Error::new(ErrorCode::ValidationException, error.to_string()))
}

/// Encrypts under a key's current material.
pub(super) fn encrypt(
    call: &Call<'_>,
    key: &Key,
    context: &BTreeMap<String, String>,
    plaintext: &[u8],
) -> Result<Sealed, Error> {
    let context = self::context(context)?;
    let record = key.current().ok_or_else(messages::internal)?;
    let material = call.region.material(&call.view, key, record)?;
    let blob = blob::encrypt(&material, &key.id, &record.id, &context, plaintext)
        .map_err(|_| messages::internal())?;
    Ok(Sealed { blob: blob.into(), material_id: record.id.to_string() })
}

/// Opens a ciphertext with the material it names.
///
/// # Errors
/// `InvalidCiphertextException`, without a word on why.
pub(super) fn decrypt(
    call: &Call<'_>,
    key: &Key,
    context: &BTreeMap<String, String>,
    ciphertext: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, String), Error> {
    let invalid = || Error::bare(ErrorCode::InvalidCiphertextException);
    let context = self::context(context)?;
    let parsed = ParsedBlob::parse(ciphertext).map_err(|_| invalid())?;
    let record = key.material_by_prefix(parsed.material_id_prefix()).ok_or_else(invalid)?;
    let material = call.region.material(&call.view, key, record)?;
    let plaintext = blob::decrypt(&material, &parsed, &context).map_err(|_| invalid())?;
    Ok((plaintext, record.id.to_string()))
}

/// Refuses a key that is not symmetric.
pub(super) fn suits(key: &Key) -> Result<(), Error> {
    super::cipher::suits(key, EncryptionAlgorithm::SymmetricDefault).map(|_| ())
}
