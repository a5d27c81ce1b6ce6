//! The one committing encryption under the blob and the envelope.
//!
//! `sealed = header ‖ salt (24) ‖ commitment (32) ‖ IV (12) ‖ ciphertext ‖ tag (16)`
//!
//! AES-256-GCM alone commits to neither key nor associated data: a ciphertext can be made that
//! opens under two keys. Here each message has its own key, derived together with a commitment to
//! the long-lived key, the header, the salt and what the message is bound to.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::{CryptoError, OpenError, constant_time_eq, digest, kbkdf, random};

/// Bytes that sealing adds to header and plaintext.
pub(crate) const OVERHEAD: usize = SALT_LEN + COMMITMENT_LEN + IV_LEN + TAG_LEN;

const SALT_LEN: usize = 24;
const COMMITMENT_LEN: usize = 32;
const IV_LEN: usize = 12;
const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;

/// Seals `plaintext` under `key`, bound to `header` (which is sent along) and `bound` (which is
/// not).
///
/// # Errors
/// Only those of the random generator and the library.
pub(crate) fn seal(
    key: &[u8; KEY_LEN],
    label: &str,
    header: &[u8],
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let mut sealed = Vec::with_capacity(header.len() + OVERHEAD + plaintext.len());
    sealed.extend_from_slice(header);
    sealed.extend_from_slice(&random::bytes::<SALT_LEN>()?);
    let message = MessageKeys::derive(key, label, &sealed, bound)?;
    sealed.extend_from_slice(message.commitment());
    let aad = [&sealed, bound].concat();
    let iv_at = sealed.len();
    sealed.extend_from_slice(&[0; IV_LEN]);
    sealed.extend_from_slice(plaintext);
    let (iv, tag) = message
        .cipher()?
        .seal_in_place_separate_tag(Aad::from(&aad), &mut sealed[iv_at + IV_LEN..])
        .map_err(|_| CryptoError::Library)?;
    sealed[iv_at..iv_at + IV_LEN].copy_from_slice(iv.as_ref());
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`seal`] made with the same key, label and binding and a header of `header_len`.
pub(crate) fn open(
    key: &[u8; KEY_LEN],
    label: &str,
    header_len: usize,
    bound: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    if sealed.len() < header_len + OVERHEAD {
        return Err(OpenError);
    }
    let (salted_header, rest) = sealed.split_at(header_len + SALT_LEN);
    let (commitment, rest) = rest.split_at(COMMITMENT_LEN);
    let (iv, rest) = rest.split_at(IV_LEN);
    let message = MessageKeys::derive(key, label, salted_header, bound).map_err(|_| OpenError)?;
    let aad = [salted_header, commitment, bound].concat();
    let iv = Nonce::try_assume_unique_for_key(iv).map_err(|_| OpenError)?;
    let mut plaintext = Zeroizing::new(rest.to_vec());

    // Both checks always run, so that timing does not tell which of them failed.
    let committed = constant_time_eq(message.commitment(), commitment)
        | cfg!(feature = "danger-skip-commitment");
    let opened = message
        .cipher()
        .map_err(|_| OpenError)?
        .open_in_place(iv, Aad::from(&aad), &mut plaintext)
        .is_ok();
    if !(committed & opened) {
        return Err(OpenError);
    }
    plaintext.truncate(rest.len() - TAG_LEN);
    Ok(plaintext)
}

/// The AES key and the commitment of one message; on the heap, where moves leave no copies.
struct MessageKeys(Zeroizing<Vec<u8>>);

impl MessageKeys {
    fn derive(
        key: &[u8; KEY_LEN],
        label: &str,
        salted_header: &[u8],
        bound: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut keys = Zeroizing::new(vec![0; KEY_LEN + COMMITMENT_LEN]);
        kbkdf::derive(key, label, &[salted_header, &digest::sha384(bound)], &mut keys)?;
        Ok(Self(keys))
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, CryptoError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0[..KEY_LEN]).map_err(|_| CryptoError::Library)
    }

    fn commitment(&self) -> &[u8] {
        &self.0[KEY_LEN..]
    }
}
