//! Tokio's watch channel, waking those who wait in the order in which they came. Tokio's own
//! wakes them in a random order, which no seed governs.

use std::sync::Arc;

use futures::FutureExt;
use openraft::rt::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use tokio::sync::{Notify, watch};
use tokio::task::unconstrained;

/// The channel.
#[derive(Debug)]
pub struct OrderedWatch;

/// Its sending side.
#[derive(Debug)]
pub struct Sender<T> {
    // Dropped first: whoever is woken by the other finds the channel closed.
    inner: watch::Sender<T>,
    changed: WakesAtEnd,
}

/// Its receiving side.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: watch::Receiver<T>,
    changed: Arc<Notify>,
}

#[derive(Debug, Clone)]
struct WakesAtEnd(Arc<Notify>);

impl Drop for WakesAtEnd {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), changed: self.changed.clone() }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), changed: Arc::clone(&self.changed) }
    }
}

impl Watch for OrderedWatch {
    type Sender<T: Send + Sync> = Sender<T>;
    type Receiver<T: Send + Sync> = Receiver<T>;
    type Ref<'a, T: Send + 'a> = watch::Ref<'a, T>;

    fn channel<T: Send + Sync>(init: T) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = watch::channel(init);
        let changed = Arc::new(Notify::new());
        let sender = Sender { inner: sender, changed: WakesAtEnd(Arc::clone(&changed)) };
        (sender, Receiver { inner: receiver, changed })
    }
}

impl<T: Send + Sync> WatchSender<OrderedWatch, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.inner.send(value).map_err(|error| SendError(error.0))?;
        self.changed.0.notify_waiters();
        Ok(())
    }

    fn send_if_modified<F: FnOnce(&mut T) -> bool>(&self, modify: F) -> bool {
        let modified = self.inner.send_if_modified(modify);
        if modified {
            self.changed.0.notify_waiters();
        }
        modified
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.inner.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        Receiver { inner: self.inner.subscribe(), changed: Arc::clone(&self.changed.0) }
    }
}

impl<T: Send + Sync> WatchReceiver<OrderedWatch, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        loop {
            // Woken by every change from here on, also before it is polled.
            let changed = self.changed.notified();
            // Tokio lets a task that has done much answer "not yet" although there is something;
            // nobody would ask again here.
            if let Some(seen) = unconstrained(self.inner.changed()).now_or_never() {
                return seen.map_err(|_| RecvError(()));
            }
            changed.await;
        }
    }

    fn borrow_watched(&self) -> watch::Ref<'_, T> {
        self.inner.borrow()
    }

    fn borrow_and_update(&mut self) -> watch::Ref<'_, T> {
        self.inner.borrow_and_update()
    }
}
