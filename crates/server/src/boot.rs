//! From a data folder and a seal to a served Region: format, root key, node, first accounts.

use std::path::PathBuf;
use std::sync::Arc;

use keystead_crypto::keyring::{DomainKey, Keyring, RootKey};
use keystead_crypto::material::KeyMaterial;
use keystead_crypto::seal::{Seal, SealError};
use keystead_crypto::{CryptoError, Key32, constant_time_eq, random};
use keystead_raft::seams::{NoPeers, Store, Transport};
use keystead_raft::{
    DiskGuard, Format, FormatError, InitialiseError, MemStore, Member, MinFree, Node, NodeOptions,
    OpenError, Reads, RocksStore, SnapshotStore, StartError,
};
use keystead_state::least_version;
use keystead_state::proto::{self, command, outcome};
use keystead_types::{
    AccessKeyId, AccountId, AliasName, ClusterId, KeyId, KeySpec, KeyUsage, NodeId, Origin, Region,
    ServiceName, UnixMillis,
};

use crate::access_key;
use crate::clock::{self, ServerClock};
use crate::region::{MaterialOf, RegionServer};

/// Why a Region cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The data folder cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What the folder says about itself.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The root key cannot be unwrapped.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The folder belongs to another Region.
    #[error("the data folder belongs to Region {found}, not {wanted}")]
    OtherRegion {
        /// Whose it is.
        found: Region,
        /// Whose it should be.
        wanted: Region,
    },
    /// There is nothing to serve yet.
    #[error("the data folder is not initialised; run `keystead cluster init` first")]
    NotInitialised,
    /// The node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The cluster cannot be initialised.
    #[error(transparent)]
    Initialise(#[from] InitialiseError),
    /// The library or the random generator failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The disk failed.
    #[error("the data folder cannot be used")]
    Io(#[from] std::io::Error),
    /// A command of the initialisation was not acknowledged.
    #[error("the initialisation was not acknowledged: {0}")]
    Refused(String),
}

/// Where a Region keeps its data.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a folder.
    Folder(PathBuf),
    /// In memory, gone with the process.
    Memory,
}

/// How many accounts there can be: their numbers have twelve digits.
const ACCOUNTS: u64 = 1_000_000_000_000;

/// A root credential to create an account with.
pub struct NewAccount {
    /// The account.
    pub account: AccountId,
    /// The id of its access key.
    pub access_key_id: AccessKeyId,
    /// The secret of its access key.
    pub secret: zeroize::Zeroizing<String>,
    /// The service that it is for; none for an account of people.
    pub service: Option<ServiceName>,
}

impl NewAccount {
    /// An account with a new access key.
    ///
    /// # Errors
    /// The random generator failed.
    pub fn generate(account: AccountId) -> Result<Self, BootError> {
        let (access_key_id, secret) = access_key::generate()?;
        Ok(Self { account, access_key_id, secret, service: None })
    }

    /// A service, with an account at random.
    ///
    /// # Errors
    /// The random generator failed.
    pub(crate) fn of_service(name: ServiceName) -> Result<Self, BootError> {
        let number = u64::from_be_bytes(random::bytes()?) % ACCOUNTS;
        let account = AccountId::from_number(number).expect("twelve digits are an account");
        Ok(Self { service: Some(name), ..Self::generate(account)? })
    }
}

/// A symmetric key with a fixed id and material.
pub struct NewKey {
    /// The account that owns it.
    pub account: AccountId,
    /// Its id.
    pub id: KeyId,
    /// Its material.
    pub material: zeroize::Zeroizing<[u8; 32]>,
    /// What is said about it.
    pub description: String,
    /// The names that point at it.
    pub aliases: Vec<AliasName>,
}

/// What a node is started with.
pub struct Setup<'a> {
    /// The Region that it serves.
    pub region: &'a Region,
    /// Where it keeps its data.
    pub place: &'a Place,
    /// How much of its disk stays free.
    pub min_free: MinFree,
    /// What protects the root key.
    pub seal: &'a dyn Seal,
    /// Its name, and where other members reach it.
    pub member: Member,
    /// How it reaches other members.
    pub transport: Arc<dyn Transport>,
    /// How fresh what a request sees must be.
    pub reads: Reads,
}

impl<'a> Setup<'a> {
    /// A node that is alone.
    pub fn alone(region: &'a Region, place: &'a Place, seal: &'a dyn Seal) -> Self {
        let (member, transport) = (Member::default(), Arc::new(NoPeers));
        let (min_free, reads) = (MinFree::default(), Reads::default());
        Self { region, place, min_free, seal, member, transport, reads }
    }

    /// Whether the place belongs to a cluster.
    ///
    /// # Errors
    /// See [`BootError`].
    pub fn is_formatted(&self) -> Result<bool, BootError> {
        // Opening a store would create the folder.
        if matches!(self.place, Place::Folder(folder) if !folder.exists()) {
            return Ok(false);
        }
        Ok(Format::read(&*open_store(self.place)?)?.is_some())
    }

