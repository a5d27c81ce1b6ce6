//! Import tokens: what GetParametersForImport hands out beside a public key.
//!
//! A token is the private key of that public key, sealed (purpose "token", `docs/cryptography.md`)
//! and bound to the key and the account it was made for. The service keeps nothing: whoever has
//! the token and reads wrapped material still cannot open it.

use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::import::{WrappingAlgorithm, WrappingKey};
use keystead_crypto::keyring::Purpose;
use keystead_state::Key;
use keystead_types::{KeySpec, UnixMillis};
use zeroize::Zeroizing;

use crate::region::RegionServer;

/// How long a token may be used.
pub(crate) const LIFETIME: u64 = UnixMillis::DAY;
/// What the private key is bound to, before the account and the key.
const BINDING: &[u8] = b"import token";
/// Version, algorithm, spec and expiry.
const HEADER_LEN: usize = 1 + 1 + 1 + 8;
const VERSION: u8 = 1;

/// The numbers of wrapping algorithms and specs in a token. Never change or reuse one.
const ALGORITHMS: [(u8, WrappingAlgorithm); 4] = [
    (1, WrappingAlgorithm::OaepSha1),
    (2, WrappingAlgorithm::OaepSha256),
    (3, WrappingAlgorithm::AesSha1),
    (4, WrappingAlgorithm::AesSha256),
];
const SPECS: [(u8, KeySpec); 3] =
    [(1, KeySpec::Rsa2048), (2, KeySpec::Rsa3072), (3, KeySpec::Rsa4096)];

/// What a token stands for.
#[derive(Debug)]
pub(crate) struct ImportToken {
    pub(crate) algorithm: WrappingAlgorithm,
    pub(crate) spec: KeySpec,
    pub(crate) expires: UnixMillis,
    pub(crate) wrapping: WrappingKey,
}

impl ImportToken {
    /// The token for a key.
    pub(crate) fn seal(&self, region: &RegionServer, key: &Key) -> Result<Vec<u8>, Error> {
        let algorithm = ALGORITHMS.iter().find(|(_, algorithm)| *algorithm == self.algorithm);
        let spec = SPECS.iter().find(|(_, spec)| *spec == self.spec);
        let ((algorithm, _), (spec, _)) = algorithm.zip(spec).ok_or_else(messages::internal)?;
        let secret = self.wrapping.secret();
        // Of its full size from the beginning, so that no part of the key is left where it grew.
        let mut content = Zeroizing::new(Vec::with_capacity(HEADER_LEN + secret.len()));
        content.extend_from_slice(&[VERSION, *algorithm, *spec]);
        content.extend_from_slice(&self.expires.0.to_be_bytes());
        content.extend_from_slice(secret);
        region
            .keyring()
            .seal_value(Purpose::Token, &binding(key), &content)
            .map_err(|_| messages::internal())
    }

    /// Opens a token that was made for this key.
    ///
    /// # Errors
    /// `InvalidImportTokenException` for what this region did not make for this key,
    /// `ExpiredImportTokenException` for what it made too long ago.
    pub(crate) fn open(
        region: &RegionServer,
        key: &Key,
        token: &[u8],
        now: UnixMillis,
    ) -> Result<Self, Error> {
        let invalid = || Error::bare(ErrorCode::InvalidImportTokenException);
        let content = region.keyring().open_value(Purpose::Token, &binding(key), token);
        let content = content.map_err(|_| invalid())?;
        let (header, secret) = content.split_at_checked(HEADER_LEN).ok_or_else(invalid)?;
        let [VERSION, algorithm, spec, expires @ ..] = header else { return Err(invalid()) };
        let algorithm = ALGORITHMS.iter().find(|(number, _)| number == algorithm);
        let spec = SPECS.iter().find(|(number, _)| number == spec);
        let (&(_, algorithm), &(_, spec)) = algorithm.zip(spec).ok_or_else(invalid)?;
        let expires = expires.try_into().map_err(|_| invalid())?;
        let expires = UnixMillis(u64::from_be_bytes(expires));
        if expires <= now {
            return Err(Error::bare(ErrorCode::ExpiredImportTokenException));
        }
        let wrapping = WrappingKey::from_secret(spec, secret).map_err(|_| invalid())?;
        Ok(Self { algorithm, spec, expires, wrapping })
    }
}

fn binding(key: &Key) -> Vec<u8> {
    let mut binding = BINDING.to_vec();
    binding.extend_from_slice(&key.account.number().to_be_bytes());
    binding.push(u8::from(key.id.multi_region()));
    binding.extend_from_slice(key.id.bytes());
    binding
}
