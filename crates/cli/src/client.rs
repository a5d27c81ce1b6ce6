//! A client of the AWS JSON API: signs with Signature Version 4, as any SDK does.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use keystead_server::sigv4;
use keystead_types::UnixMillis;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer, in bytes: more than any operation has.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Where and as whom to call, from the environment variables that AWS's tools read.
pub struct Client {
    endpoint: Uri,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// An error that the service answered.
#[derive(Debug)]
pub struct ServiceError {
    /// AWS's code.
    pub code: String,
    /// What it says.
    pub message: String,
}

impl std::fmt::Display for ServiceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            write!(f, "{}", self.code)
        } else {
            write!(f, "{}: {}", self.code, self.message)
        }
    }
}

impl std::error::Error for ServiceError {}

impl Client {
    /// A client for the endpoint, the Region and the credentials of the environment.
    pub fn from_environment(endpoint: Option<&str>) -> Result<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| std::env::var(name).ok());
        let endpoint = endpoint
            .map(str::to_owned)
            .or_else(|| first(&["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"]))
            .unwrap_or_else(|| "http://127.0.0.1:9470".into());
        let variable = |name: &str| {
            std::env::var(name).with_context(|| {
                format!("{name} is not set; paste the `export` lines that `keystead dev` prints")
            })
        };
        Ok(Self {
            endpoint: endpoint.parse().with_context(|| format!("read endpoint {endpoint:?}"))?,
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).unwrap_or("us-east-1".into()),
            access_key_id: variable("AWS_ACCESS_KEY_ID")?,
            secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
            session_token: first(&["AWS_SESSION_TOKEN"]).filter(|token| !token.is_empty()),
        })
    }

    /// Calls one operation of KMS.
    pub async fn call(&self, operation: &str, input: &Value) -> Result<Value> {
        let request = self.request(operation, serde_json::to_vec(input)?)?;
        let (status, body) = exchange(&self.endpoint, request).await?;
        if status == 200 {
            return if body.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(&body).context("read the answer")
            };
        }
        let Ok(error) = serde_json::from_slice::<Value>(&body) else {
            bail!("{} answered {status} and no AWS JSON; is it a KMS?", self.endpoint);
        };
        let (code, message) = (text(&error, "__type").into(), text(&error, "message").into());
        Err(ServiceError { code, message }.into())
    }

    fn request(&self, operation: &str, body: Vec<u8>) -> Result<Request<Full<Bytes>>> {
        let authority = self.endpoint.authority().context("the endpoint has no host")?.as_str();
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(authority)?);
        headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
        let target = HeaderValue::from_str(&format!("TrentService.{operation}"))?;
        headers.insert("x-amz-target", target);
        let signing = sigv4::Request {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            authority: None,
            body: &body,
        };
        let credentials = sigv4::Credentials {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_access_key,
            session_token: self.session_token.as_deref(),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let now = UnixMillis(u64::try_from(since.as_millis())?);
        let signed = sigv4::sign(&signing, &credentials, &self.region, "kms", now)?;
        headers.extend(signed);
        let mut request = Request::post("/").body(Full::new(Bytes::from(body)))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Sends a request and gives its answer: the status and the body.
pub async fn exchange(endpoint: &Uri, request: Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
    tokio::time::timeout(TIMEOUT, unhurried(endpoint, request))
        .await
        .map_err(|_| anyhow!("no answer from {endpoint} within {TIMEOUT:?}"))?
}

async fn unhurried(endpoint: &Uri, request: Request<Full<Bytes>>) -> Result<(u16, Bytes)> {
    let host = endpoint.host().context("the endpoint has no host")?;
    let secure = endpoint.scheme_str() == Some("https");
    let port = endpoint.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port))
        .await
        .with_context(|| format!("connect to {endpoint}"))?;
    if secure {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let connector = TlsConnector::from(Arc::new(tls_config()?));
        send(connector.connect(name, stream).await.context("TLS handshake")?, request).await
    } else {
        send(stream, request).await
    }
}

/// The body of a form with these fields.
pub fn form<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

/// A value as forms have it.
fn encoded(value: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let text = |byte: u8| match unreserved(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(text).collect()
}

/// A text of an answer; empty if there is none.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(u16, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    connection.abort();
    let body = body.map_err(|error| anyhow!("the answer cannot be read: {error}"))?;
    Ok((status, body.to_bytes()))
}

/// Trusts the authorities of `AWS_CA_BUNDLE`, or else those of the system.
fn tls_config() -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    match std::env::var_os("AWS_CA_BUNDLE") {
        Some(path) => {
            let path = Path::new(&path);
            let failed = || format!("read AWS_CA_BUNDLE {}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(failed)? {
                roots.add(certificate.with_context(failed)?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded() {
        let fields = [("a", "a-._~Z9/+=& é"), ("b", "")];
        assert_eq!(form(fields.into_iter()), "a=a-._~Z9%2F%2B%3D%26%20%C3%A9&b=");
    }
}
