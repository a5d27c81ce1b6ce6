//! A token bucket without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

const SECOND: u64 = 1_000_000_000;

/// Holds as many tokens as flow in within a second, and is full at first. What is kept is the time,
/// in nanoseconds, at which it is full again: taking a token puts that off by the time of one.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes a token at a time, from a bucket into which so many flow per second; `false` if there
    /// is none.
    pub(super) fn take(&self, now: u64, rate: u32) -> bool {
        let Some(one) = SECOND.checked_div(u64::from(rate)) else { return false };
        let take = |full_at: u64| {
            let full_at = full_at.max(now) + one;
            (full_at <= now + SECOND).then_some(full_at)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 17 * SECOND;

    fn taken(bucket: &Bucket, now: u64, rate: u32) -> usize {
        (0..10_000).take_while(|_| bucket.take(now, rate)).count()
    }

    #[test]
    fn a_full_bucket_has_a_second_s_worth_and_fills_at_its_rate() {
        for rate in [1, 3, 7, 1000] {
            let (bucket, tokens) = (Bucket::default(), rate as usize);
            assert_eq!(taken(&bucket, START, rate), tokens, "{rate}: full");
            assert_eq!(taken(&bucket, START, rate), 0, "{rate}: empty");
            assert_eq!(taken(&bucket, START + SECOND / u64::from(rate), rate), 1, "{rate}: one");
            assert_eq!(taken(&bucket, START + 60 * SECOND, rate), tokens, "{rate}: no more");
        }
    }

    #[test]
    fn over_a_long_time_it_gives_what_flows_in_however_often_it_is_asked() {
        let bucket = Bucket::default();
        let asked = (0..20_000u64).filter(|at| bucket.take(START + at * SECOND / 2000, 100));
        // Ten seconds of 2,000 requests each: what was in it, and what came.
        assert!((1099..=1100).contains(&asked.count()));
    }

    #[test]
    fn a_clock_that_stands_still_or_a_rate_of_none_gives_nothing_more() {
        assert!(!Bucket::default().take(START, 0));
        let bucket = Bucket::default();
        assert_eq!(taken(&bucket, START, 5) + taken(&bucket, START - SECOND, 5), 5);
    }

    #[test]
    fn many_at_once_take_each_token_once() {
        let bucket = Bucket::default();
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| taken(&bucket, START, 800))).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 800);
    }
}
