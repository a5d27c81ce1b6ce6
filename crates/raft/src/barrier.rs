//! The read barrier: proof that a View includes everything acknowledged before a moment.
//!
//! ```text
//! request ─► waits for the next round ─► round: read index from the leader
//!                                               ─► wait until the View includes it
//!                                               ─► the same View for all that waited
//! ```
//!
//! A request joins only a round that starts after it arrived. One round serves all that wait, so
//! the cost of a barrier does not grow with the load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keystead_state::View;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::RaftError;
use openraft::{LinearizerOption, Raft};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::machine::{Machine, Published};
use crate::seams::Clock;
use crate::types::TypeConfig;

/// Why no View could be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The region has no leader with a quorum.
    #[error("the region has no leader at the moment")]
    NoLeader,
    /// The deadline came first.
    #[error("the state could not be confirmed in time")]
    Timeout,
    /// The node is stopping or has failed.
    #[error("the node is stopping")]
    Stopped,
}

/// A node that had no leader for so long says so at once instead of letting requests wait.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait for a leader before asking again.
const RETRY: Duration = Duration::from_millis(20);

type Answer = oneshot::Sender<Result<Arc<View>, Unavailable>>;

/// Where requests wait for the next round.
#[derive(Default)]
pub(crate) struct Barrier {
    // `None` once the node is stopping.
    waiting: Mutex<Option<Vec<Waiter>>>,
    arrived: Notify,
}

struct Waiter {
    deadline: Instant,
    answer: Answer,
}

impl Barrier {
    pub(crate) fn new() -> Self {
        Self { waiting: Mutex::new(Some(Vec::new())), arrived: Notify::new() }
    }

    /// A View that includes every mutation acknowledged before this call.
    pub(crate) async fn pass(&self, deadline: Instant) -> Result<Arc<View>, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = waiting.as_mut().ok_or(Unavailable::Stopped)?;
            waiting.push(Waiter { deadline, answer });
            waiting.len() == 1
        };
        if first {
            self.arrived.notify_one();
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Unavailable::Stopped),
            Err(_) => Err(Unavailable::Timeout),
        }
    }

    /// Lets everybody go, now and from now on.
    pub(crate) fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn take(&self) -> Vec<Waiter> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// Runs one round after the other.
pub(crate) struct Rounds {
    pub(crate) barrier: Arc<Barrier>,
    pub(crate) raft: Raft<TypeConfig, Machine>,
    pub(crate) published: Arc<Published>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) leaderless_since: Option<Instant>,
}

impl Rounds {
    pub(crate) async fn run(mut self) {
        let mut servers = self.raft.server_metrics();
        loop {
            tokio::select! {
                biased;
                () = self.barrier.arrived.notified() => self.serve().await,
                changed = servers.changed() => {
                    if changed.is_err() {
                        return self.barrier.close();
                    }
                    let leader = servers.borrow_and_update().current_leader;
                    self.note_leader(leader.is_some());
                }
            }
        }
    }

    /// Rounds until nobody waits any more.
    async fn serve(&mut self) {
        let mut joined: Vec<Waiter> = Vec::new();
        loop {
            // Whoever is here by now arrived before the attempt that follows.
            joined.extend(self.barrier.take());
            let now = self.clock.monotonic();
            joined.retain(|waiter| waiter.deadline > now && !waiter.answer.is_closed());
            let Some(latest) = joined.iter().map(|waiter| waiter.deadline).max() else { return };
            metrics::counter!("keystead_raft_barrier_rounds_total").increment(1);
            let result = self.attempt(latest).await;
            match &result {
                Ok(_) => self.note_leader(true),
                Err(Unavailable::NoLeader) => self.note_leader(false),
                Err(_) => {}
            }
            match result {
                Err(Unavailable::NoLeader) if !self.out_of_patience() => {
                    tokio::time::sleep(RETRY).await;
                }
                result => {
                    for waiter in joined.drain(..) {
                        // Whoever left in the meantime has its own answer.
                        let _ = waiter.answer.send(result.clone());
                    }
                }
            }
        }
    }

    async fn attempt(&self, latest: Instant) -> Result<Arc<View>, Unavailable> {
        // Zero: only an acknowledgement of something sent after now counts.
        let wait = latest.saturating_duration_since(self.clock.monotonic()).min(PATIENCE);
        let option = LinearizerOption::new(Some(Duration::ZERO), true).with_wait_timeout(wait);
        let read = timeout_at(latest, self.raft.get_read_linearizer(option)).await;
        let index = match read {
            Ok(Ok(linearizer)) => linearizer.read_log_id().index(),
            Ok(Err(RaftError::APIError(_))) => return Err(Unavailable::NoLeader),
            Ok(Err(RaftError::Fatal(_))) => return Err(Unavailable::Stopped),
            Err(_) => return Err(Unavailable::Timeout),
        };
        timeout_at(latest, self.published.at_least(index)).await.map_err(|_| Unavailable::Timeout)
    }

    fn note_leader(&mut self, known: bool) {
        if known {
            self.leaderless_since = None;
        } else {
            self.leaderless_since.get_or_insert_with(|| self.clock.monotonic());
        }
    }

    fn out_of_patience(&self) -> bool {
        let now = self.clock.monotonic();
        self.leaderless_since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE)
    }
}
