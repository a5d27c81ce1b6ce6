//! RSA (RFC 8017): OAEP, PKCS#1 v1.5 and PSS signatures.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{self, KeyPair as _, RsaSignatureEncoding};
use keystead_types::{EncryptionAlgorithm, KeySpec, MessageType, SigningAlgorithm};
use zeroize::Zeroizing;

use super::get_or_try_init;
use crate::material::MaterialError;
use crate::memory::LockedBytes;
use crate::public::{PublicKey, import_digest, oaep};
use crate::{CryptoError, OperationError, der};

/// An RSA private key. The secret is PKCS#8 in locked memory.
pub struct RsaKey {
    pkcs8: LockedBytes,
    signing: KeyPair,
    decrypting: OnceLock<OaepPrivateDecryptingKey>,
    public: PublicKey,
}

impl RsaKey {
    /// A new key with public exponent 65537. This takes from tenths of seconds to seconds.
    pub(crate) fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        let size = key_size(spec).ok_or(MaterialError::Unsupported(spec))?;
        let pair = KeyPair::generate(size).map_err(|_| CryptoError::Library)?;
        Self::in_our_form(spec, pair)
    }

    /// A key that somebody else encoded, in PKCS#8.
    pub(crate) fn import(spec: KeySpec, der: &[u8]) -> Result<Self, MaterialError> {
        Self::in_our_form(spec, parse(spec, der)?)
    }

    /// A key as it is stored, in PKCS#8; its form is kept, whatever the library would make of it.
    pub(crate) fn from_stored(spec: KeySpec, der: &[u8]) -> Result<Self, MaterialError> {
        Self::new(spec, parse(spec, der)?, der)
    }

    fn in_our_form(spec: KeySpec, pair: KeyPair) -> Result<Self, MaterialError> {
        let pkcs8 = AsDer::<Pkcs8V1Der>::as_der(&pair).map_err(|_| CryptoError::Library)?;
        Self::new(spec, pair, pkcs8.as_ref())
    }

    fn new(spec: KeySpec, signing: KeyPair, pkcs8: &[u8]) -> Result<Self, MaterialError> {
        let public = signing.public_key().as_der().map_err(|_| CryptoError::Library)?;
        // A modulus of, say, 2,047 bits has as many bytes as one of 2,048, and is refused here.
        let public =
            PublicKey::parse(spec, public.as_ref()).map_err(|_| MaterialError::Malformed)?;
        let pkcs8 = LockedBytes::copy_of(pkcs8)?;
        Ok(Self { pkcs8, signing, decrypting: OnceLock::new(), public })
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn secret(&self) -> &[u8] {
        self.pkcs8.expose()
    }

    pub(crate) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        let encoding = encoding(algorithm).ok_or(OperationError::Unsupported)?;
        let mut signature = vec![0; self.signing.public_modulus_len()];
        let signed = match message_type {
            MessageType::Raw => {
                self.signing.sign(encoding, &SystemRandom::new(), message, &mut signature)
            }
            MessageType::Digest => {
                let digest = import_digest(algorithm, message)?;
                self.signing.sign_digest(encoding, &digest, &mut signature)
            }
            MessageType::ExternalMu => return Err(OperationError::Unsupported),
        };
        signed.map_err(|_| CryptoError::Library)?;
        Ok(signature)
    }

    /// Every failure is one and the same error.
    pub(crate) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OperationError> {
        let oaep = oaep(algorithm).ok_or(OperationError::Unsupported)?;
        let key = get_or_try_init(&self.decrypting, || {
            PrivateDecryptingKey::from_pkcs8(self.pkcs8.expose())
                .ok()
                .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
                .ok_or(CryptoError::Library)
        })?;
        if ciphertext.len() != key.key_size_bytes() {
            return Err(OperationError::InvalidCiphertext);
        }
        let mut plaintext = Zeroizing::new(vec![0; key.min_output_size()]);
        let len = key
            .decrypt(oaep, ciphertext, &mut plaintext, None)
            .map_err(|_| OperationError::InvalidCiphertext)?
            .len();
        plaintext.truncate(len);
        Ok(plaintext)
    }
}

fn parse(spec: KeySpec, der: &[u8]) -> Result<KeyPair, MaterialError> {
    key_size(spec).ok_or(MaterialError::Unsupported(spec))?;
    // The library does not mind what comes after.
    der::sequence(der).ok_or(MaterialError::Malformed)?;
    KeyPair::from_pkcs8(der).map_err(|_| MaterialError::Malformed)
}

fn key_size(spec: KeySpec) -> Option<KeySize> {
    match spec {
        KeySpec::Rsa2048 => Some(KeySize::Rsa2048),
        KeySpec::Rsa3072 => Some(KeySize::Rsa3072),
        KeySpec::Rsa4096 => Some(KeySize::Rsa4096),
        _ => None,
    }
}

fn encoding(algorithm: SigningAlgorithm) -> Option<&'static RsaSignatureEncoding> {
    match algorithm {
        SigningAlgorithm::RsassaPkcs1V15Sha256 => Some(&signature::RSA_PKCS1_SHA256),
        SigningAlgorithm::RsassaPkcs1V15Sha384 => Some(&signature::RSA_PKCS1_SHA384),
        SigningAlgorithm::RsassaPkcs1V15Sha512 => Some(&signature::RSA_PKCS1_SHA512),
        SigningAlgorithm::RsassaPssSha256 => Some(&signature::RSA_PSS_SHA256),
        SigningAlgorithm::RsassaPssSha384 => Some(&signature::RSA_PSS_SHA384),
        SigningAlgorithm::RsassaPssSha512 => Some(&signature::RSA_PSS_SHA512),
        _ => None,
    }
}
