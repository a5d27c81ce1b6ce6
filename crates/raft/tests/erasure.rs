//! What the state has lost leaves the disk: looked for byte by byte, as the node had sealed it.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{World, command, create_account, is_done, rows, soon};
use keystead_raft::seams::{Column, Order, Store};
use keystead_raft::{EraseError, MinFree, Node, RocksStore, SnapshotStore};
use keystead_state::Command;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{
    CreateKey, DeleteMaterial, ImportMaterial, KeyRef, MaterialRecord, RecordErased, outcome,
};
use keystead_types::{KeySpec, KeyUsage, Origin};
use tempfile::TempDir;

const KEY: [u8; 16] = [0x4b; 16];
/// Tag of the rows of keys.
const KEY_ROW: u8 = 0x15;

fn key() -> Option<KeyRef> {
    Some(KeyRef { id: KEY.to_vec(), multi_region: false })
}

/// Authorised on any View.
fn authorised(operation: Operation) -> Command {
    Command { authorised_at: u64::MAX, ..command(operation) }
}

fn create_key() -> Command {
    authorised(Operation::CreateKey(CreateKey {
        key: key(),
        account: 1,
        spec: KeySpec::SymmetricDefault.code().into(),
        usage: KeyUsage::EncryptDecrypt.code().into(),
        origin: Origin::External.code().into(),
        ..CreateKey::default()
    }))
}

fn import() -> Command {
    authorised(Operation::ImportMaterial(ImportMaterial {
        key: key(),
        material: Some(MaterialRecord {
            id: vec![7; 32],
            wrapped: vec![8; 96],
            origin: Origin::External.code().into(),
            ..MaterialRecord::default()
        }),
        token_expires_ms: u64::MAX,
        ..ImportMaterial::default()
    }))
}

/// From now on losses are written down.
fn tell() -> Command {
    authorised(Operation::RecordErased(RecordErased::default()))
}

fn delete() -> Command {
    let material_id = Vec::new();
    authorised(Operation::DeleteMaterial(DeleteMaterial { key: key(), material_id }))
}

/// All values of a column.
fn values(store: &dyn Store, column: Column) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    store.scan(column, all, Order::Ascending, usize::MAX).unwrap()
}

/// In how many files under a folder these bytes are.
fn files_with(folder: &Path, bytes: &[u8]) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += files_with(&path, bytes);
        } else {
            let held = fs::read(&path).unwrap_or_default();
            count += usize::from(held.windows(bytes.len()).any(|window| window == bytes));
        }
    }
    count
}

struct Disk {
    world: World,
    folder: TempDir,
}

impl Disk {
    fn open(&self) -> (Arc<dyn Store>, SnapshotStore) {
        let store = RocksStore::open(&self.folder.path().join("db")).unwrap();
        let snapshots = SnapshotStore::in_folder(&self.folder.path().join("snapshots")).unwrap();
        (Arc::new(store), snapshots)
    }

    fn files_with(&self, bytes: &[u8]) -> usize {
        files_with(self.folder.path(), bytes)
    }

    /// Where the snapshot holds the key, as sealed: some bytes from within.
    fn snapshot_sample(&self) -> Vec<u8> {
        let mut files = fs::read_dir(self.folder.path().join("snapshots")).unwrap();
        let snapshot = fs::read(files.next().unwrap().unwrap().path()).unwrap();
        let middle = snapshot.len() / 2;
        snapshot[middle..middle + 48].to_vec()
    }
}

async fn made(node: &Node, command: Command) -> u64 {
    let (outcome, index) = node.propose(command).await.unwrap();
    assert!(!matches!(outcome.result, Some(outcome::Result::Rejected(_))), "{outcome:?}");
    index
}

async fn snapshot(node: &Node, least: u64) {
    node.trigger_snapshot().await.unwrap();
    while node.status().snapshot.is_none_or(|(index, _)| index < least) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_material_is_in_no_file_once_it_is_erased() {
    let disk = Disk { world: World::new(), folder: TempDir::new().unwrap() };
    let (store, snapshots) = disk.open();
    let node = Node::start(disk.world.options(store.clone(), snapshots)).await.unwrap();
    node.initialize().await.unwrap();
    made(&node, disk.world.initialise()).await;
    made(&node, tell()).await;
    made(&node, create_account(1)).await;
    made(&node, create_key()).await;
    let imported = made(&node, import()).await;

    let key_row = |store: &dyn Store| {
        let found = values(store, Column::State).into_iter().find(|(key, _)| key[0] == KEY_ROW);
        found.unwrap().1
    };
    let row = key_row(&*store);
    let entry = values(&*store, Column::RaftLog).pop().unwrap().1;
    snapshot(&node, imported).await;
    let snapshotted = disk.snapshot_sample();
    let lost = made(&node, delete()).await;
    assert_eq!(node.view().erasures().latest(), lost);
    for (bytes, what) in [(&row, "row"), (&entry, "log entry"), (&snapshotted, "snapshot")] {
        assert!(disk.files_with(bytes) > 0, "the {what} is there before");
    }

    // What is written meanwhile stays.
    let writing = async {
        for number in 2..200 {
            assert!(is_done(&node.propose(create_account(number)).await.unwrap().0));
        }
    };
    let (erased, ()) = tokio::join!(node.erase(lost), writing);
    erased.unwrap();
    for (bytes, what) in [(&row, "row"), (&entry, "log entry"), (&snapshotted, "snapshot")] {
        assert_eq!(disk.files_with(bytes), 0, "the {what} is gone");
    }
    assert!(disk.files_with(&key_row(&*store)) > 0, "the key is there");
    node.erase(lost).await.unwrap();

    let before = rows(&node.barrier(soon()).await.unwrap());
    node.shutdown().await.unwrap();
    drop(node);
    drop(store);
    let (store, snapshots) = disk.open();
    let node = Node::start(disk.world.options(store, snapshots)).await.unwrap();
    assert_eq!(rows(&node.barrier(soon()).await.unwrap()), before);
    node.shutdown().await.unwrap();
    assert_eq!(disk.files_with(&row), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_not_written_anew() {
    let disk = Disk { world: World::new(), folder: TempDir::new().unwrap() };
    let (store, snapshots) = disk.open();
    let mut options = disk.world.options(store, snapshots);
    let space = || Ok(keystead_raft::Space { free: 1, total: 100 });
    options.disk = keystead_raft::DiskGuard::with_probe(space, MinFree::Bytes(10));
    let node = Node::start(options).await.unwrap();
    assert!(matches!(node.erase(0).await, Err(EraseError::DiskFull)));
    node.shutdown().await.unwrap();
}
