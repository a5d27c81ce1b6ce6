//! ML-DSA (FIPS 204), without a context.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::{self, KeyPair as _, PqdsaKeyPair, PqdsaSigningAlgorithm};
use keystead_types::{KeySpec, MessageType};

use super::get_or_try_init;
use crate::ffi::Pkey;
use crate::material::MaterialError;
use crate::public::PublicKey;
use crate::{CryptoError, Key32, OperationError};

/// An ML-DSA private key. The secret is the seed (FIPS 204's ξ), in locked memory.
pub struct MlDsaKey {
    seed: Key32,
    pair: PqdsaKeyPair,
    /// The same key, for signing a message representative.
    for_mu: OnceLock<Pkey>,
    public: PublicKey,
}

impl MlDsaKey {
    /// A new key.
    pub(crate) fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        Self::from_seed(spec, Key32::generate()?)
    }

    /// The key that FIPS 204, algorithm 6, makes of this seed.
    pub(crate) fn from_seed(spec: KeySpec, seed: Key32) -> Result<Self, MaterialError> {
        let algorithm = algorithm(spec).ok_or(MaterialError::Unsupported(spec))?;
        let pair =
            PqdsaKeyPair::from_seed(algorithm, seed.expose()).map_err(|_| CryptoError::Library)?;
        let public = pair.public_key().as_der().map_err(|_| CryptoError::Library)?;
        let public = PublicKey::parse(spec, public.as_ref()).map_err(|_| CryptoError::Library)?;
        Ok(Self { seed, pair, for_mu: OnceLock::new(), public })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.seed.expose()
    }

    pub(crate) fn sign(
        &self,
        message_type: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        let len = self.pair.algorithm().signature_len();
        match message_type {
            MessageType::Raw => {
                let mut signature = vec![0; len];
                self.pair.sign(message, &mut signature).map_err(|_| CryptoError::Library)?;
                Ok(signature)
            }
            MessageType::ExternalMu => {
                let key = get_or_try_init(&self.for_mu, || self.parse_for_mu())?;
                Ok(key.sign(message, len)?)
            }
            MessageType::Digest => Err(OperationError::Unsupported),
        }
    }

    fn parse_for_mu(&self) -> Result<Pkey, CryptoError> {
        let der = AsDer::<Pkcs8V1Der>::as_der(&self.pair.private_key())
            .map_err(|_| CryptoError::Library)?;
        Pkey::from_pkcs8(der.as_ref())
    }
}

fn algorithm(spec: KeySpec) -> Option<&'static PqdsaSigningAlgorithm> {
    match spec {
        KeySpec::MlDsa44 => Some(&signature::ML_DSA_44_SIGNING),
        KeySpec::MlDsa65 => Some(&signature::ML_DSA_65_SIGNING),
        KeySpec::MlDsa87 => Some(&signature::ML_DSA_87_SIGNING),
        _ => None,
    }
}
