//! The members' port: mutual TLS for peers and, by a name of its own, TLS for those who join.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::join::{self, JoinHost, JoinService, Secret};
use super::proto::join_server::JoinServer;
use super::proto::peer_server::PeerServer;
use super::service::{Caller, PeerService};
use super::{MAX_MESSAGE, PeerIdentity, tls};
use crate::inbox::Inbox;

/// How long the handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at a time: a few for each member and for those who join.
const MAX_CONNECTIONS: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Connections that wait to be served.
const BACKLOG: usize = 16;

/// A bound members' port.
pub struct PeerListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// A connection whose TLS is done.
pub(super) struct Accepted<C> {
    stream: TlsStream<TcpStream>,
    caller: C,
}

impl PeerListener {
    /// Binds an address.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address it listens on, its port chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves those who ask who is there, until `stop` resolves, and gives the port back: for a
    /// node that is no member yet.
    pub async fn greet(
        self,
        secret: Secret,
        host: Arc<dyn JoinHost>,
        stop: impl Future<Output = ()>,
    ) -> Self {
        let serving = async {
            match join::anonymous_config() {
                Ok(config) => self.accept_all(None, config, None, Some((secret, host))).await,
                Err(error) => tracing::error!(%error, "nobody can ask whether this node is there"),
            }
        };
        tokio::select! {
            () = serving => {}
            () = stop => {}
        }
        self
    }

    /// Serves members and, where there is a secret, those who join, for ever.
    pub async fn serve(
        self,
        identity: Arc<PeerIdentity>,
        inbox: Inbox,
        joining: Option<(Secret, Arc<dyn JoinHost>)>,
    ) {
        let config = match join::anonymous_config() {
            Ok(config) => config,
            Err(error) => return tracing::error!(%error, "the members' port is not served"),
        };
        self.accept_all(Some(identity), config, Some(inbox), joining).await;
    }

    async fn accept_all(
        &self,
        identity: Option<Arc<PeerIdentity>>,
        anonymous: Arc<ServerConfig>,
        inbox: Option<Inbox>,
        joining: Option<(Secret, Arc<dyn JoinHost>)>,
    ) {
        let (peers, peer_streams) = mpsc::channel(BACKLOG);
        let (joiners, join_streams) = mpsc::channel(BACKLOG);
        let door = Arc::new(Door {
            identity,
            anonymous: joining.is_some().then_some(anonymous),
            peers,
            joiners,
        });
        let accepting = async {
            let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            loop {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                match self.listener.accept().await {
                    Ok((stream, from)) => {
                        let door = Arc::clone(&door);
                        tokio::spawn(async move {
                            if let Err(error) = door.enter(stream, slot).await {
                                tracing::warn!(%error, %from, "a connection of a peer was refused");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection of a peer could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        };
        let peers = inbox.map(|inbox| serve_peers(inbox, peer_streams));
        let joiners = joining.map(|(secret, host)| serve_joiners(secret, host, join_streams));
        tokio::join!(accepting, optional(peers), optional(joiners));
    }
}

async fn optional(future: Option<impl Future<Output = ()>>) {
    if let Some(future) = future {
        future.await;
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

/// Where connections are told apart.
struct Door {
    identity: Option<Arc<PeerIdentity>>,
    anonymous: Option<Arc<ServerConfig>>,
    peers: mpsc::Sender<(Accepted<Caller>, Slot)>,
    joiners: mpsc::Sender<(Accepted<join::Binding>, Slot)>,
}

impl Door {
    /// # Errors
    /// The handshake failed, or the certificate is not a member's.
    async fn enter(&self, stream: TcpStream, slot: Slot) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let hello = within(HANDSHAKE_TIMEOUT, hello).await?;
        let joins = hello.client_hello().server_name() == Some(join::SERVER_NAME);
        if joins {
            let config =
                self.anonymous.clone().ok_or_else(|| io::Error::other("no join secret"))?;
            let stream = within(HANDSHAKE_TIMEOUT, hello.into_stream(config)).await?;
            let caller = join::Binding::of(stream.get_ref().1)?;
            return self
                .joiners
                .send((Accepted { stream, caller }, slot))
                .await
                .map_err(|_| gone());
        }
        let identity = self.identity.as_ref();
        let identity = identity.ok_or_else(|| io::Error::other("this node is no member yet"))?;
        let stream = within(HANDSHAKE_TIMEOUT, hello.into_stream(identity.server_config())).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let caller = certificate.and_then(|found| tls::node_of(identity.cluster(), found));
        let caller = caller.ok_or_else(|| io::Error::other("the certificate names no node"))?;
        let caller = Caller(caller);
        self.peers.send((Accepted { stream, caller }, slot)).await.map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("the listener is closing")
}

async fn within<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn serve_peers(inbox: Inbox, streams: mpsc::Receiver<(Accepted<Caller>, Slot)>) {
    let service = PeerServer::new(PeerService::new(inbox))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let served = Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
        .add_service(service)
        .serve_with_incoming(incoming(streams));
    if let Err(error) = served.await {
        tracing::error!(%error, "peers are not served any more");
    }
}

async fn serve_joiners(
    secret: Secret,
    host: Arc<dyn JoinHost>,
    streams: mpsc::Receiver<(Accepted<join::Binding>, Slot)>,
) {
    let service = JoinServer::new(JoinService::new(secret, host));
    let served = Server::builder()
        .timeout(HANDSHAKE_TIMEOUT)
        .add_service(service)
        .serve_with_incoming(incoming(streams));
    if let Err(error) = served.await {
        tracing::error!(%error, "nobody can join through this node any more");
    }
}

fn incoming<C: Clone + Send + Sync + 'static>(
    streams: mpsc::Receiver<(Accepted<C>, Slot)>,
) -> impl Stream<Item = io::Result<Held<C>>> {
    stream::unfold(streams, |mut streams| async move {
        let (accepted, slot) = streams.recv().await?;
        Some((Ok(Held { accepted, _slot: slot }), streams))
    })
}

/// A connection and its place among those that may be open.
struct Held<C> {
    accepted: Accepted<C>,
    _slot: Slot,
}

impl<C: Clone + Send + Sync + 'static> Connected for Held<C> {
    type ConnectInfo = C;

    fn connect_info(&self) -> C {
        self.accepted.caller.clone()
    }
}

impl<C: Unpin> AsyncRead for Held<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.accepted.stream).poll_read(cx, buffer)
    }
}

impl<C: Unpin> AsyncWrite for Held<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.accepted.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.accepted.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.accepted.stream).poll_shutdown(cx)
    }
}
