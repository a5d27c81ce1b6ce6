//! Two regions of which one was set back tell each other all that concerns the other.

use super::messages::stream;
use super::shared;
use crate::apply::{Execution, done};
use crate::proto::region_message::Kind;
use crate::proto::{self, Reason};
use crate::regions::{self, RegionStream, stream_generation};
use crate::transition::Transition;

/// Begins a new stream to a peer, with all that the peer is to know.
pub(in crate::apply) fn resynchronise(
    next: &mut Transition<'_>,
    op: &proto::Resynchronise,
) -> Execution {
    let (region, old) = stream(next, &op.region)?;
    let random = op.stream.as_slice().try_into().map_err(|_| Reason::Malformed)?;
    let wanted = regions::read_optional_id(&op.wanted).ok_or(Reason::Malformed)?;
    let answered = regions::read_optional_id(&op.answered).ok_or(Reason::Malformed)?;
    let generation = stream_generation(&old.outgoing).max(op.after);
    let generation = generation.checked_add(1).ok_or(Reason::Malformed)?;
    let new = RegionStream {
        outgoing: regions::name_stream(random, generation),
        sent: 0,
        wanted: wanted.or(old.wanted),
        answered: answered.or(old.answered),
        ..old
    };
    for message in next.begin_stream(&region, new) {
        next.tell_again(&region, message);
    }
    shared::tell_all(next, &region);
    if answered.is_some() {
        next.tell_of_no_key(&region, Kind::AllTold(proto::AllTold { wanted: op.answered.clone() }));
    }
    Ok(done())
}
