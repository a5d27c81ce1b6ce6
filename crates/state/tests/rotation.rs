//! When keys get new material, and that nothing takes the old one away.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::limits::ON_DEMAND_ROTATIONS;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, Reason};
use keystead_state::{Command, Key, MaterialState, View};
use keystead_types::{KeySpec, KeyState, KeyUsage, Origin};
use prost::Message;

/// Tag of the rows of keys.
const KEY: u8 = 0x15;

/// Key 1, which rotates by itself every 90 days.
fn rotating() -> Replica {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    assert_eq!(replica.run(enable_rotation(1, 90)), done());
    replica
}

fn key(replica: &Replica, number: u8) -> Key {
    Key::clone(replica.view.key(&key_id(number)).unwrap())
}

/// The numbers of a key's materials, oldest first.
fn materials(replica: &Replica, number: u8) -> Vec<u8> {
    key(replica, number).materials.iter().map(|material| material.id.bytes()[0]).collect()
}

fn due(replica: &Replica) -> Vec<keystead_types::KeyId> {
    replica.view.rotations_due(replica.view.clock()).map(|key| key.id).collect()
}

#[test]
fn a_key_rotates_when_its_period_is_over_and_not_before() {
    let mut replica = rotating();
    replica.wait(90 * DAY - 1);
    assert_eq!(due(&replica), []);
    assert_eq!(replica.run(rotate_due(&[(1, 10)])), rotated(&[]));
    assert_eq!(materials(&replica, 1), [1]);

    replica.wait(1);
    assert_eq!(due(&replica), [key_id(1)]);
    assert_eq!(replica.run(rotate_due(&[(1, 10)])), rotated(&[1]));
    assert_eq!(materials(&replica, 1), [1, 10]);
    // Another leader may have seen the same: its command finds nothing to do.
    assert_eq!(replica.run(rotate_due(&[(1, 11)])), rotated(&[]));
    assert_eq!(due(&replica), []);

    let rotated_key = key(&replica, 1);
    let states: Vec<_> = rotated_key.materials.iter().map(|material| material.state).collect();
    assert_eq!(states, [MaterialState::NonCurrent, MaterialState::Current]);
    assert_eq!(rotated_key.current().unwrap().id.bytes()[0], 10);
    assert!(rotated_key.material_by_prefix(&[1; 16]).is_some(), "what it encrypted still opens");
    let rotation = rotated_key.current().unwrap().rotation.unwrap();
    assert_eq!((rotation.at, rotation.on_demand), (replica.view.clock(), false));
    assert_eq!(rotated_key.materials[0].rotation, None);
    assert_eq!(rotated_key.rotation.unwrap().next, replica.view.clock().plus(90 * DAY));
}

#[test]
fn a_command_rotates_a_key_once_however_often_it_names_it() {
    let mut replica = rotating();
    replica.run(create_key(2));
    replica.run(enable_rotation(2, 90));
    replica.wait(90 * DAY);
    let batch = [(3, 9), (1, 10), (2, 20), (1, 11)];
    assert_eq!(replica.run(rotate_due(&batch)), rotated(&[1, 2]));
    assert_eq!((materials(&replica, 1), materials(&replica, 2)), (vec![1, 10], vec![2, 20]));
}

#[test]
fn a_refused_batch_rotates_nothing() {
    let mut replica = rotating();
    replica.run(create_key(2));
    replica.run(enable_rotation(2, 90));
    replica.wait(90 * DAY);
    // The second material is there already: its ciphertexts could not be told apart.
    assert_eq!(replica.run(rotate_due(&[(1, 10), (2, 2)])), rejected(Reason::Malformed));
    let without = proto::DueRotation { key: key_ref(1), material: None };
    let operation = Operation::RotateDueKeys(proto::RotateDueKeys { rotations: vec![without] });
    assert_eq!(replica.run(operation), rejected(Reason::Malformed));
    assert_eq!((materials(&replica, 1), materials(&replica, 2)), (vec![1], vec![2]));
}

