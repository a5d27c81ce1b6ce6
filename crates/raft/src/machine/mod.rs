//! The state machine: applies committed entries, publishes the View, makes and installs snapshots.
//!
//! ```text
//! entries ─► state::apply ─► changed rows, sealed ┐
//!                                                 ├─► one batch ─► publish the View ─► answer
//!            last applied log id, membership ─────┘
//! ```

mod install;
mod published;
mod rows;
mod snapshot;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use keystead_state::{Command, View};
use openraft::EntryPayload;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::blocking::run_blocking;
use crate::codec::Codec;
use crate::failpoint::{self, crash_point};
use crate::health::Health;
use crate::seams::{Batch, Store};
use crate::types::{
    Entry, LogId, Proposal, Reply, Snapshot, SnapshotMeta, StoredMembership, TypeConfig,
};

pub(crate) use published::Published;
use rows::Changes;
pub(crate) use snapshot::Header;
pub use snapshot::{SnapshotData, SnapshotStore};

/// How many entries go into one batch at most.
const MAX_BATCH_ENTRIES: usize = 4096;
/// How many bytes of changed rows go into one batch, roughly.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// The state machine of one node.
pub(crate) struct Machine {
    store: Arc<dyn Store>,
    codec: Codec,
    health: Health,
    snapshots: Arc<SnapshotStore>,
    published: Arc<Published>,
    position: Position,
    // Never sent on: its receiver learns when the machine is gone.
    _alive: oneshot::Sender<()>,
}

/// Tells when a machine is gone. Openraft applies on a task of its own, which may outlive it.
pub(crate) struct Ended(oneshot::Receiver<()>);

impl Ended {
    /// Waits until the machine touches nothing any more, but not longer than `limit`.
    pub(crate) async fn wait(self, limit: Duration) {
        if timeout(limit, self.0).await.is_err() {
            tracing::warn!("the state machine is still busy");
        }
    }
}

