//! Between the records of IAM on disk and the model in memory.

use std::fmt::Display;
use std::str::FromStr;

use keystead_types::{AccountId, PolicyId, UnixMillis};
use prost::Message;

use super::{Group, ManagedPolicy, OidcProvider, Permissions, PolicyVersion, Role, User};
use crate::proto;
use crate::transition::Transition;

pub(crate) fn user(user: &User) -> Vec<u8> {
    proto::UserRecord {
        id: user.id.to_string(),
        account: user.account.number(),
        path: user.path.to_string(),
        name: user.name.to_string(),
        created_ms: user.created.0,
        tags: user.tags.clone(),
        inline_policies: inline(&user.permissions),
        attached_policies: texts(&user.permissions.attached),
        boundary: user.boundary.map(|id| id.to_string()).unwrap_or_default(),
        groups: texts(&user.groups),
        rights_removed_at: user.rights_removed_at,
        sessions_valid_after_ms: user.sessions_valid_after.0,
    }
    .encode_to_vec()
}

/// Puts a stored user into the View; `None` if the record makes no sense.
pub(crate) fn load_user(into: &mut Transition<'_>, record: proto::UserRecord) -> Option<()> {
    let permissions = read_permissions(into, record.inline_policies, &record.attached_policies)?;
    let user = User {
        id: record.id.parse().ok()?,
        account: AccountId::from_number(record.account)?,
        path: record.path.parse().ok()?,
        name: record.name.parse().ok()?,
        created: UnixMillis(record.created_ms),
        tags: record.tags,
        permissions,
        boundary: read_boundary(&record.boundary)?,
        groups: read_all(&record.groups)?,
        rights_removed_at: record.rights_removed_at,
        sessions_valid_after: UnixMillis(record.sessions_valid_after_ms),
    };
    into.put_user(user);
    Some(())
}

pub(crate) fn role(role: &Role) -> Vec<u8> {
    proto::RoleRecord {
        id: role.id.to_string(),
        account: role.account.number(),
        path: role.path.to_string(),
        name: role.name.to_string(),
        description: role.description.to_string(),
        max_session_seconds: role.max_session_seconds,
        trust_policy_id: role.trust_policy.id.to_vec(),
        inline_policies: inline(&role.permissions),
        attached_policies: texts(&role.permissions.attached),
        boundary: role.boundary.map(|id| id.to_string()).unwrap_or_default(),
        tags: role.tags.clone(),
        created_ms: role.created.0,
        rights_removed_at: role.rights_removed_at,
        sessions_valid_after_ms: role.sessions_valid_after.0,
    }
    .encode_to_vec()
}

/// Puts a stored role into the View; `None` if the record makes no sense.
pub(crate) fn load_role(into: &mut Transition<'_>, record: proto::RoleRecord) -> Option<()> {
    let permissions = read_permissions(into, record.inline_policies, &record.attached_policies)?;
    let trust_policy = into.shared_policy(&record.trust_policy_id)?;
    let role = Role {
        id: record.id.parse().ok()?,
        account: AccountId::from_number(record.account)?,
        path: record.path.parse().ok()?,
        name: record.name.parse().ok()?,
        description: record.description.into(),
        max_session_seconds: record.max_session_seconds,
        trust_policy: trust_policy.is_trust().then_some(trust_policy)?,
        created: UnixMillis(record.created_ms),
        tags: record.tags,
        permissions,
        boundary: read_boundary(&record.boundary)?,
        rights_removed_at: record.rights_removed_at,
        sessions_valid_after: UnixMillis(record.sessions_valid_after_ms),
    };
    into.put_role(role);
    Some(())
}

pub(crate) fn oidc_provider(provider: &OidcProvider) -> Vec<u8> {
    proto::OidcProviderRecord {
        id: provider.id.to_string(),
        account: provider.account.number(),
        issuer: provider.issuer.to_string(),
        client_ids: provider.client_ids.clone(),
        thumbprints: provider.thumbprints.clone(),
        tags: provider.tags.clone(),
        created_ms: provider.created.0,
        rights_removed_at: provider.rights_removed_at,
    }
    .encode_to_vec()
}

/// Puts a stored OIDC provider into the View; `None` if the record makes no sense.
pub(crate) fn load_oidc_provider(
    into: &mut Transition<'_>,
    record: proto::OidcProviderRecord,
) -> Option<()> {
    let provider = OidcProvider {
        id: record.id.parse().ok()?,
        account: AccountId::from_number(record.account)?,
        issuer: record.issuer.parse().ok()?,
        client_ids: record.client_ids,
        thumbprints: record.thumbprints,
        tags: record.tags,
        created: UnixMillis(record.created_ms),
        rights_removed_at: record.rights_removed_at,
    };
    into.put_oidc_provider(provider);
    Some(())
}

