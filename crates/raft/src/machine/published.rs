//! The View as the rest of the process sees it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use keystead_state::View;
use tokio::sync::Notify;

use crate::types::LogId;

/// The current View, and a way to wait for one that includes an index.
#[derive(Debug)]
pub(crate) struct Published {
    shown: ArcSwap<Shown>,
    moved: Notify,
}

/// A View, and the index of the last entry applied to it. The View of a node that has applied
/// nothing has no index.
#[derive(Debug)]
struct Shown {
    view: Arc<View>,
    applied: Option<u64>,
}

impl Shown {
    fn new(view: View, applied: Option<LogId>) -> Self {
        Self { view: Arc::new(view), applied: applied.map(|log_id| log_id.index) }
    }
}

impl Published {
    pub(crate) fn new(view: View, applied: Option<LogId>) -> Self {
        let shown = ArcSwap::from_pointee(Shown::new(view, applied));
        Self { shown, moved: Notify::new() }
    }

    /// The current View.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.shown.load().view)
    }

    /// Index of the last applied entry. The View includes it.
    pub(crate) fn applied(&self) -> Option<u64> {
        self.shown.load().applied
    }

    /// Puts a new View in place.
    pub(crate) fn publish(&self, view: View, applied: Option<LogId>) {
        let shown = Shown::new(view, applied);
        metrics::gauge!("keystead_raft_applied_index").set(shown.applied.unwrap_or(0) as f64);
        self.shown.store(Arc::new(shown));
        self.moved.notify_waiters();
    }

    /// Waits until the View includes this index, and gives it.
    pub(crate) async fn at_least(&self, index: u64) -> Arc<View> {
        loop {
            // Woken by whatever is published from here on, also before it is polled.
            let moved = self.moved.notified();
            let shown = self.shown.load();
            if shown.applied.is_some_and(|applied| applied >= index) {
                return Arc::clone(&shown.view);
            }
            drop(shown);
            moved.await;
        }
    }
}
