//! gRPC calls, at times by a wrong path or with odd headers.

use anyhow::Result;
use bytes::Bytes;
use fastrand::Rng;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;

use crate::client::Target;
use crate::grpc::{SERVICE, request};

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

/// A call of an operation, at times by another path or with odd headers.
pub(super) fn call(rng: &mut Rng, target: &Target, operation: &str, body: Vec<u8>) -> Result<Call> {
    let (known, path) = match rng.u8(..50) {
        0 => (false, format!("{SERVICE}{}", operation.to_lowercase())),
        1 => (false, format!("{SERVICE}{operation}{}", rng.alphanumeric())),
        2 => (false, format!("/keystead.admin.v1.AdminService/{operation}")),
        _ => (true, format!("{SERVICE}{operation}")),
    };
    let token = format!("Bearer {}:{}", target.access_key_id, target.secret_access_key);
    let mut request = request(target, &path, body)?;
    request.headers_mut().insert("authorization", HeaderValue::from_str(&token)?);
    if rng.u8(..30) == 0
        && let Some((name, value)) = rng.choice(ODD_HEADERS)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    let authentic = request.headers()["authorization"] == token.as_str();
    Ok(Call { request, known, authentic })
}
