//! Who makes a request: signatures and tokens, judged by the request's own View.

use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::constant_time_eq;
use keystead_state::{Credential, View};
use keystead_types::{AccessKeyId, AccountId, Principal, PrincipalArn, UnixMillis, UserId};
use zeroize::Zeroizing;

use crate::client_certificate::{Certified, CertifiedRole};
use crate::front::{Authentication, WireRequest};
use crate::region::RegionServer;
use crate::sessions::{self, Session};
use crate::sigv4::{self, Expect, Rejection, SigningKey};
use crate::workloads;

/// Region that global services are signed for.
const GLOBAL_REGION: &str = "us-east-1";

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    /// The access key, where it was one that told who calls.
    pub(crate) access_key_id: Option<AccessKeyId>,
    /// The session, where it was temporary credentials that told.
    pub(crate) session: Option<Session>,
}

impl Caller {
    /// The access key that the state knows, which for a session is the one behind it.
    pub(crate) fn stored_key(&self) -> Option<&AccessKeyId> {
        match &self.session {
            Some(session) => session.issuer.as_ref().map(|issuer| &issuer.id),
            None => self.access_key_id.as_ref(),
        }
    }
}

/// Why there is no caller.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The request is not authentic.
    Rejected(Rejection),
    /// It could not be found out.
    Failed(Error),
}

impl From<Rejection> for Denied {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The caller of a request, for wires whose errors are those of AWS JSON.
pub(crate) fn authenticate(
    request: &WireRequest,
    region: &RegionServer,
    view: &View,
    service: &str,
) -> Result<Caller, Error> {
    let caller = match request.authentication {
        Authentication::Signature => signed(request, region, view, service, &[]),
        Authentication::BearerToken => bearer(request, region, view),
        Authentication::Certificate => certified(request, region, view),
    };
    caller.map_err(|denied| match denied {
        Denied::Failed(error) => error,
        Denied::Rejected(rejection) => {
            let name = rejection.codes().json;
            let code = ErrorCode::ALL.iter().find(|code| code.as_str() == name).copied();
            Error::new(code.unwrap_or(ErrorCode::InvalidSignatureException), rejection.to_string())
        }
    })
}

/// The caller of a request to a global service, which may be signed for us-east-1 too.
pub(crate) fn authenticate_query(
    request: &WireRequest,
    region: &RegionServer,
    view: &View,
    service: &str,
) -> Result<Caller, Denied> {
    signed(request, region, view, service, &[GLOBAL_REGION])
}

fn signed(
    request: &WireRequest,
    region: &RegionServer,
    view: &View,
    service: &str,
    other_regions: &[&str],
) -> Result<Caller, Denied> {
    let signed = request.signed();
    let authorization = sigv4::parse(&signed)?;
    let mut regions = vec![region.name().as_str()];
    regions.extend_from_slice(other_regions);
    let services = [service];
    let expect = Expect::new(&regions, &services);
    authorization.check(request.time, &expect)?;
    if let Some(token) = authorization.session_token {
        let (session, secret) = session(region, token)?;
        if session.access_key_id().as_str() != authorization.access_key_id {
            return Err(Rejection::InvalidToken.into());
        }
        let (date, scope) = (authorization.scope_date, authorization.region);
        let key = SigningKey::derive(&secret, date, scope, authorization.service);
        sigv4::verify(&signed, &authorization, &key, request.time, &expect)?;
        return Ok(in_session(request, view, session)?);
    }
    let credential = active(view, authorization.access_key_id)?;
    let key = region.signing_key(
        credential,
        authorization.scope_date,
        authorization.region,
        authorization.service,
    )?;
    sigv4::verify(&signed, &authorization, &key, request.time, &expect)?;
    Ok(caller(view, credential)?)
}

/// `Bearer ACCESS_KEY:SECRET` or `Bearer SESSION_TOKEN`, where the listener takes such tokens. A
/// session token needs no secret beside it: only who was given the credentials has it.
fn bearer(request: &WireRequest, region: &RegionServer, view: &View) -> Result<Caller, Denied> {
    let header = request.header("authorization").ok_or(Rejection::MissingAuthentication)?;
    let token = header.strip_prefix("Bearer ").ok_or(Rejection::InvalidToken)?;
    let Some((id, secret)) = token.split_once(':') else {
        let (session, _) = session(region, token)?;
        return Ok(in_session(request, view, session)?);
    };
    let credential = active(view, id)?;
    let expected = region.secret(credential)?;
    if constant_time_eq(&expected, secret.as_bytes()) {
        Ok(caller(view, credential)?)
    } else {
        Err(Rejection::InvalidToken.into())
    }
}

/// The principal that the certificate of the connection names, which must exist still; or the role
/// that it names, in a session that the role's trust policy must allow still.
fn certified(request: &WireRequest, region: &RegionServer, view: &View) -> Result<Caller, Denied> {
    let role = match request.certificate.clone().ok_or(Rejection::MissingAuthentication)? {
        Certified::Principal(named) => return itself(view, &named),
        Certified::Role(named) => named,
        Certified::Workload { id, session } => {
            let role = workloads::role_of(region.workloads(), &id).cloned();
            let role = role.ok_or(Rejection::InvalidToken)?;
            CertifiedRole { role, session, uri: id.to_string() }
        }
    };
    let session = sessions::by_certificate(request, region, view, &role);
    let caller = in_session(request, view, session.ok_or(Rejection::InvalidToken)?)?;
    // There is no token, so that nobody has the access key of one.
    Ok(Caller { access_key_id: None, ..caller })
}

/// A root or a user.
fn itself(view: &View, named: &PrincipalArn) -> Result<Caller, Denied> {
    let user = view.principal_id(named);
    if matches!(named, PrincipalArn::User(_)) && user.is_none() {
        return Err(Rejection::InvalidToken.into());
    }
    let principal = principal(view, named.account(), user.as_ref())?;
    Ok(Caller { principal, access_key_id: None, session: None })
}

/// The session of a token that this region made, and its secret access key.
fn session(region: &RegionServer, token: &str) -> Result<(Session, Zeroizing<String>), Denied> {
    Ok(sessions::open(region.keyring(), token)?.ok_or(Rejection::InvalidToken)?)
}

/// The caller of a session that still counts. Whoever has waited for its end shall not be let in by
/// a clock that is behind.
fn in_session(request: &WireRequest, view: &View, session: Session) -> Result<Caller, Rejection> {
    let now = UnixMillis(request.time.0.max(view.clock().0));
    let principal = session.principal(view, now)?;
    let access_key_id = Some(session.access_key_id());
    Ok(Caller { principal, access_key_id, session: Some(session) })
}

fn active<'a>(view: &'a View, id: &str) -> Result<&'a Credential, Rejection> {
    let id: AccessKeyId = id.parse().map_err(|_| Rejection::InvalidToken)?;
    match view.credential(&id) {
        Some(credential) if credential.active => Ok(credential),
        _ => Err(Rejection::InvalidToken),
    }
}

