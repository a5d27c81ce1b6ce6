//! Seals: what protects the root key while no node runs.
//!
//! The cluster keeps its root key only as a [`SealedRoot`], one for each seal. A node that starts
//! unwraps one of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keystead_types::ClusterId;

use crate::envelope::{self, Label};
use crate::keyring::RootKey;
use crate::{CryptoError, Key32, constant_time_eq, kbkdf};

const CHECK_LABEL: &str = "keystead.v1.seal-check";
const CHECK_LEN: usize = 16;
const SEAL_FILE_LEN: u64 = 32;
const SEAL_FILE_MODE: u32 = 0o400;
/// Seal keys have no epochs: another key is another seal.
const SEAL_EPOCH: u32 = 0;

/// Something that can wrap the root key.
pub trait Seal: Send + Sync {
    /// Which seal it is; the same for as long as its key is the same.
    fn id(&self) -> &str;

    /// What sort of seal it is, such as `file`.
    fn kind(&self) -> &'static str;

    /// Wraps the root key of a cluster.
    ///
    /// # Errors
    /// [`SealError::Crypto`].
    fn wrap(&self, root: &RootKey, cluster: ClusterId) -> Result<SealedRoot, SealError>;

    /// Unwraps the root key of a cluster.
    ///
    /// # Errors
    /// [`SealError::WrongSeal`] if another seal wrapped it, [`SealError::Damaged`] if this one did
    /// but it cannot be unwrapped.
    fn unwrap(&self, sealed: &SealedRoot, cluster: ClusterId) -> Result<RootKey, SealError>;
}

/// The root key under one seal. It may be stored and sent: nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRoot {
    /// The seal that wrapped it.
    pub seal_id: String,
    /// 16 bytes by which the seal recognises its work.
    pub check_value: Vec<u8>,
    /// The wrapped root key.
    pub blob: Vec<u8>,
}

/// What is wrong with a seal.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The root key was wrapped by another seal.
    #[error(
        "this is the wrong seal: the root key is under seal {sealed_by}, this one is {this}; \
         use the seal with which the cluster was initialised"
    )]
    WrongSeal {
        /// The seal that wrapped the root key.
        sealed_by: String,
        /// The seal that was tried.
        this: String,
    },
    /// The wrapped root key is damaged or of another cluster.
    #[error("the root key under seal {0} is damaged or belongs to another cluster")]
    Damaged(String),
    /// The seal file cannot be read or written.
    #[error("seal file {}: {cause}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's word on it.
        cause: io::Error,
    },
    /// The seal file is not what one must be.
    #[error("seal file {} {problem}", path.display())]
    Refused {
        /// Its path.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The machinery failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A seal whose key is the 32 bytes of a file that only its owner can read.
#[derive(Debug)]
pub struct FileSeal(SealKey);

impl FileSeal {
    /// Makes a new seal file, which must not exist yet, and opens it. It is on disk when this
    /// returns.
    ///
    /// # Errors
    /// [`SealError::File`] or [`SealError::Crypto`].
    pub fn create(path: &Path) -> Result<Self, SealError> {
        let key = Key32::generate()?;
        let seal = SealKey::new("file", key)?;
        write_new(path, seal.key.expose())
            .map_err(|cause| SealError::File { path: path.to_owned(), cause })?;
        Ok(Self(seal))
    }

    /// Opens a seal file: 32 bytes, mode exactly 0400, owned by this process's user or by root.
    /// Links are followed; what they lead to must be such a file.
    ///
    /// # Errors
    /// [`SealError::File`], [`SealError::Refused`] or [`SealError::Crypto`].
    pub fn open(path: &Path) -> Result<Self, SealError> {
        let failed = |cause| SealError::File { path: path.to_owned(), cause };
        let mut options = OpenOptions::new();
        // A pipe in the place of the file must not make the start hang.
        options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let mut file = options.open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if let Some(problem) = problem_with(&metadata) {
            return Err(SealError::Refused { path: path.to_owned(), problem });
        }
        let key = Key32::filled_by(|key| file.read_exact(key).map_err(failed))?;
        Ok(Self(SealKey::new("file", key)?))
    }
}

/// A seal with a random key that exists in this process only, for clusters that do too.
#[derive(Debug)]
pub struct MemorySeal(SealKey);

impl MemorySeal {
    /// A new seal.
    ///
    /// # Errors
    /// [`SealError::Crypto`].
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self(SealKey::new("memory", Key32::generate()?)?))
    }
}

