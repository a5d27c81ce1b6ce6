//! Replacing the state by a snapshot, so that a stop at any moment leaves a node that can start.

use std::io;
use std::sync::Arc;

use keystead_state::View;

use super::snapshot::{self, SnapshotData, SnapshotStore};
use super::{Position, rows};
use crate::codec::Codec;
use crate::failpoint::{self, crash_point};
use crate::health::Health;
use crate::seams::{Batch, Column, Store};
use crate::types::SnapshotMeta;

/// In the column `raft_meta`: the state is being replaced and means nothing until this is gone.
const INSTALLING: [u8; 1] = [0x05];
const MARK: [u8; 1] = [1];

/// How many bytes of rows are written at a time.
const BATCH_BYTES: usize = 4 << 20;

/// One snapshot to install.
pub(super) struct Installation {
    pub(super) store: Arc<dyn Store>,
    pub(super) codec: Codec,
    pub(super) health: Health,
    pub(super) snapshots: Arc<SnapshotStore>,
    pub(super) meta: SnapshotMeta,
}

impl Installation {
    /// Checks the whole snapshot, keeps it, then replaces the state by it.
    ///
    /// # Errors
    /// A snapshot that is damaged or is not what `meta` says changes nothing. A failure of the
    /// disk stops the node.
    pub(super) fn run(self, data: &SnapshotData) -> io::Result<View> {
        let view = snapshot::read(data, &self.meta, &self.codec)?;
        self.health.run("keeping a snapshot", || self.snapshots.keep(self.meta.clone(), data))?;
        self.health.run("installing a snapshot", || self.replace(&view))?;
        Ok(view)
    }

    fn replace(&self, view: &View) -> io::Result<()> {
        let mut batch = Batch::default();
        batch.put(Column::RaftMeta, INSTALLING, MARK);
        self.store.write(batch)?;
        self.store.sync()?;
        crash_point(failpoint::INSTALL_AFTER_MARK);

        let mut batch = Batch::default();
        rows::wipe(&mut batch);
        self.store.write(batch)?;
        crash_point(failpoint::INSTALL_AFTER_WIPE);

        let mut batch = Batch::default();
        for (key, value) in view.rows() {
            rows::put_row(&mut batch, &self.codec, key, &value)?;
            if batch.bytes() >= BATCH_BYTES {
                self.store.write(std::mem::take(&mut batch))?;
            }
        }
        self.store.write(batch)?;
        crash_point(failpoint::INSTALL_AFTER_ROWS);

        let position = Position {
            applied: self.meta.last_log_id,
            membership: self.meta.last_membership.clone(),
        };
        let mut batch = Batch::default();
        rows::write_position(&mut batch, &position);
        batch.delete(Column::RaftMeta, INSTALLING);
        self.store.write(batch)?;
        self.store.sync()?;
        crash_point(failpoint::INSTALL_AFTER_CLEAR);
        Ok(())
    }
}

/// Wipes a state whose replacement was interrupted. The snapshot is installed again at start.
///
/// # Errors
/// The store failed.
pub(super) fn finish_interrupted(store: &dyn Store) -> io::Result<()> {
    if store.get(Column::RaftMeta, &INSTALLING)?.is_none() {
        return Ok(());
    }
    tracing::warn!("the installation of a snapshot was interrupted: the state is wiped");
    let mut batch = Batch::default();
    rows::wipe(&mut batch);
    batch.delete(Column::RaftMeta, INSTALLING);
    store.write(batch)?;
    store.sync()
}
