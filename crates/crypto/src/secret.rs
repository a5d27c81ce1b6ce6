//! Keys that live in protected memory.

use std::fmt;

use crate::memory::LockedBytes;
use crate::{CryptoError, kbkdf, random};

/// A 256-bit key in locked memory, erased when dropped.
pub struct Key32(LockedBytes);

impl Key32 {
    /// A random key.
    ///
    /// # Errors
    /// [`CryptoError::Random`] or [`CryptoError::Memory`].
    pub fn generate() -> Result<Self, CryptoError> {
        Self::filled_by(random::fill)
    }

    /// A copy of these bytes; whoever has the original erases it.
    ///
    /// # Errors
    /// [`CryptoError::Memory`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, CryptoError> {
        Self::filled_by(|key| {
            key.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// The key derived from this one for the use that `label` names.
    ///
    /// # Errors
    /// [`CryptoError::Library`] or [`CryptoError::Memory`].
    pub(crate) fn derive(&self, label: &str, context: &[&[u8]]) -> Result<Self, CryptoError> {
        Self::filled_by(|key| kbkdf::derive(self.expose(), label, context, key))
    }

    /// A key written straight into its protected place.
    pub(crate) fn filled_by<E: From<CryptoError>>(
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut bytes = LockedBytes::zeroed(32)?;
        fill(bytes.expose_mut())?;
        Ok(Self(bytes))
    }

    /// The secret itself. Copies of it are the caller's to erase.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose().first_chunk().expect("invariant: a Key32 has 32 bytes")
    }
}

impl fmt::Debug for Key32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key32(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        let key = Key32::from_bytes(&[0xab; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key32(..)");
        assert_eq!(key.expose(), &[0xab; 32]);
    }

    #[test]
    fn derived_keys_depend_on_key_label_and_context() {
        let key = Key32::from_bytes(&[1; 32]).unwrap();
        let other = Key32::from_bytes(&[2; 32]).unwrap();
        let derived = [
            key.derive("a", &[b"x"]).unwrap(),
            key.derive("b", &[b"x"]).unwrap(),
            key.derive("a", &[b"y"]).unwrap(),
            other.derive("a", &[b"x"]).unwrap(),
        ];
        for (i, one) in derived.iter().enumerate() {
            for two in &derived[i + 1..] {
                assert_ne!(one.expose(), two.expose());
            }
        }
    }
}
