//! What AWS-LC can do and `aws-lc-rs` does not offer: Ed25519ph, ML-DSA from the message
//! representative, and ML-KEM keys from their seed.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::{self, NonNull};

use aws_lc_sys::{
    CBS, CBS_init, ED25519ph_sign, ED25519ph_verify, EVP_PKEY, EVP_PKEY_CTX, EVP_PKEY_CTX_free,
    EVP_PKEY_CTX_new, EVP_PKEY_free, EVP_PKEY_get_raw_private_key, EVP_PKEY_get_raw_public_key,
    EVP_PKEY_sign, EVP_PKEY_sign_init, EVP_PKEY_verify, EVP_PKEY_verify_init,
    EVP_parse_private_key, EVP_parse_public_key,
};
use zeroize::Zeroizing;

use crate::CryptoError;

/// Bytes of an Ed25519 signature.
pub(crate) const ED25519_SIGNATURE: usize = 64;

/// A parsed key of AWS-LC, which erases its memory when it frees it.
pub(crate) struct Pkey(NonNull<EVP_PKEY>);

// SAFETY: AWS-LC allows concurrent use of an EVP_PKEY by functions that do not change it, on any
// thread; its reference count, the one thing that changes here, is atomic.
unsafe impl Send for Pkey {}
// SAFETY: as above.
unsafe impl Sync for Pkey {}

impl Pkey {
    /// Parses PKCS#8.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, CryptoError> {
        let mut input = cbs(der);
        // SAFETY: `input` describes `der`, which outlives the call and is only read.
        Self::owned(unsafe { EVP_parse_private_key(&raw mut input) })
    }

    /// Parses a SubjectPublicKeyInfo.
    pub(crate) fn from_spki(der: &[u8]) -> Result<Self, CryptoError> {
        let mut input = cbs(der);
        // SAFETY: as in `from_pkcs8`.
        Self::owned(unsafe { EVP_parse_public_key(&raw mut input) })
    }

    /// The raw private key, which must have `len` bytes.
    pub(crate) fn raw_private(&self, len: usize) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut raw = Zeroizing::new(vec![0; len]);
        let mut written = len;
        // SAFETY: `raw` has `written` bytes to write to; the key is valid and not changed.
        let result = unsafe {
            EVP_PKEY_get_raw_private_key(self.0.as_ptr(), raw.as_mut_ptr(), &raw mut written)
        };
        if result == 1 && written == len { Ok(raw) } else { Err(CryptoError::Library) }
    }

    /// The raw public key, which must have `len` bytes.
    pub(crate) fn raw_public(&self, len: usize) -> Result<Vec<u8>, CryptoError> {
        let mut raw = vec![0; len];
        let mut written = len;
        // SAFETY: as in `raw_private`.
        let result = unsafe {
            EVP_PKEY_get_raw_public_key(self.0.as_ptr(), raw.as_mut_ptr(), &raw mut written)
        };
        if result == 1 && written == len { Ok(raw) } else { Err(CryptoError::Library) }
    }

    /// Signs what stands for a message, without hashing it: for ML-DSA, mu. The signature must
    /// have `len` bytes.
    pub(crate) fn sign(&self, input: &[u8], len: usize) -> Result<Vec<u8>, CryptoError> {
        let context = Context::new(self)?;
        let mut signature = vec![0; len];
        let mut written = len;
        // SAFETY: the context is valid; `signature` has `written` bytes to write to, and `input`
        // is only read.
        let result = unsafe {
            if EVP_PKEY_sign_init(context.0.as_ptr()) != 1 {
                return Err(CryptoError::Library);
            }
            EVP_PKEY_sign(
                context.0.as_ptr(),
                signature.as_mut_ptr(),
                &raw mut written,
                input.as_ptr(),
                input.len(),
            )
        };
        if result == 1 && written == len { Ok(signature) } else { Err(CryptoError::Library) }
    }

    /// Whether this is the signature of what stands for a message, as in [`sign`](Self::sign).
    pub(crate) fn verify(&self, input: &[u8], signature: &[u8]) -> Result<bool, CryptoError> {
        let context = Context::new(self)?;
        // SAFETY: the context is valid; both slices are only read.
        unsafe {
            if EVP_PKEY_verify_init(context.0.as_ptr()) != 1 {
                return Err(CryptoError::Library);
            }
            Ok(EVP_PKEY_verify(
                context.0.as_ptr(),
                signature.as_ptr(),
                signature.len(),
                input.as_ptr(),
                input.len(),
            ) == 1)
        }
    }

    /// Takes over what a function of AWS-LC returned.
    fn owned(key: *mut EVP_PKEY) -> Result<Self, CryptoError> {
        NonNull::new(key).map(Self).ok_or(CryptoError::Library)
    }
}

