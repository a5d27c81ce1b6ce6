//! Accounts of services, and what they forward.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::{revoke, suspend};
use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, Quotas};
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
