//! One immutable version of the state, with an index for everything that is looked up or listed.

use std::sync::Arc;

use keystead_types::{
    AccessKeyId, AccountId, AliasName, ClusterId, GrantId, KeyId, Region, ServiceName, UnixMillis,
};
use prost::Message;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::apply;
use crate::erasures::{Erased, Erasures, LostMaterial};
use crate::forwarded::{Forwarding, Forwardings};
use crate::iam::{self, Directory, Group, ManagedPolicy, OidcProvider, Role, User};
use crate::model::{
    Account, Alias, Authority, Credential, DomainKey, Grant, Key, KeyUse, Policy, SealedRoot,
};
use crate::proto::RegionMessage;
use crate::proto::outcome::Result as OutcomeResult;
use crate::records::{self, CorruptRecord};
use crate::regions::{self, RegionIdentity, RegionPeer, RegionStream, Regions};
use crate::requests::{Remembered, RequestChunk, chunk_number};
use crate::rows::{self, RowChange};
use crate::transition::Transition;

/// A version of the state. Cloning is cheap; a clone never changes.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) applied: u64,
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) clock: UnixMillis,
    pub(crate) domain_keys: RedBlackTreeMapSync<u32, Arc<DomainKey>>,
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) accounts: RedBlackTreeMapSync<AccountId, Account>,
    pub(crate) credentials: HashTrieMapSync<AccessKeyId, Arc<Credential>>,
    pub(crate) policies: HashTrieMapSync<[u8; 32], SharedPolicy>,
    pub(crate) keys: HashTrieMapSync<KeyId, Arc<Key>>,
    pub(crate) uses: HashTrieMapSync<KeyId, KeyUse>,
    pub(crate) keys_by_account: RedBlackTreeSetSync<(AccountId, KeyId)>,
    pub(crate) key_counts: HashTrieMapSync<AccountId, usize>,
    pub(crate) aliases: RedBlackTreeMapSync<(AccountId, AliasName), Arc<Alias>>,
    pub(crate) aliases_by_key: RedBlackTreeSetSync<(KeyId, AliasName)>,
    pub(crate) deletions: RedBlackTreeSetSync<(UnixMillis, KeyId)>,
    pub(crate) rotations: RedBlackTreeSetSync<(UnixMillis, KeyId)>,
    /// When the first material of a key expires.
    pub(crate) expiries: RedBlackTreeSetSync<(UnixMillis, KeyId)>,
    pub(crate) erasures: Erasures,
    pub(crate) forwarded: Forwardings,
    pub(crate) directory: Directory,
    pub(crate) regions: Regions,
    pub(crate) grants: HashTrieMapSync<GrantId, Arc<Grant>>,
    pub(crate) grants_by_key: RedBlackTreeSetSync<(KeyId, GrantId)>,
    pub(crate) grant_counts: HashTrieMapSync<KeyId, usize>,
    pub(crate) grants_by_grantee: RedBlackTreeSetSync<(KeyId, Arc<str>, GrantId)>,
    pub(crate) grants_by_retiring: RedBlackTreeSetSync<(Arc<str>, GrantId)>,
    /// Where a request is remembered: the index of its log entry, by its id.
    pub(crate) requests: HashTrieMapSync<[u8; 32], u64>,
    /// By number, which is by age.
    pub(crate) request_chunks: RedBlackTreeMapSync<u64, Arc<RequestChunk>>,
}

/// What the cluster as a whole agrees on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    pub(crate) region: Region,
    pub(crate) version: u32,
    pub(crate) sealed_roots: Vec<SealedRoot>,
    pub(crate) domain_key_epoch: u32,
    pub(crate) uses_known_since: Option<UnixMillis>,
    pub(crate) losses_known: bool,
}

/// A policy and in how many places it is used.
#[derive(Debug, Clone)]
pub(crate) struct SharedPolicy {
    pub(crate) policy: Arc<Policy>,
    pub(crate) uses: u64,
}

/// Branches of a node of the largest map, whose keys come in no order. A command copies the nodes
/// on the way to its place, so that fewer branches are cheaper, though the way is longer.
const REQUEST_BRANCHES: u8 = 8;

