//! The versions of a managed policy. Only what is in force gives rights or takes them away.

use super::entity::{self, put_managed_policy};
use super::{Execution, done};
use crate::iam::PolicyVersion;
use crate::limits::POLICY_VERSIONS;
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{self, Reason};
use crate::transition::Transition;

pub(crate) fn create(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::CreatePolicyVersion,
) -> Execution {
    if op.document.is_empty() {
        return Err(Reason::Malformed.into());
    }
    let mut policy = entity::managed_policy(next, at, op.account, &op.policy)?;
    if policy.versions.len() >= POLICY_VERSIONS {
        return Err(Reason::PolicyVersionLimit.into());
    }
    // Four thousand million versions of one policy: the numbers are never used again.
    let number = policy.latest_version.checked_add(1).ok_or(Reason::PolicyVersionLimit)?;
    let created = next.view.clock;
    policy.latest_version = number;
    policy.updated = created;
    policy.versions.push(PolicyVersion { number, policy: next.policy(&op.document), created });
    if op.set_as_default {
        policy.default_version = number;
        put_managed_policy(next, policy);
    } else {
        next.put_managed_policy(policy);
    }
    Ok(OutcomeResult::PolicyVersionCreated(proto::PolicyVersionCreated { version: number }))
}

pub(crate) fn delete(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::DeletePolicyVersion,
) -> Execution {
    let mut policy = entity::managed_policy(next, at, op.account, &op.policy)?;
    if policy.version(op.version).is_none() {
        return Err(Reason::PolicyVersionNotFound.into());
    }
    if policy.default_version == op.version {
        return Err(Reason::PolicyVersionIsDefault.into());
    }
    policy.versions.retain(|version| version.number != op.version);
    policy.updated = next.view.clock;
    next.put_managed_policy(policy);
    Ok(done())
}

pub(crate) fn set_default(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::SetDefaultPolicyVersion,
) -> Execution {
    let mut policy = entity::managed_policy(next, at, op.account, &op.policy)?;
    if policy.version(op.version).is_none() {
        return Err(Reason::PolicyVersionNotFound.into());
    }
    if policy.default_version != op.version {
        policy.default_version = op.version;
        policy.updated = next.view.clock;
        put_managed_policy(next, policy);
    }
    Ok(done())
}
