//! The way to the nodes of other regions: gRPC under mutual TLS 1.3.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use keystead_raft::peer::{PeerIdentity, member_name};
use keystead_state::RegionPeer;
use keystead_types::Region;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::listener::MAX_MESSAGE;
use super::wire::Signed;
use super::wire::region_peers_client::RegionPeersClient;
use super::{Courier, ExchangeError};

const CONNECT_TIME: Duration = Duration::from_secs(2);
/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Reaches the nodes of peers at their endpoints: one at a time, the next one after a failure.
pub struct GrpcCourier {
    identity: Arc<PeerIdentity>,
    links: Mutex<BTreeMap<Region, Link>>,
}

/// The connection to one peer.
struct Link {
    peer: RegionPeer,
    /// The endpoint that it leads to, counted on after each failure.
    at: usize,
    client: RegionPeersClient<Channel>,
}

impl GrpcCourier {
    /// A courier that shows this certificate.
    pub fn new(identity: Arc<PeerIdentity>) -> Self {
        Self { identity, links: Mutex::default() }
    }

    fn client(&self, peer: &RegionPeer) -> Result<RegionPeersClient<Channel>, ExchangeError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let found = links.get(&peer.region).filter(|link| link.peer == *peer);
        if let Some(link) = found {
            return Ok(link.client.clone());
        }
        let link = self.link(peer, 0)?;
        let client = link.client.clone();
        links.insert(peer.region.clone(), link);
        Ok(client)
    }

    /// Leaves an endpoint that did not answer.
    fn leave(&self, peer: &RegionPeer) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = links.remove(&peer.region) else { return };
        if let Ok(link) = self.link(peer, old.at.wrapping_add(1)) {
            links.insert(peer.region.clone(), link);
        }
    }

    fn link(&self, peer: &RegionPeer, at: usize) -> Result<Link, ExchangeError> {
        let failed = |error: &dyn std::fmt::Display| ExchangeError::Peer(error.to_string());
        let none = || failed(&"it has no endpoints");
        let count = peer.endpoints.len();
        let address = at.checked_rem(count).and_then(|at| peer.endpoints.get(at));
        let address = address.ok_or_else(none)?.clone();
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        // The scheme is that of HTTP/2 inside of TLS, which the connector makes.
        let endpoint = endpoint
            .map_err(|error| failed(&error))?
            .connect_timeout(CONNECT_TIME)
            .timeout(CALL_TIME)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let config = self.identity.client_of(&peer.authority).map_err(|error| failed(&error))?;
        let connector = TlsConnector::from(config);
        let name = ServerName::try_from(member_name(peer.cluster));
        let name = name.map_err(|error| failed(&error))?;
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
            let (connector, name, address) = (connector.clone(), name.clone(), address.clone());
            async move { connect(&connector, name, &address).await.map(TokioIo::new) }
        }));
        let client = RegionPeersClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        Ok(Link { peer: peer.clone(), at, client })
    }

    fn answered(
        &self,
        peer: &RegionPeer,
        answer: Result<Response<Signed>, Status>,
    ) -> Result<Signed, ExchangeError> {
        answer.map(Response::into_inner).map_err(|status| {
            self.leave(peer);
            ExchangeError::Peer(said(&status))
        })
    }
}

/// What a call failed for, down to its cause.
fn said(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn connect(
    connector: &TlsConnector,
    name: ServerName<'static>,
    address: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    connector.connect(name, stream).await
}

#[async_trait::async_trait]
impl Courier for GrpcCourier {
    async fn greet(&self, peer: &RegionPeer, greeting: Signed) -> Result<Signed, ExchangeError> {
        let answer = self.client(peer)?.greet(greeting).await;
        self.answered(peer, answer)
    }

    async fn deliver(&self, peer: &RegionPeer, delivery: Signed) -> Result<Signed, ExchangeError> {
        let answer = self.client(peer)?.deliver(delivery).await;
        self.answered(peer, answer)
    }
}
