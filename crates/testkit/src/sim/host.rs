//! A host: a disk, a clock, an address, and the node that runs there now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use futures::FutureExt;
use futures::future::Shared;
use keystead_raft::seams::{Clock, Store};
use keystead_raft::{Format, Member, Node, NodeOptions, Role, SimStore, SnapshotStore, StartError};
use keystead_types::NodeId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::clock::HostClock;
use super::commands::{Cluster, PROPOSE_TIMEOUT, timings};
use super::disk::Disk;
use super::mix;
use super::network::{HostId, Life, Network};
use super::transport::{SimTransport, address};

pub(super) struct Host {
    pub(super) id: HostId,
    pub(super) clock: HostClock,
    cluster: Arc<Cluster>,
    network: Arc<Network>,
    lives: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    node_id: NodeId,
    disk: Arc<Disk>,
    running: Option<(Running, oneshot::Sender<()>)>,
    // A node is being started; nobody else starts one.
    starting: bool,
    // The disk was told to fail.
    failing: bool,
}

/// A node in one of its lives.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) node: Arc<Node>,
    pub(super) life: Life,
    // Resolves when the other side, which the host has, is dropped.
    over: Shared<oneshot::Receiver<()>>,
}

impl Running {
    /// What a call gives, if the node lives so long. A call ends with its node.
    pub(super) async fn call<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.over.clone() => None,
            answer = call => Some(answer),
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.node.status().role == Role::Leader
    }
}

impl Host {
    pub(super) fn new(
        id: HostId,
        seed: u64,
        began: Instant,
        cluster: Arc<Cluster>,
        network: Arc<Network>,
        lives: Arc<AtomicU64>,
    ) -> Self {
        let mut rng = Rng::with_seed(mix(seed, &[u64::MAX, id as u64]));
        let (node_id, disk) = (NodeId(rng.u64(1..)), empty_disk(&mut rng));
        let state = State { rng, node_id, disk, running: None, starting: false, failing: false };
        let (clock, state) = (HostClock::new(began), Mutex::new(state));
        Self { id, clock, cluster, network, lives, state }
    }

    pub(super) fn member(&self) -> Member {
        Member { name: format!("kms-{}", self.id), address: address(self.id) }
    }

    pub(super) fn node_id(&self) -> NodeId {
        self.lock().node_id
    }

    /// The node, if it runs.
    pub(super) fn running(&self) -> Option<Running> {
        self.lock().running.as_ref().map(|(running, _)| running.clone())
    }

    /// Starts the node with what is on the disk, unless it runs.
    ///
    /// # Errors
    /// It cannot be started: a node always starts with what a crash left behind.
    pub(super) async fn start(&self) -> Result<Option<Running>, StartError> {
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let options = {
            let mut state = self.lock();
            if state.running.is_some() || std::mem::replace(&mut state.starting, true) {
                return Ok(None);
            }
            self.options(&state, life)
        };
        self.network.begin(self.id, life);
        let started = Node::start(options).await;
        let mut state = self.lock();
        state.starting = false;
        let node = Arc::new(started?);
        self.network.listen(self.id, node.inbox());
        let (end, over) = oneshot::channel();
        let running = Running { node, life, over: over.shared() };
        state.running = Some((running.clone(), end));
        Ok(Some(running))
    }

    /// Power failure. Gives the life that it ended, if there was one.
    pub(super) fn crash(&self) -> Option<Running> {
        let mut state = self.lock();
        let (ended, _end) = state.running.take()?;
        let disk = Arc::clone(&state.disk);
        let survived = disk.crash(&mut state.rng);
        state.disk = Arc::new(Disk::new(survived, state.rng.fork()));
        state.failing = false;
        self.network.end(self.id);
        // What goes on in the process reaches nobody any more; this only ends it.
        let node = Arc::clone(&ended.node);
        tokio::spawn(async move { node.shutdown().await });
        Some(ended)
    }

    /// Power failure, after which the disk is empty: who starts next is another node. Nothing
    /// happens, and the answer is no, while a node is being started.
    pub(super) fn lose_disk(&self) -> bool {
        self.crash();
        let mut state = self.lock();
        if state.starting {
            return false;
        }
        state.node_id = NodeId(state.rng.u64(1..));
        state.disk = empty_disk(&mut state.rng);
        true
    }

    /// Lets the next sync of the disk fail. The node must stop then. Nothing happens, and the
    /// answer is no, where none runs: the one that is started next would fail much later.
    pub(super) fn fail_disk(&self) -> bool {
        let mut state = self.lock();
        if state.running.is_none() {
            return false;
        }
        state.failing = true;
        state.disk.fail();
        true
    }

    /// Whether the node may have stopped because its disk was told to fail.
    pub(super) fn is_failing(&self) -> bool {
        self.lock().failing
    }

    fn options(&self, state: &State, life: Life) -> NodeOptions {
        let format = Format {
            cluster_id: self.cluster.cluster_id,
            node_id: state.node_id,
            region: self.cluster.region.clone(),
            sealed_roots: Vec::new(),
        };
        let store: Arc<dyn Store> = Arc::<Disk>::clone(&state.disk);
        let keyring = Arc::clone(&self.cluster.keyring);
        // A snapshot in memory does not survive: the node has to make another one at start.
        let alone = NodeOptions::alone(format, store, SnapshotStore::in_memory(), keyring);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let transport = SimTransport {
            network: Arc::clone(&self.network),
            from: (self.id, life),
            node_id: state.node_id,
        };
        NodeOptions {
            transport: Arc::new(transport),
            member: self.member(),
            clock,
            timings: timings(),
            propose_timeout: PROPOSE_TIMEOUT,
            ..alone
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn empty_disk(rng: &mut Rng) -> Arc<Disk> {
    Arc::new(Disk::new(SimStore::new(), rng.fork()))
}

/// Why a node has stopped by itself, if it has.
pub(super) fn failure(running: &Running) -> Option<String> {
    running.node.stopped().now_or_never()
}
