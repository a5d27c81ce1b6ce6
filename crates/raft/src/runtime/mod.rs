//! A runtime for simulations: tokio's, with randomness that can be repeated.
//!
//! All that openraft leaves to chance, the timeouts of elections foremost, it draws from its
//! runtime.

mod watch;

use std::cell::Cell;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures::FutureExt;
use openraft::AsyncRuntime;
use openraft::impls::TokioRuntime;
use openraft::rt::deterministic_rng::DeterministicRng;

thread_local! {
    static NEXT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on all that openraft leaves to chance on this thread follows from `seed`.
pub fn seed_elections(seed: u64) {
    NEXT.set(Some(seed));
}

/// Tokio. Without a seed its randomness is as good as tokio's own.
#[derive(Debug)]
pub struct Seedable(TokioRuntime);

type Seeded = DeterministicRng<TokioRuntime>;

impl AsyncRuntime for Seedable {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: Send + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + Send> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <Seeded as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = watch::OrderedWatch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: Send + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn thread_rng() -> Self::ThreadLocalRng {
        let seed = match NEXT.get() {
            Some(seed) => {
                NEXT.set(Some(seed.wrapping_add(1)));
                seed
            }
            // The keys of a new hasher are random.
            None => RandomState::new().hash_one(0),
        };
        let drawn = Seeded::scope(seed, async { Seeded::thread_rng() }).now_or_never();
        drawn.expect("invariant: there is nothing to wait for")
    }

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + Send>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + Send>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use openraft::rt::testing::Suite;

    use super::*;

    #[test]
    fn it_is_a_runtime() {
        Suite::<Seedable>::test_all();
    }
}
