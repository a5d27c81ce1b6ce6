//! ECDSA (FIPS 186-5) and ECDH (SP 800-56A) on the NIST curves, ECDSA on secp256k1.

use std::sync::OnceLock;

use aws_lc_rs::agreement::{self, UnparsedPublicKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _};
use keystead_types::{KeySpec, MessageType, SigningAlgorithm};
use zeroize::Zeroizing;

use super::get_or_try_init;
use crate::material::MaterialError;
use crate::memory::LockedBytes;
use crate::public::{PublicKey, import_digest};
use crate::{CryptoError, OperationError, der};

/// The private key of a NIST curve or of secp256k1. The secret is PKCS#8 in locked memory.
pub struct EcKey {
    pkcs8: LockedBytes,
    curve: Curve,
    signing: EcdsaKeyPair,
    agreement: OnceLock<agreement::PrivateKey>,
    public: PublicKey,
}

/// What the library calls the algorithms of a curve.
struct Curve {
    signing: &'static EcdsaSigningAlgorithm,
    agreement: Option<&'static agreement::Algorithm>,
    /// The AlgorithmIdentifier that names the curve (RFC 5480), in DER.
    identifier: &'static [u8],
}

impl EcKey {
    /// A new key.
    pub(crate) fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        let curve = curve(spec).ok_or(MaterialError::Unsupported(spec))?;
        let pair = EcdsaKeyPair::generate(curve.signing).map_err(|_| CryptoError::Library)?;
        Self::in_our_form(spec, curve, pair)
    }

    /// A key that somebody else encoded, in PKCS#8 around an `ECPrivateKey` (RFC 5915), on the
    /// curve of this spec, by its name. A public key in it must belong to the private key.
    pub(crate) fn import(spec: KeySpec, der: &[u8]) -> Result<Self, MaterialError> {
        let curve = curve(spec).ok_or(MaterialError::Unsupported(spec))?;
        let pair = parse(&curve, der)?;
        Self::in_our_form(spec, curve, pair)
    }

    /// A key as it is stored, in PKCS#8; its form is kept, whatever the library would make of it.
    pub(crate) fn from_stored(spec: KeySpec, der: &[u8]) -> Result<Self, MaterialError> {
        let curve = curve(spec).ok_or(MaterialError::Unsupported(spec))?;
        let pair = parse(&curve, der)?;
        Self::new(spec, curve, pair, der)
    }

    fn in_our_form(spec: KeySpec, curve: Curve, pair: EcdsaKeyPair) -> Result<Self, MaterialError> {
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| CryptoError::Library)?;
        Self::new(spec, curve, pair, pkcs8.as_ref())
    }

    fn new(
        spec: KeySpec,
        curve: Curve,
        signing: EcdsaKeyPair,
        pkcs8: &[u8],
    ) -> Result<Self, MaterialError> {
        let public = signing.public_key().as_der().map_err(|_| CryptoError::Library)?;
        let public = PublicKey::parse(spec, public.as_ref()).map_err(|_| CryptoError::Library)?;
        let pkcs8 = LockedBytes::copy_of(pkcs8)?;
        Ok(Self { pkcs8, curve, signing, agreement: OnceLock::new(), public })
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
        let signature = match message_type {
            MessageType::Raw => self.signing.sign(&SystemRandom::new(), message),
            MessageType::Digest => self.signing.sign_digest(&import_digest(algorithm, message)?),
            MessageType::ExternalMu => return Err(OperationError::Unsupported),
        };
        Ok(signature.map_err(|_| CryptoError::Library)?.as_ref().to_vec())
    }

    /// The x coordinate of the shared point, as long as the field. `peer` is a
    /// SubjectPublicKeyInfo.
    pub(crate) fn agree(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, OperationError> {
        let algorithm = self.curve.agreement.ok_or(OperationError::Unsupported)?;
        let key = get_or_try_init(&self.agreement, || {
            agreement::PrivateKey::from_private_key_der(algorithm, self.pkcs8.expose())
                .map_err(|_| CryptoError::Library)
        })?;
        // The library takes bare points too, and curves that are described instead of named.
        let named =
            der::sequence(peer).is_some_and(|contents| contents.starts_with(self.curve.identifier));
        if !named {
            return Err(OperationError::InvalidPublicKey);
        }
        let peer = UnparsedPublicKey::new(algorithm, peer);
        agreement::agree(key, peer, OperationError::InvalidPublicKey, |secret| {
            Ok(Zeroizing::new(secret.to_vec()))
        })
    }
}

fn parse(curve: &Curve, der: &[u8]) -> Result<EcdsaKeyPair, MaterialError> {
    // The library does not mind what comes after, nor curves that are described instead of named.
    let named = der::sequence(der)
        .and_then(|contents| contents.strip_prefix(&[0x02, 1, 0]))
        .is_some_and(|contents| contents.starts_with(curve.identifier));
    if !named {
        return Err(MaterialError::Malformed);
    }
    EcdsaKeyPair::from_pkcs8(curve.signing, der).map_err(|_| MaterialError::Malformed)
}

fn curve(spec: KeySpec) -> Option<Curve> {
    Some(match spec {
        KeySpec::EccNistP256 => Curve {
            signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            agreement: Some(&agreement::ECDH_P256),
            identifier: b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                          \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
        },
        KeySpec::EccNistP384 => Curve {
            signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            agreement: Some(&agreement::ECDH_P384),
            identifier: b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                          \x06\x05\x2b\x81\x04\x00\x22",
        },
        KeySpec::EccNistP521 => Curve {
            signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
            agreement: Some(&agreement::ECDH_P521),
            identifier: b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                          \x06\x05\x2b\x81\x04\x00\x23",
        },
        KeySpec::EccSecgP256k1 => Curve {
            signing: &signature::ECDSA_P256K1_SHA256_ASN1_SIGNING,
            agreement: None,
            identifier: b"\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
                          \x06\x05\x2b\x81\x04\x00\x0a",
        },
        _ => return None,
    })
}
