//! The envelope: how everything is encrypted that Keystead itself stores or hands out sealed.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version `0x57` |
//! | 1 | 1 | suite `0x01` |
//! | 2 | 2 | 0 |
//! | 4 | 4 | epoch of the key, big-endian |
//! | 8 | 24 | salt |
//! | 32 | 32 | commitment |
//! | 64 | 12 | IV |
//! | 76 | n | ciphertext |
//! | 76+n | 16 | tag |
//!
//! What an envelope is bound to (the place where it stands) is not in it: whoever opens it says.

use zeroize::Zeroizing;

use crate::{CryptoError, Key32, OpenError, committing};

/// Bytes that an envelope has more than its plaintext.
pub const OVERHEAD: usize = HEADER_LEN + committing::OVERHEAD;

const VERSION: u8 = 0x57;
const SUITE: u8 = 0x01;
const HEADER_LEN: usize = 8;

/// What kind of thing an envelope holds; one kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The root key under a seal.
    Root,
    /// A domain key under the root key.
    DomainKey,
    /// Key material under a domain key.
    Material,
    /// Anything else, under a purpose key.
    Value,
}

impl Label {
    fn text(self) -> &'static str {
        match self {
            Self::Root => "keystead.v1.root",
            Self::DomainKey => "keystead.v1.domain-key",
            Self::Material => "keystead.v1.material",
            Self::Value => "keystead.v1.value",
        }
    }
}

/// Seals `plaintext` under `key`, which is the one of `epoch`, bound to `binding`.
///
/// # Errors
/// Only those of the random generator and the library.
pub fn seal(
    label: Label,
    key: &Key32,
    epoch: u32,
    binding: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let [a, b, c, d] = epoch.to_be_bytes();
    let header = [VERSION, SUITE, 0, 0, a, b, c, d];
    committing::seal(key.expose(), label.text(), &header, binding, plaintext)
}

/// Opens an envelope that must be of this label, key and binding.
///
/// # Errors
/// [`OpenError`], whatever is wrong.
pub fn open(
    label: Label,
    key: &Key32,
    binding: &[u8],
    envelope: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    epoch(envelope)?;
    committing::open(key.expose(), label.text(), HEADER_LEN, binding, envelope)
}

/// The epoch that an envelope names, which says which key to open it with. Until the envelope is
/// opened, nothing vouches for it.
///
/// # Errors
/// [`OpenError`] if this is no envelope.
pub fn epoch(envelope: &[u8]) -> Result<u32, OpenError> {
    if envelope.len() < OVERHEAD {
        return Err(OpenError);
    }
    match envelope {
        [VERSION, SUITE, 0, 0, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(OpenError),
    }
}
