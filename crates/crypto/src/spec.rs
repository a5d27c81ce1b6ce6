//! The table of key specs: what a key of each spec is for, with which algorithms, and how long
//! everything is.
//!
//! It is the only such list. Validation, `DescribeKey`, `GetPublicKey`, the operations below and the
//! table in `docs/cryptography.md` read it. Lengths are in bytes.

use keystead_types::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeyAgreementAlgorithm, KeySpec, KeyUsage,
    MacAlgorithm, MessageType, SigningAlgorithm,
};

use crate::{OperationError, blob};

/// What there is to know of a key spec.
#[derive(Debug)]
pub struct Spec {
    /// The spec.
    pub key_spec: KeySpec,
    /// What a key of it may be for: one of these, for ever. Empty if the spec is known by name only.
    pub uses: &'static [Use],
    /// Whether there is a public key, so that `GetPublicKey` answers.
    pub public_key: bool,
    /// Whether `GenerateDataKeyPair` makes pairs of this spec.
    pub data_key_pair: bool,
    /// Whether making and using private keys takes milliseconds or more, too long for a thread on
    /// which others wait.
    pub slow: bool,
}

/// One usage of a key, with its algorithms in the order in which AWS lists them.
#[derive(Debug)]
pub enum Use {
    /// `ENCRYPT_DECRYPT`.
    EncryptDecrypt(&'static [Encryption]),
    /// `SIGN_VERIFY`.
    SignVerify(&'static [Signing]),
    /// `GENERATE_VERIFY_MAC`.
    GenerateVerifyMac(&'static [Mac]),
    /// `KEY_AGREEMENT`.
    KeyAgreement(&'static [Agreement]),
    /// `ENCAPSULATE_DECAPSULATE`.
    EncapsulateDecapsulate(&'static [Encapsulation]),
}

/// An encryption algorithm with keys of one spec.
#[derive(Debug)]
pub struct Encryption {
    /// The algorithm.
    pub algorithm: EncryptionAlgorithm,
    /// The longest plaintext.
    pub max_plaintext: usize,
    /// The ciphertext; of the longest plaintext, if it depends on that.
    pub max_ciphertext: usize,
}

/// A signing algorithm with keys of one spec.
#[derive(Debug)]
pub struct Signing {
    /// The algorithm.
    pub algorithm: SigningAlgorithm,
    /// What of a message can be given.
    pub messages: &'static [Message],
    /// The signature; the longest, if the length varies.
    pub max_signature: usize,
}

/// What of a message can be given to a signing algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// The message itself, or what of it.
    pub message_type: MessageType,
    /// How long it must be; `None` if that is free.
    pub length: Option<usize>,
}

/// A MAC algorithm.
#[derive(Debug)]
pub struct Mac {
    /// The algorithm.
    pub algorithm: MacAlgorithm,
    /// A generated key, and the shortest that can be imported.
    pub key: usize,
    /// The MAC.
    pub mac: usize,
}

/// A key agreement algorithm with keys of one spec.
#[derive(Debug)]
pub struct Agreement {
    /// The algorithm.
    pub algorithm: KeyAgreementAlgorithm,
    /// The shared secret.
    pub shared_secret: usize,
}

/// An encapsulation algorithm with keys of one spec.
#[derive(Debug)]
pub struct Encapsulation {
    /// The algorithm.
    pub algorithm: EncapsulationAlgorithm,
    /// The ciphertext.
    pub ciphertext: usize,
    /// The shared secret.
    pub shared_secret: usize,
}

/// The longest HMAC key that can be imported.
pub const MAX_HMAC_KEY: usize = 128;

/// The line of the table for this spec.
pub fn of(key_spec: KeySpec) -> &'static Spec {
    match key_spec {
        KeySpec::SymmetricDefault => &SYMMETRIC_DEFAULT,
        KeySpec::Rsa2048 => &RSA_2048,
        KeySpec::Rsa3072 => &RSA_3072,
        KeySpec::Rsa4096 => &RSA_4096,
        KeySpec::EccNistP256 => &ECC_NIST_P256,
        KeySpec::EccNistP384 => &ECC_NIST_P384,
        KeySpec::EccNistP521 => &ECC_NIST_P521,
        KeySpec::EccSecgP256k1 => &ECC_SECG_P256K1,
        KeySpec::EccNistEdwards25519 => &ECC_NIST_EDWARDS25519,
        KeySpec::Hmac224 => &HMAC_224,
        KeySpec::Hmac256 => &HMAC_256,
        KeySpec::Hmac384 => &HMAC_384,
        KeySpec::Hmac512 => &HMAC_512,
        KeySpec::MlDsa44 => &ML_DSA_44,
        KeySpec::MlDsa65 => &ML_DSA_65,
        KeySpec::MlDsa87 => &ML_DSA_87,
        KeySpec::MlKem512 => &ML_KEM_512,
        KeySpec::MlKem768 => &ML_KEM_768,
        KeySpec::MlKem1024 => &ML_KEM_1024,
        KeySpec::Sm2 => &SM2,
    }
}

impl Spec {
    /// Whether there can be keys of this spec at all.
    pub fn supported(&self) -> bool {
        !self.uses.is_empty()
    }

    /// What there is to know of one usage; `None` if keys of this spec cannot have it.
    pub fn usage(&self, usage: KeyUsage) -> Option<&'static Use> {
        self.uses.iter().find(|one| one.usage() == usage)
    }

    /// The encryption algorithm, if keys of this spec have it.
    pub fn encryption(&self, algorithm: EncryptionAlgorithm) -> Option<&'static Encryption> {
        self.uses.iter().find_map(|one| match one {
            Use::EncryptDecrypt(all) => all.iter().find(|entry| entry.algorithm == algorithm),
            _ => None,
        })
    }

    /// The signing algorithm, if keys of this spec have it.
    pub fn signing(&self, algorithm: SigningAlgorithm) -> Option<&'static Signing> {
        self.uses.iter().find_map(|one| match one {
            Use::SignVerify(all) => all.iter().find(|entry| entry.algorithm == algorithm),
            _ => None,
        })
    }

