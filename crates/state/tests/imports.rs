//! Key material that was made elsewhere: how it comes, goes, expires and comes again.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::outcome::Result as OutcomeResult;
use keystead_state::proto::{self, ImportIntent, Reason};
use keystead_state::{Command, Key, Material, MaterialState};
use keystead_types::{KeySpec, KeyState, KeyUsage, Origin, UnixMillis};

/// Materials by number.
const FIRST: u8 = 0x11;
const SECOND: u8 = 0x22;
const THIRD: u8 = 0x33;

fn external_key(number: u8) -> proto::CreateKey {
    let origin = Origin::External.code().into();
    proto::CreateKey { origin, material: None, ..symmetric_key(number) }
}

/// An import of a material into a key, for ever, with a token that lasts.
fn import(key: u8, number: u8) -> proto::ImportMaterial {
    proto::ImportMaterial {
        key: key_ref(key),
        material: Some(proto::MaterialRecord {
            origin: Origin::External.code().into(),
            // That it is the current one, the command cannot say.
            state: proto::MaterialState::NonCurrent.into(),
            ..material(number)
        }),
        intent: ImportIntent::Unspecified.into(),
        description_given: false,
        token_expires_ms: u64::MAX,
    }
}

fn new(import: proto::ImportMaterial) -> proto::ImportMaterial {
    proto::ImportMaterial { intent: ImportIntent::New.into(), ..import }
}

fn existing(import: proto::ImportMaterial) -> proto::ImportMaterial {
    proto::ImportMaterial { intent: ImportIntent::Existing.into(), ..import }
}

fn until(millis: u64, mut import: proto::ImportMaterial) -> proto::ImportMaterial {
    import.material.as_mut().unwrap().expires_ms = Some(START + millis);
    import
}

fn imported(import: proto::ImportMaterial) -> Operation {
    Operation::ImportMaterial(import)
}

fn accepted(number: u8) -> OutcomeResult {
    let material_id = vec![number; 32];
    OutcomeResult::MaterialImported(proto::MaterialImported { material_id })
}

fn delete(key: u8, number: Option<u8>) -> Operation {
    let material_id = number.map(|number| vec![number; 32]).unwrap_or_default();
    Operation::DeleteMaterial(proto::DeleteMaterial { key: key_ref(key), material_id })
}

fn deleted(number: u8) -> OutcomeResult {
    let material_id = vec![number; 32];
    OutcomeResult::MaterialDeleted(proto::MaterialDeleted { material_id })
}

fn expire(keys: &[u8]) -> Operation {
    let keys = keys.iter().filter_map(|&key| key_ref(key)).collect();
    Operation::ExpireMaterials(proto::ExpireMaterials { keys })
}

/// Key 1 waits for its first material.
fn waiting() -> Replica {
    let mut replica = Replica::initialised();
    replica.run(Operation::CreateKey(external_key(1)));
    replica
}

/// Key 1 has its first material.
fn with_first() -> Replica {
    let mut replica = waiting();
    assert_eq!(replica.run(imported(import(1, FIRST))), accepted(FIRST));
    replica
}

/// Key 1 has its first material, and a second one that waits for a rotation.
fn with_second() -> Replica {
    let mut replica = with_first();
    assert_eq!(replica.run(imported(new(import(1, SECOND)))), accepted(SECOND));
    replica
}

fn key(replica: &Replica) -> &Key {
    replica.view.key(&key_id(1)).unwrap()
}

/// Of each material: its number, its state, and whether it is there.
fn materials(replica: &Replica) -> Vec<(u8, MaterialState, bool)> {
    let shown = |one: &Material| (one.id.bytes()[0], one.state, one.is_present());
    key(replica).materials.iter().map(shown).collect()
}

fn refused(replica: &mut Replica, operation: Operation, reason: Reason) {
    let rows = replica.rows();
    assert_eq!(replica.run(operation), rejected(reason));
    assert_eq!(replica.rows(), rows);
}

