//! The disk of a host: keeps what was synced, and takes its time to sync.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use keystead_raft::SimStore;
use keystead_raft::seams::{Batch, Column, KeyRange, Order, Row, Store, Synced};
use tokio::sync::mpsc;
use tokio::time::sleep;

const SLOWEST_SYNC: Duration = Duration::from_millis(8);

/// A [`SimStore`] whose syncs take simulated time. What waits when one begins shares it.
pub(super) struct Disk {
    store: Arc<SimStore>,
    waiting: mpsc::UnboundedSender<Synced>,
}

impl Disk {
    /// A disk with this on it.
    pub(super) fn new(store: SimStore, rng: Rng) -> Self {
        let store = Arc::new(store);
        let (waiting, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(sync_all(Arc::clone(&store), arrivals, rng));
        Self { store, waiting }
    }

    /// What is on it after a power failure: of what was not synced some first part.
    pub(super) fn crash(&self, rng: &mut Rng) -> SimStore {
        self.store.crash(rng.usize(0..=self.store.unsynced()))
    }

    /// Lets the next sync fail.
    pub(super) fn fail(&self) {
        self.store.fail_sync(1);
    }
}

async fn sync_all(store: Arc<SimStore>, mut arrivals: mpsc::UnboundedReceiver<Synced>, rng: Rng) {
    let mut rng = rng;
    while let Some(first) = arrivals.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = arrivals.try_recv() {
            waiting.push(next);
        }
        sleep(SLOWEST_SYNC.mul_f64(rng.f64().powi(3))).await;
        let failure = store.sync().err().map(|error| (error.kind(), error.to_string()));
        for done in waiting {
            done(match &failure {
                None => Ok(()),
                Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
            });
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("unsynced", &self.store.unsynced()).finish_non_exhaustive()
    }
}

impl Store for Disk {
    fn write(&self, batch: Batch) -> io::Result<()> {
        self.store.write(batch)
    }

    fn sync(&self) -> io::Result<()> {
        self.store.sync()
    }

    fn sync_then(&self, done: Synced) {
        // Refused only at the end of the simulation, when nobody waits for the answer.
        let _ = self.waiting.send(done);
    }

    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.store.get(column, key)
    }

    fn scan(
        &self,
        column: Column,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> io::Result<Vec<Row>> {
        self.store.scan(column, range, order, limit)
    }

    fn blocks(&self) -> bool {
        self.store.blocks()
    }

    fn close(&self) -> io::Result<()> {
        self.store.close()
    }
}
