//! Joining: two nodes that know one secret and nothing else of each other.
//!
//! The connection is TLS with certificates that nobody checks. Each side proves the secret by
//! `HMAC-SHA-256(secret, label ‖ exported)`, where `exported` is keying material of this very
//! connection (RFC 8446, section 7.5): whoever sits in between has two connections and can use
//! neither side's proof on the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use keystead_crypto::constant_time_eq;
use keystead_crypto::digest::hmac_sha256;
use keystead_crypto::seal::SealedRoot;
use keystead_types::{ClusterId, NodeId, Region};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme, version,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

use super::proto::join_client::JoinClient;
use super::{proto, tls};

/// By this name those who join ask for another kind of connection than members.
pub(super) const SERVER_NAME: &str = "join.keystead.internal";
const EXPORT_LABEL: &[u8] = b"EXPORTER-keystead-join-v1";
const CALLER: &[u8] = b"keystead.v1.join.caller";
const HOST: &[u8] = b"keystead.v1.join.host";
/// How long a seed may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// The shortest secret: 32 characters of base 16 would be 128 bits.
const MIN_SECRET: usize = 32;

/// What all nodes of a cluster know, and nobody else.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

/// A secret that is too short to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a join secret has at least {MIN_SECRET} random characters")]
pub struct WeakSecret;

impl Secret {
    /// The secret in these bytes, without the white space around it.
    ///
    /// # Errors
    /// It is too short.
    pub fn new(bytes: &[u8]) -> Result<Self, WeakSecret> {
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < MIN_SECRET {
            return Err(WeakSecret);
        }
        Ok(Self(Arc::new(Zeroizing::new(trimmed.to_vec()))))
    }

    fn prove(&self, label: &[u8], binding: &Binding) -> Bytes {
        hmac_sha256(&self.0, &[label, &binding.0].concat()).to_vec().into()
    }

    fn is_proven(&self, label: &[u8], binding: &Binding, proof: &[u8]) -> bool {
        constant_time_eq(&self.prove(label, binding), proof)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is true of one connection only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding([u8; 32]);

impl Binding {
    pub(super) fn of(connection: &ServerConnection) -> io::Result<Self> {
        let exported = connection.export_keying_material([0; 32], EXPORT_LABEL, None);
        exported.map(Self).map_err(io::Error::other)
    }
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Its name.
    pub name: String,
    /// Whether it belongs to a cluster.
    pub member: bool,
}

/// What a new node needs to become a member.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The Region that it serves.
    pub region: Region,
    /// The certificate of the new node, DER.
    pub certificate: Vec<u8>,
    /// The authority that signed it, DER.
    pub authority: Vec<u8>,
    /// The root key under each seal.
    pub roots: Vec<SealedRoot>,
}

/// What a node says to those who ask to join.
#[tonic::async_trait]
pub trait JoinHost: Send + Sync + 'static {
    /// Who it is.
    fn greet(&self) -> Greeting;

    /// Signs the certificate of a new node, given its id and its public key
    /// (the uncompressed point on P-256).
    ///
    /// # Errors
    /// A sentence about why not.
    async fn admit(&self, node: NodeId, public_key: &[u8]) -> Result<Admission, String>;
}

/// A node that could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It gave no answer.
    #[error("{0}")]
    NoAnswer(String),
    /// It knows another secret.
    #[error("the node there does not know this join secret")]
    Unproven,
    /// It refused.
    #[error("the member refused: {0}")]
    Refused(String),
}

/// Asks who is at an address.
///
/// # Errors
/// See [`AskError`].
pub async fn greet(address: &str, secret: &Secret) -> Result<Greeting, AskError> {
    let (mut client, binding) = connect(address).await?;
    let request = proto::GreetRequest { proof: secret.prove(CALLER, &binding) };
    let answer = answered(client.greet(request)).await?;
    if !secret.is_proven(HOST, &binding, &answer.proof) {
        return Err(AskError::Unproven);
    }
    Ok(Greeting { name: answer.name, member: answer.member })
}

/// Asks the member at an address to admit a new node.
///
/// # Errors
/// See [`AskError`].
pub async fn ask(
    address: &str,
    secret: &Secret,
    node: NodeId,
    public_key: Vec<u8>,
) -> Result<Admission, AskError> {
    let (mut client, binding) = connect(address).await?;
    let request = proto::JoinRequest {
        proof: secret.prove(CALLER, &binding),
        node_id: node.0,
        public_key: public_key.into(),
    };
    let answer = answered(client.join(request)).await?;
    if !secret.is_proven(HOST, &binding, &answer.proof) {
        return Err(AskError::Unproven);
    }
    read_admission(answer).ok_or_else(|| AskError::NoAnswer("its answer is malformed".into()))
}

fn read_admission(answer: proto::JoinResponse) -> Option<Admission> {
    let roots = answer.roots.into_iter().map(|root| SealedRoot {
        seal_id: root.seal_id,
        check_value: root.check_value.to_vec(),
        blob: root.blob.to_vec(),
    });
    Some(Admission {
        cluster_id: ClusterId::new(answer.cluster_id.as_ref().try_into().ok()?),
        region: answer.region.parse().ok()?,
        certificate: answer.certificate.to_vec(),
        authority: answer.authority.to_vec(),
        roots: roots.collect(),
    })
}

