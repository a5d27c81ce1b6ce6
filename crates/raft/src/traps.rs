//! Those of the known traps whose tests need the inside of the crate. The others are in
//! `tests/traps.rs`.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use keystead_crypto::keyring::{DomainKey, Keyring, RootKey};
use keystead_state::View;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{Command, CreateAccount, DomainKeyRecord, Initialise};
use keystead_types::{ClusterId, NodeId};
use openraft::EntryPayload;
use openraft::raft::VoteRequest;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine};
use openraft::vote::RaftLeaderId;
use prost::Message;

use crate::codec::Codec;
use crate::health::Health;
use crate::log::LogStore;
use crate::machine::{Machine, SnapshotData, SnapshotStore};
use crate::seams::{Link, NoPeers, Store, SystemClock, Transport};
use crate::store::{MemStore, SimStore};
use crate::types::{Entry, IoFlushed, LeaderId, LogId, Proposal, SnapshotMeta, Vote};

fn log_id(index: u64) -> LogId {
    LogId::new(LeaderId::new(1, 1), index)
}

fn proposal(index: u64, sealed: Vec<u8>) -> Entry {
    let proposal = Proposal { id: [index as u8; 16], sealed: Bytes::from(sealed) };
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(proposal) }
}

/// A machine whose cluster has some accounts, and its store.
struct Made {
    machine: Machine,
    codec: Codec,
    keyring: Arc<Keyring>,
    store: Arc<SimStore>,
}

impl Made {
    async fn new(keyring: Arc<Keyring>, cluster: u8) -> Self {
        let codec = Codec::new(Arc::clone(&keyring), ClusterId::new([cluster; 16]));
        let store = Arc::new(SimStore::new());
        let machine = open(&store, &codec).await.unwrap();
        Self { machine, codec, keyring, store }
    }

    async fn with_accounts(count: u64) -> Self {
        let mut made = Self::new(keyring(), 7).await;
        let wrapped = made.keyring.wrap_domain_key(&DomainKey::generate(1).unwrap()).unwrap();
        let domain_key = Some(DomainKeyRecord { epoch: 1, wrapped, created_ms: 0 });
        made.apply(
            0,
            Operation::Initialise(Initialise {
                cluster_id: vec![7; 16],
                region: "eu-central-1".into(),
                sealed_roots: Vec::new(),
                domain_key,
            }),
        )
        .await;
        for account in 1..=count {
            let access_key_id = format!("AK{account}");
            let sealed_secret = vec![1; 1000];
            let operation =
                CreateAccount { account, access_key_id, sealed_secret, service: String::new() };
            made.apply(account, Operation::CreateAccount(operation)).await;
        }
        made
    }

    async fn apply(&mut self, index: u64, operation: Operation) {
        self.send(index, Command { operation: Some(operation), ..Command::default() }).await;
    }

    async fn send(&mut self, index: u64, command: Command) {
        let command = Command { version: 1, time_ms: 1, ..command };
        let id = [index as u8; 16];
        let sealed = self.codec.seal_command(&id, &command.encode_to_vec()).unwrap();
        let entry = proposal(index, sealed);
        self.machine.apply(stream::iter([Ok((entry, None))])).await.unwrap();
    }

    fn view(&self) -> Arc<View> {
        self.machine.published().view()
    }

    async fn snapshot(&mut self) -> (SnapshotMeta, Vec<u8>) {
        let mut builder = self.machine.try_create_snapshot_builder(true).await.unwrap();
        let snapshot = builder.build_snapshot().await.unwrap();
        let mut bytes = Vec::new();
        snapshot.snapshot.reader().read_to_end(&mut bytes).unwrap();
        (snapshot.meta, bytes)
    }
}

fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::new(&RootKey::generate().unwrap()).unwrap())
}

async fn open(store: &Arc<SimStore>, codec: &Codec) -> io::Result<Machine> {
    let store: Arc<dyn Store> = Arc::<SimStore>::clone(store);
    let snapshots = Arc::new(SnapshotStore::in_memory());
    let opened = Machine::open(store, codec.clone(), Health::new(), snapshots).await;
    opened.map(|(machine, _)| machine)
}

fn rows(view: &View) -> Vec<(Vec<u8>, Vec<u8>)> {
    view.rows().collect()
}