impl Default for View {
    fn default() -> Self {
        Self {
            applied: 0,
            cluster: None,
            clock: UnixMillis::default(),
            domain_keys: RedBlackTreeMapSync::default(),
            authority: None,
            accounts: RedBlackTreeMapSync::default(),
            credentials: HashTrieMapSync::default(),
            policies: HashTrieMapSync::default(),
            keys: HashTrieMapSync::default(),
            uses: HashTrieMapSync::default(),
            keys_by_account: RedBlackTreeSetSync::default(),
            key_counts: HashTrieMapSync::default(),
            aliases: RedBlackTreeMapSync::default(),
            aliases_by_key: RedBlackTreeSetSync::default(),
            deletions: RedBlackTreeSetSync::default(),
            rotations: RedBlackTreeSetSync::default(),
            expiries: RedBlackTreeSetSync::default(),
            erasures: Erasures::default(),
            forwarded: Forwardings::default(),
            directory: Directory::default(),
            regions: Regions::default(),
            grants: HashTrieMapSync::default(),
            grants_by_key: RedBlackTreeSetSync::default(),
            grant_counts: HashTrieMapSync::default(),
            grants_by_grantee: RedBlackTreeSetSync::default(),
            grants_by_retiring: RedBlackTreeSetSync::default(),
            requests: HashTrieMapSync::new_sync_with_degree(REQUEST_BRANCHES),
            request_chunks: RedBlackTreeMapSync::default(),
        }
    }
}

impl View {
    /// The state before the first command.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Index of the last log entry that this View includes.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The same state after a log entry that changes nothing (a blank or membership entry).
    #[must_use]
    pub fn at_index(&self, applied: u64) -> Self {
        Self { applied, ..self.clone() }
    }

    /// Whether the region has been initialised.
    pub fn is_initialised(&self) -> bool {
        self.cluster.is_some()
    }

