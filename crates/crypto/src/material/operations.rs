//! What can be done with material, for all kinds. What a spec allows, [`spec`] says; here it is
//! checked once more, because a wrong use of a key must not depend on its callers.

use keystead_types::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeyAgreementAlgorithm, MacAlgorithm, MessageType,
    SigningAlgorithm,
};
use zeroize::Zeroizing;

use super::KeyMaterial;
use crate::public::Encapsulated;
use crate::{OperationError, spec};

impl KeyMaterial {
    /// Encrypts with an RSA key; symmetric ones do with [`blob::encrypt`](crate::blob::encrypt).
    ///
    /// # Errors
    /// As [`PublicKey::encrypt`](crate::public::PublicKey::encrypt).
    pub fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        self.public_key().ok_or(OperationError::Unsupported)?.encrypt(algorithm, plaintext)
    }

    /// Decrypts with an RSA key; symmetric ones do with [`blob::decrypt`](crate::blob::decrypt).
    ///
    /// # Errors
    /// [`OperationError::InvalidCiphertext`], whatever is wrong with the ciphertext;
    /// [`OperationError::Unsupported`].
    pub fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperationError> {
        spec::of(self.spec()).encryption(algorithm).ok_or(OperationError::Unsupported)?;
        match self {
            Self::Rsa(key) => key.decrypt(algorithm, ciphertext),
            _ => Err(OperationError::Unsupported),
        }
    }

    /// Signs a message, or what of it the message type says. The form of the signature is AWS's:
    /// DER for ECDSA, plain bytes for all others.
    ///
    /// # Errors
    /// [`OperationError::Unsupported`] or [`OperationError::Length`], as [`spec`] says.
    pub fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        spec::of(self.spec()).accept(algorithm, message_type, message.len())?;
        match self {
            Self::Rsa(key) => key.sign(algorithm, message_type, message),
            Self::Ec(key) => key.sign(algorithm, message_type, message),
            Self::Ed25519(key) => key.sign(algorithm, message),
            Self::MlDsa(key) => key.sign(message_type, message),
            Self::Symmetric(_) | Self::Hmac(_) | Self::MlKem(_) => Err(OperationError::Unsupported),
        }
    }

    /// Checks a signature.
    ///
    /// # Errors
    /// As [`PublicKey::verify`](crate::public::PublicKey::verify).
    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), OperationError> {
        let key = self.public_key().ok_or(OperationError::Unsupported)?;
        key.verify(algorithm, message_type, message, signature)
    }

    /// The MAC of a message.
    ///
    /// # Errors
    /// [`OperationError::Unsupported`].
    pub fn mac(&self, algorithm: MacAlgorithm, message: &[u8]) -> Result<Vec<u8>, OperationError> {
        spec::of(self.spec()).mac(algorithm).ok_or(OperationError::Unsupported)?;
        match self {
            Self::Hmac(key) => Ok(key.mac(algorithm, message)),
            _ => Err(OperationError::Unsupported),
        }
    }

    /// Checks a MAC, in a time that does not depend on where it differs. A part of a MAC is never
    /// valid.
    ///
    /// # Errors
    /// [`OperationError::InvalidMac`] or [`OperationError::Unsupported`].
    pub fn verify_mac(
        &self,
        algorithm: MacAlgorithm,
        message: &[u8],
        mac: &[u8],
    ) -> Result<(), OperationError> {
        spec::of(self.spec()).mac(algorithm).ok_or(OperationError::Unsupported)?;
        match self {
            Self::Hmac(key) => key.verify(algorithm, message, mac),
            _ => Err(OperationError::Unsupported),
        }
    }

    /// The secret shared with the holder of `peer`, a SubjectPublicKeyInfo in DER with a key on the
    /// same curve: the x coordinate of the shared point, as long as the field.
    ///
    /// # Errors
    /// [`OperationError::InvalidPublicKey`] or [`OperationError::Unsupported`].
    pub fn agree(
        &self,
        algorithm: KeyAgreementAlgorithm,
        peer: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperationError> {
        spec::of(self.spec()).agreement(algorithm).ok_or(OperationError::Unsupported)?;
        match self {
            Self::Ec(key) => key.agree(peer),
            _ => Err(OperationError::Unsupported),
        }
    }

    /// Makes a shared secret and its ciphertext.
    ///
    /// # Errors
    /// As [`PublicKey::encapsulate`](crate::public::PublicKey::encapsulate).
    pub fn encapsulate(
        &self,
        algorithm: EncapsulationAlgorithm,
    ) -> Result<Encapsulated, OperationError> {
        self.public_key().ok_or(OperationError::Unsupported)?.encapsulate(algorithm)
    }

    /// The shared secret of a ciphertext. One of the right length always gives a secret: if it was
    /// not made for this key, one that nobody else knows.
    ///
    /// # Errors
    /// [`OperationError::InvalidCiphertext`] if the length is wrong;
    /// [`OperationError::Unsupported`].
    pub fn decapsulate(
        &self,
        algorithm: EncapsulationAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperationError> {
        let spec = spec::of(self.spec());
        let entry = spec.encapsulation(algorithm).ok_or(OperationError::Unsupported)?;
        match self {
            Self::MlKem(key) => key.decapsulate(entry.ciphertext, ciphertext),
            _ => Err(OperationError::Unsupported),
        }
    }
}
