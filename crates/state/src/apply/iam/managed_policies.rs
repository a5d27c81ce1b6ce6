//! The life of a managed policy.

use keystead_types::{PolicyId, PolicyName};

use super::entity::{self, put_managed_policy};
use super::{Execution, account, done, parse, tags};
use crate::iam::{ManagedPolicy, PolicyVersion};
use crate::limits::POLICIES_PER_ACCOUNT;
use crate::proto::{self, EntityRef, Reason};
use crate::transition::Transition;

pub(crate) fn create(next: &mut Transition<'_>, op: &proto::CreateManagedPolicy) -> Execution {
    let id: PolicyId = parse(&op.policy_id)?;
    let (path, name): (_, PolicyName) = (parse(&op.path)?, parse(&op.name)?);
    if op.document.is_empty() {
        return Err(Reason::Malformed.into());
    }
    let account = account(next, op.account)?;
    if next.view.managed_policy_named(account, &name).is_some() {
        return Err(Reason::ManagedPolicyExists.into());
    }
    if next.view.managed_policy(&id).is_some() {
        return Err(Reason::UniqueIdExists.into());
    }
    if next.view.directory.policies.count(account) >= POLICIES_PER_ACCOUNT {
        return Err(Reason::ManagedPolicyLimit.into());
    }
    let (created, tags) = (next.view.clock, tags::initial(&op.tags)?);
    let first = PolicyVersion { number: 1, policy: next.policy(&op.document), created };
    let policy = ManagedPolicy {
        id,
        account,
        path,
        name,
        description: op.description.as_str().into(),
        created,
        updated: created,
        versions: vec![first],
        default_version: 1,
        latest_version: 1,
        tags,
        rights_removed_at: 0,
    };
    put_managed_policy(next, policy);
    Ok(done())
}

pub(super) fn delete(next: &mut Transition<'_>, at: u64, entity: &EntityRef) -> Execution {
    let policy = entity::managed_policy(next, at, entity.account, &entity.name)?;
    if next.view.entities_of(&policy.id).next().is_some() {
        return Err(Reason::ManagedPolicyInUse.into());
    }
    if policy.versions.len() > 1 {
        return Err(Reason::ManagedPolicyHasVersions.into());
    }
    next.remove_managed_policy(&policy);
    Ok(done())
}
