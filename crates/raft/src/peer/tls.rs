//! The certificates of members: who a node is says its certificate, and nothing else does.
//!
//! Every certificate of the cluster's authority carries two DNS names. One names the node, so that
//! whoever dials a node is served by that node or not at all; the other says that it is a member,
//! for those who look for any.

use std::sync::Arc;

use keystead_types::{ClusterId, NodeId};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};

/// Under this name nobody can have a certificate.
const SUFFIX: &str = "keystead.internal";

/// The DNS name of a node in its certificate.
pub fn node_name(cluster: ClusterId, node: NodeId) -> String {
    format!("n-{node}.{}", cluster_suffix(cluster))
}

/// The DNS name that every member's certificate has.
pub fn member_name(cluster: ClusterId) -> String {
    format!("member.{}", cluster_suffix(cluster))
}

fn cluster_suffix(cluster: ClusterId) -> String {
    format!("{cluster}.{SUFFIX}")
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is not PEM, or holds something else.
    #[error("the {what} of this node cannot be read: {cause}")]
    Pem {
        /// Which one.
        what: &'static str,
        /// What the PEM reader found.
        cause: pem::Error,
    },
    /// The certificate is another node's.
    #[error("the certificate is not that of node {0}")]
    OtherNode(NodeId),
    /// TLS refuses them.
    #[error("the certificate of this node cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS refuses the authority.
    #[error("the cluster's authority cannot be used: {0}")]
    Authority(#[from] VerifierBuilderError),
}

/// A node's certificate, its key, and the authority that all members trust.
pub struct PeerIdentity {
    cluster: ClusterId,
    node: NodeId,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl PeerIdentity {
    /// Reads the authority's certificate, the node's own and its key, all PEM.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn from_pem(
        (cluster, node): (ClusterId, NodeId),
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, IdentityError> {
        let pem = |what| move |cause| IdentityError::Pem { what, cause };
        let authority =
            CertificateDer::from_pem_slice(authority).map_err(pem("cluster authority"))?;
        let certificate =
            CertificateDer::from_pem_slice(certificate).map_err(pem("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(pem("private key"))?;
        if node_of(cluster, &certificate) != Some(node) {
            return Err(IdentityError::OtherNode(node));
        }
        let mut roots = RootCertStore::empty();
        roots.add(authority)?;
        let roots = Arc::new(roots);
        let chain = vec![certificate];
        Ok(Self {
            cluster,
            node,
            server: Arc::new(server_config(
                (member_verifier(roots.clone())?, provider()),
                chain.clone(),
                key.clone_key(),
            )?),
            client: Arc::new(client_config((roots, provider()), chain.clone(), key.clone_key())?),
            chain,
            key,
        })
    }

    /// What connections are made with to members of another cluster, whose authority has this
    /// certificate (DER). Only a hybrid post-quantum key exchange will do.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn client_of(&self, authority: &[u8]) -> Result<Arc<ClientConfig>, IdentityError> {
        let trusted = (roots_of(authority)?, hybrid_provider());
        Ok(Arc::new(client_config(trusted, self.chain.clone(), self.key.clone_key())?))
    }

    /// What connections of members of other clusters are accepted with, of those that `verifier`
    /// lets in. Only a hybrid post-quantum key exchange will do.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn server_of(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Arc<ServerConfig>, IdentityError> {
        let trusted = (verifier, hybrid_provider());
        Ok(Arc::new(server_config(trusted, self.chain.clone(), self.key.clone_key())?))
    }

    /// The node's cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What incoming connections are accepted with.
    pub(super) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// What outgoing connections are made with.
    pub(super) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The name that the other end's certificate must have.
    pub(super) fn server_name(&self, node: Option<NodeId>) -> Option<ServerName<'static>> {
        let name =
            node.map_or_else(|| member_name(self.cluster), |node| node_name(self.cluster, node));
        ServerName::try_from(name).ok()
    }
}

impl std::fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerIdentity({})", node_name(self.cluster, self.node))
    }
}

/// Whether a certificate is that of a member of a cluster: one that its authority has signed, and
/// no other.
pub fn is_member(cluster: ClusterId, authority: &[u8], chain: &[CertificateDer<'_>]) -> bool {
    let verified = || {
        let (certificate, more) = chain.split_first()?;
        let roots = roots_of(authority).ok()?;
        let verifier = member_verifier(roots).ok()?;
        verifier.verify_client_cert(certificate, more, UnixTime::now()).ok()?;
        node_of(cluster, certificate)
    };
    verified().is_some()
}

fn member_verifier(
    roots: Arc<RootCertStore>,
) -> Result<Arc<dyn ClientCertVerifier>, IdentityError> {
    Ok(WebPkiClientVerifier::builder_with_provider(roots, provider()).build()?)
}

fn roots_of(authority: &[u8]) -> Result<Arc<RootCertStore>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority))?;
    Ok(Arc::new(roots))
}

/// The node that a certificate of this cluster's authority is for.
pub(super) fn node_of(cluster: ClusterId, certificate: &CertificateDer<'_>) -> Option<NodeId> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let suffix = format!(".{}", cluster_suffix(cluster));
    let mut nodes = certificate.valid_dns_names().filter_map(|name| {
        let id = name.strip_suffix(&suffix)?.strip_prefix("n-")?;
        u64::from_str_radix(id, 16).ok().map(NodeId)
    });
    match (nodes.next(), nodes.next()) {
        (Some(node), None) => Some(node),
        _ => None,
    }
}

/// aws-lc-rs with the post-quantum hybrid before all other key exchanges.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        ..aws_lc_rs::default_provider()
    })
}

/// aws-lc-rs with nothing but the post-quantum hybrid.
fn hybrid_provider() -> Arc<CryptoProvider> {
    let kx_groups = vec![kx_group::X25519MLKEM768];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

fn server_config(
    (verifier, provider): (Arc<dyn ClientCertVerifier>, Arc<CryptoProvider>),
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, IdentityError> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn client_config(
    (roots, provider): (Arc<RootCertStore>, Arc<CryptoProvider>),
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
