//! Refusing mutations before the disk is full, while reads, votes and barriers go on.
//!
//! Other members' entries still have to be written, and other programs may take what is left. So a
//! file holds some space in reserve, and is removed when nearly nothing is left but it.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const GIB: u64 = 1 << 30;
/// In the data folder: the space that is held in reserve.
const RESERVE: &str = "reserve";
/// The most that is held in reserve.
const MAX_RESERVE: u64 = 64 << 20;
/// How long a look at the disk counts.
const RECHECK: Duration = Duration::from_millis(500);

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may still be written.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// How much space must stay free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinFree {
    /// The smaller of 1 GiB and 5 % of the file system.
    #[default]
    Automatic,
    /// So many bytes.
    Bytes(u64),
}

type Probe = Box<dyn Fn() -> io::Result<Space> + Send + Sync>;

/// Watches the free space of a disk. It recovers by itself when there is space again.
pub struct DiskGuard {
    probe: Option<Probe>,
    min_free: MinFree,
    reserve: Option<PathBuf>,
    last: Mutex<Option<(Instant, bool)>>,
}

impl DiskGuard {
    /// Watches the file system of this folder, and holds some of it in reserve.
    pub fn of_folder(folder: &Path, min_free: MinFree) -> Self {
        let (probed, reserve) = (folder.to_owned(), Some(folder.join(RESERVE)));
        Self { reserve, ..Self::with_probe(move || space_of(&probed), min_free) }
    }

    /// Watches whatever `probe` measures.
    pub fn with_probe(
        probe: impl Fn() -> io::Result<Space> + Send + Sync + 'static,
        min_free: MinFree,
    ) -> Self {
        Self { probe: Some(Box::new(probe)), min_free, reserve: None, last: Mutex::new(None) }
    }

    /// Watches nothing: for nodes that write no disk.
    pub fn off() -> Self {
        let min_free = MinFree::default();
        Self { probe: None, min_free, reserve: None, last: Mutex::new(None) }
    }

    /// Makes room for starting, if there is none, by giving up the reserve.
    pub fn make_room(&self) {
        self.is_full(Instant::now());
    }

    /// Whether there is less free space than there must be. Space that cannot be measured counts
    /// as none.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        let Some(probe) = &self.probe else { return false };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, full)) = *last
            && now.saturating_duration_since(at) < RECHECK
        {
            return full;
        }
        let full = match probe() {
            Ok(space) => {
                self.keep_reserve(space);
                space.free < self.min_free.bytes(space.total)
            }
            Err(error) => {
                tracing::error!(%error, "the free space of the disk cannot be measured");
                true
            }
        };
        if last.is_some_and(|(_, before)| before != full) || (full && last.is_none()) {
            tracing::warn!(full, "the disk changed between enough and too little free space");
        }
        *last = Some((now, full));
        full
    }

    /// Gives the reserve up when little else is left, and takes it again when there is enough.
    fn keep_reserve(&self, space: Space) {
        let Some(path) = &self.reserve else { return };
        let min_free = self.min_free.bytes(space.total);
        let bytes = MAX_RESERVE.min(min_free / 4);
        let changed = match path.exists() {
            true if space.free < bytes => {
                tracing::warn!(path = %path.display(), "the disk is full: its reserve is given up");
                fs::remove_file(path)
            }
            false if space.free >= min_free.saturating_add(bytes) && bytes > 0 => {
                set_aside(path, bytes)
            }
            _ => Ok(()),
        };
        if let Err(error) = changed {
            tracing::warn!(%error, path = %path.display(), "the reserve of the disk is not in order");
        }
    }
}

/// Makes a file that holds so much space.
fn set_aside(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::create(path)?;
    let set_aside = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    if set_aside.is_err() {
        fs::remove_file(path)?;
    }
    Ok(set_aside?)
}

impl fmt::Debug for DiskGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskGuard").field("min_free", &self.min_free).finish_non_exhaustive()
    }
}

impl MinFree {
    fn bytes(self, total: u64) -> u64 {
        match self {
            Self::Automatic => GIB.min(total / 20),
            Self::Bytes(bytes) => bytes,
        }
    }
}

fn space_of(folder: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn keeps_the_smaller_of_a_gibibyte_and_five_percent() {
        assert_eq!(MinFree::Automatic.bytes(10 * GIB), GIB / 2);
        assert_eq!(MinFree::Automatic.bytes(1000 * GIB), GIB);
        assert_eq!(MinFree::Bytes(5).bytes(1000 * GIB), 5);
    }

    #[test]
    fn recovers_by_itself() {
        let free = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&free);
        let probe = move || Ok(Space { free: seen.load(Ordering::SeqCst), total: 100 });
        let guard = DiskGuard::with_probe(probe, MinFree::Bytes(10));
        let start = Instant::now();
        assert!(guard.is_full(start));
        free.store(50, Ordering::SeqCst);
        assert!(guard.is_full(start + RECHECK / 2), "a look counts for a while");
        assert!(!guard.is_full(start + RECHECK));
    }

    #[test]
    fn the_reserve_is_given_up_last_and_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(1000 << 20));
        let seen = Arc::clone(&free);
        let probe = move || Ok(Space { free: seen.load(Ordering::SeqCst), total: 1 << 30 });
        let mut guard = DiskGuard::with_probe(probe, MinFree::Bytes(40 << 20));
        let file = folder.path().join(RESERVE);
        guard.reserve = Some(file.clone());
        let start = Instant::now();
        let full = |free_mib: u64, looks: u32| {
            free.store(free_mib << 20, Ordering::SeqCst);
            guard.is_full(start + RECHECK * looks)
        };
        assert!(!full(1000, 0));
        assert_eq!(fs::metadata(&file).unwrap().len(), 10 << 20);
        assert!(full(20, 1));
        assert!(file.exists(), "there is room still");
        assert!(full(5, 2));
        assert!(!file.exists());
        assert!(!full(45, 3));
        assert!(!file.exists(), "too little to hold anything back");
        assert!(!full(1000, 4));
        assert!(file.exists());
    }

    #[test]
    fn measures_a_real_folder() {
        let space = space_of(Path::new("/")).unwrap();
        assert!(space.total > 0 && space.free <= space.total);
        assert!(
            DiskGuard::of_folder(Path::new("/absent"), MinFree::Bytes(0)).is_full(Instant::now())
        );
    }
}
