//! Openraft's own tests of a log and a state machine, on every store.

use std::sync::Arc;

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

struct Builder {
    kind: Kind,
    codec: Codec,
}

impl Builder {
    fn new(kind: Kind) -> Self {
        let keyring = Keyring::new(&RootKey::generate().unwrap()).unwrap();
        Self { kind, codec: Codec::new(Arc::new(keyring), ClusterId::new([7; 16])) }
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
    Suite::test_all(Builder::new(Kind::Rocks)).await.unwrap();
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
