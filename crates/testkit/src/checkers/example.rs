//! Short histories, written down for tests.

use crate::history::{KeyState, Kind, Operation, Told};

/// An operation on the one key that the example is about.
pub(crate) fn operation(kind: Kind, invoked: u64, returned: u64, told: Told) -> Operation {
    let (client, node, index, attempts) = (0, 0, None, 1);
    Operation { client, node, kind, key: "key".into(), invoked, returned, told, index, attempts }
}

/// One that was done.
pub(crate) fn done(kind: Kind, invoked: u64, returned: u64) -> Operation {
    operation(kind, invoked, returned, Told::Done)
}

/// One of which nothing is known but its beginning.
pub(crate) fn lost(kind: Kind, invoked: u64) -> Operation {
    operation(kind, invoked, invoked + 1, Told::Nothing)
}

/// One that told the key's state.
pub(crate) fn saw(kind: Kind, invoked: u64, returned: u64, state: KeyState) -> Operation {
    operation(kind, invoked, returned, Told::State(state))
}

/// A key that exists from the moment 1 on, and what happens to it.
pub(crate) fn history(operations: &[Operation]) -> Vec<Operation> {
    [&[done(Kind::Create, 0, 1)], operations].concat()
}