#[tokio::test]
async fn trap_12_an_installed_snapshot_is_what_its_label_says() {
    let mut source = Made::with_accounts(5).await;
    let (meta, bytes) = source.snapshot().await;
    let mut target = Made::new(Arc::clone(&source.keyring), 7).await;
    let later = SnapshotMeta { last_log_id: Some(log_id(99)), ..meta.clone() };
    let data = SnapshotData::from_bytes(bytes.clone());
    let refused = target.machine.install_snapshot(&later, data.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("covers"), "{refused}");
    assert!(!target.view().is_initialised(), "nothing has changed");

    let mut foreign = Made::new(Arc::clone(&source.keyring), 8).await;
    let refused = foreign.machine.install_snapshot(&meta, data.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("belongs to cluster"), "{refused}");

    target.machine.install_snapshot(&meta, data).await.unwrap();
    assert_eq!(rows(&target.view()), rows(&source.view()));
    // And it is on disk, without a sync by anybody else.
    let crashed = Arc::new(target.store.crash(0));
    let mut back = open(&crashed, &target.codec).await.unwrap();
    assert_eq!(rows(&back.published().view()), rows(&source.view()));
    assert_eq!(back.applied_state().await.unwrap().0, meta.last_log_id);
}

#[tokio::test]
async fn a_request_is_known_to_whoever_got_the_snapshot() {
    let create = CreateAccount {
        account: 6,
        access_key_id: "AK6".into(),
        sealed_secret: vec![1; 60],
        service: String::new(),
    };
    let request = Command {
        request_id: vec![1; 32],
        operation: Some(Operation::CreateAccount(create)),
        ..Command::default()
    };
    let mut source = Made::with_accounts(5).await;
    source.send(6, request.clone()).await;
    let (meta, bytes) = source.snapshot().await;
    let mut target = Made::new(Arc::clone(&source.keyring), 7).await;
    target.machine.install_snapshot(&meta, SnapshotData::from_bytes(bytes)).await.unwrap();
    let before = rows(&target.view());
    target.machine = open(&target.store, &target.codec).await.unwrap();
    for index in 7..9 {
        // Carried out once more it would be refused, and that be remembered.
        target.send(index, request.clone()).await;
        assert_eq!(rows(&target.view()), before);
    }
    target.send(9, Command { request_id: vec![2; 32], ..request }).await;
    assert_ne!(rows(&target.view()), before);
}

#[tokio::test]
async fn a_damaged_snapshot_changes_nothing() {
    let mut source = Made::with_accounts(2).await;
    let (meta, bytes) = source.snapshot().await;
    let mut target = Made::new(Arc::clone(&source.keyring), 7).await;
    let mut damaged: Vec<Vec<u8>> = (0..bytes.len())
        .step_by(7)
        .map(|at| {
            let mut copy = bytes.clone();
            copy[at] ^= 1 << (at % 8);
            copy
        })
        .collect();
    damaged.extend((0..bytes.len()).step_by(11).map(|end| bytes[..end].to_vec()));
    damaged.push([&bytes[..], b"x"].concat());
    for bytes in damaged {
        let refused = target.machine.install_snapshot(&meta, SnapshotData::from_bytes(bytes)).await;
        assert!(refused.is_err());
    }
    assert!(!target.view().is_initialised());
    target.machine.install_snapshot(&meta, SnapshotData::from_bytes(bytes)).await.unwrap();
    assert_eq!(rows(&target.view()), rows(&source.view()));
}

/// A power failure at any moment of an installation leaves the old state, the new one, or one
/// that is known to be neither.
#[tokio::test]
async fn an_interrupted_installation_is_noticed() {
    let mut source = Made::with_accounts(5).await;
    let (meta, bytes) = source.snapshot().await;
    let mut old = Made::new(Arc::clone(&source.keyring), 7).await;
    for sync in 1..=2 {
        for survivors in 0..4 {
            let mut target = Made::new(Arc::clone(&source.keyring), 7).await;
            target.store.fail_sync(sync);
            let data = SnapshotData::from_bytes(bytes.clone());
            target.machine.install_snapshot(&meta, data.clone()).await.unwrap_err();
            let crashed = Arc::new(target.store.crash(survivors));
            let mut back = open(&crashed, &target.codec).await.unwrap();
            let applied = back.applied_state().await.unwrap().0;
            let expected = if applied.is_some() { &mut source } else { &mut old };
            assert_eq!(rows(&back.published().view()), rows(&expected.view()));
            back.install_snapshot(&meta, data).await.unwrap();
            assert_eq!(rows(&back.published().view()), rows(&source.view()));
        }
    }
}

