//! What a data folder says about itself, in clear, before anything in it can be decrypted.

use std::io;

use keystead_crypto::seal::SealedRoot;
use keystead_types::{ClusterId, NodeId, Region};
use prost::Message;

use crate::seams::{Batch, Column, Store};

/// The newest layout of a data folder that this version understands, and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

/// In the column `raft_meta`.
const KEY: [u8; 1] = [0x01];
/// Before the version, so that a foreign database is told from a newer one.
const MAGIC: [u8; 4] = *b"KSTD";

/// The identity of a node and how its root key is sealed. Written once, never rewritten: a node
/// that lost its disk comes back under a new id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The cluster the node belongs to.
    pub cluster_id: ClusterId,
    /// The node: random, never used again once its disk is lost.
    pub node_id: NodeId,
    /// The Region the cluster serves.
    pub region: Region,
    /// The root key, wrapped by each seal.
    pub sealed_roots: Vec<SealedRoot>,
}

/// A format that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Written by a newer version.
    #[error(
        "the data folder has format {found}, this version understands up to {FORMAT_VERSION}: \
         use the keystead version that wrote it, or a newer one"
    )]
    TooNew {
        /// Its format version.
        found: u32,
    },
    /// Not what this project writes.
    #[error("the data folder does not say what it is: {0}; it is damaged or not keystead's")]
    Damaged(String),
    /// There is one already.
    #[error("the data folder is formatted already, as node {node_id} of cluster {cluster_id}")]
    AlreadyFormatted {
        /// Whose it is.
        node_id: NodeId,
        /// And of which cluster.
        cluster_id: ClusterId,
    },
    /// The disk failed.
    #[error("the data folder cannot be read or written")]
    Io(#[from] io::Error),
}

impl Format {
    /// Reads the format; `None` where there is none yet.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub fn read(store: &dyn Store) -> Result<Option<Self>, FormatError> {
        let Some(bytes) = store.get(Column::RaftMeta, &KEY)? else { return Ok(None) };
        let damaged = |why: &str| FormatError::Damaged(why.to_owned());
        let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| damaged("its mark is missing"))?;
        let (version, message) =
            rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is cut short"))?;
        let found = u32::from_be_bytes(*version);
        if found > FORMAT_VERSION {
            return Err(FormatError::TooNew { found });
        }
        let form = FormatForm::decode(message).map_err(|error| damaged(&error.to_string()))?;
        form.into_format().ok_or_else(|| damaged("a field is out of range")).map(Some)
    }

    /// Writes the format of a new data folder, durably.
    ///
    /// # Errors
    /// See [`FormatError`]; an existing format stays.
    pub fn write(&self, store: &dyn Store) -> Result<(), FormatError> {
        if let Some(existing) = Self::read(store)? {
            let Self { node_id, cluster_id, .. } = existing;
            return Err(FormatError::AlreadyFormatted { node_id, cluster_id });
        }
        let message = FormatForm::of(self).encode_to_vec();
        let value = [&MAGIC[..], &FORMAT_VERSION.to_be_bytes(), &message].concat();
        let mut batch = Batch::default();
        batch.put(Column::RaftMeta, KEY, value);
        store.write(batch)?;
        store.sync()?;
        Ok(())
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
struct FormatForm {
    #[prost(bytes = "vec", tag = "1")]
    cluster_id: Vec<u8>,
    #[prost(fixed64, tag = "2")]
    node_id: u64,
    #[prost(string, tag = "3")]
    region: String,
    #[prost(message, repeated, tag = "4")]
    sealed_roots: Vec<SealedRootForm>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct SealedRootForm {
    #[prost(string, tag = "1")]
    seal_id: String,
    #[prost(bytes = "vec", tag = "2")]
    check_value: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    blob: Vec<u8>,
}

impl FormatForm {
    fn of(format: &Format) -> Self {
        let sealed = |root: &SealedRoot| SealedRootForm {
            seal_id: root.seal_id.clone(),
            check_value: root.check_value.clone(),
            blob: root.blob.clone(),
        };
        Self {
            cluster_id: format.cluster_id.bytes().to_vec(),
            node_id: format.node_id.0,
            region: format.region.as_str().to_owned(),
            sealed_roots: format.sealed_roots.iter().map(sealed).collect(),
        }
    }

    fn into_format(self) -> Option<Format> {
        let sealed = |form: SealedRootForm| SealedRoot {
            seal_id: form.seal_id,
            check_value: form.check_value,
            blob: form.blob,
        };
        Some(Format {
            cluster_id: ClusterId::new(self.cluster_id.try_into().ok()?),
            node_id: NodeId(self.node_id),
            region: self.region.parse().ok()?,
            sealed_roots: self.sealed_roots.into_iter().map(sealed).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemStore;

    fn format() -> Format {
        Format {
            cluster_id: ClusterId::new([1; 16]),
            node_id: NodeId(u64::MAX - 1),
            region: "eu-central-1".parse().unwrap(),
            sealed_roots: vec![SealedRoot {
                seal_id: "file".into(),
                check_value: vec![7; 16],
                blob: vec![1, 2, 3],
            }],
        }
    }

    fn put(store: &MemStore, value: Vec<u8>) {
        let mut batch = Batch::default();
        batch.put(Column::RaftMeta, KEY, value);
        store.write(batch).unwrap();
    }

    #[test]
    fn is_written_once() {
        let store = MemStore::new();
        assert_eq!(Format::read(&store).unwrap(), None);
        format().write(&store).unwrap();
        assert_eq!(Format::read(&store).unwrap(), Some(format()));
        let again = Format { node_id: NodeId(5), ..format() }.write(&store);
        assert!(matches!(again, Err(FormatError::AlreadyFormatted { .. })));
        assert_eq!(Format::read(&store).unwrap(), Some(format()));
    }

    #[test]
    fn newer_and_foreign_folders_are_refused() {
        let store = MemStore::new();
        put(&store, [&MAGIC[..], &2u32.to_be_bytes(), b"whatever comes"].concat());
        assert!(matches!(Format::read(&store), Err(FormatError::TooNew { found: 2 })));
        for bytes in [&b""[..], b"KST", b"KSTD", b"KSTD\0\0\0\x01\xff", b"OTHER\0\0\0\x01"] {
            put(&store, bytes.to_vec());
            assert!(matches!(Format::read(&store), Err(FormatError::Damaged(_))), "{bytes:?}");
        }
    }
}
