//! The View as the rest of the process sees it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use keystead_state::View;
use tokio::sync::watch;

use crate::types::LogId;

/// The current View, and a way to wait for one that includes an index.
#[derive(Debug)]
pub(crate) struct Published {
    view: ArcSwap<View>,
    applied: watch::Sender<Option<u64>>,
}

impl Published {
    pub(crate) fn new(view: View, applied: Option<LogId>) -> Self {
        let applied = applied.map(|log_id| log_id.index);
        Self { view: ArcSwap::from_pointee(view), applied: watch::Sender::new(applied) }
    }

    /// The current View.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// Index of the last applied entry. The View includes it.
    pub(crate) fn applied(&self) -> Option<u64> {
        *self.applied.borrow()
    }

    /// Puts a new View in place. The View comes first: who sees the index finds it included.
    pub(crate) fn publish(&self, view: View, applied: Option<LogId>) {
        self.view.store(Arc::new(view));
        let applied = applied.map(|log_id| log_id.index);
        self.applied.send_replace(applied);
        metrics::gauge!("keystead_raft_applied_index").set(applied.unwrap_or_default() as f64);
    }

    /// Waits until the View includes this index, and gives it.
    pub(crate) async fn at_least(&self, index: u64) -> Arc<View> {
        let mut applied = self.applied.subscribe();
        // The sender lives as long as `self`, so the wait cannot end otherwise.
        let _ = applied.wait_for(|applied| applied.is_some_and(|applied| applied >= index)).await;
        self.view()
    }
}
