//! Sessions that end before their time.

use keystead_types::UnixMillis;

use super::entity::{self, put_role, put_user};
use super::{Execution, account, done};
use crate::apply::Refusal;
use crate::model::Account;
use crate::proto::{self, Reason};
use crate::transition::Transition;

pub(crate) fn revoke(next: &mut Transition<'_>, at: u64, op: &proto::RevokeSessions) -> Execution {
    // A session that was issued in this very millisecond ends, too.
    let from = UnixMillis(next.view.clock.0.saturating_add(1));
    match (op.user.as_str(), op.role.as_str()) {
        ("", "") => {
            let id = account(next, op.account)?;
            let account = next.view.account(id).ok_or(Reason::AccountNotFound)?.clone();
            next.put_account(Account { sessions_valid_after: from, ..account });
        }
        (user, "") => {
            let mut user = entity::user(next, at, op.account, user)?;
            user.sessions_valid_after = from;
            put_user(next, user);
        }
        ("", role) => {
            let mut role = entity::role(next, at, op.account, role)?;
            role.sessions_valid_after = from;
            put_role(next, role);
        }
        _ => return Err(Reason::Malformed.into()),
    }
    Ok(done())
}

/// Refuses what was asked in a session that has ended since; zero stands for none.
pub(super) fn refuse_ended(valid_after: UnixMillis, issued_ms: u64) -> Result<(), Refusal> {
    if issued_ms != 0 && issued_ms < valid_after.0 { Err(Refusal::Stale) } else { Ok(()) }
}
