//! A node that comes back is the node that went.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use common::{World, check_state, create_account, is_done, rows, soon};
use keystead_raft::seams::Store;
use keystead_raft::{
    Node, OpenError, ProposeError, RocksStore, SnapshotStore, StartError, Timings,
};
use tempfile::TempDir;

fn open(folder: &Path) -> (Arc<dyn Store>, SnapshotStore) {
    let store = RocksStore::open(&folder.join("db")).unwrap();
    (Arc::new(store), SnapshotStore::in_folder(&folder.join("snapshots")).unwrap())
}

async fn start(world: &World, folder: &Path) -> Node {
    let (store, snapshots) = open(folder);
    Node::start(world.options(store, snapshots)).await.unwrap()
}

async fn found(world: &World, folder: &Path) -> Node {
    let node = start(world, folder).await;
    node.initialize().await.unwrap();
    node.propose(world.initialise()).await.unwrap();
    node
}

async fn create(node: &Node, numbers: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    let mut acknowledged = Vec::new();
    for number in numbers {
        let (_, index) = node.propose(create_account(number)).await.unwrap();
        acknowledged.push((number, index));
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_survives() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let node = found(&world, folder.path()).await;
    let mut acknowledged = create(&node, 1..20).await;
    let before = node.barrier(soon()).await.unwrap();
    node.shutdown().await.unwrap();

    let node = start(&world, folder.path()).await;
    assert_eq!(rows(&node.barrier(soon()).await.unwrap()), rows(&before));
    acknowledged.extend(create(&node, 20..30).await);
    check_state(&world, &node.view(), &acknowledged);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_carried_out_once_whatever_comes_between() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let node = found(&world, folder.path()).await;
    let acknowledged = create(&node, 1..100).await;
    let before = rows(&node.barrier(soon()).await.unwrap());
    node.shutdown().await.unwrap();

    let node = start(&world, folder.path()).await;
    for number in 1..100 {
        let (outcome, _) = node.propose(create_account(number)).await.unwrap();
        assert!(is_done(&outcome), "{outcome:?}");
    }
    assert_eq!(rows(&node.view()), before);
    check_state(&world, &node.view(), &acknowledged);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_log_survives() {
    let (mut world, folder) = (World::new(), TempDir::new().unwrap());
    world.timings = Timings { snapshot_every: 8, keep_entries: 3, ..world.timings };
    let node = found(&world, folder.path()).await;
    let acknowledged = create(&node, 1..60).await;
    until(|| node.status().purged.is_some_and(|purged| purged > 40)).await;
    node.shutdown().await.unwrap();

    let node = start(&world, folder.path()).await;
    check_state(&world, &node.barrier(soon()).await.unwrap(), &acknowledged);
    assert!(node.status().snapshot.is_some());
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_snapshot_is_made_again() {
    let (mut world, folder) = (World::new(), TempDir::new().unwrap());
    world.timings = Timings { snapshot_every: 8, keep_entries: 3, ..world.timings };
    let node = found(&world, folder.path()).await;
    let acknowledged = create(&node, 1..30).await;
    until(|| node.status().purged.is_some()).await;
    node.shutdown().await.unwrap();

    // A snapshot that was being written when the node stopped may still get its file.
    let snapshots = folder.path().join("snapshots");
    until(|| fs::remove_dir_all(&snapshots).is_ok()).await;
    let node = start(&world, folder.path()).await;
    check_state(&world, &node.barrier(soon()).await.unwrap(), &acknowledged);
    assert!(node.status().snapshot.is_some());
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let node = start(&world, folder.path()).await;
    let second = RocksStore::open(&folder.path().join("db"));
    assert!(matches!(&second, Err(OpenError::InUse(_))), "{second:?}");
    assert!(second.unwrap_err().to_string().contains("another keystead process"));
    node.shutdown().await.unwrap();
    start(&world, folder.path()).await.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_root_key_is_refused() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let node = found(&world, folder.path()).await;
    node.shutdown().await.unwrap();

    let (store, snapshots) = open(folder.path());
    let other = World { format: world.format.clone(), ..World::new() };
    let refused = Node::start(other.options(store, snapshots)).await;
    assert!(matches!(refused, Err(StartError::Storage(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_clusters_state_is_refused() {
    let (mut world, folder) = (World::new(), TempDir::new().unwrap());
    let node = found(&world, folder.path()).await;
    node.shutdown().await.unwrap();

    world.format.cluster_id = keystead_types::ClusterId::new([8; 16]);
    let (store, snapshots) = open(folder.path());
    let refused = Node::start(world.options(store, snapshots)).await;
    assert!(matches!(refused, Err(StartError::ForeignState { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_under_load_is_no_failure() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let node = Arc::new(found(&world, folder.path()).await);
    let proposals: Vec<_> = (1..=300)
        .map(|number| {
            let node = Arc::clone(&node);
            let proposed = async move { node.propose(create_account(number)).await };
            (number, tokio::spawn(proposed))
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    node.shutdown().await.unwrap();
    assert_eq!(node.status().failure, None);
    let mut acknowledged = Vec::new();
    for (number, proposal) in proposals {
        match proposal.await.unwrap() {
            Ok((_, index)) => acknowledged.push((number, index)),
            Err(error) => assert_eq!(error, ProposeError::Stopped),
        }
    }

    let node = start(&world, folder.path()).await;
    check_state(&world, &node.barrier(soon()).await.unwrap(), &acknowledged);
    node.shutdown().await.unwrap();
}

/// RocksDB's default would stop reading at the damage and lose what follows without a word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_middle_of_the_write_ahead_log_is_refused() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let node = found(&world, folder.path()).await;
    create(&node, 1..200).await;
    // The files as they are, without what closing would tidy up.
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(folder.path().join("db")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    node.shutdown().await.unwrap();

    damage_middle(copy.path());
    let refused = RocksStore::open(copy.path());
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}

fn damage_middle(folder: &Path) {
    let logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let log = logs
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "log"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let mut file = fs::File::options().read(true).write(true).open(log).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut bytes = [0; 8];
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.write_all(&bytes.map(|byte| byte ^ 0xff)).unwrap();
}

async fn until(mut reached: impl FnMut() -> bool) {
    let deadline = soon();
    while !reached() {
        assert!(tokio::time::Instant::now() < deadline, "it did not happen");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
