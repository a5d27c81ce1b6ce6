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
use openraft::metrics::RaftServerMetrics;
use openraft::type_config::alias::WatchReceiverOf;
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

/// Confirms a View: the inside of a round.
#[async_trait::async_trait]
pub(crate) trait Confirm: Send + Sync + 'static {
    /// A View that includes everything acknowledged before this call.
    async fn confirm(&self, latest: Instant) -> Result<Arc<View>, Unavailable>;

    /// Ends when whether there is a leader may have changed; the answer is what is known.
    /// `None`: the node has stopped.
    async fn leader_changed(&mut self) -> Option<bool>;
}

/// Confirms through the leader, which this node must be.
pub(crate) struct ReadIndex {
    pub(crate) raft: Raft<TypeConfig, Machine>,
    pub(crate) servers: WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
    pub(crate) published: Arc<Published>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl Confirm for ReadIndex {
    async fn confirm(&self, latest: Instant) -> Result<Arc<View>, Unavailable> {
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

    async fn leader_changed(&mut self) -> Option<bool> {
        self.servers.changed().await.ok()?;
        Some(self.servers.borrow_and_update().current_leader.is_some())
    }
}

/// Runs one round after the other.
pub(crate) struct Rounds<C> {
    barrier: Arc<Barrier>,
    confirm: C,
    clock: Arc<dyn Clock>,
    leaderless_since: Option<Instant>,
}

impl<C: Confirm> Rounds<C> {
    pub(crate) fn new(barrier: Arc<Barrier>, confirm: C, clock: Arc<dyn Clock>) -> Self {
        Self { barrier, confirm, clock, leaderless_since: None }
    }

    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.barrier.arrived.notified() => self.serve().await,
                leader = self.confirm.leader_changed() => match leader {
                    Some(known) => self.note_leader(known),
                    None => return self.barrier.close(),
                }
            }
        }
    }

    /// Rounds until nobody waits any more.
    async fn serve(&mut self) {
        let mut joined: Vec<Waiter> = Vec::new();
        loop {
            // Whoever is here by now arrived before the round that follows.
            joined.extend(self.barrier.take());
            let now = self.clock.monotonic();
            joined.retain(|waiter| waiter.deadline > now && !waiter.answer.is_closed());
            let Some(latest) = joined.iter().map(|waiter| waiter.deadline).max() else { return };
            metrics::counter!("keystead_raft_barrier_rounds_total").increment(1);
            let result = self.confirm.confirm(latest).await;
            match &result {
                Ok(_) => self.note_leader(true),
                Err(Unavailable::NoLeader) => self.note_leader(false),
                Err(_) => {}
            }
            if matches!(result, Err(Unavailable::NoLeader)) && !self.out_of_patience() {
                tokio::time::sleep(RETRY).await;
                continue;
            }
            for waiter in joined.drain(..) {
                // Whoever left in the meantime has its own answer.
                let _ = waiter.answer.send(result.clone());
            }
        }
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::sync::mpsc;

    use super::*;
    use crate::seams::SystemClock;

    type Confirmed = Result<Arc<View>, Unavailable>;

    /// Rounds whose results the test decides one by one.
    struct Script {
        began: mpsc::UnboundedSender<oneshot::Sender<Confirmed>>,
    }

    #[async_trait::async_trait]
    impl Confirm for Script {
        async fn confirm(&self, _latest: Instant) -> Confirmed {
            let (end, ended) = oneshot::channel();
            self.began.send(end).unwrap();
            ended.await.unwrap()
        }

        async fn leader_changed(&mut self) -> Option<bool> {
            std::future::pending().await
        }
    }

    fn start() -> (Arc<Barrier>, mpsc::UnboundedReceiver<oneshot::Sender<Confirmed>>) {
        let barrier = Arc::new(Barrier::new());
        let (began, rounds) = mpsc::unbounded_channel();
        let clock = Arc::new(SystemClock);
        tokio::spawn(Rounds::new(Arc::clone(&barrier), Script { began }, clock).run());
        (barrier, rounds)
    }

    fn pass(barrier: &Arc<Barrier>) -> tokio::task::JoinHandle<Confirmed> {
        let barrier = Arc::clone(barrier);
        tokio::spawn(async move { barrier.pass(Instant::now() + Duration::from_secs(60)).await })
    }

    fn view(index: u64) -> Arc<View> {
        Arc::new(View::empty().at_index(index))
    }

    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn nobody_joins_a_round_in_flight() {
        let (barrier, mut rounds) = start();
        let first = pass(&barrier);
        let end_first = rounds.recv().await.unwrap();
        let late: VecDeque<_> = (0..10).map(|_| pass(&barrier)).collect();
        settle().await;
        end_first.send(Ok(view(1))).unwrap();
        assert_eq!(first.await.unwrap().unwrap().applied(), 1);
        settle().await;
        assert!(late.iter().all(|request| !request.is_finished()));
        // One further round for all that came during the first.
        let end_second = rounds.recv().await.unwrap();
        end_second.send(Ok(view(2))).unwrap();
        for request in late {
            assert_eq!(request.await.unwrap().unwrap().applied(), 2);
        }
        assert!(rounds.try_recv().is_err());
    }

    #[tokio::test]
    async fn waits_for_a_leader_but_not_for_ever() {
        let (barrier, mut rounds) = start();
        let patient = pass(&barrier);
        rounds.recv().await.unwrap().send(Err(Unavailable::NoLeader)).unwrap();
        rounds.recv().await.unwrap().send(Ok(view(1))).unwrap();
        assert!(patient.await.unwrap().is_ok());

        let request = pass(&barrier);
        let began = Instant::now();
        while !request.is_finished() {
            tokio::select! {
                biased;
                round = rounds.recv() => {
                    round.unwrap().send(Err(Unavailable::NoLeader)).unwrap();
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        assert_eq!(request.await.unwrap().unwrap_err(), Unavailable::NoLeader);
        assert!(began.elapsed() > PATIENCE / 2);
        // From now on there is no waiting.
        let (next, began) = (pass(&barrier), Instant::now());
        rounds.recv().await.unwrap().send(Err(Unavailable::NoLeader)).unwrap();
        assert_eq!(next.await.unwrap().unwrap_err(), Unavailable::NoLeader);
        assert!(began.elapsed() < RETRY);
    }
}
