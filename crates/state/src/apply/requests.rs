//! First results, kept so that a request that is sent again is not carried out again.

use keystead_types::UnixMillis;
use prost::Message;

use crate::limits::{REQUEST_MEMORY_COUNT, REQUEST_MEMORY_MS};
use crate::proto::outcome::Result as OutcomeResult;
use crate::proto::{Command, Outcome};
use crate::requests::Remembered;
use crate::transition::Transition;
use crate::view::View;

/// The result of the same request, if it was carried out within the promised time.
pub(crate) fn recall(view: &View, id: &[u8; 32]) -> Option<Outcome> {
    let remembered = view.request(id)?;
    // One that is older waits for its chunk to go.
    if is_over(view, remembered.at) {
        return None;
    }
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
    next.put_requests(&[Remembered { id, at, index, outcome: outcome.encode_to_vec() }]);
}

/// Clears away the oldest chunk once all of it is older than the promise, or if there are too many
/// results. One is enough, as no command adds more, and takes no command long.
pub(super) fn forget_old(next: &mut Transition<'_>) {
    let Some((&number, chunk)) = next.view.request_chunks.first() else { return };
    let newest = chunk.newest();
    if is_over(next.view, newest) || next.view.requests.size() >= REQUEST_MEMORY_COUNT {
        next.remove_requests(number);
    }
}

fn is_over(view: &View, at: UnixMillis) -> bool {
    at.plus(REQUEST_MEMORY_MS) < view.clock
}

pub(super) fn request_id(command: &Command) -> Option<[u8; 32]> {
    command.request_id.as_slice().try_into().ok()
}
