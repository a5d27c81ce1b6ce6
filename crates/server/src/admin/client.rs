//! A client of the admin API, for the command line.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::heard::Heard;
use super::proto;
use crate::client_certificate::read_roots;
use crate::tls::{self, TlsError};

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is taken.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Why a node told nothing.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// Nobody listens.
    #[error("no node answers on {path} ({cause}); is one running with this data folder?")]
    NoNode {
        /// The socket.
        path: PathBuf,
        /// Why it cannot be reached.
        cause: io::Error,
    },
    /// The socket belongs to others.
    #[error("{0} may be used by the user that the node runs as, and by root; be one of them")]
    NotPermitted(PathBuf),
    /// The connection broke before anything was said.
    #[error("the node at {at} broke the connection: {cause}")]
    Connection {
        /// The socket or the address.
        at: String,
        /// How.
        cause: tonic::transport::Error,
    },
    /// The certificate, the key or the authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address is none.
    #[error("{0:?} is no address of a node; say a host and a port, e.g. kms-0.example:9473")]
    Address(String),
    /// Nobody listens there, or it is not the node that was meant.
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        /// The address.
        address: String,
        /// Why.
        cause: io::Error,
    },
    /// It said nothing, as it does where it does not accept the operator's certificate.
    #[error(
        "the node at {address} closed the connection ({cause}); it may not accept this \
         certificate: see admin.client_ca of its configuration"
    )]
    NotLetIn {
        /// The address.
        address: String,
        /// How it was closed.
        cause: io::Error,
    },
    /// The connection broke before the answer came.
    #[error("no answer came from the node: {0}")]
    NoAnswer(String),
    /// What was asked for rests on what has changed meanwhile.
    #[error("the node refused: {0}")]
    Outdated(String),
    /// It answered with an error.
    #[error("the node refused: {0}")]
    Refused(String),
}

/// A node on another machine, and what an operator shows and trusts there.
#[derive(Debug, Clone)]
pub struct RemoteNode {
    /// Host and port of its admin listener.
    pub address: String,
    /// PEM file with the authority of the node's certificate.
    pub authority: PathBuf,
    /// PEM file with the operator's certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the operator's private key.
    pub key: PathBuf,
}

impl RemoteNode {
    async fn connect(&self) -> Result<TlsStream<TcpStream>, AdminClientError> {
        let address = || AdminClientError::Address(self.address.clone());
        let (host, _) = self.address.rsplit_once(':').ok_or_else(address)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| address())?;
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let connecting = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            connector.connect(name, stream).await
        };
        let connected = tokio::time::timeout(TIMEOUT, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let unreachable =
            |cause| AdminClientError::Unreachable { address: self.address.clone(), cause };
        connected.map_err(unreachable)
    }

    fn tls(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(tls::provider());
        let own = tls::load_certified_key(&self.certificate, &self.key, &provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(TlsError::Config)?
            .with_root_certificates(read_roots(&self.authority)?)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// A connection to a node's admin API.
#[derive(Debug, Clone)]
pub struct AdminClient {
    inner: proto::admin_client::AdminClient<Channel>,
}

impl AdminClient {
    /// Connects to the socket at this path.
    ///
    /// # Errors
    /// See [`AdminClientError`].
    pub async fn connect(path: &Path) -> Result<Self, AdminClientError> {
        let stream = UnixStream::connect(path).await.map_err(|cause| match cause.kind() {
            io::ErrorKind::PermissionDenied => AdminClientError::NotPermitted(path.to_owned()),
            _ => AdminClientError::NoNode { path: path.to_owned(), cause },
        })?;
        Self::over(stream, path.display().to_string()).await
    }

    /// Connects to a node on another machine.
    ///
    /// # Errors
    /// See [`AdminClientError`].
    pub async fn connect_to(node: &RemoteNode) -> Result<Self, AdminClientError> {
        let (stream, first) = Heard::new(node.connect().await?);
        let client = Self::over(stream, node.address.clone()).await?;
        let heard = match tokio::time::timeout(TIMEOUT, first).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(_)) => Err(io::ErrorKind::ConnectionReset.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let address = || node.address.clone();
        heard.map_err(|cause| AdminClientError::NotLetIn { address: address(), cause })?;
        Ok(client)
    }

    async fn over<S>(stream: S, at: String) -> Result<Self, AdminClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stream = Some(stream);
        let connector = service_fn(move |_| {
            // One connection is all there is: a node that went away is not the same node again.
            let stream = stream.take().map(TokioIo::new);
            async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
        });
        // The address is for the `:authority` header alone.
        let endpoint = Endpoint::from_static("http://admin").timeout(TIMEOUT);
        let channel = endpoint
            .connect_with_connector(connector)
            .await
            .map_err(|cause| AdminClientError::Connection { at, cause })?;
        // An answer may be about all principals of a Region, or about all grants on a key.
        let inner =
            proto::admin_client::AdminClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        Ok(Self { inner })
    }

    /// The calls of the API.
    ///
    /// # Errors
    /// Each is told by way of [`AdminClient::told`].
    pub fn api(&mut self) -> &mut proto::admin_client::AdminClient<Channel> {
        &mut self.inner
    }

    /// What a call gave, or what the node said against it.
    ///
    /// # Errors
    /// [`AdminClientError::Outdated`], [`AdminClientError::Refused`], or
    /// [`AdminClientError::NoAnswer`].
    pub fn told<T>(
        answer: Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<T, AdminClientError> {
        Ok(answer.map_err(|status| failed(&status))?.into_inner())
    }

    /// The next message of an answer that has several.
    ///
    /// # Errors
    /// Those of [`AdminClient::told`].
    pub async fn next<T>(answers: &mut tonic::Streaming<T>) -> Result<Option<T>, AdminClientError> {
        answers.message().await.map_err(|status| failed(&status))
    }

    /// How the node and its Regions are.
    ///
    /// # Errors
    /// Those of [`AdminClient::told`].
    pub async fn status(&mut self) -> Result<proto::StatusResponse, AdminClientError> {
        Self::told(self.inner.status(proto::StatusRequest {}).await)
    }
}

fn failed(status: &tonic::Status) -> AdminClientError {
    // A status with a cause was made on this side: it is the connection that failed.
    match (first_cause(status), status.code()) {
        (Some(cause), _) => AdminClientError::NoAnswer(cause),
        (None, tonic::Code::Aborted) => AdminClientError::Outdated(status.message().into()),
        (None, _) => AdminClientError::Refused(status.message().into()),
    }
}

/// What began it all, if anything did.
fn first_cause(error: &dyn Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}
