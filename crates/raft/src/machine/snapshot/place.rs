//! Where snapshots are kept: a folder, or memory for nodes that keep nothing.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::summary;
use crate::failpoint::{self, crash_point};
use crate::types::{LogId, Snapshot, SnapshotMeta};

const SUFFIX: &str = "snapshot";
const DRAFT: &str = "draft.tmp";

/// Keeps the current snapshot of a node.
#[derive(Debug)]
pub struct SnapshotStore {
    folder: Option<PathBuf>,
    current: Mutex<Option<Kept>>,
    // One draft at a time: building and installing share the name of the draft.
    drafting: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Kept {
    snapshot: Snapshot<SnapshotData>,
    digest: [u8; 32],
}

impl SnapshotStore {
    /// Snapshots in this folder, which is made if need be. What an interrupted write left behind
    /// is removed.
    ///
    /// # Errors
    /// The folder could not be read or written.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut newest: Option<(PathBuf, Kept)> = None;
        let mut superseded = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name == DRAFT) {
                superseded.push(path);
            } else if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                let Some(kept) = open_file(&path) else { continue };
                let newer = newest.as_ref().is_none_or(|(_, other)| kept.last() > other.last());
                let older = if newer { newest.replace((path, kept)) } else { Some((path, kept)) };
                superseded.extend(older.map(|(path, _)| path));
            }
        }
        for path in superseded {
            fs::remove_file(path)?;
        }
        let current = Mutex::new(newest.map(|(_, kept)| kept));
        Ok(Self { folder: Some(folder.to_owned()), current, drafting: Mutex::new(()) })
    }

    /// Snapshots in memory.
    pub fn in_memory() -> Self {
        Self { folder: None, current: Mutex::new(None), drafting: Mutex::new(()) }
    }

    /// The log index that the current snapshot covers and the digest of its plain records, which
    /// is the same on every replica.
    pub fn current_digest(&self) -> Option<(u64, [u8; 32])> {
        let current = self.lock();
        let kept = current.as_ref()?;
        Some((kept.last()?.index, kept.digest))
    }

    pub(crate) fn current(&self) -> Option<Snapshot<SnapshotData>> {
        self.lock().as_ref().map(|kept| kept.snapshot.clone())
    }

    pub(crate) fn blocks(&self) -> bool {
        self.folder.is_some()
    }

    /// Keeps a snapshot that came from elsewhere. Nothing is copied if it is the current one.
    pub(crate) fn keep(&self, meta: SnapshotMeta, data: &SnapshotData) -> io::Result<()> {
        if self.current().is_some_and(|current| current.snapshot.is(data)) {
            return Ok(());
        }
        let mut draft = self.draft()?;
        io::copy(&mut data.reader(), &mut draft)?;
        self.finish(draft, meta).map(|_| ())
    }

    /// A place for a snapshot that comes from elsewhere. Its file has no name, so that nothing is
    /// left behind of one that does not come whole.
    pub(crate) fn incoming(&self) -> io::Result<Incoming> {
        let Some(folder) = &self.folder else { return Ok(Incoming::Memory(Vec::new())) };
        let number = INCOMING.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("incoming-{}-{number}.tmp", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(&path)?;
        Ok(Incoming::File(file))
    }

    /// A snapshot to be written. Only one exists at a time.
    pub(super) fn draft(&self) -> io::Result<Draft<'_>> {
        let turn = self.drafting.lock().unwrap_or_else(PoisonError::into_inner);
        let target = match &self.folder {
            Some(folder) => {
                let path = folder.join(DRAFT);
                let options = File::options()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(&path)?;
                Target::File(BufWriter::new(options), path)
            }
            None => Target::Memory(Vec::new()),
        };
        Ok(Draft { target, _turn: turn })
    }

    /// Makes a finished draft the current snapshot, durably, unless there is a newer one.
    pub(super) fn finish(
        &self,
        draft: Draft<'_>,
        meta: SnapshotMeta,
    ) -> io::Result<Snapshot<SnapshotData>> {
        let data = match draft.target {
            Target::Memory(bytes) => SnapshotData(Source::Memory(bytes.into())),
            Target::File(file, path) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                crash_point(failpoint::SNAPSHOT_AFTER_WRITE);
                file.sync_all()?;
                crash_point(failpoint::SNAPSHOT_AFTER_SYNC);
                self.put_in_place(&path, &meta)?;
                SnapshotData::from_file(file)?
            }
        };
        let (_, digest) = summary(&data)?;
        let kept = Kept { snapshot: Snapshot { meta, snapshot: data }, digest };
        let snapshot = kept.snapshot.clone();
        let mut current = self.lock();
        if current.as_ref().is_none_or(|current| current.last() <= kept.last()) {
            *current = Some(kept);
        }
        let newest = current.as_ref().and_then(Kept::last);
        drop(current);
        self.remove_superseded(newest)?;
        Ok(snapshot)
    }

    /// A rename is atomic, and durable once the folder is synced.
    fn put_in_place(&self, draft: &Path, meta: &SnapshotMeta) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        fs::rename(draft, folder.join(file_name(meta.last_log_id)))?;
        crash_point(failpoint::SNAPSHOT_AFTER_RENAME);
        File::open(folder)?.sync_all()?;
        crash_point(failpoint::SNAPSHOT_AFTER_FOLDER_SYNC);
        Ok(())
    }

    /// Whoever still reads one of the removed files keeps it until the end.
    fn remove_superseded(&self, newest: Option<LogId>) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let keep = file_name(newest);
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_snapshot = path.extension().is_some_and(|suffix| suffix == SUFFIX);
            if is_snapshot && path.file_name().is_some_and(|name| *name != *keep) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn last(&self) -> Option<LogId> {
        self.snapshot.meta.last_log_id
    }
}

