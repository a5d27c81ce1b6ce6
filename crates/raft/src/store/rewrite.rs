//! Writing all of a RocksDB anew, so that no file holds what was replaced or removed before.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use rocksdb::{BottommostLevelCompaction, CompactOptions, DB, FlushOptions};

use super::rocks::{handle, io_error};
use crate::seams::Column;

const WRITE_AHEAD_LOG: &str = "log";
const TABLE: &str = "sst";

/// RocksDB removes files that it does not need any more a moment later.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 200;

/// Flushes what is in memory, which ends the write-ahead log so far, and compacts all table files,
/// those of the last level too, which compaction otherwise leaves alone. Then sees to it that the
/// files are gone that were there before.
///
/// # Errors
/// Some of them are still there: the disk failed or is full, or the store is being closed.
pub(super) fn run(db: &DB, folder: &Path) -> io::Result<()> {
    let logs = files(folder, WRITE_AHEAD_LOG)?;
    let columns = [Column::RaftLog, Column::RaftMeta, Column::State];
    let columns = columns.map(|column| handle(db, column));
    let columns = columns.into_iter().collect::<io::Result<Vec<_>>>()?;
    let mut flush = FlushOptions::default();
    flush.set_wait(true);
    db.flush_cfs_opt(&columns.iter().collect::<Vec<_>>(), &flush).map_err(io_error)?;

    let tables = files(folder, TABLE)?;
    let mut options = CompactOptions::default();
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    // Other compactions go on meanwhile.
    options.set_exclusive_manual_compaction(false);
    for column in columns {
        // How it ended, it does not say.
        db.compact_range_cf_opt(column, None::<&[u8]>, None::<&[u8]>, &options);
    }

    let mut old = [logs, tables].concat();
    for _ in 0..LOOKS {
        // A log to which nothing was written is not replaced.
        old.retain(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0));
        if old.is_empty() {
            return Ok(());
        }
        sleep(LOOK);
    }
    Err(io::Error::other(format!("{} files are still there", old.len())))
}

/// The files of a kind.
fn files(folder: &Path, kind: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new(kind)) {
            found.push(path);
        }
    }
    Ok(found)
}
