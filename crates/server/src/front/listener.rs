//! Accepts connections, secures them, and bounds what each may cost.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use super::Front;
use super::opening::Opening;
use super::proxies::{Proxies, ProxyOptions};
use crate::tls::TlsIdentity;

/// Connections of clients at a time.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a proxy may take to say who its client is; a client, for its TLS handshake, to say which
/// HTTP it speaks, and for the headers of a request.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
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

/// Answers the requests that come by a listener.
pub(crate) trait Service: Send + Sync + 'static {
    /// What is known of a connection for as long as it lasts.
    type Caller: Clone + Send + 'static;

    /// Who is at the other end of a connection, by its TLS where it has any.
    fn caller(&self, peer: IpAddr, session: Option<&ServerConnection>) -> Self::Caller;

    /// Answers one request.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        caller: Self::Caller,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// A bound listener.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsIdentity>,
    max_connections: usize,
    proxies: Proxies,
}

impl Listener {
    /// Binds an address for clients; with an identity it speaks TLS, without one plain HTTP.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<TlsIdentity>,
    ) -> Result<Self, ListenerError> {
        Self::bind_for(address, tls, MAX_CONNECTIONS).await
    }

    /// Binds an address for so many connections at a time.
    pub(crate) async fn bind_for(
        address: SocketAddr,
        tls: Option<TlsIdentity>,
        max_connections: usize,
    ) -> Result<Self, ListenerError> {
        let failed = |cause| ListenerError::Bind { address, cause };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, tls, max_connections, proxies: Proxies::default() })
    }

    /// The same behind these proxies.
    #[must_use]
    pub fn behind(self, proxies: ProxyOptions) -> Self {
        Self { proxies: Proxies::new(proxies), ..self }
    }

    /// The address it listens on, its port chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then finishes what was begun, for at most `grace`.
    pub async fn serve(self, front: Arc<Front>, stop: impl Future<Output = ()>, grace: Duration) {
        self.serve_by(front, stop, grace).await;
    }

    /// The same, whoever it is that answers.
    pub(crate) async fn serve_by(
        self,
        service: Arc<impl Service>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let acceptor = self.tls.as_ref().map(|tls| TlsAcceptor::from(tls.server_config()));
        let watching = self.tls.as_ref().map(|tls| tokio::spawn(tls.watch()));
        let slots = Arc::new(Semaphore::new(self.max_connections));
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let Some((stream, peer, slot)) = accepted else { continue };
            let (service, acceptor) = (service.clone(), acceptor.clone());
            let proxies = self.proxies.clone();
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                let _slot = slot;
                let Some((stream, peer)) = opened(stream, peer, &proxies).await else { return };
                connection(stream, peer, acceptor, service, watcher).await;
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

/// A connection and who is behind it, told by a proxy or not.
async fn opened(
    mut stream: TcpStream,
    peer: SocketAddr,
    proxies: &Proxies,
) -> Option<(TcpStream, IpAddr)> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY was not set");
    }
    let originator = proxies.originator(&mut stream, peer.ip().to_canonical());
    match tokio::time::timeout(PROXY_TIMEOUT, originator).await {
        Ok(Ok(originator)) => Some((stream, originator)),
        Ok(Err(error)) => {
            tracing::warn!(%error, %peer, "a trusted proxy does not say who its client is");
            None
        }
        Err(_) => {
            tracing::warn!(%peer, "a trusted proxy took too long to say who its client is");
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    acceptor: Option<TlsAcceptor>,
    service: Arc<impl Service>,
    watcher: Watcher,
) {
    let Some(acceptor) = acceptor else {
        let caller = service.caller(peer, None);
        return http(stream, peer, caller, service, watcher).await;
    };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let caller = service.caller(peer, Some(stream.get_ref().1));
            http(stream, peer, caller, service, watcher).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn http<S, A: Service>(
    stream: S,
    peer: IpAddr,
    caller: A::Caller,
    service: Arc<A>,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answering = service.clone().answer(request, caller.clone());
        async move { Ok::<_, Infallible>(answering.await) }
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
