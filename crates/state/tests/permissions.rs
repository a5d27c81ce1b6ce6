//! Key policies and grants: whom they name, whom they lock out, what ends with them.
#![allow(clippy::unwrap_used)]

mod common;

use common::iam::*;
use common::*;
use keystead_policy::NamedPrincipal;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, View};
use keystead_types::{GrantId, GrantOperation};

const ROOT: &str = "arn:aws:iam::111122223333:root";
const OTHER_ROOT: &str = "arn:aws:iam::444455556666:root";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

/// Key 1, and the users alice and BOB.
fn with_key() -> Replica {
    let mut replica = Replica::initialised();
    for operation in [create_key(1), create_user(0, "alice"), create_user(1, "BOB")] {
        assert!(!matches!(replica.run(operation), OutcomeResult::Rejected(_)));
    }
    replica
}

/// A policy that allows everything to these principals.
fn policy(principals: &[&str]) -> String {
    let principals = principals.join("\",\"");
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"AWS":["{principals}"]}},"Action":"kms:*","Resource":"*"}}}}"#
    )
}

fn put(policy: &str, check: bool) -> Operation {
    let context = vec![proto::ConditionKey {
        name: "aws:sourceip".into(),
        values: vec!["192.0.2.1".into()],
        defaulted: false,
    }];
    let lockout_check =
        check.then_some(proto::LockoutCheck { context, session_policy: String::new() });
    let key = key_ref(1);
    Operation::PutKeyPolicy(proto::PutKeyPolicy { key, policy: policy.into(), lockout_check })
}

fn named(name: &str) -> Option<proto::GrantPrincipalRecord> {
    Some(proto::GrantPrincipalRecord { name: name.into(), unique_id: String::new() })
}

fn grant(id: u8, name: &str, grantee: &str) -> proto::GrantRecord {
    proto::GrantRecord {
        id: vec![id; 32],
        key_id: key_id(1).bytes().to_vec(),
        key_multi_region: key_id(1).multi_region(),
        issuing_account: OWNER,
        name: name.into(),
        grantee: named(grantee),
        retiring: named(ROOT),
        operations: vec![GrantOperation::Decrypt.code().into()],
        constraints: None,
        created_ms: 0,
    }
}

fn create(grant: proto::GrantRecord) -> Operation {
    Operation::CreateGrant(proto::CreateGrant { grant: Some(grant) })
}

fn remove(id: u8) -> Operation {
    Operation::RemoveGrant(proto::RemoveGrant { key: key_ref(1), grant_id: vec![id; 32] })
}

fn created(id: u8) -> OutcomeResult {
    OutcomeResult::GrantCreated(proto::GrantCreated { grant_id: vec![id; 32] })
}

/// Applies what the user alice authorised on the present View.
fn run_as_alice(replica: &mut Replica, operation: Operation) -> OutcomeResult {
    let authorised_at = replica.view.applied();
    let (principal, user_id) = (ALICE.into(), user_id(0));
    replica.send(&Command { authorised_at, principal, user_id, ..command(0, operation) })
}

fn grantees(view: &View) -> Vec<NamedPrincipal> {
    view.grants_on(key_id(1), None).map(|grant| grant.grantee.named.clone()).collect()
}

#[test]
fn a_policy_must_be_one_and_name_nobody_who_is_not_there() {
    let mut replica = with_key();
    let before = replica.view.key(&key_id(1)).cloned();
    for (text, reason) in [
        ("{}", Reason::PolicyMalformed),
        (
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
            Reason::PolicyMalformed,
        ),
        (&policy(&["arn:aws:iam::111122223333:user/nobody"]), Reason::PolicyPrincipal),
        (&policy(&["arn:aws:iam::111122223333:user/path/alice"]), Reason::PolicyPrincipal),
        (&policy(&["arn:aws:iam::999999999999:root"]), Reason::PolicyPrincipal),
        (&policy(&["arn:aws:iam::111122223333:role/none"]), Reason::PolicyPrincipal),
        (&policy(&["AIDA00000000000000009"]), Reason::PolicyPrincipal),
    ] {
        assert_eq!(replica.run(put(text, false)), rejected(reason), "{text}");
    }
    assert_eq!(replica.view.key(&key_id(1)).cloned(), before);
    for text in [&policy(&[ROOT, OTHER_ROOT, ALICE, "*"]), &policy(&["AIDA00000000000000001"])] {
        assert_eq!(replica.run(put(text, false)), done(), "{text}");
        assert_eq!(replica.view.key(&key_id(1)).unwrap().policy.text, *text);
    }
}

