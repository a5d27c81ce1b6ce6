//! A gRPC client that sends what it is given.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use fastrand::Rng;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keystead_api::ErrorCode;
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::client::Target;
use crate::mutate::proto;

const TIMEOUT: Duration = Duration::from_secs(30);
const SERVICE: &str = "/keystead.kms.v1.KeyManagementService/";
/// Headers that change what a call means; the first two only look so.
const ODD_HEADERS: &[(&str, &str)] = &[
    ("grpc-timeout", "99999999H"),
    ("grpc-accept-encoding", "gzip,zstd,\u{7f}"),
    ("grpc-encoding", "gzip"),
    ("grpc-encoding", "nothing"),
    ("content-type", "application/grpc+json"),
    ("content-type", "application/grpc-web-text"),
    ("keystead-region", "nowhere-1"),
    ("keystead-request-id", "\t"),
    ("authorization", "Bearer "),
    ("authorization", "Bearer :"),
    ("authorization", "AWS4-HMAC-SHA256"),
];

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) request: Request<Full<Bytes>>,
    /// Whether it asks for an operation that there is.
    pub(super) known: bool,
    /// Whether it has the right token.
    pub(super) authentic: bool,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) http_status: u16,
    pub(super) status: Option<Status>,
}

/// A call of an operation, at times by another path or with odd headers.
pub(super) fn call(rng: &mut Rng, target: &Target, operation: &str, body: Vec<u8>) -> Result<Call> {
    let (known, path) = match rng.u8(..50) {
        0 => (false, format!("{SERVICE}{}", operation.to_lowercase())),
        1 => (false, format!("{SERVICE}{operation}{}", rng.alphanumeric())),
        2 => (false, format!("/keystead.admin.v1.AdminService/{operation}")),
        _ => (true, format!("{SERVICE}{operation}")),
    };
    let token = format!("Bearer {}:{}", target.access_key_id, target.secret_access_key);
    let mut request = Request::post(format!("http://{}{path}", target.address))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers")
        .header("authorization", &token)
        .body(Full::new(Bytes::from(body)))?;
    if rng.u8(..30) == 0
        && let Some((name, value)) = rng.choice(ODD_HEADERS)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    let authentic = request.headers()["authorization"] == token.as_str();
    Ok(Call { request, known, authentic })
}

/// One connection to a node, made anew when it is gone.
pub(super) struct Client {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    pub(super) fn new(target: Target) -> Self {
        Self { target, sender: None }
    }

    /// Makes a call.
    ///
    /// # Errors
    /// There was no whole reply.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| bail!("no reply within {TIMEOUT:?}"));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        sender.ready().await?;
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?;
        self.sender = Some(sender);
        let trailers = body.trailers().unwrap_or(&parts.headers);
        let status = Status::from_header_map(trailers);
        Ok(Answer { http_status: parts.status.as_u16(), status })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.target.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // Its errors come back to whoever waits for a reply.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Answer {
    /// AWS's code, OK, or what else the answer is.
    pub(super) fn code(&self) -> String {
        match (&self.status, self.reason()) {
            (_, Some(reason)) => reason.as_str().into(),
            (Some(status), None) if status.code() == Code::Ok => "OK".into(),
            (Some(status), None) => format!("gRPC {:?}", status.code()),
            (None, None) => format!("HTTP {} without a gRPC status", self.http_status),
        }
    }

    /// The text of the error.
    pub(super) fn message(&self) -> &str {
        self.status.as_ref().map(Status::message).unwrap_or_default()
    }

    /// Whether the service failed, or may have.
    pub(super) fn is_failure(&self) -> bool {
        let failures = [Code::Internal, Code::Unknown, Code::Unavailable, Code::DataLoss];
        self.http_status >= 500
            || self.status.as_ref().is_none_or(|status| failures.contains(&status.code()))
    }

    /// `google.rpc.Status` holds, in field 3, an `Any`, which holds, in field 2, an `ErrorInfo`,
    /// which begins with the reason.
    fn reason(&self) -> Option<ErrorCode> {
        let mut bytes = self.status.as_ref()?.details();
        for number in [3, 2, 1] {
            let fields = proto::fields(bytes);
            bytes = fields.into_iter().find(|field| field.number == number)?.value;
        }
        ErrorCode::ALL.iter().find(|code| code.as_str().as_bytes() == bytes).copied()
    }
}