#[test]
fn the_first_material_is_the_current_one() {
    for first in [import(1, FIRST), new(import(1, FIRST))] {
        let mut replica = waiting();
        assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
        assert_eq!(replica.run(imported(first)), accepted(FIRST));
        assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
        assert_eq!(materials(&replica), [(FIRST, MaterialState::Current, true)]);
        assert_eq!(key(&replica).current().unwrap().created, replica.view.clock());
        let before = replica.view.clone();
        replica.reload();
        assert_eq!(replica.view.key(&key_id(1)), before.key(&key_id(1)));
    }
}

#[test]
fn the_first_material_cannot_be_one_that_was_there() {
    refused(&mut waiting(), imported(existing(import(1, FIRST))), Reason::MaterialMismatch);
}

#[test]
fn other_material_is_refused_whether_or_not_the_first_is_there() {
    let mut replica = with_first();
    for _ in 0..2 {
        refused(&mut replica, imported(import(1, SECOND)), Reason::MaterialMismatch);
        refused(&mut replica, imported(existing(import(1, SECOND))), Reason::MaterialMismatch);
        refused(&mut replica, imported(new(import(1, FIRST))), Reason::MaterialMismatch);
        replica.run(delete(1, None));
    }
    assert_eq!(replica.run(imported(import(1, FIRST))), accepted(FIRST));
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
}

#[test]
fn only_symmetric_keys_have_several() {
    let mut replica = Replica::initialised();
    let spec = KeySpec::Hmac256.code().into();
    let usage = KeyUsage::GenerateVerifyMac.code().into();
    replica.run(Operation::CreateKey(proto::CreateKey { spec, usage, ..external_key(1) }));
    replica.run(imported(import(1, FIRST)));
    refused(&mut replica, imported(new(import(1, SECOND))), Reason::MaterialMismatch);
}

#[test]
fn new_material_waits_and_only_one_does() {
    let mut replica = with_second();
    let both =
        [(FIRST, MaterialState::Current, true), (SECOND, MaterialState::PendingRotation, true)];
    assert_eq!(materials(&replica), both);
    refused(&mut replica, imported(new(import(1, THIRD))), Reason::MaterialPendingRotation);
    refused(&mut replica, imported(new(import(1, SECOND))), Reason::MaterialMismatch);
    assert_eq!(replica.run(imported(import(1, SECOND))), accepted(SECOND));
    assert_eq!(materials(&replica), both);
    // It has encrypted nothing, so that nothing is lost with it, and another one may take its place.
    assert_eq!(replica.run(delete(1, Some(SECOND))), deleted(SECOND));
    assert_eq!(materials(&replica), both[..1]);
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
    assert_eq!(replica.run(imported(new(import(1, THIRD)))), accepted(THIRD));
    assert_eq!(key(&replica).current().unwrap().id.bytes()[0], FIRST);
}

#[test]
fn what_is_deleted_is_gone_and_remembered() {
    let mut replica = with_second();
    let before = replica.view.applied();
    assert_eq!(replica.run(delete(1, None)), deleted(FIRST));
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
    assert_eq!(
        materials(&replica),
        [(FIRST, MaterialState::Current, false), (SECOND, MaterialState::PendingRotation, true)]
    );
    // Whatever was allowed before is authorised again.
    assert_eq!(replica.run_authorised_at(before, describe(1, "late")), stale());
    let rights = key(&replica).rights_removed_at;
    // Nothing is left to take away.
    assert_eq!(replica.run(delete(1, Some(FIRST))), deleted(FIRST));
    assert_eq!(key(&replica).rights_removed_at, rights);
    refused(&mut replica, delete(1, Some(THIRD)), Reason::MaterialNotFound);
}