    /// Whether keys of this spec sign so much of a message with this algorithm.
    ///
    /// # Errors
    /// [`OperationError::Unsupported`], or [`OperationError::Length`] if `len` is not the length
    /// that the message type has.
    pub fn accept(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        len: usize,
    ) -> Result<&'static Signing, OperationError> {
        let signing = self.signing(algorithm).ok_or(OperationError::Unsupported)?;
        match signing.message(message_type).ok_or(OperationError::Unsupported)?.length {
            Some(length) if length != len => Err(OperationError::Length),
            _ => Ok(signing),
        }
    }

    /// The MAC algorithm, if keys of this spec have it.
    pub fn mac(&self, algorithm: MacAlgorithm) -> Option<&'static Mac> {
        self.uses.iter().find_map(|one| match one {
            Use::GenerateVerifyMac(all) => all.iter().find(|entry| entry.algorithm == algorithm),
            _ => None,
        })
    }

    /// The key agreement algorithm, if keys of this spec have it.
    pub fn agreement(&self, algorithm: KeyAgreementAlgorithm) -> Option<&'static Agreement> {
        self.uses.iter().find_map(|one| match one {
            Use::KeyAgreement(all) => all.iter().find(|entry| entry.algorithm == algorithm),
            _ => None,
        })
    }

    /// The encapsulation algorithm, if keys of this spec have it.
    pub fn encapsulation(
        &self,
        algorithm: EncapsulationAlgorithm,
    ) -> Option<&'static Encapsulation> {
        self.uses.iter().find_map(|one| match one {
            Use::EncapsulateDecapsulate(all) => {
                all.iter().find(|entry| entry.algorithm == algorithm)
            }
            _ => None,
        })
    }
}

impl Use {
    /// The usage.
    pub fn usage(&self) -> KeyUsage {
        match self {
            Self::EncryptDecrypt(_) => KeyUsage::EncryptDecrypt,
            Self::SignVerify(_) => KeyUsage::SignVerify,
            Self::GenerateVerifyMac(_) => KeyUsage::GenerateVerifyMac,
            Self::KeyAgreement(_) => KeyUsage::KeyAgreement,
            Self::EncapsulateDecapsulate(_) => KeyUsage::EncapsulateDecapsulate,
        }
    }

    /// AWS's names of the algorithms, in its order.
    pub fn algorithms(&self) -> Vec<&'static str> {
        match self {
            Self::EncryptDecrypt(all) => all.iter().map(|one| one.algorithm.as_str()).collect(),
            Self::SignVerify(all) => all.iter().map(|one| one.algorithm.as_str()).collect(),
            Self::GenerateVerifyMac(all) => all.iter().map(|one| one.algorithm.as_str()).collect(),
            Self::KeyAgreement(all) => all.iter().map(|one| one.algorithm.as_str()).collect(),
            Self::EncapsulateDecapsulate(all) => {
                all.iter().map(|one| one.algorithm.as_str()).collect()
            }
        }
    }
}

impl Signing {
    /// What can be given as this message type; `None` if the algorithm does not take it.
    pub fn message(&self, message_type: MessageType) -> Option<Message> {
        self.messages.iter().copied().find(|one| one.message_type == message_type)
    }

    /// How long a digest of the message must be; `None` if the algorithm takes none.
    pub fn digest(&self) -> Option<usize> {
        self.message(MessageType::Digest)?.length
    }
}

