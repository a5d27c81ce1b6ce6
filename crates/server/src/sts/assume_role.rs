//! AssumeRole: temporary credentials of a session of a role.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_api::query::{Fault, messages};
use keystead_api::{messages as errors, sts};
use keystead_policy::{Document, Kind};
use keystead_state::Role;
use keystead_types::{IamArn, PolicyId, Principal, SessionName};

use super::{Operation, begun, credentials, refuse_second_factor, shown};
use crate::audit::{Parameters, Record};
use crate::authenticate::Caller;
use crate::authorise::Authoriser;
use crate::conditions::{Circumstances, Facts, Sent};
use crate::front::QueryCall;
use crate::resolve::{self, Found, Resource};
use crate::sessions::{Holder, MAX_PACKED_BYTES, Session, SessionTag};

/// How long a session lasts, in seconds, unless the request says otherwise; at most, if a session of
/// a role makes it.
const DEFAULT_SECONDS: u32 = 3600;

const ASSUME: &str = "sts:AssumeRole";
const TAG: &str = "sts:TagSession";
const SET_SOURCE: &str = "sts:SetSourceIdentity";

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
            credentials: Some(credentials(call, &session)?),
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
            facts: self.facts(),
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

    /// What conditions may ask about the request.
    fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::default();
        facts.add("sts:RoleSessionName", self.request.role_session_name());
        facts.add("sts:ExternalId", self.request.external_id());
        facts.add("sts:SourceIdentity", &self.source_identity);
        for key in &self.request.transitive_tag_keys {
            facts.add("sts:TransitiveTagKeys", key);
        }
        facts.set_tags(self.request.tags.iter().map(|tag| (tag.key(), tag.value())));
        facts
    }

    /// The session, and who acts in it.
    fn session(&self, role: &Role) -> Result<(Session, Principal), Fault> {
        let name: SessionName =
            self.request.role_session_name().parse().map_err(|_| messages::internal())?;
        let principal = Principal::Session {
            account: role.account,
            role: role.arn().friendly_name().into(),
            id: role.id.to_string().into(),
            session: name.as_str().into(),
        };
        let holder = Holder::Role { id: role.id, session: name };
        let seconds = self.seconds(role)?;
        let session = Session {
            account: role.account,
            chained: self.call.caller.principal.role_id().is_some(),
            source_identity: self.source_identity.clone(),
            policy: self.policy()?,
            managed: self.managed_policies(role)?,
            tags: self.tags.clone(),
            ..begun(self.call, holder, role.sessions_valid_after, seconds.into())?
        };
        Ok((session, principal))
    }

    fn seconds(&self, role: &Role) -> Result<u32, Fault> {
        let asked = self.request.duration_seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = asked.unwrap_or(DEFAULT_SECONDS);
        if self.call.caller.principal.role_id().is_some() && seconds > DEFAULT_SECONDS {
            return Err(messages::chained_session_too_long());
        }
        if seconds > role.max_session_seconds {
            return Err(messages::session_too_long());
        }
        Ok(seconds)
    }

    fn policy(&self) -> Result<String, Fault> {
        let Some(text) = &self.request.policy else { return Ok(String::new()) };
        match Document::parse(Kind::Identity, text) {
            Ok(_) => Ok(text.clone()),
            Err(error) => Err(messages::malformed_policy(error)),
        }
    }

    /// The managed policies by their unique ids: one that is deleted ends the session, whatever gets
    /// its name afterwards.
    fn managed_policies(&self, role: &Role) -> Result<Vec<PolicyId>, Fault> {
        let find = |named: &sts::PolicyDescriptorType| {
            let policy = self.call.view.managed_policy_at(&named.arn().parse().ok()?)?;
            (policy.account == role.account).then_some(policy.id)
        };
        let absent =
            |named: &sts::PolicyDescriptorType| messages::session_policy_not_found(named.arn());
        let named = self.request.policy_arns.iter();
        named.map(|named| find(named).ok_or_else(|| absent(named))).collect()
    }
}

/// The tags of the new session: those asked for, and those that the caller's hands down.
fn session_tags(
    request: &sts::AssumeRoleRequest,
    from: Option<&Session>,
) -> Result<BTreeMap<String, SessionTag>, Fault> {
    let mut tags: BTreeMap<String, SessionTag> = BTreeMap::new();
    let has = |tags: &BTreeMap<String, SessionTag>, key: &str| {
        tags.keys().any(|other| other.to_lowercase() == key.to_lowercase())
    };
    for tag in &request.tags {
        if has(&tags, tag.key()) {
            return Err(messages::repeated_session_tag());
        }
        let value = tag.value().to_owned();
        tags.insert(tag.key().to_owned(), SessionTag { value, transitive: false });
    }
    for key in &request.transitive_tag_keys {
        tags.get_mut(key).ok_or_else(messages::transitive_tag_absent)?.transitive = true;
    }
    let inherited = from.into_iter().flat_map(|session| &session.tags);
    for (key, tag) in inherited.filter(|(_, tag)| tag.transitive) {
        if has(&tags, key) {
            return Err(messages::transitive_tag_conflict());
        }
        tags.insert(key.clone(), tag.clone());
    }
    Ok(tags)
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

/// How much of the room for policies and tags is used, in percent rounded up; none if nothing is.
fn packed_percent(session: &Session) -> Result<Option<i32>, Fault> {
    if session.policy.is_empty() && session.managed.is_empty() && session.tags.is_empty() {
        return Ok(None);
    }
    let bytes = session.packed_bytes().unwrap_or(usize::MAX);
    let percent = bytes.saturating_mul(100).div_ceil(MAX_PACKED_BYTES);
    if bytes > MAX_PACKED_BYTES {
        return Err(messages::packed_policy_too_large(percent));
    }
    Ok(i32::try_from(percent).ok())
}
