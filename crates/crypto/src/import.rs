//! Wrapping keys: what material is wrapped with elsewhere, so that it can be imported here.
//!
//! A wrapping key is an RSA key that serves nothing else. RSAES-OAEP wraps the material itself; the
//! `RSA_AES_KEY_WRAP` algorithms (`CKM_RSA_AES_KEY_WRAP` of PKCS#11) wrap a fresh AES-256 key with
//! OAEP, and with that the material, by AES-KWP.

use std::fmt;
use std::str::FromStr;

use keystead_types::{EncryptionAlgorithm, KeySpec};
use zeroize::Zeroizing;

use crate::family::RsaKey;
use crate::material::MaterialError;
use crate::public::PublicKey;
use crate::{Key32, OpenError, OperationError, spec, wrap};

/// How material is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrappingAlgorithm {
    /// `RSAES_OAEP_SHA_1`
    OaepSha1,
    /// `RSAES_OAEP_SHA_256`
    OaepSha256,
    /// `RSA_AES_KEY_WRAP_SHA_1`
    AesSha1,
    /// `RSA_AES_KEY_WRAP_SHA_256`
    AesSha256,
}

impl WrappingAlgorithm {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::OaepSha1, Self::OaepSha256, Self::AesSha1, Self::AesSha256];

    /// AWS's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OaepSha1 => "RSAES_OAEP_SHA_1",
            Self::OaepSha256 => "RSAES_OAEP_SHA_256",
            Self::AesSha1 => "RSA_AES_KEY_WRAP_SHA_1",
            Self::AesSha256 => "RSA_AES_KEY_WRAP_SHA_256",
        }
    }

    /// Whether material of a spec fits: OAEP takes no RSA keys, and of a key of 2048 bits not the
    /// private keys of the largest curve.
    pub fn takes(self, wrapping: KeySpec, material: KeySpec) -> bool {
        match (self, material) {
            (Self::AesSha1 | Self::AesSha256, _) => true,
            (_, KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096) => false,
            (_, KeySpec::EccNistP521) => wrapping != KeySpec::Rsa2048,
            _ => true,
        }
    }

    /// The one to take for material of a spec if nobody says which: OAEP alone as long as the
    /// material is short.
    pub fn for_material(material: KeySpec) -> Self {
        if spec::of(material).public_key { Self::AesSha256 } else { Self::OaepSha256 }
    }

    fn oaep(self) -> EncryptionAlgorithm {
        match self {
            Self::OaepSha1 | Self::AesSha1 => EncryptionAlgorithm::RsaesOaepSha1,
            Self::OaepSha256 | Self::AesSha256 => EncryptionAlgorithm::RsaesOaepSha256,
        }
    }

    fn has_aes_key(self) -> bool {
        matches!(self, Self::AesSha1 | Self::AesSha256)
    }
}

impl FromStr for WrappingAlgorithm {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or(())
    }
}

/// Wraps material for whoever has the private half of a wrapping key.
///
/// # Errors
/// [`OperationError::Length`] if the material does not fit, [`OperationError::Unsupported`] if the
/// key is none of RSA, or [`OperationError::Crypto`].
pub fn wrap(
    public: &PublicKey,
    algorithm: WrappingAlgorithm,
    material: &[u8],
) -> Result<Vec<u8>, OperationError> {
    let oaep = algorithm.oaep();
    if !algorithm.has_aes_key() {
        return public.encrypt(oaep, material);
    }
    let key = Key32::generate()?;
    let by_rsa = public.encrypt(oaep, key.expose())?;
    Ok([by_rsa, wrap::wrap_padded(key.expose(), material)?].concat())
}

/// An RSA key that unwraps material.
pub struct WrappingKey(RsaKey);

impl WrappingKey {
    /// A new key of 2048, 3072 or 4096 bits. This takes from tenths of seconds to seconds.
    ///
    /// # Errors
    /// [`MaterialError::Unsupported`] for other specs, or [`MaterialError::Crypto`].
    pub fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        RsaKey::generate(spec).map(Self)
    }

    /// The key whose [`secret`](Self::secret) this is.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong.
    pub fn from_secret(spec: KeySpec, secret: &[u8]) -> Result<Self, OpenError> {
        RsaKey::from_stored(spec, secret).map(Self).map_err(|_| OpenError)
    }

    /// The private key, PKCS#8 in DER.
    pub fn secret(&self) -> &[u8] {
        self.0.secret()
    }

    /// The public key, a SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        self.0.public().der()
    }

    /// What is wrapped in this.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong: nothing tells which of the steps failed.
    pub fn unwrap(
        &self,
        algorithm: WrappingAlgorithm,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let oaep = algorithm.oaep();
        let entry = spec::of(self.0.public().spec()).encryption(oaep).ok_or(OpenError)?;
        let (by_rsa, by_aes) = wrapped.split_at_checked(entry.max_ciphertext).ok_or(OpenError)?;
        if algorithm.has_aes_key() == by_aes.is_empty() {
            return Err(OpenError);
        }
        let opened = self.0.decrypt(oaep, by_rsa).map_err(|_| OpenError)?;
        if !algorithm.has_aes_key() {
            return Ok(opened);
        }
        let key = opened.as_slice().try_into().map_err(|_| OpenError)?;
        wrap::unwrap_padded(key, by_aes)
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(..)")
    }
}
