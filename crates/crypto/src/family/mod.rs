//! The kinds of key material other than symmetric, one file each.
//!
//! The secret is kept in locked memory. Beside it stands the library's parsed form, so that no
//! operation parses a key; what is needed for one of two usages only is parsed at its first use.

mod ec;
mod ed25519;
mod hmac;
pub(crate) mod ml_dsa;
pub(crate) mod ml_kem;
mod rsa;

use std::sync::OnceLock;

pub use ec::EcKey;
pub use ed25519::Ed25519Key;
pub use hmac::HmacKey;
pub use ml_dsa::MlDsaKey;
pub use ml_kem::MlKemKey;
pub use rsa::RsaKey;

/// Gives each secret type a `Debug` that shows its name alone.
macro_rules! opaque_debug {
    ($($name:ident)+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

opaque_debug!(EcKey Ed25519Key HmacKey MlDsaKey MlKemKey RsaKey);

/// What is in `cell`, made by `make` if nothing is; a failure is not kept.
fn get_or_try_init<T, E>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}
