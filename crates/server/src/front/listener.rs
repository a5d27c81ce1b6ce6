//! Accepts connections, secures them, and bounds what each may cost.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::Front;
use super::opening::Opening;
use crate::audit::TlsDetails;
use crate::tls::TlsIdentity;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a client may take for its TLS handshake, to say which HTTP it speaks, and for the
/// headers of a request.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of headers in one request.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HTTP1_BUFFER: usize = 64 * 1024;
const MAX_HTTP1_HEADERS: usize = 100;
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What kept a listener from listening.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
}

/// A bound client listener.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsIdentity>,
}

impl Listener {
    /// Binds an address; with an identity it speaks TLS, without one plain HTTP.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<TlsIdentity>,
    ) -> Result<Self, ListenerError> {
        let failed = |cause| ListenerError::Bind { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls })
    }

    /// The address it listens on, its port chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then finishes what was begun, for at most `grace`.
    pub async fn serve(self, front: Arc<Front>, stop: impl Future<Output = ()>, grace: Duration) {
        let acceptor = self.tls.as_ref().map(|tls| TlsAcceptor::from(tls.server_config()));
        let watching = self.tls.as_ref().map(|tls| tokio::spawn(tls.watch()));
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let Some((stream, peer, slot)) = accepted else { continue };
            let (front, acceptor) = (front.clone(), acceptor.clone());
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                let _slot = slot;
                connection(stream, peer, acceptor, front, watcher).await;
            });
        }
        drop(self.listener);
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests were cut off when the shutdown grace was over");
        }
        if let Some(watching) = watching {
            watching.abort();
        }
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, Slot)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            // Out of file descriptors, most likely: wait for some to be closed.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    front: Arc<Front>,
    watcher: Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY was not set");
    }
    let Some(acceptor) = acceptor else {
        return http(stream, peer, None, front, watcher).await;
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let version = session.protocol_version().map(name_of).unwrap_or_default();
            let suite = session.negotiated_cipher_suite().map(|suite| name_of(suite.suite()));
            let details = TlsDetails::new(&version, &suite.unwrap_or_default());
            http(stream, peer, Some(details), front, watcher).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn http<S>(
    stream: S,
    peer: SocketAddr,
    tls: Option<TlsDetails>,
    front: Arc<Front>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (front, tls) = (front.clone(), tls.clone());
        async move { Ok::<_, Infallible>(front.serve(request, peer, tls).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HTTP1_BUFFER)
        .max_headers(MAX_HTTP1_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    let stream = TokioIo::new(Opening::new(stream, OPENING_TIMEOUT));
    let connection = builder.serve_connection(stream, service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

/// A protocol version or cipher suite, in the names of the TLS registry.
fn name_of(item: impl std::fmt::Debug) -> String {
    let name = format!("{item:?}");
    match name.as_str() {
        "TLSv1_2" => "TLSv1.2".into(),
        "TLSv1_3" => "TLSv1.3".into(),
        _ => name.replace("TLS13_", "TLS_"),
    }
}
