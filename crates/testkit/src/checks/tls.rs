//! Which key exchange a node that runs agrees on with a TLS client as Rust programs have it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Outcome;

/// The hybrid that is safe as long as either of its halves is.
const WANTED: NamedGroup = NamedGroup::X25519MLKEM768;

/// Arguments of `tls-group`.
#[derive(Debug, Args)]
pub struct Options {
    /// The node's listener for clients.
    #[arg(long, value_name = "ADDR")]
    target: SocketAddr,
    /// The name that its certificate must have.
    #[arg(long, default_value = "localhost", value_name = "NAME")]
    name: String,
    /// The authority that must have signed it, in PEM.
    #[arg(long, value_name = "FILE")]
    authority: PathBuf,
}

/// Connects with everything that rustls offers and looks at what was chosen.
///
/// # Errors
/// There is no handshake.
pub async fn run(options: &Options) -> Result<Outcome> {
    let connector = TlsConnector::from(Arc::new(client(options)?));
    let name = ServerName::try_from(options.name.clone())?;
    let stream = TcpStream::connect(options.target).await?;
    let stream = connector.connect(name, stream).await.context("TLS handshake")?;
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().context("no version")?;
    let group = session.negotiated_key_exchange_group().context("no key exchange")?.name();
    let mut outcome = Outcome { figures: format!("{version:?}, {group:?}"), violations: vec![] };
    outcome.require(group == WANTED, || format!("{group:?} was chosen where {WANTED:?} could be"));
    Ok(outcome)
}

fn client(options: &Options) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&options.authority)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
