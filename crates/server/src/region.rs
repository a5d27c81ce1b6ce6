//! One Region: its node, its keys' material, its signing keys. A process may serve several; they
//! share nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::cache::MaterialCache;
use keystead_crypto::keyring::{Keyring, Purpose};
use keystead_crypto::material::{KeyMaterial, MaterialBinding};
use keystead_crypto::{random, spec};
use keystead_raft::{Node, ProposeError, Standing, Unavailable};
use keystead_state::proto::{self, command};
use keystead_state::{Command, Credential, Key, Material, Outcome, View, least_version};
use keystead_types::{
    AccessKeyId, AccountId, KeyArn, KeyId, KeySpec, KeyUsage, MaterialId, Origin, Region,
};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use zeroize::Zeroizing;

use crate::authenticate::unreadable;
use crate::boot::BootError;
use crate::cluster::Authority;
use crate::oidc::Issuers;
use crate::quotas::Quotas;
use crate::regions::PeerRegions;
use crate::sigv4::SigningKey;
use crate::slow_work::SlowWork;
use crate::throttle::{RequestQuotas, Throttle};
use crate::uses::KeyUses;
use crate::workloads::Workload;

/// Unwrapped materials kept at most.
const CACHED_MATERIALS: usize = 10_000;
/// Signing keys kept at most; one per access key, day and service.
const CACHED_SIGNING_KEYS: usize = 10_000;
/// What the sealed key of the authority is bound to: no access key has this id.
const AUTHORITY_BINDING: &[u8] = b"cluster authority";
/// How often the state is told of uses of keys, unless said otherwise.
const USE_INTERVAL: Duration = Duration::from_secs(60);
/// Within what time lost material is off the disk, unless said otherwise.
const ERASE_WITHIN: Duration = Duration::from_secs(3600);

/// A served Region.
pub struct RegionServer {
    name: Region,
    node: Node,
    keyring: Arc<Keyring>,
    materials: MaterialCache,
    signing_keys: Cache<SigningKeyId, Arc<SigningKey>>,
    learner: bool,
    pub(crate) use_interval: Duration,
    pub(crate) erase_within: Duration,
    /// When keys were last used, as far as the state is not told of it.
    pub(crate) uses: KeyUses,
    /// The keys of token issuers.
    pub(crate) issuers: Issuers,
    pub(crate) throttle: Throttle,
    pub(crate) quotas: Quotas,
    workloads: Vec<Workload>,
    /// What this process knows of other regions.
    pub(crate) peer_regions: PeerRegions,
    /// Where keys are generated that take long to find.
    pub(crate) generation: SlowWork,
    /// Where private keys are used that take long to use.
    pub(crate) private_keys: SlowWork,
}

/// What wrapped material is bound to, beside its id.
pub(crate) struct MaterialOf {
    pub(crate) account: AccountId,
    pub(crate) id: KeyId,
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsage,
    pub(crate) origin: Origin,
}

/// What a signing key depends on. The version changes with the secret.
#[derive(Clone, Hash, PartialEq, Eq)]
struct SigningKeyId<Text = Box<str>> {
    access_key_id: AccessKeyId,
    version: u64,
    date: Text,
    region: Text,
    service: Text,
}

/// Looked up by borrowed texts: this is done for every request.
impl Equivalent<SigningKeyId> for SigningKeyId<&str> {
    fn equivalent(&self, owned: &SigningKeyId) -> bool {
        (&self.access_key_id, self.version) == (&owned.access_key_id, owned.version)
            && [self.date, self.region, self.service]
                == [&*owned.date, &*owned.region, &*owned.service]
    }
}

impl From<&SigningKeyId<&str>> for SigningKeyId {
    fn from(id: &SigningKeyId<&str>) -> Self {
        Self {
            access_key_id: id.access_key_id.clone(),
            version: id.version,
            date: id.date.into(),
            region: id.region.into(),
            service: id.service.into(),
        }
    }
}

