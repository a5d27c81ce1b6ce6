//! Who a region is: a pair of signing keys, one of them post-quantum. A statement counts if both
//! signatures are good.

use std::fmt;

use keystead_types::{KeySpec, MessageType, SigningAlgorithm};
use zeroize::Zeroizing;

use super::{generate, joined, public, split_prefixed};
use crate::material::KeyMaterial;
use crate::public::PublicKey;
use crate::{CryptoError, OpenError, OperationError, digest};

const CLASSICAL: KeySpec = KeySpec::EccNistP384;
const POST_QUANTUM: KeySpec = KeySpec::MlDsa65;
/// What every signed statement begins with, before its own label and a zero byte.
const LABEL: &str = "keystead.v1.region.";

/// The private keys of a region: ECDSA on P-384, and ML-DSA-65.
#[derive(Debug)]
pub struct RegionIdentity {
    classical: KeyMaterial,
    post_quantum: KeyMaterial,
}

/// The public keys of a region, by which its peers know it.
pub struct RegionKeys {
    classical: PublicKey,
    post_quantum: PublicKey,
}

impl RegionIdentity {
    /// A new identity.
    ///
    /// # Errors
    /// [`CryptoError`].
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self { classical: generate(CLASSICAL)?, post_quantum: generate(POST_QUANTUM)? })
    }

    /// `u16 length ‖ P-384 key ‖ ML-DSA-65 key`, each as [`KeyMaterial::encode`] has it. Whoever
    /// has it is the region.
    ///
    /// # Errors
    /// [`CryptoError::Library`], which does not happen: the keys are short.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (classical, post_quantum) = (self.classical.encode(), self.post_quantum.encode());
        joined(&classical, &post_quantum).map(Zeroizing::new).ok_or(CryptoError::Library)
    }

    /// Reads an [`encode`](Self::encode)d identity.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, OpenError> {
        let (classical, post_quantum) = split_prefixed(bytes).ok_or(OpenError)?;
        Ok(Self {
            classical: KeyMaterial::decode(CLASSICAL, classical)?,
            post_quantum: KeyMaterial::decode(POST_QUANTUM, post_quantum)?,
        })
    }

    /// The public keys, as [`RegionKeys::parse`] reads them: `u16 length ‖ P-384 ‖ ML-DSA-65`, each a
    /// SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`CryptoError::Library`], which does not happen: both keys are asymmetric and short.
    pub fn public(&self) -> Result<Vec<u8>, CryptoError> {
        joined(public(&self.classical)?, public(&self.post_quantum)?).ok_or(CryptoError::Library)
    }

    /// Signs a statement of the kind that `label` names: `u16 length ‖ ECDSA signature in DER ‖
    /// ML-DSA signature`, each of the SHA-384 of
    /// `"keystead.v1.region." ‖ label ‖ 0x00 ‖ statement`.
    ///
    /// # Errors
    /// [`OperationError`], of the library.
    pub fn sign(&self, label: &str, statement: &[u8]) -> Result<Vec<u8>, OperationError> {
        let digest = digest::sha384(&signed(label, statement));
        let classical =
            self.classical.sign(SigningAlgorithm::EcdsaSha384, MessageType::Digest, &digest)?;
        let post_quantum =
            self.post_quantum.sign(SigningAlgorithm::MlDsaShake256, MessageType::Raw, &digest)?;
        joined(&classical, &post_quantum).ok_or(OperationError::Length)
    }
}

impl RegionKeys {
    /// Reads the public keys of a region.
    ///
    /// # Errors
    /// [`OperationError::InvalidPublicKey`].
    pub fn parse(bytes: &[u8]) -> Result<Self, OperationError> {
        let invalid = OperationError::InvalidPublicKey;
        let (classical, post_quantum) = split_prefixed(bytes).ok_or(invalid)?;
        Ok(Self {
            classical: PublicKey::parse(CLASSICAL, classical)?,
            post_quantum: PublicKey::parse(POST_QUANTUM, post_quantum)?,
        })
    }

    /// Checks a statement that [`RegionIdentity::sign`] signed.
    ///
    /// # Errors
    /// [`OperationError::InvalidSignature`] unless both signatures are good.
    pub fn verify(
        &self,
        label: &str,
        statement: &[u8],
        signature: &[u8],
    ) -> Result<(), OperationError> {
        let invalid = OperationError::InvalidSignature;
        let (classical, post_quantum) = split_prefixed(signature).ok_or(invalid)?;
        let digest = digest::sha384(&signed(label, statement));
        let ecdsa = SigningAlgorithm::EcdsaSha384;
        self.classical
            .verify(ecdsa, MessageType::Digest, &digest, classical)
            .map_err(|_| invalid)?;
        let ml_dsa = SigningAlgorithm::MlDsaShake256;
        self.post_quantum
            .verify(ml_dsa, MessageType::Raw, &digest, post_quantum)
            .map_err(|_| invalid)
    }
}

impl fmt::Debug for RegionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegionKeys(..)")
    }
}

fn signed(label: &str, statement: &[u8]) -> Vec<u8> {
    [LABEL.as_bytes(), label.as_bytes(), &[0], statement].concat()
}
