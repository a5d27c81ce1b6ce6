//! Questions that many ask at once, answered in rounds.
//!
//! ```text
//! request ─► waits for the next round ─► round: one confirmation ─► the same proof for all
//! ```
//!
//! A request joins only a round that starts after it arrived. One round serves all that wait, so
//! the cost of a confirmation does not grow with the load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::barrier::Unavailable;
use crate::seams::Clock;

/// How long to wait for a leader before asking again.
const RETRY: Duration = Duration::from_millis(20);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_millis(250);
/// The same, once there is nobody left who could be patient.
const QUICK_ATTEMPT: Duration = Duration::from_millis(60);

type Answer<P> = oneshot::Sender<Result<P, Unavailable>>;

/// Where requests wait for the next round.
pub(crate) struct Waiting<P> {
    // `None` once the node is stopping.
    waiters: Mutex<Option<Vec<Waiter<P>>>>,
    arrived: Notify,
    confirmed: Mutex<Option<Instant>>,
}

struct Waiter<P> {
    deadline: Instant,
    answer: Answer<P>,
}

impl<P> Waiting<P> {
    pub(crate) fn new() -> Self {
        Self {
            waiters: Mutex::new(Some(Vec::new())),
            arrived: Notify::new(),
            confirmed: Mutex::new(None),
        }
    }

    /// What a round that starts after this call confirms.
    pub(crate) async fn pass(&self, deadline: Instant) -> Result<P, Unavailable> {
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
            let waiters = waiters.as_mut().ok_or(Unavailable::Stopped)?;
            waiters.push(Waiter { deadline, answer });
            waiters.len() == 1
        };
        if first {
            self.arrived.notify_one();
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            // Rounds let go of whoever is late, perhaps a moment before that one's own timer.
            Ok(Err(_)) if Instant::now() < deadline => Err(Unavailable::Stopped),
            Ok(Err(_)) | Err(_) => Err(Unavailable::Timeout),
        }
    }

    /// When the last round began that confirmed something.
    pub(crate) fn last_confirmed(&self) -> Option<Instant> {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everybody go, now and from now on.
    pub(crate) fn close(&self) {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn take(&self) -> Vec<Waiter<P>> {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note_confirmed(&self, began: Instant) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
    }
}

/// The inside of a round.
#[async_trait::async_trait]
pub(crate) trait Confirm: Send + Sync + 'static {
    /// What a round gives to all that wait for it.
    type Proof: Clone + Send + 'static;

    /// A proof that is true of a moment after this call. To find who can give it may take until
    /// `attempt`; to wait for what it says, until `latest`.
    async fn confirm(&self, attempt: Instant, latest: Instant) -> Result<Self::Proof, Unavailable>;

    /// Ends when whether there is a leader may have changed; the answer is what is known.
    /// `None`: the node has stopped.
    async fn leader_changed(&mut self) -> Option<bool>;
}

/// Runs one round after the other.
pub(crate) struct Rounds<C: Confirm> {
    waiting: Arc<Waiting<C::Proof>>,
    confirm: C,
    clock: Arc<dyn Clock>,
    /// For so long requests wait for a leader. A node that had none for longer says so at once.
    patience: Duration,
    leaderless_since: Option<Instant>,
    leader_known: bool,
}

