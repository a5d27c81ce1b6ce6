//! What the View holds: the records, with types that cannot hold a bad value.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_types::{
    AccessKeyId, AccountId, AliasName, KeyId, KeyManager, KeySpec, KeyState, KeyUsage, MaterialId,
    Origin, Region, UnixMillis, UserId,
};

/// The root key under one seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRoot {
    /// Which seal.
    pub seal_id: String,
    /// Tells a wrong seal from a damaged blob.
    pub check_value: Vec<u8>,
    /// The wrapped root key.
    pub blob: Vec<u8>,
}

/// One epoch of the domain key, wrapped under the root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainKey {
    /// Its number, from 1.
    pub epoch: u32,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: UnixMillis,
}

/// The authority that signs the certificates of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Its private key, PKCS#8, sealed.
    pub sealed_key: Vec<u8>,
    /// When it was made.
    pub created: UnixMillis,
}

/// An account that may use the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// When it was created.
    pub created: UnixMillis,
    /// Whether nobody of it gets anything done.
    pub suspended: bool,
    /// Log index of its last suspension.
    pub rights_removed_at: u64,
}

/// An access key. It authenticates a user, or the root of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: AccessKeyId,
    /// The account it belongs to.
    pub account: AccountId,
    /// The user it belongs to; of the account's root, none.
    pub user: Option<UserId>,
    /// The secret, sealed for the purpose "credential" and bound to the id.
    pub sealed_secret: Vec<u8>,
    /// When it was created.
    pub created: UnixMillis,
    /// Whether it may sign requests.
    pub active: bool,
    /// Log index of the last change that took a right away.
    pub rights_removed_at: u64,
    /// Log index at which the secret was set; part of every cache key for it.
    pub version: u64,
}

/// A policy document. Whoever has an equal one shares it.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    /// SHA-256 of the text: its row key.
    pub id: [u8; 32],
    /// The document as it was given.
    pub text: String,
}

/// Where a key material stands in its key's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaterialState {
    /// Encrypts and decrypts.
    Current,
    /// Decrypts only.
    NonCurrent,
    /// Imported, waits for a rotation.
    PendingRotation,
}

/// One key material of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Its id.
    pub id: MaterialId,
    /// Wrapped under a domain key; empty when imported material was deleted or expired.
    pub wrapped: Box<[u8]>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its place in the key's history.
    pub state: MaterialState,
    /// When it became part of the key.
    pub created: UnixMillis,
    /// When imported material expires.
    pub expires: Option<UnixMillis>,
    /// What its importer wrote about it.
    pub description: Box<str>,
}

/// The relatives of a multi-Region key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiRegion {
    /// The Region of the primary.
    pub primary: Region,
    /// The Regions of the replicas.
    pub replicas: Vec<Region>,
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, unique over all accounts of the region.
    pub id: KeyId,
    /// The account that owns it.
    pub account: AccountId,
    /// Who manages it.
    pub manager: KeyManager,
    /// What kind of material it has.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Its state.
    pub state: KeyState,
    /// What its owner wrote about it.
    pub description: Box<str>,
    /// When it was created.
    pub created: UnixMillis,
    /// All its materials, oldest first.
    pub materials: Box<[Material]>,
    /// Index of the material that encrypts, once there is one.
    pub current_material: Option<u32>,
    /// Its key policy.
    pub policy: Arc<Policy>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When its deletion window ends, while it is pending deletion.
    pub deletion: Option<UnixMillis>,
    /// Its relatives, if it is a multi-Region key.
    pub multi_region: Option<Box<MultiRegion>>,
    /// Log index of the last change that took a right away.
    pub rights_removed_at: u64,
}

impl Key {
    /// The material that encrypts.
    pub fn current(&self) -> Option<&Material> {
        self.materials.get(usize::try_from(self.current_material?).ok()?)
    }

    /// The material whose id begins with these 16 bytes, as a ciphertext names it.
    pub fn material_by_prefix(&self, prefix: &[u8; 16]) -> Option<&Material> {
        self.materials.iter().find(|material| material.id.bytes()[..16] == prefix[..])
    }

    /// Whether its deletion window has ended.
    pub fn is_due(&self, clock: UnixMillis) -> bool {
        self.deletion.is_some_and(|deletion| deletion <= clock)
    }
}

/// A name for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The account it belongs to.
    pub account: AccountId,
    /// The name, prefix included.
    pub name: AliasName,
    /// The key it points at, of the same account.
    pub target: KeyId,
    /// When it was created.
    pub created: UnixMillis,
    /// When it was last pointed at a key.
    pub updated: UnixMillis,
}
