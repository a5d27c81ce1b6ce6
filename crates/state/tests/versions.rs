//! What an older version wrote is still understood, and what a newer one wrote is not guessed at.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use keystead_state::proto::command::Operation;
use keystead_state::proto::{self, Outcome};
use keystead_state::{CLUSTER_VERSION, Command, MaterialRotation, View, apply};
use keystead_types::{KeyState, UnixMillis};
use prost::Message;

/// One command and its outcome per line, for indices from 1.
const COMMANDS: &str = include_str!("data/commands-v1.hex");
/// The rows after those commands: key and record per line, each request in a row of its own.
const SINGLE_ROWS: &str = include_str!("data/rows-v1.hex");
/// The same, with the requests in chunks.
const ROWS: &str = include_str!("data/chunked-rows-v1.hex");
/// Rows with members that no command of version 1 fills.
const MORE_ROWS: &str = include_str!("data/more-rows-v1.hex");

/// The same of the operations of IAM.
const IAM_COMMANDS: &str = include_str!("data/iam-commands-v1.hex");
const IAM_ROWS: &str = include_str!("data/iam-rows-v1.hex");

/// The same of rotation.
const ROTATION_COMMANDS: &str = include_str!("data/rotation-commands-v1.hex");
const ROTATION_ROWS: &str = include_str!("data/rotation-rows-v1.hex");

/// The two columns of a fixture; lines that start with # say what it is.
fn columns(fixture: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = fixture.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(a, b)| (bytes(a), bytes(b))).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn a_command_of_a_newer_version_stops_the_node() {
    let mut replica = Replica::initialised();
    for version in [CLUSTER_VERSION + 1, u32::MAX] {
        let newer = Command { version, ..command(START, tick()) };
        let error = apply(&mut replica.view, 4, &newer).unwrap_err();
        assert!(error.to_string().contains(&version.to_string()), "{error}");
    }
    for version in 0..=CLUSTER_VERSION {
        assert!(
            apply(&mut replica.view, 4, &Command { version, ..command(START, tick()) }).is_ok()
        );
    }
}

#[test]
fn the_cluster_version_moves_up_and_never_back() {
    let mut replica = Replica::initialised();
    assert_eq!(replica.view.cluster_version(), 1);
    let raise = |of: u32, version: u32| {
        let operation = Operation::RaiseVersion(proto::RaiseVersion { version });
        Command { version: of, ..command(START, operation) }
    };
    for (of, version, then) in [(1, 2, 1), (2, 2, 2), (2, 1, 2), (2, 2, 2), (2, 0, 2), (2, 9, 2)] {
        let index = replica.view.applied() + 1;
        apply(&mut replica.view, index, &raise(of, version)).unwrap();
        assert_eq!(replica.view.cluster_version(), then, "{version} by a command of {of}");
    }
    let version = CLUSTER_VERSION + 1;
    assert!(apply(&mut replica.view, 99, &raise(version, version)).is_err());
}

#[test]
fn an_operation_that_is_not_known_stops_the_node() {
    let mut replica = Replica::initialised();
    let none = Command { operation: None, ..command(START, tick()) };
    assert!(apply(&mut replica.view, 4, &none).is_err());
    // Field 1000 of the operations is a message that only a newer version has.
    let mut encoded = none.encode_to_vec();
    encoded.extend([0xC2, 0x3E, 0x00]);
    let unknown = Command::decode(encoded.as_slice()).unwrap();
    assert!(apply(&mut replica.view, 4, &unknown).is_err());
}

#[test]
fn commands_of_version_1_have_the_outcomes_they_had() {
    for (commands, rows, count) in
        [(COMMANDS, ROWS, 15), (IAM_COMMANDS, IAM_ROWS, 24), (ROTATION_COMMANDS, ROTATION_ROWS, 8)]
    {
        let mut replica = Replica::default();
        let mut operations = std::collections::BTreeSet::new();
        for (number, (encoded, outcome)) in columns(commands).into_iter().enumerate() {
            let command = Command::decode(encoded.as_slice()).unwrap();
            let operation = command.operation.as_ref().unwrap();
            operations.insert(format!("{operation:?}").split('(').next().unwrap().to_owned());
            let expected = Outcome::decode(outcome.as_slice()).unwrap().result.unwrap();
            assert_eq!(replica.send(&command), expected, "command {}: {command:?}", number + 1);
        }
        assert_eq!(operations.len(), count, "every operation of version 1: {operations:?}");
        let there: Vec<_> = replica.view.rows().collect();
        assert!(there == columns(rows), "the rows are those that version 1 writes");
    }
}

#[test]
fn rows_of_version_1_load_and_are_written_the_same() {
    for fixture in [ROWS, MORE_ROWS, IAM_ROWS, ROTATION_ROWS] {
        let rows = columns(fixture);
        let view = View::from_rows(rows.clone(), 100).unwrap();
        assert!(view.rows().eq(rows), "written as they were read");
    }
}

#[test]
fn rows_of_single_requests_become_chunks() {
    let (single, chunked) = (columns(SINGLE_ROWS), columns(ROWS));
    let (view, changes) = View::from_stored_rows(single.clone(), 100).unwrap();
    assert!(view.rows().eq(chunked.clone()));
    let mut stored = single.into_iter().collect();
    write(&mut stored, &changes);
    assert!(stored.into_iter().eq(chunked.clone()), "nothing of the old rows stays");

    let (_, changes) = View::from_stored_rows(chunked, 100).unwrap();
    assert_eq!(changes, [], "there is nothing left to replace");
}

