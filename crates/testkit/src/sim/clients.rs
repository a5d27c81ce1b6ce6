//! Clients: some propose commands and repeat them until they are acknowledged, some read.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use keystead_state::proto::outcome;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::commands::create_account;
use super::host::Running;
use super::mix;
use super::world::World;

const WRITERS: u64 = 5;
const READERS: u64 = 8;
/// How often a command is proposed before a writer leaves its fate open.
const ATTEMPTS: u32 = 6;
const READ_LIMIT: Duration = Duration::from_secs(2);
/// The accounts of each writer have numbers of their own.
const NUMBERS: u64 = 1_000_000;

/// Starts the clients. They end with the simulation.
pub(super) fn start(world: &Arc<World>) -> Vec<JoinHandle<()>> {
    let rng = |client| Rng::with_seed(mix(world.seed, &[2, client]));
    let writers = (1..=WRITERS)
        .map(|client| tokio::spawn(write(Arc::clone(world), client * NUMBERS, rng(client))));
    let readers = (WRITERS + 1..=WRITERS + READERS)
        .map(|client| tokio::spawn(read(Arc::clone(world), rng(client))));
    writers.chain(readers).collect()
}

async fn write(world: Arc<World>, first: u64, mut rng: Rng) {
    for number in first.. {
        sleep(Duration::from_millis(rng.u64(5..200))).await;
        if world.is_over() {
            return;
        }
        if !create(&world, number, &mut rng).await {
            world.count("commands left open");
        }
    }
}

/// Proposes one command until it is acknowledged, each time through any node. Whether it was.
async fn create(world: &World, number: u64, rng: &mut Rng) -> bool {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            world.count("proposals repeated");
            sleep(Duration::from_millis(rng.u64(5..100))).await;
        }
        let Some((host, running)) = world.any(rng) else { continue };
        if propose(world, number, &running).await {
            world.event(format!("account {number} through host {host}"));
            return true;
        }
    }
    false
}

/// Proposes one command through this node.
pub(super) async fn propose(world: &World, number: u64, running: &Running) -> bool {
    let fresh = world.is_calm().then(|| world.now());
    let proposed = running.call(running.node.propose(create_account(number))).await;
    let Some(Ok((outcome, index))) = proposed else { return false };
    let mut ledger = world.ledger();
    if !matches!(outcome.result, Some(outcome::Result::Done(_))) {
        ledger.violation(format!(
            "account {number}: its command gave {outcome:?} at index {index}, so it was applied \
             twice"
        ));
    }
    ledger.acknowledge(number, index, &running.node.view(), fresh);
    true
}

async fn read(world: Arc<World>, mut rng: Rng) {
    loop {
        sleep(Duration::from_millis(rng.u64(0..40))).await;
        if world.is_over() {
            return;
        }
        let Some((host, running)) = world.any(&mut rng) else { continue };
        let before = world.ledger().before();
        let deadline = Instant::now() + READ_LIMIT;
        match running.call(running.node.barrier(deadline)).await {
            Some(Ok(view)) => {
                world.count("reads");
                world.ledger().read(host, before, &view);
            }
            Some(Err(_)) => world.count("reads refused"),
            None => {}
        }
    }
}
