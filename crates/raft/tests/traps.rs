//! The known traps of building on Raft and on openraft, one test for each that a node that is
//! alone can fall into. Three need the inside of the crate and stand next to what they test:
//! `trap_12` and `trap_17` and `trap_26` in `src/traps.rs`.
//!
//! Those that take more than one node come with the cluster:
//!
//! * 13 (a follower's read needs a confirmed index): there is no follower; every read index comes
//!   from openraft's confirmed read on the leader itself.
//! * 14 (leases assume clock rates): no lease is ever read; the barrier asks with age zero.
//! * 19 (a snapshot transfer does not hold the purge), 20 (one bridge node can block five),
//!   23 (the peer must be the one that was dialled), 27 (a channel per call),
//!   29 (leadership transfer), 30 (the length of an outage), 31 (a barrier waits for the
//!   followers' disks): there are no peers.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{
    MARKER, World, access_key, check_state, command, create_account, created_at, is_done, rows,
    soon, tick,
};
use keystead_raft::seams::{Column, Order, Store};
use keystead_raft::{
    FormatError, InitialiseError, Node, ProposeError, SimStore, SnapshotStore, Timings, Unavailable,
};
use keystead_state::Command;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{CreateAccount, Reason, outcome};
use std::ops::Bound;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

type Shared = Arc<Node>;

fn disk(store: &Arc<SimStore>) -> Arc<dyn Store> {
    Arc::<SimStore>::clone(store)
}

async fn founded(world: &World) -> (Arc<SimStore>, Shared) {
    let store = Arc::new(SimStore::blocking());
    let node = world.found(disk(&store)).await;
    (store, Arc::new(node))
}

/// The node as it comes back after a power failure that `survivors` unsynced batches outlived.
async fn after_crash(world: &World, store: &SimStore, survivors: usize) -> Node {
    world.start(Arc::new(store.crash(survivors))).await.unwrap()
}

fn propose(
    node: &Shared,
    command: Command,
) -> tokio::task::JoinHandle<Result<(keystead_state::Outcome, u64), ProposeError>> {
    let node = Arc::clone(node);
    tokio::spawn(async move { node.propose(command).await })
}

