//! What the state's refusals mean to a caller.

use keystead_api::query::{Fault, messages};
use keystead_state::limits;
use keystead_state::proto::Reason;
use serde::Serialize;
use serde_json::Value;

/// The names in a request, by their members.
struct Names(Value);

impl Names {
    /// The first of these members that the request has.
    fn get(&self, members: &[&str]) -> &str {
        let found = members.iter().find_map(|member| self.0.get(member)?.as_str());
        found.unwrap_or_default()
    }

    fn user(&self) -> &str {
        self.get(&["UserName"])
    }

    fn group(&self) -> &str {
        self.get(&["GroupName"])
    }

    fn role(&self) -> &str {
        self.get(&["RoleName"])
    }

    fn policy(&self) -> &str {
        self.get(&["PolicyArn", "PermissionsBoundary"])
    }

    fn is_about_group(&self) -> bool {
        self.0.get("GroupName").is_some()
    }

    fn is_about_role(&self) -> bool {
        self.0.get("RoleName").is_some()
    }
}

/// The error that the caller of a request gets when the state says no.
pub(super) fn fault(reason: Reason, request: &impl Serialize) -> Fault {
    let names = Names(serde_json::to_value(request).unwrap_or_default());
    match reason {
        Reason::UserExists => messages::user_exists(names.get(&["NewUserName", "UserName"])),
        Reason::UserNotFound => messages::user_not_found(names.user()),
        Reason::UserHasAccessKeys => messages::has_access_keys(),
        Reason::UserInGroups | Reason::GroupHasMembers => messages::has_memberships(),
        Reason::GroupExists => messages::group_exists(names.get(&["NewGroupName", "GroupName"])),
        Reason::GroupNotFound => messages::group_not_found(names.group()),
        Reason::RoleExists => messages::role_exists(names.role()),
        Reason::RoleNotFound => messages::role_not_found(names.role()),
        Reason::OidcProviderExists => messages::oidc_provider_exists(names.get(&["Url"])),
        Reason::OidcProviderNotFound => {
            messages::oidc_provider_not_found(names.get(&["OpenIDConnectProviderArn"]))
        }
        Reason::PolicyMalformed => messages::malformed_policy("it is no trust policy"),
        Reason::PolicyPrincipal => messages::invalid_principal(),
        Reason::ManagedPolicyExists => messages::policy_exists(names.get(&["PolicyName"])),
        Reason::ManagedPolicyNotFound | Reason::PolicyNotAttached => {
            messages::policy_not_found(names.policy())
        }
        Reason::ManagedPolicyInUse => messages::policy_attached(),
        Reason::ManagedPolicyHasVersions => messages::policy_has_versions(),
        Reason::PolicyVersionNotFound => {
            messages::policy_version_not_found(names.policy(), names.get(&["VersionId"]))
        }
        Reason::PolicyVersionIsDefault => messages::default_version(),
        Reason::HasInlinePolicies => messages::has_inline_policies(),
        Reason::HasAttachedPolicies => messages::has_attached_policies(),
        Reason::InlinePolicyNotFound if names.is_about_group() => {
            messages::group_policy_not_found(names.get(&["PolicyName"]))
        }
        Reason::InlinePolicyNotFound if names.is_about_role() => {
            messages::role_policy_not_found(names.get(&["PolicyName"]))
        }
        Reason::InlinePolicyNotFound => messages::user_policy_not_found(names.get(&["PolicyName"])),
        Reason::DuplicateTagKeys => messages::duplicate_tags(),
        Reason::AccessKeyNotFound => messages::access_key_not_found(names.get(&["AccessKeyId"])),
        _ => limit(reason, &names),
    }
}

fn limit(reason: Reason, names: &Names) -> Fault {
    match reason {
        Reason::UserLimit => messages::quota_exceeded("UsersPerAccount", limits::USERS_PER_ACCOUNT),
        Reason::GroupLimit => {
            messages::quota_exceeded("GroupsPerAccount", limits::GROUPS_PER_ACCOUNT)
        }
        Reason::GroupsPerUserLimit => {
            messages::quota_exceeded("GroupsPerUser", limits::GROUPS_PER_USER)
        }
        Reason::RoleLimit => messages::quota_exceeded("RolesPerAccount", limits::ROLES_PER_ACCOUNT),
        Reason::OidcProviderLimit => messages::quota_exceeded(
            "OpenIdConnectProvidersPerAccount",
            limits::OIDC_PROVIDERS_PER_ACCOUNT,
        ),
        Reason::ClientIdLimit => messages::quota_exceeded(
            "ClientIdsPerOpenIdConnectProvider",
            limits::CLIENT_IDS_PER_PROVIDER,
        ),
        Reason::ManagedPolicyLimit => {
            messages::quota_exceeded("PoliciesPerAccount", limits::POLICIES_PER_ACCOUNT)
        }
        Reason::PolicyVersionLimit => messages::too_many_versions(limits::POLICY_VERSIONS),
        Reason::AttachmentLimit => {
            let quota = match (names.is_about_group(), names.is_about_role()) {
                (true, _) => "PoliciesPerGroup",
                (_, true) => "PoliciesPerRole",
                _ => "PoliciesPerUser",
            };
            messages::quota_exceeded(quota, limits::ATTACHED_POLICIES)
        }
        Reason::AccessKeyLimit => {
            messages::quota_exceeded("AccessKeysPerUser", limits::ACCESS_KEYS_PER_OWNER)
        }
        Reason::EntityTagLimit => messages::too_many_tags(),
        Reason::InlinePoliciesTooLong if names.is_about_group() => {
            let entity = format_args!("group {}", names.group());
            messages::inline_policies_too_large(entity, limits::GROUP_INLINE_SIZE)
        }
        Reason::InlinePoliciesTooLong if names.is_about_role() => {
            let entity = format_args!("role {}", names.role());
            messages::inline_policies_too_large(entity, limits::ROLE_INLINE_SIZE)
        }
        Reason::InlinePoliciesTooLong => {
            let entity = format_args!("user {}", names.user());
            messages::inline_policies_too_large(entity, limits::USER_INLINE_SIZE)
        }
        // No operation of IAM meets the others.
        _ => messages::internal(),
    }
}
