//! KBKDF in counter mode with HMAC-SHA-512 (NIST SP 800-108r1, section 4.1).
//!
//! Every derivation of Keystead has fixed input data of one shape, so that no two of different
//! meaning can coincide: `label ‖ 0x00 ‖ context ‖ u32(bits of output)`. A label holds no zero
//! byte; the counter is 32 bits, big-endian, before the fixed input.

use aws_lc_rs::kdf::{
    KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac as derive_from_info,
};

use crate::CryptoError;

/// Fills `output` from `key`, for the use that `label` names, on the joined parts of `context`.
///
/// # Errors
/// [`CryptoError::Library`] if `key` or `output` is empty or the output absurdly long.
pub fn derive(
    key: &[u8],
    label: &str,
    context: &[&[u8]],
    output: &mut [u8],
) -> Result<(), CryptoError> {
    let bits = u32::try_from(output.len() * 8).map_err(|_| CryptoError::Library)?;
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha512)
        .ok_or(CryptoError::Library)?;
    let context_len: usize = context.iter().map(|part| part.len()).sum();
    let mut info = Vec::with_capacity(label.len() + 1 + context_len + 4);
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    for part in context {
        info.extend_from_slice(part);
    }
    info.extend_from_slice(&bits.to_be_bytes());
    derive_from_info(algorithm, key, &info, output).map_err(|_| CryptoError::Library)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::*;

    /// SP 800-108 by hand: K(i) = HMAC(key, u32(i) ‖ info).
    fn reference(key: &[u8], info: &[u8], len: usize) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA512, key);
        let mut output = Vec::new();
        for counter in 1u32.. {
            if output.len() >= len {
                break;
            }
            let block = [&counter.to_be_bytes(), info].concat();
            output.extend_from_slice(hmac::sign(&key, &block).as_ref());
        }
        output.truncate(len);
        output
    }

    #[test]
    fn agrees_with_the_definition() {
        for len in [16, 32, 64, 100] {
            let mut output = vec![0; len];
            derive(&[7; 32], "label", &[b"con", b"text"], &mut output).unwrap();
            let bits = u32::try_from(len * 8).unwrap().to_be_bytes();
            let info = [b"label\0context", &bits[..]].concat();
            assert_eq!(output, reference(&[7; 32], &info, len));
        }
    }

    #[test]
    fn empty_output_or_key_is_an_error() {
        assert_eq!(derive(&[7; 32], "label", &[], &mut []), Err(CryptoError::Library));
        assert_eq!(derive(&[], "label", &[], &mut [0; 32]), Err(CryptoError::Library));
    }
}