/// A command that was applied.
pub(crate) struct Applied {
    pub(crate) outcome: Outcome,
    pub(crate) index: u64,
}

impl RegionServer {
    /// A Region on a started node, with the keyring of its root key.
    pub fn new(name: Region, node: Node, keyring: Arc<Keyring>) -> Self {
        Self {
            learner: false,
            use_interval: USE_INTERVAL,
            erase_within: ERASE_WITHIN,
            uses: KeyUses::new(),
            name,
            node,
            keyring,
            materials: MaterialCache::new(CACHED_MATERIALS),
            signing_keys: Cache::new(CACHED_SIGNING_KEYS),
            issuers: Issuers::default(),
            throttle: Throttle::new(RequestQuotas::default()),
            quotas: Quotas::default(),
            workloads: Vec::new(),
            peer_regions: PeerRegions::new(),
            generation: SlowWork::in_background(),
            private_keys: SlowWork::on_all_cores(),
        }
    }

    /// The same, whose node shall stay without a vote.
    #[must_use]
    pub fn as_learner(self) -> Self {
        Self { learner: true, ..self }
    }

    /// The same, which tells the state of uses of keys so often.
    #[must_use]
    pub fn with_use_interval(self, use_interval: Duration) -> Self {
        Self { use_interval, ..self }
    }

    /// The same, which has lost material off its disk within this time.
    #[must_use]
    pub fn with_erase_within(self, erase_within: Duration) -> Self {
        Self { erase_within, ..self }
    }

