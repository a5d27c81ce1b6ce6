//! Managed policies on users, groups and roles.

use std::sync::Arc;

use keystead_api::iam;
use keystead_api::query::{Fault, messages};
use keystead_state::{ManagedPolicy, Permissions, proto};

use super::call::{Call, Described};
use super::listing::{Listing, paged};
use super::{Change, Operation, Query, entities, operation};
use crate::propose;

operation!(AttachUserPolicy: AttachUserPolicyRequest => AttachUserPolicyResponse, |this, call| {
    let arn = call.policy_fact(this.policy_arn());
    call.on_bounded_user(this.user_name()).fact("iam:PolicyARN", arn)
});
operation!(DetachUserPolicy: DetachUserPolicyRequest => DetachUserPolicyResponse, |this, call| {
    let arn = call.policy_fact(this.policy_arn());
    call.on_bounded_user(this.user_name()).fact("iam:PolicyARN", arn)
});
operation!(
    ListAttachedUserPolicies: ListAttachedUserPoliciesRequest => ListAttachedUserPoliciesResponse,
    |this, call| call.on_user(this.user_name())
);
operation!(AttachGroupPolicy: AttachGroupPolicyRequest => AttachGroupPolicyResponse, |this, call| {
    let arn = call.policy_fact(this.policy_arn());
    call.on_group(this.group_name()).fact("iam:PolicyARN", arn)
});
operation!(DetachGroupPolicy: DetachGroupPolicyRequest => DetachGroupPolicyResponse, |this, call| {
    let arn = call.policy_fact(this.policy_arn());
    call.on_group(this.group_name()).fact("iam:PolicyARN", arn)
});
operation!(
    ListAttachedGroupPolicies:
    ListAttachedGroupPoliciesRequest => ListAttachedGroupPoliciesResponse,
    |this, call| call.on_group(this.group_name())
);

operation!(AttachRolePolicy: AttachRolePolicyRequest => AttachRolePolicyResponse, |this, call| {
    let arn = call.policy_fact(this.policy_arn());
    call.on_bounded_role(this.role_name()).fact("iam:PolicyARN", arn)
});
operation!(DetachRolePolicy: DetachRolePolicyRequest => DetachRolePolicyResponse, |this, call| {
    let arn = call.policy_fact(this.policy_arn());
    call.on_bounded_role(this.role_name()).fact("iam:PolicyARN", arn)
});
operation!(
    ListAttachedRolePolicies: ListAttachedRolePoliciesRequest => ListAttachedRolePoliciesResponse,
    |this, call| call.on_role(this.role_name())
);

/// The operations of one kind of entity, which differ in how the entity is named and found.
macro_rules! attachments {
    ($name:ident, $reference:ident, $find:ident; $attach:ident $detach:ident $list:ident) => {
        impl Change for iam::$attach {
            fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
                let arn = self.policy_arn();
                call.on_policy(arn)?;
                let entity = Some(call.$reference(self.$name())?);
                let policy = call.policy_name(arn);
                let policy = policy.ok_or_else(|| messages::policy_not_attachable(arn))?;
                Ok(proto::AttachPolicy { entity, policy }.into())
            }
        }

        impl Change for iam::$detach {
            fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault> {
                call.on_policy(self.policy_arn())?;
                let entity = Some(call.$reference(self.$name())?);
                let policy = call.policy_ref(self.policy_arn())?.name;
                Ok(proto::DetachPolicy { entity, policy }.into())
            }
        }

        impl Query for iam::$list {
            fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault> {
                let entity = call.$find(self.$name())?;
                let (marker, max_items) = (self.marker.as_deref(), self.max_items);
                let listing = Listing::new(call, Self::OPERATION, entity.id, marker, max_items);
                let policies = attached(call, &entity.permissions)
                    .filter(|policy| policy.path.as_str().starts_with(self.path_prefix()));
                let page = listing.short(
                    policies,
                    |policy| policy.name.to_string(),
                    |policy| entities::attached(policy),
                )?;
                Ok(paged!(page, attached_policies))
            }
        }
    };
}

attachments! {
    user_name, user_ref, user;
    AttachUserPolicyRequest DetachUserPolicyRequest ListAttachedUserPoliciesRequest
}
attachments! {
    group_name, group_ref, group;
    AttachGroupPolicyRequest DetachGroupPolicyRequest ListAttachedGroupPoliciesRequest
}

attachments! {
    role_name, role_ref, role;
    AttachRolePolicyRequest DetachRolePolicyRequest ListAttachedRolePoliciesRequest
}

fn attached<'v>(
    call: Call<'v>,
    permissions: &'v Permissions,
) -> impl Iterator<Item = &'v Arc<ManagedPolicy>> {
    permissions.attached.iter().filter_map(move |id| call.view.managed_policy(id))
}
