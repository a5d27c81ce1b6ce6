//! Work that keeps a processor busy for milliseconds to seconds, and must delay nobody else.

use std::sync::Arc;
use std::thread::{self, available_parallelism};

use keystead_api::{Error, messages};
use rustix::process::setpriority_process;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

/// More than this many waiting only makes everybody wait.
const WAITING: usize = 1000;
/// What such threads leave to the others, in the kernel's measure: nearly everything.
const NICENESS: i32 = 19;

/// A bounded number of threads for such work, and a bounded number of requests that wait for one.
#[derive(Debug)]
pub(crate) struct SlowWork {
    waiting: Semaphore,
    running: Arc<Semaphore>,
    in_background: bool,
}

impl SlowWork {
    /// On half of the processors, at least one, as far as nothing else needs them.
    pub(crate) fn in_background() -> Self {
        Self { in_background: true, ..Self::at_a_time((processors() / 2).max(1)) }
    }

    /// On every processor.
    pub(crate) fn on_all_cores() -> Self {
        Self::at_a_time(processors())
    }

    fn at_a_time(running: usize) -> Self {
        let (waiting, running) = (Semaphore::new(WAITING), Arc::new(Semaphore::new(running)));
        Self { waiting, running, in_background: false }
    }

    /// Does the work. Work that has begun goes on even if nobody waits for it any more, and counts
    /// until it is done.
    ///
    /// # Errors
    /// `ThrottlingException` where too many wait already.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| {
            crate::metrics::throttled("slow_work", "none");
            messages::throttled()
        })?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.map_err(|_| messages::internal())?;
        let work = move || {
            let _running = running;
            work()
        };
        if self.in_background {
            on_thread_of_its_own(work).await
        } else {
            spawn_blocking(work).await.map_err(|_| messages::internal())
        }
    }
}

/// A thread that has become nice remains so, and is given to nobody else.
async fn on_thread_of_its_own<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = oneshot::channel();
    let started = thread::Builder::new().name("keystead-slow".into()).spawn(move || {
        // Of the calling thread alone, on Linux. A thread that may not be nice does the same work.
        let _ = setpriority_process(None, NICENESS);
        // Whoever asked may have left.
        let _ = done.send(work());
    });
    started.map_err(|error| {
        tracing::error!(%error, "no thread could be started");
        messages::internal()
    })?;
    result.await.map_err(|_| messages::internal())
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn runs_one_by_one_and_refuses_a_crowd() {
        let slow = Arc::new(SlowWork::at_a_time(1));
        let (release, released) = mpsc::channel::<()>();
        let first = Arc::clone(&slow);
        let first = tokio::spawn(async move { first.run(move || released.recv()).await });
        let crowd: Vec<_> = (0..WAITING * 2)
            .map(|number| {
                let slow = Arc::clone(&slow);
                tokio::spawn(async move { slow.run(move || number).await })
            })
            .collect();
        while slow.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(crowd.iter().filter(|one| one.is_finished()).count() <= WAITING + 1);
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap().unwrap(), Ok(()));
        let mut refused = 0;
        for one in crowd {
            refused += usize::from(one.await.unwrap().is_err());
        }
        assert!(refused > 0 && refused <= WAITING + 1, "{refused}");
        assert_eq!(slow.waiting.available_permits(), WAITING);
    }
}
