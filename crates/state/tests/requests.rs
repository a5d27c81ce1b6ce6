//! A request that is sent again is not carried out again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::limits::{REQUEST_MEMORY_COUNT, REQUEST_MEMORY_MS};
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, View};
use prost::Message;

/// A request under an id, authorised on the newest View.
fn ask(replica: &mut Replica, id: u32, operation: Operation) -> OutcomeResult {
    let authorised_at = replica.view.applied();
    replica.send(&Command { request_id: request_id(id), authorised_at, ..command(0, operation) })
}

fn with_key() -> Replica {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    replica
}

#[test]
fn a_repeat_gives_the_first_outcome_and_changes_nothing() {
    let mut replica = Replica::initialised();
    let created = ask(&mut replica, 1, create_key(1));
    assert!(matches!(created, OutcomeResult::KeyCreated(_)), "{created:?}");
    let scheduled = ask(&mut replica, 2, schedule(1, 7));
    let refused = ask(&mut replica, 3, describe(1, "new"));
    assert_eq!(refused, rejected(Reason::KeyPendingDeletion));
    replica.run(cancel(1));

    let rows = replica.rows();
    assert_eq!(ask(&mut replica, 1, create_key(1)), created);
    assert_eq!(ask(&mut replica, 2, schedule(1, 7)), scheduled);
    // It would succeed by now, but it was answered.
    assert_eq!(ask(&mut replica, 3, describe(1, "new")), refused);
    assert_eq!(replica.changes, []);
    assert_eq!(replica.rows(), rows);
}

#[test]
fn a_repeat_is_known_after_a_restart() {
    let mut replica = with_key();
    let first = ask(&mut replica, 1, schedule(1, 7));
    replica.run(cancel(1));
    replica.reload();
    assert_eq!(ask(&mut replica, 1, schedule(1, 7)), first);
    assert_eq!(replica.key_state(1), Some(keystead_types::KeyState::Disabled));
}

#[test]
fn a_repeat_still_moves_the_clock() {
    let mut replica = with_key();
    ask(&mut replica, 1, disable(1));
    let time = replica.view.clock().plus(5).0;
    let repeat = Command { request_id: request_id(1), ..command(time, disable(1)) };
    assert_eq!(replica.send(&repeat), done());
    assert_eq!(replica.view.clock().0, time);
}

#[test]
fn a_stale_outcome_is_not_remembered() {
    let mut replica = with_key();
    let before = replica.view.applied();
    replica.run(disable(1));
    let late = Command {
        request_id: request_id(1),
        authorised_at: before,
        ..command(0, describe(1, "late"))
    };
    assert_eq!(replica.send(&late), stale());
    assert_eq!(replica.changes, []);
    // Authorised anew, the same request is carried out.
    assert_eq!(ask(&mut replica, 1, describe(1, "late")), done());
    assert_eq!(&*replica.view.key(&key_id(1)).unwrap().description, "late");
}

#[test]
fn different_requests_and_nameless_ones_are_all_carried_out() {
    let mut replica = with_key();
    for (id, refusal) in [(1, false), (2, true)] {
        let outcome = ask(&mut replica, id, create_alias(ACCOUNTS[0], "alias/a", 1));
        assert_eq!(outcome == rejected(Reason::AliasExists), refusal);
    }
    let rows = replica.rows().len();
    for nameless in [vec![], vec![1; 31], vec![1; 33]] {
        let authorised_at = replica.view.applied();
        let operation = delete_alias(ACCOUNTS[0], "alias/absent");
        let command = Command { request_id: nameless, authorised_at, ..command(0, operation) };
        assert_eq!(replica.send(&command), rejected(Reason::AliasNotFound));
        assert_eq!(replica.rows().len(), rows, "nothing is kept");
    }
}

#[test]
fn a_request_is_forgotten_after_ten_minutes_of_the_replicated_clock() {
    assert_eq!(REQUEST_MEMORY_MS, 10 * MINUTE);
    let mut replica = Replica::initialised();
    let rows = replica.rows().len();
    let refused = ask(&mut replica, 1, describe(1, ""));
    assert_eq!(refused, rejected(Reason::KeyNotFound));
    assert_eq!(replica.rows().len(), rows + 1);
    replica.wait(10 * MINUTE);
    assert_eq!(ask(&mut replica, 1, create_key(1)), refused);
    replica.wait(1);
    assert_eq!(replica.rows().len(), rows, "its row is gone");
    assert!(matches!(ask(&mut replica, 1, create_key(1)), OutcomeResult::KeyCreated(_)));
}

#[test]
fn a_repeat_is_known_to_whoever_opens_the_rows_of_an_earlier_version() {
    let mut replica = with_key();
    let first = ask(&mut replica, 1, schedule(1, 7));
    replica.run(cancel(1));
    let mut rows = replica.rows_with_single_requests();
    let single = |rows: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>| {
        rows.keys().filter(|key| key[0] == SINGLE_REQUEST).count()
    };
    assert_eq!(single(&rows), 1);

    let applied = replica.view.applied();
    let (view, changes) = View::from_stored_rows(rows.clone(), applied).unwrap();
    replica.view = view;
    write(&mut rows, &changes);
    assert_eq!(single(&rows), 0);
    assert_eq!(rows, replica.rows());
    assert_eq!(ask(&mut replica, 1, schedule(1, 7)), first);
    assert_eq!(replica.remembered().len(), 1);
    replica.wait(10 * MINUTE + 1);
    assert_eq!(replica.remembered(), []);
}

