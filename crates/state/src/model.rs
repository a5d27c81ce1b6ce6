//! What the View holds: the records, with types that cannot hold a bad value.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_policy::{Document, Kind, NamedPrincipal, PolicyError};
use keystead_types::{
    AccessKeyId, AccountId, AliasName, CryptographicOperation, GrantId, GrantOperation, KeyId,
    KeyManager, KeySpec, KeyState, KeyUsage, MaterialId, Origin, Principal, RequestId, ServiceName,
    UnixMillis, UserId,
};

use crate::regions::MultiRegion;

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

/// An account that may use the region: of people, or of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// When it was created.
    pub created: UnixMillis,
    /// Whether nobody of it gets anything done.
    pub suspended: bool,
    /// Log index of its last suspension.
    pub rights_removed_at: u64,
    /// Sessions of its root that were issued before this have ended; zero if none has.
    pub sessions_valid_after: UnixMillis,
    /// The service whose account it is. Then its root is that service.
    pub service: Option<ServiceName>,
}

impl Account {
    /// Whoever signs with an access key of the account itself.
    pub fn principal(&self) -> Principal {
        match &self.service {
            Some(name) => Principal::Service { account: self.id, name: name.clone() },
            None => Principal::Root(self.id),
        }
    }
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

/// A policy document. Whatever carries equal documents shares one.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    /// What [`Policy::new`] or [`Policy::trust`] makes of text and principals: its row key.
    pub id: [u8; 32],
    /// The document as it was given.
    pub text: String,
    /// Whom a key or trust policy names: the unique id that each ARN stood for when the policy was put.
    pub principals: BTreeMap<String, String>,
    /// The document as it is evaluated; where the text is no policy, one that denies everything.
    pub document: Document,
    /// Why the text is no policy.
    pub error: Option<PolicyError>,
}

impl Policy {
    /// A key's policy or one of IAM's: that a text says itself, for only a key's has principals.
    pub(crate) fn new(text: &str, principals: BTreeMap<String, String>) -> Self {
        let parsed = Document::parse(Kind::Key, text);
        let parsed =
            parsed.or_else(|error| Document::parse(Kind::Identity, text).map_err(|_| error));
        Self::compiled(Kind::Key, parsed, text, principals)
    }

    /// The trust policy of roles. A key could have the same text, but it would mean something else.
    pub(crate) fn trust(text: &str, principals: BTreeMap<String, String>) -> Self {
        let parsed = Document::parse(Kind::Trust, text);
        Self::compiled(Kind::Trust, parsed, text, principals)
    }

    fn compiled(
        kind: Kind,
        parsed: Result<Document, PolicyError>,
        text: &str,
        principals: BTreeMap<String, String>,
    ) -> Self {
        // No policy holds a zero byte, so that nothing else reads the same.
        let bound = principals.iter().flat_map(|(arn, id)| [arn.as_str(), id.as_str()]);
        let mut identity = text.as_bytes().to_vec();
        for part in bound.chain((kind == Kind::Trust).then_some("trust")) {
            identity.push(0);
            identity.extend_from_slice(part.as_bytes());
        }
        let (document, error) = match parsed {
            Ok(document) => (document.bound(|arn| principals.get(arn).cloned()), None),
            Err(error) => (Document::denying(kind), Some(error)),
        };
        let id = keystead_crypto::digest::sha256(&identity);
        Self { id, text: text.to_owned(), principals, document, error }
    }

    /// Whether it is the trust policy of roles.
    pub(crate) fn is_trust(&self) -> bool {
        self.document.kind() == Kind::Trust
    }
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
    /// Made by a rotation of a multi-Region key, waits until every replica has it.
    Spreading,
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
    /// The rotation that made it current: none for the first one and for one that waits.
    pub rotation: Option<MaterialRotation>,
}

/// The rotation that made a material current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaterialRotation {
    /// When.
    pub at: UnixMillis,
    /// Whether somebody asked for it.
    pub on_demand: bool,
}

/// The automatic rotation of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Days from one to the next.
    pub period_days: u32,
    /// When the next one is due.
    pub next: UnixMillis,
}

impl Material {
    /// Whether it is there: imported material may have been deleted, or have expired.
    pub fn is_present(&self) -> bool {
        !self.wrapped.is_empty()
    }

    /// Whether it remains a part of its key for good: what it encrypted may be anywhere.
    pub fn is_lasting(&self) -> bool {
        self.state != MaterialState::PendingRotation
    }
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
    /// The days of the window that begins when its last replica is gone; 0 unless it waits for that.
    pub pending_window_days: u32,
    /// Its relatives, if it is a multi-Region key.
    pub multi_region: Option<Box<MultiRegion>>,
    /// Its automatic rotation, while it is enabled.
    pub rotation: Option<Box<Rotation>>,
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

    /// Whether all its materials are there that it ever encrypted with.
    pub fn is_whole(&self) -> bool {
        let mut lasting = self.materials.iter().filter(|material| material.is_lasting());
        self.current().is_some() && lasting.all(Material::is_present)
    }

    /// When the first of its materials expires.
    pub fn next_expiry(&self) -> Option<UnixMillis> {
        self.materials.iter().filter_map(|material| material.expires).min()
    }

