//! The one place where the disk is waited for: a thread that syncs once for all that wait.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::failpoint::{self, crash_point};
use crate::health::Health;
use crate::seams::{Clock, Store};
use crate::types::IoFlushed;

/// Who waits for a sync.
pub(super) enum Done {
    /// Entries that were appended.
    Append { callback: IoFlushed, entries: usize },
    /// A vote that was saved.
    Vote(oneshot::Sender<io::Result<()>>),
}

/// Syncs after writes, and says so in the order of the writes.
///
/// A store that blocks is synced on a thread of its own; while one sync runs, what arrives waits
/// for the next and shares it. A store that does not block is told at once to sync.
pub(super) struct Flusher {
    syncer: Arc<Syncer>,
    thread: Option<Thread>,
}

struct Thread {
    // Taken when the flusher stops: the thread ends when nobody can send any more.
    waiting: Mutex<Option<Sender<Done>>>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

struct Syncer {
    store: Arc<dyn Store>,
    health: Health,
    clock: Arc<dyn Clock>,
}

impl Flusher {
    /// # Errors
    /// No thread could be started.
    pub(super) fn start(
        store: Arc<dyn Store>,
        health: Health,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let blocks = store.blocks();
        let syncer = Arc::new(Syncer { store, health, clock });
        let thread = if blocks { Some(Thread::start(Arc::clone(&syncer))?) } else { None };
        Ok(Self { syncer, thread })
    }

    /// Answers once everything written before this call is on disk.
    ///
    /// Calls must come in the order of the writes they stand for.
    pub(super) fn submit(&self, done: Done) {
        let Some(thread) = &self.thread else {
            return self.syncer.begin(done);
        };
        let sender = thread.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match &*sender {
            Some(sender) => sender.send(done).err().map(|error| error.0),
            None => Some(done),
        };
        if let Some(done) = refused {
            done.answer(Err(io::Error::other("the flusher has stopped")));
        }
    }

    /// Ends the thread after what waits has been answered.
    pub(super) fn stop(&self) {
        let Some(thread) = &self.thread else { return };
        thread.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let handle = thread.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle
            && handle.join().is_err()
        {
            tracing::error!("the flusher's thread panicked");
        }
    }
}

impl Thread {
    fn start(syncer: Arc<Syncer>) -> io::Result<Self> {
        let (waiting, arrivals) = channel();
        let handle = std::thread::Builder::new()
            .name("keystead-flush".to_owned())
            .spawn(move || syncer.run(&arrivals))?;
        Ok(Self { waiting: Mutex::new(Some(waiting)), handle: Mutex::new(Some(handle)) })
    }
}

impl Syncer {
    fn run(&self, arrivals: &Receiver<Done>) {
        while let Ok(first) = arrivals.recv() {
            let mut waiting = vec![first];
            waiting.extend(arrivals.try_iter());
            self.round(waiting);
        }
    }

    fn round(&self, waiting: Vec<Done>) {
        let began = self.clock.monotonic();
        self.end(began, waiting, || {
            crash_point(failpoint::SYNC_BEFORE);
            self.store.sync()?;
            crash_point(failpoint::SYNC_AFTER);
            Ok(())
        });
    }

    fn begin(self: &Arc<Self>, done: Done) {
        let (syncer, began) = (Arc::clone(self), self.clock.monotonic());
        self.store.sync_then(Box::new(move |synced| syncer.end(began, vec![done], || synced)));
    }

    fn end(&self, began: Instant, waiting: Vec<Done>, sync: impl FnOnce() -> io::Result<()>) {
        let synced = self.health.run("syncing the disk", sync);
        let took = self.clock.monotonic().duration_since(began);
        let entries: usize = waiting.iter().map(Done::entries).sum();
        metrics::histogram!("keystead_raft_sync_seconds").record(took.as_secs_f64());
        metrics::histogram!("keystead_raft_sync_batch").record(entries as f64);
        for done in waiting {
            done.answer(match &synced {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            });
        }
    }
}

impl Done {
    fn entries(&self) -> usize {
        match self {
            Self::Append { entries, .. } => *entries,
            Self::Vote(_) => 0,
        }
    }

    fn answer(self, result: io::Result<()>) {
        match self {
            Self::Append { callback, .. } => callback.io_completed(result),
            Self::Vote(waiter) => {
                // Nobody waits any more when the node is being stopped.
                let _ = waiter.send(result);
            }
        }
    }
}
