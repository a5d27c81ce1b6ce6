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
use crate::authorise::Authoriser;
use crate::conditions::{Circumstances, Facts, Sent};
use crate::front::QueryCall;
use crate::resolve::{Asked, Found, Resource};
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
        let arn: IamArn =
            self.role_arn().parse().map_err(|_| messages::invalid_role_arn(self.role_arn()))?;
        if arn.role_name().is_none() {
            return Err(messages::invalid_role_arn(self.role_arn()));
        }
        if matches!(call.caller.principal, Principal::Root(_)) {
            return Err(messages::root_takes_no_role());
        }
        refuse_second_factor(self.serial_number.as_deref(), self.token_code.as_deref())?;
        let tags = self.session_tags(call.caller.session.as_ref())?;
        let source_identity = self.source_identity_of(call)?;
        let role = self.authorise(call, &arn, &tags, record)?;

        let seconds = self.seconds(call, &role)?;
        let name: SessionName =
            self.role_session_name().parse().map_err(|_| messages::internal())?;
        let holder = Holder::Role { id: role.id, session: name.clone() };
        let session = Session {
            account: role.account,
            chained: call.caller.principal.role_id().is_some(),
            source_identity,
            policy: self.checked_policy()?,
            managed: self.managed_policies(call, &role)?,
            tags,
            ..begun(call, holder, role.sessions_valid_after, seconds.into())?
        };
        let packed_policy_size = packed_percent(&session)?;
        let principal = Principal::Session {
            account: role.account,
            role: role.arn().friendly_name().into(),
            id: role.id.to_string().into(),
            session: name.as_str().into(),
        };
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

