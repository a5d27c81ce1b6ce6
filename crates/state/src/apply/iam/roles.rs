//! The life of a role. Its name and path never change.

use keystead_types::{RoleId, RoleName, UnixMillis};

use super::entity::{self, put_role};
use super::{Execution, account, done, parse, tags};
use crate::apply::policies;
use crate::iam::{Permissions, Role};
use crate::limits::{ROLE_SESSION_SECONDS, ROLES_PER_ACCOUNT};
use crate::proto::{self, EntityRef, Reason};
use crate::transition::Transition;

pub(crate) fn create(next: &mut Transition<'_>, at: u64, op: &proto::CreateRole) -> Execution {
    let id: RoleId = parse(&op.role_id)?;
    let (path, name): (_, RoleName) = (parse(&op.path)?, parse(&op.name)?);
    let account = account(next, op.account)?;
    if next.view.role_named(account, &name).is_some() {
        return Err(Reason::RoleExists.into());
    }
    if next.view.role(&id).is_some() {
        return Err(Reason::UniqueIdExists.into());
    }
    if next.view.directory.roles.count(account) >= ROLES_PER_ACCOUNT {
        return Err(Reason::RoleLimit.into());
    }
    let boundary = match op.boundary.as_str() {
        "" => None,
        policy => Some(entity::managed_policy(next, at, op.account, policy)?.id),
    };
    let (max_session_seconds, tags) = (duration(op.max_session_seconds)?, tags::initial(&op.tags)?);
    let trust_policy = policies::trust(next.view, &op.trust_policy)?;
    let role = Role {
        id,
        account,
        path,
        name,
        description: op.description.as_str().into(),
        max_session_seconds,
        trust_policy: next.share_policy(trust_policy),
        created: next.view.clock,
        tags,
        permissions: Permissions::default(),
        boundary,
        rights_removed_at: 0,
        sessions_valid_after: UnixMillis(0),
    };
    put_role(next, role);
    Ok(done())
}

pub(crate) fn update(next: &mut Transition<'_>, at: u64, op: &proto::UpdateRole) -> Execution {
    let mut role = entity::role(next, at, op.account, &op.role)?;
    if let Some(description) = &op.description {
        role.description = description.as_str().into();
    }
    if let Some(seconds) = op.max_session_seconds {
        role.max_session_seconds = duration(seconds)?;
    }
    put_role(next, role);
    Ok(done())
}

pub(crate) fn put_trust_policy(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::UpdateAssumeRolePolicy,
) -> Execution {
    let mut role = entity::role(next, at, op.account, &op.role)?;
    let trust_policy = policies::trust(next.view, &op.trust_policy)?;
    role.trust_policy = next.share_policy(trust_policy);
    put_role(next, role);
    Ok(done())
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, entity: &EntityRef) -> Execution {
    let role = entity::role(next, at, entity.account, &entity.name)?;
    if !role.permissions.inline.is_empty() {
        return Err(Reason::HasInlinePolicies.into());
    }
    if !role.permissions.attached.is_empty() {
        return Err(Reason::HasAttachedPolicies.into());
    }
    next.remove_role(&role);
    Ok(done())
}

fn duration(seconds: u32) -> Result<u32, Reason> {
    if ROLE_SESSION_SECONDS.contains(&seconds) { Ok(seconds) } else { Err(Reason::Malformed) }
}