#[test]
fn a_key_needs_all_that_it_ever_encrypted_with() {
    let mut replica = waiting();
    // As after a rotation.
    let mut both: Vec<_> =
        [FIRST, SECOND].into_iter().map(|number| import(1, number).material.unwrap()).collect();
    both[1].state = proto::MaterialState::Current.into();
    let rows = replica.view.rows().map(|(row, value)| {
        if row[0] != key_row() {
            return (row, value);
        }
        use prost::Message;
        let mut record = proto::KeyRecord::decode(value.as_slice()).unwrap();
        (record.materials, record.current_material) = (both.clone(), Some(1));
        record.state = KeyState::Enabled.code().into();
        (row, record.encode_to_vec())
    });
    replica.view = keystead_state::View::from_rows(rows, replica.view.applied()).unwrap();
    assert_eq!(replica.run(delete(1, Some(FIRST))), deleted(FIRST));
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
    assert_eq!(replica.run(delete(1, None)), deleted(SECOND));
    assert_eq!(replica.run(imported(import(1, SECOND))), accepted(SECOND));
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
    assert_eq!(replica.run(imported(import(1, FIRST))), accepted(FIRST));
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
}

/// The tag of the rows of keys.
fn key_row() -> u8 {
    let replica = waiting();
    let before = Replica::initialised().rows();
    let rows = replica.rows();
    let tags = rows.keys().filter(|row| !before.contains_key(*row)).map(|row| row[0]);
    // The policy comes first.
    tags.max().unwrap()
}

#[test]
fn expired_material_goes_when_the_clock_says_so() {
    let mut replica = waiting();
    replica.run(imported(until(MINUTE, import(1, FIRST))));
    let expires = UnixMillis(START + MINUTE);
    assert_eq!(replica.view.keys_expired(expires).collect::<Vec<_>>(), [key_id(1)]);
    assert_eq!(replica.view.keys_expired(UnixMillis(expires.0 - 1)).count(), 0);
    // Too early: whoever proposes it is asked for the time again where it is applied.
    assert_eq!(replica.run(expire(&[1, 2])), done());
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
    replica.wait(MINUTE - 1);
    replica.run(expire(&[1]));
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
    replica.wait(1);
    let before = replica.view.applied();
    assert_eq!(replica.run(expire(&[1])), done());
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
    assert_eq!(materials(&replica), [(FIRST, MaterialState::Current, false)]);
    assert_eq!(replica.view.keys_expired(UnixMillis(u64::MAX)).count(), 0);
    assert_eq!(replica.run_authorised_at(before, describe(1, "late")), stale());
    // Of what it was is nothing left on disk.
    let wrapped = vec![FIRST; 80];
    assert!(!replica.rows().values().any(|row| row.windows(80).any(|part| part == wrapped)));
}

#[test]
fn expired_material_is_no_use_before_it_is_swept_up() {
    let mut replica = waiting();
    replica.run(imported(until(MINUTE, import(1, FIRST))));
    let key = replica.view.key(&key_id(1)).unwrap();
    let at = |millis| key.as_of(UnixMillis(START + millis));
    assert_eq!(at(MINUTE - 1), *key);
    assert_eq!(at(MINUTE).state, KeyState::PendingImport);
    assert!(!at(MINUTE).current().unwrap().is_present());
    assert_eq!(key.state, KeyState::Enabled);
}

#[test]
fn an_import_moves_the_date() {
    let mut replica = waiting();
    replica.run(imported(until(MINUTE, import(1, FIRST))));
    replica.run(imported(until(5 * MINUTE, import(1, FIRST))));
    assert_eq!(replica.view.keys_expired(UnixMillis(START + MINUTE)).count(), 0);
    assert_eq!(replica.view.keys_expired(UnixMillis(START + 5 * MINUTE)).count(), 1);
    replica.reload();
    assert_eq!(replica.view.keys_expired(UnixMillis(START + 5 * MINUTE)).count(), 1);
    replica.run(imported(import(1, FIRST)));
    assert_eq!(replica.view.keys_expired(UnixMillis(u64::MAX)).count(), 0);
}

