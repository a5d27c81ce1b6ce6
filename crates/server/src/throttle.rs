//! Admission: how many requests a Region works on at a time.

use keystead_api::{Error, messages};
use tokio::sync::{Semaphore, SemaphorePermit};

/// More than this at once only makes everybody wait.
const IN_FLIGHT: usize = 10_000;

/// The admission of one Region.
#[derive(Debug)]
pub(crate) struct Throttle {
    permits: Semaphore,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { permits: Semaphore::new(IN_FLIGHT) }
    }

    /// Lets a request in until it is done.
    ///
    /// # Errors
    /// `ThrottlingException`, which SDKs retry.
    pub(crate) fn admit(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.permits.try_acquire().map_err(|_| messages::throttled())
    }
}
