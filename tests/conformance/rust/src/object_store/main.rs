//! A small S3 server, `s3.amazonaws.com` to a node: it keeps objects in memory, encrypted under data
//! keys that it asks the node for in the name of whoever puts and gets them.
//!
//! It prints where it listens. Its own access key is in the environment, where all AWS SDKs look.

mod forward;
mod store;

use std::convert::Infallible;
use std::env;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::{S3Service, S3ServiceBuilder};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use crate::forward::Forwarder;
use crate::store::Store;

/// The largest request that it takes, in bytes.
const MAX_BODY: usize = 1 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let forwarder = Arc::new(Forwarder::new(
        env::var("AWS_ENDPOINT_URL_KMS")?,
        env::var("AWS_REGION")?,
        env::var("AWS_ACCESS_KEY_ID")?,
        env::var("AWS_SECRET_ACCESS_KEY")?,
    )?);
    let s3 = S3ServiceBuilder::new(Store::default()).build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (forwarder, s3) = (forwarder.clone(), s3.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (forwarder, s3) = (forwarder.clone(), s3.clone());
                async move { Ok::<_, Infallible>(answer(&forwarder, &s3, request).await) }
            });
            // A client that goes away in the middle is none of the store's business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Finds out who asks before anything is done, and hands the request on without its signature.
async fn answer(
    forwarder: &Forwarder,
    s3: &S3Service,
    request: Request<Incoming>,
) -> Response<s3s::Body> {
    let (mut parts, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return refusal("InvalidRequest", &error.to_string()),
    };
    // The node answers for the head alone.
    let hash = parts.headers.get("x-amz-content-sha256").map(|hash| hash.as_bytes().to_vec());
    if hash.as_deref() != Some(hex(&Sha256::digest(&body)).as_bytes()) {
        return refusal("XAmzContentSHA256Mismatch", "The body is not what was signed.");
    }
    match forwarder.forward(&parts).await {
        Ok(authority) => drop(parts.extensions.insert(authority)),
        Err(error) => return refusal("AccessDenied", &error.to_string()),
    }
    parts.headers.remove(http::header::AUTHORIZATION);
    parts.headers.remove("x-amz-security-token");
    let request = Request::from_parts(parts, s3s::Body::from(body));
    s3.call(request).await.unwrap_or_else(|_| refusal("InternalError", "The store failed."))
}

fn refusal(code: &str, message: &str) -> Response<s3s::Body> {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let mut response = Response::new(s3s::Body::http_body(Full::new(Bytes::from(body))));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
