//! Entities as replies show them.

use keystead_api::query::encode_document;
use keystead_api::{Timestamp, iam};
use keystead_state::{Group, ManagedPolicy, PolicyUse, PolicyVersion, Role, User, View};
use keystead_types::{PolicyId, UnixMillis};

use super::tags;
use crate::naming;

/// A point in time, in whole seconds as IAM has them.
pub(super) fn time(time: UnixMillis) -> Option<Timestamp> {
    Some(Timestamp { nanos: 0, ..crate::convert::timestamp(time) })
}

/// A user in a list.
pub(super) fn user(user: &User) -> iam::User {
    iam::User {
        path: Some(user.path.to_string()),
        user_name: Some(user.name.to_string()),
        user_id: Some(user.id.to_string()),
        arn: Some(user.arn().to_string()),
        create_date: time(user.created),
        ..Default::default()
    }
}

/// A user with its tags and its boundary.
pub(super) fn whole_user(view: &View, shown: &User) -> iam::User {
    iam::User {
        permissions_boundary: boundary(view, shown.boundary),
        tags: tags::shown(&shown.tags),
        ..user(shown)
    }
}

/// A role in a list.
pub(super) fn role(view: &View, role: &Role) -> iam::Role {
    iam::Role {
        path: Some(role.path.to_string()),
        role_name: Some(role.name.to_string()),
        role_id: Some(role.id.to_string()),
        arn: Some(role.arn().to_string()),
        create_date: time(role.created),
        assume_role_policy_document: Some(encode_document(&naming::shown(
            view,
            &role.trust_policy,
        ))),
        description: Some(role.description.to_string()).filter(|text| !text.is_empty()),
        max_session_duration: i32::try_from(role.max_session_seconds).ok(),
        ..Default::default()
    }
}

/// A role with its tags and its boundary.
pub(super) fn whole_role(view: &View, shown: &Role) -> iam::Role {
    iam::Role {
        permissions_boundary: boundary(view, shown.boundary),
        tags: tags::shown(&shown.tags),
        ..role(view, shown)
    }
}

fn boundary(view: &View, id: Option<PolicyId>) -> Option<iam::AttachedPermissionsBoundary> {
    let policy = view.managed_policy(&id?)?;
    Some(iam::AttachedPermissionsBoundary {
        permissions_boundary_type: Some(
            iam::PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy.into(),
        ),
        permissions_boundary_arn: Some(policy.arn().to_string()),
    })
}

/// A group.
pub(super) fn group(group: &Group) -> iam::Group {
    iam::Group {
        path: Some(group.path.to_string()),
        group_name: Some(group.name.to_string()),
        group_id: Some(group.id.to_string()),
        arn: Some(group.arn().to_string()),
        create_date: time(group.created),
    }
}

/// A managed policy in a list.
pub(super) fn policy(view: &View, policy: &ManagedPolicy) -> iam::Policy {
    let (boundaries, attachments): (Vec<_>, Vec<_>) =
        view.entities_of(&policy.id).partition(PolicyUse::is_boundary);
    iam::Policy {
        policy_name: Some(policy.name.to_string()),
        policy_id: Some(policy.id.to_string()),
        arn: Some(policy.arn().to_string()),
        path: Some(policy.path.to_string()),
        default_version_id: Some(format!("v{}", policy.default_version)),
        attachment_count: i32::try_from(attachments.len()).ok(),
        permissions_boundary_usage_count: i32::try_from(boundaries.len()).ok(),
        is_attachable: Some(true),
        create_date: time(policy.created),
        update_date: time(policy.updated),
        ..Default::default()
    }
}

/// A managed policy with its description and its tags.
pub(super) fn whole_policy(view: &View, shown: &ManagedPolicy) -> iam::Policy {
    let description = Some(shown.description.to_string()).filter(|text| !text.is_empty());
    iam::Policy { description, tags: tags::shown(&shown.tags), ..policy(view, shown) }
}

/// A version of a managed policy without its document.
pub(super) fn version(policy: &ManagedPolicy, version: &PolicyVersion) -> iam::PolicyVersion {
    iam::PolicyVersion {
        document: None,
        version_id: Some(format!("v{}", version.number)),
        is_default_version: Some(version.number == policy.default_version),
        create_date: time(version.created),
    }
}

/// A managed policy that is attached to something.
pub(super) fn attached(policy: &ManagedPolicy) -> iam::AttachedPolicy {
    iam::AttachedPolicy {
        policy_name: Some(policy.name.to_string()),
        policy_arn: Some(policy.arn().to_string()),
    }
}
