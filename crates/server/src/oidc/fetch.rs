//! Fetching small documents of issuers: one GET, no redirects, bounded in size and time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use keystead_types::Issuer;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::json::Json;

/// The largest document, in bytes.
pub(super) const MAX_DOCUMENT: usize = 512 * 1024;
/// How long it may take to get one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a document was not fetched: for the log alone.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0} is no URL that keys are fetched from: https, or http on the loopback")]
    Url(String),
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("the answer cannot be read")]
    Http(#[source] hyper::Error),
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("the answer is too large, or was cut off")]
    Body,
    #[error("there is no answer within {TIMEOUT:?}")]
    Timeout,
    #[error("it is no discovery document of this issuer")]
    Discovery,
}

/// A URL where nobody on the way changes or reads anything: it has a host, and is `https` or, on the
/// loopback, `http`.
pub fn secure_url(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let loopback = || {
        let host = authority.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    let secure = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => loopback(),
        _ => false,
    };
    (secure && !authority.as_str().contains('@')).then_some(uri)
}

/// Where keys may be fetched from.
pub(super) fn key_url(text: &str) -> Result<Uri, FetchError> {
    secure_url(text).ok_or_else(|| FetchError::Url(text.to_owned()))
}

/// The URL of an issuer's keys, by its discovery document (OpenID Connect Discovery, section 4).
pub(super) async fn discover(issuer: &Issuer, tls: &Arc<ClientConfig>) -> Result<Uri, FetchError> {
    let url = issuer.url();
    let at = key_url(&format!("{}/.well-known/openid-configuration", url.trim_end_matches('/')))?;
    let document = Json::object(&get(&at, tls).await?).ok_or(FetchError::Discovery)?;
    let text = |name: &str| document.get(name).and_then(Json::text);
    if text("issuer") != Some(url.as_str()) {
        return Err(FetchError::Discovery);
    }
    key_url(text("jwks_uri").ok_or(FetchError::Discovery)?)
}

/// The document at a URL.
pub(super) async fn get(url: &Uri, tls: &Arc<ClientConfig>) -> Result<Bytes, FetchError> {
    tokio::time::timeout(TIMEOUT, exchange(url, tls)).await.map_err(|_| FetchError::Timeout)?
}

async fn exchange(url: &Uri, tls: &Arc<ClientConfig>) -> Result<Bytes, FetchError> {
    let bad = || FetchError::Url(url.to_string());
    let authority = url.authority().ok_or_else(bad)?;
    let host = authority.host().trim_matches(['[', ']']);
    let secure = url.scheme_str() == Some("https");
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "keystead")
        .body(Empty::<Bytes>::new())
        .map_err(|_| bad())?;
    let stream = TcpStream::connect((host, port)).await.map_err(FetchError::Connect)?;
    if !secure {
        return send(stream, request).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|_| bad())?;
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await;
    send(stream.map_err(FetchError::Connect)?, request).await
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(FetchError::Http)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(FetchError::Http)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_DOCUMENT).collect().await;
        body.map(|body| body.to_bytes()).map_err(|_| FetchError::Body)
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end once the answer is there.
        _ = connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_by_https_or_from_the_loopback() {
        for url in [
            "https://idp.example.com/keys?a=b",
            "https://127.0.0.1:8443/",
            "http://127.0.0.1:1/keys",
            "http://[::1]:1/keys",
            "http://localhost/keys",
        ] {
            assert!(key_url(url).is_ok(), "{url}");
        }
        for url in [
            "http://idp.example.com/keys",
            "http://127.0.0.1.example.com/keys",
            "http://localhost@example.com/keys",
            "https://me@idp.example.com/keys",
            "file:///etc/passwd",
            "/keys",
            "",
        ] {
            assert!(key_url(url).is_err(), "{url}");
        }
    }
}
