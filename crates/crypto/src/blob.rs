//! Ciphertexts of `SYMMETRIC_DEFAULT` keys, version 1.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version `0x4B` |
//! | 1 | 1 | suite `0x01` |
//! | 2 | 1 | flags: bit 0 multi-Region, the rest 0 |
//! | 3 | 1 | 0 |
//! | 4 | 16 | key id |
//! | 20 | 16 | first half of the material id |
//! | 36 | 24 | salt |
//! | 60 | 32 | commitment |
//! | 92 | 12 | IV |
//! | 104 | n | ciphertext, 1 to 4,096 bytes |
//! | 104+n | 16 | tag |

use keystead_types::{KeyId, MaterialId};
use zeroize::Zeroizing;

use crate::context::CanonicalContext;
use crate::material::KeyMaterial;
use crate::{CryptoError, OpenError, committing};

/// Bytes that a ciphertext has more than its plaintext.
pub const OVERHEAD: usize = HEADER_LEN + committing::OVERHEAD;
/// The longest plaintext, in bytes.
pub const MAX_PLAINTEXT: usize = 4096;

const LABEL: &str = "keystead.v1.sym";
const VERSION: u8 = 0x4B;
const SUITE: u8 = 0x01;
const MULTI_REGION: u8 = 0x01;
const HEADER_LEN: usize = 36;
const ID_LEN: usize = 16;

/// Why a plaintext was not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// It is empty or longer than [`MAX_PLAINTEXT`].
    #[error("a plaintext must have 1 to {MAX_PLAINTEXT} bytes")]
    Length,
    /// The key is not symmetric.
    #[error("the key material is not symmetric")]
    NotSymmetric,
    /// The machinery failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A ciphertext whose form is right. Whether it is genuine shows when it is opened; until then
/// the ids are only what it says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ParsedBlob<'a> {
    bytes: &'a [u8],
    key_id: KeyId,
    material_id_prefix: &'a [u8; ID_LEN],
}

impl<'a> ParsedBlob<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`OpenError`] if this is no ciphertext of version 1.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, OpenError> {
        if !(OVERHEAD + 1..=OVERHEAD + MAX_PLAINTEXT).contains(&bytes.len()) {
            return Err(OpenError);
        }
        let [VERSION, SUITE, flags @ (0 | MULTI_REGION), 0, ids @ ..] = bytes else {
            return Err(OpenError);
        };
        let (key_id, rest) = ids.split_first_chunk::<ID_LEN>().ok_or(OpenError)?;
        let material_id_prefix = rest.first_chunk().ok_or(OpenError)?;
        let key_id = KeyId::new(*key_id, *flags == MULTI_REGION);
        Ok(Self { bytes, key_id, material_id_prefix })
    }

    /// The key that it names.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The first half of the id of the material that it names.
    pub fn material_id_prefix(&self) -> &'a [u8; 16] {
        self.material_id_prefix
    }
}

/// Encrypts `plaintext` under `material`, which is the one of these ids.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt(
    material: &KeyMaterial,
    key_id: &KeyId,
    material_id: &MaterialId,
    context: &CanonicalContext,
    plaintext: &[u8],
) -> Result<Vec<u8>, EncryptError> {
    if !(1..=MAX_PLAINTEXT).contains(&plaintext.len()) {
        return Err(EncryptError::Length);
    }
    let key = material.symmetric().ok_or(EncryptError::NotSymmetric)?;
    let mut header = [0; HEADER_LEN];
    header[..3].copy_from_slice(&[VERSION, SUITE, u8::from(key_id.multi_region())]);
    header[4..4 + ID_LEN].copy_from_slice(key_id.bytes());
    header[4 + ID_LEN..].copy_from_slice(&material_id.bytes()[..ID_LEN]);
    Ok(committing::seal(key.expose(), LABEL, &header, context.bytes(), plaintext)?)
}

/// Opens a ciphertext with the material that it names.
///
/// # Errors
/// [`OpenError`], whatever is wrong: another key, another context, a changed bit.
pub fn decrypt(
    material: &KeyMaterial,
    blob: &ParsedBlob<'_>,
    context: &CanonicalContext,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let key = material.symmetric().ok_or(OpenError)?;
    committing::open(key.expose(), LABEL, HEADER_LEN, context.bytes(), blob.bytes)
}
