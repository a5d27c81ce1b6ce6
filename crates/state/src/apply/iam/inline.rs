//! Policies within users, groups and roles.

use keystead_types::PolicyName;

use super::entity::Holder;
use super::{Execution, done, parse};
use crate::iam::policy_size;
use crate::proto::{self, Reason};
use crate::transition::Transition;

pub(crate) fn put(next: &mut Transition<'_>, at: u64, op: &proto::PutInlinePolicy) -> Execution {
    let name: PolicyName = parse(&op.name)?;
    if op.document.is_empty() {
        return Err(Reason::Malformed.into());
    }
    let mut holder = Holder::find(next, at, op.entity.as_ref())?;
    let limit = holder.inline_limit();
    let permissions = holder.permissions();
    permissions.inline.remove(&name);
    if permissions.inline_size() + policy_size(&op.document) > limit {
        return Err(Reason::InlinePoliciesTooLong.into());
    }
    permissions.inline.insert(name, next.policy(&op.document));
    holder.put(next);
    Ok(done())
}

pub(crate) fn delete(
    next: &mut Transition<'_>,
    at: u64,
    op: &proto::DeleteInlinePolicy,
) -> Execution {
    let name: PolicyName = parse(&op.name)?;
    let mut holder = Holder::find(next, at, op.entity.as_ref())?;
    if holder.permissions().inline.remove(&name).is_none() {
        return Err(Reason::InlinePolicyNotFound.into());
    }
    holder.put(next);
    Ok(done())
}