    fn disk(&self) -> DiskGuard {
        match self.place {
            Place::Folder(folder) => DiskGuard::of_folder(folder, self.min_free),
            Place::Memory => DiskGuard::off(),
        }
    }

    /// Opens an initialised Region.
    ///
    /// # Errors
    /// See [`BootError`].
    pub async fn open(self) -> Result<RegionServer, BootError> {
        if !self.is_formatted()? {
            return Err(BootError::NotInitialised);
        }
        self.disk().make_room();
        let store = open_store(self.place)?;
        let format = Format::read(&*store)?.ok_or(BootError::NotInitialised)?;
        start(self, store, format).await
    }

    /// Opens a Region; an empty folder is made a new cluster of one node first.
    ///
    /// # Errors
    /// See [`BootError`].
    pub async fn open_or_initialise(self) -> Result<RegionServer, BootError> {
        let store = open_store(self.place)?;
        let format = match Format::read(&*store)? {
            Some(format) => format,
            None => new_format(self.region, self.seal, &*store)?,
        };
        let server = start(self, store, format.clone()).await?;
        // A member of a cluster learns its state from the others.
        let alone = server.node().is_new() || server.node().leads();
        if alone && !server.view().is_initialised() {
            initialise(&server, &format).await?;
        }
        Ok(server)
    }
}

/// Creates an account with its root's access key, unless the account exists.
///
/// # Errors
/// [`BootError::Refused`].
pub async fn ensure_account(server: &RegionServer, new: &NewAccount) -> Result<(), BootError> {
    let view = server.view();
    if view.account(new.account).is_some() {
        let known = view.credential(&new.access_key_id).is_some_and(|credential| {
            let secret = server.secret(credential);
            credential.account == new.account
                && secret.is_ok_and(|s| constant_time_eq(&s, new.secret.as_bytes()))
        });
        let why = || format!("account {} exists with another access key", new.account);
        return if known { Ok(()) } else { Err(BootError::Refused(why())) };
    }
    let sealed_secret = server
        .seal_secret(new.access_key_id.as_str(), &new.secret)
        .map_err(|error| BootError::Refused(error.to_string()))?;
    propose(
        server,
        command::Operation::CreateAccount(proto::CreateAccount {
            account: new.account.number(),
            access_key_id: new.access_key_id.to_string(),
            sealed_secret,
            service: new.service.as_ref().map(ToString::to_string).unwrap_or_default(),
        }),
    )
    .await
}

/// Refuses the callers of an account, or takes them again.
///
/// # Errors
/// [`BootError::Refused`] where there is no such account, or nobody to decide.
pub(crate) async fn suspend_account(
    server: &RegionServer,
    account: AccountId,
    suspended: bool,
) -> Result<(), BootError> {
    if server.view().account(account).is_none() {
        return Err(BootError::Refused(format!("there is no account {account}")));
    }
    let account = account.number();
    let command = proto::SetAccountSuspended { account, suspended };
    propose(server, command::Operation::SetAccountSuspended(command)).await
}

/// Whose sessions there are.
pub(crate) enum SessionOwner {
    /// The root of the account.
    Root,
    /// A user, by name.
    User(String),
    /// A role, by name.
    Role(String),
}

/// Ends all sessions that were issued up to now.
///
/// # Errors
/// [`BootError::Refused`] where there is no such owner, or nobody to decide.
pub(crate) async fn revoke_sessions(
    server: &RegionServer,
    account: AccountId,
    owner: SessionOwner,
) -> Result<(), BootError> {
    let view = server.view();
    let absent = |what: String| Err(BootError::Refused(format!("there is no {what}")));
    if view.account(account).is_none() {
        return absent(format!("account {account}"));
    }
    let mut command = proto::RevokeSessions { account: account.number(), ..Default::default() };
    match owner {
        SessionOwner::Root => {}
        SessionOwner::User(name) => {
            if name.parse().ok().and_then(|name| view.user_named(account, &name)).is_none() {
                return absent(format!("user {name} in account {account}"));
            }
            command.user = name;
        }
        SessionOwner::Role(name) => {
            if name.parse().ok().and_then(|name| view.role_named(account, &name)).is_none() {
                return absent(format!("role {name} in account {account}"));
            }
            command.role = name;
        }
    }
    propose(server, command::Operation::RevokeSessions(command)).await
}

/// Creates a key and its aliases, unless the key exists.
///
/// # Errors
/// [`BootError::Refused`].
pub async fn ensure_key(server: &RegionServer, new: NewKey) -> Result<(), BootError> {
    let view = server.view();
    if view.key(&new.id).is_some() {
        return Ok(());
    }
    let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    let of = MaterialOf { account: new.account, id: new.id, spec, usage, origin: Origin::AwsKms };
    let material = KeyMaterial::Symmetric(Key32::from_bytes(&new.material)?);
    let material = server
        .wrap_material(&view, &of, &material)
        .map_err(|error| BootError::Refused(error.to_string()))?;
    let key = crate::propose::id_ref(new.id);
    propose(
        server,
        command::Operation::CreateKey(proto::CreateKey {
            key: key.clone(),
            account: new.account.number(),
            spec: spec.code().into(),
            usage: usage.code().into(),
            origin: Origin::AwsKms.code().into(),
            description: new.description,
            material: Some(material),
            policy: keystead_policy::default_key_policy(new.account),
            tags: std::collections::BTreeMap::new(),
            policy_given: false,
            lockout_check: None,
        }),
    )
    .await?;
    for name in new.aliases {
        let (account, name, target) = (new.account.number(), name.to_string(), key.clone());
        let alias = proto::CreateAlias { account, name, target };
        propose(server, command::Operation::CreateAlias(alias)).await?;
    }
    Ok(())
}

