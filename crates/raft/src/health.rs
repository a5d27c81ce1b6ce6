//! Whether the node may go on. The first failure of the disk is the last word.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

/// A latch that the first failure closes for good.
///
/// After a write or a sync has failed nothing is known about what is on disk, and a second try may
/// succeed without having written anything. So nothing is tried again: every later call fails.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    failure: Arc<watch::Sender<Option<Arc<str>>>>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Self { failure: Arc::new(watch::Sender::new(None)) }
    }

    /// # Errors
    /// The first failure, if there has been one.
    pub(crate) fn check(&self) -> io::Result<()> {
        match &*self.failure.borrow() {
            None => Ok(()),
            Some(reason) => Err(io::Error::other(format!("the node has stopped: {reason}"))),
        }
    }

    /// Closes the latch and gives the error back.
    pub(crate) fn fail(&self, what: &str, error: io::Error) -> io::Error {
        let reason: Arc<str> = format!("{what}: {error}").into();
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| Arc::clone(&reason));
            first
        });
        if first {
            tracing::error!(%reason, "the node stops");
        }
        error
    }

    /// Checks the latch, then runs a step whose failure closes it.
    pub(crate) fn run<T>(&self, what: &str, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        step().map_err(|error| self.fail(what, error))
    }

    /// Why the node stopped, if it has.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.failure.borrow().clone()
    }

    /// Ends with the first failure.
    pub(crate) async fn failed(&self) -> Arc<str> {
        let mut failures = self.failure.subscribe();
        let seen = failures.wait_for(Option::is_some).await;
        match seen.ok().and_then(|failure| failure.clone()) {
            Some(reason) => reason,
            // The sender lives in `self`, so the wait cannot end without a failure.
            None => std::future::pending().await,
        }
    }
}
