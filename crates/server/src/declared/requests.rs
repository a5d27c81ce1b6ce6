//! The requests of IAM that steps are made of, by the kind of entity.

use std::collections::BTreeMap;

use keystead_api::iam;

use super::step::{Entity, Kind};
use crate::iam::Proposal;

type Request = Box<dyn Proposal>;

/// A request of the same members for a user, a group or a role, whatever else has none of it.
macro_rules! of_holder {
    ($entity:expr; $user:ident $group:ident $role:ident { $($member:ident: $value:expr),* }) => {{
        let name = Some($entity.name.clone());
        match $entity.kind {
            Kind::Group => Box::new(iam::$group { group_name: name, $($member: $value),* }),
            Kind::Role => Box::new(iam::$role { role_name: name, $($member: $value),* }),
            Kind::User | Kind::Policy | Kind::Provider | Kind::Account => {
                Box::new(iam::$user { user_name: name, $($member: $value),* }) as Request
            }
        }
    }};
}

/// The same for a user or a role.
macro_rules! of_bounded {
    ($entity:expr; $user:ident $role:ident { $($member:ident: $value:expr),* }) => {{
        let name = Some($entity.name.clone());
        match $entity.kind {
            Kind::Role => Box::new(iam::$role { role_name: name, $($member: $value),* }),
            _ => Box::new(iam::$user { user_name: name, $($member: $value),* }) as Request,
        }
    }};
}

pub(super) fn put_inline(of: &Entity, name: &str, document: &str) -> Request {
    of_holder!(of; PutUserPolicyRequest PutGroupPolicyRequest PutRolePolicyRequest {
        policy_name: Some(name.to_owned()),
        policy_document: Some(document.to_owned())
    })
}

pub(super) fn delete_inline(of: &Entity, name: &str) -> Request {
    of_holder!(of; DeleteUserPolicyRequest DeleteGroupPolicyRequest DeleteRolePolicyRequest {
        policy_name: Some(name.to_owned())
    })
}

pub(super) fn attach(to: &Entity, policy_arn: String) -> Request {
    of_holder!(to; AttachUserPolicyRequest AttachGroupPolicyRequest AttachRolePolicyRequest {
        policy_arn: Some(policy_arn.clone())
    })
}

pub(super) fn detach(from: &Entity, policy_arn: String) -> Request {
    of_holder!(from; DetachUserPolicyRequest DetachGroupPolicyRequest DetachRolePolicyRequest {
        policy_arn: Some(policy_arn.clone())
    })
}

pub(super) fn put_boundary(of: &Entity, policy_arn: String) -> Request {
    of_bounded!(of; PutUserPermissionsBoundaryRequest PutRolePermissionsBoundaryRequest {
        permissions_boundary: Some(policy_arn)
    })
}

pub(super) fn delete_boundary(of: &Entity) -> Request {
    of_bounded!(of; DeleteUserPermissionsBoundaryRequest DeleteRolePermissionsBoundaryRequest {})
}

/// Tags of a user, a role or, by its ARN, a managed policy or a provider.
pub(super) fn tag(entity: &Entity, arn: Option<String>, set: &BTreeMap<String, String>) -> Request {
    let tags = tags(set);
    match arn {
        Some(_) if entity.kind == Kind::Provider => {
            let open_id_connect_provider_arn = arn;
            Box::new(iam::TagOpenIdConnectProviderRequest { open_id_connect_provider_arn, tags })
        }
        Some(_) => Box::new(iam::TagPolicyRequest { policy_arn: arn, tags }),
        None => of_bounded!(entity; TagUserRequest TagRoleRequest { tags: tags }),
    }
}

/// The other way round.
pub(super) fn untag(entity: &Entity, arn: Option<String>, tag_keys: Vec<String>) -> Request {
    match arn {
        Some(_) if entity.kind == Kind::Provider => {
            let open_id_connect_provider_arn = arn;
            let request =
                iam::UntagOpenIdConnectProviderRequest { open_id_connect_provider_arn, tag_keys };
            Box::new(request)
        }
        Some(_) => Box::new(iam::UntagPolicyRequest { policy_arn: arn, tag_keys }),
        None => of_bounded!(entity; UntagUserRequest UntagRoleRequest { tag_keys: tag_keys }),
    }
}

pub(super) fn delete(entity: &Entity) -> Request {
    of_holder!(entity; DeleteUserRequest DeleteGroupRequest DeleteRoleRequest {})
}

/// Tags as requests have them.
pub(super) fn tags(set: &BTreeMap<String, String>) -> Vec<iam::Tag> {
    let tag = |(key, value): (&String, &String)| iam::Tag {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    set.iter().map(tag).collect()
}
