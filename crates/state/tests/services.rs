//! Accounts of services, and what they forward.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::{revoke, suspend};
use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, Quotas, View, apply, limits};
use keystead_types::Principal;

const SERVICE: u64 = 777_777_777_777;
const KEY: &str = "AKIAIOSFODNN7SERVICE";

fn add(account: u64, access_key: &str, service: &str) -> Operation {
    Operation::CreateAccount(proto::CreateAccount {
        account,
        access_key_id: access_key.into(),
        sealed_secret: vec![4; 60],
        service: service.into(),
    })
}

fn region() -> Replica {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    assert_eq!(replica.run(add(SERVICE, KEY, "s3.amazonaws.com")), done());
    replica
}

/// What a command gives that the service forwarded for the root of another account.
fn forwarded(replica: &mut Replica, authorised_at: u64, issued: u64) -> OutcomeResult {
    let plain = command(0, describe(1, "x"));
    replica.send(&Command {
        authorised_at,
        session_issued_ms: issued,
        via_access_key_id: KEY.into(),
        ..plain
    })
}

#[test]
fn a_service_is_an_account_of_its_own() {
    let mut replica = region();
    let name = "s3.amazonaws.com".parse().unwrap();
    for _ in 0..2 {
        let account = replica.view.service(&name).unwrap();
        assert_eq!(account.id.number(), SERVICE);
        let principal = Principal::Service { account: account.id, name: name.clone() };
        assert_eq!(account.principal(), principal);
        replica.reload();
    }
    assert!(replica.view.service(&"s3.example.org".parse().unwrap()).is_none());
    let root = replica.view.account(account(ACCOUNTS[0])).unwrap();
    assert_eq!(root.principal(), Principal::Root(root.id));
}

#[test]
fn names_and_numbers_are_taken_once() {
    let mut replica = region();
    for (operation, reason) in [
        (add(SERVICE, "OTHER", "sqs.amazonaws.com"), Reason::AccountExists),
        (add(SERVICE + 1, "OTHER", "s3.amazonaws.com"), Reason::ServiceExists),
        (add(SERVICE + 1, KEY, "sqs.amazonaws.com"), Reason::AccessKeyExists),
        (add(SERVICE + 1, "OTHER", "S3"), Reason::Malformed),
        (create_account(SERVICE, "OTHER"), Reason::AccountExists),
    ] {
        let before = replica.rows();
        assert_eq!(replica.run(operation), rejected(reason));
        assert!(replica.rows() == before, "{reason:?}");
    }
}

#[test]
fn no_quota_counts_the_keys_of_a_service() {
    let mut replica = region();
    let one = Quotas { keys_per_account: 1, ..Quotas::default() };
    for number in 2..5 {
        let Operation::CreateKey(key) = create_key(number) else { unreachable!() };
        let key = proto::CreateKey { account: SERVICE, ..key };
        let mut command = command(START, Operation::CreateKey(key));
        one.put_into(&mut command);
        assert!(matches!(replica.send(&command), OutcomeResult::KeyCreated(_)));
    }
}

#[test]
fn what_a_service_forwarded_ends_with_the_service() {
    let mut replica = region();
    let (at, issued) = (replica.view.applied(), replica.view.clock().0);
    assert_eq!(forwarded(&mut replica, at, issued), done());

    assert_eq!(replica.run(suspend(SERVICE, true)), done());
    assert_eq!(forwarded(&mut replica, at, issued), stale());
    let suspended = replica.view.applied();
    assert_eq!(forwarded(&mut replica, suspended, issued), stale());
    assert_eq!(replica.run(suspend(SERVICE, false)), done());
    assert_eq!(forwarded(&mut replica, at, issued), stale(), "authorised before");
    let at = replica.view.applied();
    assert_eq!(forwarded(&mut replica, at, issued), done());

    let Operation::RevokeSessions(mut op) = revoke("", "") else { unreachable!() };
    op.account = SERVICE;
    assert_eq!(replica.run(Operation::RevokeSessions(op)), done());
    let (at, later) = (replica.view.applied(), replica.view.clock().0 + 1);
    assert_eq!(forwarded(&mut replica, at, issued), stale());
    assert_eq!(forwarded(&mut replica, at, later), done());

    let delete =
        proto::DeleteAccessKey { account: SERVICE, user: String::new(), access_key_id: KEY.into() };
    assert_eq!(replica.run(Operation::DeleteAccessKey(delete)), done());
    let at = replica.view.applied();
    assert_eq!(forwarded(&mut replica, at, later), stale());
}

/// Of a call that a service signed at `signed_ms`, the `number`-th at that time.
fn record(number: u32, signed_ms: u64) -> Operation {
    let mut digest = vec![7; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    Operation::RecordForwarded(proto::RecordForwarded { digest, signed_ms })
}

#[test]
fn a_call_that_forwards_counts_once() {
    let mut replica = region();
    let signed = replica.view.clock().0;
    let before = || rejected(Reason::AlreadyForwarded);
    assert_eq!(replica.run(record(1, signed)), done());
    for _ in 0..2 {
        assert_eq!(replica.run(record(1, signed)), before());
        replica.reload();
    }
    assert_eq!(replica.run(record(2, signed)), done(), "another one, signed at the same time");
    replica.wait(limits::FORWARDED_MEMORY_MS - 1 - (replica.view.clock().0 - signed));
    assert_eq!(replica.run(record(1, signed)), before());
}

#[test]
fn it_is_refused_when_it_is_forgotten_too() {
    let mut replica = region();
    let signed = replica.view.clock().0;
    let rows = |replica: &Replica| replica.view.rows().filter(|(key, _)| key[0] == 0x2D).count();
    for number in 0..20 {
        assert_eq!(replica.run(record(number, signed)), done());
    }
    assert_eq!(rows(&replica), 20);
    replica.wait(limits::FORWARDED_MEMORY_MS);
    assert_eq!(replica.run(record(1, signed)), rejected(Reason::AlreadyForwarded));
    assert_eq!(replica.run(record(99, signed)), rejected(Reason::AlreadyForwarded), "as old");
    let later = replica.view.clock().0;
    for number in 0..5 {
        assert_eq!(replica.run(record(number, later)), done());
    }
    assert_eq!(rows(&replica), 5, "each makes room");
}

#[test]
fn the_memory_of_such_calls_has_an_end() {
    let mut replica = region();
    let signed = replica.view.clock().0;
    let apply = |view: &mut View, number: u32| {
        let index = view.applied() + 1;
        let outcome = apply(view, index, &command(0, record(number, signed))).unwrap().outcome;
        outcome.result.unwrap()
    };
    let most = u32::try_from(limits::FORWARDED_MEMORY_COUNT).unwrap();
    for number in 0..most {
        assert_eq!(apply(&mut replica.view, number), done());
    }
    assert_eq!(apply(&mut replica.view, most), rejected(Reason::ForwardedLimit));
    assert_eq!(apply(&mut replica.view, 0), rejected(Reason::AlreadyForwarded));
}

#[test]
fn what_is_no_digest_is_not_remembered() {
    let mut replica = region();
    for digest in [vec![], vec![1; 31], vec![1; 33]] {
        let odd =
            Operation::RecordForwarded(proto::RecordForwarded { digest, signed_ms: u64::MAX });
        assert_eq!(replica.run(odd), rejected(Reason::Malformed));
    }
    assert_eq!(replica.run(record(1, u64::MAX)), done());
}
