//! The disk: an ordered key-value store.

use std::fmt;
use std::io;
use std::ops::Bound;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The parts of a store. Each is ordered by itself; a batch may touch all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Log entries by index.
    RaftLog,
    /// The format, the vote and the log's markers.
    RaftMeta,
    /// The state, with the last applied log id beside it.
    State,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::RaftLog, Self::RaftMeta, Self::State];

    /// The name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::RaftLog => "raft_log",
            Self::RaftMeta => "raft_meta",
            Self::State => "state",
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Sets a value.
    Put(Column, Vec<u8>, Vec<u8>),
    /// Removes a key, if it is there.
    Delete(Column, Vec<u8>),
    /// Removes the keys from the first, inclusive, to the second, exclusive.
    DeleteRange(Column, Vec<u8>, Vec<u8>),
}

/// Changes that happen together or not at all, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    operations: Vec<Operation>,
    bytes: usize,
}

impl Batch {
    /// Sets a value.
    pub fn put(&mut self, column: Column, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.operations.push(Operation::Put(column, key, value));
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, column: Column, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.bytes += key.len();
        self.operations.push(Operation::Delete(column, key));
    }

    /// Removes the keys from `first`, inclusive, to `end`, exclusive.
    pub fn delete_range(
        &mut self,
        column: Column,
        first: impl Into<Vec<u8>>,
        end: impl Into<Vec<u8>>,
    ) {
        let (first, end) = (first.into(), end.into());
        self.bytes += first.len() + end.len();
        self.operations.push(Operation::DeleteRange(column, first, end));
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The changes, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

/// Keys from a first to a last one.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Told how a sync ended.
pub type Synced = Box<dyn FnOnce(io::Result<()>) + Send>;

/// In which direction to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest key first.
    Ascending,
    /// The greatest key first.
    Descending,
}

/// An ordered key-value store with atomic batches and explicit durability.
///
/// After a crash it holds the result of some prefix of the batches written, and that prefix
/// includes every batch whose `write` returned before a `sync` that succeeded began.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Applies a batch: visible to reads at once, durable only after the next [`Store::sync`].
    ///
    /// # Errors
    /// Nothing is known about the batch any more: the store must not be used again.
    fn write(&self, batch: Batch) -> io::Result<()>;

    /// Waits until every batch written so far is on disk.
    ///
    /// # Errors
    /// What was not on disk may be lost, and a second try may succeed without having written it:
    /// the store must not be used again.
    fn sync(&self) -> io::Result<()>;

    /// Of a store that does not block: as [`Store::sync`], and says so by `done`. Several calls
    /// are answered in their order. A simulated disk may take its time.
    fn sync_then(&self, done: Synced) {
        done(self.sync());
    }

    /// Reads one value.
    ///
    /// # Errors
    /// The value could not be read or is damaged.
    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Reads at most `limit` rows of a range, of one moment.
    ///
    /// # Errors
    /// A row could not be read or is damaged.
    fn scan(
        &self,
        column: Column,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> io::Result<Vec<Row>>;

    /// Takes off the device what batches before this call replaced or removed: a store may go on
    /// holding the bytes for long after nobody can read them through it. Takes as long as writing
    /// everything anew. A store that holds nothing but what can be read has nothing to do.
    ///
    /// # Errors
    /// Some of it may still be there; try again.
    fn rewrite(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether calls may wait for a device. Such calls are kept off the async runtime's threads.
    fn blocks(&self) -> bool;

    /// Syncs and lets go of the files. Every later call fails.
    ///
    /// # Errors
    /// As [`Store::sync`].
    fn close(&self) -> io::Result<()>;
}