/// A snapshot in a file, if it is one. The state does not depend on it, so damage is no reason
/// not to start: a new one is made when it is needed.
fn open_file(path: &Path) -> Option<Kept> {
    let read = || {
        let data = SnapshotData::from_file(File::open(path)?)?;
        let (header, digest) = summary(&data)?;
        Ok::<_, io::Error>(Kept {
            snapshot: Snapshot { meta: header.meta, snapshot: data },
            digest,
        })
    };
    match read() {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a snapshot cannot be read");
            None
        }
    }
}

fn file_name(last: Option<LogId>) -> String {
    match last {
        None => format!("empty.{SUFFIX}"),
        Some(LogId { leader_id, index }) => {
            format!("{index:020}-{:020}-{:016x}.{SUFFIX}", leader_id.term, leader_id.node_id)
        }
    }
}

/// Tells the files of incoming snapshots apart.
static INCOMING: AtomicU64 = AtomicU64::new(0);

/// A snapshot that is being received.
pub(crate) enum Incoming {
    File(File),
    Memory(Vec<u8>),
}

impl Incoming {
    /// The snapshot, once all of it is here; it is checked when it is installed.
    pub(crate) fn into_data(self) -> io::Result<SnapshotData> {
        match self {
            Self::File(file) => SnapshotData::from_file(file),
            Self::Memory(bytes) => Ok(SnapshotData::from_bytes(bytes)),
        }
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Memory(buffer) => buffer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A snapshot being written.
pub(super) struct Draft<'a> {
    target: Target,
    _turn: MutexGuard<'a, ()>,
}

enum Target {
    File(BufWriter<File>, PathBuf),
    Memory(Vec<u8>),
}

impl Write for Draft<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::File(file, _) => file.write(bytes),
            Target::Memory(buffer) => buffer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::File(file, _) => file.flush(),
            Target::Memory(_) => Ok(()),
        }
    }
}

/// A handle to the bytes of a snapshot. It stays readable when a newer one replaces it.
#[derive(Clone)]
pub struct SnapshotData(Source);

#[derive(Clone)]
enum Source {
    File { file: Arc<File>, bytes: u64 },
    Memory(Arc<[u8]>),
}

impl SnapshotData {
    /// The snapshot in these bytes; it is checked when it is installed.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Source::Memory(bytes.into()))
    }

    /// The snapshot in this file; it is checked when it is installed.
    ///
    /// # Errors
    /// The length of the file is not known.
    pub fn from_file(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self(Source::File { file: Arc::new(file), bytes }))
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Source::File { bytes, .. } => *bytes,
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Whether it has no bytes, and is not a snapshot then.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader of the bytes from the first on. Readers are independent of each other.
    pub fn reader(&self) -> Reader {
        self.reader_at(0)
    }

    pub(super) fn reader_at(&self, at: u64) -> Reader {
        Reader { data: self.clone(), at }
    }

    fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::File { file: a, .. }, Source::File { file: b, .. }) => Arc::ptr_eq(a, b),
            (Source::Memory(a), Source::Memory(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotData({} bytes)", self.len())
    }
}

/// Reads a snapshot.
#[derive(Debug)]
pub struct Reader {
    data: SnapshotData,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.data.0 {
            Source::File { file, .. } => file.read_at(buffer, self.at)?,
            Source::Memory(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[at..]).read(buffer)?
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}
