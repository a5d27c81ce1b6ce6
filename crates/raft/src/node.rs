//! One member of a region's cluster.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use keystead_state::{Command, Outcome, View};
use keystead_types::{ClusterId, NodeId};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, InitializeError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{BasicNode, Raft, ServerState};
use prost::Message;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::barrier::{Barrier, ReadIndex, Rounds, Unavailable};
use crate::blocking::run_blocking;
use crate::codec::Codec;
use crate::disk::DiskGuard;
use crate::health::Health;
use crate::log::LogStore;
use crate::machine::{Ended, Machine, Published, SnapshotStore};
use crate::network::Network;
use crate::options::NodeOptions;
use crate::seams::{Clock, Entropy, Store};
use crate::types::{Proposal, TypeConfig};

/// How long a node that is its cluster's only voter may take to apply its log at start.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the first election may take.
const INITIALISE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long entries that are being applied may take at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// A node that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is on disk could not be read.
    #[error("the stored log or state cannot be read")]
    Storage(#[from] io::Error),
    /// The state is another cluster's.
    #[error("the state belongs to cluster {found}, the data folder to {expected}")]
    ForeignState {
        /// Whose the state is.
        found: ClusterId,
        /// Whose the folder is.
        expected: ClusterId,
    },
    /// The timings contradict each other.
    #[error("the timings cannot be used: {0}")]
    Timings(String),
    /// Raft did not start or did not recover.
    #[error("consensus cannot start: {0}")]
    Raft(String),
}

/// A cluster that could not be initialised.
#[derive(Debug, thiserror::Error)]
pub enum InitialiseError {
    /// It is one already.
    #[error("the node is a member of a cluster already")]
    AlreadyInitialised,
    /// No leader came of it.
    #[error("the new cluster has no leader")]
    NoLeader(#[from] Unavailable),
    /// Consensus refused or stopped.
    #[error("the cluster cannot be initialised: {0}")]
    Raft(String),
}

/// A command of which no outcome is known.
///
/// Except for [`ProposeError::DiskFull`] and [`ProposeError::Sealing`] it may still take effect.
/// Whoever tries again uses the same request id, so that it takes effect once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node does not lead, or stopped leading on the way.
    #[error("the region has no leader here at the moment")]
    NoLeader {
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// It took too long.
    #[error("the command was not acknowledged in time")]
    Timeout,
    /// The node is stopping or has failed.
    #[error("the node is stopping")]
    Stopped,
    /// Too little free space on this node's disk. Nothing was proposed.
    #[error("the disk of the node is full")]
    DiskFull,
    /// The command could not be encrypted. Nothing was proposed.
    #[error("the command could not be sealed")]
    Sealing,
}

impl ProposeError {
    /// Whether the command may still take effect.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::DiskFull | Self::Sealing)
    }
}

/// What a node does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives the log and has no vote.
    Learner,
    /// Receives the log and votes.
    Follower,
    /// Stands for election.
    Candidate,
    /// Decides the order of the log.
    Leader,
    /// Stops.
    Stopping,
}

/// A look at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The node.
    pub node_id: NodeId,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// What it does there.
    pub role: Role,
    /// Raft's term.
    pub term: u64,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Index of the last log entry.
    pub last_log: Option<u64>,
    /// Index of the last applied entry.
    pub applied: Option<u64>,
    /// Index that the current snapshot covers, and the digest of its plain records, which is the
    /// same on every replica.
    pub snapshot: Option<(u64, [u8; 32])>,
    /// Index up to which the log is purged.
    pub purged: Option<u64>,
    /// Why the node failed, if it has.
    pub failure: Option<String>,
    /// Whether mutations are refused because of the disk.
    pub disk_full: bool,
}

/// A running node.
pub struct Node {
    node_id: NodeId,
    address: String,
    codec: Codec,
    raft: Raft<TypeConfig, Machine>,
    servers: WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
    log: LogStore,
    store: Arc<dyn Store>,
    snapshots: Arc<SnapshotStore>,
    published: Arc<Published>,
    health: Health,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    disk: DiskGuard,
    barrier: Arc<Barrier>,
    rounds: JoinHandle<()>,
    stopping: AtomicBool,
    machine_ended: Mutex<Option<Ended>>,
    propose_timeout: Duration,
}

impl Node {
    /// Loads what the store holds and takes part in the cluster.
    ///
    /// A node that is its cluster's only voter has applied its whole log when this returns. Any
    /// other recovers from its peers afterwards; [`Node::barrier`] never gives an older View.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: NodeOptions) -> Result<Self, StartError> {
        let NodeOptions { format, store, keyring, clock, .. } = options;
        let health = Health::new();
        let codec = Codec::new(keyring, format.cluster_id);
        let config = options.timings.config(format.cluster_id);
        let config = config.map_err(|error| StartError::Timings(error.to_string()))?;
        let snapshots = Arc::new(options.snapshots);

