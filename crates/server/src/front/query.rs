//! The query protocol: form bodies, XML replies. STS GetCallerIdentity is what it serves.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use keystead_api::query::{self, STS_NAMESPACE};
use tonic::body::Body;

use super::{Front, WireRequest, full, scoped_region, stamp};
use crate::authenticate::{self, Denied};

const DEADLINE: Duration = Duration::from_secs(10);
const ACTION: &str = "GetCallerIdentity";

/// An error of this protocol: a code, a status and a text.
struct Fault {
    code: String,
    status: u16,
    text: String,
}

pub(super) async fn serve(front: &Front, request: WireRequest) -> Response<Body> {
    let id = request.request_id.to_string();
    let answer = answer(front, &request, &id).await;
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(fault) => {
            let sender = fault.status < 500;
            let body = query::error(STS_NAMESPACE, &fault.code, &fault.text, &id, sender);
            let status = StatusCode::from_u16(fault.status);
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
        }
    };
    let mut response = full(status, "text/xml", Bytes::from(body));
    stamp(&mut response, Some(request.request_id));
    response
}

async fn answer(front: &Front, request: &WireRequest, id: &str) -> Result<String, Fault> {
    // Global services are signed for us-east-1, which need not be served.
    let region = scoped_region(front, request).or_else(|| front.default_region());
    let region = region.ok_or_else(|| fault("InternalFailure", 500, "No Region is served."))?;
    let mut record = request.record_of("sts.amazonaws.com", ACTION, region.name());
    let result = async {
        if let Some(broken) = &request.broken {
            return Err(fault(broken.code().as_str(), broken.http_status(), broken));
        }
        let form =
            query::parse(&request.body).map_err(|error| fault("MalformedInput", 400, error))?;
        let action = form.get("Action").unwrap_or_default();
        if action != ACTION {
            let text = format!("Could not find operation {action}");
            return Err(fault("InvalidAction", 400, text));
        }
        let view = region
            .barrier(Instant::now() + DEADLINE)
            .await
            .map_err(|error| fault("InternalFailure", 500, error))?;
        record.index(view.applied());
        let caller = authenticate::authenticate_query(request, region, &view, "sts")?;
        record.caller(&caller.principal, caller.access_key_id.as_ref());
        let principal = &caller.principal;
        Ok(query::get_caller_identity_xml(
            &principal.to_string(),
            &principal.unique_id(),
            &principal.account().to_string(),
            id,
        ))
    }
    .await;
    if let Err(fault) = &result {
        record.fault(&fault.code, &fault.text);
    }
    front.audit.append(&record).map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be written; nothing is answered");
        fault("InternalFailure", 500, "The request could not be recorded.")
    })?;
    result
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Rejected(rejection) => {
                let codes = rejection.codes();
                fault(codes.query, codes.query_status, rejection)
            }
            Denied::Failed(error) => fault("InternalFailure", 500, error),
        }
    }
}

fn fault(code: &str, status: u16, text: impl ToString) -> Fault {
    Fault { code: code.to_owned(), status, text: text.to_string() }
}
