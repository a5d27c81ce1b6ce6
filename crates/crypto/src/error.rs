//! The two errors that all modules share.

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
