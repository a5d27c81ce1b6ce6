//! What was allowed by an older View is not carried out after the right is gone; and what time
//! does to keys.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, View};
use keystead_types::{KeyState, Origin};
use prost::Message;

const OWNER: u64 = ACCOUNTS[0];

/// Keys 1 and 2, and "alias/a" at key 1.
fn with_keys() -> Replica {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    replica.run(create_key(2));
    assert_eq!(replica.run(create_alias(OWNER, "alias/a", 1)), done());
    replica
}

/// Every operation that touches key 1.
fn touching_key_1() -> Vec<Operation> {
    vec![
        enable(1),
        disable(1),
        describe(1, "x"),
        schedule(1, 7),
        cancel(1),
        create_alias(OWNER, "alias/b", 1),
        update_alias(OWNER, "alias/a", 1),
        update_alias(OWNER, "alias/a", 2),
        delete_alias(OWNER, "alias/a"),
        tag(1, &[("a", "b")]),
        untag(1, &["a"]),
        enable_rotation(1, 90),
        disable_rotation(1),
        rotate(1, 10),
    ]
}

#[test]
fn what_touches_a_key_is_stale_after_the_key_lost_a_right() {
    type Loss = fn() -> Operation;
    let losses: [(&str, Loss); 7] = [
        ("disabled", || disable(1)),
        ("to be deleted", || schedule(1, 7)),
        ("tagged", || tag(1, &[("a", "c")])),
        ("untagged", || untag(1, &["a"])),
        ("gained an alias", || create_alias(OWNER, "alias/c", 1)),
        ("lost an alias", || delete_alias(OWNER, "alias/z")),
        ("an alias moved away", || update_alias(OWNER, "alias/z", 2)),
    ];
    for (what, loss) in losses {
        for operation in touching_key_1() {
            let mut replica = with_keys();
            replica.run(create_alias(OWNER, "alias/z", 1));
            let before = replica.view.applied();
            assert_ne!(replica.run(loss()), stale());
            let rows = replica.rows();
            let outcome = replica.run_authorised_at(before, operation.clone());
            assert_eq!(outcome, stale(), "{what}: {operation:?}");
            assert_eq!(replica.rows(), rows);
            // Authorised on the View that includes the loss, it is judged by the state.
            let loss_at = before + 1;
            assert_ne!(replica.run_authorised_at(loss_at, operation), stale(), "{what}");
        }
    }
}

#[test]
fn changes_that_take_no_right_away_make_nothing_stale() {
    let harmless: [fn() -> Operation; 6] = [
        || enable(1),
        || describe(1, "new"),
        || disable(2),
        || tag(2, &[("a", "b")]),
        || update_alias(OWNER, "alias/a", 1),
        tick,
    ];
    for change in harmless {
        let mut replica = with_keys();
        let before = replica.view.applied();
        assert_eq!(replica.run(change()), done());
        assert_eq!(
            replica.run_authorised_at(before, describe(1, "late")),
            done(),
            "{:?}",
            change()
        );
    }
}

#[test]
fn disabling_what_is_disabled_takes_nothing_away() {
    let mut replica = with_keys();
    replica.run(disable(1));
    let before = replica.view.applied();
    assert_eq!(replica.run(disable(1)), done());
    assert_eq!(replica.run_authorised_at(before, enable(1)), done());
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
}

#[test]
fn an_alias_that_moved_is_not_changed_by_rights_on_its_old_key() {
    for operation in [delete_alias(OWNER, "alias/a"), update_alias(OWNER, "alias/a", 1)] {
        let mut replica = with_keys();
        // Allowed because of key 1, which the alias pointed at then.
        let before = replica.view.applied();
        assert_eq!(replica.run(update_alias(OWNER, "alias/a", 2)), done());
        assert_eq!(replica.run_authorised_at(before, operation), stale());
        let alias = replica.view.alias(account(OWNER), &alias_name("alias/a")).unwrap();
        assert_eq!(alias.target, key_id(2));
    }
}

/// The replica with a credential as it would be after a change at an index.
fn with_credential(replica: &Replica, active: bool, rights_removed_at: u64) -> Replica {
    let record = |value: &[u8]| {
        let old = proto::CredentialRecord::decode(value).unwrap();
        proto::CredentialRecord { active, rights_removed_at, ..old }.encode_to_vec()
    };
    // The row is found by what creating an account writes.
    let mut fresh = Replica::default();
    fresh.send(&command(START, initialise()));
    fresh.run(create_account(OWNER, ACCESS_KEYS[0]));
    let row = fresh.changes.last().unwrap().key.clone();
    let rows = replica.view.rows().map(|(key, value)| {
        let value = if key == row { record(&value) } else { value };
        (key, value)
    });
    let view = View::from_rows(rows, replica.view.applied()).unwrap();
    Replica { view, changes: Vec::new() }
}

#[test]
fn a_credential_that_lost_a_right_decides_nothing_any_more() {
    let replica = with_keys();
    let now = replica.view.applied();
    let ask = |replica: &mut Replica, access_key: &str, authorised_at: u64| {
        let access_key_id = access_key.into();
        let plain = command(0, describe(2, "x"));
        replica.send(&Command { access_key_id, authorised_at, ..plain })
    };
    let mut changed = with_credential(&replica, true, now);
    assert_eq!(ask(&mut changed, ACCESS_KEYS[0], now - 1), stale());
    assert_eq!(ask(&mut changed, ACCESS_KEYS[0], now), done());
    assert_eq!(ask(&mut changed, ACCESS_KEYS[1], now - 1), done(), "another's is another's");

    let mut inactive = with_credential(&replica, false, 0);
    assert_eq!(ask(&mut inactive, ACCESS_KEYS[0], now), stale());
    assert_eq!(ask(&mut inactive, "ABSENT", now), stale());
    assert_eq!(ask(&mut inactive, "not an id", now), rejected(Reason::Malformed));
}

