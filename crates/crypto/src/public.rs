//! Public keys, and what they can do without the private ones.

use std::fmt;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::kem::EncapsulationKey;
use aws_lc_rs::rsa::{self, OaepAlgorithm, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, UnparsedPublicKey, VerificationAlgorithm,
};
use keystead_types::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeySpec, MessageType, SigningAlgorithm,
};
use zeroize::Zeroizing;

use crate::family::ml_kem;
use crate::ffi::{self, Pkey};
use crate::{CryptoError, OperationError, spec};

/// The public key of an asymmetric key.
pub struct PublicKey {
    spec: KeySpec,
    der: Vec<u8>,
    parsed: Parsed,
}

/// A shared secret, and what conveys it to who has the private key.
pub struct Encapsulated {
    /// The ciphertext.
    pub ciphertext: Vec<u8>,
    /// The shared secret.
    pub shared_secret: Zeroizing<Vec<u8>>,
}

enum Parsed {
    Rsa(OaepPublicEncryptingKey),
    /// ECDSA, Ed25519 and ML-DSA: there is one algorithm that the library parses the key for.
    Signing(ParsedPublicKey),
    MlKem(EncapsulationKey),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo (RFC 5280) of this spec, in DER and in the form that
    /// [`der`](Self::der) gives: a named curve, the point uncompressed.
    ///
    /// # Errors
    /// [`OperationError::InvalidPublicKey`].
    pub fn parse(spec: KeySpec, der: &[u8]) -> Result<Self, OperationError> {
        let parsed = match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => parse_rsa(spec, der),
            KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => ml_kem::parameters(spec)
                .and_then(|parameters| parameters.parse_spki(der))
                .map(Parsed::MlKem),
            _ => parse_signing(spec, der),
        };
        let parsed = parsed.ok_or(OperationError::InvalidPublicKey)?;
        Ok(Self { spec, der: der.to_vec(), parsed })
    }

    /// The kind of key.
    pub fn spec(&self) -> KeySpec {
        self.spec
    }

    /// The SubjectPublicKeyInfo, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks a signature of a message, or of what of it the message type says.
    ///
    /// # Errors
    /// [`OperationError::InvalidSignature`]; [`Unsupported`](OperationError::Unsupported) and
    /// [`Length`](OperationError::Length) as [`spec`] says.
    pub fn verify(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), OperationError> {
        spec::of(self.spec).accept(algorithm, message_type, message.len())?;
        let valid = match (&self.parsed, message_type) {
            (Parsed::Rsa(_), _) => self.verify_rsa(algorithm, message_type, message, signature)?,
            (Parsed::Signing(_), MessageType::ExternalMu) => {
                Pkey::from_spki(&self.der)?.verify(message, signature)?
            }
            (Parsed::Signing(key), _) if algorithm == SigningAlgorithm::Ed25519PhSha512 => {
                verify_ed25519ph(key, message, signature)
            }
            (Parsed::Signing(key), MessageType::Raw) => key.verify_sig(message, signature).is_ok(),
            (Parsed::Signing(key), MessageType::Digest) => {
                let digest = import_digest(algorithm, message)?;
                key.verify_digest_sig(&digest, signature).is_ok()
            }
            (Parsed::MlKem(_), _) => return Err(OperationError::Unsupported),
        };
        if valid { Ok(()) } else { Err(OperationError::InvalidSignature) }
    }

    /// Encrypts to the holder of the private key (RSA only).
    ///
    /// # Errors
    /// [`OperationError::Length`] if the plaintext is longer than [`spec`] says,
    /// [`OperationError::Unsupported`].
    pub fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, OperationError> {
        let entry = spec::of(self.spec).encryption(algorithm).ok_or(OperationError::Unsupported)?;
        if plaintext.len() > entry.max_plaintext {
            return Err(OperationError::Length);
        }
        let (Parsed::Rsa(key), Some(oaep)) = (&self.parsed, oaep(algorithm)) else {
            return Err(OperationError::Unsupported);
        };
        let mut ciphertext = vec![0; key.ciphertext_size()];
        key.encrypt(oaep, plaintext, &mut ciphertext, None).map_err(|_| CryptoError::Library)?;
        Ok(ciphertext)
    }

    /// Makes a shared secret for the holder of the private key and oneself (ML-KEM only).
    ///
    /// # Errors
    /// [`OperationError::InvalidPublicKey`] if a coefficient of the key is out of range (FIPS 203,
    /// section 7.2), [`OperationError::Unsupported`].
    pub fn encapsulate(
        &self,
        algorithm: EncapsulationAlgorithm,
    ) -> Result<Encapsulated, OperationError> {
        spec::of(self.spec).encapsulation(algorithm).ok_or(OperationError::Unsupported)?;
        let Parsed::MlKem(key) = &self.parsed else { return Err(OperationError::Unsupported) };
        let (ciphertext, shared_secret) =
            key.encapsulate().map_err(|_| OperationError::InvalidPublicKey)?;
        Ok(Encapsulated {
            ciphertext: ciphertext.as_ref().to_vec(),
            shared_secret: Zeroizing::new(shared_secret.as_ref().to_vec()),
        })
    }

    fn verify_rsa(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, OperationError> {
        let parameters = rsa_parameters(algorithm).ok_or(OperationError::Unsupported)?;
        let key = UnparsedPublicKey::new(parameters, &self.der);
        Ok(match message_type {
            MessageType::Digest => {
                key.verify_digest(&import_digest(algorithm, message)?, signature).is_ok()
            }
            _ => key.verify(message, signature).is_ok(),
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.spec)
    }
}

impl fmt::Debug for Encapsulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encapsulated(..)")
    }
}

