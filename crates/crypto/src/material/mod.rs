//! Key material: what a KMS key is made of.

mod binding;
mod operations;
mod pair;

use keystead_types::{KeyId, KeySpec, MaterialId};
use zeroize::Zeroizing;

pub use self::binding::MaterialBinding;
pub use self::pair::DataKeyPair;
pub use crate::family::{EcKey, Ed25519Key, HmacKey, MlDsaKey, MlKemKey, RsaKey};
use crate::memory::LockedBytes;
use crate::public::PublicKey;
use crate::{CryptoError, Key32, OpenError, ber, digest, kbkdf};

const ID_LABEL: &str = "keystead.v1.material-id";

/// The secret of one version of a key, in locked memory, with what the library needs beside it so
/// that no use of the key parses it again.
#[derive(Debug)]
pub enum KeyMaterial {
    /// The 256 bits of a `SYMMETRIC_DEFAULT` key.
    Symmetric(Key32),
    /// The key of an HMAC key.
    Hmac(HmacKey),
    /// An RSA private key.
    Rsa(RsaKey),
    /// A private key of a NIST curve or of secp256k1.
    Ec(EcKey),
    /// An Ed25519 private key.
    Ed25519(Ed25519Key),
    /// An ML-DSA private key.
    MlDsa(MlDsaKey),
    /// An ML-KEM private key.
    MlKem(MlKemKey),
}

/// Why there is no such material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// There is no material of this spec, or it cannot be had in this way.
    #[error("keys of spec {0} are not supported")]
    Unsupported(KeySpec),
    /// What was given is no material of this spec. It deliberately does not say why.
    #[error("this is no key material of this spec")]
    Malformed,
    /// The machinery failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The first byte of encoded material. Never change or reuse one.
mod kind {
    pub(super) const SYMMETRIC: u8 = 1;
    pub(super) const HMAC: u8 = 2;
    pub(super) const RSA: u8 = 3;
    pub(super) const EC: u8 = 4;
    pub(super) const ED25519: u8 = 5;
    pub(super) const ML_DSA: u8 = 6;
    pub(super) const ML_KEM: u8 = 7;
}