#[test]
fn a_due_key_goes_in_one_command_with_aliases_material_and_policy() {
    let mut replica = Replica::initialised();
    let rows = replica.rows();
    let policy = r#"{"Id":"of key 1 alone"}"#;
    let key = proto::CreateKey { policy: policy.into(), ..symmetric_key(1) };
    replica.run(Operation::CreateKey(key));
    for name in ["alias/a", "alias/b", "alias/c"] {
        replica.run(create_alias(OWNER, name, 1));
    }
    let OutcomeResult::DeletionScheduled(scheduled) = replica.run(schedule(1, 7)) else {
        panic!("not scheduled")
    };
    assert_eq!(scheduled.deletion_ms, replica.view.clock().0 + 7 * DAY);

    replica.wait(7 * DAY - 1);
    let waiting = replica.rows();
    assert_eq!(replica.run(delete_due(&[1])), done());
    assert_eq!(replica.rows(), waiting, "not due yet");
    replica.wait(1);
    assert_eq!(replica.view.keys_due(replica.view.clock()).collect::<Vec<_>>(), [key_id(1)]);
    assert_eq!(replica.run(delete_due(&[3, 1, 1])), done());

    assert_eq!(replica.view.key(&key_id(1)), None);
    assert_eq!(replica.view.aliases_of(account(OWNER), None).count(), 0);
    assert_eq!(replica.view.next_due(), None);
    let left: Vec<_> = replica.rows().into_keys().collect();
    assert_eq!(left, rows.into_keys().collect::<Vec<_>>(), "no row of the key is left");
    let wrapped = material(1).wrapped;
    let holds_material = |value: &[u8]| value.windows(wrapped.len()).any(|part| part == wrapped);
    assert!(!replica.rows().values().any(|value| holds_material(value)));
    assert_eq!(replica.run(enable(1)), rejected(Reason::KeyNotFound));
}

#[test]
fn a_key_that_is_not_due_is_never_deleted() {
    let mut replica = with_keys();
    replica.run(schedule(1, 7));
    replica.run(cancel(1));
    replica.wait(30 * DAY);
    assert_eq!(replica.run(delete_due(&[1, 2])), done());
    assert_eq!(replica.key_state(1), Some(KeyState::Disabled));
    assert_eq!(replica.key_state(2), Some(KeyState::Enabled));
}

#[test]
fn a_refused_batch_of_deletions_deletes_nothing() {
    let mut replica = with_keys();
    replica.run(schedule(1, 0));
    let keys = vec![key_ref(1).unwrap(), proto::KeyRef { id: vec![1; 15], multi_region: false }];
    let operation = Operation::DeleteDueKeys(proto::DeleteDueKeys { keys });
    assert_eq!(replica.run(operation), rejected(Reason::Malformed));
    assert_eq!(replica.key_state(1), Some(KeyState::PendingDeletion));
}

#[test]
fn a_deletion_is_cancelled_before_its_time_or_never() {
    let mut replica = with_keys();
    assert_eq!(replica.run(cancel(1)), rejected(Reason::KeyNotPendingDeletion));
    replica.run(schedule(1, 7));
    replica.run(schedule(2, 7));
    replica.wait(7 * DAY - 1);
    assert_eq!(replica.run(cancel(1)), done());
    assert_eq!(replica.key_state(1), Some(KeyState::Disabled));
    // The cancelling command itself brings the time at which it is too late.
    let time = replica.view.clock().plus(1).0;
    let authorised_at = replica.view.applied();
    let late = Command { authorised_at, ..command(time, cancel(2)) };
    assert_eq!(replica.send(&late), rejected(Reason::KeyNotFound));
    assert_eq!(replica.key_state(2), Some(KeyState::PendingDeletion));
}

#[test]
fn a_key_without_material_is_never_enabled() {
    let mut replica = Replica::initialised();
    let origin = Origin::External.code().into();
    let key = proto::CreateKey { material: None, origin, ..symmetric_key(1) };
    replica.run(Operation::CreateKey(key));
    assert_eq!(replica.run(enable(1)), rejected(Reason::KeyPendingImport));
    assert_eq!(replica.run(disable(1)), rejected(Reason::KeyPendingImport));
    replica.run(schedule(1, 7));
    replica.run(cancel(1));
    assert_eq!(replica.key_state(1), Some(KeyState::Disabled));
    assert_eq!(replica.run(enable(1)), done());
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
}

#[test]
fn the_replicated_clock_never_runs_back() {
    let mut replica = with_keys();
    replica.wait(DAY);
    let clock = replica.view.clock();
    for time in [0, START, clock.0 - 1] {
        replica.send(&command(time, tick()));
        assert_eq!(replica.view.clock(), clock);
        assert_eq!(replica.changes, []);
    }
    replica.reload();
    assert_eq!(replica.view.clock(), clock);
    replica.send(&command(START, create_account(5, "ACCESS5")));
    assert_eq!(replica.view.account(account(5)).unwrap().created, clock);
}

#[test]
fn a_second_initialisation_is_refused() {
    let mut replica = Replica::default();
    assert_eq!(replica.run(create_key(1)), rejected(Reason::NotInitialised));
    assert_eq!(replica.run(initialise()), done());
    assert_eq!(replica.run(initialise()), rejected(Reason::AlreadyInitialised));
}