#[test]
fn a_disabled_key_rotates_as_soon_as_it_is_enabled_again() {
    let mut replica = rotating();
    replica.run(disable(1));
    replica.wait(200 * DAY);
    assert_eq!(due(&replica), []);
    assert_eq!(replica.run(rotate_due(&[(1, 10)])), rotated(&[]));
    replica.run(enable(1));
    assert_eq!(due(&replica), [key_id(1)]);
    assert_eq!(replica.run(rotate_due(&[(1, 10)])), rotated(&[1]));
    assert_eq!(due(&replica), [], "one rotation makes up for all that were missed");

    replica.wait(10 * DAY);
    replica.run(disable(1));
    replica.wait(10 * DAY);
    replica.run(enable(1));
    assert_eq!(due(&replica), [], "what was not missed takes place at its time");
    replica.wait(70 * DAY);
    assert_eq!(due(&replica), [key_id(1)]);
}

#[test]
fn a_key_to_be_deleted_keeps_its_schedule_and_does_not_rotate() {
    let mut replica = rotating();
    replica.wait(80 * DAY);
    replica.run(schedule(1, 30));
    replica.wait(20 * DAY);
    assert_eq!(due(&replica), []);
    assert_eq!(replica.run(rotate_due(&[(1, 10)])), rotated(&[]));
    for operation in [enable_rotation(1, 90), disable_rotation(1), rotate(1, 10)] {
        assert_eq!(replica.run(operation), rejected(Reason::KeyPendingDeletion));
    }
    replica.run(cancel(1));
    assert_eq!(due(&replica), [], "cancelling leaves it disabled");
    replica.run(enable(1));
    assert_eq!(due(&replica), [key_id(1)]);
    replica.run(schedule(1, 7));
    replica.wait(7 * DAY);
    replica.run(delete_due(&[1]));
    assert_eq!(replica.view.rotations_due(replica.view.clock().plus(9999 * DAY)).count(), 0);
}

#[test]
fn enabling_again_counts_from_then_and_disabling_ends_it() {
    let mut replica = rotating();
    replica.wait(60 * DAY);
    assert_eq!(replica.run(enable_rotation(1, 365)), done());
    let rotation = key(&replica, 1).rotation.unwrap();
    let next = replica.view.clock().plus(365 * DAY);
    assert_eq!((rotation.period_days, rotation.next), (365, next));
    assert_eq!(replica.run(disable_rotation(1)), done());
    assert_eq!(key(&replica, 1).rotation, None);
    replica.wait(9999 * DAY);
    assert_eq!(due(&replica), []);
    for days in [0, 89, 2561, u32::MAX] {
        assert_eq!(replica.run(enable_rotation(1, days)), rejected(Reason::Malformed));
    }
    for days in [90, 2560] {
        assert_eq!(replica.run(enable_rotation(1, days)), done());
    }
}

#[test]
fn what_is_asked_for_changes_no_date_and_has_a_limit() {
    let mut replica = rotating();
    let before = key(&replica, 1).rotation;
    for number in 0..u8::try_from(ON_DEMAND_ROTATIONS).unwrap() {
        assert_eq!(replica.run(rotate(1, 100 + number)), done());
    }
    assert_eq!(key(&replica, 1).rotation, before);
    assert_eq!(replica.run(rotate(1, 200)), rejected(Reason::RotationLimit));
    replica.wait(90 * DAY);
    assert_eq!(replica.run(rotate_due(&[(1, 201)])), rotated(&[1]), "the limit is none for these");
    assert_eq!(replica.run(rotate(1, 202)), rejected(Reason::RotationLimit));
    assert_eq!(key(&replica, 1).on_demand_rotations(), 25);

    let before = key(&replica, 1);
    assert_eq!(before.materials.len(), 27);
    replica.reload();
    assert_eq!(key(&replica, 1), before);
    replica.wait(90 * DAY);
    assert_eq!(due(&replica), [key_id(1)], "after a restart the dates are found, too");
}

#[test]
fn nobody_rotates_a_key_that_is_about_to_rotate() {
    let mut replica = rotating();
    replica.wait(90 * DAY - 20 * MINUTE - 1);
    assert_eq!(replica.run(rotate(1, 10)), done());
    replica.wait(1);
    assert_eq!(replica.run(rotate(1, 11)), rejected(Reason::RotationNear));
    replica.wait(20 * MINUTE);
    assert_eq!(replica.run(rotate(1, 11)), rejected(Reason::RotationNear));
    replica.run(rotate_due(&[(1, 12)]));
    assert_eq!(replica.run(rotate(1, 11)), done());
}

