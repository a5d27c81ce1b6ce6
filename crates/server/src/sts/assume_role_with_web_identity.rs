//! AssumeRoleWithWebIdentity: temporary credentials of a session of a role, for somebody for whom an
//! OIDC provider answers. The one action that nobody signs: the token says who asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use keystead_api::query::{self as wire, Fault, STS_NAMESPACE, messages};
use keystead_api::sts;
use keystead_policy::{Caller, Verdict};
use keystead_state::{OidcProvider, Role, View};
use keystead_types::{IamArn, Principal};

use super::role_session::{
    SET_SOURCE, TAG, facts, holder, managed_policies, packed_percent, policy, seconds, session_tags,
};
use super::{Beginning, credentials, shown};
use crate::audit::{Parameters, Record};
use crate::conditions::{Circumstances, Sent};
use crate::front::{Attempted, OpenCall, WireRequest};
use crate::oidc::{Claims, Refused, Token};
use crate::pipeline::time_of;
use crate::question::Asker;
use crate::region::RegionServer;
use crate::resolve::{Asked, Found, Resource};
use crate::sessions::{Provider, Session, SessionTag};
use crate::throttle::Class;

/// The name on the wire.
pub(super) const OPERATION: &str = "AssumeRoleWithWebIdentity";

const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";

/// Carries the action out.
pub(super) fn handle<'a>(
    call: &'a OpenCall<'a>,
    record: &'a mut Record,
) -> BoxFuture<'a, Attempted> {
    Box::pin(async move {
        let input: sts::AssumeRoleWithWebIdentityRequest = wire::decode(call.form)?;
        record.parameters(Parameters::of(&sts::AssumeRoleWithWebIdentityRequest {
            web_identity_token: None,
            ..input.clone()
        }));
        let output = answer(call, &input, record)?;
        Ok(wire::encode(OPERATION, STS_NAMESPACE, call.id, &output))
    })
}

fn answer(
    call: &OpenCall<'_>,
    input: &sts::AssumeRoleWithWebIdentityRequest,
    record: &mut Record,
) -> Result<sts::AssumeRoleWithWebIdentityResponse, Fault> {
    let invalid = || messages::invalid_role_arn(input.role_arn());
    let arn: IamArn = input.role_arn().parse().map_err(|_| invalid())?;
    arn.role_name().ok_or_else(invalid)?;
    if input.provider_id.is_some() {
        return Err(messages::provider_id_not_taken());
    }
    let at = Place { region: call.region, view: &call.view, request: call.request };
    let identity = Identity::of(&at, input.web_identity_token(), &arn)?;
    record.web_identity(&identity.provider.arn(), &identity.audience, &identity.claims.subject);
    // From here on it is known whose account pays for the work.
    call.region.throttle.charge(arn.account, Class::Iam)?;
    let _admitted = call.region.throttle.admit(arn.account)?;
    let (session, principal) = identity.takes_on(&at, input, &arn, |why| record.decision(why))?;
    let packed_policy_size = packed_percent(&session)?;
    let output = sts::AssumeRoleWithWebIdentityResponse {
        credentials: Some(credentials(call.region, &session)?),
        subject_from_web_identity_token: Some(identity.claims.subject),
        assumed_role_user: Some(sts::AssumedRoleUser {
            assumed_role_id: Some(principal.unique_id()),
            arn: Some(principal.to_string()),
        }),
        packed_policy_size,
        provider: Some(identity.claims.issuer.url()),
        audience: Some(identity.audience),
        source_identity: Some(session.source_identity).filter(|text| !text.is_empty()),
    };
    let credentials = output.credentials.as_ref().map(shown);
    record.response(Parameters::of(&sts::AssumeRoleWithWebIdentityResponse {
        credentials,
        ..output.clone()
    }));
    Ok(output)
}

/// Where a token is shown.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) region: &'a RegionServer,
    pub(crate) view: &'a View,
    pub(crate) request: &'a WireRequest,
}

impl Place<'_> {
    /// The session of a role that begins with a token and is kept nowhere: for whoever shows the
    /// token with each request. It is named by the token's subject.
    pub(crate) fn session(self, token: &str, role: &IamArn) -> Result<Session, Fault> {
        let identity = Identity::of(&self, token, role)?;
        let input = sts::AssumeRoleWithWebIdentityRequest {
            role_arn: Some(role.to_string()),
            role_session_name: Some(session_name(&identity.claims.subject)),
            ..Default::default()
        };
        identity.takes_on(&self, &input, role, |_| {}).map(|(session, _)| session)
    }
}

/// The name that a subject gives a session: what names cannot hold is left out of it.
fn session_name(subject: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' };
    let name: String = subject.chars().take(64).map(fit).collect();
    if name.len() < 2 { format!("{name}--") } else { name }
}

/// Somebody for whom an OIDC provider answers.
struct Identity<'a> {
    provider: &'a Arc<OidcProvider>,
    claims: Claims,
    /// The client of the provider that the token is for.
    audience: String,
}