/// What is asked for, checked.
trait Asking {
    fn session_tags(&self, from: Option<&Session>) -> Result<BTreeMap<String, SessionTag>, Fault>;
    fn source_identity_of(&self, call: &QueryCall<'_>) -> Result<String, Fault>;
    fn authorise(
        &self,
        call: &QueryCall<'_>,
        arn: &IamArn,
        tags: &BTreeMap<String, SessionTag>,
        record: &mut Record,
    ) -> Result<Arc<Role>, Fault>;
    fn seconds(&self, call: &QueryCall<'_>, role: &Role) -> Result<u32, Fault>;
    fn checked_policy(&self) -> Result<String, Fault>;
    fn managed_policies(&self, call: &QueryCall<'_>, role: &Role) -> Result<Vec<PolicyId>, Fault>;
}

impl Asking for sts::AssumeRoleRequest {
    /// The tags of the new session: those asked for, and those that the caller's hands down.
    fn session_tags(&self, from: Option<&Session>) -> Result<BTreeMap<String, SessionTag>, Fault> {
        let mut tags: BTreeMap<String, SessionTag> = BTreeMap::new();
        let same = |tags: &BTreeMap<String, SessionTag>, key: &str| {
            tags.keys().any(|other| other.to_lowercase() == key.to_lowercase())
        };
        for tag in &self.tags {
            if same(&tags, tag.key()) {
                return Err(messages::repeated_session_tag());
            }
            let value = tag.value().to_owned();
            tags.insert(tag.key().to_owned(), SessionTag { value, transitive: false });
        }
        for key in &self.transitive_tag_keys {
            tags.get_mut(key).ok_or_else(messages::transitive_tag_absent)?.transitive = true;
        }
        let inherited = from.into_iter().flat_map(|session| &session.tags);
        for (key, tag) in inherited.filter(|(_, tag)| tag.transitive) {
            if same(&tags, key) {
                return Err(messages::transitive_tag_conflict());
            }
            tags.insert(key.clone(), tag.clone());
        }
        Ok(tags)
    }

    /// The source identity, which nobody changes once it is set.
    fn source_identity_of(&self, call: &QueryCall<'_>) -> Result<String, Fault> {
        let set = call.caller.session.as_ref().map_or("", |session| &session.source_identity);
        match self.source_identity.as_deref() {
            Some(asked) if !set.is_empty() && asked != set => {
                let principal = &call.caller.principal;
                Err(errors::access_denied_role(principal, SET_SOURCE, self.role_arn()).into())
            }
            Some(asked) => Ok(asked.to_owned()),
            None => Ok(set.to_owned()),
        }
    }

    /// The role, if the caller may take it on like that. What does not exist is denied in the same
    /// words as what does.
    fn authorise(
        &self,
        call: &QueryCall<'_>,
        arn: &IamArn,
        tags: &BTreeMap<String, SessionTag>,
        record: &mut Record,
    ) -> Result<Arc<Role>, Fault> {
        let name = arn.role_name().ok_or_else(messages::internal)?;
        let role = call.view.role_named(arn.account, name).filter(|role| role.arn() == *arn);
        let principal = &call.caller.principal;
        let shown = arn.to_string();
        let denied = |action| errors::access_denied_role(principal, action, &shown);
        let actions = [
            (ASSUME, true),
            (TAG, !tags.is_empty()),
            (SET_SOURCE, self.source_identity.is_some()),
        ];
        let resource = |action| Resource {
            action,
            facts: self.facts(),
            by_grant: None,
            asked: Asked::Role(shown.clone()),
            owner: Some(arn.account),
            found: role.map_or_else(
                || Found::Absent(denied(ASSUME)),
                |role| Found::Role(role.clone()),
            ),
        };
        let wanted = actions.into_iter().filter(|(_, wanted)| *wanted);
        let mut resources: Vec<_> = wanted.map(|(action, _)| resource(action)).collect();
        let circumstances = Circumstances {
            view: &call.view,
            region: call.region.name(),
            principal: Some(principal),
            session: call.caller.session.as_ref(),
            sent: Sent::Request(call.request),
        };
        Authoriser::new(principal, circumstances).check(&mut resources, record)?;
        role.cloned().ok_or_else(|| denied(ASSUME).into())
    }

    fn seconds(&self, call: &QueryCall<'_>, role: &Role) -> Result<u32, Fault> {
        let asked = self.duration_seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = asked.unwrap_or(DEFAULT_SECONDS);
        if call.caller.principal.role_id().is_some() && seconds > DEFAULT_SECONDS {
            return Err(messages::chained_session_too_long());
        }
        if seconds > role.max_session_seconds {
            return Err(messages::session_too_long());
        }
        Ok(seconds)
    }

    fn checked_policy(&self) -> Result<String, Fault> {
        let Some(text) = &self.policy else { return Ok(String::new()) };
        match Document::parse(Kind::Identity, text) {
            Ok(_) => Ok(text.clone()),
            Err(error) => Err(messages::malformed_policy(error)),
        }
    }

    /// The managed policies by their unique ids: one that is deleted ends the session, whatever gets
    /// its name afterwards.
    fn managed_policies(&self, call: &QueryCall<'_>, role: &Role) -> Result<Vec<PolicyId>, Fault> {
        let find = |named: &sts::PolicyDescriptorType| {
            let arn: IamArn = named.arn().parse().ok()?;
            let policy = call.view.managed_policy_at(&arn)?;
            (policy.account == role.account).then_some(policy.id)
        };
        let absent = |named: &sts::PolicyDescriptorType| {
            messages::session_policy_not_found(named.arn())
        };
        self.policy_arns.iter().map(|named| find(named).ok_or_else(|| absent(named))).collect()
    }
}

trait Stating {
    fn facts(&self) -> Facts<'_>;
}

impl Stating for sts::AssumeRoleRequest {
    /// What conditions may ask about the request.
    fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::default();
        facts.add("sts:RoleSessionName", self.role_session_name());
        facts.add("sts:ExternalId", self.external_id());
        facts.add("sts:SourceIdentity", self.source_identity());
        for key in &self.transitive_tag_keys {
            facts.add("sts:TransitiveTagKeys", key);
        }
        facts.set_tags(self.tags.iter().map(|tag| (tag.key(), tag.value())));
        facts
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