macro_rules! seal_by_key {
    ($name:ident) => {
        impl Seal for $name {
            fn id(&self) -> &str {
                &self.0.id
            }

            fn kind(&self) -> &'static str {
                self.0.kind
            }

            fn wrap(&self, root: &RootKey, cluster: ClusterId) -> Result<SealedRoot, SealError> {
                self.0.wrap(root, cluster)
            }

            fn unwrap(
                &self,
                sealed: &SealedRoot,
                cluster: ClusterId,
            ) -> Result<RootKey, SealError> {
                self.0.unwrap(sealed, cluster)
            }
        }
    };
}

seal_by_key!(FileSeal);
seal_by_key!(MemorySeal);

/// What all seals have in common whose key is at hand.
#[derive(Debug)]
struct SealKey {
    id: String,
    kind: &'static str,
    check_value: [u8; CHECK_LEN],
    key: Key32,
}

impl SealKey {
    fn new(kind: &'static str, key: Key32) -> Result<Self, CryptoError> {
        let mut check_value = [0; CHECK_LEN];
        kbkdf::derive(key.expose(), CHECK_LABEL, &[], &mut check_value)?;
        let [a, b, c, d, ..] = check_value;
        let id = format!("{kind}-{:08x}", u32::from_be_bytes([a, b, c, d]));
        Ok(Self { id, kind, check_value, key })
    }

    fn wrap(&self, root: &RootKey, cluster: ClusterId) -> Result<SealedRoot, SealError> {
        let binding = binding(cluster, &self.id);
        let root = root.key().expose();
        let blob = envelope::seal(Label::Root, &self.key, SEAL_EPOCH, &binding, root)?;
        let check_value = self.check_value.to_vec();
        Ok(SealedRoot { seal_id: self.id.clone(), check_value, blob })
    }

    fn unwrap(&self, sealed: &SealedRoot, cluster: ClusterId) -> Result<RootKey, SealError> {
        if !constant_time_eq(&sealed.check_value, &self.check_value) {
            let sealed_by = sealed.seal_id.clone();
            return Err(SealError::WrongSeal { sealed_by, this: self.id.clone() });
        }
        let damaged = || SealError::Damaged(self.id.clone());
        let binding = binding(cluster, &sealed.seal_id);
        let root = envelope::open(Label::Root, &self.key, &binding, &sealed.blob)
            .map_err(|_| damaged())?;
        let root = root.as_slice().try_into().map_err(|_| damaged())?;
        Ok(RootKey::new(Key32::from_bytes(root)?))
    }
}

fn binding(cluster: ClusterId, seal_id: &str) -> Vec<u8> {
    [cluster.bytes(), seal_id.as_bytes()].concat()
}

fn problem_with(metadata: &fs::Metadata) -> Option<String> {
    let (owner, us) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_file() {
        Some("is not a regular file".into())
    } else if owner != us && owner != 0 {
        Some(format!("belongs to user {owner}; it must belong to user {us} or to root"))
    } else if mode != SEAL_FILE_MODE {
        Some(format!("has mode {mode:04o} and must have 0400; run chmod 0400 on it"))
    } else if metadata.len() != SEAL_FILE_LEN {
        let len = metadata.len();
        Some(format!("has {len} bytes and must have {SEAL_FILE_LEN}; restore it from its copy"))
    } else {
        None
    }
}

/// Writes the file to disk; what is there already is never overwritten.
fn write_new(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(SEAL_FILE_MODE).open(path)?;
    // The umask may have taken bits away.
    let written = file
        .set_permissions(fs::Permissions::from_mode(SEAL_FILE_MODE))
        .and_then(|()| file.write_all(key))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // It is ours and incomplete. If it cannot be removed, its length gives it away later.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
