//! The committing encryption once more, written from its description with other primitives: HMAC
//! for the key derivation, and AES-GCM with a given IV.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};

/// What one message is made of.
pub struct Message<'a> {
    pub key: &'a [u8; 32],
    pub label: &'a str,
    /// With its salt.
    pub salted_header: &'a [u8],
    pub bound: &'a [u8],
    pub iv: [u8; 12],
    pub plaintext: &'a [u8],
}

impl Message<'_> {
    /// The sealed message.
    pub fn seal(&self) -> Vec<u8> {
        let (_, commitment) = self.keys();
        self.seal_claiming(&commitment)
    }

    /// The sealed message, its tag right, but with another commitment.
    pub fn seal_claiming(&self, commitment: &[u8]) -> Vec<u8> {
        let (aes_key, _) = self.keys();
        let aad = [self.salted_header, commitment, self.bound].concat();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &aes_key).unwrap());
        let mut ciphertext = self.plaintext.to_vec();
        let iv = Nonce::assume_unique_for_key(self.iv);
        cipher.seal_in_place_append_tag(iv, Aad::from(aad), &mut ciphertext).unwrap();
        [self.salted_header, commitment, &self.iv, &ciphertext].concat()
    }

    /// The AES key and the commitment.
    pub fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        let info = [
            &1u32.to_be_bytes(),
            self.label.as_bytes(),
            &[0],
            self.salted_header,
            digest::digest(&digest::SHA384, self.bound).as_ref(),
            &512u32.to_be_bytes(),
        ]
        .concat();
        let key = hmac::Key::new(hmac::HMAC_SHA512, self.key);
        let keys = hmac::sign(&key, &info).as_ref().to_vec();
        (keys[..32].to_vec(), keys[32..].to_vec())
    }
}

/// Whether AES-GCM alone opens a ciphertext with its tag.
pub fn gcm_opens(key: &[u8], iv: &[u8], aad: &[u8], sealed: &[u8]) -> bool {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let iv = Nonce::try_assume_unique_for_key(iv).unwrap();
    cipher.open_in_place(iv, Aad::from(aad), &mut sealed.to_vec()).is_ok()
}
