//! GetForwardAccessToken: credentials with which a service uses keys for whoever signed a request
//! to it.
//!
//! The user's signature is all the authority there is, and it ends a quarter of an hour after the
//! time that the user signed: a request that is forwarded twice gives nothing that the first time
//! did not give, and one older than the skew of clocks gives nothing at all.

use http::{HeaderMap, HeaderName, HeaderValue};
use keystead_api::query::{Fault, messages};
use keystead_api::sts;
use keystead_state::View;
use keystead_types::{Principal, ServiceName, UnixMillis};

use super::{Beginning, Operation, credentials, issuer_of, shown};
use crate::audit::{Parameters, Record};
use crate::authenticate::{self, Caller, Denied, Forwarded};
use crate::front::QueryCall;
use crate::sessions::{Holder, Session, Via};
use crate::sigv4;

/// How long after the user's signature a service may act for the user, in milliseconds.
const LIFETIME_MS: u64 = 15 * 60 * 1000;

impl Operation for sts::GetForwardAccessTokenRequest {
    type Output = sts::GetForwardAccessTokenResponse;

    const OPERATION: &'static str = "GetForwardAccessToken";

    fn record(&self) -> Parameters {
        Parameters::of(&Self { headers: Vec::new(), ..self.clone() })
    }

    /// Policies have no say: what the user may do is asked when the service uses a key.
    fn answer(&self, call: &QueryCall<'_>, record: &mut Record) -> Result<Self::Output, Fault> {
        let Principal::Service { name, .. } = &call.caller.principal else {
            return Err(messages::only_services_forward(&call.caller.principal));
        };
        let (user, signed) = signer(self, call, name)?;
        let expires = UnixMillis(signed.0.saturating_add(LIFETIME_MS));
        let session = forwarded(call, name, &user, expires)?;
        let output = Self::Output {
            credentials: Some(credentials(call.region, &session)?),
            caller: Some(sts::GetCallerIdentityResponse {
                user_id: Some(user.principal.unique_id()),
                account: Some(user.principal.account().to_string()),
                arn: Some(user.principal.to_string()),
            }),
        };
        let credentials = output.credentials.as_ref().map(shown);
        record.response(Parameters::of(&Self::Output { credentials, ..output.clone() }));
        Ok(output)
    }
}

/// Who signed the request, and when.
fn signer(
    asked: &sts::GetForwardAccessTokenRequest,
    call: &QueryCall<'_>,
    service: &ServiceName,
) -> Result<(Caller, UnixMillis), Fault> {
    let headers = headers(&asked.headers)?;
    if asked.payload_hash.is_none() && !headers.contains_key(sigv4::CONTENT_HASH) {
        let why = "neither PayloadHash nor the header x-amz-content-sha256 tells of its body.";
        return Err(messages::forwarded_request(why));
    }
    let (path, query) = asked.path().split_once('?').unwrap_or((asked.path(), ""));
    let (method, authority, body) = (asked.method(), None, &[][..]);
    let request = sigv4::Request { method, path, query, headers: &headers, authority, body };
    let forwarded = Forwarded { request, payload: asked.payload_hash.as_deref() };
    let time = call.request.time;
    let known = authenticate::forwarded(&forwarded, service, call.region, &call.view, time);
    known.map_err(|denied| match denied {
        Denied::Rejected(rejection) => messages::forwarded_request(rejection),
        Denied::Failed(error) => error.into(),
    })
}

fn headers(given: &[sts::Header]) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for header in given {
        let name = HeaderName::from_bytes(header.name().as_bytes());
        let value = HeaderValue::from_str(header.value());
        let (Ok(name), Ok(value)) = (name, value) else {
            let why = format!("{} is no header, or its value is none.", header.name());
            return Err(messages::forwarded_request(why));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The session in which a service acts for a user. What ends or narrows the user's own session does
/// so to this one.
fn forwarded(
    call: &QueryCall<'_>,
    service: &ServiceName,
    user: &Caller,
    expires: UnixMillis,
) -> Result<Session, Fault> {
    let issuer = issuer_of(&call.caller, &call.view).ok_or_else(|| {
        messages::forwarded_request("the service did not sign with an access key of its own.")
    })?;
    let via = Some(Via { service: service.clone(), issuer });
    let session = match &user.session {
        Some(session) if session.via.is_some() => {
            let why = "it was signed with credentials that another service was given.";
            return Err(messages::forwarded_request(why));
        }
        Some(session) => {
            let id = call.region.entropy().map_err(Fault::from)?;
            Session { id, ..session.clone() }
        }
        None => {
            let (holder, valid_after) = holder(user, &call.view)?;
            Beginning::by(call, user).session(holder, valid_after, LIFETIME_MS / 1000)?
        }
    };
    Ok(Session { expires: session.expires.min(expires), via, ..session })
}

/// Who acts in a session of somebody who has none, and from when on such sessions count.
fn holder(user: &Caller, view: &View) -> Result<(Holder, UnixMillis), Fault> {
    let known = || match &user.principal {
        Principal::Root(account) => {
            Some((Holder::Root, view.account(*account)?.sessions_valid_after))
        }
        Principal::User { id, .. } => {
            let id = id.parse().ok()?;
            Some((Holder::User(id), view.user(&id)?.sessions_valid_after))
        }
        // A role acts in sessions alone.
        Principal::Session { .. } | Principal::Service { .. } => None,
    };
    known().ok_or_else(|| messages::forwarded_request("it is another service's."))
}