        let (machine, ended) = Machine::open(
            Arc::clone(&store),
            codec.clone(),
            health.clone(),
            Arc::clone(&snapshots),
        )
        .await?;
        let published = machine.published();
        check_cluster(&published.view(), format.cluster_id)?;
        let log = open_log(&store, &health, &clock).await?;

        let network = Network::new(options.transport);
        let started =
            Raft::new(format.node_id.0, Arc::new(config), network, log.clone(), machine).await;
        let raft = started.map_err(|error| StartError::Raft(error.to_string()))?;
        recover(&raft, format.node_id).await?;

        let barrier = Arc::new(Barrier::new());
        let confirm = ReadIndex {
            raft: raft.clone(),
            servers: raft.server_metrics(),
            published: Arc::clone(&published),
            clock: Arc::clone(&clock),
        };
        let rounds = Rounds::new(Arc::clone(&barrier), confirm, Arc::clone(&clock));
        Ok(Self {
            node_id: format.node_id,
            address: options.address,
            codec,
            servers: raft.server_metrics(),
            raft,
            log,
            store,
            snapshots,
            published,
            health,
            clock,
            entropy: options.entropy,
            disk: options.disk,
            barrier,
            rounds: tokio::spawn(rounds.run()),
            stopping: AtomicBool::new(false),
            machine_ended: Mutex::new(Some(ended)),
            propose_timeout: options.propose_timeout,
        })
    }

    /// Makes this node the only member of a new cluster. Once in the life of a cluster, on one
    /// node that has never been a member of any.
    ///
    /// # Errors
    /// See [`InitialiseError`].
    pub async fn initialize(&self) -> Result<(), InitialiseError> {
        let members = BTreeMap::from([(self.node_id.0, BasicNode::new(&self.address))]);
        match self.raft.initialize(members).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                return Err(InitialiseError::AlreadyInitialised);
            }
            Err(error) => return Err(InitialiseError::Raft(error.to_string())),
        }
        self.barrier(self.clock.monotonic() + INITIALISE_TIMEOUT).await?;
        Ok(())
    }

    /// Proposes a command and waits until this node has applied it. Gives what came of it and
    /// the log index at which it was applied; [`Node::view`] includes it by then.
    ///
    /// # Errors
    /// See [`ProposeError`]: most of them leave the fate of the command open.
    pub async fn propose(&self, command: Command) -> Result<(Outcome, u64), ProposeError> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(ProposeError::Stopped);
        }
        if self.disk.is_full(self.clock.monotonic()) {
            return Err(ProposeError::DiskFull);
        }
        let proposal = self.seal(&command)?;
        let written = timeout(self.propose_timeout, self.raft.client_write(proposal)).await;
        let response = written.map_err(|_| ProposeError::Timeout)?.map_err(propose_error)?;
        let index = response.log_id.index;
        // Only a command's own reply holds an outcome, and this is the reply to a command.
        response.data.0.map(|outcome| (outcome, index)).ok_or(ProposeError::Stopped)
    }

    /// A View that includes every mutation acknowledged before this call, on any node.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub async fn barrier(&self, deadline: Instant) -> Result<Arc<View>, Unavailable> {
        if self.decides_alone() {
            return Ok(self.view());
        }
        self.barrier.pass(deadline).await
    }

    /// Whether this node leads as the only voter: then nothing is acknowledged that it has not
    /// applied, and there is nobody to ask.
    ///
    /// Safe without a round trip. [`Node::start`] has applied what earlier lives acknowledged; a
    /// membership of one is in effect only after everything before it was applied here; and
    /// before another voter can lead, this node has to commit a joint membership, which shows
    /// here first.
    fn decides_alone(&self) -> bool {
        if self.stopping.load(Ordering::Relaxed) || self.health.failure().is_some() {
            return false;
        }
        let servers = self.servers.borrow_watched();
        let alone = match servers.membership_config.get_joint_config().as_slice() {
            [voters] => voters.len() == 1 && voters.contains(&self.node_id.0),
            _ => false,
        };
        alone && servers.state == ServerState::Leader
    }

    /// The View as this node has it. It may be older than what another node has acknowledged.
    pub fn view(&self) -> Arc<View> {
        self.published.view()
    }

    /// Makes a snapshot soon, whatever the log's length, and purges the log behind it.
    ///
    /// # Errors
    /// The node is stopping or has failed.
    pub async fn trigger_snapshot(&self) -> Result<(), Unavailable> {
        self.raft.trigger().snapshot().await.map_err(|_| Unavailable::Stopped)
    }

    /// A look at the node.
    pub fn status(&self) -> Status {
        let watch = self.raft.metrics();
        let metrics = watch.borrow_watched();
        Status {
            node_id: self.node_id,
            cluster_id: self.codec.cluster_id(),
            role: match metrics.state {
                ServerState::Learner => Role::Learner,
                ServerState::Follower => Role::Follower,
                ServerState::Candidate => Role::Candidate,
                ServerState::Leader => Role::Leader,
                ServerState::Shutdown => Role::Stopping,
            },
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            last_log: metrics.last_log_index,
            applied: self.published.applied(),
            snapshot: self.snapshots.current_digest(),
            purged: metrics.purged.map(|log_id| log_id.index),
            failure: self.health.failure().map(|reason| reason.to_string()),
            disk_full: self.disk.is_full(self.clock.monotonic()),
        }
    }

    /// Ends when consensus or the disk has failed for good, with the reason: the process must
    /// exit. After [`Node::shutdown`] it never ends.
    pub fn stopped(&self) -> impl Future<Output = String> + Send + use<> {
        let health = self.health.clone();
        let mut metrics = self.raft.metrics();
        async move {
            let consensus = async {
                loop {
                    let state = metrics.borrow_and_update().running_state.clone();
                    match state {
                        Err(openraft::errors::Fatal::Stopped) => std::future::pending().await,
                        Err(fatal) => return fatal.to_string(),
                        Ok(()) => {}
                    }
                    if metrics.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            tokio::select! {
                biased;
                reason = health.failed() => reason.to_string(),
                reason = consensus => reason,
            }
        }
    }

    /// Stops taking part, writes everything to disk and lets go of the store.
    ///
    /// # Errors
    /// The disk failed at last.
    pub async fn shutdown(&self) -> io::Result<()> {
        if self.stopping.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.barrier.close();
        self.rounds.abort();
        self.raft.shutdown().await.map_err(|error| io::Error::other(error.to_string()))?;
        let ended = self.machine_ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            ended.wait(SHUTDOWN_TIMEOUT).await;
        }
        let (log, store, health) = (self.log.clone(), Arc::clone(&self.store), self.health.clone());
        run_blocking(store.blocks(), move || {
            log.stop();
            health.run("closing the store", || store.close())
        })
        .await
    }

    fn seal(&self, command: &Command) -> Result<Proposal, ProposeError> {
        let mut id = [0; 16];
        self.entropy.fill(&mut id).map_err(|_| ProposeError::Sealing)?;
        let plain = command.encode_to_vec();
        let sealed = self.codec.seal_command(&id, &plain).map_err(|_| ProposeError::Sealing)?;
        Ok(Proposal { id, sealed: Bytes::from(sealed) })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Without this the rounds would keep the node's parts alive.
        self.rounds.abort();
    }
}

