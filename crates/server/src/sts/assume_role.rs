//! AssumeRole: temporary credentials of a session of a role.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_api::query::{Fault, messages};
use keystead_api::{messages as errors, sts};
use keystead_state::Role;
use keystead_types::{IamArn, Principal};

use super::role_session::{
    SET_SOURCE, TAG, facts, holder, managed_policies, packed_percent, policy, seconds, session_tags,
};
use super::{Beginning, Operation, credentials, refuse_second_factor, shown};
use crate::audit::{Parameters, Record};
use crate::authenticate::Caller;
use crate::authorise::Authoriser;
use crate::conditions::{Circumstances, Sent};
use crate::front::QueryCall;
use crate::resolve::{self, Found, Resource};
use crate::sessions::{Session, SessionTag};

/// How long a session lasts at most that a session of a role makes, in seconds.
const CHAINED_SECONDS: i32 = 3600;

const ASSUME: &str = "sts:AssumeRole";

impl Operation for sts::AssumeRoleRequest {
    type Output = sts::AssumeRoleResponse;

    const OPERATION: &'static str = "AssumeRole";

    fn record(&self) -> Parameters {
        Parameters::of(&Self { token_code: None, ..self.clone() })
    }

    fn answer(&self, call: &QueryCall<'_>, record: &mut Record) -> Result<Self::Output, Fault> {
        let invalid = || messages::invalid_role_arn(self.role_arn());
        let arn: IamArn = self.role_arn().parse().map_err(|_| invalid())?;
        arn.role_name().ok_or_else(invalid)?;
        if matches!(call.caller.principal, Principal::Root(_)) {
            return Err(messages::root_takes_no_role());
        }
        refuse_second_factor(self.serial_number.as_deref(), self.token_code.as_deref())?;
        let asked = Asked {
            call,
            request: self,
            tags: session_tags(self, call.caller.session.as_ref())?,
            source_identity: source_identity(self, call)?,
        };
        let role = asked.authorise(&arn, record)?;
        let (session, principal) = asked.session(&role)?;
        let packed_policy_size = packed_percent(&session)?;
        let output = Self::Output {
            credentials: Some(credentials(call.region, &session)?),
            assumed_role_user: Some(sts::AssumedRoleUser {
                assumed_role_id: Some(principal.unique_id()),
                arn: Some(principal.to_string()),
            }),
            packed_policy_size,
            source_identity: Some(session.source_identity).filter(|text| !text.is_empty()),
        };
        let credentials = output.credentials.as_ref().map(shown);
        record.response(Parameters::of(&Self::Output { credentials, ..output.clone() }));
        Ok(output)
    }
}

/// A request, with what it and the caller's session say of the new one.
struct Asked<'a> {
    call: &'a QueryCall<'a>,
    request: &'a sts::AssumeRoleRequest,
    tags: BTreeMap<String, SessionTag>,
    source_identity: String,
}

impl Asked<'_> {
    /// The role, if the caller may take it on like that. What does not exist is denied in the same
    /// words as what does.
    fn authorise(&self, arn: &IamArn, record: &mut Record) -> Result<Arc<Role>, Fault> {
        let Caller { principal, session, .. } = &self.call.caller;
        let view = &self.call.view;
        let role = arn.role_name().and_then(|name| view.role_named(arn.account, name));
        let role = role.filter(|role| role.arn() == *arn);
        let shown = arn.to_string();
        let denied = || errors::access_denied_role(principal, ASSUME, &shown);
        let resource = |action| Resource {
            action,
            facts: facts(self.request, &self.source_identity),
            by_grant: None,
            asked: resolve::Asked::Role(shown.clone()),
            owner: Some(arn.account),
            found: role.cloned().map_or_else(|| Found::Absent(denied()), Found::Role),
        };
        let actions = [
            (ASSUME, true),
            (TAG, !self.tags.is_empty()),
            (SET_SOURCE, !self.source_identity.is_empty()),
        ];
        let wanted = actions.into_iter().filter(|(_, wanted)| *wanted);
        let mut resources: Vec<_> = wanted.map(|(action, _)| resource(action)).collect();
        let circumstances = Circumstances {
            view,
            region: self.call.region.name(),
            principal: Some(principal),
            session: session.as_ref(),
            sent: Sent::Request(self.call.request),
        };
        Authoriser::new(principal, circumstances).check(&mut resources, record)?;
        role.cloned().ok_or_else(|| denied().into())
    }

    /// The session, and who acts in it.
    fn session(&self, role: &Role) -> Result<(Session, Principal), Fault> {
        let (holder, principal) = holder(role, self.request)?;
        let seconds = self.seconds(role)?;
        let from = self.call.caller.session.as_ref();
        let beginning = Beginning::of(self.call);
        let session = Session {
            account: role.account,
            chained: self.call.caller.principal.role_id().is_some(),
            source_identity: self.source_identity.clone(),
            // What ends the session that this one is made from ends this one, too.
            provider: from.and_then(|session| session.provider.clone()),
            subject: from.map(|session| session.subject.clone()).unwrap_or_default(),
            policy: policy(self.request)?,
            managed: managed_policies(&self.call.view, self.request, role)?,
            tags: self.tags.clone(),
            ..beginning.session(holder, role.sessions_valid_after, seconds.into())?
        };
        Ok((session, principal))
    }

    fn seconds(&self, role: &Role) -> Result<u32, Fault> {
        let chained = self.call.caller.principal.role_id().is_some();
        if chained && self.request.duration_seconds() > CHAINED_SECONDS {
            return Err(messages::chained_session_too_long());
        }
        seconds(self.request, role)
    }
}

/// The source identity of the new session, which nobody changes once it is set; empty for none.
fn source_identity(
    request: &sts::AssumeRoleRequest,
    call: &QueryCall<'_>,
) -> Result<String, Fault> {
    let set = call.caller.session.as_ref().map_or("", |session| &session.source_identity);
    match request.source_identity.as_deref() {
        Some(asked) if !set.is_empty() && asked != set => {
            let principal = &call.caller.principal;
            Err(errors::access_denied_role(principal, SET_SOURCE, request.role_arn()).into())
        }
        asked => Ok(asked.unwrap_or(set).to_owned()),
    }
}
