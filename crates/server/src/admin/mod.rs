//! The admin API: gRPC for the operators of a node, on a Unix socket in its data folder and,
//! where that is configured, on a listener of its own.
//!
//! Who may open the socket decides the file system (mode 0600) and, once more, the kernel's word
//! on who is at the other end: only this process's own user and root are served. Who may call from
//! elsewhere decides an authority that signs for operators and for nobody else.

mod certificate;
mod client;
mod heard;
mod listener;
mod regions;
mod service;
mod services;

use std::fmt;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tonic::transport::Server;

pub use certificate::OperatorTls;
pub use client::{AdminClient, AdminClientError, RemoteNode};
pub use listener::AdminListener;

use crate::audit::AuditTrail;
use crate::region::RegionServer;

/// The messages, the server and the client, generated from `proto/keystead/admin/v1`.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/keystead.admin.v1.rs"));
}

impl fmt::Debug for proto::ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceKey({})", self.access_key_id)
    }
}

impl fmt::Debug for proto::CreateAccountResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreateAccountResponse({})", self.access_key_id)
    }
}

impl fmt::Debug for proto::IssueNodeCertificateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssueNodeCertificateResponse({})", self.node_id)
    }
}

impl fmt::Debug for proto::RootAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootAccessKey({})", self.access_key_id)
    }
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 16;
/// The longest call that is taken: declared state is a file of policies.
const MAX_CALL: usize = 32 * 1024 * 1024;
/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long calls may take to finish once the server is told to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long another process may take to accept a connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What kept the admin socket from being opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminSocketError {
    /// Another process serves it.
    #[error("another process serves {0}; stop it, or give this one a data folder of its own")]
    Served(PathBuf),
    /// Something else has its name.
    #[error("{0} is in the way of the admin socket and is none; move it away")]
    NotASocket(PathBuf),
    /// The system refused.
    // `cause` is told by the message, so it is not called `source`, which would tell it twice.
    #[error("cannot open the admin socket {path}: {cause}")]
    Io {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// The admin socket of a node, bound. Dropping it removes it.
pub struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
    own_user: u32,
}

impl AdminSocket {
    /// The name of the socket in a data folder.
    pub const NAME: &'static str = "admin.sock";

    /// Opens the socket at this path with mode 0600. What a process that is gone left behind is
    /// replaced; a socket that somebody serves is not.
    ///
    /// # Errors
    /// See [`AdminSocketError`].
    pub async fn bind(path: &Path) -> Result<Self, AdminSocketError> {
        let failed = |cause| AdminSocketError::Io { path: path.to_owned(), cause };
        // Held for as long as the socket is, so that two processes never both find it abandoned.
        let lock = lock(path)?;
        remove_abandoned(path).await?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        let file = SocketFile { path: path.to_owned(), _lock: lock };
        // Nobody can connect before `listen`, and by then the mode is right whatever the umask is.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        let own_user = own_user().map_err(failed)?;
        Ok(Self { listener, file, own_user })
    }

    /// Answers for these Regions until `stop` resolves. A call that cannot be written to the
    /// audit trail is not answered.
    pub async fn serve(
        self,
        regions: Vec<Arc<RegionServer>>,
        audit: Arc<AuditTrail>,
        stop: impl Future<Output = ()>,
    ) {
        let Self { listener, file, own_user } = self;
        let service = service::AdminService::new(regions, audit);
        let incoming = futures::stream::unfold(listener, move |listener| async move {
            let stream = accept(&listener, own_user).await;
            Some((Ok::<_, io::Error>(stream), listener))
        });
        let (stopping, mut stopped) = tokio::sync::watch::channel(false);
        let serving = Server::builder()
            .timeout(CALL_TIMEOUT)
            .add_service(calls(service))
            .serve_with_incoming_shutdown(incoming, async move {
                // An error means that the sender is gone, which is as good a reason to stop.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            });
        let bounded = async {
            stop.await;
            stopping.send_replace(true);
            tokio::time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            served = serving => if let Err(error) = served {
                tracing::error!(%error, "the admin socket is not served any more");
            },
            () = bounded => tracing::warn!("calls on the admin socket were cut off"),
        }
        drop(file);
    }
}

/// The calls, as the socket and the listener take them.
fn calls(
    service: service::AdminService,
) -> proto::admin_server::AdminServer<service::AdminService> {
    proto::admin_server::AdminServer::new(service).max_decoding_message_size(MAX_CALL)
}

/// The name of a bound socket, and the right to it.
struct SocketFile {
    path: PathBuf,
    _lock: File,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "the admin socket stays behind");
        }
    }
}

/// The lock file beside the socket, locked. It stays when the socket goes: removing it would let
/// two processes lock two files of one name.
fn lock(path: &Path) -> Result<File, AdminSocketError> {
    let failed = |cause| AdminSocketError::Io { path: path.to_owned(), cause };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path.with_extension("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AdminSocketError::Served(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// Makes way for a socket, if what is there is a socket that nobody serves.
async fn remove_abandoned(path: &Path) -> Result<(), AdminSocketError> {
    let failed = |cause| AdminSocketError::Io { path: path.to_owned(), cause };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(AdminSocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match tokio::time::timeout(PROBE_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        // It was accepted, or waits in a queue that somebody holds.
        _ => Err(AdminSocketError::Served(path.to_owned())),
    }
}

/// The user this process acts as: what the kernel tells the other end of a socket of ours.
fn own_user() -> io::Result<u32> {
    let (_, other) = UnixStream::pair()?;
    Ok(other.peer_cred()?.uid())
}

/// The next connection of somebody who may connect.
async fn accept(listener: &UnixListener, own_user: u32) -> UnixStream {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be closed.
                tracing::warn!(%error, "a connection to the admin socket could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match stream.peer_cred() {
            Ok(peer) if is_operator(peer.uid(), own_user) => return stream,
            Ok(peer) => tracing::warn!(user = peer.uid(), "the admin socket refused a user"),
            Err(error) => tracing::warn!(%error, "the admin socket refused a nameless peer"),
        }
    }
}

/// Only the user that the node runs as, and root.
fn is_operator(user: u32, own_user: u32) -> bool {
    user == own_user || user == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_user_and_root_are_operators() {
        assert!(is_operator(1000, 1000));
        assert!(is_operator(0, 1000));
        assert!(!is_operator(1001, 1000));
        assert!(!is_operator(1000, 0));
    }
}
