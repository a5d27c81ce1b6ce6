//! The admin API for operators on other machines: a listener of its own, under mutual TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ServerConnection;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

use super::CALL_TIMEOUT;
use super::certificate::{OperatorTls, operator_name};
use super::proto::admin_server::AdminServer;
use super::service::AdminService;
use crate::audit::{AuditTrail, Operator};
use crate::front::{Listener, ListenerError, Service};
use crate::region::RegionServer;

/// Connections at a time: operators are few.
const MAX_CONNECTIONS: usize = 64;

/// A bound listener for operators.
pub struct AdminListener(Listener);

impl AdminListener {
    /// Binds an address.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn bind(address: SocketAddr, tls: OperatorTls) -> Result<Self, ListenerError> {
        Listener::bind_for(address, Some(tls.into_identity()), MAX_CONNECTIONS).await.map(Self)
    }

    /// The address it listens on, its port chosen.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Answers for these Regions until `stop` resolves, then finishes what was begun, for at most
    /// `grace`. A call that cannot be written to the audit trail is not answered.
    pub async fn serve(
        self,
        regions: Vec<Arc<RegionServer>>,
        audit: Arc<AuditTrail>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let calls = super::calls(AdminService::new(regions, audit));
        self.0.serve_by(Arc::new(Remote { calls }), stop, grace).await;
    }
}

/// The calls, for those who are named by their connection.
struct Remote {
    calls: AdminServer<AdminService>,
}

impl Service for Remote {
    /// `None` is let in by no handshake, and would be answered by no call.
    type Caller = Option<Operator>;

    fn caller(&self, peer: IpAddr, session: Option<&ServerConnection>) -> Self::Caller {
        let certificate = session?.peer_certificates()?.first()?;
        let name = operator_name(certificate)?.into();
        Some(Operator::Remote { name, address: peer })
    }

    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        caller: Self::Caller,
    ) -> Response<Body> {
        if let Some(operator) = caller {
            request.extensions_mut().insert(operator);
        }
        let answering = self.calls.clone().oneshot(request);
        match tokio::time::timeout(CALL_TIMEOUT, answering).await {
            Ok(answer) => answer.unwrap_or_else(|never| match never {}),
            Err(_) => Status::deadline_exceeded("The call took too long.").into_http(),
        }
    }
}