#[test]
fn rows_of_version_1_mean_what_they_meant() {
    let view = View::from_rows(columns(ROWS), 100).unwrap();
    assert_eq!(view.cluster_version(), 1);
    assert_eq!(view.region().unwrap().as_str(), "eu-central-1");
    assert_eq!(view.sealed_roots().len(), 1);
    assert_eq!(view.domain_key(1).unwrap().created, UnixMillis(START));
    assert_eq!(view.credential(&"ACCESS0".parse().unwrap()).unwrap().account, account(ACCOUNTS[0]));
    let key = view.key(&key_id(1)).unwrap();
    assert_eq!((key.state, &*key.description), (KeyState::Disabled, "payroll"));
    assert_eq!(key.tags["stage"], "test");
    assert_eq!(
        view.aliases_to(key_id(2)).map(|name| name.as_str()).collect::<Vec<_>>(),
        ["alias/b"]
    );
    assert!(view.key(&key_id(2)).unwrap().multi_region.is_some());
    assert_eq!(view.key(&key_id(3)).unwrap().state, KeyState::PendingImport);
    assert_eq!(view.next_due(), view.key(&key_id(4)).unwrap().deletion);

    let view = View::from_rows(columns(MORE_ROWS), 100).unwrap();
    let credential = view.credential(&"ACCESS9".parse().unwrap()).unwrap();
    assert!(!credential.active);
    assert_eq!((credential.rights_removed_at, credential.version), (90, 80));
    let key = view.key(&key_id(9)).unwrap();
    assert_eq!(key.materials.len(), 3);
    assert_eq!(key.current().unwrap().expires, Some(UnixMillis(START + DAY)));
    assert_eq!(&*key.current().unwrap().description, "second import");
    let relatives = key.multi_region.as_ref().unwrap();
    assert_eq!(relatives.primary.as_str(), "us-east-1");
    assert_eq!(relatives.replicas.len(), 2);
}

#[test]
fn rows_of_rotation_mean_what_they_meant() {
    let view = View::from_rows(columns(ROTATION_ROWS), 100).unwrap();
    let day = |days| UnixMillis(START + days * DAY);
    let materials = |number| -> Vec<_> {
        let materials = view.key(&key_id(number)).unwrap().materials.iter();
        materials.map(|material| (material.id.bytes()[0], material.rotation)).collect()
    };
    let rotation = |days, on_demand| Some(MaterialRotation { at: day(days), on_demand });
    let expected = [(1, None), (10, rotation(2, true)), (12, rotation(91, false))];
    assert_eq!(materials(1), expected);
    assert_eq!((materials(2), materials(3)), (vec![(2, None)], vec![(3, None)]));
    let schedule = |number| {
        let rotation = view.key(&key_id(number)).unwrap().rotation.as_ref()?;
        Some((rotation.period_days, rotation.next))
    };
    assert_eq!(schedule(1), Some((90, day(181))));
    assert_eq!(schedule(2), None);
    assert_eq!(schedule(3), Some((100, day(101))), "a disabled key keeps its schedule");
    assert!(view.rotations_due(day(9999)).map(|key| key.id).eq([key_id(1)]));
}

#[test]
fn rows_of_iam_mean_what_they_meant() {
    let view = View::from_rows(columns(IAM_ROWS), 100).unwrap();
    let owner = account(iam::OWNER);
    let alicia = view.user_named(owner, &"ALICIA".parse().unwrap()).unwrap();
    assert_eq!(alicia.arn().to_string(), "arn:aws:iam::111122223333:user/staff/Alicia");
    assert_eq!(alicia.id.to_string(), iam::user_id(0));
    assert_eq!((alicia.tags.len(), alicia.tags["Team"].as_str()), (1, "b"));
    assert!(alicia.rights_removed_at > 0);
    let named = |policy: keystead_state::NamedPolicy| (policy.name, policy.policy.text.clone());
    let policies: Vec<_> = view.identity_policies(alicia).into_iter().map(named).collect();
    let managed = |name: &str| format!("arn:aws:iam::111122223333:policy/{name}");
    assert_eq!(
        policies,
        [
            ("user/Alicia/in".into(), "{}".into()),
            (managed("write"), "[2]".into()),
            ("group/devs/in".into(), "[1]".into()),
            (managed("read"), "{}".into()),
        ]
    );
    let boundary = view.boundary_of(alicia).map(named);
    assert_eq!(boundary, Some((managed("read"), "{}".into())));
    let keys: Vec<_> = view.access_keys_of(owner, Some(&alicia.id)).collect();
    assert_eq!((keys.len(), keys[0].id.as_str(), keys[0].active), (1, "AKIA0", false));
    let write = view.managed_policy_named(owner, &"write".parse().unwrap()).unwrap();
    assert_eq!((write.default_version, write.latest_version, write.versions.len()), (2, 3, 2));
    let suspended: Vec<_> = view.accounts().map(|account| account.suspended).collect();
    assert_eq!(suspended, [false, true]);
}

#[test]
fn rows_that_refer_to_what_is_not_there_are_refused() {
    let referred_to = [0x14, 0x20, 0x21, 0x22];
    for tag in referred_to {
        let rows = columns(IAM_ROWS).into_iter().filter(|(key, _)| key[0] != tag);
        assert!(View::from_rows(rows, 100).is_err(), "{tag:x}");
    }
}