async fn open_log(
    store: &Arc<dyn Store>,
    health: &Health,
    clock: &Arc<dyn Clock>,
) -> io::Result<LogStore> {
    let (blocks, store, health, clock) =
        (store.blocks(), Arc::clone(store), health.clone(), Arc::clone(clock));
    run_blocking(blocks, move || LogStore::open(store, health, clock)).await
}

fn check_cluster(view: &View, expected: ClusterId) -> Result<(), StartError> {
    match view.cluster_id() {
        Some(found) if found != expected => Err(StartError::ForeignState { found, expected }),
        _ => Ok(()),
    }
}

/// Lets the only voter of a cluster apply its whole log. It needs nobody else for that, and
/// nobody else's lease to run out.
async fn recover(raft: &Raft<TypeConfig, Machine>, node_id: NodeId) -> Result<(), StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::Raft(error.to_string());
    let voters = raft
        .with_raft_state(|state| state.membership_state.effective().voter_ids().collect::<Vec<_>>())
        .await
        .map_err(|error| failed(&error))?;
    if voters != [node_id.0] {
        return Ok(());
    }
    raft.trigger().elect(false).await.map_err(|error| failed(&error))?;
    let recovered = raft.wait_for_recovery(Some(RECOVERY_TIMEOUT)).await;
    recovered.map(|_| ()).map_err(|error| failed(&error))
}

fn propose_error(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ProposeError {
    match error {
        RaftError::APIError(
            ClientWriteError::ForwardToLeader(forward)
            | ClientWriteError::LogEntryDiscarded(forward),
        ) => ProposeError::NoLeader { leader: forward.leader_id.map(NodeId) },
        RaftError::APIError(_) => ProposeError::NoLeader { leader: None },
        RaftError::Fatal(_) => ProposeError::Stopped,
    }
}
