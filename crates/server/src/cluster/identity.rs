//! This node's certificate and key, in the folder `peer` of its data folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_raft::peer::{IdentityError, PeerIdentity};
use keystead_state::proto::{self, command};
use keystead_types::{ClusterId, NodeId};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::Zeroizing;

use super::authority::{self, Authority, AuthorityError};
use crate::boot::{self, BootError};
use crate::region::RegionServer;

const FOLDER: &str = "peer";
const AUTHORITY: &str = "authority.crt";
const CERTIFICATE: &str = "node.crt";
const KEY: &str = "node.key";

/// Why a node has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFileError {
    /// A file could not be read or written.
    #[error("cannot use {path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The files hold something else.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No certificate could be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The authority could not be put into the state.
    #[error(transparent)]
    Boot(#[from] Box<BootError>),
}

/// A node's key and what was signed for it.
pub struct Credentials {
    key: KeyPair,
    node: NodeId,
}

impl Credentials {
    /// A new key for a node.
    ///
    /// # Errors
    /// The library failed.
    pub fn generate(node: NodeId) -> Result<Self, AuthorityError> {
        Ok(Self { key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, node })
    }

    /// The key of a node, PKCS#8.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load(node: NodeId, key: &[u8]) -> Result<Self, AuthorityError> {
        Ok(Self { key: authority::read_key(key)?, node })
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The public key: an uncompressed point on P-256.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key_raw()
    }

    /// The private key, PKCS#8.
    pub fn key(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.key.serialize_der())
    }

    /// Keeps the key with its certificate and the authority's (both DER) in a data folder.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn store(
        &self,
        data_dir: &Path,
        certificate: &[u8],
        authority: &[u8],
    ) -> Result<(), IdentityFileError> {
        let folder = data_dir.join(FOLDER);
        let failed = |path: PathBuf| move |cause| IdentityFileError::Io { path, cause };
        fs::create_dir_all(&folder).map_err(failed(folder.clone()))?;
        let key = Zeroizing::new(self.key.serialize_pem());
        let files =
            [(AUTHORITY, &*pem(authority)), (KEY, &**key), (CERTIFICATE, &*pem(certificate))];
        for (name, text) in files {
            let path = folder.join(name);
            replace(&path, text.as_bytes()).map_err(failed(path))?;
        }
        tracing::info!(node = %self.node, folder = %folder.display(), "a certificate is in place");
        Ok(())
    }
}

/// Whether a data folder holds a certificate. A node that joins has one before its folder is
/// formatted, a node that founds a cluster gets one once the cluster is there.
pub fn has_identity(data_dir: &Path) -> bool {
    data_dir.join(FOLDER).join(CERTIFICATE).exists()
}

/// The identity of a member: from its files or, where they are missing, signed by the authority
/// in the state. A cluster that has no authority yet gets one.
///
/// # Errors
/// See [`IdentityFileError`].
pub async fn ensure_identity(
    region: &RegionServer,
    data_dir: &Path,
) -> Result<PeerIdentity, IdentityFileError> {
    let status = region.node().status();
    let (cluster, node) = (status.cluster_id, status.node_id);
    if has_identity(data_dir) {
        match load(cluster, node, data_dir) {
            // Left behind by a node that did not get as far as a format.
            Err(IdentityFileError::Identity(IdentityError::OtherNode(_))) => {}
            loaded => return loaded,
        }
    }
    let authority = ensure_authority(region, cluster).await?;
    let credentials = Credentials::generate(node)?;
    let certificate = authority.sign(node, credentials.public_key())?;
    credentials.store(data_dir, &certificate, authority.certificate())?;
    load(cluster, node, data_dir)
}

/// The authority of a cluster, which gets one if it has none.
pub(crate) async fn ensure_authority(
    region: &RegionServer,
    cluster: ClusterId,
) -> Result<Authority, IdentityFileError> {
    let boot = |error| IdentityFileError::Boot(Box::new(error));
    if region.view().authority().is_none() {
        let new = Authority::generate(cluster)?;
        let sealed_key = region.seal_authority_key(&new.key()).map_err(|error| {
            IdentityFileError::Boot(Box::new(BootError::Refused(error.to_string())))
        })?;
        let certificate = new.certificate().to_vec();
        let operation = proto::CreateAuthority { certificate, sealed_key };
        let operation = command::Operation::CreateAuthority(operation);
        boot::propose(region, operation).await.map_err(boot)?;
    }
    region.authority().map_err(boot)
}

fn load(
    cluster: ClusterId,
    node: NodeId,
    data_dir: &Path,
) -> Result<PeerIdentity, IdentityFileError> {
    let read = |name: &str| {
        let path = data_dir.join(FOLDER).join(name);
        fs::read(&path).map_err(|cause| IdentityFileError::Io { path, cause })
    };
    let key = Zeroizing::new(read(KEY)?);
    let (authority, certificate) = (read(AUTHORITY)?, read(CERTIFICATE)?);
    Ok(PeerIdentity::from_pem((cluster, node), &authority, &certificate, &key)?)
}

/// Writes a file that is either there whole or not at all, for its owner only.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// A certificate as PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
