//! What passes between regions: who a region is, and what only it can read.
//!
//! Two regions speak under TLS, but do not rely on it: whoever ends the TLS connection, such as a
//! load balancer, learns nothing of what they tell each other and changes nothing of it.

mod identity;
mod letter;

pub use identity::{RegionIdentity, RegionKeys};
pub use letter::{Receiver, seal_letter};

use keystead_types::KeySpec;

use crate::CryptoError;
use crate::material::{KeyMaterial, MaterialError};
use crate::public::PublicKey;

/// A part whose length stands before it as a `u16`, and the rest.
fn split_prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// `u16 length ‖ first ‖ second`, which [`split_prefixed`] takes apart.
fn joined(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(first.len()).ok()?;
    Some([&len.to_be_bytes(), first, second].concat())
}

fn generate(spec: KeySpec) -> Result<KeyMaterial, CryptoError> {
    KeyMaterial::generate(spec).map_err(|error| match error {
        MaterialError::Crypto(error) => error,
        _ => CryptoError::Library,
    })
}

fn public(material: &KeyMaterial) -> Result<&[u8], CryptoError> {
    material.public_key().map(PublicKey::der).ok_or(CryptoError::Library)
}
