//! What the tests of this crate share: a node with fast timings and commands with an order.
#![allow(dead_code, reason = "each test file uses its part of this")]

use std::sync::Arc;
use std::time::Duration;

use keystead_crypto::keyring::{DomainKey, Keyring, RootKey};
use keystead_raft::seams::{Clock, Store};
use keystead_raft::{Format, Node, NodeOptions, SnapshotStore, StartError, Timings};
use keystead_state::proto::command::Operation;
use keystead_state::proto::{
    CreateAccount, DomainKeyRecord, Initialise, SealedRootRecord, Tick, outcome,
};
use keystead_state::{Command, Outcome, View};
use keystead_types::{AccountId, ClusterId, NodeId, UnixMillis};
use tokio::time::Instant;

/// In every stored secret of the tests: must never be found in clear.
pub const MARKER: &[u8] = b"plain-marker-4711";

/// A clock that stands still, so that the oracle needs to know no times.
#[derive(Debug)]
struct Frozen;

impl Clock for Frozen {
    fn unix_millis(&self) -> UnixMillis {
        UnixMillis(1)
    }
}

/// A cluster's identity and keys, which outlive its nodes' processes.
#[derive(Clone)]
pub struct World {
    pub keyring: Arc<Keyring>,
    pub format: Format,
    pub timings: Timings,
    pub wrapped_domain_key: Vec<u8>,
}

impl World {
    pub fn new() -> Self {
        Self::with_root(&RootKey::generate().unwrap())
    }

    pub fn with_root(root: &RootKey) -> Self {
        let keyring = Keyring::new(root).unwrap();
        let wrapped = keyring.wrap_domain_key(&DomainKey::generate(1).unwrap()).unwrap();
        let format = Format {
            cluster_id: ClusterId::new([7; 16]),
            node_id: NodeId(0x1234_5678_9abc_def0),
            region: "eu-central-1".parse().unwrap(),
            sealed_roots: Vec::new(),
        };
        let timings = Timings {
            heartbeat: Duration::from_millis(20),
            election_min: Duration::from_millis(60),
            election_max: Duration::from_millis(120),
            snapshot_every: 1_000_000,
            snapshot_rows_per_entry: u64::MAX,
            keep_entries: 0,
        };
        Self { keyring: Arc::new(keyring), format, timings, wrapped_domain_key: wrapped }
    }

    pub fn options(&self, store: Arc<dyn Store>, snapshots: SnapshotStore) -> NodeOptions {
        let format = self.format.clone();
        let mut options = NodeOptions::alone(format, store, snapshots, Arc::clone(&self.keyring));
        options.timings = self.timings.clone();
        options.clock = Arc::new(Frozen);
        options
    }

    /// A node on this store, with its snapshots in memory.
    pub async fn start(&self, store: Arc<dyn Store>) -> Result<Node, StartError> {
        Node::start(self.options(store, SnapshotStore::in_memory())).await
    }

    /// A node on an empty store, initialised as a cluster and as a region.
    pub async fn found(&self, store: Arc<dyn Store>) -> Node {
        let node = self.start(store).await.unwrap();
        node.initialize().await.unwrap();
        node.propose(self.initialise()).await.unwrap();
        node
    }

    /// The region's first command.
    pub fn initialise(&self) -> Command {
        let domain_key = DomainKeyRecord {
            epoch: 1,
            wrapped: self.wrapped_domain_key.clone(),
            ..DomainKeyRecord::default()
        };
        command(Operation::Initialise(Initialise {
            cluster_id: self.format.cluster_id.bytes().to_vec(),
            region: self.format.region.to_string(),
            sealed_roots: vec![SealedRootRecord::default()],
            domain_key: Some(domain_key),
        }))
    }
}

pub fn command(operation: Operation) -> Command {
    Command { version: 1, time_ms: 1, operation: Some(operation), ..Command::default() }
}

pub fn tick() -> Command {
    command(Operation::Tick(Tick {}))
}

/// A command whose place in the log the state tells: the version of account `number`'s key.
pub fn create_account(number: u64) -> Command {
    let mut request_id = vec![0; 32];
    request_id[..8].copy_from_slice(&number.to_be_bytes());
    let operation = Operation::CreateAccount(CreateAccount {
        account: number,
        access_key_id: access_key(number),
        sealed_secret: [MARKER, &number.to_be_bytes()].concat(),
        service: String::new(),
    });
    Command { request_id, ..command(operation) }
}

pub fn access_key(number: u64) -> String {
    format!("AK{number}")
}

/// The log index at which the account was created, if it was.
pub fn created_at(view: &View, number: u64) -> Option<u64> {
    view.account(AccountId::from_number(number)?)?;
    let id = access_key(number).parse().unwrap();
    view.credential(&id).map(|credential| credential.version)
}

pub fn is_done(outcome: &Outcome) -> bool {
    matches!(outcome.result, Some(outcome::Result::Done(_)))
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// All rows in plain.
pub fn rows(view: &View) -> Vec<(Vec<u8>, Vec<u8>)> {
    view.rows().collect()
}

/// The state that the commands found in `view` lead to when they are applied one by one to an
/// empty one, at the indexes at which they stand.
pub fn replayed(world: &World, view: &View) -> View {
    let mut commands: Vec<(u64, Command)> = view
        .accounts()
        .map(|account| account.id.number())
        .map(|number| (created_at(view, number).unwrap(), create_account(number)))
        .collect();
    commands.sort_by_key(|(index, _)| *index);
    let mut oracle = View::empty();
    if view.is_initialised() {
        // After the membership and the first leader's blank entry.
        keystead_state::apply(&mut oracle, 2, &world.initialise()).unwrap();
    }
    for (index, command) in commands {
        keystead_state::apply(&mut oracle, index, &command).unwrap();
    }
    oracle
}

/// The state holds what was acknowledged, and is exactly what its commands lead to.
pub fn check_state(world: &World, view: &View, acknowledged: &[(u64, u64)]) {
    for &(number, index) in acknowledged {
        assert_eq!(created_at(view, number), Some(index), "acknowledged account {number}");
        assert!(view.applied() >= index);
    }
    assert_eq!(rows(view), rows(&replayed(world, view)));
}