#[test]
fn nobody_locks_themselves_out_unless_they_mean_to() {
    let elsewhere = policy(&[ROOT]).replace(
        r#""Resource":"*""#,
        r#""Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}"#,
    );
    let here = elsewhere.replace("203.0.113.0", "192.0.2.0");
    let without = policy(&[ROOT]).replace("kms:*", "kms:Encrypt");
    for (text, locks_out) in [
        (policy(&[ROOT]), false),
        (here, false),
        (elsewhere, true),
        (without, true),
        (policy(&[ALICE]), true),
        (policy(&[OTHER_ROOT]), true),
    ] {
        let mut replica = with_key();
        let told = if locks_out { rejected(Reason::PolicyLockout) } else { done() };
        assert_eq!(replica.run(put(&text, true)), told, "{text}");
        assert_eq!(replica.run(put(&text, false)), done(), "{text}");
    }
}

#[test]
fn what_a_user_may_by_its_own_policies_counts_where_the_account_is_named() {
    let mut replica = with_key();
    let everything = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
    let lockout = rejected(Reason::PolicyLockout);
    assert_eq!(run_as_alice(&mut replica, put(&policy(&[ROOT]), true)), lockout);
    assert_eq!(run_as_alice(&mut replica, put(&policy(&[ALICE]), true)), done());
    assert_eq!(replica.run(put_inline(user("alice"), "all", everything)), done());
    assert_eq!(run_as_alice(&mut replica, put(&policy(&[ROOT]), true)), done());
    assert_eq!(run_as_alice(&mut replica, put(&policy(&[OTHER_ROOT]), true)), lockout);
    let denied = everything.replace("Allow", "Deny");
    assert_eq!(replica.run(put_inline(user("alice"), "no", &denied)), done());
    assert_eq!(run_as_alice(&mut replica, put(&policy(&[ALICE]), true)), lockout);
}

#[test]
fn a_name_in_a_policy_or_grant_is_who_had_it_then() {
    let mut replica = with_key();
    assert_eq!(replica.run(put(&policy(&[ALICE]), false)), done());
    assert_eq!(replica.run(create(grant(7, "", ALICE))), created(7));
    let old = replica.view.key(&key_id(1)).unwrap().policy.clone();
    assert_eq!(old.principals[ALICE], user_id(0));
    let names: Vec<_> = old.document.principals().cloned().collect();
    assert_eq!(names, [NamedPrincipal::UniqueId(user_id(0))]);
    assert_eq!(grantees(&replica.view), [NamedPrincipal::UniqueId(user_id(0))]);

    // Whoever comes under the same name is somebody else, and a rename changes nothing.
    assert_eq!(replica.run(update_entity(user("alice"), Some("zoe"), Some("/x/"))), done());
    assert_eq!(replica.view.grants_to(key_id(1), &user_id(0)).count(), 1);
    assert!(!matches!(replica.run(create_user(2, "alice")), OutcomeResult::Rejected(_)));
    replica.reload();
    assert_eq!(replica.view.key(&key_id(1)).unwrap().policy, old);
    assert_eq!(replica.view.grants_to(key_id(1), &user_id(0)).count(), 1);
    assert_eq!(replica.view.grants_to(key_id(1), &user_id(2)).count(), 0);

    // The same text names the new one when it is put again, and is another policy.
    assert_eq!(replica.run(put(&policy(&[ALICE]), false)), done());
    let new = replica.view.key(&key_id(1)).unwrap().policy.clone();
    assert_eq!((new.text == old.text, new.id == old.id), (true, false));
    assert_eq!(new.principals[ALICE], user_id(2));
}

#[test]
fn a_new_policy_makes_what_the_old_one_allowed_stale() {
    let mut replica = with_key();
    let before = replica.view.applied();
    assert_eq!(replica.run(put(&policy(&[ROOT]), true)), done());
    assert_eq!(replica.run_authorised_at(before, disable(1)), stale());
    assert_eq!(replica.run_authorised_at(before, put(&policy(&[ROOT]), true)), stale());
    assert_eq!(replica.run_authorised_at(before, create(grant(1, "", ROOT))), stale());
    assert_eq!(replica.run(disable(1)), done());
}

