//! One member of a region's cluster.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keystead_state::{Command, Outcome, View};
use keystead_types::{ClusterId, NodeId, UnixMillis};
use openraft::Raft;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::background;
use crate::barrier::Unavailable;
use crate::blocking::run_blocking;
use crate::codec::Codec;
use crate::erase::{self, EraseError};
use crate::health::Health;
use crate::inbox::Inbox;
use crate::log::LogStore;
use crate::machine::{Ended, Machine};
use crate::member::Member;
use crate::membership::{Change, ChangeError, Standing};
use crate::network::Network;
use crate::node_core::Core;
use crate::options::{NodeOptions, Reads};
use crate::peers::Peers;
use crate::propose::ProposeError;
use crate::rounds::Waiting;
use crate::seams::{Clock, Link, Store, Transport};
use crate::time::ReplicatedTime;
use crate::types::TypeConfig;

/// How long a node that is its cluster's only voter may take to apply its log at start.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(300);
/// How long the first election may take.
const INITIALISE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a seed may take to answer.
const SEED_TIMEOUT: Duration = Duration::from_secs(12);
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

/// A running node.
pub struct Node {
    pub(crate) core: Arc<Core>,
    log: LogStore,
    store: Arc<dyn Store>,
    transport: Arc<dyn Transport>,
    reads: Reads,
    tasks: Vec<JoinHandle<()>>,
    machine_ended: Mutex<Option<Ended>>,
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
        let NodeOptions { format, store, keyring, clock, transport, .. } = options;
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

        let network = Network::new(Arc::clone(&transport));
        let started =
            Raft::new(format.node_id.0, Arc::new(config), network, log.clone(), machine).await;
        let raft = started.map_err(|error| StartError::Raft(error.to_string()))?;
        recover(&raft, format.node_id).await?;