impl<'a> Identity<'a> {
    /// Whoever a token is of, if the account of the role takes the tokens of its issuer, and the
    /// token is good.
    fn of(at: &Place<'a>, token: &str, role: &IamArn) -> Result<Self, Fault> {
        let refused = |why: Refused| match why {
            Refused::Expired => messages::identity_token_expired(),
            other => messages::invalid_identity_token(other),
        };
        let token = Token::read(token).map_err(refused)?;
        let issuer = token.issuer().clone();
        let provider = at.view.oidc_provider_of(role.account, &issuer).ok_or_else(|| {
            let url = issuer.url();
            let text = format!("No OpenIDConnect provider found in your account for {url}");
            messages::invalid_identity_token(text)
        })?;
        let issuers = &at.region.issuers;
        let Some(keys) = issuers.keys(&issuer) else {
            issuers.want(&issuer);
            return Err(messages::issuer_keys_missing());
        };
        let now = at.request.time;
        let verified = token.verify(&keys, now, time_of(at.request, at.view));
        let claims = verified.map_err(|why| match why {
            // The issuer may have taken another key into use: clients come again for this error.
            Refused::UnknownKey if issuers.want(&issuer) => messages::issuer_keys_missing(),
            other => refused(other),
        })?;
        let audience = claims.audience(&provider.client_ids);
        let audience =
            audience.ok_or_else(|| messages::invalid_identity_token("Incorrect token audience"))?;
        let audience = audience.to_owned();
        Ok(Self { provider, claims, audience })
    }

    /// The session of a role, and who acts in it, if the role's trust policy allows it. What
    /// decided against it is told to `note`.
    fn takes_on(
        &self,
        at: &Place<'_>,
        input: &sts::AssumeRoleWithWebIdentityRequest,
        arn: &IamArn,
        note: impl FnMut(&Verdict<'_>),
    ) -> Result<(Session, Principal), Fault> {
        let request = self.request(input)?;
        let tags = session_tags(&request, None)?;
        let role = authorise(at, self, &request, arn, note)?;
        session(at, self, &request, tags, &role)
    }

    /// The request as one that is signed would say it: what the token says of the session is within
    /// the same limits.
    fn request(
        &self,
        input: &sts::AssumeRoleWithWebIdentityRequest,
    ) -> Result<sts::AssumeRoleRequest, Fault> {
        let claimed = self.claims.session().map_err(messages::invalid_identity_token)?;
        let tag = |(key, value)| sts::Tag { key: Some(key), value: Some(value) };
        let request = sts::AssumeRoleRequest {
            role_arn: input.role_arn.clone(),
            role_session_name: input.role_session_name.clone(),
            policy_arns: input.policy_arns.clone(),
            policy: input.policy.clone(),
            duration_seconds: input.duration_seconds,
            tags: claimed.tags.into_iter().map(tag).collect(),
            transitive_tag_keys: claimed.transitive,
            source_identity: claimed.source_identity,
            ..Default::default()
        };
        wire::check(&request)?;
        Ok(request)
    }
}

/// The role, if its trust policy lets this identity take it on like that. What does not exist is
/// denied in the same words as what does.
fn authorise(
    at: &Place<'_>,
    identity: &Identity<'_>,
    request: &sts::AssumeRoleRequest,
    arn: &IamArn,
    mut note: impl FnMut(&Verdict<'_>),
) -> Result<Arc<Role>, Fault> {
    let view = at.view;
    let role = arn.role_name().and_then(|name| view.role_named(arn.account, name));
    let role = role.filter(|role| role.arn() == *arn);
    let suspended = view.account(arn.account).is_none_or(|account| account.suspended);
    let Some(role) = role.filter(|_| !suspended) else {
        return Err(messages::web_identity_denied(ASSUME));
    };
    let provider = identity.provider.arn().to_string();
    let mut claims = identity.claims.conditions(&identity.audience);
    claims.push(("aws:FederatedProvider".to_owned(), provider.clone()));
    let circumstances = Circumstances {
        view,
        region: at.region.name(),
        principal: None,
        session: None,
        sent: Sent::Request(at.request),
    };
    let asker = Asker::outsider(Caller::federated_provider(&provider), circumstances);
    let actions = [
        (ASSUME, true),
        (TAG, !request.tags.is_empty()),
        (SET_SOURCE, request.source_identity.is_some()),
    ];
    for (action, _) in actions.into_iter().filter(|(_, wanted)| *wanted) {
        let mut facts = facts(request, request.source_identity());
        facts.set_claims(&claims);
        let resource = Resource {
            action,
            facts,
            by_grant: None,
            asked: Asked::Role(arn.to_string()),
            owner: Some(arn.account),
            found: Found::Role(role.clone()),
        };
        let allowed = asker.ask(&resource, |question| match question.decide() {
            Verdict::Allow { .. } => true,
            denied => {
                note(&denied);
                false
            }
        });
        if allowed != Some(true) {
            return Err(messages::web_identity_denied(action));
        }
    }
    Ok(role.clone())
}

/// The session, and who acts in it.
fn session(
    at: &Place<'_>,
    identity: &Identity<'_>,
    request: &sts::AssumeRoleRequest,
    tags: BTreeMap<String, SessionTag>,
    role: &Role,
) -> Result<(Session, Principal), Fault> {
    let (holder, principal) = holder(role, request)?;
    let beginning = Beginning {
        region: at.region,
        view: at.view,
        now: time_of(at.request, at.view),
        account: role.account,
        issuer: None,
    };
    let provider = identity.provider;
    let seconds = seconds(request, role)?;
    let session = Session {
        source_identity: request.source_identity().to_owned(),
        provider: Some(Provider { id: provider.id, arn: provider.arn() }),
        subject: identity.claims.subject.clone(),
        policy: policy(request)?,
        managed: managed_policies(at.view, request, role)?,
        tags,
        ..beginning.session(holder, role.sessions_valid_after, seconds.into())?
    };
    Ok((session, principal))
}
