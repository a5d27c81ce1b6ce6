//! The Raft log, the vote and the log's markers, on a [`Store`].
//!
//! ```text
//! append ─┐                    ┌─► readable at once (cache and store)
//! vote   ─┼─► Store::write ────┤
//! purge  ─┘   (ordered)        └─► flusher: one sync for all that wait ─► acknowledged
//! ```

mod cache;
mod flusher;
mod reader;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::LogState;
use openraft::storage::RaftLogStorage;

use crate::failpoint::{self, crash_point};
use crate::health::Health;
use crate::seams::{Batch, Clock, Column, Order, Store};
use crate::types::{Entry, IoFlushed, LogId, TypeConfig, Vote};
use crate::wire::Wire;

use cache::Cache;
use flusher::{Done, Flusher};
pub(crate) use reader::LogReader;

/// Keys in the column `raft_meta`. 0x01 is the format's.
mod meta {
    pub(super) const VOTE: [u8; 1] = [0x02];
    pub(super) const COMMITTED: [u8; 1] = [0x03];
    pub(super) const PURGED: [u8; 1] = [0x04];
}

/// The log of one node. Clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
}

/// What the log and its readers share.
struct Shared {
    store: Arc<dyn Store>,
    health: Health,
    flusher: Flusher,
    state: Mutex<State>,
}

/// What is written, held in memory.
struct State {
    purged: Option<LogId>,
    // Index of the first entry, also when there is none yet.
    first: u64,
    last: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    cache: Cache,
    // Counts the times that entries were taken away, so that readers of the store can tell.
    removals: u64,
}

impl LogStore {
    /// Reads what the store holds.
    ///
    /// # Errors
    /// The log is damaged or has a hole. Neither is ever taken for an empty log.
    pub(crate) fn open(
        store: Arc<dyn Store>,
        health: Health,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let state = State::read(&*store)?;
        let flusher = Flusher::start(Arc::clone(&store), health.clone(), clock)?;
        let shared = Shared { store, health, flusher, state: Mutex::new(state) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Index up to which entries are gone, on the store too.
    pub(crate) fn purged(&self) -> Option<u64> {
        self.shared.lock().purged.map(|log_id| log_id.index)
    }

    /// Syncs what was written and ends the flusher's thread.
    pub(crate) fn stop(&self) {
        self.shared.flusher.stop();
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        self.shared.health.check()?;
        let state = self.shared.lock();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let durable = {
            let mut state = self.shared.lock();
            let mut batch = Batch::default();
            batch.put(Column::RaftMeta, meta::VOTE, vote.encode());
            crash_point(failpoint::VOTE_BEFORE_WRITE);
            self.shared.write("saving the vote", batch)?;
            crash_point(failpoint::VOTE_AFTER_WRITE);
            state.vote = Some(*vote);
            let (done, durable) = tokio::sync::oneshot::channel();
            self.shared.flusher.submit(Done::Vote(done));
            durable
        };
        durable.await.map_err(|_| io::Error::other("the flusher has stopped"))?
    }

    /// Best effort: a commit index that is lost is learnt again.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut state = self.shared.lock();
        let mut batch = Batch::default();
        match &committed {
            Some(log_id) => batch.put(Column::RaftMeta, meta::COMMITTED, log_id.encode()),
            None => batch.delete(Column::RaftMeta, meta::COMMITTED),
        }
        self.shared.write("saving the commit index", batch)?;
        state.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.shared.health.check()?;
        Ok(self.shared.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IoFlushed) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut state = self.shared.lock();
        let batch = state.batch_to_append(&entries)?;
        let count = entries.len();
        if !batch.is_empty() {
            crash_point(failpoint::LOG_BEFORE_WRITE);
            self.shared.write("appending to the log", batch)?;
            crash_point(failpoint::LOG_AFTER_WRITE);
        }
        state.append(entries);
        self.shared.flusher.submit(Done::Append { callback, entries: count });
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let mut state = self.shared.lock();
        let next = last_log_id.map_or(0, |log_id| log_id.index.saturating_add(1));
        if next >= state.next_index() {
            return self.shared.health.check();
        }
        let mut batch = Batch::default();
        batch.delete_range(Column::RaftLog, log_key(next), LOG_END);
        self.shared.write("truncating the log", batch)?;
        state.truncate(next, last_log_id);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let mut state = self.shared.lock();
        // Marker and removal in one batch: with one of them alone the node could not start again.
        let mut batch = Batch::default();
        batch.put(Column::RaftMeta, meta::PURGED, log_id.encode());
        let end = log_id.index.saturating_add(1);
        batch.delete_range(Column::RaftLog, log_key(0), log_key(end));
        crash_point(failpoint::PURGE_BEFORE_WRITE);
        self.shared.write("purging the log", batch)?;
        crash_point(failpoint::PURGE_AFTER_WRITE);
        state.purge(log_id);
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, what: &str, batch: Batch) -> io::Result<()> {
        self.health.run(what, || self.store.write(batch))
    }
}

impl State {
    fn read(store: &dyn Store) -> io::Result<Self> {
        let purged = read_meta::<LogId>(store, &meta::PURGED, "purge marker")?;
        let vote = read_meta::<Vote>(store, &meta::VOTE, "vote")?;
        let committed = read_meta::<LogId>(store, &meta::COMMITTED, "commit index")?;
        let first = read_end(store, Order::Ascending)?;
        let last = read_end(store, Order::Descending)?;
        let expected = purged.map_or(0, |log_id| log_id.index.saturating_add(1));
        if let Some(first) = &first
            && first.log_id.index != expected
        {
            let found = first.log_id.index;
            return Err(damaged(format!("the log begins at {found} instead of {expected}")));
        }
        let last = last.map(|entry| entry.log_id).or(purged);
        let cache = Cache::new(last.map_or(0, |log_id| log_id.index.saturating_add(1)));
        Ok(Self { purged, first: expected, last, vote, committed, cache, removals: 0 })
    }

