//! What the clients do: they create, disable and enable keys, and use them all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use keystead_api::Wire;
use tokio::task::JoinHandle;

use super::caller::{Caller, Manner, Sealed, Seen};
use crate::checks::worker_rng;
use crate::cluster::{Cluster, NODES};

/// How many clients there are: every other one over gRPC.
pub(super) const CLIENTS: usize = 16;
/// Keys in use at a time. New ones replace old ones, so that no key gathers too long a history.
const KEYS: usize = 32;
/// Ciphertexts at hand for each key.
const AT_HAND: usize = 8;
/// Most clients turn to another node soon. Some wait: their requests are still there when a node
/// that stood still goes on.
const IMPATIENT: Duration = Duration::from_millis(300);
const PATIENT: Duration = Duration::from_secs(6);
/// How long a client goes on with a mutation of which it does not know whether it was done.
const PERSISTENCE: Duration = Duration::from_secs(15);

/// The clients at work.
pub(super) struct Workload {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Seen>>,
}

struct Shared {
    stop: AtomicBool,
    /// The longest pause of a client between two operations, in milliseconds.
    think: u64,
    keys: Mutex<Vec<Arc<Key>>>,
}

struct Key {
    id: Arc<str>,
    sealed: Mutex<Vec<Arc<Sealed>>>,
}

impl Workload {
    /// Sends the clients to work.
    pub(super) fn start(cluster: &Cluster, seed: u64, think: u64, began: Instant) -> Self {
        let shared = Arc::new(Shared { stop: false.into(), think, keys: Mutex::default() });
        let client = |number| {
            let wire = if number % 2 == 0 { Wire::AwsJson } else { Wire::Proto };
            let patience = if number % 8 < 2 { PATIENT } else { IMPATIENT };
            let manner = Manner { wire, patience, persistence: PERSISTENCE };
            let rng = worker_rng(seed, number);
            let caller = Caller::new(cluster, 0..NODES, number, manner, began, rng);
            let client = Client { number, caller, shared: shared.clone(), made: 0 };
            tokio::spawn(client.work())
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Lets the clients finish what they are at.
    ///
    /// # Errors
    /// A client panicked.
    pub(super) async fn finish(self) -> anyhow::Result<Seen> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for client in self.clients {
            seen.add(client.await?);
        }
        Ok(seen)
    }
}

struct Client {
    number: usize,
    caller: Caller,
    shared: Arc<Shared>,
    made: usize,
}

impl Client {
    async fn work(mut self) -> Seen {
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.shared.choose(self.caller.rng()) {
                Some(key) => self.step(&key).await,
                None => self.create().await,
            }
            let pause = self.caller.rng().u64(..=self.shared.think);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self.caller.seen
    }

    async fn step(&mut self, key: &Key) {
        match self.caller.rng().u8(..200) {
            0 => self.create().await,
            1..20 => {
                self.caller.enable(&key.id).await;
            }
            20..40 => {
                // Whoever knows that a key is disabled is the first to notice if it is not.
                if self.caller.disable(&key.id).await && self.caller.rng().bool() {
                    self.decrypt(key).await;
                }
            }
            40..60 => self.encrypt(key).await,
            60..150 => self.decrypt(key).await,
            _ => self.caller.describe(&key.id).await,
        }
    }

    /// The description of each key is unique, so that a key made twice is found.
    async fn create(&mut self) {
        self.made += 1;
        let description = format!("key {} of client {}", self.made, self.number);
        if let Some(id) = self.caller.create(&description).await {
            let key = Arc::new(Key { id, sealed: Mutex::default() });
            self.encrypt(&key).await;
            self.shared.add(key, self.caller.rng());
        }
    }

    async fn encrypt(&mut self, key: &Key) {
        if let Some(sealed) = self.caller.encrypt(&key.id).await {
            let mut all = key.sealed.lock().unwrap_or_else(PoisonError::into_inner);
            put(&mut all, sealed, AT_HAND, self.caller.rng());
        }
    }

    async fn decrypt(&mut self, key: &Key) {
        let sealed = {
            let sealed = key.sealed.lock().unwrap_or_else(PoisonError::into_inner);
            self.caller.rng().choice(&*sealed).cloned()
        };
        match sealed {
            Some(sealed) => self.caller.decrypt(&sealed).await,
            None => self.encrypt(key).await,
        }
    }
}

impl Shared {
    /// A key to do something with; none as long as there are few.
    fn choose(&self, rng: &mut Rng) -> Option<Arc<Key>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEYS { None } else { rng.choice(&*keys).cloned() }
    }

    fn add(&self, key: Arc<Key>, rng: &mut Rng) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        put(&mut keys, key, KEYS, rng);
    }
}

/// Adds an item, in the place of another where there are enough.
fn put<T>(items: &mut Vec<T>, item: T, most: usize, rng: &mut Rng) {
    if items.len() < most {
        items.push(item);
    } else {
        items[rng.usize(..most)] = item;
    }
}
