//! IAM's messages by the names of their operations, made from JSON without validation.

use keystead_api::shape::{MemberShape, MessageShape};
use keystead_api::value::{Assign, Field, Members, Value as _};
use keystead_api::{Violations, Wire};
use serde_json::{Map, Value};

/// What a test does with the messages of each operation.
pub trait Visitor {
    /// Does it.
    fn operation<I, O>(&mut self, name: &'static str)
    where
        I: keystead_api::Message + PartialEq,
        O: keystead_api::Message + PartialEq;
}

macro_rules! operations {
    ($($name:ident $request:ident $response:ident,)+) => {
        /// Visits every operation.
        pub fn each_operation(visitor: &mut impl Visitor) {
            $(visitor.operation::<keystead_api::iam::$request, keystead_api::iam::$response>(
                stringify!($name),
            );)+
        }
    };
}

operations! {
    AddClientIDToOpenIDConnectProvider AddClientIdToOpenIdConnectProviderRequest AddClientIdToOpenIdConnectProviderResponse,
    AddUserToGroup AddUserToGroupRequest AddUserToGroupResponse,
    AttachGroupPolicy AttachGroupPolicyRequest AttachGroupPolicyResponse,
    AttachRolePolicy AttachRolePolicyRequest AttachRolePolicyResponse,
    AttachUserPolicy AttachUserPolicyRequest AttachUserPolicyResponse,
    CreateAccessKey CreateAccessKeyRequest CreateAccessKeyResponse,
    CreateGroup CreateGroupRequest CreateGroupResponse,
    CreateOpenIDConnectProvider CreateOpenIdConnectProviderRequest CreateOpenIdConnectProviderResponse,
    CreatePolicy CreatePolicyRequest CreatePolicyResponse,
    CreatePolicyVersion CreatePolicyVersionRequest CreatePolicyVersionResponse,
    CreateRole CreateRoleRequest CreateRoleResponse,
    CreateUser CreateUserRequest CreateUserResponse,
    DeleteAccessKey DeleteAccessKeyRequest DeleteAccessKeyResponse,
    DeleteGroup DeleteGroupRequest DeleteGroupResponse,
    DeleteGroupPolicy DeleteGroupPolicyRequest DeleteGroupPolicyResponse,
    DeleteOpenIDConnectProvider DeleteOpenIdConnectProviderRequest DeleteOpenIdConnectProviderResponse,
    DeletePolicy DeletePolicyRequest DeletePolicyResponse,
    DeletePolicyVersion DeletePolicyVersionRequest DeletePolicyVersionResponse,
    DeleteRole DeleteRoleRequest DeleteRoleResponse,
    DeleteRolePermissionsBoundary DeleteRolePermissionsBoundaryRequest DeleteRolePermissionsBoundaryResponse,
    DeleteRolePolicy DeleteRolePolicyRequest DeleteRolePolicyResponse,
    DeleteUser DeleteUserRequest DeleteUserResponse,
    DeleteUserPermissionsBoundary DeleteUserPermissionsBoundaryRequest DeleteUserPermissionsBoundaryResponse,
    DeleteUserPolicy DeleteUserPolicyRequest DeleteUserPolicyResponse,
    DetachGroupPolicy DetachGroupPolicyRequest DetachGroupPolicyResponse,
    DetachRolePolicy DetachRolePolicyRequest DetachRolePolicyResponse,
    DetachUserPolicy DetachUserPolicyRequest DetachUserPolicyResponse,
    GetAccessKeyLastUsed GetAccessKeyLastUsedRequest GetAccessKeyLastUsedResponse,
    GetGroup GetGroupRequest GetGroupResponse,
    GetGroupPolicy GetGroupPolicyRequest GetGroupPolicyResponse,
    GetOpenIDConnectProvider GetOpenIdConnectProviderRequest GetOpenIdConnectProviderResponse,
    GetPolicy GetPolicyRequest GetPolicyResponse,
    GetPolicyVersion GetPolicyVersionRequest GetPolicyVersionResponse,
    GetRole GetRoleRequest GetRoleResponse,
    GetRolePolicy GetRolePolicyRequest GetRolePolicyResponse,
    GetUser GetUserRequest GetUserResponse,
    GetUserPolicy GetUserPolicyRequest GetUserPolicyResponse,
    ListAccessKeys ListAccessKeysRequest ListAccessKeysResponse,
    ListAttachedGroupPolicies ListAttachedGroupPoliciesRequest ListAttachedGroupPoliciesResponse,
    ListAttachedRolePolicies ListAttachedRolePoliciesRequest ListAttachedRolePoliciesResponse,
    ListAttachedUserPolicies ListAttachedUserPoliciesRequest ListAttachedUserPoliciesResponse,
    ListEntitiesForPolicy ListEntitiesForPolicyRequest ListEntitiesForPolicyResponse,
    ListGroupPolicies ListGroupPoliciesRequest ListGroupPoliciesResponse,
    ListGroups ListGroupsRequest ListGroupsResponse,
    ListGroupsForUser ListGroupsForUserRequest ListGroupsForUserResponse,
    ListOpenIDConnectProviderTags ListOpenIdConnectProviderTagsRequest ListOpenIdConnectProviderTagsResponse,
    ListOpenIDConnectProviders ListOpenIdConnectProvidersRequest ListOpenIdConnectProvidersResponse,
    ListPolicies ListPoliciesRequest ListPoliciesResponse,
    ListPolicyTags ListPolicyTagsRequest ListPolicyTagsResponse,
    ListPolicyVersions ListPolicyVersionsRequest ListPolicyVersionsResponse,
    ListRolePolicies ListRolePoliciesRequest ListRolePoliciesResponse,
    ListRoleTags ListRoleTagsRequest ListRoleTagsResponse,
    ListRoles ListRolesRequest ListRolesResponse,
    ListUserPolicies ListUserPoliciesRequest ListUserPoliciesResponse,
    ListUserTags ListUserTagsRequest ListUserTagsResponse,
    ListUsers ListUsersRequest ListUsersResponse,
    PutGroupPolicy PutGroupPolicyRequest PutGroupPolicyResponse,
    PutRolePermissionsBoundary PutRolePermissionsBoundaryRequest PutRolePermissionsBoundaryResponse,
    PutRolePolicy PutRolePolicyRequest PutRolePolicyResponse,
    PutUserPermissionsBoundary PutUserPermissionsBoundaryRequest PutUserPermissionsBoundaryResponse,
    PutUserPolicy PutUserPolicyRequest PutUserPolicyResponse,
    RemoveClientIDFromOpenIDConnectProvider RemoveClientIdFromOpenIdConnectProviderRequest RemoveClientIdFromOpenIdConnectProviderResponse,
    RemoveUserFromGroup RemoveUserFromGroupRequest RemoveUserFromGroupResponse,
    SetDefaultPolicyVersion SetDefaultPolicyVersionRequest SetDefaultPolicyVersionResponse,
    TagOpenIDConnectProvider TagOpenIdConnectProviderRequest TagOpenIdConnectProviderResponse,
    TagPolicy TagPolicyRequest TagPolicyResponse,
    TagRole TagRoleRequest TagRoleResponse,
    TagUser TagUserRequest TagUserResponse,
    UntagOpenIDConnectProvider UntagOpenIdConnectProviderRequest UntagOpenIdConnectProviderResponse,
    UntagPolicy UntagPolicyRequest UntagPolicyResponse,
    UntagRole UntagRoleRequest UntagRoleResponse,
    UntagUser UntagUserRequest UntagUserResponse,
    UpdateAccessKey UpdateAccessKeyRequest UpdateAccessKeyResponse,
    UpdateAssumeRolePolicy UpdateAssumeRolePolicyRequest UpdateAssumeRolePolicyResponse,
    UpdateGroup UpdateGroupRequest UpdateGroupResponse,
    UpdateOpenIDConnectProviderThumbprint UpdateOpenIdConnectProviderThumbprintRequest UpdateOpenIdConnectProviderThumbprintResponse,
    UpdateRole UpdateRoleRequest UpdateRoleResponse,
    UpdateRoleDescription UpdateRoleDescriptionRequest UpdateRoleDescriptionResponse,
    UpdateUser UpdateUserRequest UpdateUserResponse,
}

/// A message with these members, whether or not they are valid.
pub fn message<M: Members>(json: &Value) -> M {
    let mut message = M::default();
    for (index, MemberShape { name, .. }) in M::shape().members.iter().enumerate() {
        if let Some(value) = json.get(name) {
            message.assign(index, Filler(value)).unwrap();
        }
    }
    message
}

struct Filler<'a>(&'a Value);

impl Assign for Filler<'_> {
    type Error = serde_json::Error;

    fn member<F: Field>(
        self,
        shape: &'static MemberShape,
        field: &mut F,
    ) -> Result<(), serde_json::Error> {
        let mut violations = Violations::new(Wire::AwsJson);
        field.set(Some(F::Value::read(self.0, &shape.value, &mut violations)?));
        Ok(())
    }

    fn unknown(self) -> Result<(), serde_json::Error> {
        unreachable!("the shape has no more members")
    }
}

/// A JSON object with a value for each member of a shape.
pub fn object(
    shape: &'static MessageShape,
    value: &mut dyn FnMut(&'static MemberShape) -> Value,
) -> Value {
    let members = shape.members.iter().map(|member| (member.name.to_owned(), value(member)));
    Value::Object(members.collect::<Map<_, _>>())
}
