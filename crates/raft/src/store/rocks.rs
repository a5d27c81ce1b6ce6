//! The store on disk: one RocksDB with one write-ahead log.
//!
//! The single log gives the order that Raft needs for nothing: votes, entries, purges and the
//! state they lead to become durable in the order in which they were written.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, IteratorMode,
    Options, ReadOptions, WriteBatch,
};

use super::rewrite;
use crate::seams::{Batch, Column, KeyRange, Operation, Order, Row, Store};

const MEMTABLE_BYTES: usize = 32 << 20;
const MAX_WAL_BYTES: u64 = 256 << 20;
const INFO_LOG_BYTES: usize = 8 << 20;
const INFO_LOGS_KEPT: usize = 4;
const OPEN_FILES: i32 = 512;
const BACKGROUND_JOBS: i32 = 2;

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("another keystead process uses {0}: stop it, or choose another data folder")]
    InUse(PathBuf),
    /// It is there but not whole.
    #[error("the database in {path} is damaged: {reason}; restore it or replace the node")]
    Damaged {
        /// Its folder.
        path: PathBuf,
        /// What RocksDB says.
        reason: String,
    },
    /// Anything else.
    #[error("cannot open the database in {path}: {reason}")]
    Io {
        /// Its folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// A store in a folder.
pub struct RocksStore {
    path: PathBuf,
    // Empty once closed.
    db: RwLock<Option<DB>>,
}

impl RocksStore {
    /// Opens the store in this folder, or makes it. The folder is locked until it is closed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |reason: String| OpenError::Io { path: path.to_owned(), reason };
        std::fs::create_dir_all(path).map_err(|error| failed(error.to_string()))?;
        let columns =
            Column::ALL.map(|column| ColumnFamilyDescriptor::new(column.name(), column_options()));
        match DB::open_cf_descriptors(&database_options(), path, columns) {
            Ok(db) => Ok(Self { path: path.to_owned(), db: RwLock::new(Some(db)) }),
            Err(error) => Err(open_error(path, &error)),
        }
    }

    fn with<T>(&self, run: impl FnOnce(&DB) -> io::Result<T>) -> io::Result<T> {
        let guard = self.db.read().unwrap_or_else(PoisonError::into_inner);
        match &*guard {
            Some(db) => run(db),
            None => Err(io::Error::other("the store is closed")),
        }
    }
}

impl fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store for RocksStore {
    fn write(&self, batch: Batch) -> io::Result<()> {
        self.with(|db| {
            let mut rows = WriteBatch::with_capacity_bytes(batch.bytes() + 64);
            for operation in batch.operations() {
                match operation {
                    Operation::Put(column, key, value) => {
                        rows.put_cf(handle(db, *column)?, key, value);
                    }
                    Operation::Delete(column, key) => rows.delete_cf(handle(db, *column)?, key),
                    Operation::DeleteRange(column, first, end) => {
                        rows.delete_range_cf(handle(db, *column)?, first, end);
                    }
                }
            }
            db.write(rows).map_err(io_error)
        })
    }

    fn sync(&self) -> io::Result<()> {
        if cfg!(feature = "danger-no-fsync") {
            return Ok(());
        }
        self.with(|db| db.flush_wal(true).map_err(io_error))
    }

    fn get(&self, column: Column, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.with(|db| db.get_cf(handle(db, column)?, key).map_err(io_error))
    }

    fn scan(
        &self,
        column: Column,
        range: KeyRange,
        order: Order,
        limit: usize,
    ) -> io::Result<Vec<Row>> {
        self.with(|db| {
            let (mode, options) = read_options(range, order);
            let rows = db.iterator_cf_opt(handle(db, column)?, options, mode).take(limit);
            rows.map(|row| row.map(|(key, value)| (key.into_vec(), value.into_vec())))
                .collect::<Result<_, _>>()
                .map_err(io_error)
        })
    }

    fn rewrite(&self) -> io::Result<()> {
        self.with(|db| rewrite::run(db, &self.path))
    }

    fn blocks(&self) -> bool {
        true
    }

    fn close(&self) -> io::Result<()> {
        // So that nothing that takes long holds the store.
        if let Some(db) = &*self.db.read().unwrap_or_else(PoisonError::into_inner) {
            db.cancel_all_background_work(false);
        }
        let mut guard = self.db.write().unwrap_or_else(PoisonError::into_inner);
        match guard.take() {
            Some(db) if !cfg!(feature = "danger-no-fsync") => db.flush_wal(true).map_err(io_error),
            _ => Ok(()),
        }
    }
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // Without it the column that is flushed least often would keep old write-ahead logs alive.
    options.set_atomic_flush(true);
    // The default mode stops at the first bad record and says nothing, which would lose
    // acknowledged entries from the middle. This one forgives a torn tail and refuses the rest.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_total_wal_size(MAX_WAL_BYTES);
    options.set_max_log_file_size(INFO_LOG_BYTES);
    options.set_keep_log_file_num(INFO_LOGS_KEPT);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options
}

fn column_options() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(MEMTABLE_BYTES);
    // Values are encrypted and do not compress.
    options.set_compression_type(DBCompressionType::None);
    options
}

fn read_options(range: KeyRange, order: Order) -> (IteratorMode<'static>, ReadOptions) {
    let mut options = ReadOptions::default();
    match range.0 {
        Bound::Included(key) => options.set_iterate_lower_bound(key),
        Bound::Excluded(key) => options.set_iterate_lower_bound(just_after(key)),
        Bound::Unbounded => {}
    }
    match range.1 {
        Bound::Included(key) => options.set_iterate_upper_bound(just_after(key)),
        Bound::Excluded(key) => options.set_iterate_upper_bound(key),
        Bound::Unbounded => {}
    }
    let mode = match order {
        Order::Ascending => IteratorMode::Start,
        Order::Descending => IteratorMode::End,
    };
    (mode, options)
}

/// The smallest key greater than this one.
fn just_after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

pub(super) fn handle(db: &DB, column: Column) -> io::Result<&ColumnFamily> {
    db.cf_handle(column.name())
        .ok_or_else(|| io::Error::other(format!("column family {} is missing", column.name())))
}

pub(super) fn io_error(error: rocksdb::Error) -> io::Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

fn open_error(path: &Path, error: &rocksdb::Error) -> OpenError {
    let (path, reason) = (path.to_owned(), error.to_string());
    match error.kind() {
        // RocksDB has no code of its own for a lock that is held.
        rocksdb::ErrorKind::IOError if reason.contains("/LOCK") => OpenError::InUse(path),
        rocksdb::ErrorKind::Corruption => OpenError::Damaged { path, reason },
        _ => OpenError::Io { path, reason },
    }
}