    /// The same, whose accounts have these quotas.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { throttle: Throttle::new(quotas.requests.clone()), quotas, ..self }
    }

    /// The same, which has the keys of token issuers from here.
    #[must_use]
    pub fn with_issuers(self, issuers: Issuers) -> Self {
        Self { issuers, ..self }
    }

    /// The same, in which these workloads have roles.
    #[must_use]
    pub fn with_workloads(self, workloads: Vec<Workload>) -> Self {
        Self { workloads, ..self }
    }

    /// The workloads that have roles.
    pub(crate) fn workloads(&self) -> &[Workload] {
        &self.workloads
    }

    /// Whether the node shall stay without a vote.
    pub(crate) fn is_learner(&self) -> bool {
        self.learner
    }

    /// The Region's name.
    pub fn name(&self) -> &Region {
        &self.name
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Its node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Whether the node is what it shall be in its cluster. One that still catches up serves, but
    /// nobody should rely on it: while it does, another one may not be taken away.
    pub(crate) fn is_full_member(&self) -> bool {
        match self.node.standing() {
            Standing::Voter => true,
            Standing::Learner => self.learner,
            Standing::Absent => false,
        }
    }

    /// The newest View of this node; confirmed by nobody.
    pub fn view(&self) -> Arc<View> {
        self.node.view()
    }

    /// A View that includes everything acknowledged before this call.
    pub(crate) async fn barrier(&self, deadline: Instant) -> Result<Arc<View>, Error> {
        self.node.barrier(deadline.into()).await.map_err(|error| unavailable(&error))
    }

    /// Proposes a command, through whichever node leads, and waits until it is applied.
    ///
    /// # Errors
    /// A member would not understand it, or it was not acknowledged.
    pub(crate) async fn propose(&self, command: Command) -> Result<Applied, Error> {
        let view = self.view();
        if view.is_initialised() && !is_understood(&command, view.cluster_version()) {
            return Err(messages::members_too_old());
        }
        match self.node.propose(command).await {
            Ok((outcome, index)) => Ok(Applied { outcome, index }),
            Err(ProposeError::DiskFull) => {
                let text = "This node is short of disk space and takes no changes.";
                Err(Error::new(ErrorCode::KMSInternalException, text))
            }
            Err(error) => {
                tracing::warn!(%error, region = %self.name, "a command was not acknowledged");
                Err(Error::new(ErrorCode::KMSInternalException, error.to_string()))
            }
        }
    }

    /// Proposes a command of the system's own.
    pub(crate) async fn propose_system(
        &self,
        operation: command::Operation,
    ) -> Result<Applied, Error> {
        self.propose(Command {
            // So that it may be tried again while the region looks for a leader.
            request_id: random::bytes::<32>().map_err(|_| messages::internal())?.to_vec(),
            principal: "system".into(),
            authorised_at: u64::MAX,
            version: match operation {
                // A new cluster has no member that knows less than this node.
                command::Operation::Initialise(_) => self.node.understands(),
                _ => least_version(&operation),
            },
            operation: Some(operation),
            ..Command::default()
        })
        .await
    }

    /// The unwrapped material of a key, from the cache or by its wrap. That it is in the cache
    /// says nothing about whether it may be used: the View does.
    pub(crate) fn material(
        &self,
        view: &View,
        key: &Key,
        material: &Material,
    ) -> Result<Arc<KeyMaterial>, Error> {
        if !material.is_present() {
            // It may be in the cache for a while yet.
            self.materials.remove(key.id, material.id);
            let (region, account, id) = (self.name.clone(), key.account, key.id);
            return Err(messages::pending_import(KeyArn { region, account, id }));
        }
        let binding = binding(key.account, key.id, material, key.spec, key.usage);
        let unwrap = || {
            self.load_domain_keys(view)?;
            self.keyring
                .unwrap_material(&binding, &material.wrapped)
                .map_err(|_| unreadable("key material"))
        };
        self.materials.get_or_insert_with(key.id, material.id, unwrap)
    }

    /// New material for a key, wrapped under the current domain key.
    pub(crate) async fn new_material(
        &self,
        view: &View,
        account: AccountId,
        id: KeyId,
        spec: KeySpec,
        usage: KeyUsage,
    ) -> Result<proto::MaterialRecord, Error> {
        let generate = move || KeyMaterial::generate(spec);
        let material =
            if spec::of(spec).slow { self.generation.run(generate).await? } else { generate() };
        let material = material.map_err(|_| messages::internal())?;
        let origin = Origin::AwsKms;
        self.wrap_material(view, &MaterialOf { account, id, spec, usage, origin }, &material)
    }

    /// Material that is given, wrapped under the current domain key.
    pub(crate) fn wrap_material(
        &self,
        view: &View,
        key: &MaterialOf,
        material: &KeyMaterial,
    ) -> Result<proto::MaterialRecord, Error> {
        let MaterialOf { account, id, spec, usage, origin } = *key;
        let material_id = material.id(&id, spec).map_err(|_| messages::internal())?;
        let binding = MaterialBinding { account, key_id: id, material_id, spec, usage, origin };
        Ok(proto::MaterialRecord {
            id: material_id.bytes().to_vec(),
            wrapped: self.wrap_bound(view, &binding, material)?,
            origin: origin.code().into(),
            state: proto::MaterialState::Current.into(),
            ..Default::default()
        })
    }

    /// The wrap of material that has an id, under the current domain key.
    pub(crate) fn wrap_bound(
        &self,
        view: &View,
        binding: &MaterialBinding,
        material: &KeyMaterial,
    ) -> Result<Vec<u8>, Error> {
        self.load_domain_keys(view)?;
        self.keyring.wrap_material(binding, material).map_err(|_| messages::internal())
    }

    /// Forgets unwrapped material that is no more.
    pub(crate) fn forget_material(&self, key: KeyId, material: MaterialId) {
        self.materials.remove(key, material);
    }

    /// Forgets all unwrapped material of keys that a View does not have any more.
    pub(crate) fn forget_lost_material(&self, view: &View) {
        self.materials.retain(|key, material| {
            let key = view.key(key);
            key.is_some_and(|key| {
                key.materials.iter().any(|one| one.id == *material && one.is_present())
            })
        });
    }

    /// The secret of an access key.
    pub(crate) fn secret(&self, credential: &Credential) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.keyring
            .open_value(
                Purpose::Credential,
                credential.id.as_str().as_bytes(),
                &credential.sealed_secret,
            )
            .map_err(|_| unreadable("an access key's secret"))
    }

    /// A secret, sealed for an access key.
    pub(crate) fn seal_secret(&self, access_key_id: &str, secret: &str) -> Result<Vec<u8>, Error> {
        self.keyring
            .seal_value(Purpose::Credential, access_key_id.as_bytes(), secret.as_bytes())
            .map_err(|_| messages::internal())
    }

    /// The private key of the cluster's authority, sealed.
    pub(crate) fn seal_authority_key(&self, key: &[u8]) -> Result<Vec<u8>, Error> {
        self.keyring
            .seal_value(Purpose::Credential, AUTHORITY_BINDING, key)
            .map_err(|_| messages::internal())
    }

    /// The cluster's authority, ready to sign.
    ///
    /// # Errors
    /// There is none yet, or it cannot be opened.
    pub(crate) fn authority(&self) -> Result<Authority, BootError> {
        let view = self.view();
        let refused = |why: &str| BootError::Refused(why.to_owned());
        let (cluster, stored) = view
            .cluster_id()
            .zip(view.authority())
            .ok_or_else(|| refused("the cluster has no authority yet"))?;
        let key = self
            .keyring
            .open_value(Purpose::Credential, AUTHORITY_BINDING, &stored.sealed_key)
            .map_err(|_| refused("the key of the cluster's authority cannot be opened"))?;
        Authority::load(cluster, &stored.certificate, &key)
            .map_err(|error| refused(&error.to_string()))
    }

    /// The signing key of an access key for one day, Region and service.
    pub(crate) fn signing_key(
        &self,
        credential: &Credential,
        date: &str,
        region: &str,
        service: &str,
    ) -> Result<Arc<SigningKey>, Error> {
        let (access_key_id, version) = (credential.id.clone(), credential.version);
        let id = SigningKeyId { access_key_id, version, date, region, service };
        if let Some(known) = self.signing_keys.get(&id) {
            return Ok(known);
        }
        self.signing_keys.get_or_insert_with(&SigningKeyId::from(&id), || {
            let secret = self.secret(credential)?;
            let secret = std::str::from_utf8(&secret).map_err(|_| messages::internal())?;
            Ok(Arc::new(SigningKey::derive(secret, date, region, service)))
        })
    }

    /// Sixteen random bytes, for an identifier.
    pub(crate) fn entropy(&self) -> Result<[u8; 16], Error> {
        random::bytes().map_err(|_| messages::internal())
    }

    /// Makes the domain keys of a View usable here, unless they are already.
    fn load_domain_keys(&self, view: &View) -> Result<(), Error> {
        let newest = view.domain_keys().map(|key| key.epoch).max();
        if self.keyring.current_epoch() >= newest {
            return Ok(());
        }
        for key in view.domain_keys() {
            self.keyring
                .add_domain_key(key.epoch, &key.wrapped)
                .map_err(|_| unreadable("a domain key"))?;
        }
        Ok(())
    }
}

fn binding(
    account: AccountId,
    key_id: KeyId,
    material: &Material,
    spec: KeySpec,
    usage: KeyUsage,
) -> MaterialBinding {
    let (material_id, origin) = (material.id, material.origin);
    MaterialBinding { account, key_id, material_id, spec, usage, origin }
}

fn unavailable(error: &Unavailable) -> Error {
    Error::new(ErrorCode::KMSInternalException, error.to_string())
}

/// Whether the members of a cluster of this version understand a command. What raises the version
/// they have all said that they understand.
fn is_understood(command: &Command, cluster_version: u32) -> bool {
    let raises = matches!(command.operation, Some(command::Operation::RaiseVersion(_)));
    raises || command.version <= cluster_version
}
