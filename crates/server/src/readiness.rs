//! Readiness: whether this process should be sent requests. The operations port and the gRPC
//! health service tell the same.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::Stream;
use futures::stream::unfold;
use keystead_api::Error;
use keystead_types::Region;
use tokio::sync::watch;

use crate::region::RegionServer;

/// How long to wait for the barrier of each Region.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often to look again on behalf of those who watch.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the Regions of a process can be served, until it drains.
pub struct Readiness {
    /// Nothing, as long as the process is starting.
    regions: OnceLock<Vec<Arc<RegionServer>>>,
    draining: watch::Sender<bool>,
}

/// Why a process is not ready.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReady {
    /// It has nothing to serve yet.
    #[error("starting")]
    Starting,
    /// A Region's node is still on its way to a full member of its cluster.
    #[error("{0} is no full member of its cluster yet")]
    NoMember(Region),
    /// It takes no new requests any more, and never will again.
    #[error("shutting down")]
    Draining,
    /// The barrier of a Region does not let requests pass.
    #[error(transparent)]
    Barrier(#[from] Error),
    /// A Region has nothing to serve yet.
    #[error("{0} is not initialised")]
    NotInitialised(Region),
}

impl Readiness {
    /// Of a process that has nothing to serve yet.
    pub fn starting() -> Self {
        Self { regions: OnceLock::new(), draining: watch::Sender::new(false) }
    }

    /// Of a process that serves these Regions.
    pub fn new(regions: Vec<Arc<RegionServer>>) -> Self {
        Self { regions: OnceLock::from(regions), draining: watch::Sender::new(false) }
    }

    /// The process has started and serves these Regions. What it serves never changes.
    pub fn started(&self, regions: Vec<Arc<RegionServer>>) {
        // Whoever says it twice says the same.
        let _ = self.regions.set(regions);
    }

    /// From now on the process is not ready.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Whether it is ready now.
    pub(crate) async fn check(&self) -> Result<(), NotReady> {
        if *self.draining.borrow() {
            return Err(NotReady::Draining);
        }
        for region in self.regions.get().ok_or(NotReady::Starting)? {
            if !region.is_full_member() {
                return Err(NotReady::NoMember(region.name().clone()));
            }
            let view = region.barrier(Instant::now() + BARRIER_TIMEOUT).await?;
            if !view.is_initialised() {
                return Err(NotReady::NotInitialised(region.name().clone()));
            }
        }
        Ok(())
    }

    /// Whether it is ready, now and after each change. Ends when it drains, so that nobody who
    /// watches keeps the process from ending.
    pub(crate) fn watch(self: Arc<Self>) -> impl Stream<Item = bool> + Send + use<> {
        unfold((self, None), |(readiness, told)| async move {
            let ready = readiness.other_than(told).await?;
            Some((ready, (readiness, Some(ready))))
        })
    }

    /// Waits for something new to tell; `None` when there never will be.
    async fn other_than(&self, told: Option<bool>) -> Option<bool> {
        let mut draining = self.draining.subscribe();
        loop {
            let now = self.check().await;
            if told != Some(now.is_ok()) {
                return Some(now.is_ok());
            }
            if matches!(now, Err(NotReady::Draining)) {
                return None;
            }
            // Whichever comes first: either is a reason to look again.
            let _ = tokio::time::timeout(WATCH_INTERVAL, draining.wait_for(|drains| *drains)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use keystead_crypto::seal::MemorySeal;

    use super::*;
    use crate::boot::{Place, Setup};

    async fn region() -> Arc<RegionServer> {
        let (name, seal) = ("eu-central-1".parse().unwrap(), MemorySeal::generate().unwrap());
        let opened = Setup::alone(&name, &Place::Memory, &seal).open_or_initialise();
        Arc::new(opened.await.unwrap())
    }

    #[tokio::test]
    async fn follows_the_barrier() {
        let region = region().await;
        let readiness = Arc::new(Readiness::new(vec![region.clone()]));
        let mut watching = Box::pin(readiness.clone().watch());
        assert!(readiness.check().await.is_ok());
        assert_eq!(watching.next().await, Some(true));

        region.node().shutdown().await.unwrap();
        assert!(matches!(readiness.check().await, Err(NotReady::Barrier(_))));
        assert_eq!(watching.next().await, Some(false));
        // It was told already that the process is not ready.
        readiness.drain();
        assert_eq!(watching.next().await, None);
    }

    #[tokio::test]
    async fn draining_is_told_at_once_and_last() {
        let readiness = Arc::new(Readiness::new(vec![region().await]));
        let mut watching = Box::pin(readiness.clone().watch());
        assert_eq!(watching.next().await, Some(true));
        let began = Instant::now();
        let (told, ()) = tokio::join!(watching.next(), async { readiness.drain() });
        assert_eq!(told, Some(false));
        assert!(began.elapsed() < WATCH_INTERVAL / 2);
        assert_eq!(watching.next().await, None);
        assert!(matches!(readiness.check().await, Err(NotReady::Draining)));
    }
}
