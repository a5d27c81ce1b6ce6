//! GetForwardAccessToken: credentials with which a service uses keys for whoever signed a request
//! to it.
//!
//! The user's signature is all the authority there is. It ends a quarter of an hour after the time
//! that the user signed, and a request older than the skew of clocks gives nothing at all. That the
//! user sent it twice is the service's word, as two requests of one second may have one signature.
//! But each call of the service counts once: whoever sees one gets nothing by sending it again.

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use keystead_api::query::{self as wire, Fault, STS_NAMESPACE, messages};
use keystead_api::sts;
use keystead_crypto::digest::sha256;
use keystead_state::proto::{self, Reason, outcome};
use keystead_state::{FORWARDED_ONCE_VERSION, View};
use keystead_types::{Principal, ServiceName, UnixMillis};

use super::{Beginning, credentials, issuer_of, shown};
use crate::audit::{Parameters, Record};
use crate::authenticate::{self, Caller, Denied, Forwarded};
use crate::front::{Attempted, QueryCall};
use crate::pipeline::Failure;
use crate::propose::Author;
use crate::sessions::{Holder, Session, Via};
use crate::sigv4;

/// How long after the user's signature a service may act for the user, in milliseconds.
const LIFETIME_MS: u64 = 15 * 60 * 1000;

const OPERATION: &str = "GetForwardAccessToken";

/// Policies have no say: what the user may do is asked when the service uses a key.
pub(super) fn handle<'a>(
    call: &'a QueryCall<'a>,
    record: &'a mut Record,
) -> BoxFuture<'a, Attempted> {
    Box::pin(async move {
        let input: sts::GetForwardAccessTokenRequest = wire::decode(call.form)?;
        record.parameters(Parameters::of(&sts::GetForwardAccessTokenRequest {
            headers: Vec::new(),
            ..input.clone()
        }));
        let Principal::Service { name, .. } = &call.caller.principal else {
            return Err(messages::only_services_forward(&call.caller.principal).into());
        };
        let (user, signed) = signer(&input, call, name)?;
        let output = answer(call, name, &user, signed)?;
        count_once(call, record).await?;
        let credentials = output.credentials.as_ref().map(shown);
        record.response(Parameters::of(&sts::GetForwardAccessTokenResponse {
            credentials,
            ..output.clone()
        }));
        Ok(wire::encode(OPERATION, STS_NAMESPACE, call.id, &output))
    })
}

fn answer(
    call: &QueryCall<'_>,
    service: &ServiceName,
    user: &Caller,
    signed: UnixMillis,
) -> Result<sts::GetForwardAccessTokenResponse, Fault> {
    let session = forwarded(call, service, user, signed.plus(LIFETIME_MS))?;
    Ok(sts::GetForwardAccessTokenResponse {
        credentials: Some(credentials(call.region, &session)?),
        caller: Some(sts::GetCallerIdentityResponse {
            user_id: Some(user.principal.unique_id()),
            account: Some(user.principal.account().to_string()),
            arn: Some(user.principal.to_string()),
        }),
    })
}

/// Lets the region remember the call, so that no node takes it again. There is no request id, by
/// which the first result would be given once more.
async fn count_once(call: &QueryCall<'_>, record: &mut Record) -> Result<(), Failure<Fault>> {
    // Members of an older version would stop at the command.
    if call.view.cluster_version() < FORWARDED_ONCE_VERSION {
        return Ok(());
    }
    let unsigned = |_| messages::internal();
    let (signature, at) = authenticate::signature(call.request).map_err(unsigned)?;
    let digest = sha256(signature.as_bytes()).to_vec();
    let operation = proto::RecordForwarded { digest, signed_ms: at.0 };
    let author = Author { caller: &call.caller, view: &call.view };
    let command = author.command([], operation);
    let applied = call.region.propose(command).await.map_err(Fault::from)?;
    record.index(applied.index);
    match applied.outcome.result {
        Some(outcome::Result::Done(_)) => Ok(()),
        Some(outcome::Result::Stale(_)) => Err(Failure::Stale),
        Some(outcome::Result::Rejected(rejected)) => Err(refusal(rejected.reason()).into()),
        _ => Err(messages::internal().into()),
    }
}

fn refusal(reason: Reason) -> Fault {
    match reason {
        Reason::AlreadyForwarded => messages::forwarded_before(),
        Reason::ForwardedLimit => keystead_api::messages::throttled().into(),
        _ => messages::internal(),
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