        let core = Arc::new(Core {
            node_id: format.node_id,
            member: options.member,
            understands: options.understands,
            servers: raft.server_metrics(),
            raft,
            codec,
            snapshots,
            published,
            health,
            clock,
            entropy: options.entropy,
            disk: options.disk,
            peers: Peers::new(Arc::clone(&transport)),
            time: ReplicatedTime::default(),
            views: Arc::new(Waiting::new()),
            indexes: Arc::new(Waiting::new()),
            propose_timeout: options.propose_timeout,
            stopping: AtomicBool::new(false),
        });
        let (tasks, reads) = (background::spawn(&core, &options.timings), options.reads);
        let machine_ended = Mutex::new(Some(ended));
        Ok(Self { core, log, store, transport, reads, tasks, machine_ended })
    }

    /// Makes this node the only member of a new cluster. Once in the life of a cluster, on one
    /// node that has never been a member of any.
    ///
    /// # Errors
    /// See [`InitialiseError`].
    pub async fn initialize(&self) -> Result<(), InitialiseError> {
        let members = BTreeMap::from([(self.core.node_id.0, self.core.member.clone())]);
        match self.core.raft.initialize(members).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                return Err(InitialiseError::AlreadyInitialised);
            }
            Err(error) => return Err(InitialiseError::Raft(error.to_string())),
        }
        self.barrier(self.core.clock.monotonic() + INITIALISE_TIMEOUT).await?;
        Ok(())
    }

    /// Proposes a command through whichever node leads and waits until this node has applied it.
    /// Gives what came of it and the log index at which it was applied; [`Node::view`] includes
    /// it by then. The leader sets the command's time.
    ///
    /// # Errors
    /// See [`ProposeError`]: most of them leave the fate of the command open.
    pub async fn propose(&self, command: Command) -> Result<(Outcome, u64), ProposeError> {
        self.core.propose(command).await
    }

    /// A View that includes every mutation acknowledged before this call, on any node; under
    /// [`Reads::Bounded`] every mutation acknowledged so long before it.
    ///
    /// # Errors
    /// See [`Unavailable`].
    pub async fn barrier(&self, deadline: Instant) -> Result<Arc<View>, Unavailable> {
        if self.core.decides_alone() {
            return Ok(self.view());
        }
        if let Reads::Bounded(bound) = self.reads
            && let Some(began) = self.core.views.last_confirmed()
        {
            let age = self.core.clock.monotonic().saturating_duration_since(began);
            if age > bound / 2 {
                self.refresh(deadline);
            }
            if age <= bound && !self.core.is_stopping() {
                return Ok(self.view());
            }
        }
        self.core.views.pass(deadline).await
    }

    /// Confirms a View for those who come next.
    fn refresh(&self, deadline: Instant) {
        let views = Arc::clone(&self.core.views);
        tokio::spawn(async move {
            // Whoever needs it and does not find it asks for itself.
            let _ = views.pass(deadline).await;
        });
    }

    /// The View as this node has it. It may be older than what another node has acknowledged.
    pub fn view(&self) -> Arc<View> {
        self.core.published.view()
    }

    /// The side that other nodes talk to.
    pub fn inbox(&self) -> Inbox {
        Inbox::new(Arc::clone(&self.core))
    }

    /// What this node is by the membership in effect here.
    pub fn standing(&self) -> Standing {
        self.core.standing(self.core.node_id)
    }

    /// Whether this node leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.core.leads()
    }

    /// The time that the clocks of a majority have reached, if this node leads.
    pub fn time(&self) -> UnixMillis {
        self.core.reached_time()
    }

    /// The greatest cluster version that this node understands.
    pub fn understands(&self) -> u32 {
        self.core.understands
    }

    /// The greatest cluster version that all members understand, learners too. `None` if this node
    /// does not lead, or if one of them does not say.
    pub async fn understood_by_all(&self) -> Option<u32> {
        self.core.understood_by_all().await
    }

    /// The member that leads, as far as this node knows.
    pub fn leader(&self) -> Option<(NodeId, Member)> {
        self.core.leader()
    }

    /// Whether this node has never been a member of a cluster.
    pub fn is_new(&self) -> bool {
        let watch = self.core.raft.metrics();
        let metrics = watch.borrow_watched();
        metrics.last_log_index.is_none() && metrics.last_applied.is_none()
    }

    /// Changes the membership, through whichever node leads.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn change(&self, change: Change) -> Result<Standing, ChangeError> {
        self.core.change(change).await
    }

    /// Takes the next step towards being a member: asks the leader or, where none is known, the
    /// members at these addresses. Safe to be repeated until the standing is what it should be.
    ///
    /// # Errors
    /// See [`ChangeError`]: the last one, if nobody did anything.
    pub async fn enrol(&self, seeds: &[String], learner: bool) -> Result<Standing, ChangeError> {
        let (id, member) = (self.core.node_id, self.core.member.clone());
        let returning = self.core.was_member().await;
        let change = Change::Enrol { id, member, learner, returning };
        let mut result = self.core.change(change.clone()).await;
        for seed in seeds {
            if !matches!(result, Err(ChangeError::NoLeader { .. })) {
                break;
            }
            let peer = self.transport.peer(None, seed, Link::Request);
            result = peer.change(change.clone(), SEED_TIMEOUT).await.unwrap_or_else(|error| {
                tracing::debug!(%error, %seed, "a seed gave no answer");
                Err(ChangeError::NoLeader { leader: None })
            });
        }
        result
    }

    /// Makes a snapshot soon, whatever the log's length, and purges the log behind it.
    ///
    /// # Errors
    /// The node is stopping or has failed.
    pub async fn trigger_snapshot(&self) -> Result<(), Unavailable> {
        self.core.raft.trigger().snapshot().await.map_err(|_| Unavailable::Stopped)
    }

    /// Takes off this node's disk what the state lost up to a log index: makes a snapshot that
    /// covers it, purges the log behind it, and lets the store write everything anew. What was lost
    /// later may be there still. Safe to be repeated.
    ///
    /// # Errors
    /// See [`EraseError`].
    pub async fn erase(&self, through: u64) -> Result<(), EraseError> {
        erase::run(&self.core, &self.log, &self.store, through).await
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.core.node_id
    }

    /// Ends when consensus or the disk has failed for good, with the reason: the process must
    /// exit. After [`Node::shutdown`] it never ends.
    pub fn stopped(&self) -> impl Future<Output = String> + Send + use<> {
        let health = self.core.health.clone();
        let mut metrics = self.core.raft.metrics();
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

    /// Hands the leadership over, if this node has it and anybody can take it.
    pub async fn hand_over(&self) {
        self.core.hand_over().await;
    }

    /// Stops taking part, writes everything to disk and lets go of the store.
    ///
    /// # Errors
    /// The disk failed at last.
    pub async fn shutdown(&self) -> io::Result<()> {
        if self.core.stopping.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.core.views.close();
        self.core.indexes.close();
        self.abort_tasks();
        let stopped = self.core.raft.shutdown().await;
        stopped.map_err(|error| io::Error::other(error.to_string()))?;
        let ended = self.machine_ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            ended.wait(SHUTDOWN_TIMEOUT).await;
        }
        let (log, store) = (self.log.clone(), Arc::clone(&self.store));
        let health = self.core.health.clone();
        run_blocking(store.blocks(), move || {
            log.stop();
            health.run("closing the store", || store.close())
        })
        .await
    }

    fn abort_tasks(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Without this the tasks would keep the node's parts alive.
        self.abort_tasks();
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
