//! What nodes tell of erasing lost material, and how long it is remembered.

use keystead_types::{KeyId, NodeId};

use super::{Execution, done};
use crate::erasures::Erased;
use crate::limits::LOST_MATERIAL_MEMORY_MS;
use crate::proto::{self, Reason};
use crate::transition::Transition;

/// What one command forgets at most, so that its cost is bounded.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// Takes no right away and asks for none. The first one begins the time from which on losses are
/// written down, in a cluster that an earlier version began.
pub(super) fn record(next: &mut Transition<'_>, op: &proto::RecordErased) -> Execution {
    if op.through > next.index() {
        return Err(Reason::Malformed.into());
    }
    next.know_losses();
    let (node, through) = (NodeId(op.node_id), op.through);
    if next.view.erasures().erased_through(node) < through {
        let at = next.view.clock;
        next.put_erased(Erased { node, through, at });
    }
    forget_old(next);
    Ok(done())
}

/// Forgets what was lost long ago, and what nodes told that is of no use without it.
fn forget_old(next: &mut Transition<'_>) {
    let clock = next.view.clock;
    let lost = next.view.erasures().after(0);
    let old = lost.take_while(|lost| lost.at.plus(LOST_MATERIAL_MEMORY_MS) <= clock);
    let old: Vec<KeyId> = old.take(FORGOTTEN_AT_ONCE).map(|lost| lost.key).collect();
    old.iter().for_each(|key| next.forget_lost(key));

    let Some(first) = next.view.erasures().after(0).next().map(|lost| lost.index) else { return };
    let told = next.view.erasures().told();
    let useless: Vec<Erased> = told.filter(|told| told.through < first).collect();
    useless.into_iter().for_each(|told| next.forget_erased(told));
}
