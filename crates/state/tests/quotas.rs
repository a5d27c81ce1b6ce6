//! Quotas come with the commands that they limit.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::proto::Reason;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::{CLUSTER_VERSION, Command, Quotas};

const MINE: u64 = ACCOUNTS[0];
const SMALL: Quotas =
    Quotas { keys_per_account: 2, aliases_per_key: 2, grants_per_key: 2, tags_per_key: 2 };

fn limited(quotas: Quotas, operation: Operation) -> Command {
    let mut command = Command { authorised_at: u64::MAX, ..command(START, operation) };
    quotas.put_into(&mut command);
    command
}

/// What a command gives, which changes nothing if it is refused.
fn send(replica: &mut Replica, command: &Command) -> OutcomeResult {
    let before = replica.rows();
    let outcome = replica.send(command);
    if matches!(outcome, OutcomeResult::Rejected(_)) {
        assert!(replica.rows() == before, "a refusal changes nothing");
    }
    outcome
}

fn is_refused(replica: &mut Replica, operation: Operation, reason: Reason) {
    assert_eq!(send(replica, &limited(SMALL, operation)), rejected(reason));
}

fn is_done(replica: &mut Replica, operation: Operation) {
    let outcome = send(replica, &limited(SMALL, operation));
    assert!(!matches!(outcome, OutcomeResult::Rejected(_)), "{outcome:?}");
}

#[test]
fn keys_are_counted_by_account_in_whatever_state() {
    let mut replica = Replica::initialised();
    is_done(&mut replica, create_key(1));
    is_done(&mut replica, create_key(2));
    is_done(&mut replica, schedule(2, 7));
    is_refused(&mut replica, create_key(3), Reason::KeyLimit);
    replica.reload();
    is_refused(&mut replica, create_key(3), Reason::KeyLimit);
    replica.wait(8 * DAY);
    is_done(&mut replica, delete_due(&[2]));
    is_done(&mut replica, create_key(3));
    is_refused(&mut replica, create_key(4), Reason::KeyLimit);
    assert_eq!(replica.view.key_count_of(account(MINE)), 2);
}

#[test]
fn aliases_and_tags_are_counted_by_key() {
    let mut replica = Replica::initialised();
    is_done(&mut replica, create_key(1));
    is_done(&mut replica, create_key(2));
    is_done(&mut replica, create_alias(MINE, "alias/a", 1));
    is_done(&mut replica, create_alias(MINE, "alias/b", 1));
    is_refused(&mut replica, create_alias(MINE, "alias/c", 1), Reason::AliasLimit);
    is_done(&mut replica, create_alias(MINE, "alias/c", 2));
    is_refused(&mut replica, update_alias(MINE, "alias/c", 1), Reason::AliasLimit);

    is_done(&mut replica, tag(1, &[("a", "1"), ("b", "1")]));
    is_refused(&mut replica, tag(1, &[("c", "1")]), Reason::TagLimit);
    is_done(&mut replica, tag(1, &[("b", "2")]));
}

#[test]
fn what_a_key_has_from_a_greater_quota_it_keeps() {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    replica.run(tag(1, &[("a", "1"), ("b", "1"), ("c", "1")]));
    is_done(&mut replica, tag(1, &[("c", "2")]));
    is_refused(&mut replica, tag(1, &[("d", "1")]), Reason::TagLimit);
}

#[test]
fn a_command_without_quotas_is_of_version_1_and_counts_no_keys() {
    let mut replica = Replica::initialised();
    for number in 1..5 {
        let outcome = replica.send(&command(START, create_key(number)));
        assert!(matches!(outcome, OutcomeResult::KeyCreated(_)), "{outcome:?}");
    }
    let with = limited(SMALL, create_key(9));
    assert_eq!(with.version, Quotas::VERSION);
    const { assert!(Quotas::VERSION <= CLUSTER_VERSION) };
    assert_eq!(
        limited(SMALL, disable(1)),
        Command { authorised_at: u64::MAX, ..command(START, disable(1)) }
    );
}
