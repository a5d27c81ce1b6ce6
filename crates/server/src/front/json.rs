//! AWS JSON 1.1: the target names the operation, errors carry `__type`.

use http::{Response, StatusCode};
use keystead_api::{Error, Wire, messages};
use keystead_types::RequestId;
use tonic::body::Body;

use super::{Front, WireRequest, full, note_state, refuse, scoped_region, stamp};
use crate::pipeline::{self, Handling, Reply};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const TARGET_PREFIX: &str = "TrentService.";

pub(super) async fn serve(front: &Front, mut request: WireRequest) -> Response<Body> {
    let request_id = request.request_id;
    let region = scoped_region(front, &request).or_else(|| front.default_region()).cloned();
    let Some(region) = region else { return error(&messages::internal(), Some(request_id)) };
    let found = match request.broken.take() {
        Some(broken) => Err(broken),
        None => {
            let target = request.header("x-amz-target").unwrap_or_default();
            front.registry.find(target.strip_prefix(TARGET_PREFIX).unwrap_or_default())
        }
    };
    let audit = front.audit.clone();
    let reply = match found {
        Err(error) => refuse(front, &request, region.name(), error),
        Ok((operation, handler)) => {
            let handling = Handling { region, audit, request, wire: Wire::AwsJson, operation };
            handler.unwrap_or(pipeline::handle_unbuilt)(handling).await
        }
    };
    respond(reply)
}

fn respond(reply: Reply) -> Response<Body> {
    let mut response = match reply.result {
        Ok(body) => {
            let mut response = full(StatusCode::OK, CONTENT_TYPE, body);
            stamp(&mut response, Some(reply.request_id));
            response
        }
        Err(failure) => error(&failure, Some(reply.request_id)),
    };
    note_state(response.headers_mut(), reply.index, reply.leader.as_deref());
    response
}

/// An error in AWS JSON.
pub(super) fn error(error: &Error, request_id: Option<RequestId>) -> Response<Body> {
    let status = StatusCode::from_u16(error.http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = full(status, CONTENT_TYPE, error.to_aws_json());
    stamp(&mut response, request_id);
    response
}
