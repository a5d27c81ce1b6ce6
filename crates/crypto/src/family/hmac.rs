//! HMAC (FIPS 198-1).

use aws_lc_rs::hmac;
use keystead_types::{KeySpec, MacAlgorithm};

use crate::material::MaterialError;
use crate::memory::LockedBytes;
use crate::spec::{self, MAX_HMAC_KEY, Use};
use crate::{OperationError, random};

/// The key of an HMAC key, in locked memory.
pub struct HmacKey {
    spec: KeySpec,
    key: LockedBytes,
}

impl HmacKey {
    /// A random key, as long as the hash.
    pub(crate) fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        let len = key_len(spec).ok_or(MaterialError::Unsupported(spec))?;
        let mut key = LockedBytes::zeroed(len)?;
        random::fill(key.expose_mut())?;
        Ok(Self { spec, key })
    }

    /// A given key, at least as long as the hash and at most [`MAX_HMAC_KEY`].
    pub(crate) fn from_bytes(spec: KeySpec, bytes: &[u8]) -> Result<Self, MaterialError> {
        let least = key_len(spec).ok_or(MaterialError::Unsupported(spec))?;
        if !(least..=MAX_HMAC_KEY).contains(&bytes.len()) {
            return Err(MaterialError::Malformed);
        }
        Ok(Self { spec, key: LockedBytes::copy_of(bytes)? })
    }

    pub(crate) fn spec(&self) -> KeySpec {
        self.spec
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.key.expose()
    }

    pub(crate) fn mac(&self, algorithm: MacAlgorithm, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.key(algorithm), message).as_ref().to_vec()
    }

    /// The comparison takes a time that depends on the length only; another length is never right.
    pub(crate) fn verify(
        &self,
        algorithm: MacAlgorithm,
        message: &[u8],
        mac: &[u8],
    ) -> Result<(), OperationError> {
        hmac::verify(&self.key(algorithm), message, mac).map_err(|_| OperationError::InvalidMac)
    }

    fn key(&self, algorithm: MacAlgorithm) -> hmac::Key {
        let algorithm = match algorithm {
            MacAlgorithm::HmacSha224 => hmac::HMAC_SHA224,
            MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
            MacAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
            MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, self.key.expose())
    }
}

/// The length of a generated key; `None` if this is no HMAC spec.
fn key_len(spec: KeySpec) -> Option<usize> {
    match spec::of(spec).uses {
        [Use::GenerateVerifyMac([mac])] => Some(mac.key),
        _ => None,
    }
}
