//! New access keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_crypto::{CryptoError, random};
use keystead_types::AccessKeyId;
use zeroize::Zeroizing;

/// `AKIA` and 16 random characters of base 32, with a secret of 40 characters of base 64, as IAM
/// makes them.
///
/// # Errors
/// The random generator failed.
pub(crate) fn generate() -> Result<(AccessKeyId, Zeroizing<String>), CryptoError> {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random: [u8; 16] = random::bytes()?;
    let tail = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    let id: String = "AKIA".chars().chain(tail).collect();
    let id = id.parse().expect("letters and digits are an access key id");
    let secret = Zeroizing::new(random::bytes::<30>()?);
    Ok((id, STANDARD.encode(*secret).into()))
}