#[test]
fn what_waits_expires_without_a_trace() {
    let mut replica = with_first();
    replica.run(imported(new(until(MINUTE, import(1, SECOND)))));
    replica.wait(MINUTE);
    replica.run(expire(&[1]));
    assert_eq!(materials(&replica), [(FIRST, MaterialState::Current, true)]);
    assert_eq!(replica.key_state(1), Some(KeyState::Enabled));
}

#[test]
fn an_import_that_comes_too_late_is_refused() {
    let mut replica = waiting();
    replica.wait(MINUTE);
    let late = until(MINUTE, import(1, FIRST));
    refused(&mut replica, imported(late), Reason::MaterialExpired);
    let token_expires_ms = START + MINUTE;
    let late = proto::ImportMaterial { token_expires_ms, ..import(1, FIRST) };
    refused(&mut replica, imported(late), Reason::ImportTokenExpired);
}

#[test]
fn a_description_stays_unless_another_is_given() {
    let described = |text: &str, description_given| {
        let mut import = proto::ImportMaterial { description_given, ..import(1, FIRST) };
        import.material.as_mut().unwrap().description = text.into();
        imported(import)
    };
    let mut replica = waiting();
    let mut then = |operation| {
        assert_eq!(replica.run(operation), accepted(FIRST));
        key(&replica).materials[0].description.to_string()
    };
    assert_eq!(then(described("one", true)), "one");
    assert_eq!(then(described("", false)), "one");
    assert_eq!(then(described("two", true)), "two");
    assert_eq!(then(described("", true)), "");
}

#[test]
fn a_key_on_the_way_to_its_deletion_loses_material_and_gains_none() {
    let mut replica = waiting();
    replica.run(imported(until(DAY, import(1, FIRST))));
    replica.run(schedule(1, 7));
    refused(&mut replica, imported(import(1, FIRST)), Reason::KeyPendingDeletion);
    replica.wait(2 * DAY);
    replica.run(expire(&[1]));
    assert_eq!(replica.key_state(1), Some(KeyState::PendingDeletion));
    assert_eq!(materials(&replica), [(FIRST, MaterialState::Current, false)]);
    assert_eq!(replica.run(cancel(1)), done());
    assert_eq!(replica.run(enable(1)), done());
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
}

#[test]
fn a_disabled_key_stays_disabled_when_its_material_comes_again() {
    let mut replica = with_first();
    replica.run(disable(1));
    assert_eq!(replica.run(imported(import(1, FIRST))), accepted(FIRST));
    assert_eq!(replica.key_state(1), Some(KeyState::Disabled));
    replica.run(delete(1, None));
    assert_eq!(replica.key_state(1), Some(KeyState::PendingImport));
}

#[test]
fn keys_whose_material_is_made_here_neither_gain_nor_lose_any() {
    let mut replica = Replica::initialised();
    replica.run(create_key(1));
    refused(&mut replica, imported(import(1, FIRST)), Reason::KeyNotImported);
    refused(&mut replica, imported(import(1, 1)), Reason::KeyNotImported);
    refused(&mut replica, delete(1, None), Reason::KeyNotImported);
}

#[test]
fn a_request_sent_again_gets_its_first_answer() {
    let mut replica = with_second();
    let send = |replica: &mut Replica, number, operation| {
        let authorised_at = replica.view.applied();
        let request_id = request_id(number);
        replica.send(&Command { authorised_at, request_id, ..command(0, operation) })
    };
    assert_eq!(send(&mut replica, 1, delete(1, Some(SECOND))), deleted(SECOND));
    assert_eq!(send(&mut replica, 2, imported(new(import(1, THIRD)))), accepted(THIRD));
    let rows = replica.rows();
    assert_eq!(send(&mut replica, 1, delete(1, Some(SECOND))), deleted(SECOND));
    assert_eq!(send(&mut replica, 2, imported(new(import(1, THIRD)))), accepted(THIRD));
    assert_eq!(replica.rows(), rows);
}
