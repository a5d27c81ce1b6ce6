//! Openraft's own tests of a log and a state machine, on every store.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use keystead_crypto::keyring::{Keyring, RootKey};
use keystead_types::ClusterId;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;

use crate::codec::Codec;
use crate::health::Health;
use crate::log::LogStore;
use crate::machine::{Machine, SnapshotStore};
use crate::seams::{Store, SystemClock};
use crate::store::{MemStore, RocksStore, SimStore};
use crate::types::TypeConfig;

enum Kind {
    Rocks,
    Memory,
    Simulated,
    SimulatedBlocking,
}

/// The stores that were opened.
type Opened = Arc<Mutex<Vec<Weak<dyn Store>>>>;

struct Builder {
    kind: Kind,
    codec: Codec,
    opened: Opened,
}

impl Builder {
    fn new(kind: Kind) -> Self {
        let keyring = Keyring::new(&RootKey::generate().unwrap()).unwrap();
        let codec = Codec::new(Arc::new(keyring), ClusterId::new([7; 16]));
        Self { kind, codec, opened: Opened::default() }
    }
}

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let folder = TempDir::new().unwrap();
        let store: Arc<dyn Store> = match self.kind {
            Kind::Rocks => Arc::new(RocksStore::open(&folder.path().join("db")).unwrap()),
            Kind::Memory => Arc::new(MemStore::new()),
            Kind::Simulated => Arc::new(SimStore::new()),
            Kind::SimulatedBlocking => Arc::new(SimStore::blocking()),
        };
        self.opened.lock().unwrap().push(Arc::downgrade(&store));
        let snapshots = match self.kind {
            Kind::Rocks => SnapshotStore::in_folder(&folder.path().join("snapshots")).unwrap(),
            _ => SnapshotStore::in_memory(),
        };
        let health = Health::new();
        let log =
            LogStore::open(Arc::clone(&store), health.clone(), Arc::new(SystemClock)).unwrap();
        let machine = Machine::open(store, self.codec.clone(), health, Arc::new(snapshots));
        Ok((folder, log, machine.await.unwrap().0))
    }
}

#[tokio::test]
async fn on_rocksdb() {
    let builder = Builder::new(Kind::Rocks);
    let opened = Arc::clone(&builder.opened);
    Suite::test_all(builder).await.unwrap();
    // The flushers' threads let go of the stores a moment later than their logs, and a database
    // that is open when the process ends may take it down.
    let is_open = || opened.lock().unwrap().iter().any(|store| store.strong_count() > 0);
    for _ in 0..1000 {
        if !is_open() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!is_open(), "a store is kept open");
    // To close the last one takes a moment, too.
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn in_memory() {
    Suite::test_all(Builder::new(Kind::Memory)).await.unwrap();
}

#[tokio::test]
async fn on_the_simulated_disk() {
    Suite::test_all(Builder::new(Kind::Simulated)).await.unwrap();
}

#[tokio::test]
async fn on_the_simulated_disk_with_a_flusher_thread() {
    Suite::test_all(Builder::new(Kind::SimulatedBlocking)).await.unwrap();
}
