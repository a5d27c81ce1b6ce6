//! Signing keys: a secret narrowed down to one day, Region and service.

use std::fmt;

use keystead_crypto::digest::hmac_sha256;
use keystead_types::lower_hex;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::TERMINATOR;

/// A signing key; 32 bytes that are erased when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Derives the key for `date` (`yyyymmdd`), `region` and `service` from a secret access key.
    pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        seed.extend_from_slice(b"AWS4");
        seed.extend_from_slice(secret.as_bytes());
        let mut key = Zeroizing::new(hmac_sha256(&seed, date.as_bytes()));
        for part in [region, service, TERMINATOR] {
            *key = hmac_sha256(&*key, part.as_bytes());
        }
        Self(*key)
    }

    /// The signature over `text`, in lower-case hexadecimal.
    pub fn sign(&self, text: &[u8]) -> String {
        lower_hex(&hmac_sha256(&self.0, text))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}