    /// # Errors
    /// The entries would leave a hole. Raft looks at the last entry only, so nobody else would
    /// notice.
    fn batch_to_append(&self, entries: &[Entry]) -> io::Result<Batch> {
        let mut batch = Batch::default();
        let mut last = self.last.map(|log_id| log_id.index);
        for entry in entries {
            let index = entry.log_id.index;
            if let Some(last) = last
                && last.checked_add(1) != Some(index)
            {
                return Err(damaged(format!("entry {index} does not follow entry {last}")));
            }
            batch.put(Column::RaftLog, log_key(index), entry.encode());
            last = Some(index);
        }
        Ok(batch)
    }

    fn append(&mut self, entries: Vec<Entry>) {
        if let (Some(first), Some(last)) = (entries.first(), entries.last()) {
            if self.last.is_none() {
                self.first = first.log_id.index;
            }
            self.last = Some(last.log_id);
        }
        self.cache.append(entries);
    }

    fn truncate(&mut self, next: u64, last: Option<LogId>) {
        self.cache.truncate(next);
        self.last = last.or(self.purged);
        self.removals += 1;
    }

    fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        self.first = upto.index.saturating_add(1);
        // A snapshot may cover more than the log ever held.
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(upto);
        }
        self.cache.purge(upto.index);
        self.removals += 1;
    }

    /// The index after the last entry.
    fn next_index(&self) -> u64 {
        self.last.map_or(0, |log_id| log_id.index.saturating_add(1))
    }
}

/// A key greater than that of every entry.
const LOG_END: [u8; 9] = [0xff; 9];

fn log_key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

fn read_meta<T: Wire>(store: &dyn Store, key: &[u8], what: &str) -> io::Result<Option<T>> {
    store.get(Column::RaftMeta, key)?.map(|bytes| T::decode(bytes, what)).transpose()
}

fn read_end(store: &dyn Store, order: Order) -> io::Result<Option<Entry>> {
    let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = store.scan(Column::RaftLog, everything, order, 1)?;
    rows.into_iter().next().map(decode_row).transpose()
}

/// The entry in a row, if it stands where it says.
fn decode_row((key, value): crate::seams::Row) -> io::Result<Entry> {
    let key: [u8; 8] = key
        .try_into()
        .map_err(|_| damaged("a key of the log is not eight bytes long".to_owned()))?;
    let index = u64::from_be_bytes(key);
    let entry = Entry::decode(value, &format!("log entry {index}"))?;
    if entry.log_id.index != index {
        let found = entry.log_id.index;
        return Err(damaged(format!("log entry {index} says that it is {found}")));
    }
    Ok(entry)
}

fn damaged(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log is damaged: {why}"))
}