impl KeyMaterial {
    /// New random material for a key of this spec. For RSA this takes from tenths of seconds to
    /// seconds of a processor.
    ///
    /// # Errors
    /// [`MaterialError::Unsupported`] or [`MaterialError::Crypto`].
    pub fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        match kind_of(spec)? {
            kind::SYMMETRIC => Ok(Self::Symmetric(Key32::generate()?)),
            kind::HMAC => HmacKey::generate(spec).map(Self::Hmac),
            kind::RSA => RsaKey::generate(spec).map(Self::Rsa),
            kind::EC => EcKey::generate(spec).map(Self::Ec),
            kind::ED25519 => Ed25519Key::generate().map(Self::Ed25519),
            kind::ML_DSA => MlDsaKey::generate(spec).map(Self::MlDsa),
            _ => MlKemKey::generate(spec).map(Self::MlKem),
        }
    }

    /// Material from the form in which AWS lets it be imported: 32 bytes for a symmetric key; for
    /// HMAC, a key at least as long as the hash and at most
    /// [`MAX_HMAC_KEY`](crate::spec::MAX_HMAC_KEY) bytes; PKCS#8, in BER or DER, for RSA, and for
    /// elliptic curves, around RFC 5915 with a named curve. Other specs cannot be imported.
    ///
    /// # Errors
    /// [`MaterialError`].
    pub fn import(spec: KeySpec, bytes: &[u8]) -> Result<Self, MaterialError> {
        let kind = kind_of(spec)?;
        match kind {
            kind::SYMMETRIC | kind::HMAC => Self::from_secret(spec, kind, bytes),
            kind::RSA => RsaKey::import(spec, &in_der(bytes)?).map(Self::Rsa),
            kind::EC => EcKey::import(spec, &in_der(bytes)?).map(Self::Ec),
            _ => Err(MaterialError::Unsupported(spec)),
        }
    }

    /// Whether there is any material of this spec that can be imported.
    pub fn is_importable(spec: KeySpec) -> bool {
        let kind = kind_of(spec);
        matches!(kind, Ok(kind::SYMMETRIC | kind::HMAC | kind::RSA | kind::EC))
    }

    /// The form that is wrapped: a byte for the kind, then the secret, as
    /// `docs/cryptography.md` says. Whoever has it has the key.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let secret = self.secret();
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + secret.len()));
        bytes.push(self.kind());
        bytes.extend_from_slice(secret);
        bytes
    }

    /// Reads [`encode`](Self::encode)d material, which must be of this spec.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong.
    pub fn decode(spec: KeySpec, bytes: &[u8]) -> Result<Self, OpenError> {
        let (&kind, secret) = bytes.split_first().ok_or(OpenError)?;
        if kind_of(spec) != Ok(kind) {
            return Err(OpenError);
        }
        Self::from_secret(spec, kind, secret).map_err(|_| OpenError)
    }

    /// The kind of key that this is the material of.
    pub fn spec(&self) -> KeySpec {
        match self {
            Self::Symmetric(_) => KeySpec::SymmetricDefault,
            Self::Hmac(key) => key.spec(),
            Self::Rsa(key) => key.public().spec(),
            Self::Ec(key) => key.public().spec(),
            Self::Ed25519(key) => key.public().spec(),
            Self::MlDsa(key) => key.public().spec(),
            Self::MlKem(key) => key.public().spec(),
        }
    }

    /// The id of this material as that of a key: for one key, equal material has an equal id, and
    /// nothing of a secret can be learnt from it.
    ///
    /// # Errors
    /// [`MaterialError::Unsupported`] if the material is not of this spec.
    pub fn id(&self, key_id: &KeyId, spec: KeySpec) -> Result<MaterialId, MaterialError> {
        if self.spec() != spec {
            return Err(MaterialError::Unsupported(spec));
        }
        let flags = [u8::from(key_id.multi_region())];
        let context: [&[u8]; 3] = [key_id.bytes(), &flags, &spec.code().to_be_bytes()];
        let mut id = [0; 32];
        match self {
            Self::Symmetric(key) => kbkdf::derive(key.expose(), ID_LABEL, &context, &mut id)?,
            _ => kbkdf::derive(&*self.identity(), ID_LABEL, &context, &mut id)?,
        }
        Ok(MaterialId::new(id))
    }

    /// The key, if this is the material of a symmetric one.
    pub fn symmetric(&self) -> Option<&Key32> {
        match self {
            Self::Symmetric(key) => Some(key),
            _ => None,
        }
    }

    /// The public key, if this is the material of an asymmetric key.
    pub fn public_key(&self) -> Option<&PublicKey> {
        match self {
            Self::Symmetric(_) | Self::Hmac(_) => None,
            Self::Rsa(key) => Some(key.public()),
            Self::Ec(key) => Some(key.public()),
            Self::Ed25519(key) => Some(key.public()),
            Self::MlDsa(key) => Some(key.public()),
            Self::MlKem(key) => Some(key.public()),
        }
    }

    /// What makes this material the same as other. An asymmetric key is known by its public key: a
    /// private key has many encodings. An HMAC key is hashed because HMAC takes keys that differ in
    /// zeros at the end for the same.
    fn identity(&self) -> Zeroizing<[u8; 48]> {
        let same = match self.public_key() {
            Some(key) => Zeroizing::new([&[self.kind()], key.der()].concat()),
            None => self.encode(),
        };
        Zeroizing::new(digest::sha384(&same))
    }

    fn from_secret(spec: KeySpec, kind: u8, secret: &[u8]) -> Result<Self, MaterialError> {
        let key32 = || {
            let key = secret.try_into().map_err(|_| MaterialError::Malformed)?;
            Ok::<_, MaterialError>(Key32::from_bytes(key)?)
        };
        match kind {
            kind::SYMMETRIC => key32().map(Self::Symmetric),
            kind::HMAC => HmacKey::from_bytes(spec, secret).map(Self::Hmac),
            kind::RSA => RsaKey::from_stored(spec, secret).map(Self::Rsa),
            kind::EC => EcKey::from_stored(spec, secret).map(Self::Ec),
            kind::ED25519 => Ed25519Key::from_seed(key32()?).map(Self::Ed25519),
            kind::ML_DSA => MlDsaKey::from_seed(spec, key32()?).map(Self::MlDsa),
            _ => {
                let seed = LockedBytes::copy_of(secret)?;
                MlKemKey::from_seed(spec, seed).map(Self::MlKem)
            }
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Symmetric(_) => kind::SYMMETRIC,
            Self::Hmac(_) => kind::HMAC,
            Self::Rsa(_) => kind::RSA,
            Self::Ec(_) => kind::EC,
            Self::Ed25519(_) => kind::ED25519,
            Self::MlDsa(_) => kind::ML_DSA,
            Self::MlKem(_) => kind::ML_KEM,
        }
    }

    fn secret(&self) -> &[u8] {
        match self {
            Self::Symmetric(key) => key.expose(),
            Self::Hmac(key) => key.secret(),
            Self::Rsa(key) => key.secret(),
            Self::Ec(key) => key.secret(),
            Self::Ed25519(key) => key.secret(),
            Self::MlDsa(key) => key.secret(),
            Self::MlKem(key) => key.secret(),
        }
    }
}

