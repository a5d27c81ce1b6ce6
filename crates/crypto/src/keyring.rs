//! The keys of a running node: the root key's purpose keys, and the domain keys.
//!
//! ```text
//! root key ─► purpose keys (derived): log, state, snapshots, tokens, credentials
//!         └─► domain keys (random, one per epoch, wrapped) ─► key material (wrapped)
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::envelope::{self, Label};
use crate::material::{KeyMaterial, MaterialBinding};
use crate::{CryptoError, Key32, OpenError, kbkdf};

const PURPOSE_LABEL: &str = "keystead.v1.purpose";
const SESSION_SECRET_LABEL: &str = "keystead.v1.session-secret";
/// Bytes of the secret access key of a session, before base64.
pub const SESSION_SECRET_LEN: usize = 30;
/// The purpose that is no [`Purpose`]: wrapping domain keys is for the keyring alone.
const DOMAIN_KEY_PURPOSE: &str = "domain-key";
/// Purpose keys have no epochs of their own: they change with the root key.
const PURPOSE_EPOCH: u32 = 0;

/// The key over all keys of a cluster, in locked memory. It leaves a node only wrapped by a
/// [`Seal`](crate::seal::Seal).
#[derive(Debug)]
pub struct RootKey(Key32);

impl RootKey {
    /// A new random root key.
    ///
    /// # Errors
    /// [`CryptoError::Random`] or [`CryptoError::Memory`].
    pub fn generate() -> Result<Self, CryptoError> {
        Key32::generate().map(Self)
    }

    pub(crate) fn new(key: Key32) -> Self {
        Self(key)
    }

    pub(crate) fn key(&self) -> &Key32 {
        &self.0
    }
}

/// What a purpose key is for. The names are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Payloads of log entries.
    LogPayload,
    /// Values of the state's rows.
    StateValue,
    /// Records of snapshots and backups.
    Snapshot,
    /// Session tokens and other things handed out sealed.
    Token,
    /// Secret access keys.
    Credential,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 5] =
        [Self::LogPayload, Self::StateValue, Self::Snapshot, Self::Token, Self::Credential];

    /// The name under which the key is derived.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogPayload => "log",
            Self::StateValue => "state",
            Self::Snapshot => "snapshot",
            Self::Token => "token",
            Self::Credential => "credential",
        }
    }
}

/// A random key that wraps key material, one per epoch, in locked memory.
#[derive(Debug)]
pub struct DomainKey {
    epoch: u32,
    key: Key32,
}

impl DomainKey {
    /// A new random key of this epoch; the first epoch is 1.
    ///
    /// # Errors
    /// [`CryptoError::Random`] or [`CryptoError::Memory`].
    pub fn generate(epoch: u32) -> Result<Self, CryptoError> {
        Ok(Self { epoch, key: Key32::generate()? })
    }

    /// The epoch.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

/// Why material was not wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// No domain key has been added to the keyring.
    #[error("there is no domain key yet")]
    NoDomainKey,
    /// The machinery failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// The keys of a running node. Share it by `Arc`.
pub struct Keyring {
    purposes: [Key32; Purpose::ALL.len()],
    domain_wrap: Key32,
    domain: RwLock<BTreeMap<u32, Arc<DomainKey>>>,
}

impl Keyring {
    /// Derives the purpose keys. The root key is not needed any more after this.
    ///
    /// # Errors
    /// [`CryptoError::Library`] or [`CryptoError::Memory`].
    pub fn new(root: &RootKey) -> Result<Self, CryptoError> {
        let derive = |name: &str| root.key().derive(PURPOSE_LABEL, &[name.as_bytes()]);
        let [log, state, snapshot, token, credential] = Purpose::ALL.map(|p| derive(p.name()));
        Ok(Self {
            purposes: [log?, state?, snapshot?, token?, credential?],
            domain_wrap: derive(DOMAIN_KEY_PURPOSE)?,
            domain: RwLock::default(),
        })
    }

    /// Seals a value under the key of `purpose`, bound to the place where it will stand.
    ///
    /// # Errors
    /// Only those of the random generator and the library.
    pub fn seal_value(
        &self,
        purpose: Purpose,
        binding: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let key = self.purpose_key(purpose);
        envelope::seal(Label::Value, key, PURPOSE_EPOCH, binding, plaintext)
    }

