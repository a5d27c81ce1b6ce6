//! Letters: what one region writes for another, which only that one can read, and once.
//!
//! The receiver makes keys for one letter, ML-KEM-1024 and P-384, and forgets them when it has read
//! it. `letter = ML-KEM ciphertext (1568) ‖ sender's P-384 key (120) ‖ sealed`, where `sealed` is the
//! committing encryption of [`envelope`](crate::envelope) with the header `0x52 0x01 0x00 0x00`, under
//! `KBKDF-CTR-HMAC-SHA-512(Z_kem ‖ Z_ecdh, "keystead.v1.letter-key" ‖ 0x00 ‖ SHA-384(receiver's keys
//! ‖ ML-KEM ciphertext ‖ sender's key) ‖ u32(256))`. Both secrets go into the key (SP 800-56C rev. 2,
//! section 2), so that it takes both to be broken.

use std::fmt;

use keystead_types::{EncapsulationAlgorithm, KeyAgreementAlgorithm, KeySpec};
use zeroize::Zeroizing;

use super::{generate, joined, public, split_prefixed};
use crate::material::KeyMaterial;
use crate::public::PublicKey;
use crate::{CryptoError, Key32, OpenError, OperationError, committing, digest, kbkdf};

const KEM: KeySpec = KeySpec::MlKem1024;
const KEM_ALGORITHM: EncapsulationAlgorithm = EncapsulationAlgorithm::MlKem;
const KEM_CIPHERTEXT: usize = 1568;
const CURVE: KeySpec = KeySpec::EccNistP384;
/// A SubjectPublicKeyInfo of P-384 with an uncompressed point.
const CURVE_KEY: usize = 120;

const HEADER: [u8; 4] = [0x52, 0x01, 0, 0];
const KEY_LABEL: &str = "keystead.v1.letter-key";
const LABEL: &str = "keystead.v1.letter";

/// The keys for one letter.
pub struct Receiver {
    kem: KeyMaterial,
    curve: KeyMaterial,
    public: Vec<u8>,
}

impl Receiver {
    /// New keys.
    ///
    /// # Errors
    /// [`CryptoError`].
    pub fn generate() -> Result<Self, CryptoError> {
        let (kem, curve) = (generate(KEM)?, generate(CURVE)?);
        let public = joined(public(&kem)?, public(&curve)?).ok_or(CryptoError::Library)?;
        Ok(Self { kem, curve, public })
    }

    /// What the sender needs: `u16 length ‖ ML-KEM-1024 ‖ P-384`, each a SubjectPublicKeyInfo in DER.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Opens the letter, which must be bound to this.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong.
    pub fn open(self, bound: &[u8], letter: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (ciphertext, rest) = letter.split_at_checked(KEM_CIPHERTEXT).ok_or(OpenError)?;
        let (sender, sealed) = rest.split_at_checked(CURVE_KEY).ok_or(OpenError)?;
        let kem = self.kem.decapsulate(KEM_ALGORITHM, ciphertext).map_err(|_| OpenError)?;
        let agreed =
            self.curve.agree(KeyAgreementAlgorithm::Ecdh, sender).map_err(|_| OpenError)?;
        let key = letter_key(&kem, &agreed, &[&self.public, ciphertext, sender]);
        let key = key.map_err(|_| OpenError)?;
        if !sealed.starts_with(&HEADER) {
            return Err(OpenError);
        }
        committing::open(key.expose(), LABEL, HEADER.len(), bound, sealed)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver(..)")
    }
}

/// Seals a letter to the receiver with these public keys, bound to what both know.
///
/// # Errors
/// [`OperationError::InvalidPublicKey`] if these are no such keys, else what the library says.
pub fn seal_letter(
    receiver: &[u8],
    bound: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, OperationError> {
    let invalid = OperationError::InvalidPublicKey;
    let (kem, curve) = split_prefixed(receiver).ok_or(invalid)?;
    let encapsulated = PublicKey::parse(KEM, kem)?.encapsulate(KEM_ALGORITHM)?;
    let own = generate(CURVE)?;
    let agreed = own.agree(KeyAgreementAlgorithm::Ecdh, curve)?;
    let (ciphertext, sender) = (&encapsulated.ciphertext, public(&own)?);
    let transcript: [&[u8]; 3] = [receiver, ciphertext, sender];
    let key = letter_key(&encapsulated.shared_secret, &agreed, &transcript)?;
    let sealed = committing::seal(key.expose(), LABEL, &HEADER, bound, plaintext)?;
    Ok([ciphertext, sender, &sealed].concat())
}

fn letter_key(kem: &[u8], agreed: &[u8], transcript: &[&[u8]]) -> Result<Key32, CryptoError> {
    let secrets = Zeroizing::new([kem, agreed].concat());
    let transcript = digest::sha384(&transcript.concat());
    Key32::filled_by(|key| kbkdf::derive(&secrets, KEY_LABEL, &[&transcript], key))
}
