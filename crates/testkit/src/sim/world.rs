//! One simulated region: its hosts, its network, what is known about it, and its trace.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;
use keystead_raft::Standing;
use keystead_types::UnixMillis;
use tokio::time::{Instant, sleep, timeout};

use super::clock::true_time;
use super::commands::Cluster;
use super::host::{Host, Running, failure};
use super::ledger::{Ledger, Vote};
use super::network::{HostId, Network};
use super::plan::{GUEST, MEMBERS, Target};
use super::transport::address;

/// How often everything is looked at.
const TICK: Duration = Duration::from_millis(10);
/// Every so many looks, everything that was acknowledged is looked for in every View.
const ALL_EVERY: u32 = 25;
/// Between two steps of a node that joins.
const ENROL_EVERY: Duration = Duration::from_millis(200);
/// How long the region may take to come about.
const FOUNDING: Duration = Duration::from_secs(30);

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) network: Arc<Network>,
    pub(super) hosts: Vec<Host>,
    /// One disk may be lost at a time: until its node is replaced.
    pub(super) replacing: tokio::sync::Mutex<()>,
    /// One clock may be wrong at a time.
    pub(super) attacking: tokio::sync::Mutex<()>,
    cluster: Arc<Cluster>,
    began: Instant,
    ledger: Mutex<Ledger>,
    trace: Mutex<Trace>,
    over: AtomicBool,
    // Neither faults nor their aftermath: the replicated clock has to be right.
    calm: AtomicBool,
}

/// What happened, in order.
#[derive(Default)]
struct Trace {
    hasher: DefaultHasher,
    lines: Vec<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl World {
    pub(super) fn new(seed: u64) -> Result<Arc<Self>> {
        let (began, network) = (Instant::now(), Arc::new(Network::new(seed)));
        let (cluster, lives) = (Arc::new(Cluster::new()?), Arc::default());
        let host = |id| {
            let (cluster, network) = (Arc::clone(&cluster), Arc::clone(&network));
            Host::new(id, seed, began, cluster, network, Arc::clone(&lives))
        };
        Ok(Arc::new(Self {
            seed,
            hosts: (0..=GUEST).map(host).collect(),
            network,
            replacing: tokio::sync::Mutex::default(),
            attacking: tokio::sync::Mutex::default(),
            cluster,
            began,
            ledger: Mutex::default(),
            trace: Mutex::default(),
            over: AtomicBool::new(false),
            calm: AtomicBool::new(false),
        }))
    }

    /// Makes the region: the first host founds it, the others join.
    pub(super) async fn found(self: &Arc<Self>) -> Result<()> {
        let founding = async {
            self.start(0).await;
            let first = self.hosts[0].running();
            let first = first.ok_or_else(|| anyhow::anyhow!("the first node does not run"))?;
            first.node.initialize().await?;
            first.node.propose(self.cluster.initialise()).await?;
            for host in 1..MEMBERS {
                self.start(host).await;
                self.enrol(host, Standing::Voter).await;
            }
            Ok(())
        };
        timeout(FOUNDING, founding).await?
    }

    /// Starts the node of a host, if it does not run.
    pub(super) async fn start(&self, host: HostId) {
        match self.hosts[host].start().await {
            Ok(Some(running)) => {
                let node = running.node.status().node_id;
                self.event(format!("host {host} runs as {node}"));
            }
            Ok(None) => {}
            Err(error) => {
                self.ledger().violation(format!("host {host} cannot start any more: {error}"));
            }
        }
    }

    /// Power failure of a host.
    pub(super) fn crash(&self, host: HostId) {
        let Some(ended) = self.hosts[host].crash() else { return };
        self.count("crashes");
        if ended.leads() {
            self.count("crashes of a leader");
        }
        self.event(format!("host {host} crashes"));
    }

    /// Lets the node of a host join, for as long as it takes. A guest that could not be removed
    /// may still have its vote when it comes again.
    pub(super) async fn enrol(&self, host: HostId, until: Standing) {
        let seeds: Vec<String> = (0..MEMBERS).filter(|id| *id != host).map(address).collect();
        while !self.is_over() {
            if let Some(running) = self.hosts[host].running() {
                let learner = until == Standing::Learner;
                let standing = running.call(running.node.enrol(&seeds, learner)).await;
                if standing == Some(Ok(until)) || standing == Some(Ok(Standing::Voter)) {
                    return;
                }
            }
            sleep(ENROL_EVERY).await;
        }
    }

    /// Looks at everything, all the time.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut leader: Option<Vote> = None;
        for tick in 0u32.. {
            for host in &self.hosts {
                let Some(running) = host.running() else { continue };
                if let Some(reason) = failure(&running) {
                    self.stopped_by_itself(host, &reason);
                    continue;
                }
                let (status, view) = (running.node.status(), running.node.view());
                let mut ledger = self.ledger();
                ledger.look(host.id, running.life, &status, &view, self.now());
                if tick.is_multiple_of(ALL_EVERY) {
                    ledger.check_all(&view, &format!("host {}", host.id));
                }
                drop(ledger);
                let vote = (status.term, status.node_id);
                if running.leads() && leader.is_none_or(|last| last < vote) {
                    leader = Some(vote);
                    self.event(format!("host {} leads term {}", host.id, status.term));
                }
            }
            sleep(TICK).await;
        }
    }

    fn stopped_by_itself(&self, host: &Host, reason: &str) {
        if host.is_failing() {
            self.count("disks failed");
        } else {
            self.ledger().violation(format!("host {} stopped by itself: {reason}", host.id));
        }
        self.crash(host.id);
    }

    /// Any of the hosts whose nodes run.
    pub(super) fn any(&self, rng: &mut Rng) -> Option<(HostId, Running)> {
        let running = |host: &Host| Some((host.id, host.running()?));
        let running: Vec<_> = self.hosts.iter().filter_map(running).collect();
        rng.choice(running)
    }

    /// The host whose node leads; of several the one of the greatest vote.
    pub(super) fn leader(&self) -> Option<HostId> {
        let leading = self.hosts.iter().filter_map(|host| {
            let status = host.running().filter(Running::leads)?.node.status();
            Some(((status.term, status.node_id), host.id))
        });
        leading.max().map(|(_, host)| host)
    }

    /// Whom a fault hits now.
    pub(super) fn resolve(&self, target: Target) -> Option<HostId> {
        match target {
            Target::Leader => self.leader(),
            Target::Host(host) => Some(host),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What true clocks say.
    pub(super) fn now(&self) -> UnixMillis {
        true_time(self.began)
    }

    /// Adds a line to the trace.
    pub(super) fn event(&self, what: impl AsRef<str>) {
        let line = format!("{:9.3} s  {}", self.began.elapsed().as_secs_f64(), what.as_ref());
        let mut trace = self.trace();
        trace.hasher.write(line.as_bytes());
        trace.lines.push(line);
    }

    /// Counts something.
    pub(super) fn count(&self, what: &'static str) {
        *self.trace().counts.entry(what).or_default() += 1;
    }

    /// What was counted, the trace's lines and its digest.
    pub(super) fn told(&self) -> (BTreeMap<&'static str, u64>, Vec<String>, u64) {
        let trace = self.trace();
        (trace.counts.clone(), trace.lines.clone(), trace.hasher.finish())
    }

    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
