//! From an empty folder to a formatted one: joining a cluster, or founding it where the
//! configuration says that so many nodes may.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keystead_crypto::random;
use keystead_crypto::seal::{Seal, SealedRoot};
use keystead_raft::peer::PeerListener;
use keystead_raft::peer::join::{self, Admission, AskError, Greeting, JoinHost, Secret};
use keystead_raft::{Format, RocksStore};
use keystead_types::{ClusterId, NodeId, Region};
use zeroize::Zeroizing;

use super::authority::AuthorityError;
use super::identity::{Credentials, IdentityFileError};
use crate::boot::{self, BootError};

/// How often the seeds are asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Why a node does not join.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// No seed is a member.
    #[error("no member answered; the last seed said: {0}")]
    NobodyThere(String),
    /// The members serve another Region.
    #[error("the cluster serves Region {found}, not {wanted}")]
    OtherRegion {
        /// What it serves.
        found: Region,
        /// What this node is to serve.
        wanted: Region,
    },
    /// A member could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The folder could not be formatted.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The certificate could not be kept.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
    /// The key could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// A node with an empty folder, and what it knows.
pub struct Assembly<'a> {
    /// The Region that it shall serve.
    pub region: &'a Region,
    /// Its data folder.
    pub data_dir: &'a Path,
    /// What protects the root key.
    pub seal: &'a dyn Seal,
    /// Its name.
    pub name: &'a str,
    /// Where members may be.
    pub seeds: &'a [String],
    /// What all nodes of the cluster know.
    pub secret: &'a Secret,
    /// So many nodes that are all new found a cluster.
    pub expect: Option<usize>,
}

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// A cluster was joined.
    Joined,
    /// There is no cluster, and it is this node that founds one.
    NobodyElse,
    /// Neither.
    Nothing,
}

