//! The calls of the admin API.

use std::sync::Arc;

use keystead_crypto::random;
use keystead_raft::Role;
use keystead_types::RequestId;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};

use super::proto::admin_server::Admin;
use super::proto::{self, StatusRequest, StatusResponse};
use crate::audit::{AuditTrail, OperatorRecord};
use crate::clock;
use crate::region::RegionServer;

/// Answers operators.
pub(super) struct AdminService {
    regions: Vec<Arc<RegionServer>>,
    audit: Arc<AuditTrail>,
}

impl AdminService {
    pub(super) fn new(regions: Vec<Arc<RegionServer>>, audit: Arc<AuditTrail>) -> Self {
        Self { regions, audit }
    }

    /// Writes down who calls what. Every call begins with it.
    fn note<T>(&self, request: &Request<T>, operation: &'static str) -> Result<(), Status> {
        let peer = request.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
        let peer = peer.ok_or_else(|| Status::unauthenticated("The caller has no name."))?;
        let id = random::bytes().map_err(|_| Status::internal("No randomness."))?;
        let (user, process, id) = (peer.uid(), peer.pid(), RequestId::from_random(id));
        let record = OperatorRecord::new(user, process, operation, id, clock::now());
        self.audit.append(&record).map_err(|error| {
            tracing::error!(%error, operation, "an admin call could not be audited");
            Status::internal("The call was not answered: the audit trail cannot be written.")
        })
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        self.note(&request, "Status")?;
        Ok(Response::new(StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            regions: self.regions.iter().map(|region| region_status(region)).collect(),
        }))
    }
}

fn region_status(region: &RegionServer) -> proto::RegionStatus {
    let (status, view) = (region.node().status(), region.view());
    proto::RegionStatus {
        name: region.name().to_string(),
        cluster_id: status.cluster_id.to_string(),
        node_id: status.node_id.to_string(),
        role: role(status.role).into(),
        term: status.term,
        leader: status.leader.map(|leader| leader.to_string()),
        last_log: status.last_log,
        applied: status.applied,
        snapshot: status.snapshot.map(|(index, digest)| proto::Snapshot {
            index,
            digest: keystead_types::lower_hex(&digest),
        }),
        purged: status.purged,
        accounts: view.accounts().count() as u64,
        keys: view.key_count() as u64,
        cluster_version: view.cluster_version(),
        clock_ms: view.clock().0,
        disk_full: status.disk_full,
        failure: status.failure,
    }
}

fn role(role: Role) -> proto::Role {
    match role {
        Role::Learner => proto::Role::Learner,
        Role::Follower => proto::Role::Follower,
        Role::Candidate => proto::Role::Candidate,
        Role::Leader => proto::Role::Leader,
        Role::Stopping => proto::Role::Stopping,
    }
}
