//! A client of the AWS JSON API that signs, keeps its connection, and never retries by itself.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use keystead_server::sigv4;
use keystead_types::UnixMillis;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::node::AccessKey;
use crate::tls::Tls;

/// How long a reply may take, unless a client is told otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const FORM: &str = "application/x-www-form-urlencoded";
/// IAM is one for all Regions, and signed for this one; STS may be.
const GLOBAL_REGION: &str = "us-east-1";

/// Where and as whom to call.
#[derive(Debug, Clone)]
pub struct Target {
    /// The listener for clients.
    pub address: SocketAddr,
    /// The Region that requests are signed for.
    pub region: String,
    /// The access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
    /// What TLS needs; none for plain HTTP.
    pub tls: Option<Tls>,
}

/// What of a request is signed, besides its headers.
struct Scope<'a> {
    region: &'a str,
    service: &'a str,
}

/// One reply.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// One connection to a node, made anew when it is gone.
pub struct Client {
    target: Target,
    patience: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// A connection's bytes, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Target {
    /// A new connection to it.
    pub(crate) async fn connect(&self) -> Result<TokioIo<Box<dyn Stream>>> {
        let stream = open(self.address).await?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(self.address.ip(), stream).await?),
        };
        Ok(TokioIo::new(stream))
    }

    /// A signed request for an operation, with more headers that are signed too.
    ///
    /// # Errors
    /// The target holds what no header can carry, or the clock is before 1970.
    pub fn signed(
        &self,
        operation: &str,
        body: Bytes,
        more: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<Full<Bytes>>> {
        let target = HeaderValue::from_str(&format!("TrentService.{operation}"))?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(CONTENT_TYPE));
        headers.insert("x-amz-target", target);
        headers.extend(more.iter().cloned());
        self.sign(&Scope { region: &self.region, service: "kms" }, headers, body)
    }

    /// A signed request of IAM or STS, which is a form.
    ///
    /// # Errors
    /// Those of [`Target::signed`].
    pub(crate) fn signed_form(
        &self,
        service: &str,
        form: Bytes,
        more: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<Full<Bytes>>> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(FORM));
        headers.extend(more.iter().cloned());
        self.sign(&Scope { region: GLOBAL_REGION, service }, headers, form)
    }

    fn sign(
        &self,
        scope: &Scope<'_>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>> {
        headers.insert("host", HeaderValue::from_str(&self.address.to_string())?);
        let (path, query, authority) = ("/", "", None);
        let signing = sigv4::Request {
            method: "POST",
            path,
            query,
            headers: &headers,
            authority,
            body: &body,
        };
        let credentials = sigv4::Credentials {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: self.session_token.as_deref(),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now = UnixMillis(u64::try_from(since.as_millis())?);
        headers.extend(sigv4::sign(&signing, &credentials, scope.region, scope.service, now)?);
        let mut request = Request::post(path).body(Full::new(body))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl Client {
    /// A client that connects with its first request.
    pub fn new(target: Target) -> Self {
        Self { target, patience: TIMEOUT, sender: None }
    }

    /// The same client, which waits so long for a reply.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where it calls.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Calls with another access key from now on, over the connection that there is.
    pub(crate) fn act_as(&mut self, access_key: &AccessKey) {
        access_key.clone().give_to(&mut self.target);
    }

    /// Calls an operation and returns the output of its success.
    ///
    /// # Errors
    /// No reply, or one that tells of an error.
    pub async fn ok(&mut self, operation: &str, input: &Value) -> Result<Value> {
        self.call(operation, input).await?.ok().with_context(|| operation.to_owned())
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// There was no whole reply; whether the operation took effect is not known.
    pub async fn call(&mut self, operation: &str, input: &Value) -> Result<Reply> {
        let body = Bytes::from(serde_json::to_vec(input)?);
        let request = self.target.signed(operation, body, &[])?;
        self.send(request).await
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// There was no whole reply; whether the operation took effect is not known.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let patience = self.patience;
        let reply = tokio::time::timeout(patience, self.exchange(request)).await;
        let reply = reply.unwrap_or_else(|_| bail!("no reply within {patience:?}"));
        if reply.is_err() {
            self.sender = None;
        }
        reply
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => handshake(self.target.connect().await?).await?,
        };
        // The server closes connections that are idle for long.
        if sender.ready().await.is_err() {
            sender = handshake(self.target.connect().await?).await?;
        }
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.sender = Some(sender);
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// An HTTP/1.1 connection without TLS.
///
/// # Errors
/// Nobody listens there.
pub async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    handshake(TokioIo::new(open(address).await?)).await
}

async fn open(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake<S: Stream + 'static>(stream: TokioIo<S>) -> Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(stream).await?;
    // Its errors come back to whoever waits for a reply.
    tokio::spawn(connection);
    Ok(sender)
}

impl Reply {
    /// The output of a success.
    ///
    /// # Errors
    /// The reply tells of an error, or is no JSON.
    pub fn ok(&self) -> Result<Value> {
        if self.status != 200 {
            bail!("{} {}", self.status, String::from_utf8_lossy(&self.body));
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).context("the reply is no JSON")
    }

    /// The error's code, `OK`, or what else the reply is.
    pub fn code(&self) -> String {
        if self.status == 200 {
            return "OK".into();
        }
        let body = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        match body["__type"].as_str() {
            Some(code) => code.to_owned(),
            None => format!("HTTP {}", self.status),
        }
    }

    /// The id that the service gave to the request.
    pub fn request_id(&self) -> Option<&str> {
        self.header("x-amzn-requestid")
    }

    /// The log index at which the request was evaluated.
    pub fn index(&self) -> Option<u64> {
        self.header("x-keystead-index")?.parse().ok()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
