//! A gRPC client that sends what it is given and never retries by itself.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioExecutor;
use keystead_api::ErrorCode;
use tonic::{Code, Status};

use crate::client::{TIMEOUT, Target};
use crate::mutate::proto;

/// What the paths of all operations begin with.
pub const SERVICE: &str = "/keystead.kms.v1.KeyManagementService/";
/// Before each message: a flag and the message's length.
const FRAME_HEADER: usize = 5;

/// A call whose body, frames included, is ready.
///
/// # Errors
/// The path is none.
pub fn request(target: &Target, path: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>> {
    let scheme = if target.tls.is_some() { "https" } else { "http" };
    let request = Request::post(format!("{scheme}://{}{path}", target.address))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers");
    Ok(request.body(Full::new(Bytes::from(body)))?)
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The HTTP status.
    pub http_status: u16,
    /// The gRPC status, which may be missing from what no gRPC server sent.
    pub status: Option<Status>,
    /// The headers: metadata that comes first, or all that there is.
    pub headers: HeaderMap,
    /// The message, in its frame.
    pub body: Bytes,
}

/// One connection to a node, made anew when it is gone. A clone shares the connection that there
/// is, and both may call at the same time.
#[derive(Clone)]
pub struct Client {
    target: Target,
    patience: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client that connects with its first call.
    pub fn new(target: Target) -> Self {
        Self { target, patience: TIMEOUT, sender: None }
    }

    /// The same client, which waits so long for an answer.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Calls an operation with a message and more metadata.
    ///
    /// # Errors
    /// There was no whole answer; whether the operation took effect is not known.
    pub async fn call(
        &mut self,
        operation: &str,
        message: &[u8],
        metadata: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer> {
        let path = format!("{SERVICE}{operation}");
        let mut request = request(&self.target, &path, proto::frame(message))?;
        request.headers_mut().extend(metadata.iter().cloned());
        self.send(request).await
    }

    /// Makes a call as it is.
    ///
    /// # Errors
    /// There was no whole answer; whether the operation took effect is not known.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        let patience = self.patience;
        let answer = tokio::time::timeout(patience, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| bail!("no answer within {patience:?}"));
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
        let http_status = parts.status.as_u16();
        Ok(Answer { http_status, status, headers: parts.headers, body: body.to_bytes() })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = self.target.connect().await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
        // Its errors come back to whoever waits for a reply.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Answer {
    /// AWS's code, OK, or what else the answer is.
    pub fn code(&self) -> String {
        match (&self.status, self.reason()) {
            (_, Some(reason)) => reason.as_str().into(),
            (Some(status), None) if status.code() == Code::Ok => "OK".into(),
            (Some(status), None) => format!("gRPC {:?}", status.code()),
            (None, None) => format!("HTTP {} without a gRPC status", self.http_status),
        }
    }

    /// The text of the error.
    pub fn message(&self) -> &str {
        self.status.as_ref().map(Status::message).unwrap_or_default()
    }

    /// The message of a success, without its frame.
    pub fn payload(&self) -> Bytes {
        self.body.slice(FRAME_HEADER.min(self.body.len())..)
    }

    /// Whether the service failed, or may have.
    pub fn is_failure(&self) -> bool {
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
