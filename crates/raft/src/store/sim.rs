//! A store in memory that knows what is on disk and what is not, and fails when told to.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::memory::Tables;
use crate::seams::{Batch, Column, KeyRange, Order, Row, Store};

/// A simulated disk.
///
/// Batches are readable at once and durable after a sync. [`SimStore::crash`] gives the disk as a
/// machine finds it after a power failure.
#[derive(Debug, Default)]
pub struct SimStore {
    state: Mutex<State>,
    changed: Condvar,
    blocks: bool,
}

#[derive(Debug, Default)]
struct State {
    visible: Tables,
    durable: Tables,
    unsynced: VecDeque<Batch>,
    writes: u64,
    syncs: u64,
    fail_write: Option<u64>,
    fail_sync: Option<u64>,
    syncs_held: bool,
    syncs_waiting: u64,
    closed: bool,
}

impl SimStore {
    /// An empty disk whose calls never block.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk that claims to block, so that syncs run on the flusher's own thread.
    pub fn blocking() -> Self {
        Self { blocks: true, ..Self::default() }
    }

    /// The disk after a power failure: of the batches that were not synced the first
    /// `survivors` are there, the rest is gone.
    pub fn crash(&self, survivors: usize) -> Self {
        let state = self.lock();
        let mut durable = state.durable.clone();
        for batch in state.unsynced.iter().take(survivors) {
            durable.apply(batch);
        }
        let state = State { visible: durable.clone(), durable, ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), blocks: self.blocks }
    }

    /// Batches written and not yet durable.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Lets the `count`-th write from now fail, once.
    pub fn fail_write(&self, count: u64) {
        let mut state = self.lock();
        state.fail_write = Some(state.writes + count);
    }

    /// Lets the `count`-th sync from now fail, once.
    pub fn fail_sync(&self, count: u64) {
        let mut state = self.lock();
        state.fail_sync = Some(state.syncs + count);
    }

    /// Lets syncs wait until [`SimStore::release_syncs`].
    pub fn hold_syncs(&self) {
        self.lock().syncs_held = true;
    }

    /// Ends what [`SimStore::hold_syncs`] began.
    pub fn release_syncs(&self) {
        self.lock().syncs_held = false;
        self.changed.notify_all();
    }

    /// Waits until a sync is being held; whether one is.
    pub fn wait_for_held_sync(&self, limit: Duration) -> bool {
        let state = self.lock();
        let none_waits = |state: &mut State| state.syncs_waiting == 0;
        let waited = self.changed.wait_timeout_while(state, limit, none_waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How many writes and syncs there have been.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.lock();
        (state.writes, state.syncs)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SimStore {
    fn write(&self, batch: Batch) -> io::Result<()> {
        let mut state = self.lock();
        state.check_open()?;
        state.writes += 1;
        if state.fail_write == Some(state.writes) {
            return Err(io::Error::other("injected write failure"));
        }
        state.visible.apply(&batch);
        state.unsynced.push_back(batch);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.check_open()?;
        // Only what was written before the sync began is promised.
        let promised = state.unsynced.len();
        state.syncs_waiting += 1;
        self.changed.notify_all();
        while state.syncs_held {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.syncs_waiting -= 1;
        state.syncs += 1;
        if state.fail_sync == Some(state.syncs) {
            return Err(io::Error::other("injected sync failure"));
        }
        let promised = if cfg!(feature = "danger-no-fsync") { 0 } else { promised };
        for _ in 0..promised {
            if let Some(batch) = state.unsynced.pop_front() {
                state.durable.apply(&batch);
            }
        }
        Ok(())
    }

    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let state = self.lock();
        state.check_open()?;
        Ok(state.visible.get(column, key))
    }

    fn scan(
        &self,
        column: Column,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> io::Result<Vec<Row>> {
        let state = self.lock();
        state.check_open()?;
        Ok(state.visible.scan(column, range, order, limit))
    }

    fn blocks(&self) -> bool {
        self.blocks
    }

    fn close(&self) -> io::Result<()> {
        if self.lock().closed {
            return Ok(());
        }
        let synced = self.sync();
        self.lock().closed = true;
        synced
    }
}

impl State {
    fn check_open(&self) -> io::Result<()> {
        if self.closed { Err(io::Error::other("the store is closed")) } else { Ok(()) }
    }
}
