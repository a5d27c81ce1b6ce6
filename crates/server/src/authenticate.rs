//! Who makes a request: signatures and tokens, judged by the request's own View.

use keystead_api::query::FaultCode;
use keystead_api::{Error, ErrorCode, messages};
use keystead_crypto::constant_time_eq;
use keystead_state::{Credential, View};
use keystead_types::{
    AccessKeyId, AccountId, IamArn, Principal, PrincipalArn, ServiceName, UnixMillis, UserId,
};
use zeroize::Zeroizing;

use crate::client_certificate::{Certified, CertifiedRole};
use crate::front::{Authentication, WireRequest};
use crate::region::RegionServer;
use crate::sessions::{self, Session, Via};
use crate::sigv4::{self, Authorization, Expect, PathRule, Rejection, SigningKey};
use crate::sts::IdentityPlace;
use crate::workloads;

/// Region that global services are signed for.
const GLOBAL_REGION: &str = "us-east-1";
/// The metadata that names the role to take on by an issuer's token.
const ROLE: &str = "keystead-role-arn";
/// The service whose clients sign paths as they send them.
const S3: &str = "s3";

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
    /// The service that acts for the principal, if one does.
    pub(crate) fn via(&self) -> Option<&Via> {
        self.session.as_ref()?.via.as_ref()
    }

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
        Authentication::AccessKeyOrToken => bearer(request, region, view),
        Authentication::Token => bearer_of(request)
            .map_err(Denied::from)
            .and_then(|given| token(request, region, view, given)),
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
    let signer = Signer { region, view, time: request.time };
    signer.of(&authorization, |key| {
        sigv4::verify(&signed, &authorization, key, request.time, &expect)
    })
}

/// The signature of a request that is signed, and when that was.
///
/// # Errors
/// There is none, or none that can be read.
pub(crate) fn signature(request: &WireRequest) -> Result<(String, UnixMillis), Rejection> {
    let signed = request.signed();
    let authorization = sigv4::parse(&signed)?;
    Ok((authorization.signature.to_owned(), signed_at(&authorization)))
}

fn signed_at(authorization: &Authorization<'_>) -> UnixMillis {
    let seconds = u64::try_from(authorization.date.seconds).unwrap_or_default();
    UnixMillis(seconds.saturating_mul(1000))
}

/// Who signed a request that a service was sent, and when.
pub(crate) fn forwarded(
    forwarded: &Forwarded<'_>,
    service: &ServiceName,
    region: &RegionServer,
    view: &View,
    time: UnixMillis,
) -> Result<(Caller, UnixMillis), Denied> {
    let authorization = sigv4::parse(&forwarded.request)?;
    let (regions, services) = ([region.name().as_str()], [service.scope()]);
    let path = if service.scope() == S3 { PathRule::Encoded } else { PathRule::Normalized };
    let expect = Expect { path, ..Expect::new(&regions, &services) };
    authorization.check(time, &expect)?;
    let caller = Signer { region, view, time }.of(&authorization, |key| {
        let Forwarded { request, payload } = forwarded;
        sigv4::verify_forwarded(request, &authorization, key, *payload, &expect)
    })?;
    Ok((caller, signed_at(&authorization)))
}

/// A request that a service was sent: all of it that was signed.
pub(crate) struct Forwarded<'a> {
    /// Without its body.
    pub(crate) request: sigv4::Request<'a>,
    /// The body's hash as the service tells it.
    pub(crate) payload: Option<&'a str>,
}

/// What it takes to find out who signed.
struct Signer<'a> {
    region: &'a RegionServer,
    view: &'a View,
    time: UnixMillis,
}