#[test]
fn a_grant_of_the_same_name_that_says_the_same_is_the_same() {
    let mut replica = with_key();
    assert_eq!(replica.run(create(grant(1, "backup", ALICE))), created(1));
    assert_eq!(replica.run(create(grant(2, "backup", ALICE))), created(1));
    let more = proto::GrantRecord {
        operations: vec![GrantOperation::Encrypt.code().into()],
        ..grant(3, "backup", ALICE)
    };
    assert_eq!(replica.run(create(more)), created(3));
    assert_eq!(replica.run(create(grant(4, "backup", OTHER_ROOT))), created(4));
    assert_eq!(replica.run(create(grant(5, "", ALICE))), created(5));
    assert_eq!(replica.run(create(grant(6, "", ALICE))), created(6));
    assert_eq!(replica.run(create(grant(6, "", ALICE))), rejected(Reason::Malformed));
    let rows = replica.rows();
    replica.reload();
    assert_eq!(replica.rows(), rows);
    let view = &replica.view;
    assert_eq!(view.grants_on(key_id(1), None).count(), 5);
    assert_eq!(view.grants_on(key_id(1), Some(GrantId::new([4; 32]))).count(), 2);
    assert_eq!(view.grants_to(key_id(1), &user_id(0)).count(), 4);
    assert_eq!(view.grants_to(key_id(1), OTHER_ROOT).count(), 1);
    assert_eq!(view.grants_retirable_by(ROOT, None).count(), 5);
    assert_eq!(view.grants_retirable_by(OTHER_ROOT, None).count(), 0);
}

#[test]
fn a_grant_names_those_who_are_there() {
    let mut replica = with_key();
    let unknown = "arn:aws:iam::111122223333:user/nobody";
    let retired_by_nobody = proto::GrantRecord {
        retiring: named("arn:aws:iam::999999999999:root"),
        ..grant(1, "", ROOT)
    };
    for grant in [grant(1, "", unknown), retired_by_nobody] {
        assert_eq!(replica.run(create(grant)), rejected(Reason::GrantPrincipal));
    }
    for broken in [grant(1, "", ""), grant(1, "", "not:a-principal")] {
        assert_eq!(replica.run(create(broken)), rejected(Reason::Malformed));
    }
    assert_eq!(replica.view.grants_on(key_id(1), None).count(), 0);
    assert_eq!(replica.run(create(grant(1, "", "logs.amazonaws.com"))), created(1));
}

#[test]
fn a_grant_that_ends_takes_its_right_along() {
    let mut replica = with_key();
    assert_eq!(replica.run(create(grant(1, "", ALICE))), created(1));
    let before = replica.view.applied();
    assert_eq!(replica.run(remove(2)), rejected(Reason::GrantNotFound));
    assert_eq!(replica.run_authorised_at(before, tag(1, &[("a", "b")])), done());
    let before = replica.view.applied();
    assert_eq!(replica.run(remove(1)), done());
    assert_eq!(replica.run_authorised_at(before, tag(1, &[("a", "c")])), stale());
    assert_eq!(replica.run(remove(1)), rejected(Reason::GrantNotFound));
    let view = &replica.view;
    assert_eq!(view.grants_on(key_id(1), None).count(), 0);
    assert_eq!(view.grants_to(key_id(1), &user_id(0)).count(), 0);
    assert_eq!(view.grants_retirable_by(ROOT, None).count(), 0);
}

#[test]
fn grants_go_with_their_key() {
    let mut replica = with_key();
    let without = replica.rows().len();
    for id in 1..=3 {
        assert_eq!(replica.run(create(grant(id, "", ROOT))), created(id));
    }
    assert_eq!(replica.rows().len(), without + 3);
    replica.run(schedule(1, 7));
    replica.wait(8 * DAY);
    assert_eq!(replica.run(delete_due(&[1])), done());
    assert_eq!(replica.view.grants_retirable_by(ROOT, None).count(), 0);
    // The key's own row and its policy's go as well.
    assert_eq!(replica.rows().len(), without - 2);
}
