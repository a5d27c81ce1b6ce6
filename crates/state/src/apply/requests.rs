//! First results, kept so that a request that is sent again is not carried out again.

use prost::Message;

use crate::limits::{REQUEST_MEMORY_COUNT, REQUEST_MEMORY_MS};
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{Command, Outcome};
use crate::transition::Transition;
use crate::view::Remembered;

/// How many old results one command clears away at most, so that no command takes long.
const FORGET_AT_ONCE: usize = 64;

/// The result of the same request, if it was carried out before.
pub(super) fn recall(next: &Transition<'_>, command: &Command) -> Option<Outcome> {
    let remembered = next.view.requests.get(&request_id(command)?)?;
    // What was encoded here decodes here; a record that does not is as good as forgotten.
    Outcome::decode(remembered.outcome.as_slice()).ok()
}

/// Keeps a result. A stale one is no result: the proposer authorises anew and comes again.
pub(super) fn remember(next: &mut Transition<'_>, command: &Command, outcome: &Outcome) {
    let Some(id) = request_id(command) else { return };
    if matches!(outcome.result, Some(OutcomeResult::Stale(_))) {
        return;
    }
    let (at, index) = (next.view.clock, next.index());
    next.put_request(Remembered { id, at, index, outcome: outcome.encode_to_vec() });
}

/// Clears away results that are older than the promise, or too many.
pub(super) fn forget_old(next: &mut Transition<'_>) {
    for _ in 0..FORGET_AT_ONCE {
        let Some((&(at, _), id)) = next.view.requests_by_age.first() else { return };
        let expired = at.plus(REQUEST_MEMORY_MS) < next.view.clock;
        if !expired && next.view.requests.size() < REQUEST_MEMORY_COUNT {
            return;
        }
        let Some(oldest) = next.view.requests.get(id).cloned() else { return };
        next.remove_request(&oldest);
    }
}

fn request_id(command: &Command) -> Option<[u8; 32]> {
    command.request_id.as_slice().try_into().ok()
}