static SYMMETRIC_DEFAULT: Spec = Spec {
    key_spec: KeySpec::SymmetricDefault,
    uses: &[Use::EncryptDecrypt(&[Encryption {
        algorithm: EncryptionAlgorithm::SymmetricDefault,
        max_plaintext: blob::MAX_PLAINTEXT,
        max_ciphertext: blob::MAX_PLAINTEXT + blob::OVERHEAD,
    }])],
    public_key: false,
    data_key_pair: false,
    slow: false,
};

const RAW: Message = Message { message_type: MessageType::Raw, length: None };

const fn digest(length: usize) -> Message {
    Message { message_type: MessageType::Digest, length: Some(length) }
}

const SHA_256: &[Message] = &[RAW, digest(32)];
const SHA_384: &[Message] = &[RAW, digest(48)];
const SHA_512: &[Message] = &[RAW, digest(64)];

/// The line of an RSA spec with a modulus of `$modulus` bytes.
macro_rules! rsa {
    ($spec:ident, $modulus:literal) => {
        Spec {
            key_spec: KeySpec::$spec,
            uses: &[
                Use::EncryptDecrypt(&[
                    oaep(EncryptionAlgorithm::RsaesOaepSha1, $modulus, 20),
                    oaep(EncryptionAlgorithm::RsaesOaepSha256, $modulus, 32),
                ]),
                Use::SignVerify(&[
                    signing(SigningAlgorithm::RsassaPkcs1V15Sha256, SHA_256, $modulus),
                    signing(SigningAlgorithm::RsassaPkcs1V15Sha384, SHA_384, $modulus),
                    signing(SigningAlgorithm::RsassaPkcs1V15Sha512, SHA_512, $modulus),
                    signing(SigningAlgorithm::RsassaPssSha256, SHA_256, $modulus),
                    signing(SigningAlgorithm::RsassaPssSha384, SHA_384, $modulus),
                    signing(SigningAlgorithm::RsassaPssSha512, SHA_512, $modulus),
                ]),
            ],
            public_key: true,
            data_key_pair: true,
            slow: true,
        }
    };
}

/// RFC 8017, section 7.1.1: the plaintext has at most `modulus - 2 * hash - 2` bytes.
const fn oaep(algorithm: EncryptionAlgorithm, modulus: usize, hash: usize) -> Encryption {
    Encryption { algorithm, max_plaintext: modulus - 2 * hash - 2, max_ciphertext: modulus }
}

const fn signing(
    algorithm: SigningAlgorithm,
    messages: &'static [Message],
    max_signature: usize,
) -> Signing {
    Signing { algorithm, messages, max_signature }
}

static RSA_2048: Spec = rsa!(Rsa2048, 256);
static RSA_3072: Spec = rsa!(Rsa3072, 384);
static RSA_4096: Spec = rsa!(Rsa4096, 512);

/// The line of a NIST curve. `$signature` is the longest DER form of two integers below the order,
/// `$secret` the x coordinate.
macro_rules! nist_curve {
    ($spec:ident, $algorithm:ident, $messages:ident, $signature:literal, $secret:literal) => {
        Spec {
            key_spec: KeySpec::$spec,
            uses: &[
                Use::SignVerify(&[signing(SigningAlgorithm::$algorithm, $messages, $signature)]),
                Use::KeyAgreement(&[Agreement {
                    algorithm: KeyAgreementAlgorithm::Ecdh,
                    shared_secret: $secret,
                }]),
            ],
            public_key: true,
            data_key_pair: true,
            slow: false,
        }
    };
}

static ECC_NIST_P256: Spec = nist_curve!(EccNistP256, EcdsaSha256, SHA_256, 72, 32);
static ECC_NIST_P384: Spec = nist_curve!(EccNistP384, EcdsaSha384, SHA_384, 104, 48);
static ECC_NIST_P521: Spec = nist_curve!(EccNistP521, EcdsaSha512, SHA_512, 139, 66);

static ECC_SECG_P256K1: Spec = Spec {
    key_spec: KeySpec::EccSecgP256k1,
    uses: &[Use::SignVerify(&[signing(SigningAlgorithm::EcdsaSha256, SHA_256, 72)])],
    public_key: true,
    data_key_pair: true,
    slow: false,
};

static ECC_NIST_EDWARDS25519: Spec = Spec {
    key_spec: KeySpec::EccNistEdwards25519,
    uses: &[Use::SignVerify(&[
        signing(SigningAlgorithm::Ed25519Sha512, &[RAW], 64),
        signing(SigningAlgorithm::Ed25519PhSha512, &[digest(64)], 64),
    ])],
    public_key: true,
    data_key_pair: true,
    slow: false,
};