impl<C: Confirm> Rounds<C> {
    pub(crate) fn new(
        waiting: Arc<Waiting<C::Proof>>,
        confirm: C,
        clock: Arc<dyn Clock>,
        patience: Duration,
    ) -> Self {
        Self { waiting, confirm, clock, patience, leaderless_since: None, leader_known: false }
    }

    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.waiting.arrived.notified() => self.serve().await,
                leader = self.confirm.leader_changed() => match leader {
                    Some(known) => self.note_change(known),
                    None => return self.waiting.close(),
                }
            }
        }
    }

    /// Rounds until nobody waits any more.
    async fn serve(&mut self) {
        let mut joined: Vec<Waiter<C::Proof>> = Vec::new();
        loop {
            // Whoever is here by now arrived before the round that follows.
            joined.extend(self.waiting.take());
            let now = self.clock.monotonic();
            joined.retain(|waiter| waiter.deadline > now && !waiter.answer.is_closed());
            let Some(latest) = joined.iter().map(|waiter| waiter.deadline).max() else { return };
            metrics::counter!("keystead_raft_barrier_rounds_total").increment(1);
            let limit = if self.out_of_patience() { QUICK_ATTEMPT } else { ATTEMPT };
            let result = self.confirm.confirm(latest.min(now + limit), latest).await;
            match &result {
                Ok(_) => {
                    self.note_leader(true);
                    self.waiting.note_confirmed(now);
                }
                Err(Unavailable::NoLeader) => self.note_leader(false),
                Err(_) => {}
            }
            if matches!(result, Err(Unavailable::NoLeader)) && !self.out_of_patience() {
                tokio::time::sleep(RETRY).await;
                continue;
            }
            #[cfg(feature = "danger-join-running-round")]
            joined.extend(self.waiting.take());
            for waiter in joined.drain(..) {
                // Whoever left in the meantime has its own answer.
                let _ = waiter.answer.send(result.clone());
            }
        }
    }

    /// Notes whether a leader is known by now. Only one that was not known before counts: whether
    /// one that was known all the time has a quorum is told by rounds.
    fn note_change(&mut self, known: bool) {
        if !known || !self.leader_known {
            self.note_leader(known);
        }
        self.leader_known = known;
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
        self.leaderless_since
            .is_some_and(|since| now.saturating_duration_since(since) >= self.patience)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::sync::mpsc;

    use super::*;
    use crate::seams::SystemClock;

    /// How long the rounds of these tests wait for a leader.
    const PATIENCE: Duration = Duration::from_millis(500);

    type Confirmed = Result<u64, Unavailable>;

    /// Rounds whose results the test decides one by one.
    struct Script {
        began: mpsc::UnboundedSender<oneshot::Sender<Confirmed>>,
        leader: mpsc::UnboundedReceiver<bool>,
    }

    #[async_trait::async_trait]
    impl Confirm for Script {
        type Proof = u64;

        async fn confirm(&self, _attempt: Instant, _latest: Instant) -> Confirmed {
            let (end, ended) = oneshot::channel();
            self.began.send(end).unwrap();
            ended.await.unwrap()
        }

        async fn leader_changed(&mut self) -> Option<bool> {
            match self.leader.recv().await {
                Some(known) => Some(known),
                None => std::future::pending().await,
            }
        }
    }

    type Running = (Arc<Waiting<u64>>, mpsc::UnboundedReceiver<oneshot::Sender<Confirmed>>);

    fn start() -> Running {
        start_with(mpsc::unbounded_channel().1)
    }

    /// The same, told of changes of the leader.
    fn start_with(leader: mpsc::UnboundedReceiver<bool>) -> Running {
        let barrier = Arc::new(Waiting::new());
        let (began, rounds) = mpsc::unbounded_channel();
        let clock = Arc::new(SystemClock);
        let script = Script { began, leader };
        tokio::spawn(Rounds::new(Arc::clone(&barrier), script, clock, PATIENCE).run());
        (barrier, rounds)
    }

    fn pass(barrier: &Arc<Waiting<u64>>) -> tokio::task::JoinHandle<Confirmed> {
        let barrier = Arc::clone(barrier);
        tokio::spawn(async move { barrier.pass(Instant::now() + Duration::from_secs(60)).await })
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
        end_first.send(Ok(1)).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        settle().await;
        assert!(late.iter().all(|request| !request.is_finished()));
        // One further round for all that came during the first.
        let end_second = rounds.recv().await.unwrap();
        end_second.send(Ok(2)).unwrap();
        for request in late {
            assert_eq!(request.await.unwrap().unwrap(), 2);
        }
        assert!(rounds.try_recv().is_err());
    }

    #[tokio::test]
    async fn waits_for_a_leader_but_not_for_ever() {
        let (barrier, mut rounds) = start();
        let patient = pass(&barrier);
        rounds.recv().await.unwrap().send(Err(Unavailable::NoLeader)).unwrap();
        rounds.recv().await.unwrap().send(Ok(1)).unwrap();
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

    #[tokio::test]
    async fn what_was_before_a_leader_is_forgotten() {
        let (changes, leader) = mpsc::unbounded_channel();
        let (barrier, mut rounds) = start_with(leader);
        changes.send(false).unwrap();
        settle().await;
        tokio::time::sleep(PATIENCE).await;
        changes.send(true).unwrap();
        settle().await;
        // Nobody asked meanwhile, and this request waits for the leader as the first one does.
        let patient = pass(&barrier);
        rounds.recv().await.unwrap().send(Err(Unavailable::NoLeader)).unwrap();
        rounds.recv().await.unwrap().send(Ok(1)).unwrap();
        assert!(patient.await.unwrap().is_ok());

        // The same leader, once more: not a new one, and it had a quorum all the time or none.
        changes.send(true).unwrap();
        let request = pass(&barrier);
        tokio::spawn(async move {
            while let Some(round) = rounds.recv().await {
                changes.send(true).unwrap();
                let _ = round.send(Err(Unavailable::NoLeader));
            }
        });
        let ended = tokio::time::timeout(PATIENCE * 4, request).await;
        assert_eq!(ended.unwrap().unwrap().unwrap_err(), Unavailable::NoLeader);
    }
}
