//! What a request to take on a role says of the session, however it says who asks.

use std::collections::BTreeMap;

use keystead_api::query::{Fault, messages};
use keystead_api::sts;
use keystead_policy::{Document, Kind};
use keystead_state::{Role, View};
use keystead_types::{PolicyId, Principal, SessionName};

use crate::conditions::Facts;
use crate::sessions::{Holder, MAX_PACKED_BYTES, Session, SessionTag};

/// How long a session lasts, in seconds, unless the request says otherwise.
const DEFAULT_SECONDS: u32 = 3600;

/// What must be allowed besides where the session gets tags.
pub(super) const TAG: &str = "sts:TagSession";
/// What must be allowed besides where it gets a source identity.
pub(super) const SET_SOURCE: &str = "sts:SetSourceIdentity";

/// What conditions may ask about the request.
pub(super) fn facts<'a>(
    request: &'a sts::AssumeRoleRequest,
    source_identity: &'a str,
) -> Facts<'a> {
    let mut facts = Facts::default();
    facts.add("sts:RoleSessionName", request.role_session_name());
    facts.add("sts:ExternalId", request.external_id());
    facts.add("sts:SourceIdentity", source_identity);
    for key in &request.transitive_tag_keys {
        facts.add("sts:TransitiveTagKeys", key);
    }
    facts.set_tags(request.tags.iter().map(|tag| (tag.key(), tag.value())));
    facts
}

/// Who acts in the session.
pub(super) fn holder(
    role: &Role,
    request: &sts::AssumeRoleRequest,
) -> Result<(Holder, Principal), Fault> {
    let name = request.role_session_name();
    let session: SessionName = name.parse().map_err(|_| messages::internal())?;
    let principal = Principal::Session {
        account: role.account,
        role: role.arn().friendly_name().into(),
        id: role.id.to_string().into(),
        session: session.as_str().into(),
    };
    Ok((Holder::Role { id: role.id, session }, principal))
}

/// How long it lasts.
pub(super) fn seconds(request: &sts::AssumeRoleRequest, role: &Role) -> Result<u32, Fault> {
    let asked = request.duration_seconds.and_then(|seconds| u32::try_from(seconds).ok());
    let seconds = asked.unwrap_or(DEFAULT_SECONDS);
    if seconds > role.max_session_seconds {
        return Err(messages::session_too_long());
    }
    Ok(seconds)
}

/// The text of the policy that narrows it; empty if there is none.
pub(super) fn policy(request: &sts::AssumeRoleRequest) -> Result<String, Fault> {
    let Some(text) = &request.policy else { return Ok(String::new()) };
    match Document::parse(Kind::Identity, text) {
        Ok(_) => Ok(text.clone()),
        Err(error) => Err(messages::malformed_policy(error)),
    }
}

/// The managed policies that narrow it, by their unique ids: one that is deleted ends the session,
/// whatever gets its name afterwards.
pub(super) fn managed_policies(
    view: &View,
    request: &sts::AssumeRoleRequest,
    role: &Role,
) -> Result<Vec<PolicyId>, Fault> {
    let find = |named: &sts::PolicyDescriptorType| {
        let policy = view.managed_policy_at(&named.arn().parse().ok()?)?;
        (policy.account == role.account).then_some(policy.id)
    };
    let absent =
        |named: &sts::PolicyDescriptorType| messages::session_policy_not_found(named.arn());
    let named = request.policy_arns.iter();
    named.map(|named| find(named).ok_or_else(|| absent(named))).collect()
}

/// The tags of the new session: those asked for, and those that the caller's hands down.
pub(super) fn session_tags(
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

/// How much of the room for policies and tags is used, in percent rounded up; none if nothing is.
pub(super) fn packed_percent(session: &Session) -> Result<Option<i32>, Fault> {
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