fn caller(view: &View, credential: &Credential) -> Result<Caller, Rejection> {
    let principal = principal(view, credential.account, credential.user.as_ref())?;
    Ok(Caller { principal, access_key_id: Some(credential.id.clone()), session: None })
}

/// A user, or the root of an account, of an account that is not suspended.
fn principal(
    view: &View,
    account: AccountId,
    user: Option<&UserId>,
) -> Result<Principal, Rejection> {
    let known = view.account(account).filter(|account| !account.suspended);
    known.ok_or(Rejection::InvalidToken)?;
    let Some(id) = user else { return Ok(Principal::Root(account)) };
    let user = view.user(id).ok_or(Rejection::InvalidToken)?;
    let name = user.arn().friendly_name().into();
    Ok(Principal::User { account, name, id: id.to_string().into() })
}

/// The error of a request that should have been authenticated otherwise.
pub(crate) fn grpc_refused() -> Error {
    let text = "gRPC needs a client certificate of an authority that this server knows; or use AWS \
                JSON with a signature.";
    Error::new(ErrorCode::UnrecognizedClientException, text)
}

/// The error when a caller's own data cannot be opened; told to nobody but the log.
pub(crate) fn unreadable(what: &str) -> Error {
    tracing::error!(what, "cannot be opened with this region's keys");
    messages::internal()
}