/// The line of an HMAC spec; key and MAC are as long as the hash.
macro_rules! hmac {
    ($spec:ident, $algorithm:ident, $hash:literal) => {
        Spec {
            key_spec: KeySpec::$spec,
            uses: &[Use::GenerateVerifyMac(&[Mac {
                algorithm: MacAlgorithm::$algorithm,
                key: $hash,
                mac: $hash,
            }])],
            public_key: false,
            data_key_pair: false,
            slow: false,
        }
    };
}

static HMAC_224: Spec = hmac!(Hmac224, HmacSha224, 28);
static HMAC_256: Spec = hmac!(Hmac256, HmacSha256, 32);
static HMAC_384: Spec = hmac!(Hmac384, HmacSha384, 48);
static HMAC_512: Spec = hmac!(Hmac512, HmacSha512, 64);

const EXTERNAL_MU: Message = Message { message_type: MessageType::ExternalMu, length: Some(64) };

/// The line of an ML-DSA spec (FIPS 204, table 2).
macro_rules! ml_dsa {
    ($spec:ident, $signature:literal) => {
        Spec {
            key_spec: KeySpec::$spec,
            uses: &[Use::SignVerify(&[signing(
                SigningAlgorithm::MlDsaShake256,
                &[RAW, EXTERNAL_MU],
                $signature,
            )])],
            public_key: true,
            data_key_pair: false,
            slow: false,
        }
    };
}

static ML_DSA_44: Spec = ml_dsa!(MlDsa44, 2420);
static ML_DSA_65: Spec = ml_dsa!(MlDsa65, 3309);
static ML_DSA_87: Spec = ml_dsa!(MlDsa87, 4627);

/// The line of an ML-KEM spec (FIPS 203, table 3).
macro_rules! ml_kem {
    ($spec:ident, $ciphertext:literal) => {
        Spec {
            key_spec: KeySpec::$spec,
            uses: &[Use::EncapsulateDecapsulate(&[Encapsulation {
                algorithm: EncapsulationAlgorithm::MlKem,
                ciphertext: $ciphertext,
                shared_secret: 32,
            }])],
            public_key: true,
            data_key_pair: true,
            slow: false,
        }
    };
}

static ML_KEM_512: Spec = ml_kem!(MlKem512, 768);
static ML_KEM_768: Spec = ml_kem!(MlKem768, 1088);
static ML_KEM_1024: Spec = ml_kem!(MlKem1024, 1568);

/// AWS has SM2 in the China Regions only, and the cryptographic library is built without it.
static SM2: Spec = Spec {
    key_spec: KeySpec::Sm2,
    uses: &[],
    public_key: false,
    data_key_pair: false,
    slow: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spec_has_its_own_line() {
        for &key_spec in KeySpec::ALL {
            let spec = of(key_spec);
            assert_eq!(spec.key_spec, key_spec);
            assert_eq!(spec.supported(), key_spec != KeySpec::Sm2);
            for one in spec.uses {
                assert!(!one.algorithms().is_empty());
                assert_eq!(spec.usage(one.usage()).unwrap().algorithms(), one.algorithms());
            }
        }
    }

    #[test]
    fn lengths_are_those_that_aws_documents() {
        let max = |spec, algorithm| of(spec).encryption(algorithm).unwrap().max_plaintext;
        let (sha1, sha256) =
            (EncryptionAlgorithm::RsaesOaepSha1, EncryptionAlgorithm::RsaesOaepSha256);
        assert_eq!([max(KeySpec::Rsa2048, sha1), max(KeySpec::Rsa2048, sha256)], [214, 190]);
        assert_eq!([max(KeySpec::Rsa3072, sha1), max(KeySpec::Rsa3072, sha256)], [342, 318]);
        assert_eq!([max(KeySpec::Rsa4096, sha1), max(KeySpec::Rsa4096, sha256)], [470, 446]);
        assert_eq!(max(KeySpec::SymmetricDefault, EncryptionAlgorithm::SymmetricDefault), 4096);
    }

    #[test]
    fn algorithms_are_found_with_their_spec_only() {
        let ecdsa = of(KeySpec::EccNistP384).signing(SigningAlgorithm::EcdsaSha384).unwrap();
        assert_eq!(ecdsa.digest(), Some(48));
        assert_eq!(ecdsa.message(MessageType::ExternalMu), None);
        assert!(of(KeySpec::EccNistP384).signing(SigningAlgorithm::EcdsaSha256).is_none());
        assert!(of(KeySpec::EccSecgP256k1).agreement(KeyAgreementAlgorithm::Ecdh).is_none());
        assert!(of(KeySpec::Hmac256).mac(MacAlgorithm::HmacSha384).is_none());
        let ml_dsa = of(KeySpec::MlDsa44).signing(SigningAlgorithm::MlDsaShake256).unwrap();
        assert_eq!(ml_dsa.digest(), None);
        assert!(of(KeySpec::Rsa2048).usage(KeyUsage::KeyAgreement).is_none());
    }
}