pub(crate) fn group(group: &Group) -> Vec<u8> {
    proto::GroupRecord {
        id: group.id.to_string(),
        account: group.account.number(),
        path: group.path.to_string(),
        name: group.name.to_string(),
        created_ms: group.created.0,
        inline_policies: inline(&group.permissions),
        attached_policies: texts(&group.permissions.attached),
        rights_removed_at: group.rights_removed_at,
    }
    .encode_to_vec()
}

/// Puts a stored group into the View; `None` if the record makes no sense.
pub(crate) fn load_group(into: &mut Transition<'_>, record: proto::GroupRecord) -> Option<()> {
    let permissions = read_permissions(into, record.inline_policies, &record.attached_policies)?;
    let group = Group {
        id: record.id.parse().ok()?,
        account: AccountId::from_number(record.account)?,
        path: record.path.parse().ok()?,
        name: record.name.parse().ok()?,
        created: UnixMillis(record.created_ms),
        permissions,
        rights_removed_at: record.rights_removed_at,
    };
    into.put_group(group);
    Some(())
}

pub(crate) fn managed_policy(policy: &ManagedPolicy) -> Vec<u8> {
    let version = |version: &PolicyVersion| proto::PolicyVersionRecord {
        number: version.number,
        policy_id: version.policy.id.to_vec(),
        created_ms: version.created.0,
    };
    proto::ManagedPolicyRecord {
        id: policy.id.to_string(),
        account: policy.account.number(),
        path: policy.path.to_string(),
        name: policy.name.to_string(),
        description: policy.description.to_string(),
        created_ms: policy.created.0,
        updated_ms: policy.updated.0,
        versions: policy.versions.iter().map(version).collect(),
        default_version: policy.default_version,
        latest_version: policy.latest_version,
        tags: policy.tags.clone(),
        rights_removed_at: policy.rights_removed_at,
    }
    .encode_to_vec()
}

/// Puts a stored managed policy into the View; `None` if the record makes no sense.
pub(crate) fn load_managed_policy(
    into: &mut Transition<'_>,
    record: proto::ManagedPolicyRecord,
) -> Option<()> {
    let version = |version: &proto::PolicyVersionRecord| {
        Some(PolicyVersion {
            number: version.number,
            policy: into.shared_policy(&version.policy_id)?,
            created: UnixMillis(version.created_ms),
        })
    };
    let policy = ManagedPolicy {
        id: record.id.parse().ok()?,
        account: AccountId::from_number(record.account)?,
        path: record.path.parse().ok()?,
        name: record.name.parse().ok()?,
        description: record.description.into(),
        created: UnixMillis(record.created_ms),
        updated: UnixMillis(record.updated_ms),
        versions: record.versions.iter().map(version).collect::<Option<_>>()?,
        default_version: record.default_version,
        latest_version: record.latest_version,
        tags: record.tags,
        rights_removed_at: record.rights_removed_at,
    };
    policy.version(policy.default_version)?;
    into.put_managed_policy(policy);
    Some(())
}

fn inline(permissions: &Permissions) -> Vec<proto::InlinePolicyRecord> {
    let record = |(name, policy): (&keystead_types::PolicyName, &std::sync::Arc<crate::Policy>)| {
        proto::InlinePolicyRecord { name: name.to_string(), policy_id: policy.id.to_vec() }
    };
    permissions.inline.iter().map(record).collect()
}

fn read_permissions(
    from: &Transition<'_>,
    inline: Vec<proto::InlinePolicyRecord>,
    attached: &[String],
) -> Option<Permissions> {
    let read = |record: proto::InlinePolicyRecord| {
        Some((record.name.parse().ok()?, from.shared_policy(&record.policy_id)?))
    };
    let inline = inline.into_iter().map(read).collect::<Option<_>>()?;
    Some(Permissions { inline, attached: read_all(attached)? })
}

/// The inner `None` is a user or a role without one.
#[allow(clippy::option_option, reason = "the outer one is a record that makes no sense")]
fn read_boundary(id: &str) -> Option<Option<PolicyId>> {
    if id.is_empty() { Some(None) } else { id.parse().ok().map(Some) }
}

fn texts<'a, T: Display + 'a>(ids: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    ids.into_iter().map(ToString::to_string).collect()
}

fn read_all<T: FromStr, C: FromIterator<T>>(texts: &[String]) -> Option<C> {
    texts.iter().map(|text| text.parse().ok()).collect()
}
