//! The life of a group, and who is in it. Membership stands in the user's record.

use keystead_types::{GroupId, GroupName};

use super::entity::{self, put_group, put_user};
use super::{Execution, account, done, parse};
use crate::iam::{Group, Permissions};
use crate::limits::{GROUPS_PER_ACCOUNT, GROUPS_PER_USER};
use crate::proto::{self, EntityRef, Reason};
use crate::transition::Transition;

pub(crate) fn create(next: &mut Transition<'_>, op: &proto::CreateGroup) -> Execution {
    let id: GroupId = parse(&op.group_id)?;
    let (path, name): (_, GroupName) = (parse(&op.path)?, parse(&op.name)?);
    let account = account(next, op.account)?;
    if next.view.group_named(account, &name).is_some() {
        return Err(Reason::GroupExists.into());
    }
    if next.view.group(&id).is_some() {
        return Err(Reason::UniqueIdExists.into());
    }
    if next.view.directory.groups.count(account) >= GROUPS_PER_ACCOUNT {
        return Err(Reason::GroupLimit.into());
    }
    let (created, permissions) = (next.view.clock, Permissions::default());
    let group = Group { id, account, path, name, created, permissions, rights_removed_at: 0 };
    put_group(next, group);
    Ok(done())
}

pub(super) fn update(
    next: &mut Transition<'_>,
    at: u64,
    entity: &EntityRef,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Execution {
    let mut group = entity::group(next, at, entity.account, &entity.name)?;
    if let Some(name) = new_name {
        group.name = parse(name)?;
    }
    if let Some(path) = new_path {
        group.path = parse(path)?;
    }
    if next.view.group_named(group.account, &group.name).is_some_and(|other| other.id != group.id) {
        return Err(Reason::GroupExists.into());
    }
    put_group(next, group);
    Ok(done())
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, entity: &EntityRef) -> Execution {
    let group = entity::group(next, at, entity.account, &entity.name)?;
    if next.view.members_of(&group.id).next().is_some() {
        return Err(Reason::GroupHasMembers.into());
    }
    if !group.permissions.inline.is_empty() {
        return Err(Reason::HasInlinePolicies.into());
    }
    if !group.permissions.attached.is_empty() {
        return Err(Reason::HasAttachedPolicies.into());
    }
    next.remove_group(&group);
    Ok(done())
}

pub(crate) fn add_user(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::AddUserToGroup,
) -> Execution {
    let group = entity::group(next, at, op.account, &op.group)?;
    let mut user = entity::user(next, at, op.account, &op.user)?;
    if user.groups.insert(group.id) {
        if user.groups.len() > GROUPS_PER_USER {
            return Err(Reason::GroupsPerUserLimit.into());
        }
        put_user(next, user);
    }
    Ok(done())
}

pub(crate) fn remove_user(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::RemoveUserFromGroup,
) -> Execution {
    let group = entity::group(next, at, op.account, &op.group)?;
    let mut user = entity::user(next, at, op.account, &op.user)?;
    if user.groups.remove(&group.id) {
        put_user(next, user);
    }
    Ok(done())
}
