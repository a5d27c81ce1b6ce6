//! Policies within users, groups and roles.

use keystead_api::iam;
use keystead_api::query::{Fault, encode_document, messages};
use keystead_state::{Permissions, proto};
use keystead_types::PolicyName;

use super::call::Call;
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, documents, names, operation};
use crate::propose;

operation!(PutUserPolicy: PutUserPolicyRequest => PutUserPolicyResponse, |this, call| {
    call.on_bounded_user(this.user_name())
});
operation!(GetUserPolicy: GetUserPolicyRequest => GetUserPolicyResponse, |this, call| {
    call.on_user(this.user_name())
});
operation!(ListUserPolicies: ListUserPoliciesRequest => ListUserPoliciesResponse, |this, call| {
    call.on_user(this.user_name())
});
operation!(DeleteUserPolicy: DeleteUserPolicyRequest => DeleteUserPolicyResponse, |this, call| {
    call.on_bounded_user(this.user_name())
});
operation!(PutGroupPolicy: PutGroupPolicyRequest => PutGroupPolicyResponse, |this, call| {
    call.on_group(this.group_name())
});
operation!(GetGroupPolicy: GetGroupPolicyRequest => GetGroupPolicyResponse, |this, call| {
    call.on_group(this.group_name())
});
operation!(ListGroupPolicies: ListGroupPoliciesRequest => ListGroupPoliciesResponse, |this, call| {
    call.on_group(this.group_name())
});
operation!(DeleteGroupPolicy: DeleteGroupPolicyRequest => DeleteGroupPolicyResponse, |this, call| {
    call.on_group(this.group_name())
});

operation!(PutRolePolicy: PutRolePolicyRequest => PutRolePolicyResponse, |this, call| {
    call.on_bounded_role(this.role_name())
});
operation!(GetRolePolicy: GetRolePolicyRequest => GetRolePolicyResponse, |this, call| {
    call.on_role(this.role_name())
});
operation!(ListRolePolicies: ListRolePoliciesRequest => ListRolePoliciesResponse, |this, call| {
    call.on_role(this.role_name())
});
operation!(DeleteRolePolicy: DeleteRolePolicyRequest => DeleteRolePolicyResponse, |this, call| {
    call.on_bounded_role(this.role_name())
});

/// The operations of one kind of entity, which differ in how the entity is named and found.
macro_rules! inline_policies {
    (
        $name:ident, $reference:ident, $find:ident, $not_found:path;
        $put:ident $get:ident $list:ident $delete:ident
    ) => {
        impl Change for iam::$put {
            fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
                let entity = Some(call.$reference(self.$name())?);
                let document = documents::checked(self.policy_document())?;
                let name = names::name::<PolicyName>(self.policy_name(), "policyName")?;
                Ok(proto::PutInlinePolicy { entity, name, document }.into())
            }
        }

        impl Query for iam::$get {
            fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
                let entity = call.$find(self.$name())?;
                let document = document(&entity.permissions, self.policy_name())
                    .ok_or_else(|| $not_found(self.policy_name()))?;
                Ok(Self::Output {
                    $name: Some(entity.name.to_string()),
                    policy_name: self.policy_name.clone(),
                    policy_document: Some(document),
                })
            }
        }

        impl Query for iam::$list {
            fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
                let entity = call.$find(self.$name())?;
                let (marker, max_items) = (self.marker.as_deref(), self.max_items);
                let listing = Listing::new(call, Self::OPERATION, entity.id, marker, max_items);
                let names = entity.permissions.inline.keys().map(ToString::to_string);
                Ok(paged!(listing.short(names, Clone::clone, |name| name)?, policy_names))
            }
        }

        impl Change for iam::$delete {
            fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
                let entity = Some(call.$reference(self.$name())?);
                let name = self.policy_name();
                let name =
                    names::name::<PolicyName>(name, "policyName").map_err(|_| $not_found(name))?;
                Ok(proto::DeleteInlinePolicy { entity, name }.into())
            }
        }
    };
}

inline_policies! {
    user_name, user_ref, user, messages::user_policy_not_found;
    PutUserPolicyRequest GetUserPolicyRequest ListUserPoliciesRequest DeleteUserPolicyRequest
}
inline_policies! {
    group_name, group_ref, group, messages::group_policy_not_found;
    PutGroupPolicyRequest GetGroupPolicyRequest ListGroupPoliciesRequest DeleteGroupPolicyRequest
}

inline_policies! {
    role_name, role_ref, role, messages::role_policy_not_found;
    PutRolePolicyRequest GetRolePolicyRequest ListRolePoliciesRequest DeleteRolePolicyRequest
}

/// A document of an entity, as replies have it.
fn document(permissions: &Permissions, name: &str) -> Option<String> {
    let policy = permissions.inline.get(&name.parse().ok()?)?;
    Some(encode_document(&policy.text))
}
