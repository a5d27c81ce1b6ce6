//! The one place where payloads and values are encrypted and decrypted.
//!
//! Each is bound to the place it stands in, so that no two can be exchanged: a log payload to the
//! cluster and its command's id, a state value to its row key, a snapshot record to the cluster
//! and its row key.

use std::io;
use std::sync::Arc;

use keystead_crypto::keyring::{Keyring, Purpose};
use keystead_types::ClusterId;

/// Seals and opens what is stored.
#[derive(Clone)]
pub(crate) struct Codec {
    keyring: Arc<Keyring>,
    cluster_id: ClusterId,
}

/// What could not be sealed or opened. It says where, never why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("the {0} could not be encrypted")]
    Seal(&'static str),
    #[error(
        "the {0} cannot be decrypted: it is damaged, misplaced, or sealed with another root key"
    )]
    Open(&'static str),
}

impl From<CodecError> for io::Error {
    fn from(error: CodecError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl Codec {
    pub(crate) fn new(keyring: Arc<Keyring>, cluster_id: ClusterId) -> Self {
        Self { keyring, cluster_id }
    }

    pub(crate) fn cluster_id(&self) -> ClusterId {
        self.cluster_id
    }

    pub(crate) fn seal_command(&self, id: &[u8; 16], plain: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.seal(Purpose::LogPayload, &self.bound_to_cluster(id), plain, "log payload")
    }

    pub(crate) fn open_command(&self, id: &[u8; 16], sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.open(Purpose::LogPayload, &self.bound_to_cluster(id), sealed, "log payload")
    }

    pub(crate) fn seal_row(&self, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.seal(Purpose::StateValue, key, plain, "state value")
    }

    pub(crate) fn open_row(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.open(Purpose::StateValue, key, sealed, "state value")
    }

    pub(crate) fn seal_record(&self, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.seal(Purpose::Snapshot, &self.bound_to_cluster(key), plain, "snapshot record")
    }

    pub(crate) fn open_record(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.open(Purpose::Snapshot, &self.bound_to_cluster(key), sealed, "snapshot record")
    }

    fn bound_to_cluster(&self, place: &[u8]) -> Vec<u8> {
        [self.cluster_id.bytes(), place].concat()
    }

    fn seal(
        &self,
        purpose: Purpose,
        binding: &[u8],
        plain: &[u8],
        what: &'static str,
    ) -> Result<Vec<u8>, CodecError> {
        if cfg!(feature = "danger-clear-values") {
            return Ok(plain.to_vec());
        }
        self.keyring.seal_value(purpose, binding, plain).map_err(|_| CodecError::Seal(what))
    }

    fn open(
        &self,
        purpose: Purpose,
        binding: &[u8],
        sealed: &[u8],
        what: &'static str,
    ) -> Result<Vec<u8>, CodecError> {
        if cfg!(feature = "danger-clear-values") {
            return Ok(sealed.to_vec());
        }
        let mut plain = self
            .keyring
            .open_value(purpose, binding, sealed)
            .map_err(|_| CodecError::Open(what))?;
        Ok(std::mem::take(&mut *plain))
    }
}
