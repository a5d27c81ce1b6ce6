//! IAM's operations: what each is authorised on, what it answers, what it proposes.
//!
//! The request message is the operation. One that only looks is a [`Query`], answered from the
//! request's View; one that changes something is a [`Change`], of which the state decides.

mod access_keys;
mod attachments;
mod call;
pub(crate) mod documents;
mod entities;
mod groups;
mod inline_policies;
mod listing;
mod names;
mod oidc_providers;
mod policies;
mod policy_versions;
mod proposal;
mod refusals;
mod roles;
mod run;
mod tags;
mod users;

use keystead_api::query::Fault;
use keystead_api::{Message, iam};
use keystead_state::proto::outcome;

use self::call::Call;
pub(crate) use self::proposal::Proposal;
use self::run::{change, query};
use crate::audit::Parameters;
use crate::front::Handler;
use crate::propose;
use crate::resolve::Resource;

/// What there is of every operation.
trait Operation: Message {
    /// The response message.
    type Output: Message;

    /// The name on the wire.
    const OPERATION: &'static str;
    /// The action that must be allowed.
    const ACTION: &'static str;

    /// What the action must be allowed on.
    fn target<'a>(&'a self, call: Call<'a>) -> Result<Resource<'a>, Fault>;

    /// What must be allowed besides, with its own action if it has one.
    fn further_target<'a>(&'a self, _call: Call<'a>) -> Option<Resource<'a>> {
        None
    }
}

/// An operation that changes nothing.
trait Query: Operation {
    /// The answer.
    fn answer(&self, call: Call<'_>) -> Result<Self::Output, Fault>;
}

/// An operation that changes the state.
trait Change: Operation {
    /// What is proposed. Whether entities exist is for the state to say, which remembers what
    /// came of the same request before.
    fn command(&self, call: Call<'_>) -> Result<propose::Operation, Fault>;

    /// The answer, from the first View that has the change.
    fn answer(&self, _call: Call<'_>, _outcome: &outcome::Result) -> Result<Self::Output, Fault> {
        Ok(Self::Output::default())
    }

    /// The audit record's `responseElements`: never a secret.
    fn record_response(_output: &Self::Output) -> Parameters {
        Parameters::none()
    }
}

/// Says what an operation is called, what its messages are and what it is authorised on.
macro_rules! operation {
    ($name:ident: $input:ident => $output:ident, |$this:ident, $call:ident| $target:expr
        $(, also |$also_this:ident, $also_call:ident| $also:expr)?) => {
        impl $crate::iam::Operation for keystead_api::iam::$input {
            type Output = keystead_api::iam::$output;

            const OPERATION: &'static str = stringify!($name);
            const ACTION: &'static str = concat!("iam:", stringify!($name));

            fn target<'a>(
                &'a self,
                $call: $crate::iam::call::Call<'a>,
            ) -> Result<$crate::resolve::Resource<'a>, keystead_api::query::Fault> {
                let $this = self;
                Ok($target)
            }

            $(fn further_target<'a>(
                &'a self,
                $also_call: $crate::iam::call::Call<'a>,
            ) -> Option<$crate::resolve::Resource<'a>> {
                let $also_this = self;
                $also
            })?
        }
    };
}
use operation;

macro_rules! table {
    (queries: $($query:ident)+; changes: $($change:ident)+;) => {
        /// Every operation by its name.
        pub(crate) const OPERATIONS: &[(&str, Handler)] = &[
            $((<iam::$query as Operation>::OPERATION, query::<iam::$query>),)+
            $((<iam::$change as Operation>::OPERATION, change::<iam::$change>),)+
        ];
    };
}

table! {
    queries:
        GetUserRequest
        ListUsersRequest
        ListUserTagsRequest
        ListAccessKeysRequest
        GetAccessKeyLastUsedRequest
        GetUserPolicyRequest
        ListUserPoliciesRequest
        ListAttachedUserPoliciesRequest
        GetRoleRequest
        ListRolesRequest
        ListRoleTagsRequest
        GetRolePolicyRequest
        ListRolePoliciesRequest
        ListAttachedRolePoliciesRequest
        GetOpenIdConnectProviderRequest
        ListOpenIdConnectProvidersRequest
        ListOpenIdConnectProviderTagsRequest
        GetGroupRequest
        ListGroupsRequest
        ListGroupsForUserRequest
        GetGroupPolicyRequest
        ListGroupPoliciesRequest
        ListAttachedGroupPoliciesRequest
        GetPolicyRequest
        ListPoliciesRequest
        ListPolicyTagsRequest
        ListEntitiesForPolicyRequest
        GetPolicyVersionRequest
        ListPolicyVersionsRequest;
    changes:
        CreateUserRequest
        UpdateUserRequest
        DeleteUserRequest
        TagUserRequest
        UntagUserRequest
        PutUserPermissionsBoundaryRequest
        DeleteUserPermissionsBoundaryRequest
        CreateAccessKeyRequest
        UpdateAccessKeyRequest
        DeleteAccessKeyRequest
        PutUserPolicyRequest
        DeleteUserPolicyRequest
        AttachUserPolicyRequest
        DetachUserPolicyRequest
        CreateRoleRequest
        UpdateRoleRequest
        UpdateRoleDescriptionRequest
        UpdateAssumeRolePolicyRequest
        DeleteRoleRequest
        TagRoleRequest
        UntagRoleRequest
        PutRolePermissionsBoundaryRequest
        DeleteRolePermissionsBoundaryRequest
        PutRolePolicyRequest
        DeleteRolePolicyRequest
        AttachRolePolicyRequest
        DetachRolePolicyRequest
        CreateOpenIdConnectProviderRequest
        DeleteOpenIdConnectProviderRequest
        AddClientIdToOpenIdConnectProviderRequest
        RemoveClientIdFromOpenIdConnectProviderRequest
        UpdateOpenIdConnectProviderThumbprintRequest
        TagOpenIdConnectProviderRequest
        UntagOpenIdConnectProviderRequest
        CreateGroupRequest
        UpdateGroupRequest
        DeleteGroupRequest
        AddUserToGroupRequest
        RemoveUserFromGroupRequest
        PutGroupPolicyRequest
        DeleteGroupPolicyRequest
        AttachGroupPolicyRequest
        DetachGroupPolicyRequest
        CreatePolicyRequest
        DeletePolicyRequest
        TagPolicyRequest
        UntagPolicyRequest
        CreatePolicyVersionRequest
        SetDefaultPolicyVersionRequest
        DeletePolicyVersionRequest;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_built() {
        let mut built: Vec<_> = OPERATIONS.iter().map(|(name, _)| *name).collect();
        built.sort_unstable();
        let known: Vec<_> = keystead_api::iam_operations().iter().map(|known| known.name).collect();
        assert_eq!(built, known);
    }
}
