//! The barrier: what was acknowledged before it is in the View that it gives.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{World, create_account, created_at, soon, tick};
use keystead_raft::{DiskGuard, MemStore, MinFree, Node, ProposeError, SnapshotStore, Space};
use tokio::time::{Instant, timeout};

async fn founded() -> Arc<Node> {
    Arc::new(World::new().found(Arc::new(MemStore::new())).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_after_a_barrier_includes_what_was_acknowledged_before() {
    let node = founded().await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let (node, acknowledged, done) =
                (Arc::clone(&node), Arc::clone(&acknowledged), Arc::clone(&done));
            tokio::spawn(async move {
                let mut count = 0u64;
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let view = node.barrier(soon()).await.unwrap();
                    assert!(view.applied() >= before, "{} < {before}", view.applied());
                    count += 1;
                    // The only voter answers at once; the writer wants its turn as well.
                    tokio::task::yield_now().await;
                }
                count
            })
        })
        .collect();
    for number in 1..=500 {
        let (_, index) = node.propose(create_account(number)).await.unwrap();
        // The writer's own node shows it without a barrier.
        assert_eq!(created_at(&node.view(), number), Some(index));
        acknowledged.store(index, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_without_commands_move_the_view_too() {
    let node =
        Node::start(World::new().options(Arc::new(MemStore::new()), SnapshotStore::in_memory()))
            .await
            .unwrap();
    node.initialize().await.unwrap();
    // The membership at 0 and the leader's blank entry at 1 are all there is. Nothing waits for the
    // latter, as nobody is told of it.
    let moved = async {
        while node.barrier(soon()).await.unwrap().applied() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), moved).await.unwrap();
    assert_eq!(node.status().applied, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_node_lets_everybody_go() {
    let node = founded().await;
    node.shutdown().await.unwrap();
    assert!(timeout(Duration::from_secs(5), node.barrier(soon())).await.unwrap().is_err());
    assert_eq!(node.propose(tick()).await.unwrap_err(), ProposeError::Stopped);
    let stopped = timeout(Duration::from_millis(200), node.stopped()).await;
    assert!(stopped.is_err(), "an orderly stop is no failure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_mutations_only() {
    let free = Arc::new(AtomicU64::new(1000));
    let seen = Arc::clone(&free);
    let probe = move || Ok(Space { free: seen.load(Ordering::SeqCst), total: 10_000 });
    let world = World::new();
    let mut options = world.options(Arc::new(MemStore::new()), SnapshotStore::in_memory());
    options.disk = DiskGuard::with_probe(probe, MinFree::Bytes(100));
    let node = Node::start(options).await.unwrap();
    node.initialize().await.unwrap();
    node.propose(world.initialise()).await.unwrap();

    free.store(99, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let refused = node.propose(tick()).await.unwrap_err();
    assert_eq!(refused, ProposeError::DiskFull);
    assert!(!refused.is_open());
    assert!(node.status().disk_full);
    node.barrier(soon()).await.unwrap();

    free.store(1000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(600)).await;
    node.propose(tick()).await.unwrap();
}

/// Prints how many barriers a second pass; it should be well above a hundred thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn barriers_per_second() {
    let node = founded().await;
    for tasks in [1, 32, 256] {
        let began = Instant::now();
        let workers: Vec<_> = (0..tasks)
            .map(|_| {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    let mut count = 0u64;
                    while began.elapsed() < Duration::from_secs(2) {
                        node.barrier(soon()).await.unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for worker in workers {
            total += worker.await.unwrap();
        }
        eprintln!("{tasks} tasks: {} barriers/s", total / 2);
    }
}
