//! How long the disk takes to keep something.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::checks::bench::median;

const BLOCK: [u8; 4096] = [7; 4096];
const MOST: usize = 1000;
const LONGEST: Duration = Duration::from_secs(5);

/// Appends 4 KiB at a time to a file in a folder, each followed by `fdatasync`: the median of how
/// long the two take, in milliseconds.
///
/// # Errors
/// The folder cannot be written to.
pub(super) fn sync_milliseconds(folder: &Path) -> Result<f64> {
    let path = folder.join("fdatasync");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let start = Instant::now();
    let mut took = Vec::new();
    while took.len() < MOST && start.elapsed() < LONGEST {
        let start = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        took.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    fs::remove_file(path)?;
    Ok(median(took.into_iter()))
}
