//! Work that keeps a processor busy for milliseconds to seconds, and must delay nobody else.

use std::sync::Arc;
use std::thread::available_parallelism;

use keystead_api::{Error, messages};
use tokio::sync::Semaphore;

/// More than this many waiting only makes everybody wait.
const WAITING: usize = 1000;

/// A bounded number of threads for such work, and a bounded number of requests that wait for one.
#[derive(Debug)]
pub(crate) struct SlowWork {
    waiting: Semaphore,
    running: Arc<Semaphore>,
}

impl SlowWork {
    /// On half of the processors, at least one.
    pub(crate) fn in_background() -> Self {
        Self::at_a_time((processors() / 2).max(1))
    }

    /// On every processor.
    pub(crate) fn on_all_cores() -> Self {
        Self::at_a_time(processors())
    }

    fn at_a_time(running: usize) -> Self {
        Self { waiting: Semaphore::new(WAITING), running: Arc::new(Semaphore::new(running)) }
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
        let _waiting = self.waiting.try_acquire().map_err(|_| messages::throttled())?;
        let running = Arc::clone(&self.running).acquire_owned().await;
        let running = running.map_err(|_| messages::internal())?;
        let done = tokio::task::spawn_blocking(move || {
            let _running = running;
            work()
        });
        done.await.map_err(|_| messages::internal())
    }
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
