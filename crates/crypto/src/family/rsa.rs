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

    /// A key that somebody else made, in PKCS#8.
    pub(crate) fn import(spec: KeySpec, der: &[u8]) -> Result<Self, MaterialError> {
        let key = Self::in_our_form(spec, parse(spec, der)?)?;
        let fits = has_balanced_primes(key.secret()).unwrap_or_default() && key.is_consistent();
        if fits { Ok(key) } else { Err(MaterialError::Malformed) }
    }

    /// Whether the private key undoes the public one: the library checks what the numbers say of
    /// each other, and not that the primes are some.
    fn is_consistent(&self) -> bool {
        let (algorithm, message) = (SigningAlgorithm::RsassaPssSha256, b"pairwise consistency");
        let signed = self.sign(algorithm, MessageType::Raw, message);
        signed.is_ok_and(|signature| {
            self.public.verify(algorithm, MessageType::Raw, message, &signature).is_ok()
        })
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

/// Whether modulus has two different prime factors of half its length (FIPS 186-5, A.1.1).
fn has_balanced_primes(pkcs8: &[u8]) -> Option<bool> {
    let (_, info, _) = der::element(pkcs8)?;
    let (_, _version, info) = der::element(info)?;
    let (_, _algorithm, info) = der::element(info)?;
    let (_, key, _) = der::element(info)?;
    let (_, mut numbers, _) = der::element(key)?;
    let mut next = || {
        let (_, number, rest) = der::element(numbers)?;
        numbers = rest;
        Some(number.strip_prefix(&[0]).unwrap_or(number))
    };
    let [_version, modulus, _e, _d, p, q] = [next()?, next()?, next()?, next()?, next()?, next()?];
    let half = |prime: &[u8]| 2 * prime.len() == modulus.len() && prime[0] >= 0x80;
    Some(half(p) && half(q) && p != q)
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