/// PKCS#8 that somebody else encoded, in DER.
fn in_der(pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
    ber::pkcs8_to_der(pkcs8).ok_or(MaterialError::Malformed)
}

/// The kind of material that keys of a spec have.
fn kind_of(spec: KeySpec) -> Result<u8, MaterialError> {
    match spec {
        KeySpec::SymmetricDefault => Ok(kind::SYMMETRIC),
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => Ok(kind::HMAC),
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => Ok(kind::RSA),
        KeySpec::EccNistP256
        | KeySpec::EccNistP384
        | KeySpec::EccNistP521
        | KeySpec::EccSecgP256k1 => Ok(kind::EC),
        KeySpec::EccNistEdwards25519 => Ok(kind::ED25519),
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => Ok(kind::ML_DSA),
        KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => Ok(kind::ML_KEM),
        KeySpec::Sm2 => Err(MaterialError::Unsupported(spec)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_material_key_and_flag_only() {
        let material = |byte| KeyMaterial::Symmetric(Key32::from_bytes(&[byte; 32]).unwrap());
        let id = |material: &KeyMaterial, key: KeyId| {
            material.id(&key, KeySpec::SymmetricDefault).unwrap()
        };
        let (key, other) = (KeyId::new([1; 16], false), KeyId::new([2; 16], false));
        let first = id(&material(7), key);
        assert_eq!(first, id(&material(7), key));
        assert_ne!(first, id(&material(8), key));
        assert_ne!(first, id(&material(7), other));
        assert_ne!(first, id(&material(7), KeyId::new([1; 16], true)));
    }

    #[test]
    fn material_of_other_specs_is_refused() {
        assert_eq!(
            KeyMaterial::generate(KeySpec::Sm2).unwrap_err(),
            MaterialError::Unsupported(KeySpec::Sm2)
        );
        let material = KeyMaterial::generate(KeySpec::SymmetricDefault).unwrap();
        assert!(material.id(&KeyId::new([1; 16], false), KeySpec::Hmac256).is_err());
        let encoded = material.encode();
        assert!(KeyMaterial::decode(KeySpec::SymmetricDefault, &encoded).is_ok());
        assert!(KeyMaterial::decode(KeySpec::Hmac256, &encoded).is_err());
        assert!(KeyMaterial::decode(KeySpec::SymmetricDefault, &encoded[..32]).is_err());
        assert!(KeyMaterial::decode(KeySpec::SymmetricDefault, &[]).is_err());
    }

    #[test]
    fn debug_shows_no_byte() {
        let material = KeyMaterial::Symmetric(Key32::from_bytes(&[0xab; 32]).unwrap());
        assert_eq!(format!("{material:?}"), "Symmetric(Key32(..))");
    }
}