    /// The id of the cluster, once initialised.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.cluster.as_ref().map(|cluster| cluster.id)
    }

    /// The Region, once initialised.
    pub fn region(&self) -> Option<&Region> {
        self.cluster.as_ref().map(|cluster| &cluster.region)
    }

    /// The software version that every member understands; 0 before initialisation.
    pub fn cluster_version(&self) -> u32 {
        self.cluster.as_ref().map_or(0, |cluster| cluster.version)
    }

    /// The root key, wrapped by each seal.
    pub fn sealed_roots(&self) -> &[SealedRoot] {
        self.cluster.as_ref().map_or(&[], |cluster| &cluster.sealed_roots)
    }

    /// The replicated clock.
    pub fn clock(&self) -> UnixMillis {
        self.clock
    }

    /// A domain key by its epoch.
    pub fn domain_key(&self, epoch: u32) -> Option<&DomainKey> {
        self.domain_keys.get(&epoch).map(|key| &**key)
    }

    /// All domain keys, by epoch.
    pub fn domain_keys(&self) -> impl Iterator<Item = &DomainKey> {
        self.domain_keys.values().map(|key| &**key)
    }

    /// The authority that signs the certificates of members, where there is one.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    /// An account.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// The account of a service.
    pub fn service(&self, name: &ServiceName) -> Option<&Account> {
        self.accounts().find(|account| account.service.as_ref() == Some(name))
    }

    /// All accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// An access key.
    pub fn credential(&self, id: &AccessKeyId) -> Option<&Arc<Credential>> {
        self.credentials.get(id)
    }

    /// How many rows [`View::rows`] has, but for a few.
    pub fn row_count(&self) -> usize {
        let small = self.domain_keys.size() + self.accounts.size() + self.credentials.size();
        let others = self.policies.size() + self.aliases.size() + self.request_chunks.size();
        let directory = &self.directory;
        let iam = directory.users.size() + directory.groups.size() + directory.roles.size();
        let iam = iam + directory.oidc_providers.size();
        let keys = self.keys.size() + self.uses.size() + self.grants.size();
        let told = self.erasures.row_count() + self.forwarded.count();
        let regions = 2 * self.regions.peers.size() + self.regions.outbox.size();
        small + others + iam + directory.policies.size() + keys + told + regions
    }

    /// How many policies are stored; equal documents are one.
    pub fn policy_count(&self) -> usize {
        self.policies.size()
    }

    /// Every row of the state with its encoded record, in order of the row keys.
    pub fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let mut keys = self.row_keys();
        keys.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        keys.into_iter().map(|(key, record)| {
            let value = record.encode();
            (key, value)
        })
    }

    /// The state that these rows hold.
    ///
    /// # Errors
    /// A row or record that this version does not understand.
    pub fn from_rows(
        rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        applied: u64,
    ) -> Result<Self, CorruptRecord> {
        Self::from_stored_rows(rows, applied).map(|(view, _)| view)
    }

    /// The state that these rows hold, and the changes that make them [`View::rows`]: some, if an
    /// earlier version wrote them. A store that keeps the rows writes these changes, all at once.
    ///
    /// # Errors
    /// A row or record that this version does not understand.
    pub fn from_stored_rows(
        rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        applied: u64,
    ) -> Result<(Self, Vec<RowChange>), CorruptRecord> {
        let mut view = Self::default();
        let mut single_requests = Vec::new();
        // Row keys are ordered so that policies come before those that have them.
        for (key, value) in rows {
            if key.first() == Some(&rows::SINGLE_REQUEST) {
                single_requests.push(records::read_single_request(&value)?);
            } else {
                // What this changes is what the row says.
                records::load(&mut Transition::new(&mut view, applied), &key, &value)?;
            }
        }
        let mut transition = Transition::new(&mut view, applied);
        single_requests.sort_unstable_by_key(|request| request.index);
        let number = |request: &Remembered| chunk_number(request.index);
        for chunk in single_requests.chunk_by(|a, b| number(a) == number(b)) {
            chunk.iter().for_each(|request| transition.remove_single_request(&request.id));
            transition.put_requests(chunk);
        }
        let changes = transition.finish();
        if !view.directory.is_whole() {
            return Err(records::corrupt("incomplete IAM"));
        }
        Ok((view, changes))
    }

    /// The first result of a request, if it is remembered.
    pub(crate) fn request(&self, id: &[u8; 32]) -> Option<Remembered> {
        let index = *self.requests.get(id)?;
        let chunk = self.request_chunks.get(&chunk_number(index))?;
        chunk.requests().find(|request| request.index == index)
    }

    /// Whether a request was carried out, within the time that results are promised for, and had
    /// nothing to tell but that.
    pub fn is_done(&self, request: &[u8; 32]) -> bool {
        matches!(self.first_result(request), Some(OutcomeResult::Done(_)))
    }

    /// The first result of a request that was carried out within the time that results are promised
    /// for.
    pub fn first_result(&self, request: &[u8; 32]) -> Option<OutcomeResult> {
        apply::recall(self, request)?.result
    }

    fn row_keys(&self) -> Vec<(Vec<u8>, Row<'_>)> {
        let mut list = Vec::with_capacity(self.row_count());
        if let Some(cluster) = &self.cluster {
            list.push((rows::cluster(), Row::Cluster(cluster, self.clock)));
        }
        list.extend(self.domain_keys.values().map(|d| (rows::domain_key(d.epoch), Row::Domain(d))));
        list.extend(self.authority.iter().map(|a| (rows::authority(), Row::Authority(a))));
        list.extend(self.accounts.values().map(|a| (rows::account(a.id), Row::Account(a))));
        list.extend(
            self.credentials.values().map(|c| (rows::credential(&c.id), Row::Credential(c))),
        );
        list.extend(
            self.policies.values().map(|p| (rows::policy(&p.policy.id), Row::Policy(&p.policy))),
        );
        list.extend(self.keys.values().map(|k| (rows::key(&k.id), Row::Key(k))));
        list.extend(
            self.aliases.values().map(|a| (rows::alias(a.account, &a.name), Row::Alias(a))),
        );
        list.extend(self.directory.groups.all().map(|g| (rows::group(g.id), Row::Group(g))));
        list.extend(
            self.directory
                .policies
                .all()
                .map(|p| (rows::managed_policy(p.id), Row::ManagedPolicy(p))),
        );
        list.extend(self.directory.users.all().map(|u| (rows::user(u.id), Row::User(u))));
        list.extend(self.directory.roles.all().map(|r| (rows::role(r.id), Row::Role(r))));
        list.extend(
            self.directory
                .oidc_providers
                .all()
                .map(|p| (rows::oidc_provider(p.id), Row::OidcProvider(p))),
        );
        let regions = &self.regions;
        list.extend(regions.identity.iter().map(|i| (rows::region_identity(), Row::Identity(i))));
        list.extend(regions.peers.values().map(|p| (rows::region_peer(&p.region), Row::Peer(p))));
        list.extend(
            regions.streams.iter().map(|(r, s)| (rows::region_stream(r), Row::Stream(r, s))),
        );
        list.extend(
            regions
                .outbox
                .iter()
                .map(|((r, number), m)| (rows::outgoing(r, *number), Row::Outgoing(r, *number, m))),
        );
        list.extend(self.grants.values().map(|g| (rows::grant(&g.key, &g.id), Row::Grant(g))));
        list.extend(self.uses.values().map(|u| (rows::key_use(&u.key), Row::Use(u))));
        list.extend(self.erasures.all().map(|l| (rows::lost_material(&l.key), Row::Lost(l))));
        list.extend(
            self.erasures.told().map(|e| (rows::erased(e.node, e.through), Row::Erased(e))),
        );
        list.extend(
            self.forwarded.all().map(|f| (rows::forwarded(f.signed, &f.digest), Row::Forwarded(f))),
        );
        list.extend(
            self.request_chunks
                .iter()
                .map(|(number, chunk)| (rows::request_chunk(*number), Row::Requests(chunk))),
        );
        list
    }
}

