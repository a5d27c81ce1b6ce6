//! The client listener: one way in for AWS JSON, the query protocol and gRPC.

mod grpc;
mod health;
mod json;
mod listener;
mod opening;
mod proxies;
mod query;
mod request;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use keystead_api::{Error, ErrorCode, messages};
use keystead_types::{Region, RequestId};
use rustls::ServerConnection;
use tonic::body::Body;

pub(crate) use listener::Service;
pub use listener::{Listener, ListenerError};
pub use proxies::ProxyOptions;
pub(crate) use query::{Attempted, Handler, OpenCall, OpenHandler, QueryCall};
pub(crate) use request::{Authentication, WireRequest};

use self::proxies::Proxies;
use crate::audit::{AuditTrail, TlsDetails};
use crate::client_certificate::{self, Certified};
use crate::operations::Registry;
use crate::pipeline::Reply;
use crate::readiness::Readiness;
use crate::region::RegionServer;

/// The largest request body in bytes: the largest legal request is a policy of 128 KiB with tags,
/// or an attestation document of 256 KiB in base64.
const MAX_BODY: usize = 1024 * 1024;
/// How long a client may take to send its body.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// How requests are taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrontOptions {
    /// Take gRPC with `authorization: Bearer ACCESS_KEY:SECRET`.
    pub bearer_tokens: bool,
    /// Refuse requests that a browser sent on behalf of a page.
    pub refuse_origin: bool,
}

/// What TLS tells of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    details: TlsDetails,
    /// Whom the caller's certificate names, if it showed one.
    certified: Option<Certified>,
}

impl Secured {
    fn by(session: &ServerConnection) -> Self {
        let version = session.protocol_version().map(name_of).unwrap_or_default();
        let suite = session.negotiated_cipher_suite().map(|suite| name_of(suite.suite()));
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        Self {
            details: TlsDetails::new(&version, &suite.unwrap_or_default()),
            certified: certificate.and_then(client_certificate::certified),
        }
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

/// All Regions behind one listener.
pub struct Front {
    regions: Vec<Arc<RegionServer>>,
    audit: Arc<AuditTrail>,
    registry: Registry,
    options: FrontOptions,
    proxies: Proxies,
    grpc: grpc::Services,
}

impl Front {
    /// A front for these Regions, of which the first one is the default.
    pub fn new(
        regions: Vec<Arc<RegionServer>>,
        audit: Arc<AuditTrail>,
        readiness: Arc<Readiness>,
        options: FrontOptions,
    ) -> Self {
        let grpc = grpc::Services::new(readiness);
        let proxies = Proxies::default();
        Self { regions, audit, registry: Registry::new(), options, proxies, grpc }
    }

    /// The same, asked through these proxies.
    #[must_use]
    pub fn behind(self, proxies: ProxyOptions) -> Self {
        Self { proxies: Proxies::new(proxies), ..self }
    }

    /// The Regions that are served.
    pub fn regions(&self) -> &[Arc<RegionServer>] {
        &self.regions
    }

    /// Where what happens is written down.
    pub fn audit(&self) -> &Arc<AuditTrail> {
        &self.audit
    }

    fn region(&self, name: &str) -> Option<&Arc<RegionServer>> {
        self.regions.iter().find(|region| region.name().as_str() == name)
    }

    /// The Region that answers where a request names none.
    fn default_region(&self) -> Option<&Arc<RegionServer>> {
        self.regions.first()
    }
}

impl Service for Front {
    type Caller = (IpAddr, Option<Secured>);

    fn caller(&self, peer: IpAddr, session: Option<&ServerConnection>) -> Self::Caller {
        (peer, session.map(Secured::by))
    }

    async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        (peer, tls): Self::Caller,
    ) -> Response<Body> {
        if self.options.refuse_origin && request.headers().contains_key(header::ORIGIN) {
            return plain(StatusCode::FORBIDDEN, "Requests from web pages are refused.\n");
        }
        let source = self.proxies.source(peer, request.headers());
        if is_grpc(request.headers()) {
            return grpc::serve(&self, request, source, tls).await;
        }
        if request.method() != Method::POST || request.uri().path() != "/" {
            return plain(StatusCode::NOT_FOUND, "There is nothing here but POST /.\n");
        }
        let (parts, body) = request.into_parts();
        let body = if parts.headers.contains_key(header::CONTENT_ENCODING) {
            Err(serialization("Content-Encoding is not supported."))
        } else {
            read(body).await
        };
        let request = match WireRequest::new(parts, body, source, tls) {
            Ok(request) => request,
            Err(error) => return json::error(&error, None),
        };
        if is_form(&request.headers) && !request.headers.contains_key("x-amz-target") {
            query::serve(&self, request).await
        } else {
            json::serve(&self, request).await
        }
    }
}

/// Answers before there is anybody to answer; the audit trail has it all the same.
fn refuse(front: &Front, request: &WireRequest, region: &Region, error: Error) -> Reply {
    let mut record = request.record("Unknown", region);
    record.error(&error);
    let written = front.audit.append(&record);
    let error = if written.is_ok() { error } else { messages::internal() };
    crate::metrics::request("Unknown", Some(error.code().as_str()));
    Reply::unevaluated(error, request.request_id)
}

/// Reads a body within its limits of size and time.
async fn read(body: Incoming) -> Result<Bytes, Error> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect());
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Error::new(ErrorCode::RequestEntityTooLarge, "The request is larger than 1 MiB."))
        }
        Ok(Err(_)) => Err(serialization("The request body could not be read.")),
        Err(_) => Err(serialization("The request body did not arrive in time.")),
    }
}

fn serialization(text: &'static str) -> Error {
    Error::new(ErrorCode::SerializationException, text)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("application/grpc")
}

fn is_form(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("application/x-www-form-urlencoded")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Tells at which log index a request was evaluated, and who leads.
fn note_state(headers: &mut HeaderMap, index: Option<u64>, leader: Option<&str>) {
    if let Some(index) = index {
        headers.insert("x-keystead-index", HeaderValue::from(index));
    }
    if let Some(leader) = leader.and_then(|leader| HeaderValue::from_str(leader).ok()) {
        headers.insert("x-keystead-leader", leader);
    }
}

/// Sets what every reply carries: nothing may be cached, and the request has an id.
fn stamp(response: &mut Response<Body>, request_id: Option<RequestId>) {
    let headers = response.headers_mut();
    let no_cache = "no-cache, no-store, must-revalidate, private";
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(no_cache));
    headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    let id = request_id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok());
    if let Some(id) = id {
        headers.insert("x-amzn-requestid", id);
    }
}

fn full(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    full(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

/// The Region that a signature is scoped to, where it can be read and is served.
fn scoped_region<'a>(front: &'a Front, request: &WireRequest) -> Option<&'a Arc<RegionServer>> {
    front.region(crate::sigv4::scoped_region(&request.headers)?)
}
