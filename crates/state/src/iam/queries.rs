//! What the server asks a View about IAM.

use std::ops::Bound;
use std::sync::Arc;

use keystead_types::{
    AccountId, GroupId, GroupName, IamArn, IamResource, Issuer, OidcProviderArn, OidcProviderId,
    PolicyId, PolicyName, RoleId, RoleName, UserId, UserName,
};

use super::{Group, ManagedPolicy, OidcProvider, Permissions, PolicyUse, Role, User};
use crate::model::{Credential, Policy};
use crate::view::View;

/// A policy and where it comes from, such as `user/alice/notes` or the ARN of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPolicy {
    /// Where it comes from.
    pub name: String,
    /// The document.
    pub policy: Arc<Policy>,
}

impl View {
    /// A user by its unique id.
    pub fn user(&self, id: &UserId) -> Option<&Arc<User>> {
        self.directory.users.get(*id)
    }

    /// A user by account and name, whose case does not matter.
    pub fn user_named(&self, account: AccountId, name: &UserName) -> Option<&Arc<User>> {
        self.directory.users.named(account, name.folded())
    }

    /// The users of an account whose names come after `after`, in order of their names without
    /// regard to case.
    pub fn users_of(
        &self,
        account: AccountId,
        after: Option<&UserName>,
    ) -> impl Iterator<Item = &Arc<User>> {
        self.directory.users.of(account, after.map(UserName::folded))
    }

    /// A role by its unique id.
    pub fn role(&self, id: &RoleId) -> Option<&Arc<Role>> {
        self.directory.roles.get(*id)
    }

    /// A role by account and name, whose case does not matter.
    pub fn role_named(&self, account: AccountId, name: &RoleName) -> Option<&Arc<Role>> {
        self.directory.roles.named(account, name.folded())
    }

    /// The roles of an account, as [`View::users_of`] lists users.
    pub fn roles_of(
        &self,
        account: AccountId,
        after: Option<&RoleName>,
    ) -> impl Iterator<Item = &Arc<Role>> {
        self.directory.roles.of(account, after.map(RoleName::folded))
    }

    /// A group by its unique id.
    pub fn group(&self, id: &GroupId) -> Option<&Arc<Group>> {
        self.directory.groups.get(*id)
    }

    /// A group by account and name, whose case does not matter.
    pub fn group_named(&self, account: AccountId, name: &GroupName) -> Option<&Arc<Group>> {
        self.directory.groups.named(account, name.folded())
    }

    /// The groups of an account, as [`View::users_of`] lists users.
    pub fn groups_of(
        &self,
        account: AccountId,
        after: Option<&GroupName>,
    ) -> impl Iterator<Item = &Arc<Group>> {
        self.directory.groups.of(account, after.map(GroupName::folded))
    }

    /// A managed policy by its unique id.
    pub fn managed_policy(&self, id: &PolicyId) -> Option<&Arc<ManagedPolicy>> {
        self.directory.policies.get(*id)
    }

    /// A managed policy by account and name, whose case does not matter.
    pub fn managed_policy_named(
        &self,
        account: AccountId,
        name: &PolicyName,
    ) -> Option<&Arc<ManagedPolicy>> {
        self.directory.policies.named(account, name.folded())
    }

    /// The managed policy of an ARN, path included.
    pub fn managed_policy_at(&self, arn: &IamArn) -> Option<&Arc<ManagedPolicy>> {
        let IamResource::Policy(name) = &arn.resource else { return None };
        self.managed_policy_named(arn.account, name).filter(|policy| policy.path == arn.path)
    }

    /// The managed policies of an account, as [`View::users_of`] lists users.
    pub fn managed_policies_of(
        &self,
        account: AccountId,
        after: Option<&PolicyName>,
    ) -> impl Iterator<Item = &Arc<ManagedPolicy>> {
        self.directory.policies.of(account, after.map(PolicyName::folded))
    }

    /// An OIDC provider by its unique id.
    pub fn oidc_provider(&self, id: &OidcProviderId) -> Option<&Arc<OidcProvider>> {
        self.directory.oidc_providers.get(*id)
    }

