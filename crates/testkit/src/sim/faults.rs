//! Carries the plan out.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use keystead_raft::{Change, Standing};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::network::HostId;
use super::plan::{Fault, GUEST, Step, Target};
use super::world::World;

/// How long a voter's wrong clock is remembered by others, and a little more.
const REMEMBERED: Duration = Duration::from_secs(4);
/// How long a change of the membership is tried.
const PATIENCE: Duration = Duration::from_secs(20);
const TRY_AGAIN: Duration = Duration::from_millis(300);

/// Lets everything go wrong that is planned, and gives what is still going on at the end.
pub(super) async fn carry_out(world: &Arc<World>, plan: Vec<Step>) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for step in plan {
        sleep(step.after).await;
        if !world.ledger().violations().is_empty() {
            break;
        }
        tasks.push(tokio::spawn(one(Arc::clone(world), step)));
    }
    tasks
}

async fn one(world: Arc<World>, step: Step) {
    let Step { fault, lasts, .. } = step;
    world.event(step.to_string());
    match fault {
        Fault::Crash(target) => crash(&world, target, lasts).await,
        Fault::PowerFailure => power_failure(&world, lasts).await,
        Fault::FailDisk(target) => fail_disk(&world, target, lasts).await,
        Fault::LoseDisk(target) => lose_disk(&world, target, lasts).await,
        Fault::Isolate(target) => cut(&world, target, lasts, true, true).await,
        Fault::Deafen(target) => cut(&world, target, lasts, true, false).await,
        Fault::Mute(target) => cut(&world, target, lasts, false, true).await,
        Fault::CutOneWay(from, to) => cut_one_way(&world, from, to, lasts).await,
        Fault::Storm => storm(&world, lasts).await,
        Fault::SetClock(target, by) => set_clock(&world, target, by, lasts).await,
        Fault::TransferLeader(to) => transfer_leader(&world, to).await,
        Fault::Snapshot(target) => snapshot(&world, target).await,
        Fault::Guest => guest(&world, lasts).await,
    }
}

async fn crash(world: &World, target: Target, lasts: Duration) {
    let Some(host) = world.resolve(target) else { return };
    world.crash(host);
    sleep(lasts).await;
    world.start(host).await;
}

/// All at once. They come back one by one.
pub(super) async fn power_failure(world: &World, lasts: Duration) {
    world.count("power failures");
    let runs = |host: &HostId| world.hosts[*host].running().is_some();
    let hosts: Vec<HostId> = (0..world.hosts.len()).filter(runs).collect();
    for host in &hosts {
        world.crash(*host);
    }
    for host in hosts {
        sleep(lasts / 4).await;
        world.start(host).await;
    }
}

async fn fail_disk(world: &World, target: Target, lasts: Duration) {
    let Some(host) = world.resolve(target) else { return };
    if !world.hosts[host].fail_disk() {
        return;
    }
    sleep(lasts).await;
    // A disk that nobody used did not fail.
    world.crash(host);
    world.start(host).await;
}

/// The new node replaces the old one, which is dead, under the same name.
async fn lose_disk(world: &World, target: Target, lasts: Duration) {
    let Ok(_turn) = world.replacing.try_lock() else { return };
    let Some(host) = world.resolve(target) else { return };
    if !world.hosts[host].lose_disk() {
        return;
    }
    world.event(format!("host {host} has lost its disk"));
    sleep(lasts).await;
    world.start(host).await;
    world.enrol(host, Standing::Voter).await;
    world.count("members replaced");
    world.event(format!("host {host} is replaced"));
}

async fn cut(world: &World, target: Target, lasts: Duration, inward: bool, outward: bool) {
    let Some(host) = world.resolve(target) else { return };
    let others = || (0..world.hosts.len()).filter(|other| *other != host);
    let inward = others().filter(|_| inward).map(|other| (other, host));
    let outward = others().filter(|_| outward).map(|other| (host, other));
    let cuts: Vec<_> = inward.chain(outward).collect();
    world.count(if cuts.len() < others().count() * 2 { "one-way cuts" } else { "cuts" });
    if world.leader() == Some(host) {
        world.count("cuts of a leader");
    }
    cuts.iter().for_each(|(from, to)| world.network.cut(*from, *to));
    sleep(lasts).await;
    cuts.iter().for_each(|(from, to)| world.network.join(*from, *to));
}

async fn cut_one_way(world: &World, from: Target, to: HostId, lasts: Duration) {
    let Some(from) = world.resolve(from).filter(|from| *from != to) else { return };
    world.count("one-way cuts");
    world.network.cut(from, to);
    sleep(lasts).await;
    world.network.join(from, to);
}

async fn storm(world: &World, lasts: Duration) {
    world.count("storms");
    world.network.begin_storm();
    sleep(lasts).await;
    world.network.end_storm();
}

/// Sets one clock wrong, then wronger in the other direction, then right.
pub(super) async fn set_clock(world: &World, target: Target, by: i64, lasts: Duration) {
    let Ok(_turn) = world.attacking.try_lock() else { return };
    let Some(host) = world.resolve(target) else { return };
    world.count("clocks attacked");
    for off in [by, -by, 0] {
        world.event(format!("host {host}'s clock is off by {off} ms"));
        world.hosts[host].clock.set_off(off);
        sleep(if off == 0 { REMEMBERED } else { lasts }).await;
    }
}

async fn transfer_leader(world: &World, to: Option<HostId>) {
    let Some(running) = world.leader().and_then(|host| world.hosts[host].running()) else { return };
    let to = to.map(|host| world.hosts[host].node_id());
    let change = running.node.change(Change::TransferLeader(to));
    if let Some(Ok(_)) = running.call(change).await {
        world.count("leaderships transferred");
    }
}

async fn snapshot(world: &World, target: Target) {
    let Some(host) = world.resolve(target) else { return };
    if let Some(running) = world.hosts[host].running() {
        // A node that stops makes none.
        let _ = running.call(running.node.trigger_snapshot()).await;
    }
}

/// A fourth node comes and goes. It is gone only once a leader has said so: a node that may still
/// have a vote must not lose its disk.
async fn guest(world: &World, lasts: Duration) {
    if world.hosts[GUEST].running().is_some() {
        return;
    }
    world.start(GUEST).await;
    world.enrol(GUEST, Standing::Learner).await;
    let id = world.hosts[GUEST].node_id();
    if !change(world, Change::Promote(id), Standing::Voter).await {
        return;
    }
    world.count("guests with a vote");
    world.event(format!("guest {id} has a vote"));
    sleep(lasts).await;
    if change(world, Change::Remove(id), Standing::Absent).await {
        world.count("guests removed");
        world.event(format!("guest {id} is removed"));
        world.hosts[GUEST].lose_disk();
    }
}

/// Makes a change through any member, for some time. Whether it was made.
async fn change(world: &World, change: Change, becomes: Standing) -> bool {
    let mut rng = Rng::with_seed(world.seed);
    let trying = async {
        loop {
            if let Some((_, running)) = world.any(&mut rng)
                && let Some(Ok(standing)) = running.call(running.node.change(change.clone())).await
                && standing == becomes
            {
                return;
            }
            // A leader does not remove itself.
            if world.leader() == Some(GUEST) {
                transfer_leader(world, None).await;
            }
            sleep(TRY_AGAIN).await;
        }
    };
    timeout(PATIENCE, trying).await.is_ok()
}
