//! A proxy that loses replies: the server has answered, and the client never hears of it.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::client;

/// Whether calls are recognised by the header that all attempts of one call share.
const INVOCATION_ID: &str = "amz-sdk-invocation-id";

/// A proxy that drops the reply to the first attempt of each call of one operation.
pub struct DropFirstReply {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    target: String,
    seen: Mutex<HashSet<Bytes>>,
}

impl DropFirstReply {
    /// Listens on a free port of the loopback for as long as the runtime lives.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(upstream: SocketAddr, operation: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let target = format!("TrentService.{operation}");
        let shared = Arc::new(Shared { upstream, target, seen: Mutex::default() });
        tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many replies it has dropped.
    pub fn dropped(&self) -> usize {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        let service = service_fn(move |request| {
            let shared = shared.clone();
            async move { shared.forward(request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // It ends with an error whenever a reply is dropped.
        tokio::spawn(connection);
    }
}

impl Shared {
    /// An error makes hyper close the connection without a word.
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let drop_reply = self.is_first_attempt(&parts.headers);
        let body = body.collect().await?.to_bytes();
        let request = Request::from_parts(parts, Full::new(body));
        let mut upstream = client::connect(self.upstream).await?;
        let response = upstream.send_request(request).await.context("the node did not answer")?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        if drop_reply {
            return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
        }
        Ok(Response::from_parts(parts, Full::new(body)))
    }

    fn is_first_attempt(&self, headers: &http::HeaderMap) -> bool {
        let Some(id) = headers.get(INVOCATION_ID) else { return false };
        let ours = headers.get("x-amz-target").is_some_and(|target| target == self.target.as_str());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ours && seen.insert(Bytes::copy_from_slice(id.as_bytes()))
    }
}