    /// The same key, without what has expired of it at this time.
    #[must_use]
    pub fn as_of(self: &Arc<Self>, time: UnixMillis) -> Arc<Self> {
        if self.next_expiry().is_none_or(|expiry| expiry > time) {
            return self.clone();
        }
        let mut key = Self::clone(self);
        key.expire(time);
        Arc::new(key)
    }

    /// Takes away the materials that have expired; `false` if none has.
    pub(crate) fn expire(&mut self, time: UnixMillis) -> bool {
        let expired = |material: &Material| material.expires.is_some_and(|at| at <= time);
        let gone = self.materials.iter().filter(|material| expired(material));
        let gone: Vec<MaterialId> = gone.map(|material| material.id).collect();
        gone.iter().for_each(|id| self.take_material(*id));
        !gone.is_empty()
    }

    /// Takes a material away. The key remembers which one it was, but for one that it has never
    /// encrypted with, and waits for it.
    pub(crate) fn take_material(&mut self, id: MaterialId) {
        let Some(taken) = self.materials.iter_mut().find(|material| material.id == id) else {
            return;
        };
        if taken.is_lasting() {
            (taken.wrapped, taken.expires) = (Box::default(), None);
            if matches!(self.state, KeyState::Enabled | KeyState::Disabled) {
                self.state = KeyState::PendingImport;
            }
            return;
        }
        let current = self.current().map(|material| material.id);
        self.materials = self.materials.iter().filter(|one| one.id != id).cloned().collect();
        let place = self.materials.iter().position(|one| Some(one.id) == current);
        self.current_material = place.and_then(|place| u32::try_from(place).ok());
    }

    /// Whether its deletion window has ended.
    pub fn is_due(&self, clock: UnixMillis) -> bool {
        self.deletion.is_some_and(|deletion| deletion <= clock)
    }

    /// When it is rotated next, by itself: never while it is not enabled, nor if it is a replica, or
    /// a primary that waits for its replicas to have the newest material.
    pub fn rotation_due(&self) -> Option<UnixMillis> {
        let rotates =
            self.state == KeyState::Enabled && self.as_replica().is_none() && !self.spreads();
        self.rotation.as_ref().filter(|_| rotates).map(|rotation| rotation.next)
    }

    /// How often it was rotated on demand.
    pub fn on_demand_rotations(&self) -> usize {
        let rotations = self.materials.iter().filter_map(|material| material.rotation);
        rotations.filter(|rotation| rotation.on_demand).count()
    }

    /// Whether it can be rotated at all: its ciphertexts name their material.
    pub fn can_rotate(&self) -> bool {
        self.spec == KeySpec::SymmetricDefault
            && matches!(self.origin, Origin::AwsKms | Origin::External)
    }
}

/// A use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key: KeyId,
    /// When.
    pub at: UnixMillis,
    /// What for.
    pub operation: CryptographicOperation,
    /// The id of the request, as its caller knows it.
    pub request_id: RequestId,
    /// The id of its audit record.
    pub event_id: RequestId,
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

/// What one principal may do with one key, aside from all policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// The key.
    pub key: KeyId,
    /// The account whose principal made it.
    pub issuing_account: AccountId,
    /// The name that makes asking for it again harmless; empty for none.
    pub name: Box<str>,
    /// Who may use the key.
    pub grantee: GrantPrincipal,
    /// Who may retire the grant.
    pub retiring: Option<GrantPrincipal>,
    /// What the grantee may do, in order and each once.
    pub operations: Box<[GrantOperation]>,
    /// When.
    pub constraints: GrantConstraints,
    /// When it was made.
    pub created: UnixMillis,
}

/// Whom a grant names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantPrincipal {
    /// An ARN, or a service's name.
    pub name: Arc<str>,
    /// Who that was when the grant was made.
    pub named: NamedPrincipal,
}

impl GrantPrincipal {
    /// What grants are found by: the unique id of a user or a role; else the name.
    pub(crate) fn key(&self) -> Arc<str> {
        match &self.named {
            NamedPrincipal::UniqueId(id) => id.as_str().into(),
            _ => self.name.clone(),
        }
    }
}

/// Under which conditions a grant allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrantConstraints {
    /// The encryption context must be this one.
    pub equals: Option<BTreeMap<String, String>>,
    /// The encryption context must have these pairs.
    pub subset: Option<BTreeMap<String, String>>,
    /// The request must be made for this resource.
    pub source_arn: Option<Box<str>>,
}

impl Grant {
    /// A grant as a command brings it, with the principals that it names.
    pub fn from_record(record: crate::proto::GrantRecord) -> Option<Self> {
        crate::records::read_grant(record)
    }

    /// Whether another one says the same, but for id and time, and for the names of users who were
    /// renamed in between.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let named = |principal: &GrantPrincipal| principal.named.clone();
        let Self { id, created, .. } = *self;
        let (grantee, retiring) = (self.grantee.clone(), self.retiring.clone());
        named(&self.grantee) == named(&other.grantee)
            && self.retiring.as_ref().map(named) == other.retiring.as_ref().map(named)
            && *self == Self { id, created, grantee, retiring, ..other.clone() }
    }
}
