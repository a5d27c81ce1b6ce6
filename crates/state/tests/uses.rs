//! When keys were last used: what reports of nodes make of it.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::View;
use keystead_state::limits::KEY_USES_AT_ONCE;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, Reason};
use keystead_types::{CryptographicOperation, UnixMillis};

const KEY_USE: u8 = 0x24;
const ENCRYPT: u32 = 3;
const DECRYPT: u32 = 1;

fn with_key() -> Replica {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    replica.wait(DAY);
    replica
}

fn last(replica: &Replica) -> Option<(u64, CryptographicOperation)> {
    replica.view.last_use(&key_id(1)).map(|last| (last.at.0, last.operation))
}

#[test]
fn the_latest_use_stays_in_whichever_order_nodes_tell() {
    let mut replica = with_key();
    assert_eq!(last(&replica), None);
    let expected = Some((START + 2000, CryptographicOperation::Decrypt));
    for at in [2000, 1000, 2000, 0] {
        let operation = if at == 2000 { DECRYPT } else { ENCRYPT };
        replica.run(record_uses(vec![use_of(1, START + at, operation)]));
        assert_eq!(last(&replica), expected);
    }
    let (seen, replica_rows) = (replica.view.last_use(&key_id(1)).copied(), replica.rows());
    assert_eq!(seen.unwrap().request_id.bytes(), &[1; 16]);
    assert_eq!(seen.unwrap().event_id.bytes(), &[0xE0; 16]);
    replica.reload();
    assert_eq!(replica.view.last_use(&key_id(1)).copied(), seen);
    assert_eq!(replica.rows(), replica_rows);
}

#[test]
fn a_use_is_never_later_than_the_replicated_clock() {
    let mut replica = with_key();
    let now = replica.view.clock();
    replica.run(record_uses(vec![use_of(1, u64::MAX, ENCRYPT)]));
    assert_eq!(last(&replica).unwrap().0, now.0);
    replica.wait(1);
    replica.run(record_uses(vec![use_of(1, now.0 + 1, DECRYPT)]));
    assert_eq!(last(&replica), Some((now.0 + 1, CryptographicOperation::Decrypt)));
}

#[test]
fn a_use_may_be_as_much_later_as_the_report_says() {
    let mut replica = with_key();
    let now = replica.view.clock().0;
    let report = |at| {
        let uses = vec![use_of(1, at, ENCRYPT)];
        Operation::RecordKeyUses(proto::RecordKeyUses { uses, ahead_ms: 1000 })
    };
    replica.run(report(now + 1000));
    assert_eq!(last(&replica).unwrap().0, now + 1000);
    replica.run(report(u64::MAX));
    assert_eq!(last(&replica).unwrap().0, replica.view.clock().0 + 1000);
}

#[test]
fn a_report_leaves_keys_and_requests_on_them_alone() {
    let mut replica = with_key();
    let before = replica.view.applied();
    replica.run(record_uses(vec![use_of(1, START, ENCRYPT)]));
    let tags: Vec<_> = replica.changes.iter().map(|change| change.key[0]).collect();
    assert!(tags.contains(&KEY_USE) && !tags.contains(&0x15), "{tags:x?}");
    // Authorised before the report, and not stale.
    assert_eq!(replica.run_authorised_at(before, describe(1, "x")), done());
    // One that tells nothing new writes nothing.
    replica.run(record_uses(vec![use_of(1, START, ENCRYPT)]));
    assert_eq!(replica.changes, []);
}

#[test]
fn a_use_goes_with_its_key_and_does_not_come_back() {
    let mut replica = with_key();
    replica.run(record_uses(vec![use_of(1, START, ENCRYPT)]));
    replica.run(schedule(1, 7));
    replica.wait(8 * DAY);
    replica.run(delete_due(&[1]));
    assert!(replica.rows().keys().all(|key| key[0] != KEY_USE));
    assert_eq!(replica.run(record_uses(vec![use_of(1, START + 1, ENCRYPT)])), done());
    assert!(replica.rows().keys().all(|key| key[0] != KEY_USE));
    assert_eq!(last(&replica), None);
}

#[test]
fn a_use_of_a_key_that_is_not_there_is_refused_at_load() {
    let mut replica = with_key();
    replica.run(record_uses(vec![use_of(1, START, ENCRYPT)]));
    let rows = replica.view.rows().filter(|(key, _)| key[0] != 0x15);
    assert!(View::from_rows(rows, replica.view.applied()).is_err());
}

#[test]
fn uses_are_known_since_the_first_report() {
    let mut replica = with_key();
    assert_eq!(replica.view.uses_known_since(), None);
    let since = replica.view.clock();
    replica.run(record_uses(Vec::new()));
    replica.wait(DAY);
    replica.run(record_uses(Vec::new()));
    replica.reload();
    assert_eq!(replica.view.uses_known_since(), Some(UnixMillis(since.0)));
}

#[test]
fn one_command_tells_of_so_many_uses_and_no_more() {
    let mut replica = with_key();
    let uses = |count| record_uses(vec![use_of(1, START, ENCRYPT); count]);
    assert_eq!(replica.run(uses(KEY_USES_AT_ONCE + 1)), rejected(Reason::Malformed));
    assert_eq!(last(&replica), None);
    assert_eq!(replica.run(uses(KEY_USES_AT_ONCE)), done());
    assert!(last(&replica).is_some());
}