    /// Opens a value sealed for this purpose and place.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong.
    pub fn open_value(
        &self,
        purpose: Purpose,
        binding: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if envelope::epoch(sealed)? != PURPOSE_EPOCH {
            return Err(OpenError);
        }
        envelope::open(Label::Value, self.purpose_key(purpose), binding, sealed)
    }

    /// The secret access key that belongs to a sealed session token. It is stored nowhere: whoever
    /// has the keyring and the token derives it.
    ///
    /// # Errors
    /// [`CryptoError::Library`].
    pub fn session_secret(
        &self,
        token: &[u8],
    ) -> Result<Zeroizing<[u8; SESSION_SECRET_LEN]>, CryptoError> {
        let mut secret = Zeroizing::new([0; SESSION_SECRET_LEN]);
        let key = self.purpose_key(Purpose::Credential).expose();
        kbkdf::derive(key, SESSION_SECRET_LABEL, &[token], &mut *secret)?;
        Ok(secret)
    }

    /// The form in which a domain key is stored and replicated.
    ///
    /// # Errors
    /// Only those of the random generator and the library.
    pub fn wrap_domain_key(&self, key: &DomainKey) -> Result<Vec<u8>, CryptoError> {
        envelope::seal(Label::DomainKey, &self.domain_wrap, key.epoch, &[], key.key.expose())
    }

    /// Unwraps a domain key and keeps it; the one of the greatest epoch wraps from now on.
    ///
    /// # Errors
    /// [`OpenError`] if it is not a wrapped domain key of this epoch under this root key.
    pub fn add_domain_key(&self, epoch: u32, wrapped: &[u8]) -> Result<(), OpenError> {
        if envelope::epoch(wrapped)? != epoch {
            return Err(OpenError);
        }
        let key = envelope::open(Label::DomainKey, &self.domain_wrap, &[], wrapped)?;
        let key = key.as_slice().try_into().map_err(|_| OpenError)?;
        let key = Key32::from_bytes(key).map_err(|_| OpenError)?;
        let mut domain = self.domain.write().unwrap_or_else(PoisonError::into_inner);
        domain.insert(epoch, Arc::new(DomainKey { epoch, key }));
        Ok(())
    }

    /// The epoch of the domain key that wraps now; `None` before the first was added.
    pub fn current_epoch(&self) -> Option<u32> {
        self.current_domain_key().map(|key| key.epoch)
    }

    /// Wraps key material under the current domain key.
    ///
    /// # Errors
    /// [`WrapError`].
    pub fn wrap_material(
        &self,
        binding: &MaterialBinding,
        material: &KeyMaterial,
    ) -> Result<Vec<u8>, WrapError> {
        let domain = self.current_domain_key().ok_or(WrapError::NoDomainKey)?;
        let plaintext = material.encode();
        Ok(envelope::seal(
            Label::Material,
            &domain.key,
            domain.epoch,
            &binding.bytes(),
            &plaintext,
        )?)
    }

    /// Unwraps key material, which must be of exactly this key.
    ///
    /// # Errors
    /// [`OpenError`], whatever is wrong; an unknown epoch too, which [`envelope::epoch`] shows.
    pub fn unwrap_material(
        &self,
        binding: &MaterialBinding,
        wrapped: &[u8],
    ) -> Result<KeyMaterial, OpenError> {
        let domain = self.domain_key(envelope::epoch(wrapped)?).ok_or(OpenError)?;
        let plaintext = envelope::open(Label::Material, &domain.key, &binding.bytes(), wrapped)?;
        KeyMaterial::decode(binding.spec, &plaintext)
    }

    fn purpose_key(&self, purpose: Purpose) -> &Key32 {
        // `purposes` follows the order of `Purpose::ALL`, which is that of the declaration.
        &self.purposes[purpose as usize]
    }

    fn current_domain_key(&self) -> Option<Arc<DomainKey>> {
        let domain = self.domain.read().unwrap_or_else(PoisonError::into_inner);
        domain.last_key_value().map(|(_, key)| Arc::clone(key))
    }

    fn domain_key(&self, epoch: u32) -> Option<Arc<DomainKey>> {
        self.domain.read().unwrap_or_else(PoisonError::into_inner).get(&epoch).cloned()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}