impl Assembly<'_> {
    /// Waits until this node has joined a cluster (`true`), or is the one to found it (`false`).
    /// Meanwhile it tells others that it is there.
    ///
    /// # Errors
    /// The cluster that was found cannot be joined.
    pub async fn wait(
        &self,
        listener: PeerListener,
    ) -> (PeerListener, Result<bool, AssembleError>) {
        let host = Arc::new(NewHost { name: self.name.to_owned() });
        let mut outcome = Ok(false);
        let search = async { outcome = self.search().await };
        let listener = listener.greet(self.secret.clone(), host, search).await;
        (listener, outcome)
    }

    async fn search(&self) -> Result<bool, AssembleError> {
        let mut told = String::new();
        loop {
            let why = match self.look().await {
                Ok(Found::Joined) => return Ok(true),
                Ok(Found::NobodyElse) => return Ok(false),
                Ok(Found::Nothing) => "no seed is a member, and too few are there".to_owned(),
                Err(error @ (AssembleError::Ask(_) | AssembleError::NobodyThere(_))) => {
                    error.to_string()
                }
                Err(error) => return Err(error),
            };
            if told != why {
                tracing::info!(%why, "waiting for a cluster to join");
                told = why;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Asks every seed once.
    async fn look(&self) -> Result<Found, AssembleError> {
        let mut new = BTreeSet::from([self.name.to_owned()]);
        for seed in self.seeds {
            match join::greet(seed, self.secret).await {
                Ok(Greeting { member: true, .. }) => {
                    join_through(self.region, self.data_dir, self.seal, seed, self.secret).await?;
                    return Ok(Found::Joined);
                }
                Ok(Greeting { name, member: false }) => {
                    new.insert(name);
                }
                Err(error) => tracing::debug!(%error, %seed, "a seed gave no answer"),
            }
        }
        // All that there are agree on who is the first; nobody founds while one of them is away.
        let complete = self.expect.is_some_and(|expected| new.len() >= expected);
        let first = new.first().is_some_and(|first| first == self.name);
        Ok(if complete && first { Found::NobodyElse } else { Found::Nothing })
    }
}

/// Formats an empty folder as a new member of the cluster that one of the seeds belongs to.
///
/// # Errors
/// See [`AssembleError`]; nothing was written unless all of it was.
pub async fn join(
    region: &Region,
    data_dir: &Path,
    seal: &dyn Seal,
    seeds: &[String],
    secret: &Secret,
) -> Result<(), AssembleError> {
    let mut last = "there are no seeds".to_owned();
    for seed in seeds {
        match join::greet(seed, secret).await {
            Ok(Greeting { member: true, .. }) => {
                return join_through(region, data_dir, seal, seed, secret).await;
            }
            Ok(Greeting { name, .. }) => last = format!("{name} at {seed} is no member itself"),
            Err(error) => last = format!("{seed}: {error}"),
        }
    }
    Err(AssembleError::NobodyThere(last))
}

async fn join_through(
    region: &Region,
    data_dir: &Path,
    seal: &dyn Seal,
    seed: &str,
    secret: &Secret,
) -> Result<(), AssembleError> {
    let node = NodeId(u64::from_be_bytes(random::bytes().map_err(BootError::from)?));
    let credentials = Credentials::generate(node)?;
    let public_key = credentials.public_key().to_vec();
    let admission = join::ask(seed, secret, node, public_key).await?;
    settle(region, data_dir, seal, &credentials, admission)
}

/// Makes the folder that of the node which was admitted.
fn settle(
    region: &Region,
    data_dir: &Path,
    seal: &dyn Seal,
    credentials: &Credentials,
    admission: Admission,
) -> Result<(), AssembleError> {
    let node = credentials.node();
    if admission.region != *region {
        let (found, wanted) = (admission.region, region.clone());
        return Err(AssembleError::OtherRegion { found, wanted });
    }
    let format = Format {
        cluster_id: admission.cluster_id,
        node_id: node,
        region: admission.region,
        sealed_roots: admission.roots,
    };
    // A seal that does not open the root key would make a member that cannot start.
    boot::unseal(seal, &format).map_err(BootError::from)?;
    std::fs::create_dir_all(data_dir).map_err(BootError::from)?;
    credentials.store(data_dir, &admission.certificate, &admission.authority)?;
    // Last: a folder with a format is a member's.
    let store = RocksStore::open(&data_dir.join("db")).map_err(BootError::from)?;
    format.write(&store).map_err(BootError::from)?;
    tracing::info!(%node, cluster = %format.cluster_id, "joined a cluster");
    Ok(())
}

/// What a member issued for a new node that could not ask itself.
pub struct IssuedAdmission {
    /// The id of the new node.
    pub node_id: u64,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The Region that it serves.
    pub region: Region,
    /// The certificate of the new node, DER.
    pub certificate: Vec<u8>,
    /// The authority that signed it, DER.
    pub authority: Vec<u8>,
    /// The private key of the new node, PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    /// The root key under each seal: the seal's id, its check value, the blob.
    pub roots: Vec<(String, Vec<u8>, Vec<u8>)>,
}

/// Formats an empty folder as the new member that an admission is for.
///
/// # Errors
/// See [`AssembleError`].
pub fn admit_self(
    region: &Region,
    data_dir: &Path,
    seal: &dyn Seal,
    issued: IssuedAdmission,
) -> Result<(), AssembleError> {
    let credentials = Credentials::load(NodeId(issued.node_id), &issued.key)?;
    let roots = issued.roots.into_iter();
    let admission = Admission {
        cluster_id: issued.cluster_id,
        region: issued.region,
        certificate: issued.certificate,
        authority: issued.authority,
        roots: roots
            .map(|(seal_id, check_value, blob)| SealedRoot { seal_id, check_value, blob })
            .collect(),
    };
    settle(region, data_dir, seal, &credentials, admission)
}

/// A node that is no member yet.
struct NewHost {
    name: String,
}

#[tonic::async_trait]
impl JoinHost for NewHost {
    fn greet(&self) -> Greeting {
        Greeting { name: self.name.clone(), member: false }
    }

    async fn admit(&self, _node: NodeId, _public_key: &[u8]) -> Result<Admission, String> {
        Err("this node is no member itself".into())
    }
}
