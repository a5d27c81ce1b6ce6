//! The errors that several modules share.

/// A failure of the machinery, not of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The system's random generator gave nothing.
    #[error("the random generator failed")]
    Random,
    /// The cryptographic library refused an operation.
    #[error("the cryptographic library failed")]
    Library,
    /// No memory for a secret, or the secret is larger than any should be.
    #[error("no protected memory for a secret")]
    Memory,
}

/// Something could not be opened. It deliberately does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot be opened")]
pub struct OpenError;

/// Why an operation with a key gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// Keys of this spec do not have the algorithm, or it does not take the message type;
    /// [`spec`](crate::spec) says what they have.
    #[error("the key does not have this algorithm")]
    Unsupported,
    /// The plaintext is too long, or the digest does not have the length that
    /// [`spec`](crate::spec) says.
    #[error("the input does not have the length that the algorithm requires")]
    Length,
    /// This is not the signature of this message under this key.
    #[error("the signature is invalid")]
    InvalidSignature,
    /// This is not the MAC of this message under this key.
    #[error("the MAC is invalid")]
    InvalidMac,
    /// The ciphertext does not decrypt. It deliberately does not say why.
    #[error("the ciphertext is invalid")]
    InvalidCiphertext,
    /// This is not a public key of the kind that is needed.
    #[error("the public key is invalid")]
    InvalidPublicKey,
    /// The machinery failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}
