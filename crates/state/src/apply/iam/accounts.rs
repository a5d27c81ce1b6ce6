//! Accounts that the operator stops.

use super::{Execution, account, done};
use crate::proto::{self, Reason};
use crate::transition::Transition;

pub(crate) fn set_suspended(
    next: &mut Transition<'_>,
    op: &proto::SetAccountSuspended,
) -> Execution {
    let id = account(next, op.account)?;
    let mut account = next.view.account(id).ok_or(Reason::AccountNotFound)?.clone();
    if account.suspended != op.suspended {
        if op.suspended {
            account.rights_removed_at = next.index();
        }
        account.suspended = op.suspended;
        next.put_account(account);
    }
    Ok(done())
}
