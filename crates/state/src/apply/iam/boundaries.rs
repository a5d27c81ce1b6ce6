//! What bounds the permissions of users. That a boundary goes gives its user rights, but others may
//! have had rights on the user because of it.

use super::entity::{self, put_user};
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