/// What the library calls the OAEP of an encryption algorithm.
pub(crate) fn oaep(algorithm: EncryptionAlgorithm) -> Option<&'static OaepAlgorithm> {
    match algorithm {
        EncryptionAlgorithm::RsaesOaepSha1 => Some(&rsa::OAEP_SHA1_MGF1SHA1),
        EncryptionAlgorithm::RsaesOaepSha256 => Some(&rsa::OAEP_SHA256_MGF1SHA256),
        _ => None,
    }
}

fn parse_rsa(spec: KeySpec, der: &[u8]) -> Option<Parsed> {
    let key = PublicEncryptingKey::from_der(der).ok()?;
    let same_form = key.as_der().is_ok_and(|again| again.as_ref() == der);
    if !same_form || key.key_size_bits() != rsa_bits(spec)? {
        return None;
    }
    OaepPublicEncryptingKey::new(key).ok().map(Parsed::Rsa)
}

fn rsa_bits(spec: KeySpec) -> Option<usize> {
    let oaep = spec::of(spec).encryption(EncryptionAlgorithm::RsaesOaepSha256)?;
    Some(8 * oaep.max_ciphertext)
}

/// The library takes other forms too, such as bare points; only the one that it gives is taken here.
fn parse_signing(spec: KeySpec, der: &[u8]) -> Option<Parsed> {
    let algorithm: &dyn VerificationAlgorithm = match spec {
        KeySpec::EccNistP256 => &signature::ECDSA_P256_SHA256_ASN1,
        KeySpec::EccNistP384 => &signature::ECDSA_P384_SHA384_ASN1,
        KeySpec::EccNistP521 => &signature::ECDSA_P521_SHA512_ASN1,
        KeySpec::EccSecgP256k1 => &signature::ECDSA_P256K1_SHA256_ASN1,
        KeySpec::EccNistEdwards25519 => &signature::ED25519,
        KeySpec::MlDsa44 => &signature::ML_DSA_44,
        KeySpec::MlDsa65 => &signature::ML_DSA_65,
        KeySpec::MlDsa87 => &signature::ML_DSA_87,
        _ => return None,
    };
    let key = ParsedPublicKey::new(algorithm, der).ok()?;
    key.as_der().is_ok_and(|again| again.as_ref() == der).then_some(Parsed::Signing(key))
}

fn rsa_parameters(algorithm: SigningAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        SigningAlgorithm::RsassaPkcs1V15Sha256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        SigningAlgorithm::RsassaPkcs1V15Sha384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        SigningAlgorithm::RsassaPkcs1V15Sha512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        SigningAlgorithm::RsassaPssSha256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        SigningAlgorithm::RsassaPssSha384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        SigningAlgorithm::RsassaPssSha512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// A digest that somebody else computed, with the hash of the algorithm.
pub(crate) fn import_digest(
    algorithm: SigningAlgorithm,
    message: &[u8],
) -> Result<Digest, OperationError> {
    let hash = hash(algorithm).ok_or(OperationError::Unsupported)?;
    Digest::import_less_safe(message, hash).map_err(|_| OperationError::Length)
}

fn hash(algorithm: SigningAlgorithm) -> Option<&'static digest::Algorithm> {
    match algorithm {
        SigningAlgorithm::RsassaPkcs1V15Sha256
        | SigningAlgorithm::RsassaPssSha256
        | SigningAlgorithm::EcdsaSha256 => Some(&digest::SHA256),
        SigningAlgorithm::RsassaPkcs1V15Sha384
        | SigningAlgorithm::RsassaPssSha384
        | SigningAlgorithm::EcdsaSha384 => Some(&digest::SHA384),
        SigningAlgorithm::RsassaPkcs1V15Sha512
        | SigningAlgorithm::RsassaPssSha512
        | SigningAlgorithm::EcdsaSha512 => Some(&digest::SHA512),
        _ => None,
    }
}

fn verify_ed25519ph(key: &ParsedPublicKey, message: &[u8], signature: &[u8]) -> bool {
    let (Some(public), Ok(signature)) = (key.as_ref().last_chunk(), signature.try_into()) else {
        return false;
    };
    ffi::ed25519ph_verify(public, message, signature)
}
