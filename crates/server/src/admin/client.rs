//! A client of the admin API, for the command line.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::proto;

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The connection broke.
    #[error("the node on {path} broke the connection: {cause}")]
    Connection {
        /// The socket.
        path: PathBuf,
        /// How.
        cause: tonic::transport::Error,
    },
    /// It answered with an error.
    #[error("the node refused: {0}")]
    Refused(String),
}

/// A connection to a node's admin socket.
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
            .map_err(|cause| AdminClientError::Connection { path: path.to_owned(), cause })?;
        Ok(Self { inner: proto::admin_client::AdminClient::new(channel) })
    }

    /// The calls of the API.
    ///
    /// # Errors
    /// Each gives [`AdminClientError::Refused`] by way of [`AdminClient::told`].
    pub fn api(&mut self) -> &mut proto::admin_client::AdminClient<Channel> {
        &mut self.inner
    }

    /// What a call gave, or what the node said against it.
    ///
    /// # Errors
    /// [`AdminClientError::Refused`].
    pub fn told<T>(
        answer: Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<T, AdminClientError> {
        let refused = |status: tonic::Status| AdminClientError::Refused(status.message().into());
        Ok(answer.map_err(refused)?.into_inner())
    }

    /// How the node and its Regions are.
    ///
    /// # Errors
    /// [`AdminClientError::Refused`].
    pub async fn status(&mut self) -> Result<proto::StatusResponse, AdminClientError> {
        Self::told(self.inner.status(proto::StatusRequest {}).await)
    }
}