    /// The OIDC provider of an account for an issuer.
    pub fn oidc_provider_of(
        &self,
        account: AccountId,
        issuer: &Issuer,
    ) -> Option<&Arc<OidcProvider>> {
        self.directory.oidc_providers.named(account, issuer.shared())
    }

    /// The OIDC provider of an ARN.
    pub fn oidc_provider_at(&self, arn: &OidcProviderArn) -> Option<&Arc<OidcProvider>> {
        self.oidc_provider_of(arn.account, &arn.issuer)
    }

    /// The OIDC providers of an account, in order of their issuers.
    pub fn oidc_providers_of(
        &self,
        account: AccountId,
    ) -> impl Iterator<Item = &Arc<OidcProvider>> {
        self.directory.oidc_providers.of(account, None)
    }

    /// The OIDC providers of all accounts, in no order.
    pub fn oidc_providers(&self) -> impl Iterator<Item = &Arc<OidcProvider>> {
        self.directory.oidc_providers.all()
    }

    /// The members of a group, in order of their unique ids.
    pub fn members_of(&self, group: &GroupId) -> impl Iterator<Item = &Arc<User>> {
        let group = *group;
        self.directory
            .members
            .range((Bound::Included((group, UserId::LEAST)), Bound::Unbounded))
            .take_while(move |(of, _)| *of == group)
            .filter_map(|(_, user)| self.directory.users.get(*user))
    }

    /// Who has a managed policy attached or as a boundary: users, groups, bounded users, roles,
    /// bounded roles, each in order of their unique ids.
    pub fn entities_of(&self, policy: &PolicyId) -> impl Iterator<Item = PolicyUse> {
        let policy = *policy;
        self.directory
            .uses
            .range((Bound::Included((policy, PolicyUse::User(UserId::LEAST))), Bound::Unbounded))
            .take_while(move |(of, _)| *of == policy)
            .map(|(_, entity)| *entity)
    }

    /// The access keys of a user or, where there is none, of the account's root, in order.
    pub fn access_keys_of(
        &self,
        account: AccountId,
        user: Option<&UserId>,
    ) -> impl Iterator<Item = &Arc<Credential>> {
        let owner = (account, user.copied());
        let start = (owner.0, owner.1, keystead_types::AccessKeyId::least());
        self.directory
            .access_keys
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(account, user, _)| (*account, *user) == owner)
            .filter_map(|(_, _, id)| self.credentials.get(id))
    }

    /// The identity policies that a user is judged by: its own inline ones, those attached to it,
    /// then the same of each of its groups.
    pub fn identity_policies(&self, user: &User) -> Vec<NamedPolicy> {
        let mut list = Vec::new();
        self.list_policies(&format!("user/{}", user.name), &user.permissions, &mut list);
        for group in user.groups.iter().filter_map(|id| self.group(id)) {
            self.list_policies(&format!("group/{}", group.name), &group.permissions, &mut list);
        }
        list
    }

    /// The identity policies that a session of a role is judged by: the role's inline ones, and
    /// those attached to it.
    pub fn role_policies(&self, role: &Role) -> Vec<NamedPolicy> {
        let mut list = Vec::new();
        self.list_policies(&format!("role/{}", role.name), &role.permissions, &mut list);
        list
    }

    /// The permissions boundary of a user or a role, by the id that stands in its record.
    pub fn boundary(&self, id: Option<PolicyId>) -> Option<NamedPolicy> {
        id.and_then(|id| self.managed_policy(&id)).map(|policy| in_force(policy))
    }

    /// The permissions boundary of a user.
    pub fn boundary_of(&self, user: &User) -> Option<NamedPolicy> {
        self.boundary(user.boundary)
    }

    fn list_policies(&self, of: &str, from: &Permissions, into: &mut Vec<NamedPolicy>) {
        into.extend(from.inline.iter().map(|(name, policy)| NamedPolicy {
            name: format!("{of}/{name}"),
            policy: policy.clone(),
        }));
        let attached = from.attached.iter().filter_map(|id| self.managed_policy(id));
        into.extend(attached.map(|policy| in_force(policy)));
    }
}

/// What a managed policy says now.
pub(crate) fn in_force(policy: &ManagedPolicy) -> NamedPolicy {
    let name = policy.arn().to_string();
    NamedPolicy { name, policy: policy.default_version().policy.clone() }
}
