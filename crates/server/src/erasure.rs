//! Lost material is taken off this node's memory and disk, and the state is told when it is.
//!
//! To write the disk anew costs as much for one key as for many, so a node waits for half of the
//! time it has, and then erases everything that was lost up to now.

use std::time::{Duration, Instant};

use keystead_raft::EraseError;
use keystead_state::View;
use keystead_state::proto::{self, command};

use crate::clock;
use crate::region::RegionServer;

/// How often it is looked for something to erase.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(10);

/// Why it is not certain that everything is erased.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Node(#[from] EraseError),
    #[error("it is erased, but the region could not be told: {0}")]
    Untold(keystead_api::Error),
}

impl RegionServer {
    /// Erases what the state loses, for ever.
    pub async fn run_erasures(&self) {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut forgotten, mut not_before) = (0, Instant::now());
        loop {
            interval.tick().await;
            let view = self.view();
            let latest = view.erasures().latest();
            if forgotten < latest {
                self.forget_lost_material(&view);
                forgotten = latest;
            }
            if not_before > Instant::now() || !self.must_erase(&view) {
                continue;
            }
            if let Err(error) = self.erase(latest).await {
                tracing::warn!(%error, region = %self.name(), "lost material is not erased yet");
                not_before = Instant::now() + RETRY;
            }
        }
    }

    /// Whether something was lost so long ago that it is time. The node's own clock counts, too:
    /// that of the region stands still without a leader.
    fn must_erase(&self, view: &View) -> bool {
        let told = view.erasures().erased_through(self.node().id());
        let oldest = view.erasures().after(told).next().map(|lost| lost.at);
        let now = clock::now().max(view.clock());
        let age = oldest.map(|at| Duration::from_millis(now.0.saturating_sub(at.0)));
        metrics::gauge!("keystead_erasure_pending_seconds", "region" => self.name().to_string())
            .set(age.unwrap_or_default().as_secs_f64());
        age.is_some_and(|age| age >= self.erase_within / 2)
    }

    async fn erase(&self, through: u64) -> Result<(), Failure> {
        let began = Instant::now();
        self.node().erase(through).await?;
        // A request with an older View may have put something back meanwhile.
        self.forget_lost_material(&self.view());
        let node_id = self.node().id().0;
        let told = command::Operation::RecordErased(proto::RecordErased { node_id, through });
        self.propose_system(told).await.map_err(Failure::Untold)?;
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!(region = %self.name(), through, seconds, "lost material is erased");
        Ok(())
    }
}