/// What has been applied.
#[derive(Debug, Clone, Default)]
struct Position {
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl Machine {
    /// Loads the state that the store holds, and publishes it.
    ///
    /// If the node stopped in the middle of installing a snapshot, what is there is neither the
    /// old nor the new state: it is wiped, and the snapshot is installed again by openraft.
    ///
    /// # Errors
    /// A row is damaged or was sealed with another root key.
    pub(crate) async fn open(
        store: Arc<dyn Store>,
        codec: Codec,
        health: Health,
        snapshots: Arc<SnapshotStore>,
    ) -> io::Result<(Self, Ended)> {
        let (blocks, load_store, load_codec) = (store.blocks(), Arc::clone(&store), codec.clone());
        let (position, view) = run_blocking(blocks, move || {
            install::finish_interrupted(&*load_store)?;
            rows::load(&*load_store, &load_codec)
        })
        .await?;
        let published = Arc::new(Published::new(view, position.applied));
        let (alive, ended) = oneshot::channel();
        let machine = Self { store, codec, health, snapshots, published, position, _alive: alive };
        Ok((machine, Ended(ended)))
    }

    /// Where the current View can be read.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// Writes one batch, publishes the View, answers the writers: in this order.
    fn commit(&mut self, pending: Pending) -> io::Result<()> {
        if pending.answers.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        pending.changes.write_to(&mut batch, &self.codec)?;
        rows::write_position(&mut batch, &pending.position);
        self.health.run("writing the state", || {
            crash_point(failpoint::APPLY_BEFORE_WRITE);
            self.store.write(batch)?;
            crash_point(failpoint::APPLY_AFTER_WRITE);
            Ok(())
        })?;
        self.position = pending.position;
        self.published.publish(pending.view, self.position.applied);
        for (responder, reply) in pending.answers {
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    fn pending(&self) -> Pending {
        Pending {
            view: (*self.published.view()).clone(),
            position: self.position.clone(),
            changes: Changes::default(),
            answers: Vec::new(),
        }
    }
}

/// Entries that have been applied in memory only.
struct Pending {
    view: View,
    position: Position,
    changes: Changes,
    answers: Vec<(Option<ApplyResponder<TypeConfig>>, Reply)>,
}

impl Pending {
    /// # Errors
    /// The entry cannot be understood. Skipping it would let this node drift from the others, so
    /// the node stops.
    fn apply(
        &mut self,
        codec: &Codec,
        entry: Entry,
        responder: Option<ApplyResponder<TypeConfig>>,
    ) -> io::Result<()> {
        let index = entry.log_id.index;
        let reply = match entry.payload {
            EntryPayload::Normal(proposal) => self.apply_command(codec, index, &proposal)?,
            EntryPayload::Blank => self.pass(index),
            EntryPayload::Membership(membership) => {
                self.position.membership = StoredMembership::new(Some(entry.log_id), membership);
                self.pass(index)
            }
        };
        self.position.applied = Some(entry.log_id);
        self.answers.push((responder, reply));
        Ok(())
    }

    fn apply_command(
        &mut self,
        codec: &Codec,
        index: u64,
        proposal: &Proposal,
    ) -> io::Result<Reply> {
        let unknown = |why: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("log entry {index}: {why}"))
        };
        let plain = codec.open_command(&proposal.id, &proposal.sealed)?;
        let command = Command::decode(&plain[..]).map_err(|error| unknown(error.to_string()))?;
        let applied = keystead_state::apply(&mut self.view, index, &command)
            .map_err(|error| unknown(error.to_string()))?;
        self.changes.extend(applied.changes);
        Ok(Reply(Some(applied.outcome)))
    }

    /// The View moves past entries that change nothing, too: right after an election the index
    /// that a reader waits for is that of such an entry.
    fn pass(&mut self, index: u64) -> Reply {
        self.view = self.view.at_index(index);
        Reply(None)
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= MAX_BATCH_ENTRIES || self.changes.bytes() >= MAX_BATCH_BYTES
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        self.health.check()?;
        Ok((self.position.applied, self.position.membership.clone()))
    }

    async fn apply<Entries>(&mut self, mut entries: Entries) -> io::Result<()>
    where
        Entries: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        let mut pending = self.pending();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            if let Err(error) = pending.apply(&self.codec, entry, responder) {
                // What came before it is applied and may be answered.
                self.commit(pending)?;
                return Err(self.health.fail("applying the log", error));
            }
            if pending.is_full() {
                self.commit(pending)?;
                pending = self.pending();
            }
        }
        self.commit(pending)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        // Taken together: what the snapshot says it covers is what it holds.
        Builder {
            view: self.published.view(),
            position: self.position.clone(),
            codec: self.codec.clone(),
            snapshots: Arc::clone(&self.snapshots),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        self.health.check()?;
        let installation = install::Installation {
            store: Arc::clone(&self.store),
            codec: self.codec.clone(),
            health: self.health.clone(),
            snapshots: Arc::clone(&self.snapshots),
            meta: meta.clone(),
        };
        let blocks = self.store.blocks();
        let view = run_blocking(blocks, move || installation.run(&snapshot)).await?;
        metrics::counter!("keystead_raft_snapshots_installed_total").increment(1);
        self.position =
            Position { applied: meta.last_log_id, membership: meta.last_membership.clone() };
        self.published.publish(view, self.position.applied);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot<SnapshotData>>> {
        self.health.check()?;
        Ok(self.snapshots.current())
    }
}

/// Makes a snapshot of the state as it was when the builder was made.
pub(crate) struct Builder {
    view: Arc<View>,
    position: Position,
    codec: Codec,
    snapshots: Arc<SnapshotStore>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot<SnapshotData>> {
        let (view, codec) = (Arc::clone(&self.view), self.codec.clone());
        let snapshots = Arc::clone(&self.snapshots);
        let meta = SnapshotMeta {
            last_log_id: self.position.applied,
            last_membership: self.position.membership.clone(),
        };
        let blocks = snapshots.blocks();
        run_blocking(blocks, move || {
            let header = Header { cluster_id: codec.cluster_id(), meta };
            snapshot::write(&snapshots, header, &view, &codec)
        })
        .await
    }
}
