//! AES key wrapping with padding (RFC 5649), for the import of key material.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use zeroize::Zeroizing;

use crate::{CryptoError, OpenError};

/// The longest wrapped key: AWS's limit for `EncryptedKeyMaterial`.
const MAX_WRAPPED: usize = 6144;

/// Unwraps a key that was wrapped with AES-256-KWP (RFC 5649), as in `RSA_AES_KEY_WRAP_SHA_256`.
///
/// # Errors
/// [`OpenError`], whatever is wrong.
pub fn unwrap_padded(
    wrapping_key: &[u8; 32],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    // The shortest is 16 bytes, which hold a key of 1 to 8.
    if wrapped.len() < 16 || wrapped.len() > MAX_WRAPPED || !wrapped.len().is_multiple_of(8) {
        return Err(OpenError);
    }
    let kek = AesKek::new(&AES_256, wrapping_key).map_err(|_| OpenError)?;
    let mut key = Zeroizing::new(vec![0; wrapped.len()]);
    let len = kek.unwrap_with_padding(wrapped, &mut key).map_err(|_| OpenError)?.len();
    key.truncate(len);
    Ok(key)
}

/// Wraps a key, of at least one byte, so that [`unwrap_padded`] has it again.
///
/// # Errors
/// [`CryptoError::Library`].
pub(crate) fn wrap_padded(wrapping_key: &[u8; 32], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let kek = AesKek::new(&AES_256, wrapping_key).map_err(|_| CryptoError::Library)?;
    // A block more than the key, which is filled up to whole blocks.
    let mut wrapped = vec![0; key.len() + 16];
    let len = kek.wrap_with_padding(key, &mut wrapped).map_err(|_| CryptoError::Library)?.len();
    wrapped.truncate(len);
    Ok(wrapped)
}
