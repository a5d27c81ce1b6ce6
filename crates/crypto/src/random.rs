//! Random bytes from the cryptographic library's generator, which the operating system seeds.

use crate::CryptoError;

/// Fills `bytes`.
///
/// # Errors
/// [`CryptoError::Random`]; `bytes` must then not be used.
pub fn fill(bytes: &mut [u8]) -> Result<(), CryptoError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| CryptoError::Random)
}

/// `N` bytes, for what is not secret; a key is made by [`Key32::generate`](crate::Key32::generate).
///
/// # Errors
/// [`CryptoError::Random`].
pub fn bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_between_calls() {
        assert_ne!(bytes::<32>().unwrap(), bytes::<32>().unwrap());
        fill(&mut []).unwrap();
    }
}
