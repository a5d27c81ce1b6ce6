//! Calls of services that forwarded requests.

use keystead_types::UnixMillis;

use super::{Execution, done};
use crate::forwarded::Forwarding;
use crate::limits::{FORWARDED_MEMORY_COUNT, FORWARDED_MEMORY_MS};
use crate::proto::{self, Reason};
use crate::transition::Transition;

/// How many one command forgets at most: more than it adds, so that old ones go.
const FORGOTTEN_AT_ONCE: usize = 4;

/// Keeps a call in mind, unless it is already. One that is old enough to be forgotten is
/// refused as well, so that no clock of a node lets it count again.
pub(super) fn record(next: &mut Transition<'_>, op: &proto::RecordForwarded) -> Execution {
    let digest = op.digest.as_slice().try_into().map_err(|_| Reason::Malformed)?;
    let forwarding = Forwarding { signed: UnixMillis(op.signed_ms), digest };
    if is_over(next, forwarding) || next.view.forwarded.contains(&forwarding) {
        return Err(Reason::AlreadyForwarded.into());
    }
    forget_old(next);
    if next.view.forwarded.count() >= FORWARDED_MEMORY_COUNT {
        return Err(Reason::ForwardedLimit.into());
    }
    next.put_forwarded(forwarding);
    Ok(done())
}

fn forget_old(next: &mut Transition<'_>) {
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some(first) = next.view.forwarded.first().filter(|first| is_over(next, *first)) else {
            return;
        };
        next.forget_forwarded(first);
    }
}

fn is_over(next: &Transition<'_>, forwarding: Forwarding) -> bool {
    forwarding.signed.plus(FORWARDED_MEMORY_MS) <= next.view.clock
}
