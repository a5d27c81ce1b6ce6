//! Data key pairs: key pairs that are handed out.

use std::fmt;

use keystead_types::KeySpec;
use zeroize::Zeroizing;

use super::{KeyMaterial, MaterialError};
use crate::{CryptoError, spec};

/// A new key pair in the forms that AWS hands out.
pub struct DataKeyPair {
    /// SubjectPublicKeyInfo (RFC 5280), in DER.
    pub public_key: Vec<u8>,
    /// PKCS#8 (RFC 5208), in DER; for ML-KEM in the seed form of RFC 9935.
    pub private_key: Zeroizing<Vec<u8>>,
}

impl DataKeyPair {
    /// A new pair. For RSA this takes from tenths of seconds to seconds of a processor.
    ///
    /// # Errors
    /// [`MaterialError::Unsupported`] if [`spec`] says that there are no pairs of this spec,
    /// [`MaterialError::Crypto`].
    pub fn generate(key_spec: KeySpec) -> Result<Self, MaterialError> {
        let unsupported = MaterialError::Unsupported(key_spec);
        if !spec::of(key_spec).data_key_pair {
            return Err(unsupported);
        }
        let material = KeyMaterial::generate(key_spec)?;
        let public_key = material.public_key().ok_or(unsupported)?.der().to_vec();
        let private_key = material.pkcs8()?.ok_or(unsupported)?;
        Ok(Self { public_key, private_key })
    }
}

impl fmt::Debug for DataKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKeyPair(..)")
    }
}

impl KeyMaterial {
    /// The private key in PKCS#8, of those kinds that are handed out.
    fn pkcs8(&self) -> Result<Option<Zeroizing<Vec<u8>>>, CryptoError> {
        match self {
            Self::Rsa(_) | Self::Ec(_) => Ok(Some(Zeroizing::new(self.secret().to_vec()))),
            Self::Ed25519(key) => key.pkcs8().map(Some),
            Self::MlKem(key) => key.pkcs8().map(Some),
            Self::Symmetric(_) | Self::Hmac(_) | Self::MlDsa(_) => Ok(None),
        }
    }
}