impl Signer<'_> {
    /// Whoever's key the signature was made with.
    fn of(
        &self,
        authorization: &Authorization<'_>,
        verify: impl FnOnce(&SigningKey) -> Result<(), Rejection>,
    ) -> Result<Caller, Denied> {
        let Authorization { scope_date, region, service, .. } = authorization;
        if let Some(token) = authorization.session_token {
            let (session, secret) = session(self.region, token)?;
            if session.access_key_id().as_str() != authorization.access_key_id {
                return Err(Rejection::InvalidToken.into());
            }
            verify(&SigningKey::derive(&secret, scope_date, region, service))?;
            return Ok(in_session(self.time, self.view, session)?);
        }
        let credential = active(self.view, authorization.access_key_id)?;
        let key = self.region.signing_key(credential, scope_date, region, service)?;
        verify(&key)?;
        Ok(caller(self.view, credential)?)
    }
}

/// `Bearer ACCESS_KEY:SECRET`, where the listener takes such, or a token.
fn bearer(request: &WireRequest, region: &RegionServer, view: &View) -> Result<Caller, Denied> {
    let given = bearer_of(request)?;
    let Some((id, secret)) = given.split_once(':') else {
        return token(request, region, view, given);
    };
    let credential = active(view, id)?;
    let expected = region.secret(credential)?;
    if constant_time_eq(&expected, secret.as_bytes()) {
        Ok(caller(view, credential)?)
    } else {
        Err(Rejection::InvalidToken.into())
    }
}

/// What stands after `Bearer`.
fn bearer_of(request: &WireRequest) -> Result<&str, Rejection> {
    let header = request.header("authorization").ok_or(Rejection::MissingAuthentication)?;
    header.strip_prefix("Bearer ").ok_or(Rejection::InvalidToken)
}

/// A session token, which needs no secret beside it: only who was given the credentials has it. Or
/// the token of an issuer, with the role to take on by it.
fn token(
    request: &WireRequest,
    region: &RegionServer,
    view: &View,
    token: &str,
) -> Result<Caller, Denied> {
    if !token.contains('.') {
        let (session, _) = session(region, token)?;
        return Ok(in_session(request.time, view, session)?);
    }
    let role = request.header(ROLE).and_then(|arn| arn.parse::<IamArn>().ok());
    let role = role.filter(|arn| arn.role_name().is_some()).ok_or(Rejection::InvalidToken)?;
    let place = IdentityPlace { region, view, request };
    let session = place.session(token, &role).map_err(|fault| match fault.code() {
        FaultCode::ExpiredTokenException => Denied::from(Rejection::ExpiredToken),
        FaultCode::IDPCommunicationError => {
            Error::new(ErrorCode::DependencyTimeoutException, fault.message().to_owned()).into()
        }
        _ => Rejection::InvalidToken.into(),
    })?;
    let caller = in_session(request.time, view, session)?;
    // Nobody has the access key of a session that no token is of.
    Ok(Caller { access_key_id: None, ..caller })
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
    let caller = in_session(request.time, view, session.ok_or(Rejection::InvalidToken)?)?;
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
fn in_session(time: UnixMillis, view: &View, session: Session) -> Result<Caller, Rejection> {
    let now = time.max(view.clock());
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

/// A user, the root of an account or a service, of an account that is not suspended.
fn principal(
    view: &View,
    account: AccountId,
    user: Option<&UserId>,
) -> Result<Principal, Rejection> {
    let known = view.account(account).filter(|account| !account.suspended);
    let known = known.ok_or(Rejection::InvalidToken)?;
    let Some(id) = user else { return Ok(known.principal()) };
    let user = view.user(id).ok_or(Rejection::InvalidToken)?;
    let name = user.arn().friendly_name().into();
    Ok(Principal::User { account, name, id: id.to_string().into() })
}

/// The error of a request that should have been authenticated otherwise.
pub(crate) fn grpc_refused() -> Error {
    let text = "gRPC needs a client certificate of an authority that this server knows, or over TLS a \
                token; or use AWS JSON with a signature.";
    Error::new(ErrorCode::UnrecognizedClientException, text)
}

/// The error when a caller's own data cannot be opened; told to nobody but the log.
pub(crate) fn unreadable(what: &str) -> Error {
    tracing::error!(what, "cannot be opened with this region's keys");
    messages::internal()
}
