//! Managed policies on users, groups and roles.

use super::entity::{self, Holder};
use super::{Execution, done};
use crate::limits::ATTACHED_POLICIES;
use crate::proto::{self, Reason};
use crate::transition::Transition;

pub(crate) fn attach(next: &mut Transition<'_>, at: u64, op: &proto::AttachPolicy) -> Execution {
    let mut holder = Holder::find(next, at, op.entity.as_ref())?;
    let policy = entity::managed_policy(next, at, holder.account().number(), &op.policy)?;
    let attached = &mut holder.permissions().attached;
    if attached.insert(policy.id) {
        if attached.len() > ATTACHED_POLICIES {
            return Err(Reason::AttachmentLimit.into());
        }
        holder.put(next);
    }
    Ok(done())
}

pub(crate) fn detach(next: &mut Transition<'_>, at: u64, op: &proto::DetachPolicy) -> Execution {
    let mut holder = Holder::find(next, at, op.entity.as_ref())?;
    let policy = entity::managed_policy(next, at, holder.account().number(), &op.policy)?;
    if !holder.permissions().attached.remove(&policy.id) {
        return Err(Reason::PolicyNotAttached.into());
    }
    holder.put(next);
    Ok(done())
}