async fn held_sync(store: &Arc<SimStore>) {
    let store = Arc::clone(store);
    let limit = Duration::from_secs(10);
    let held = tokio::task::spawn_blocking(move || store.wait_for_held_sync(limit)).await;
    assert!(held.unwrap(), "nothing asked for a sync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_01_votes_and_entries_are_on_disk_before_success() {
    let world = World::new();
    let store = Arc::new(SimStore::blocking());
    let node = Arc::new(world.start(disk(&store)).await.unwrap());
    store.hold_syncs();
    let founding = tokio::spawn({
        let node = Arc::clone(&node);
        async move { node.initialize().await }
    });
    held_sync(&store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(node.status().leader.is_none(), "no leader before its vote is on disk");
    store.release_syncs();
    founding.await.unwrap().unwrap();

    store.hold_syncs();
    let proposed = propose(&node, world.initialise());
    held_sync(&store).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!proposed.is_finished(), "nothing is acknowledged before it is on disk");
    assert!(!node.view().is_initialised());
    store.release_syncs();
    proposed.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_02_what_is_acknowledged_survives_the_worst_power_failure() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    let mut acknowledged = Vec::new();
    for number in 1..=10 {
        let (_, index) = node.propose(create_account(number)).await.unwrap();
        acknowledged.push((number, index));
        // Nothing that was not synced survives.
        let back = after_crash(&world, &store, 0).await;
        check_state(&world, &back.barrier(soon()).await.unwrap(), &acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_03_the_order_of_writes_is_the_order_on_disk() {
    let world = World::new();
    let store = Arc::new(SimStore::blocking());
    let node = Arc::new(world.start(disk(&store)).await.unwrap());
    store.hold_syncs();
    let founding = tokio::spawn({
        let node = Arc::clone(&node);
        async move { node.initialize().await }
    });
    held_sync(&store).await;
    // Vote, membership and whatever follows: each prefix of them is a disk to start from.
    for survivors in 0..=store.unsynced() {
        let back = after_crash(&world, &store, survivors).await;
        match back.initialize().await {
            Ok(()) | Err(InitialiseError::AlreadyInitialised) => {}
            Err(error) => panic!("after {survivors} batches: {error}"),
        }
        back.propose(world.initialise()).await.unwrap();
    }
    store.release_syncs();
    founding.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_04_a_failed_sync_ends_the_node() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    let stopped = tokio::spawn(node.stopped());
    store.fail_sync(1);
    let failed = node.propose(create_account(1)).await;
    assert_eq!(failed.unwrap_err(), ProposeError::Stopped);
    let reason = timeout(Duration::from_secs(5), stopped).await.unwrap().unwrap();
    assert!(reason.contains("injected sync failure"), "{reason}");
    // The disk works again, and must not be believed.
    let (_, syncs) = store.counts();
    assert_eq!(node.propose(create_account(2)).await.unwrap_err(), ProposeError::Stopped);
    assert_eq!(node.barrier(soon()).await.unwrap_err(), Unavailable::Stopped);
    assert_eq!(store.counts().1, syncs, "nothing was synced again");
    assert!(node.status().failure.is_some());
    assert!(node.shutdown().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_04_a_failed_write_ends_the_node() {
    for which in 1..=3 {
        let world = World::new();
        let (store, node) = founded(&world).await;
        store.fail_write(which);
        // One of log, commit index and state fails; only with the state the reply is lost too.
        let _ = timeout(Duration::from_secs(5), node.propose(create_account(1))).await.unwrap();
        let reason = timeout(Duration::from_secs(5), node.stopped()).await.unwrap();
        assert!(reason.contains("injected write failure"), "{reason}");
        let refused = node.propose(create_account(2)).await.unwrap_err();
        assert_eq!(refused, ProposeError::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_05_a_purged_log_can_be_started_from() {
    let mut world = World::new();
    world.timings = Timings { keep_entries: 3, ..world.timings };
    let (store, node) = founded(&world).await;
    let mut acknowledged = Vec::new();
    for number in 1..=10 {
        let (_, index) = node.propose(create_account(number)).await.unwrap();
        acknowledged.push((number, index));
    }
    node.trigger_snapshot().await.unwrap();
    until(|| node.status().purged.is_some_and(|purged| purged >= 9)).await;
    for survivors in 0..=store.unsynced() {
        let back = after_crash(&world, &store, survivors).await;
        check_state(&world, &back.barrier(soon()).await.unwrap(), &acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_06_an_unfinished_snapshot_is_no_snapshot() {
    let (world, folder) = (World::new(), TempDir::new().unwrap());
    let store = Arc::new(SimStore::blocking());
    let snapshots = || SnapshotStore::in_folder(folder.path()).unwrap();
    let node = Node::start(world.options(disk(&store), snapshots())).await.unwrap();
    node.initialize().await.unwrap();
    node.propose(world.initialise()).await.unwrap();
    node.trigger_snapshot().await.unwrap();
    until(|| node.status().snapshot.is_some()).await;
    let kept = node.status().snapshot;
    // What a write that was cut short leaves behind, and a file that is something else.
    std::fs::write(folder.path().join("draft.tmp"), b"KSTDSNAP half").unwrap();
    std::fs::write(folder.path().join("99999999999999999999-x.snapshot"), b"KSTD").unwrap();

    let crashed: Arc<dyn Store> = Arc::new(store.crash(0));
    let back = Node::start(world.options(crashed, snapshots())).await.unwrap();
    assert_eq!(back.status().snapshot, kept);
    assert!(!folder.path().join("draft.tmp").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_07_the_state_never_parts_from_its_index() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    store.hold_syncs();
    let proposals: Vec<_> = (1..=20).map(|n| propose(&node, create_account(n))).collect();
    held_sync(&store).await;
    store.release_syncs();
    for proposal in proposals {
        proposal.await.unwrap().unwrap();
    }
    // Applied batches are not synced on their own: cut the disk after each of them.
    assert!(store.unsynced() > 0);
    for survivors in 0..=store.unsynced() {
        let back = after_crash(&world, &store, survivors).await;
        let view = back.barrier(soon()).await.unwrap();
        check_state(&world, &view, &[]);
        assert_eq!(view.accounts().count(), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_08_a_snapshot_holds_what_it_says() {
    let mut world = World::new();
    world.timings = Timings { snapshot_every: 7, keep_entries: 1_000_000, ..world.timings };
    let (_, node) = founded(&world).await;
    let mut order = vec![None; 400];
    for round in 0..20 {
        let numbers: Vec<u64> = (round * 10 + 1..=round * 10 + 10).collect();
        let proposals: Vec<_> = numbers
            .iter()
            .map(|number| (*number, propose(&node, create_account(*number))))
            .collect();
        for (number, proposal) in proposals {
            let (_, index) = proposal.await.unwrap().unwrap();
            order[usize::try_from(index).unwrap()] = Some(number);
        }
    }
    until(|| node.status().snapshot.is_some_and(|(index, _)| index > 100)).await;
    let (index, digest) = node.status().snapshot.unwrap();

    // Another node that has seen exactly the commands up to that index.
    let (_, twin) = founded(&World { timings: World::new().timings, ..world }).await;
    for number in order[..=usize::try_from(index).unwrap()].iter().flatten() {
        twin.propose(create_account(*number)).await.unwrap();
    }
    twin.trigger_snapshot().await.unwrap();
    until(|| twin.status().snapshot.is_some()).await;
    assert_eq!(twin.status().snapshot, Some((index, digest)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_09_a_refusal_is_a_result_and_an_unknown_command_stops_the_node() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    node.propose(create_account(1)).await.unwrap();
    let twice = Command { request_id: Vec::new(), ..create_account(1) };
    let (refused, _) = node.propose(twice).await.unwrap();
    let Some(outcome::Result::Rejected(rejected)) = refused.result else {
        panic!("{refused:?}");
    };
    assert_eq!(rejected.reason(), Reason::AccountExists);

    let (_, last) = node.propose(tick()).await.unwrap();
    let newer = Command { version: 99, ..tick() };
    assert_eq!(node.propose(newer).await.unwrap_err(), ProposeError::Stopped);
    let reason = timeout(Duration::from_secs(5), node.stopped()).await.unwrap();
    assert!(reason.contains("version 99"), "{reason}");
    assert_eq!(node.view().applied(), last, "it was not skipped");
    // It stands in the log, so the node cannot start either until it understands it.
    assert!(world.start(Arc::new(store.crash(usize::MAX))).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_10_the_same_commands_give_the_same_state() {
    let world = World::new();
    let ((_, one), (_, other)) = (founded(&world).await, founded(&world).await);
    for number in 1..=30 {
        one.propose(create_account(number)).await.unwrap();
        other.propose(create_account(number)).await.unwrap();
    }
    assert_eq!(rows(&one.view()), rows(&other.view()));
    for node in [&one, &other] {
        node.trigger_snapshot().await.unwrap();
        until(|| node.status().snapshot.is_some()).await;
    }
    assert_eq!(one.status().snapshot, other.status().snapshot);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_11_every_writer_gets_its_answer() {
    let world = World::new();
    let (_, node) = founded(&world).await;
    let proposals: Vec<_> = (1..=500).map(|n| propose(&node, create_account(n))).collect();
    let mut indexes = Vec::new();
    for proposal in proposals {
        let (outcome, index) =
            timeout(Duration::from_secs(20), proposal).await.unwrap().unwrap().unwrap();
        assert!(is_done(&outcome));
        indexes.push(index);
    }
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_15_a_restarted_leader_is_elected_again_and_serves_nothing_old() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    let (_, index) = node.propose(create_account(1)).await.unwrap();
    let term = node.status().term;
    let back = after_crash(&world, &store, 0).await;
    assert!(back.status().term > term);
    assert!(back.view().applied() >= index, "started before the log was applied");
    assert_eq!(created_at(&back.view(), 1), Some(index));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_16_a_barrier_waits_as_long_as_the_request_may() {
    let world = World::new();
    let node = world.start(Arc::new(SimStore::new())).await.unwrap();
    // Not initialised: nobody can lead.
    for wait in [50, 400] {
        let wait = Duration::from_millis(wait);
        let began = Instant::now();
        assert_eq!(node.barrier(began + wait).await.unwrap_err(), Unavailable::Timeout);
        let took = began.elapsed();
        assert!(took >= wait && took < wait + Duration::from_millis(250), "{took:?}");
    }
    // After three seconds without a leader there is no point in waiting.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    assert_eq!(node.barrier(soon()).await.unwrap_err(), Unavailable::NoLeader);
    assert!(began.elapsed() < Duration::from_millis(250));
}

#[test]
fn trap_18_the_timings_are_made_for_slow_disks() {
    let timings = Timings::default();
    assert_eq!(timings.heartbeat, Duration::from_millis(100));
    assert_eq!(timings.election_min, Duration::from_millis(200));
    assert_eq!(timings.election_max, Duration::from_millis(400));
    assert_eq!((timings.snapshot_every, timings.keep_entries), (50_000, 20_000));
}

#[test]
fn trap_21_a_disk_is_formatted_once() {
    let (world, store) = (World::new(), SimStore::new());
    world.format.write(&store).unwrap();
    let again = World::new().format.write(&store);
    assert!(matches!(again, Err(FormatError::AlreadyFormatted { .. })));
    let survived = keystead_raft::Format::read(&store.crash(0)).unwrap();
    assert_eq!(survived, Some(world.format), "durable before the first vote");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_22_a_cluster_is_initialised_once() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    let again = node.initialize().await;
    assert!(matches!(again, Err(InitialiseError::AlreadyInitialised)));
    let back = after_crash(&world, &store, 0).await;
    assert!(matches!(back.initialize().await, Err(InitialiseError::AlreadyInitialised)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_24_a_command_that_failed_may_take_effect_and_never_twice() {
    let world = World::new();
    let store = Arc::new(SimStore::blocking());
    let mut options = world.options(disk(&store), SnapshotStore::in_memory());
    options.propose_timeout = Duration::from_millis(200);
    let node = Arc::new(Node::start(options).await.unwrap());
    node.initialize().await.unwrap();
    node.propose(world.initialise()).await.unwrap();

    store.hold_syncs();
    let failed = node.propose(create_account(1)).await.unwrap_err();
    assert_eq!(failed, ProposeError::Timeout);
    assert!(failed.is_open());
    store.release_syncs();
    let (outcome, second) = node.propose(create_account(1)).await.unwrap();
    assert!(is_done(&outcome), "the first result is repeated: {outcome:?}");
    let first = created_at(&node.view(), 1).unwrap();
    assert!(first < second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_25_a_payload_is_sealed_once_and_stored_as_it_is() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    for number in 1..=5 {
        node.propose(create_account(number)).await.unwrap();
    }
    let everything = (Bound::Unbounded, Bound::Unbounded);
    for column in Column::ALL {
        let rows = store.scan(column, everything.clone(), Order::Ascending, 1000).unwrap();
        assert!(!rows.is_empty());
        for (key, value) in rows {
            for secret in [MARKER, access_key(3).as_bytes()] {
                assert!(!contains(&value, secret), "{column:?} {key:?}");
                assert!(!contains(&key, secret), "{column:?} {key:?}");
            }
        }
    }
    // One megabyte in the log is one megabyte, not several encodings of it.
    let before = column_bytes(&store, Column::RaftLog);
    let big = Operation::CreateAccount(CreateAccount {
        account: 99,
        access_key_id: "BIG".to_owned(),
        sealed_secret: vec![7; 1 << 20],
        service: String::new(),
    });
    node.propose(command(big)).await.unwrap();
    let grown = column_bytes(&store, Column::RaftLog) - before;
    assert!(((1 << 20)..(1 << 20) + 1024).contains(&grown), "{grown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trap_28_one_sync_serves_all_that_wait() {
    let world = World::new();
    let (store, node) = founded(&world).await;
    store.hold_syncs();
    let first = propose(&node, create_account(1));
    held_sync(&store).await;
    let (_, before) = store.counts();
    let rest: Vec<_> = (2..=200).map(|n| propose(&node, create_account(n))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.release_syncs();
    first.await.unwrap().unwrap();
    for proposal in rest {
        proposal.await.unwrap().unwrap();
    }
    let (_, after) = store.counts();
    assert!(after - before <= 4, "{} syncs for 200 writes", after - before);
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn column_bytes(store: &SimStore, column: Column) -> usize {
    let everything = (Bound::Unbounded, Bound::Unbounded);
    let rows = store.scan(column, everything, Order::Ascending, usize::MAX).unwrap();
    rows.iter().map(|(key, value)| key.len() + value.len()).sum()
}

async fn until(mut reached: impl FnMut() -> bool) {
    let deadline = soon();
    while !reached() {
        assert!(Instant::now() < deadline, "it did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
