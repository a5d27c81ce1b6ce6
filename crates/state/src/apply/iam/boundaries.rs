//! What bounds the permissions of users and roles. That a boundary goes gives rights to who had it,
//! but others may have had rights on the user or the role because of it.

use super::entity::{self, put_role, put_user};
use super::{Execution, done};
use crate::proto;
use crate::transition::Transition;

pub(crate) fn put(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::PutPermissionsBoundary,
) -> Execution {
    let mut user = entity::user(next, at, op.account, &op.user)?;
    let policy = entity::managed_policy(next, at, op.account, &op.policy)?;
    if user.boundary.replace(policy.id) != Some(policy.id) {
        put_user(next, user);
    }
    Ok(done())
}

pub(crate) fn delete(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::DeletePermissionsBoundary,
) -> Execution {
    let mut user = entity::user(next, at, op.account, &op.user)?;
    if user.boundary.take().is_some() {
        put_user(next, user);
    }
    Ok(done())
}

pub(crate) fn put_of_role(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::PutRoleBoundary,
) -> Execution {
    let mut role = entity::role(next, at, op.account, &op.role)?;
    let policy = entity::managed_policy(next, at, op.account, &op.policy)?;
    if role.boundary.replace(policy.id) != Some(policy.id) {
        put_role(next, role);
    }
    Ok(done())
}

pub(crate) fn delete_of_role(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::DeleteRoleBoundary,
) -> Execution {
    let mut role = entity::role(next, at, op.account, &op.role)?;
    if role.boundary.take().is_some() {
        put_role(next, role);
    }
    Ok(done())
}
