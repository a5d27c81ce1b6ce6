//! What the operations with private and MAC keys have in common.

use std::str::FromStr;
use std::sync::Arc;

use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::material::KeyMaterial;
use keystead_crypto::{OperationError, spec};
use keystead_state::Key;

use crate::pipeline::Call;

/// What one of the API's names stands for. The decoder lets no other name through.
pub(super) fn named<T: FromStr>(name: &str) -> Result<T, Error> {
    name.parse().map_err(|_| messages::internal())
}

/// The key's current material.
pub(super) fn material(call: &Call<'_>, key: &Key) -> Result<Arc<KeyMaterial>, Error> {
    let record = key.current().ok_or_else(messages::internal)?;
    call.region.material(&call.view, key, record)
}

/// Uses the key; where that is slow, on no thread on which requests are served.
pub(super) async fn with<T: Send + 'static>(
    call: &Call<'_>,
    key: &Key,
    work: impl FnOnce(&KeyMaterial) -> Result<T, OperationError> + Send + 'static,
) -> Result<T, Error> {
    let material = material(call, key)?;
    let result = if spec::of(key.spec).slow {
        call.region.private_keys.run(move || work(&material)).await?
    } else {
        work(&material)
    };
    result.map_err(failed)
}

/// What a caller learns of a failure. Whether the key could do it was asked before.
pub(super) fn failed(error: OperationError) -> Error {
    match error {
        OperationError::InvalidSignature => Error::bare(ErrorCode::KMSInvalidSignatureException),
        OperationError::InvalidMac => Error::bare(ErrorCode::KMSInvalidMacException),
        OperationError::InvalidCiphertext => Error::bare(ErrorCode::InvalidCiphertextException),
        OperationError::InvalidPublicKey => Error::bare(ErrorCode::ValidationException),
        OperationError::Unsupported | OperationError::Length | OperationError::Crypto(_) => {
            tracing::error!(%error, "a key that fits could not be used");
            messages::internal()
        }
    }
}