#[test]
fn a_forgotten_request_that_comes_again_is_remembered_anew() {
    let mut replica = with_key();
    ask(&mut replica, 1, describe(1, "first"));
    replica.wait(9 * MINUTE);
    // Keeps the row of the first request for another nine minutes.
    ask(&mut replica, 2, describe(1, "second"));
    replica.wait(MINUTE + 1);
    for _ in 0..64 {
        replica.run(tick());
    }
    ask(&mut replica, 1, describe(1, "first again"));
    let count = |replica: &Replica, id| {
        let id = request_id(id);
        replica.remembered().iter().filter(|request| request.request_id == id).count()
    };
    assert_eq!((count(&replica, 1), count(&replica, 2)), (2, 1));
    replica.reload();

    replica.wait(9 * MINUTE);
    assert_eq!((count(&replica, 1), count(&replica, 2)), (1, 0), "the first row is gone");
    ask(&mut replica, 1, describe(1, "not carried out"));
    assert_eq!(&*replica.view.key(&key_id(1)).unwrap().description, "first again");
}

#[test]
fn requests_of_64_log_entries_share_a_row() {
    let mut replica = with_key();
    let mut written = Vec::new();
    for id in 0..200 {
        ask(&mut replica, id, describe(1, "x"));
        let changed = replica.changes.iter().map(|change| &change.key);
        let rows: Vec<_> = changed.filter(|key| key[0] == REQUEST_CHUNK).cloned().collect();
        assert_eq!(rows.len(), 1);
        written.extend(rows);
    }
    assert!(written.is_sorted(), "later rows have greater keys");
    written.dedup();
    let rows = replica.rows();
    let numbers = written.iter().map(|key| requests_in(&rows[key]).len()).collect::<Vec<_>>();
    // The region, its accounts and the key took the entries 1 to 4.
    assert_eq!(numbers, [64 - 5, 64, 64, 13]);
    let ids: Vec<_> = replica.remembered().into_iter().map(|request| request.request_id).collect();
    assert!(ids.into_iter().eq((0..200).map(request_id)));
}

#[test]
fn a_long_pause_is_swept_up_in_bounded_pieces() {
    let mut replica = Replica::initialised();
    let rows = replica.rows().len();
    for id in 0..200 {
        ask(&mut replica, id, tick());
    }
    assert_eq!(replica.remembered().len(), 200);
    replica.wait(11 * MINUTE);
    let mut commands = 1;
    while replica.rows().len() > rows {
        assert!(replica.changes.len() <= 2, "{}", replica.changes.len());
        replica.wait(1);
        commands += 1;
        assert!(commands <= 4);
    }
}

#[test]
fn the_number_of_remembered_requests_is_bounded() {
    let mut replica = with_key();
    let first = ask(&mut replica, 0, describe(1, "0"));
    let template = replica.changes.pop().expect("the row of the requests comes last");
    let outcome = proto::Outcome { result: Some(first) }.encode_to_vec();

    // The rest of a full memory, as a snapshot would bring it, from the next chunk on.
    let full = u32::try_from(REQUEST_MEMORY_COUNT).unwrap();
    let others: Vec<_> = (1..full)
        .map(|n| proto::RequestRecord {
            request_id: request_id(n),
            at_ms: replica.view.clock().0,
            index: u64::from(n) + 63,
            outcome: outcome.clone(),
        })
        .collect();
    let others = others.chunks(64).zip(1_u64..).map(|(chunk, number)| {
        let key = [&template.key[..1], &number.to_be_bytes()].concat();
        (key, proto::RequestChunkRecord { requests: chunk.to_vec() }.encode_to_vec())
    });
    let rows = replica.view.rows().chain(others);
    let applied = u64::from(full) + 63;
    replica.view = View::from_rows(rows, applied).unwrap();
    assert_eq!(replica.remembered().len(), REQUEST_MEMORY_COUNT);

    // One more makes the oldest go; the second oldest is still known.
    ask(&mut replica, full, describe(1, "one more"));
    assert_eq!(replica.remembered().len(), REQUEST_MEMORY_COUNT);
    assert_eq!(&*replica.view.key(&key_id(1)).unwrap().description, "one more");
    // Those of one chunk go together.
    ask(&mut replica, 0, describe(1, "carried out again"));
    assert_eq!(&*replica.view.key(&key_id(1)).unwrap().description, "carried out again");
    assert_eq!(replica.remembered().len(), REQUEST_MEMORY_COUNT - 64 + 1);
    ask(&mut replica, 65, describe(1, "still known"));
    assert_eq!(&*replica.view.key(&key_id(1)).unwrap().description, "carried out again");
    ask(&mut replica, 64, describe(1, "forgotten"));
    assert_eq!(&*replica.view.key(&key_id(1)).unwrap().description, "forgotten");
}
