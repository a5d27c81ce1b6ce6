//! Ed25519 and Ed25519ph (RFC 8032).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use keystead_types::{KeySpec, SigningAlgorithm};
use zeroize::Zeroizing;

use crate::material::MaterialError;
use crate::public::PublicKey;
use crate::{CryptoError, Key32, OperationError, ffi};

/// An Ed25519 private key. The secret is the seed, in locked memory.
pub struct Ed25519Key {
    seed: Key32,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl Ed25519Key {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, MaterialError> {
        Self::from_seed(Key32::generate()?)
    }

    /// The key of this seed, which RFC 8032 calls the private key.
    pub(crate) fn from_seed(seed: Key32) -> Result<Self, MaterialError> {
        let pair =
            Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| CryptoError::Library)?;
        let public = pair.public_key().as_der().map_err(|_| CryptoError::Library)?;
        let public = PublicKey::parse(KeySpec::EccNistEdwards25519, public.as_ref())
            .map_err(|_| CryptoError::Library)?;
        Ok(Self { seed, pair, public })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.seed.expose()
    }

    /// PKCS#8, version 1 (RFC 8410).
    pub(crate) fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let der = AsDer::<Pkcs8V1Der>::as_der(&self.pair).map_err(|_| CryptoError::Library)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    pub(crate) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        match algorithm {
            SigningAlgorithm::Ed25519Sha512 => {
                let signature = self.pair.try_sign(message).map_err(|_| CryptoError::Library)?;
                Ok(signature.as_ref().to_vec())
            }
            // What is given is a digest already, and Ed25519ph hashes it again: so does AWS.
            SigningAlgorithm::Ed25519PhSha512 => {
                let mut key = Zeroizing::new([0; 64]);
                key[..32].copy_from_slice(self.seed.expose());
                key[32..].copy_from_slice(self.pair.public_key().as_ref());
                Ok(ffi::ed25519ph_sign(&key, message)?.to_vec())
            }
            _ => Err(OperationError::Unsupported),
        }
    }
}
