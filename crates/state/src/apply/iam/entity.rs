//! The entities that a command names: found, and as fresh as its authorisation.

use keystead_types::{AccountId, GroupName, Issuer, PolicyName, RoleName, UserName};

use super::{account, parse, refuse_stale};
use crate::apply::Refusal;
use crate::iam::{Group, ManagedPolicy, OidcProvider, Permissions, Role, User};
use crate::limits::{GROUP_INLINE_SIZE, ROLE_INLINE_SIZE, USER_INLINE_SIZE};
use crate::proto::{EntityKind, EntityRef, Reason};
use crate::transition::Transition;

/// A user, by the account and name of a command.
pub(super) fn user(
    next: &Transition<'_>,
    at: u64,
    owner: u64,
    name: &str,
) -> Result<User, Refusal> {
    let name: UserName = parse(name)?;
    let user = next.view.user_named(account(next, owner)?, &name).ok_or(Reason::UserNotFound)?;
    refuse_stale(user.rights_removed_at, at)?;
    Ok(User::clone(user))
}

/// A group, by the account and name of a command.
pub(super) fn group(
    next: &Transition<'_>,
    at: u64,
    owner: u64,
    name: &str,
) -> Result<Group, Refusal> {
    let name: GroupName = parse(name)?;
    let group = next.view.group_named(account(next, owner)?, &name).ok_or(Reason::GroupNotFound)?;
    refuse_stale(group.rights_removed_at, at)?;
    Ok(Group::clone(group))
}

/// A role, by the account and name of a command.
pub(super) fn role(
    next: &Transition<'_>,
    at: u64,
    owner: u64,
    name: &str,
) -> Result<Role, Refusal> {
    let name: RoleName = parse(name)?;
    let role = next.view.role_named(account(next, owner)?, &name).ok_or(Reason::RoleNotFound)?;
    refuse_stale(role.rights_removed_at, at)?;
    Ok(Role::clone(role))
}

/// An OIDC provider, by the account and issuer of a command.
pub(super) fn oidc_provider(
    next: &Transition<'_>,
    at: u64,
    owner: u64,
    issuer: &str,
) -> Result<OidcProvider, Refusal> {
    let issuer: Issuer = parse(issuer)?;
    let provider = next
        .view
        .oidc_provider_of(account(next, owner)?, &issuer)
        .ok_or(Reason::OidcProviderNotFound)?;
    refuse_stale(provider.rights_removed_at, at)?;
    Ok(OidcProvider::clone(provider))
}

/// A managed policy, by the account and name of a command.
pub(super) fn managed_policy(
    next: &Transition<'_>,
    at: u64,
    owner: u64,
    name: &str,
) -> Result<ManagedPolicy, Refusal> {
    let name: PolicyName = parse(name)?;
    let policy = next
        .view
        .managed_policy_named(account(next, owner)?, &name)
        .ok_or(Reason::ManagedPolicyNotFound)?;
    refuse_stale(policy.rights_removed_at, at)?;
    Ok(ManagedPolicy::clone(policy))
}

/// What can have policies.
pub(super) enum Holder {
    User(User),
    Group(Group),
    Role(Role),
}

impl Holder {
    /// The user, group or role that a command names.
    pub(super) fn find(
        next: &Transition<'_>,
        at: u64,
        entity: Option<&EntityRef>,
    ) -> Result<Self, Refusal> {
        let entity = entity.ok_or(Reason::Malformed)?;
        match entity.kind() {
            EntityKind::User => user(next, at, entity.account, &entity.name).map(Self::User),
            EntityKind::Group => group(next, at, entity.account, &entity.name).map(Self::Group),
            EntityKind::Role => role(next, at, entity.account, &entity.name).map(Self::Role),
            EntityKind::ManagedPolicy | EntityKind::OidcProvider | EntityKind::Unspecified => {
                Err(Reason::Malformed.into())
            }
        }
    }

    pub(super) fn account(&self) -> AccountId {
        match self {
            Self::User(user) => user.account,
            Self::Group(group) => group.account,
            Self::Role(role) => role.account,
        }
    }

    pub(super) fn permissions(&mut self) -> &mut Permissions {
        match self {
            Self::User(user) => &mut user.permissions,
            Self::Group(group) => &mut group.permissions,
            Self::Role(role) => &mut role.permissions,
        }
    }

    /// What its inline policies may be in size together.
    pub(super) fn inline_limit(&self) -> usize {
        match self {
            Self::User(_) => USER_INLINE_SIZE,
            Self::Group(_) => GROUP_INLINE_SIZE,
            Self::Role(_) => ROLE_INLINE_SIZE,
        }
    }

    /// Puts it back, changed.
    pub(super) fn put(self, next: &mut Transition<'_>) {
        match self {
            Self::User(user) => put_user(next, user),
            Self::Group(group) => put_group(next, group),
            Self::Role(role) => put_role(next, role),
        }
    }
}

pub(super) fn put_user(next: &mut Transition<'_>, user: User) {
    next.put_user(User { rights_removed_at: next.index(), ..user });
}

pub(super) fn put_group(next: &mut Transition<'_>, group: Group) {
    next.put_group(Group { rights_removed_at: next.index(), ..group });
}

pub(super) fn put_role(next: &mut Transition<'_>, role: Role) {
    next.put_role(Role { rights_removed_at: next.index(), ..role });
}

pub(super) fn put_oidc_provider(next: &mut Transition<'_>, provider: OidcProvider) {
    next.put_oidc_provider(OidcProvider { rights_removed_at: next.index(), ..provider });
}

pub(super) fn put_managed_policy(next: &mut Transition<'_>, policy: ManagedPolicy) {
    next.put_managed_policy(ManagedPolicy { rights_removed_at: next.index(), ..policy });
}
