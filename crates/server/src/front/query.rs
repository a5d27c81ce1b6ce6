//! The query protocol: form bodies, XML replies. The credential scope names the service, the
//! parameter `Action` what it is to do.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Response, StatusCode};
use keystead_api::query::{self, Fault, FaultCode, IAM_NAMESPACE, Params, STS_NAMESPACE, messages};
use keystead_api::sigv4::scoped_service;
use keystead_api::{Error, OperationShape, iam_operations, sts_operations};
use keystead_state::View;
use tonic::body::Body;

use super::{Front, WireRequest, full, scoped_region, stamp};
use crate::audit::Record;
use crate::authenticate::{self, Caller, Denied};
use crate::iam;
use crate::pipeline::hide_time;
use crate::pipeline::{Attempts, Failure};
use crate::region::RegionServer;
use crate::sigv4::Rejection;
use crate::sts;
use crate::throttle::Class;

/// Carries out one action, from the parameters to the body of the reply.
pub(crate) type Handler = for<'a> fn(&'a QueryCall<'a>, &'a mut Record) -> BoxFuture<'a, Attempted>;

/// What came of an attempt to carry out an action.
pub(crate) type Attempted = Result<String, Failure<Fault>>;

/// An authenticated request for an action.
pub(crate) struct QueryCall<'a> {
    pub(crate) region: &'a RegionServer,
    pub(crate) request: &'a WireRequest,
    pub(crate) id: &'a str,
    pub(crate) form: &'a Params,
    pub(crate) view: Arc<View>,
    pub(crate) caller: Caller,
}

/// The same for an action that nobody signs.
pub(crate) type OpenHandler =
    for<'a> fn(&'a OpenCall<'a>, &'a mut Record) -> BoxFuture<'a, Attempted>;

/// A request for an action that nobody signs.
pub(crate) struct OpenCall<'a> {
    pub(crate) region: &'a RegionServer,
    pub(crate) request: &'a WireRequest,
    pub(crate) id: &'a str,
    pub(crate) form: &'a Params,
    pub(crate) view: Arc<View>,
}

/// How to carry an action out.
#[derive(Clone, Copy)]
enum Built {
    /// Once it is known who asks.
    Signed(Handler),
    /// Whoever asks.
    Open(OpenHandler),
}

/// An action by the name that AWS gives it, and how to carry it out if that is built.
type Action = (&'static str, Option<Built>);

/// A service that speaks this protocol.
struct Service {
    /// The name in credential scopes.
    scope: &'static str,
    /// The name in the audit trail.
    source: &'static str,
    namespace: &'static str,
    /// The actions that are built.
    built: &'static [(&'static str, Handler)],
    /// Those of them that nobody signs.
    open: &'static [(&'static str, OpenHandler)],
    /// Those that there are messages for.
    known: fn() -> &'static [OperationShape],
}

static STS: Service = Service {
    scope: "sts",
    source: "sts.amazonaws.com",
    namespace: STS_NAMESPACE,
    built: sts::OPERATIONS,
    open: sts::OPEN_OPERATIONS,
    known: sts_operations,
};
static IAM: Service = Service {
    scope: "iam",
    source: "iam.amazonaws.com",
    namespace: IAM_NAMESPACE,
    built: iam::OPERATIONS,
    open: &[],
    known: iam_operations,
};

impl Service {
    /// The service that a request is signed for; where that tells nothing, the one with the action.
    fn of(headers: &HeaderMap, action: &str) -> &'static Self {
        match scoped_service(headers) {
            Some("sts") => &STS,
            Some("iam") => &IAM,
            _ if IAM.find(action).is_some() => &IAM,
            _ => &STS,
        }
    }

    /// Temporary credentials of a user or a root are for all services but IAM, as long as nobody
    /// has a second factor.
    ///
    /// A service is no account that could have entities, and who acts through one uses keys alone.
    fn refuse_session(&self, caller: &Caller) -> Result<(), Denied> {
        let service = caller.principal.service().is_some();
        if (service && self.scope == IAM.scope) || caller.via().is_some() {
            return Err(Rejection::InvalidToken.into());
        }
        let of_user = caller.session.as_ref().is_some_and(|session| !session.is_of_role());
        if of_user && self.scope == IAM.scope {
            return Err(Rejection::InvalidToken.into());
        }
        Ok(())
    }

    fn find(&self, action: &str) -> Option<Action> {
        if let Some((name, handler)) = self.open.iter().find(|(name, _)| *name == action) {
            return Some((name, Some(Built::Open(*handler))));
        }
        let built = self.built.iter().find(|(name, _)| *name == action);
        let known = || (self.known)().iter().find(|operation| operation.name == action);
        built
            .map(|(name, handler)| (*name, Some(Built::Signed(*handler))))
            .or_else(|| known().map(|operation| (operation.name, None)))
    }
}