/// A record by reference, encoded only when its turn comes.
enum Row<'a> {
    Cluster(&'a Cluster, UnixMillis),
    Domain(&'a DomainKey),
    Authority(&'a Authority),
    Account(&'a Account),
    Credential(&'a Credential),
    Policy(&'a Policy),
    Key(&'a Key),
    Alias(&'a Alias),
    Group(&'a Group),
    ManagedPolicy(&'a ManagedPolicy),
    User(&'a User),
    Role(&'a Role),
    OidcProvider(&'a OidcProvider),
    Identity(&'a RegionIdentity),
    Peer(&'a RegionPeer),
    Stream(&'a Region, &'a RegionStream),
    Outgoing(&'a Region, u64, &'a RegionMessage),
    Grant(&'a Grant),
    Use(&'a KeyUse),
    Lost(&'a LostMaterial),
    Erased(Erased),
    Forwarded(Forwarding),
    Requests(&'a RequestChunk),
}

impl Row<'_> {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Cluster(cluster, clock) => records::cluster(cluster, *clock),
            Self::Domain(key) => records::domain_key(key),
            Self::Authority(authority) => records::authority(authority),
            Self::Account(account) => records::account(account),
            Self::Credential(credential) => records::credential(credential),
            Self::Policy(policy) => records::policy(policy),
            Self::Key(key) => records::key(key),
            Self::Alias(alias) => records::alias(alias),
            Self::Group(group) => iam::group(group),
            Self::ManagedPolicy(policy) => iam::managed_policy(policy),
            Self::User(user) => iam::user(user),
            Self::Role(role) => iam::role(role),
            Self::OidcProvider(provider) => iam::oidc_provider(provider),
            Self::Identity(identity) => regions::identity(identity),
            Self::Peer(peer) => regions::peer(peer),
            Self::Stream(region, stream) => regions::stream(region, stream),
            Self::Outgoing(region, number, message) => regions::outgoing(region, *number, message),
            Self::Grant(grant) => records::grant(grant),
            Self::Use(key_use) => key_use.record().encode_to_vec(),
            Self::Lost(lost) => lost.record().encode_to_vec(),
            Self::Erased(erased) => erased.record().encode_to_vec(),
            Self::Forwarded(forwarding) => forwarding.record().encode_to_vec(),
            Self::Requests(chunk) => chunk.record().to_vec(),
        }
    }
}
