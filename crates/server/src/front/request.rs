//! A request as it came from the wire, whichever wire it was.

use std::net::IpAddr;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use keystead_api::{Error, messages};
use keystead_crypto::{digest, random};
use keystead_types::{Principal, Region, RequestId, UnixMillis};

use super::Secured;
use crate::audit::{self, Record, TlsDetails};
use crate::client_certificate::Certified;
use crate::clock;
use crate::sigv4;

/// How a request says who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// AWS Signature Version 4.
    Signature,
    /// `authorization: Bearer`, an access key with its secret, or a token.
    AccessKeyOrToken,
    /// `authorization: Bearer`, a session token, or that of an issuer.
    Token,
    /// The certificate of the connection.
    Certificate,
}

/// A whole request, its body read.
#[derive(Debug)]
pub(crate) struct WireRequest {
    pub(crate) request_id: RequestId,
    pub(crate) authentication: Authentication,
    pub(crate) method: http::Method,
    pub(crate) uri: http::Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What went wrong while the body was read.
    pub(crate) broken: Option<Error>,
    pub(crate) time: UnixMillis,
    /// Whom the caller's certificate names, if it showed one.
    pub(crate) certificate: Option<Certified>,
    /// Where it comes from, proxies left aside.
    source: IpAddr,
    http2: bool,
    tls: Option<TlsDetails>,
    pub(crate) event_id: RequestId,
}

/// The header by which AWS's SDKs mark the attempts of one call.
const INVOCATION_ID: &str = "amz-sdk-invocation-id";
/// The gRPC metadata that does the same.
const GRPC_REQUEST_ID: &str = "keystead-request-id";

impl WireRequest {
    /// A request with its body, or with what kept the body from being read.
    ///
    /// # Errors
    /// The random generator failed.
    pub(crate) fn new(
        parts: Parts,
        body: Result<Bytes, Error>,
        source: IpAddr,
        tls: Option<Secured>,
    ) -> Result<Self, Error> {
        // One draw for both: a call of the generator costs more than the bytes.
        let drawn = random::bytes::<32>().map_err(|_| messages::internal())?;
        let (request_id, event_id) = drawn.split_at(16);
        let id = |bytes: &[u8]| {
            bytes.try_into().map(RequestId::from_random).map_err(|_| messages::internal())
        };
        let (tls, certificate) = match tls {
            Some(Secured { details, certified }) => (Some(details), certified),
            None => (None, None),
        };
        let (body, broken) = match body {
            Ok(body) => (body, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        Ok(Self {
            request_id: id(request_id)?,
            event_id: id(event_id)?,
            authentication: Authentication::Signature,
            http2: parts.version == http::Version::HTTP_2,
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            broken,
            time: clock::now(),
            source,
            tls,
            certificate,
        })
    }

    /// The same request, authenticated in this way.
    pub(crate) fn with(self, authentication: Authentication) -> Self {
        Self { authentication, ..self }
    }

    /// Where it comes from.
    pub(crate) fn source(&self) -> IpAddr {
        self.source
    }

    /// Whether it came over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The request as Signature Version 4 sees it.
    pub(crate) fn signed(&self) -> sigv4::Request<'_> {
        sigv4::Request {
            method: self.method.as_str(),
            path: self.uri.path(),
            query: self.uri.query().unwrap_or_default(),
            headers: &self.headers,
            authority: self
                .uri
                .authority()
                .map(http::uri::Authority::as_str)
                .filter(|_| self.http2),
            body: &self.body,
        }
    }

    /// Whether the client marks it, so that it is known when it comes again.
    pub(crate) fn may_be_repeated(&self) -> bool {
        self.invocation().is_some()
    }

    fn invocation(&self) -> Option<&str> {
        self.header(INVOCATION_ID).or_else(|| self.header(GRPC_REQUEST_ID))
    }

    /// What is the same for the same request sent again, and for no other.
    ///
    /// # Errors
    /// The random generator failed.
    pub(crate) fn idempotency(
        &self,
        principal: &Principal,
        operation: &str,
    ) -> Result<[u8; 32], Error> {
        let Some(id) = self.invocation() else {
            return random::bytes().map_err(|_| messages::internal());
        };
        let mut identity = Vec::with_capacity(160);
        for part in [principal.to_string().as_bytes(), operation.as_bytes(), id.as_bytes()] {
            identity.extend_from_slice(part);
            identity.push(0);
        }
        identity.extend_from_slice(&digest::sha256(&self.body));
        Ok(digest::sha256(&identity))
    }

    /// The audit record of this request, with what is known so far.
    pub(crate) fn record(&self, operation: &'static str, region: &Region) -> Record {
        self.record_of("kms.amazonaws.com", operation, region)
    }

    /// The same, of another service.
    pub(crate) fn record_of(
        &self,
        service: &'static str,
        operation: &'static str,
        region: &Region,
    ) -> Record {
        Record::new(audit::Origin {
            service,
            operation,
            region,
            request_id: self.request_id,
            event_id: self.event_id,
            time: self.time,
            source: self.source,
            user_agent: self.header("user-agent").unwrap_or_default(),
            tls: self.tls.clone(),
        })
    }
}
