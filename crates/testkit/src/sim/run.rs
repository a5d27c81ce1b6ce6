//! One run: found the region, let things go wrong, put them right, and look at what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::host::Running;
use super::network::HostId;
use super::plan::{GUEST, Target, clock_offset, plan};
use super::world::World;
use super::{clients, faults, mix};

/// After everything is right again there is a leader within this time, and each node serves.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long what was begun under faults may take to end without them.
const AFTERMATH: Duration = Duration::from_secs(60);
/// How long a clock is attacked while nothing else is wrong.
const ATTACK: Duration = Duration::from_secs(2);
/// How long a wrong clock of the past may count.
const CALMED: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(10);

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What everything followed from.
    pub seed: u64,
    /// What happened, and how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// What should not have been.
    pub violations: Vec<String>,
    /// What happened, line by line.
    pub trace: Vec<String>,
    /// A digest of the trace.
    pub digest: u64,
}

/// Runs one simulation on this thread.
///
/// # Errors
/// The region could not be founded; nothing had gone wrong yet.
pub fn run(seed: u64, steps: usize) -> Result<Report> {
    keystead_raft::seed_elections(mix(seed, &[3]));
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(simulate(seed, steps))
}

async fn simulate(seed: u64, steps: usize) -> Result<Report> {
    let world = World::new(seed)?;
    let watching = tokio::spawn(Arc::clone(&world).watch());
    world.found().await?;
    let clients = clients::start(&world);
    tokio::select! {
        biased;
        () = violated(&world) => world.end(),
        () = phases(&world, steps, clients) => {}
    }
    watching.abort();
    Ok(report(&world))
}

/// Ends at the first violation: what follows one says little.
async fn violated(world: &World) {
    while world.ledger().violations().is_empty() {
        sleep(POLL).await;
    }
}

async fn phases(world: &Arc<World>, steps: usize, clients: Vec<JoinHandle<()>>) {
    let going_on = faults::carry_out(world, plan(world.seed, steps)).await;
    world.event("no more faults");
    if timeout(AFTERMATH, all(going_on)).await.is_err() {
        world.ledger().violation(format!("what was begun is not over after {AFTERMATH:?}"));
    }
    for host in 0..GUEST {
        world.start(host).await;
    }
    serves(world, 1).await;
    attack_clocks(world).await;
    world.end();
    all(clients).await;
    settled(world).await;
    // What is acknowledged is on disk: on all of them at once the power fails.
    faults::power_failure(world, Duration::ZERO).await;
    serves(world, 2).await;
    settled(world).await;
}

async fn all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        // A task that panicked has told so; what it left undone will be noticed.
        let _ = task.await;
    }
}

/// There is a leader, every member takes a command, and every member answers reads.
async fn serves(world: &World, round: u64) {
    let began = Instant::now();
    while members(world).is_none() {
        if began.elapsed() > RECOVERY {
            let text = format!("no leader of all within {RECOVERY:?}: {}", standing(world));
            return world.ledger().violation(text);
        }
        sleep(POLL).await;
    }
    world.event(format!("a leader after {:?}", began.elapsed()));
    for (host, running) in members(world).unwrap_or_default() {
        let number = round * 1000 + host as u64 + 1;
        let limit = Instant::now() + RECOVERY;
        let proposed = timeout(RECOVERY, clients::propose(world, number, &running)).await;
        if proposed != Ok(true) {
            world.ledger().violation(format!("host {host} takes no command within {RECOVERY:?}"));
        }
        let before = world.ledger().before();
        match running.node.barrier(limit).await {
            Ok(view) => world.ledger().read(host, before, &view),
            Err(error) => world.ledger().violation(format!("host {host} answers no read: {error}")),
        }
    }
}

/// The members, as the leader of most of them has it, if there is one and all of them run.
fn members(world: &World) -> Option<Vec<(HostId, Running)>> {
    let leader = world.hosts[world.leader()?].running()?.node.status();
    let member = |id| {
        let host = world.hosts.iter().find(|host| host.node_id() == id)?;
        let running = host.running()?;
        let status = running.node.status();
        let agrees = status.term == leader.term && status.leader == Some(leader.node_id);
        agrees.then_some((host.id, running))
    };
    leader.members.iter().map(|known| member(known.id)).collect()
}

/// What each host says of itself, and whom the one that leads takes for members.
fn standing(world: &World) -> String {
    let said = world.hosts.iter().map(|host| {
        let Some(running) = host.running() else { return format!("host {} is down", host.id) };
        let status = running.node.status();
        let leader = status.leader.map_or_else(|| "nobody".to_owned(), |leader| leader.to_string());
        let members = status.members.iter().map(|known| match known.voter {
            true => known.id.to_string(),
            false => format!("{} without a vote", known.id),
        });
        let members = members.filter(|_| running.leads()).collect::<Vec<_>>().join(" and ");
        let (id, term) = (status.node_id, status.term);
        format!("host {} is {id}, follows {leader} in term {term} {members}", host.id)
    });
    said.collect::<Vec<_>>().join("; ")
}

/// One clock after the other goes wrong while nothing else does; commands go on.
async fn attack_clocks(world: &World) {
    sleep(CALMED).await;
    world.event("only clocks go wrong");
    world.set_calm(true);
    let mut rng = Rng::with_seed(mix(world.seed, &[4]));
    for target in [Target::Leader, Target::Host(rng.usize(0..GUEST))] {
        faults::set_clock(world, target, clock_offset(&mut rng), ATTACK).await;
    }
    world.set_calm(false);
}

/// All members come to hold the same, and it includes everything that was acknowledged.
async fn settled(world: &World) {
    let began = Instant::now();
    let applied = |(_, running): &(HostId, Running)| running.node.status().applied;
    loop {
        let members = members(world).unwrap_or_default();
        let first = members.first().and_then(applied);
        if first.is_some() && members.iter().all(|member| applied(member) == first) {
            break;
        }
        if began.elapsed() > RECOVERY {
            return world.ledger().violation("the members do not come to the same index");
        }
        sleep(POLL).await;
    }
    for (host, running) in members(world).unwrap_or_default() {
        let (view, mut ledger) = (running.node.view(), world.ledger());
        let before = ledger.before();
        ledger.read(host, before, &view);
        ledger.compare(host, &view);
    }
}

fn report(world: &World) -> Report {
    let (mut counts, trace, digest) = world.told();
    let ledger = world.ledger();
    counts.insert("terms with a leader", ledger.terms() as u64);
    counts.insert("commands acknowledged", ledger.acknowledged() as u64);
    counts.insert("snapshots sent", world.network.snapshots());
    let violations = ledger.violations().to_vec();
    Report { seed: world.seed, counts, violations, trace, digest }
}