#[tokio::test]
async fn trap_17_a_peer_that_cannot_be_reached_has_granted_nothing() {
    let peer = NoPeers.peer(Some(NodeId(2)), "nowhere", Link::Replication);
    let limit = Duration::from_secs(1);
    let request = || VoteRequest::new(Vote::new(2, 1), Some(log_id(1)));
    for pre in [true, false] {
        assert!(peer.vote(request(), pre, limit).await.is_err());
    }
}

#[tokio::test]
async fn trap_26_batches_are_bounded_by_bytes() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let open = || LogStore::open(Arc::clone(&store), Health::new(), Arc::new(SystemClock));
    let mut log = open().unwrap();
    let entries: Vec<Entry> = (0..20).map(|index| proposal(index, vec![0; 600_000])).collect();
    log.append(entries.clone(), IoFlushed::noop()).await.unwrap();
    // From memory, and from the store after a restart.
    for mut log in [log, open().unwrap()] {
        let mut reader = log.get_log_reader().await;
        let some = reader.limited_get_log_entries(0, 20).await.unwrap();
        assert_eq!(some.len(), 3, "what fits two megabytes");
        let all = reader.try_get_log_entries(0..20).await.unwrap();
        assert_eq!(all, entries);
        let streamed: Vec<Entry> =
            reader.entries_stream(5..=19).await.boxed().try_collect().await.unwrap();
        assert_eq!(streamed, entries[5..]);
        let huge = proposal(20, vec![0; 5 << 20]);
        if log.get_log_state().await.unwrap().last_log_id == Some(log_id(19)) {
            log.append([huge.clone()], IoFlushed::noop()).await.unwrap();
        }
        assert_eq!(reader.limited_get_log_entries(20, 21).await.unwrap(), [huge]);
    }
}

#[tokio::test]
async fn a_hole_in_the_log_is_an_error() {
    let store: Arc<dyn Store> = Arc::new(MemStore::new());
    let mut log = LogStore::open(Arc::clone(&store), Health::new(), Arc::new(SystemClock)).unwrap();
    let entries: Vec<Entry> = (0..10).map(|index| proposal(index, vec![1])).collect();
    log.append(entries, IoFlushed::noop()).await.unwrap();
    let hole = log.append([proposal(12, vec![1])], IoFlushed::noop()).await;
    assert_eq!(hole.unwrap_err().kind(), io::ErrorKind::InvalidData);

    let mut batch = crate::seams::Batch::default();
    batch.delete(crate::seams::Column::RaftLog, 4u64.to_be_bytes());
    store.write(batch).unwrap();
    let reopened = LogStore::open(Arc::clone(&store), Health::new(), Arc::new(SystemClock));
    let mut reader = reopened.unwrap().get_log_reader().await;
    assert!(reader.try_get_log_entries(0..10).await.is_err());

    let mut batch = crate::seams::Batch::default();
    batch.delete(crate::seams::Column::RaftLog, 0u64.to_be_bytes());
    store.write(batch).unwrap();
    let reopened = LogStore::open(Arc::clone(&store), Health::new(), Arc::new(SystemClock));
    assert!(reopened.is_err(), "a log that lost its beginning is not a shorter log");
}

/// Of several changes of one row in one batch the last one is stored.
#[tokio::test]
async fn the_rows_on_disk_are_the_views() {
    let mut made = Made::new(keyring(), 7).await;
    let wrapped = made.keyring.wrap_domain_key(&DomainKey::generate(1).unwrap()).unwrap();
    let initialise = Operation::Initialise(Initialise {
        cluster_id: vec![7; 16],
        region: "eu-central-1".into(),
        sealed_roots: Vec::new(),
        domain_key: Some(DomainKeyRecord { epoch: 1, wrapped, created_ms: 0 }),
    });
    made.apply(0, initialise).await;
    let ticks: Vec<_> = (1..50)
        .map(|index| {
            let command = Command {
                version: 1,
                time_ms: index * 10,
                operation: Some(Operation::Tick(keystead_state::proto::Tick {})),
                ..Command::default()
            };
            let sealed = made.codec.seal_command(&[index as u8; 16], &command.encode_to_vec());
            Ok((proposal(index, sealed.unwrap()), None))
        })
        .collect();
    made.machine.apply(stream::iter(ticks)).await.unwrap();
    let back = open(&made.store, &made.codec).await.unwrap();
    assert_eq!(rows(&back.published().view()), rows(&made.view()));
    assert_eq!(back.published().view().clock().0, 490);
}
