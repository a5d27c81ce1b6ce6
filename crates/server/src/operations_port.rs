//! The operations listener: health, readiness and metrics, for monitoring.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::readiness::Readiness;

/// What the operations listener tells of.
pub struct OperationsPort {
    readiness: Arc<Readiness>,
    metrics: Option<PrometheusHandle>,
}

impl OperationsPort {
    /// For this process, with the recorder's metrics if there is one.
    pub fn new(readiness: Arc<Readiness>, metrics: Option<PrometheusHandle>) -> Self {
        Self { readiness, metrics }
    }

    /// Serves until dropped.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let port = self.clone();
            tokio::spawn(port.connection(stream, peer));
        }
    }

    async fn connection(self: Arc<Self>, stream: tokio::net::TcpStream, peer: SocketAddr) {
        let service = service_fn(move |request: Request<Incoming>| {
            let port = self.clone();
            async move { Ok::<_, Infallible>(port.answer(request.uri().path()).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(5))
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, %peer, "an operations connection ended early");
        }
    }

    async fn answer(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            // Alive means that this answers; it never depends on a quorum.
            "/healthz" => text(StatusCode::OK, "ok\n".into()),
            "/readyz" => match self.readiness.check().await {
                Ok(()) => text(StatusCode::OK, "ready\n".into()),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            },
            "/metrics" => match &self.metrics {
                Some(metrics) => text(StatusCode::OK, metrics.render()),
                None => text(StatusCode::NOT_FOUND, "metrics are off\n".into()),
            },
            _ => text(StatusCode::NOT_FOUND, "try /healthz, /readyz or /metrics\n".into()),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}
