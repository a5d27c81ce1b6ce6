//! The life of a user.

use std::collections::BTreeSet;

use keystead_types::{UnixMillis, UserId, UserName};

use super::entity::{self, put_user};
use super::{Execution, account, done, parse, tags};
use crate::iam::{Permissions, User};
use crate::limits::USERS_PER_ACCOUNT;
use crate::proto::{self, EntityRef, Reason};
use crate::transition::Transition;

pub(crate) fn create(next: &mut Transition<'_>, at: u64, op: &proto::CreateUser) -> Execution {
    let id: UserId = parse(&op.user_id)?;
    let (path, name): (_, UserName) = (parse(&op.path)?, parse(&op.name)?);
    let account = account(next, op.account)?;
    if next.view.user_named(account, &name).is_some() {
        return Err(Reason::UserExists.into());
    }
    if next.view.user(&id).is_some() {
        return Err(Reason::UniqueIdExists.into());
    }
    if next.view.directory.users.count(account) >= USERS_PER_ACCOUNT {
        return Err(Reason::UserLimit.into());
    }
    let boundary = match op.boundary.as_str() {
        "" => None,
        policy => Some(entity::managed_policy(next, at, op.account, policy)?.id),
    };
    let user = User {
        id,
        account,
        path,
        name,
        created: next.view.clock,
        tags: tags::initial(&op.tags)?,
        permissions: Permissions::default(),
        boundary,
        groups: BTreeSet::new(),
        rights_removed_at: 0,
        sessions_valid_after: UnixMillis(0),
    };
    put_user(next, user);
    Ok(done())
}

pub(super) fn update(
    next: &mut Transition<'_>,
    at: u64,
    entity: &EntityRef,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Execution {
    let mut user = entity::user(next, at, entity.account, &entity.name)?;
    if let Some(name) = new_name {
        user.name = parse(name)?;
    }
    if let Some(path) = new_path {
        user.path = parse(path)?;
    }
    if next.view.user_named(user.account, &user.name).is_some_and(|other| other.id != user.id) {
        return Err(Reason::UserExists.into());
    }
    put_user(next, user);
    Ok(done())
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, entity: &EntityRef) -> Execution {
    let user = entity::user(next, at, entity.account, &entity.name)?;
    if next.view.access_keys_of(user.account, Some(&user.id)).next().is_some() {
        return Err(Reason::UserHasAccessKeys.into());
    }
    if !user.permissions.inline.is_empty() {
        return Err(Reason::HasInlinePolicies.into());
    }
    if !user.permissions.attached.is_empty() {
        return Err(Reason::HasAttachedPolicies.into());
    }
    if !user.groups.is_empty() {
        return Err(Reason::UserInGroups.into());
    }
    next.remove_user(&user);
    Ok(done())
}