#[test]
fn a_request_that_is_sent_again_rotates_once() {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    let first = Command { request_id: request_id(1), ..command(0, rotate(1, 10)) };
    let first = Command { authorised_at: replica.view.applied(), ..first };
    let again = Command { operation: Some(rotate(1, 11)), ..first.clone() };
    assert_eq!((replica.send(&first), replica.send(&again)), (done(), done()));
    assert_eq!(materials(&replica, 1), [1, 10]);
}

#[test]
fn only_enabled_symmetric_keys_rotate() {
    let mut replica = Replica::initialised();
    let others = [
        (2, KeySpec::Hmac256, KeyUsage::GenerateVerifyMac),
        (3, KeySpec::Rsa2048, KeyUsage::EncryptDecrypt),
    ];
    for (number, spec, usage) in others {
        let (spec, usage) = (spec.code().into(), usage.code().into());
        replica.run(Operation::CreateKey(proto::CreateKey {
            spec,
            usage,
            ..symmetric_key(number)
        }));
        for operation in [enable_rotation(number, 90), disable_rotation(number), rotate(number, 9)]
        {
            assert_eq!(replica.run(operation), rejected(Reason::Malformed));
        }
    }
    replica.run(create_key(1));
    replica.run(disable(1));
    for operation in [enable_rotation(1, 90), disable_rotation(1), rotate(1, 10)] {
        assert_eq!(replica.run(operation), rejected(Reason::KeyDisabled));
    }
}

/// Key 1 with imported material, and these besides: number, state, and whether there is anything.
fn imported(others: &[(u8, proto::MaterialState, bool)]) -> Replica {
    let mut replica = Replica::initialised();
    let origin = u32::from(Origin::External.code());
    let first = proto::MaterialRecord { origin, ..material(1) };
    replica.run(Operation::CreateKey(proto::CreateKey {
        origin,
        material: Some(first),
        ..symmetric_key(1)
    }));
    let mut rows = replica.rows();
    let row = rows.iter_mut().find(|(key, _)| key[0] == KEY).unwrap().1;
    let mut record = proto::KeyRecord::decode(row.as_slice()).unwrap();
    record.materials.extend(others.iter().map(|&(number, state, whole)| proto::MaterialRecord {
        origin,
        state: state.into(),
        wrapped: if whole { vec![number; 80] } else { Vec::new() },
        ..material(number)
    }));
    *row = record.encode_to_vec();
    replica.view = View::from_rows(rows, replica.view.applied()).unwrap();
    replica
}

#[test]
fn imported_material_that_waits_becomes_current() {
    use proto::MaterialState::{NonCurrent, PendingRotation};
    let mut replica = imported(&[(7, NonCurrent, true), (8, PendingRotation, true)]);
    // What the command brings is none of an imported key's.
    assert_eq!(replica.run(rotate(1, 10)), done());
    let rotated = key(&replica, 1);
    assert_eq!(materials(&replica, 1), [1, 7, 8]);
    let states: Vec<_> = rotated.materials.iter().map(|material| material.state).collect();
    use MaterialState as State;
    assert_eq!(states, [State::NonCurrent, State::NonCurrent, State::Current]);
    assert_eq!(rotated.current().unwrap().id.bytes()[0], 8);
    assert!(rotated.current().unwrap().rotation.unwrap().on_demand);
    assert_eq!(rotated.state, KeyState::Enabled);
    assert_eq!(replica.run(rotate(1, 10)), rejected(Reason::NoPendingMaterial));
    assert_eq!(replica.run(enable_rotation(1, 90)), rejected(Reason::Malformed));
}

#[test]
fn imported_material_that_is_gone_never_becomes_current() {
    use proto::MaterialState::PendingRotation;
    for others in [&[][..], &[(8, PendingRotation, false)]] {
        let mut replica = imported(others);
        assert_eq!(replica.run(rotate(1, 10)), rejected(Reason::NoPendingMaterial));
        assert_eq!(key(&replica, 1).current().unwrap().id.bytes()[0], 1);
    }
}
