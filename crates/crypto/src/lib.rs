//! Algorithms, key material, ciphertext formats and seals. No async, no clock.
//!
//! The formats are written out byte by byte in `docs/cryptography.md`. All secrets are erased when
//! dropped, none shows its contents in `Debug`, and every failure to open something is one and the
//! same error.
#![deny(unsafe_code)]

pub mod allocator;
mod ber;
pub mod blob;
pub mod cache;
mod committing;
pub mod context;
mod der;
pub mod digest;
pub mod envelope;
mod error;
mod family;
mod ffi;
pub mod import;
pub mod jose;
pub mod kbkdf;
pub mod keyring;
pub mod material;
pub mod memory;
pub mod public;
pub mod random;
pub mod region;
pub mod seal;
mod secret;
pub mod spec;
pub mod wrap;

pub use error::{CryptoError, OpenError, OperationError};
pub use secret::Key32;

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::constant_time_eq;

    #[test]
    fn equality_is_of_contents_and_lengths() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"ab"));
    }
}