async fn answered<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, AskError> {
    match timeout(ASK_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) if status.code() == tonic::Code::FailedPrecondition => {
            Err(AskError::Refused(status.message().to_owned()))
        }
        Ok(Err(status)) if status.code() == tonic::Code::Unauthenticated => Err(AskError::Unproven),
        Ok(Err(status)) => Err(AskError::NoAnswer(status.message().to_owned())),
        Err(_) => Err(AskError::NoAnswer("it did not answer in time".into())),
    }
}

async fn connect(address: &str) -> Result<(JoinClient<Channel>, Binding), AskError> {
    let failed = |error: &dyn std::fmt::Display| AskError::NoAnswer(error.to_string());
    let config = anonymous_client().map_err(|error| failed(&error))?;
    let name = ServerName::try_from(SERVER_NAME).map_err(|error| failed(&error))?;
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(config).connect(name, stream).await
    };
    let stream = timeout(ASK_TIMEOUT, connecting).await;
    let stream = stream
        .map_err(|_| AskError::NoAnswer("it did not answer in time".into()))?
        .map_err(|error| failed(&error))?;
    let exported = stream.get_ref().1.export_keying_material([0; 32], EXPORT_LABEL, None);
    let binding = exported.map(Binding).map_err(|error| failed(&error))?;
    // The one connection that the proofs are bound to: it is never made anew.
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().ok_or(io::Error::from(io::ErrorKind::NotConnected));
        async move { stream }
    });
    let endpoint = Endpoint::from_static("http://join.keystead.internal");
    let channel = endpoint.connect_with_connector(connector).await;
    Ok((JoinClient::new(channel.map_err(|error| failed(&error))?), binding))
}

/// Answers those who join.
pub(super) struct JoinService {
    secret: Secret,
    host: Arc<dyn JoinHost>,
}

impl JoinService {
    pub(super) fn new(secret: Secret, host: Arc<dyn JoinHost>) -> Self {
        Self { secret, host }
    }

    /// The caller's connection, once the caller has proven the secret on it.
    fn binding<T>(&self, request: &Request<T>, proof: &[u8]) -> Result<Binding, Status> {
        let binding = request.extensions().get::<Binding>().copied();
        let binding = binding.ok_or_else(|| Status::internal("a connection without a binding"))?;
        if self.secret.is_proven(CALLER, &binding, proof) {
            return Ok(binding);
        }
        tracing::warn!("somebody who does not know the join secret asked to join");
        Err(Status::unauthenticated("the join secret is another one"))
    }
}

#[tonic::async_trait]
impl proto::join_server::Join for JoinService {
    async fn greet(
        &self,
        request: Request<proto::GreetRequest>,
    ) -> Result<Response<proto::GreetResponse>, Status> {
        let binding = self.binding(&request, &request.get_ref().proof)?;
        let Greeting { name, member } = self.host.greet();
        let proof = self.secret.prove(HOST, &binding);
        Ok(Response::new(proto::GreetResponse { proof, name, member }))
    }

    async fn join(
        &self,
        request: Request<proto::JoinRequest>,
    ) -> Result<Response<proto::JoinResponse>, Status> {
        let binding = self.binding(&request, &request.get_ref().proof)?;
        let proto::JoinRequest { node_id, public_key, .. } = request.into_inner();
        let admitted = self.host.admit(NodeId(node_id), &public_key).await;
        let admission = admitted.map_err(Status::failed_precondition)?;
        let roots = admission.roots.into_iter().map(|root| proto::WrappedRoot {
            seal_id: root.seal_id,
            check_value: root.check_value.into(),
            blob: root.blob.into(),
        });
        Ok(Response::new(proto::JoinResponse {
            proof: self.secret.prove(HOST, &binding),
            cluster_id: admission.cluster_id.bytes().to_vec().into(),
            region: admission.region.to_string(),
            certificate: admission.certificate.into(),
            authority: admission.authority.into(),
            roots: roots.collect(),
        }))
    }
}

/// Incoming connections of those who join: the certificate is made for this process and means
/// nothing.
pub(super) fn anonymous_config() -> Result<Arc<ServerConfig>, AnonymousError> {
    let made = rcgen::generate_simple_self_signed(vec![SERVER_NAME.to_owned()])?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// TLS for joining could not be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnonymousError {
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

fn anonymous_client() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Takes any certificate: what counts on these connections are the proofs.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = tls::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_worth_nothing_on_another_connection_or_for_the_other_side() {
        let secret = Secret::new(&[b'x'; MIN_SECRET]).unwrap();
        let (one, other) = (Binding([1; 32]), Binding([2; 32]));
        let proof = secret.prove(CALLER, &one);
        assert!(secret.is_proven(CALLER, &one, &proof));
        assert!(!secret.is_proven(CALLER, &other, &proof));
        assert!(!secret.is_proven(HOST, &one, &proof));
        let stranger = Secret::new(&[b'y'; MIN_SECRET]).unwrap();
        assert!(!stranger.is_proven(CALLER, &one, &proof));
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert_eq!(Secret::new(&[b' '; 100]).unwrap_err(), WeakSecret);
        assert_eq!(Secret::new(&[b'x'; MIN_SECRET - 1]).unwrap_err(), WeakSecret);
        assert!(Secret::new(b"0123456789abcdef0123456789abcdef\n").is_ok());
    }
}
