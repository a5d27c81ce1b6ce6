//! Key material: what a KMS key is made of.

use keystead_types::{AccountId, KeyId, KeySpec, KeyUsage, MaterialId, Origin};
use zeroize::Zeroizing;

use crate::{CryptoError, Key32, OpenError, kbkdf};

const ID_LABEL: &str = "keystead.v1.material-id";
/// First byte of the encoded form of symmetric material.
const SYMMETRIC: u8 = 1;

/// The secret of one version of a key, in locked memory.
#[derive(Debug)]
pub enum KeyMaterial {
    /// The 256 bits of a `SYMMETRIC_DEFAULT` key.
    Symmetric(Key32),
}

/// Why there is no such material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// There is no material of this spec.
    #[error("keys of spec {0} are not supported")]
    Unsupported(KeySpec),
    /// The machinery failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl KeyMaterial {
    /// New random material for a key of this spec.
    ///
    /// # Errors
    /// [`MaterialError`].
    pub fn generate(spec: KeySpec) -> Result<Self, MaterialError> {
        match spec {
            KeySpec::SymmetricDefault => Ok(Self::Symmetric(Key32::generate()?)),
            other => Err(MaterialError::Unsupported(other)),
        }
    }

    /// The id of this material as that of a key: for one key, equal material has an equal id, and
    /// nothing of the material can be learnt from it.
    ///
    /// # Errors
    /// [`MaterialError::Unsupported`] if the material is not of this spec.
    pub fn id(&self, key_id: &KeyId, spec: KeySpec) -> Result<MaterialId, MaterialError> {
        if !self.fits(spec) {
            return Err(MaterialError::Unsupported(spec));
        }
        let Self::Symmetric(key) = self;
        let flags = [u8::from(key_id.multi_region())];
        let context: [&[u8]; 3] = [key_id.bytes(), &flags, &spec.code().to_be_bytes()];
        let mut id = [0; 32];
        kbkdf::derive(key.expose(), ID_LABEL, &context, &mut id)?;
        Ok(MaterialId::new(id))
    }

    /// The key, if this is the material of a symmetric one.
    pub fn symmetric(&self) -> Option<&Key32> {
        match self {
            Self::Symmetric(key) => Some(key),
        }
    }

    /// The form that is wrapped: a byte for the kind, then the material.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let Self::Symmetric(key) = self;
        let mut bytes = Zeroizing::new(Vec::with_capacity(33));
        bytes.push(SYMMETRIC);
        bytes.extend_from_slice(key.expose());
        bytes
    }

    /// Reads [`encode`](Self::encode)d material, which must be of this spec.
    pub(crate) fn decode(spec: KeySpec, bytes: &[u8]) -> Result<Self, OpenError> {
        let material = match bytes {
            [SYMMETRIC, key @ ..] => {
                let key = key.try_into().map_err(|_| OpenError)?;
                Self::Symmetric(Key32::from_bytes(key).map_err(|_| OpenError)?)
            }
            _ => return Err(OpenError),
        };
        if material.fits(spec) { Ok(material) } else { Err(OpenError) }
    }

    fn fits(&self, spec: KeySpec) -> bool {
        match self {
            Self::Symmetric(_) => spec == KeySpec::SymmetricDefault,
        }
    }
}

/// What wrapped material is bound to: all of its key that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaterialBinding {
    /// The account that owns the key.
    pub account: AccountId,
    /// The key.
    pub key_id: KeyId,
    /// The material.
    pub material_id: MaterialId,
    /// The kind of key.
    pub spec: KeySpec,
    /// What the key is for.
    pub usage: KeyUsage,
    /// Where the material comes from.
    pub origin: Origin,
}

impl MaterialBinding {
    /// The canonical bytes, all fields of fixed width and big-endian: `account u64 ‖ key id (16) ‖
    /// flags u8 ‖ material id (32) ‖ spec u16 ‖ usage u16 ‖ origin u16`.
    pub fn bytes(&self) -> [u8; 63] {
        let mut bytes = [0; 63];
        bytes[..8].copy_from_slice(&self.account.number().to_be_bytes());
        bytes[8..24].copy_from_slice(self.key_id.bytes());
        bytes[24] = u8::from(self.key_id.multi_region());
        bytes[25..57].copy_from_slice(self.material_id.bytes());
        bytes[57..59].copy_from_slice(&self.spec.code().to_be_bytes());
        bytes[59..61].copy_from_slice(&self.usage.code().to_be_bytes());
        bytes[61..].copy_from_slice(&self.origin.code().to_be_bytes());
        bytes
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