fn open_store(place: &Place) -> Result<Arc<dyn Store>, BootError> {
    Ok(match place {
        Place::Folder(folder) => {
            std::fs::create_dir_all(folder)?;
            Arc::new(RocksStore::open(&folder.join("db"))?)
        }
        Place::Memory => Arc::new(MemStore::new()),
    })
}

/// The identity of a new cluster, with a new root key under the seal, on disk.
fn new_format(region: &Region, seal: &dyn Seal, store: &dyn Store) -> Result<Format, BootError> {
    let cluster_id = ClusterId::from_random(random::bytes()?);
    let root = RootKey::generate()?;
    let format = Format {
        cluster_id,
        node_id: NodeId(u64::from_be_bytes(random::bytes()?)),
        region: region.clone(),
        sealed_roots: vec![seal.wrap(&root, cluster_id)?],
    };
    format.write(store)?;
    Ok(format)
}

async fn start(
    setup: Setup<'_>,
    store: Arc<dyn Store>,
    format: Format,
) -> Result<RegionServer, BootError> {
    let disk = setup.disk();
    let Setup { region, place, seal, member, transport, reads, .. } = setup;
    if format.region != *region {
        let (found, wanted) = (format.region, region.clone());
        return Err(BootError::OtherRegion { found, wanted });
    }
    let keyring = Arc::new(Keyring::new(&unseal(seal, &format)?)?);
    let snapshots = match place {
        Place::Folder(folder) => SnapshotStore::in_folder(&folder.join("snapshots"))?,
        Place::Memory => SnapshotStore::in_memory(),
    };
    let mut options = NodeOptions::alone(format, store, snapshots, keyring.clone());
    options.clock = Arc::new(ServerClock);
    (options.member, options.transport, options.reads) = (member, transport, reads);
    options.disk = disk;
    #[cfg(feature = "test-clock")]
    if let Some(version) = pretended_version() {
        options.understands = version;
    }
    let node = Node::start(options).await?;
    Ok(RegionServer::new(region.clone(), node, keyring))
}

/// The cluster version of the older software that a test wants this one to be taken for.
#[cfg(feature = "test-clock")]
fn pretended_version() -> Option<u32> {
    std::env::var("KEYSTEAD_TEST_UNDERSTANDS").ok()?.parse().ok()
}

/// The root key, from whichever of its wraps this seal made.
pub(crate) fn unseal(seal: &dyn Seal, format: &Format) -> Result<RootKey, SealError> {
    let mut failure = SealError::Damaged(seal.id().to_owned());
    for sealed in &format.sealed_roots {
        match seal.unwrap(sealed, format.cluster_id) {
            Ok(root) => return Ok(root),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The first leader and the first command of a cluster. What was begun and not finished is
/// finished: each step is done once, however often this is called.
async fn initialise(server: &RegionServer, format: &Format) -> Result<(), BootError> {
    match server.node().initialize().await {
        Ok(()) | Err(InitialiseError::AlreadyInitialised) => {}
        Err(error) => return Err(error.into()),
    }
    let domain_key = DomainKey::generate(1)?;
    let wrapped = server.keyring().wrap_domain_key(&domain_key)?;
    let sealed_roots = format.sealed_roots.iter().map(|root| proto::SealedRootRecord {
        seal_id: root.seal_id.clone(),
        check_value: root.check_value.clone(),
        blob: root.blob.clone(),
    });
    let UnixMillis(created_ms) = clock::now();
    propose(
        server,
        command::Operation::Initialise(proto::Initialise {
            cluster_id: format.cluster_id.bytes().to_vec(),
            region: format.region.to_string(),
            sealed_roots: sealed_roots.collect(),
            domain_key: Some(proto::DomainKeyRecord { epoch: 1, wrapped, created_ms }),
        }),
    )
    .await?;
    // Before there is a key to use, so that all uses of all keys are known.
    let uses = command::Operation::RecordKeyUses(proto::RecordKeyUses::default());
    if least_version(&uses) > server.view().cluster_version() {
        return Ok(());
    }
    propose(server, uses).await
}

pub(crate) async fn propose(
    server: &RegionServer,
    operation: command::Operation,
) -> Result<(), BootError> {
    let refused = |why: String| BootError::Refused(why);
    let applied =
        server.propose_system(operation).await.map_err(|error| refused(error.to_string()))?;
    match applied.outcome.result {
        Some(outcome::Result::Rejected(rejected)) => {
            Err(refused(rejected.reason().as_str_name().to_owned()))
        }
        _ => Ok(()),
    }
}
