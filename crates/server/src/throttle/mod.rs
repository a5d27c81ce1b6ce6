//! Admission: how many requests a Region works on at a time, and how many an account may make in a
//! second.
//!
//! Each node counts for itself what it serves. Whoever calls pays, whosever key it is. Nothing here
//! waits: what is too much is refused at once, with `ThrottlingException`, which SDKs retry.

mod bucket;
mod class;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bucket::Bucket;
pub use class::Class;
use keystead_api::{Error, messages};
use keystead_types::AccountId;
use quick_cache::sync::Cache;

/// Requests inside at a time, those included that nobody has authenticated yet.
const INSIDE: usize = 10_000;
/// Requests of known accounts worked on at a time. More only makes everybody wait: it takes a
/// hundred to keep a node busy.
const WORKED_ON: usize = 4096;
/// Accounts that are remembered. One that is forgotten, because so many others called since, starts
/// with full buckets.
const ACCOUNTS: usize = 16_384;

/// How many requests per second each account may make, by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestQuotas {
    others: Rates,
    accounts: HashMap<AccountId, Rates>,
}

/// Requests per second of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates([u32; Class::COUNT]);

impl Default for Rates {
    fn default() -> Self {
        let mut rates = Self([0; Class::COUNT]);
        for class in Class::ALL {
            rates.set(*class, class.default_rate());
        }
        rates
    }
}

impl Rates {
    /// Sets the rate of a class; none is let through at zero.
    pub fn set(&mut self, class: Class, rate: u32) {
        self.0[class as usize] = rate;
    }

    /// The rate of a class.
    pub fn get(&self, class: Class) -> u32 {
        self.0[class as usize]
    }
}

impl Default for RequestQuotas {
    fn default() -> Self {
        Self::new(Rates::default(), HashMap::new())
    }
}

impl RequestQuotas {
    /// These for some accounts, and others for all the rest.
    pub fn new(others: Rates, accounts: HashMap<AccountId, Rates>) -> Self {
        Self { others, accounts }
    }

    /// What an account may ask for.
    pub fn of(&self, account: AccountId) -> &Rates {
        self.accounts.get(&account).unwrap_or(&self.others)
    }
}

/// The admission of one Region.
#[derive(Debug)]
pub(crate) struct Throttle {
    quotas: RequestQuotas,
    started: Instant,
    inside: AtomicUsize,
    worked_on: AtomicUsize,
    accounts: Cache<AccountId, Arc<Usage>>,
}

/// What an account takes of the node.
#[derive(Debug, Default)]
struct Usage {
    worked_on: AtomicUsize,
    buckets: [Bucket; Class::COUNT],
}

/// A request that is inside, until this is dropped.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Throttle);

/// A request that is worked on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    throttle: &'a Throttle,
    usage: Arc<Usage>,
}

impl Throttle {
    pub(crate) fn new(quotas: RequestQuotas) -> Self {
        Self {
            quotas,
            started: Instant::now(),
            inside: AtomicUsize::new(0),
            worked_on: AtomicUsize::new(0),
            accounts: Cache::new(ACCOUNTS),
        }
    }

    /// Lets a request in that nobody has looked at, unless too many are inside. Whom it is from is
    /// not known yet; those of one account that are too many do not stay for long.
    ///
    /// # Errors
    /// `ThrottlingException`.
    pub(crate) fn enter(&self) -> Result<Inside<'_>, Error> {
        let inside = Inside(self);
        if self.inside.fetch_add(1, Ordering::Relaxed) >= INSIDE {
            return Err(refused("inside", "none"));
        }
        Ok(inside)
    }

    /// Counts a request of an account.
    ///
    /// # Errors
    /// `ThrottlingException`: it has made as many as it may.
    pub(crate) fn charge(&self, account: AccountId, class: Class) -> Result<(), Error> {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        let rate = self.quotas.of(account).get(class);
        if self.usage(account).buckets[class as usize].take(now, rate) {
            return Ok(());
        }
        Err(refused("quota", class.name()))
    }

    /// Lets a request of an account be worked on. No account gets more than is left for all others
    /// together: one alone half of the places, two a third each, so that there always is one for
    /// another.
    ///
    /// # Errors
    /// `ThrottlingException`.
    pub(crate) fn admit(&self, account: AccountId) -> Result<Admitted<'_>, Error> {
        let usage = self.usage(account);
        let all = self.worked_on.fetch_add(1, Ordering::Relaxed);
        let own = usage.worked_on.fetch_add(1, Ordering::Relaxed);
        let admitted = Admitted { throttle: self, usage };
        if own >= WORKED_ON.saturating_sub(all) {
            return Err(refused("share", "none"));
        }
        Ok(admitted)
    }

    fn usage(&self, account: AccountId) -> Arc<Usage> {
        let usage =
            self.accounts.get_or_insert_with(&account, || Ok::<_, Infallible>(Arc::default()));
        match usage {
            Ok(usage) => usage,
            Err(never) => match never {},
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.usage.worked_on.fetch_sub(1, Ordering::Relaxed);
        self.throttle.worked_on.fetch_sub(1, Ordering::Relaxed);
    }
}

fn refused(reason: &'static str, class: &'static str) -> Error {
    crate::metrics::throttled(reason, class);
    messages::throttled()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u64) -> AccountId {
        AccountId::from_number(number).unwrap()
    }

    fn taken<'a>(throttle: &'a Throttle, number: u64) -> Vec<Admitted<'a>> {
        std::iter::from_fn(|| throttle.admit(account(number)).ok()).collect()
    }

    #[test]
    fn no_account_takes_all_places() {
        let throttle = Throttle::new(RequestQuotas::default());
        let first = taken(&throttle, 1);
        assert_eq!(first.len(), WORKED_ON / 2);
        let others: Vec<_> = (2..8).map(|number| taken(&throttle, number)).collect();
        assert!(others.iter().all(|other| !other.is_empty()), "there is a place for each");
        drop((first, others));
        assert_eq!(taken(&throttle, 9).len(), WORKED_ON / 2, "all places are given back");
    }

    #[test]
    fn accounts_and_classes_have_quotas_of_their_own() {
        let mut few = Rates::default();
        few.set(Class::Symmetric, 2);
        let quotas = RequestQuotas::new(Rates::default(), HashMap::from([(account(1), few)]));
        let throttle = Throttle::new(quotas);
        let charge = |number, class| throttle.charge(account(number), class).is_ok();
        assert!(charge(1, Class::Symmetric) && charge(1, Class::Symmetric));
        assert!(!charge(1, Class::Symmetric));
        assert!(charge(1, Class::Rsa) && charge(2, Class::Symmetric));
    }

    #[test]
    fn so_many_are_inside_and_no_more() {
        let throttle = Throttle::new(RequestQuotas::default());
        let inside: Vec<_> = std::iter::from_fn(|| throttle.enter().ok()).collect();
        assert_eq!(inside.len(), INSIDE);
        assert!(throttle.enter().is_err());
        drop(inside);
        assert!(throttle.enter().is_ok());
    }
}
