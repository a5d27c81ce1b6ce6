//! When keys were last used, as nodes tell it in batches.

use keystead_types::UnixMillis;

use super::{Execution, done};
use crate::limits::KEY_USES_AT_ONCE;
use crate::model::KeyUse;
use crate::proto::{self, Reason};
use crate::transition::Transition;

/// Takes no right away and asks for none, so that it makes no request stale.
pub(super) fn record(next: &mut Transition<'_>, op: &proto::RecordKeyUses) -> Execution {
    if op.uses.len() > KEY_USES_AT_ONCE {
        return Err(Reason::Malformed.into());
    }
    // All of them are read before the first is kept: a refused command changes nothing.
    let uses: Option<Vec<_>> = op.uses.iter().map(KeyUse::from_record).collect();
    let uses = uses.ok_or(Reason::Malformed)?;
    next.know_uses();
    for told in uses {
        // A node whose clock runs ahead does not put a use far into the future, where none would
        // follow. The replicated clock is behind a little: a new leader has to hear of the others'.
        let latest = UnixMillis(next.view.clock.0.saturating_add(op.ahead_ms));
        let told = KeyUse { at: told.at.min(latest), ..told };
        let later = next.view.last_use(&told.key).is_none_or(|known| known.at < told.at);
        if later && next.view.key(&told.key).is_some() {
            next.put_use(told);
        }
    }
    Ok(done())
}
