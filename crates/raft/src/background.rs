//! What a node does all the time: rounds for those who wait, a look at the clocks, one at the disk,
//! and snapshots.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::barrier::{ConfirmLeader, ConfirmView};
use crate::node_core::Core;
use crate::options::Timings;
use crate::rounds::Rounds;

/// For so long a request waits for a leader; a node that had none for longer says so at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the voters' clocks are compared.
const COMPARE_CLOCKS: Duration = Duration::from_millis(500);
/// How often a node looks at its disk.
const WATCH_DISK: Duration = Duration::from_millis(500);

/// Starts all of it.
pub(crate) fn spawn(core: &Arc<Core>, timings: &Timings) -> Vec<JoinHandle<()>> {
    let clock = || Arc::clone(&core.clock);
    let views = ConfirmView::new(Arc::clone(core));
    let views = Rounds::new(Arc::clone(&core.views), views, clock(), PATIENCE);
    // Whoever asks a leader waits for another one itself.
    let indexes = ConfirmLeader::new(Arc::clone(core));
    let indexes = Rounds::new(Arc::clone(&core.indexes), indexes, clock(), Duration::ZERO);
    vec![
        tokio::spawn(views.run()),
        tokio::spawn(indexes.run()),
        tokio::spawn(compare_clocks(Arc::clone(core))),
        tokio::spawn(watch_disk(Arc::clone(core))),
        tokio::spawn(make_snapshots(Arc::clone(core), timings.clone())),
    ]
}

async fn compare_clocks(core: Arc<Core>) {
    loop {
        tokio::time::sleep(COMPARE_CLOCKS).await;
        core.compare_clocks().await;
    }
}

/// A node without space neither stays nor becomes the leader: it can propose nothing.
async fn watch_disk(core: Arc<Core>) {
    loop {
        tokio::time::sleep(WATCH_DISK).await;
        let full = core.disk.is_full(core.clock.monotonic());
        core.raft.runtime_config().elect(!full || core.decides_alone());
        if full {
            core.hand_over().await;
        }
    }
}

/// Makes a snapshot once enough was applied since the last one. A snapshot writes the whole state,
/// so with a large state it is made more seldom: what it costs, for each entry, stays the same.
async fn make_snapshots(core: Arc<Core>, timings: Timings) {
    let mut last = core.snapshots.current_digest().map_or(0, |(index, _)| index);
    loop {
        let view = core.published.at_least(last + timings.snapshot_every).await;
        let rows = view.row_count() as u64;
        let enough = timings.snapshot_every.max(rows / timings.snapshot_rows_per_entry);
        let view = core.published.at_least(last + enough).await;
        last = view.applied();
        if core.raft.trigger().snapshot().await.is_err() {
            // The node has stopped.
            return;
        }
    }
}