impl Drop for Pkey {
    fn drop(&mut self) {
        // SAFETY: this value holds the one reference that it was given.
        unsafe { EVP_PKEY_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Pkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pkey(..)")
    }
}

/// One operation with a key.
struct Context(NonNull<EVP_PKEY_CTX>);

impl Context {
    fn new(key: &Pkey) -> Result<Self, CryptoError> {
        // SAFETY: the key is valid; the context takes a reference of its own.
        let context = unsafe { EVP_PKEY_CTX_new(key.0.as_ptr(), ptr::null_mut()) };
        NonNull::new(context).map(Self).ok_or(CryptoError::Library)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and freed only here.
        unsafe { EVP_PKEY_CTX_free(self.0.as_ptr()) }
    }
}

/// The Ed25519ph signature of `message`, which is hashed, without a context (RFC 8032, section
/// 5.1). `key` is the seed, then the public key.
pub(crate) fn ed25519ph_sign(
    key: &[u8; 64],
    message: &[u8],
) -> Result<[u8; ED25519_SIGNATURE], CryptoError> {
    let mut signature = [0; ED25519_SIGNATURE];
    // SAFETY: signature and key have 64 bytes each, as the function requires; the message is only
    // read, and there is no context.
    let result = unsafe {
        ED25519ph_sign(
            signature.as_mut_ptr(),
            message.as_ptr(),
            message.len(),
            key.as_ptr(),
            ptr::null(),
            0,
        )
    };
    if result == 1 { Ok(signature) } else { Err(CryptoError::Library) }
}

/// Whether this is the Ed25519ph signature of `message`, as in [`ed25519ph_sign`].
pub(crate) fn ed25519ph_verify(
    public_key: &[u8; 32],
    message: &[u8],
    signature: &[u8; ED25519_SIGNATURE],
) -> bool {
    // SAFETY: public key and signature have 32 and 64 bytes, as the function requires; all is only
    // read, and there is no context.
    let result = unsafe {
        ED25519ph_verify(
            message.as_ptr(),
            message.len(),
            signature.as_ptr(),
            public_key.as_ptr(),
            ptr::null(),
            0,
        )
    };
    result == 1
}

/// AWS-LC's view of a slice, valid as long as that.
fn cbs(bytes: &[u8]) -> CBS {
    let mut view = CBS { data: ptr::null(), len: 0 };
    // SAFETY: only the pointer and the length are stored.
    unsafe { CBS_init(&raw mut view, bytes.as_ptr(), bytes.len()) };
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ed25519ph_known_answer() {
        // RFC 8032, section 7.3.
        let seed = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42";
        let public = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf";
        let signature = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
                         31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
        let key = hex::decode([seed, public].concat()).unwrap().try_into().unwrap();
        let signed = ed25519ph_sign(&key, b"abc").unwrap();
        assert_eq!(hex::encode(signed), signature);
        let public = hex::decode(public).unwrap().try_into().unwrap();
        assert!(ed25519ph_verify(&public, b"abc", &signed));
        assert!(!ed25519ph_verify(&public, b"abd", &signed));
    }

    #[test]
    fn what_is_no_key_is_an_error() {
        for bytes in [&b""[..], b"\x30\x00", &[0x30; 100]] {
            assert_eq!(Pkey::from_pkcs8(bytes).unwrap_err(), CryptoError::Library);
            assert_eq!(Pkey::from_spki(bytes).unwrap_err(), CryptoError::Library);
        }
    }
}