pub(super) async fn serve(front: &Front, mut request: WireRequest) -> Response<Body> {
    let begun = Instant::now();
    let id = request.request_id.to_string();
    let form = match request.broken.take() {
        Some(broken) => Err(broken.into()),
        None => query::parse(&request.body)
            .map_err(|error| Fault::new(FaultCode::MalformedInput, error.to_string())),
    };
    let action = form.as_ref().ok().and_then(|form| form.get("Action")).unwrap_or_default();
    let service = Service::of(&request.headers, action);
    let (status, body) = match answer(front, &request, service, form, &id).await {
        Ok(body) => (StatusCode::OK, body),
        Err(fault) => {
            if fault.code() == FaultCode::AccessDenied {
                hide_time(begun).await;
            }
            let status = StatusCode::from_u16(fault.http_status());
            let body = fault.to_xml(service.namespace, &id);
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
        }
    };
    let mut response = full(status, "text/xml", Bytes::from(body));
    stamp(&mut response, Some(request.request_id));
    response
}

/// Answers, and puts into the audit trail what was answered.
async fn answer(
    front: &Front,
    request: &WireRequest,
    service: &Service,
    form: Result<Params, Fault>,
    id: &str,
) -> Result<String, Fault> {
    // Global services are signed for us-east-1, which need not be served.
    let region = scoped_region(front, request).or_else(|| front.default_region());
    let region = region.ok_or_else(messages::internal)?;
    let found = form.and_then(|form| {
        let action = form.get("Action").unwrap_or_default();
        let found = service.find(action).ok_or_else(|| messages::invalid_action(action));
        found.map(|(name, handler)| (form, name, handler))
    });
    let name = found.as_ref().map_or("Unknown", |(_, name, _)| *name);
    let mut record = request.record_of(service.source, name, region.name());
    let result = async {
        let (form, name, handler) = found?;
        let handler = handler.ok_or_else(|| messages::invalid_action(name))?;
        let mut attempts = Attempts::new(request.request_id);
        loop {
            let _inside = region.throttle.enter()?;
            let view = region.barrier(attempts.deadline).await?;
            record.index(view.applied());
            let handler = match handler {
                Built::Signed(handler) => handler,
                Built::Open(handler) => {
                    let call = OpenCall { region, request, id, form: &form, view };
                    return match handler(&call, &mut record).await {
                        Ok(body) => Ok(body),
                        Err(Failure::Error(fault)) => Err(fault),
                        Err(Failure::Stale) => Err(messages::internal()),
                    };
                }
            };
            let caller = authenticate::authenticate_query(request, region, &view, service.scope)?;
            record.caller(&caller);
            service.refuse_session(&caller)?;
            let account = caller.principal.account();
            if attempts.is_first() {
                region.throttle.charge(account, Class::Iam)?;
            }
            let _admitted = region.throttle.admit(account)?;
            let call = QueryCall { region, request, id, form: &form, view, caller };
            match handler(&call, &mut record).await {
                Ok(body) => return Ok(body),
                Err(Failure::Error(fault)) => return Err(fault),
                Err(Failure::Stale) if attempts.again().await => {}
                Err(Failure::Stale) => return Err(messages::internal()),
            }
        }
    }
    .await;
    if let Err(fault) = &result {
        record.fault(fault.code().as_str(), fault.message());
    }
    let recorded = front.audit.append(&record).map_err(|error| {
        tracing::error!(%error, "the audit trail cannot be written; nothing is answered");
        Fault::new(FaultCode::InternalFailure, "The request could not be recorded.")
    });
    let result = recorded.and(result);
    crate::metrics::request(name, result.as_ref().err().map(|fault| fault.code().as_str()));
    result
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Rejected(rejection) => Error::from(rejection).into(),
            Denied::Failed(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_for(service: &str) -> HeaderMap {
        let scope = format!("AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request");
        let header = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=");
        HeaderMap::from_iter([(http::header::AUTHORIZATION, header.parse().unwrap())])
    }

    #[test]
    fn the_scope_goes_before_the_action() {
        for (headers, action, scope) in [
            (signed_for("iam"), "ListUsers", "iam"),
            (signed_for("iam"), "GetCallerIdentity", "iam"),
            (signed_for("sts"), "ListUsers", "sts"),
            (signed_for("sts"), "", "sts"),
            (signed_for("kms"), "ListUsers", "iam"),
            (HeaderMap::new(), "ListUsers", "iam"),
            (HeaderMap::new(), "GetCallerIdentity", "sts"),
            (HeaderMap::new(), "", "sts"),
        ] {
            assert_eq!(Service::of(&headers, action).scope, scope, "{action}");
        }
    }

    #[test]
    fn actions_are_of_one_service_and_spelt_as_aws_does() {
        assert!(STS.find("GetCallerIdentity").is_some_and(|(_, handler)| handler.is_some()));
        assert!(IAM.find("GetCallerIdentity").is_none());
        assert!(IAM.find("ListUsers").is_some());
        for action in ["ListUsers", "getCallerIdentity", ""] {
            assert!(STS.find(action).is_none(), "{action}");
        }
    }
}
