//! Where the nodes of other regions call: a listener of its own, under mutual TLS 1.3.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use keystead_raft::peer::{IdentityError, PeerIdentity, is_member};
use keystead_types::Region;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConnection,
    SignatureScheme,
};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

use super::ExchangeError;
use super::wire::Signed;
use super::wire::region_peers_server::{RegionPeers, RegionPeersServer};
use crate::front::{Listener, ListenerError, Service};
use crate::region::RegionServer;
use crate::tls::TlsIdentity;

/// Connections at a time: one of each node of each peer.
const MAX_CONNECTIONS: usize = 256;
/// How long a call may take.
const CALL_TIME: Duration = Duration::from_secs(10);
/// How long what was begun may take when the node stops.
const GRACE: Duration = Duration::from_secs(2);
/// The largest message: a letter, and what it is wrapped in.
pub(super) const MAX_MESSAGE: usize = 4 << 20;

/// A bound listener for other regions.
pub struct RegionListener {
    listener: Listener,
    region: Arc<RegionServer>,
}

/// Why there is no listener for other regions.
#[derive(Debug, thiserror::Error)]
pub enum RegionListenerError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listener(#[from] ListenerError),
    /// The node's certificate does not do.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl RegionListener {
    /// Binds an address, at which this region will be served to its peers.
    ///
    /// # Errors
    /// See [`RegionListenerError`].
    pub async fn bind(
        address: SocketAddr,
        region: Arc<RegionServer>,
        identity: &PeerIdentity,
    ) -> Result<Self, RegionListenerError> {
        let connected = Connected {
            region: Arc::downgrade(&region),
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        };
        let tls = TlsIdentity::fixed(identity.server_of(Arc::new(connected))?);
        let listener = Listener::bind_for(address, Some(tls), MAX_CONNECTIONS).await?;
        Ok(Self { listener, region })
    }

    /// The address it listens on, its port chosen.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers the nodes of peers until `stop` resolves.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let calls = Calls { region: Arc::clone(&self.region) };
        let calls = RegionPeersServer::new(calls)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let nodes = Nodes { region: self.region, calls };
        self.listener.serve_by(Arc::new(nodes), stop, GRACE).await;
    }
}

/// The region whose node shows this certificate, if it is a peer.
fn peer_of(region: &RegionServer, chain: &[CertificateDer<'_>]) -> Option<Region> {
    let view = region.view();
    let mut peers = view.region_peers();
    let found = peers.find(|peer| is_member(peer.cluster, &peer.authority, chain))?;
    Some(found.region.clone())
}

/// Lets in the nodes of those regions that are peers when they call.
#[derive(Debug)]
struct Connected {
    region: Weak<RegionServer>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Connected {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<_> = std::iter::once(end_entity).chain(intermediates).cloned().collect();
        let region = self.region.upgrade();
        match region.and_then(|region| peer_of(&region, &chain)) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 will do".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The calls, for nodes of peers.
struct Nodes {
    region: Arc<RegionServer>,
    calls: RegionPeersServer<Calls>,
}

impl Service for Nodes {
    /// `None` is let in by no handshake, and would be answered by no call.
    type Caller = Option<Region>;

    fn caller(&self, _: IpAddr, session: Option<&ServerConnection>) -> Self::Caller {
        peer_of(&self.region, session?.peer_certificates()?)
    }

    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        caller: Self::Caller,
    ) -> Response<Body> {
        if let Some(region) = caller {
            request.extensions_mut().insert(region);
        }
        match tokio::time::timeout(CALL_TIME, self.calls.clone().oneshot(request)).await {
            Ok(answer) => answer.unwrap_or_else(|never| match never {}),
            Err(_) => Status::deadline_exceeded("The call took too long.").into_http(),
        }
    }
}

struct Calls {
    region: Arc<RegionServer>,
}

impl Calls {
    /// Refuses what one region brings of another one.
    fn refuse_stranger(&self, request: &tonic::Request<Signed>) -> Result<(), Status> {
        let caller = request.extensions().get::<Region>();
        let view = self.region.view();
        let peer = caller.and_then(|region| view.region_peer(region));
        match peer {
            Some(peer) if peer.cluster.bytes()[..] == request.get_ref().from[..] => Ok(()),
            _ => Err(refused(&ExchangeError::Stranger)),
        }
    }
}

fn refused(error: &ExchangeError) -> Status {
    let text = error.to_string();
    match error {
        ExchangeError::Stranger | ExchangeError::Statement | ExchangeError::Letter => {
            Status::permission_denied(text)
        }
        ExchangeError::Session => Status::aborted(text),
        ExchangeError::Refused(_) => Status::failed_precondition(text),
        _ => Status::unavailable(text),
    }
}

#[async_trait::async_trait]
impl RegionPeers for Calls {
    async fn greet(
        &self,
        request: tonic::Request<Signed>,
    ) -> Result<tonic::Response<Signed>, Status> {
        self.refuse_stranger(&request)?;
        let welcome = self.region.welcome(request.get_ref()).await;
        welcome.map(tonic::Response::new).map_err(|error| refused(&error))
    }

    async fn deliver(
        &self,
        request: tonic::Request<Signed>,
    ) -> Result<tonic::Response<Signed>, Status> {
        self.refuse_stranger(&request)?;
        let receipt = self.region.take_delivery(request.get_ref()).await;
        receipt.map(tonic::Response::new).map_err(|error| refused(&error))
    }
}
