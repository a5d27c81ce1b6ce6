//! STS's operations: who asks, and temporary credentials. They change nothing in the state.

mod assume_role;
mod assume_role_with_web_identity;
mod get_forward_access_token;
mod get_session_token;
mod role_session;

use futures::future::BoxFuture;
use keystead_api::query::{self as wire, Fault, STS_NAMESPACE, messages};
use keystead_api::{Message, sts};
use keystead_state::View;
use keystead_types::{AccountId, UnixMillis};

pub(crate) use assume_role_with_web_identity::Place as IdentityPlace;

use crate::audit::{Parameters, Record};
use crate::authenticate::Caller;
use crate::convert;
use crate::front::{Attempted, Handler, OpenHandler, QueryCall};
use crate::pipeline::time_of;
use crate::region::RegionServer;
use crate::sessions::{self, Holder, Issuer, Session};

/// Every operation that is signed, by its name.
pub(crate) const OPERATIONS: &[(&str, Handler)] = &[
    ("AssumeRole", handle::<sts::AssumeRoleRequest>),
    ("GetCallerIdentity", handle::<sts::GetCallerIdentityRequest>),
    ("GetForwardAccessToken", get_forward_access_token::handle),
    ("GetSessionToken", handle::<sts::GetSessionTokenRequest>),
];

/// Those that nobody signs.
pub(crate) const OPEN_OPERATIONS: &[(&str, OpenHandler)] =
    &[(assume_role_with_web_identity::OPERATION, assume_role_with_web_identity::handle)];

/// An operation; the request message is it.
trait Operation: Message {
    /// The response message.
    type Output: Message;

    /// The name on the wire.
    const OPERATION: &'static str;

    /// What of the request the audit trail shows.
    fn record(&self) -> Parameters;

    /// The answer, from the request's View.
    fn answer(&self, call: &QueryCall<'_>, record: &mut Record) -> Result<Self::Output, Fault>;
}

fn handle<'a, O: Operation>(
    call: &'a QueryCall<'a>,
    record: &'a mut Record,
) -> BoxFuture<'a, Attempted> {
    Box::pin(async move {
        let input: O = wire::decode(call.form)?;
        record.parameters(input.record());
        let output = input.answer(call, record)?;
        Ok(wire::encode(O::OPERATION, STS_NAMESPACE, call.id, &output))
    })
}

impl Operation for sts::GetCallerIdentityRequest {
    type Output = sts::GetCallerIdentityResponse;

    const OPERATION: &'static str = "GetCallerIdentity";

    fn record(&self) -> Parameters {
        Parameters::none()
    }

    /// Nothing that a policy says keeps anybody from knowing who they are.
    fn answer(&self, call: &QueryCall<'_>, _: &mut Record) -> Result<Self::Output, Fault> {
        let principal = &call.caller.principal;
        Ok(Self::Output {
            user_id: Some(principal.unique_id()),
            account: Some(principal.account().to_string()),
            arn: Some(principal.to_string()),
        })
    }
}

/// Where, when and on whose behalf a session begins.
struct Beginning<'a> {
    region: &'a RegionServer,
    view: &'a View,
    /// By the later of the node's clock and the replicated clock.
    now: UnixMillis,
    account: AccountId,
    issuer: Option<Issuer>,
}

impl<'a> Beginning<'a> {
    /// Of a session that a signed request asks for.
    fn of(call: &'a QueryCall<'_>) -> Self {
        Self::by(call, &call.caller)
    }

    /// The same of somebody who need not be the caller.
    fn by(call: &'a QueryCall<'_>, by: &Caller) -> Self {
        let now = time_of(call.request, &call.view);
        let (account, issuer) = (by.principal.account(), issuer_of(by, &call.view));
        Self { region: call.region, view: &call.view, now, account, issuer }
    }

    /// A session that has nothing but a holder, whose sessions count from `valid_after` on.
    fn session(
        self,
        holder: Holder,
        valid_after: UnixMillis,
        seconds: u64,
    ) -> Result<Session, Fault> {
        Ok(Session {
            id: self.region.entropy().map_err(Fault::from)?,
            account: self.account,
            holder,
            issuer: self.issuer,
            issued: self.now,
            // This View knows of the last revocation, so that the session comes after it.
            ordered: UnixMillis(self.view.clock().0.max(valid_after.0)),
            expires: self.now.plus(seconds * 1000),
            chained: false,
            source_identity: String::new(),
            provider: None,
            subject: String::new(),
            policy: String::new(),
            managed: Vec::new(),
            tags: std::collections::BTreeMap::new(),
            via: None,
        })
    }
}

/// The access key that a caller signed with, or that is behind its session.
fn issuer_of(caller: &Caller, view: &View) -> Option<Issuer> {
    let Caller { access_key_id, session, .. } = caller;
    if let Some(session) = session {
        return session.issuer.clone();
    }
    let key = view.credential(access_key_id.as_ref()?)?;
    Some(Issuer { id: key.id.clone(), version: key.version })
}

/// The credentials of a session, as they are answered.
fn credentials(region: &RegionServer, session: &Session) -> Result<sts::Credentials, Fault> {
    let made = sessions::seal(region.keyring(), session).map_err(Fault::from)?;
    Ok(sts::Credentials {
        access_key_id: Some(made.access_key_id.to_string()),
        secret_access_key: Some(made.secret.to_string()),
        session_token: Some(made.token),
        expiration: Some(whole_seconds(session.expires)),
    })
}

/// The same without what entitles.
fn shown(credentials: &sts::Credentials) -> sts::Credentials {
    sts::Credentials {
        access_key_id: credentials.access_key_id.clone(),
        expiration: credentials.expiration,
        ..Default::default()
    }
}

fn whole_seconds(time: UnixMillis) -> keystead_api::Timestamp {
    keystead_api::Timestamp { nanos: 0, ..convert::timestamp(time) }
}

/// Refuses a request that comes with a code of a device: nobody has one.
fn refuse_second_factor(serial: Option<&str>, code: Option<&str>) -> Result<(), Fault> {
    match (serial, code) {
        (None, None) => Ok(()),
        _ => Err(messages::no_second_factor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_built() {
        let open = OPEN_OPERATIONS.iter().map(|(name, _)| *name);
        let mut built: Vec<_> = OPERATIONS.iter().map(|(name, _)| *name).chain(open).collect();
        built.sort_unstable();
        let known: Vec<_> = keystead_api::sts_operations().iter().map(|known| known.name).collect();
        assert_eq!(built, known);
    }
}
