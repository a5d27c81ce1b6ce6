//! Taking off the disk what the state has lost.
//!
//! ```text
//! lost at index i ─► snapshot that covers i ─► log purged up to i ─► store written anew
//! ```
//!
//! Until then the bytes are in log entries before i, in the snapshot before, and in files of the
//! store whose rows were replaced or removed since.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::barrier::Unavailable;
use crate::blocking::run_blocking;
use crate::log::LogStore;
use crate::node_core::Core;
use crate::seams::Store;

/// How often it is looked whether a step is done; it is asked for again each time.
const LOOK: Duration = Duration::from_millis(100);
/// How long a snapshot may take, and how long the log may be in use.
const PATIENCE: Duration = Duration::from_secs(600);

/// Something that is lost may still be on the disk.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// There is too little space to write anything anew.
    #[error("the disk is full")]
    DiskFull,
    /// A snapshot or the purging of the log takes too long.
    #[error("{0} takes too long")]
    Slow(&'static str),
    /// The node stops.
    #[error(transparent)]
    Stopped(#[from] Unavailable),
    /// The store could not be written anew.
    #[error("the store could not be written anew: {0}")]
    Store(#[from] io::Error),
}

/// Takes everything that was lost up to a log index off this node's disk.
pub(crate) async fn run(
    core: &Core,
    log: &LogStore,
    store: &Arc<dyn Store>,
    through: u64,
) -> Result<(), EraseError> {
    if core.disk.is_full(core.clock.monotonic()) {
        return Err(EraseError::DiskFull);
    }
    let deadline = core.clock.monotonic() + PATIENCE;
    core.published.at_least(through).await;
    while core.snapshots.current_digest().is_none_or(|(index, _)| index < through) {
        core.raft.trigger().snapshot().await.map_err(|_| Unavailable::Stopped)?;
        wait(core, deadline, "the snapshot").await?;
    }
    // The leader keeps entries that it is sending just now.
    while log.purged().is_none_or(|purged| purged < through) {
        core.raft.trigger().purge_log(through).await.map_err(|_| Unavailable::Stopped)?;
        wait(core, deadline, "purging the log").await?;
    }
    let rewritten = Arc::clone(store);
    Ok(run_blocking(store.blocks(), move || rewritten.rewrite()).await?)
}

async fn wait(core: &Core, deadline: Instant, what: &'static str) -> Result<(), EraseError> {
    if core.is_stopping() {
        return Err(Unavailable::Stopped.into());
    }
    if core.clock.monotonic() >= deadline {
        return Err(EraseError::Slow(what));
    }
    sleep(LOOK).await;
    Ok(())
}
