//! gRPC health: readiness, in the words of `grpc.health.v1`.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::grpc::SERVICE;
use crate::readiness::Readiness;

/// Health of the whole process, and of its one service, which is the same.
pub(super) fn service(readiness: Arc<Readiness>) -> HealthServer<impl Health> {
    HealthServer::new(ReadinessHealth(readiness))
}

struct ReadinessHealth(Arc<Readiness>);

#[tonic::async_trait]
impl Health for ReadinessHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        check_name(&request)?;
        Ok(Response::new(told(self.0.check().await.is_ok())))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        check_name(&request)?;
        let readiness = self.0.clone();
        Ok(Response::new(readiness.watch().map(|ready| Ok(told(ready))).boxed()))
    }
}

/// A name that is not known now will never be: a watch on it ends, too.
fn check_name(request: &Request<HealthCheckRequest>) -> Result<(), Status> {
    match request.get_ref().service.as_str() {
        "" | SERVICE => Ok(()),
        _ => Err(Status::not_found("There is no such service here.")),
    }
}

fn told(ready: bool) -> HealthCheckResponse {
    let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    HealthCheckResponse { status: status.into() }
}
