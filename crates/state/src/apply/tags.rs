//! Tags of keys. Policies may refer to them, so every change may take a right away.

use super::keys::refuse_pending_deletion;
use super::{Execution, done, fresh_customer_key};
use crate::proto::{self, Reason};
use crate::quotas::Quotas;
use crate::transition::Transition;

pub(super) fn tag(
    next: &mut Transition<'_>,
    at: u64,
    quotas: Quotas,
    op: &proto::TagKey,
) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    refuse_pending_deletion(&key)?;
    let before = key.tags.len();
    key.tags.extend(op.tags.clone());
    // A key may have got more under a greater quota: those may change their values.
    if key.tags.len() > quotas.tags_per_key.max(before) {
        return Err(Reason::TagLimit.into());
    }
    key.rights_removed_at = next.index();
    next.put_key(key);
    Ok(done())
}

pub(super) fn untag(next: &mut Transition<'_>, at: u64, op: &proto::UntagKey) -> Execution {
    let mut key = fresh_customer_key(next, at, op.key.as_ref())?;
    refuse_pending_deletion(&key)?;
    for name in &op.tag_keys {
        key.tags.remove(name);
    }
    key.rights_removed_at = next.index();
    next.put_key(key);
    Ok(done())
}
